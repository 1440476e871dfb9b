#include "sasl.h"

#include <openssl/crypto.h>
#include <sys/random.h>

#include "fail.h"
#include "identity_private.h"
#include "strict_base64.h"

struct sasl_mechanism {
	const char *name;
	int (*take)(struct sasl *s, struct span answer);
	const char *challenges[2]; /* NULL: s->said */
	bool plain, plus, certified;
	enum scram_hash hash;
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

/* What the conversation says next. */
static int say(struct sasl *s)
{
	struct buffer b = { .limit = sizeof s->said };
	base64_strict_put(&b, span_from(s->scram.reply, s->scram.reply_n));
	bool ok = buffer_ok(&b);
	if (ok)
		memcpy(s->said, b.p, s->said_n = b.n);
	buffer_free(&b);
	return ok ? OK : fail_with(ERR_UNAVAILABLE, "SASL: no memory");
}

static int our_nonce(struct buffer *b)
{
	unsigned char random[18];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return fail_errno("getrandom", "");
	base64_strict_put(b, span_from(random, sizeof random));
	return buffer_ok(b) ? OK : fail_with(ERR_UNAVAILABLE, "SASL: no memory");
}

static int begin_scram(struct sasl *s, struct span answer)
{
	const struct sasl_mechanism *m = s->mechanism;
	struct buffer nonce = { 0 };
	int e = scram_first(&s->scram, m->hash, m->plus, &s->channel, answer);
	if (e)
		return e;
	s->user = span_of(s->scram.user);
	s->authorize = span_of(s->scram.authorize);
	e = identity_claim(s->identity, s->user, m->hash, &s->claim);
	if (!e)
		e = our_nonce(&nonce);
	if (!e)
		e = scram_challenge(&s->scram, span_of(s->claim.verifier), buffer_span(&nonce));
	if (!e)
		e = say(s);
	buffer_free(&nonce);
	return e ? e : SASL_MORE;
}

/* A wrong proof waits for its turn, as a right one does. */
static int take_scram(struct sasl *s, struct span answer)
{
	if (s->step == 0)
		return begin_scram(s, answer);
	s->proof = scram_final(&s->scram, answer);
	if (s->proof == OK)
		return say(s);
	return s->proof == ERR_DENIED ? OK : s->proof;
}

static bool is_itself(struct span authorize, struct span user, struct span domain)
{
	char a[ADDRESS_MAX], b[ADDRESS_MAX];
	if (authorize.n == 0)
		return true;
	return address_complete(authorize, domain, a) == OK && address_complete(user, domain, b) == OK && strcmp(a, b) == 0;
}

/* The first name of the certificate, or the one that the client asks for. */
static int take_external(struct sasl *s, struct span answer)
{
	struct span names = span_from(s->names, s->names_n), domain = span_of(s->identity->domain);
	if (span_find(answer, 0) >= 0)
		return fail_with(ERR_INVALID, "EXTERNAL: a NUL");
	s->authorize = answer;
	s->user = span_of(s->names);
	for (; names.n; names = span_sub(names, strlen(names.p) + 1, names.n))
		if (answer.n && is_itself(answer, span_of(names.p), domain))
			s->user = span_of(names.p);
	s->proof = OK;
	return identity_claim(s->identity, s->user, SCRAM_SHA256, &s->claim);
}

/* The strongest first. */
static const struct sasl_mechanism mechanisms[] = {
	{ "EXTERNAL", take_external, { "" }, .certified = true },
	{ "SCRAM-SHA-256-PLUS", take_scram, { "" }, .plus = true, .hash = SCRAM_SHA256 },
	{ "SCRAM-SHA-256", take_scram, { "" }, .hash = SCRAM_SHA256 },
	{ "SCRAM-SHA-1-PLUS", take_scram, { "" }, .plus = true, .hash = SCRAM_SHA1 },
	{ "SCRAM-SHA-1", take_scram, { "" }, .hash = SCRAM_SHA1 },
	{ "PLAIN", take_plain, { "" }, .plain = true },
	{ "LOGIN", take_login, { "VXNlcm5hbWU6", "UGFzc3dvcmQ6" }, .plain = true }, /* "Username:", "Password:" */
};

static bool offered(const struct identity *i, bool certified, const struct sasl_mechanism *m)
{
	return m->certified ? certified : m->plain || !atomic_load(&i->no_scram);
}

void sasl_each(const struct identity *i, bool certified, void (*fn)(void *ctx, const char *name, bool plain, bool plus), void *ctx)
{
	for (size_t k = 0; k < sizeof mechanisms / sizeof *mechanisms; k++)
		if (offered(i, certified, &mechanisms[k]))
			fn(ctx, mechanisms[k].name, mechanisms[k].plain, mechanisms[k].plus);
}

static const struct sasl_mechanism *find(struct span name, const struct identity *i, const struct sasl_client *client)
{
	for (size_t k = 0; k < sizeof mechanisms / sizeof *mechanisms; k++) {
		const struct sasl_mechanism *m = &mechanisms[k];
		if (span_ieq(name, span_of(m->name)) && (client->channel || !m->plus) && offered(i, client->names.n > 0, m))
			return m;
	}
	return NULL;
}

int sasl_begin(struct sasl *s, struct span mechanism, struct identity *i, const struct sasl_client *client)
{
	const struct sasl_mechanism *m = find(mechanism, i, client);
	if (!m)
		return fail_with(ERR_NOT_FOUND, "no such mechanism");
	*s = (struct sasl){ .mechanism = m, .identity = i, .protocol = client->protocol, .names_n = client->names.n };
	if (client->channel)
		s->channel = *client->channel;
	if (s->names_n)
		memcpy(s->names, client->names.p, s->names_n);
	return OK;
}

bool sasl_is_plain(const struct sasl *s)
{
	return s->mechanism->plain;
}

struct span sasl_challenge(const struct sasl *s)
{
	const char *fixed = s->said_n ? NULL : s->mechanism->challenges[s->step];
	return fixed ? span_of(fixed) : span_from(s->said, s->said_n);
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

int sasl_login(struct sasl *s, struct span peer, struct login *out)
{
	*out = (struct login){ 0 };
	if (!is_itself(s->authorize, s->user, span_of(s->identity->domain)))
		return fail_with(ERR_DENIED, "a login may act as itself only");
	if (s->mechanism->plain)
		return identity_login_plain(s->identity, s->user, s->password, s->protocol, peer, &s->pass, out);
	return identity_login_proved(s->identity, &s->claim, s->proof == OK, peer, &s->pass, out);
}

bool sasl_last(const struct sasl *s)
{
	return s->mechanism->take == take_scram;
}

void sasl_end(struct sasl *s)
{
	OPENSSL_cleanse(s, sizeof *s);
}
