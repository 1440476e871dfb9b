#include "sasl.h"

#include <openssl/crypto.h>

#include "fail.h"
#include "identity_private.h"
#include "strict_base64.h"

struct sasl_mechanism {
	const char *name;
	int (*take)(struct sasl *s, struct span answer);
	const char *challenges[2];
};

/* message = [authzid] NUL authcid NUL passwd */
static int take_plain(struct sasl *s, struct span answer)
{
	ssize_t first = span_find(answer, 0);
	if (first < 0)
		return fail_with(ERR_INVALID, "PLAIN: no user");
	struct span rest = span_sub(answer, (size_t)first + 1, answer.n);
	ssize_t second = span_find(rest, 0);
	if (second < 0)
		return fail_with(ERR_INVALID, "PLAIN: no password");
	s->authorize = span_sub(answer, 0, (size_t)first);
	s->user = span_sub(rest, 0, (size_t)second);
	s->password = span_sub(rest, (size_t)second + 1, rest.n);
	if (s->user.n == 0 || s->password.n == 0 || span_find(s->password, 0) >= 0)
		return fail_with(ERR_INVALID, "PLAIN: empty user, empty password or a third NUL");
	return OK;
}

static int take_login(struct sasl *s, struct span answer)
{
	if (answer.n == 0 || span_find(answer, 0) >= 0)
		return fail_with(ERR_INVALID, "LOGIN: an empty answer or one with NUL");
	*(s->step == 0 ? &s->user : &s->password) = answer;
	return s->step == 0 ? SASL_MORE : OK;
}

static const struct sasl_mechanism mechanisms[] = {
	{ "PLAIN", take_plain, { "" } },
	{ "LOGIN", take_login, { "VXNlcm5hbWU6", "UGFzc3dvcmQ6" } }, /* "Username:", "Password:" */
};

int sasl_begin(struct sasl *s, struct span mechanism)
{
	for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++)
		if (span_ieq(mechanism, span_of(mechanisms[i].name))) {
			*s = (struct sasl){ .mechanism = &mechanisms[i] };
			return OK;
		}
	return fail_with(ERR_NOT_FOUND, "no such mechanism");
}

struct span sasl_challenge(const struct sasl *s)
{
	return span_of(s->mechanism->challenges[s->step]);
}

int sasl_answer(struct sasl *s, struct span line)
{
	char *here = s->text + s->used;
	size_t n;
	if (span_eq(line, SPAN("*")))
		return fail_with(ERR_INVALID, "the client gave up");
	if (span_eq(line, SPAN("=")))
		line.n = 0;
	int rc = base64_strict_get(line, here, sizeof s->text - s->used, &n);
	if (rc)
		return rc;
	s->used += n;
	rc = s->mechanism->take(s, span_from(here, n));
	s->step += rc == SASL_MORE;
	return rc;
}

static bool is_itself(struct span authorize, struct span user, struct span domain)
{
	char a[ADDRESS_MAX], b[ADDRESS_MAX];
	if (authorize.n == 0)
		return true;
	return address_complete(authorize, domain, a) == OK && address_complete(user, domain, b) == OK && strcmp(a, b) == 0;
}

int sasl_login(struct sasl *s, struct identity *i, struct span peer, struct account *out)
{
	if (!is_itself(s->authorize, s->user, span_of(i->domain)))
		return fail_with(ERR_DENIED, "a login may act as itself only");
	return identity_login_plain(i, s->user, s->password, peer, &s->pass, out);
}

void sasl_end(struct sasl *s)
{
	OPENSSL_cleanse(s, sizeof *s);
}
