#include "password.h"

#include <sys/random.h>

#include "argon.h"
#include "fail.h"
#include "imported.h"

enum {
	LINES_MAX = 8, /* verifiers tried for one password */
};

static const struct span scram_prefix[] = { [SCRAM_SHA1] = { "scram-sha-1=", 12 }, [SCRAM_SHA256] = { "scram-sha-256=", 14 } };

static int put_argon2id(struct span password, struct buffer *out)
{
	buffer_puts(out, "argon2id=");
	int rc = argon_make(password, out);
	buffer_putc(out, '\n');
	return rc;
}

static int put_scram(enum scram_hash hash, struct span password, struct buffer *out)
{
	unsigned char salt[SCRAM_SALT];
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
		return fail_errno("getrandom", "");
	buffer_put_span(out, scram_prefix[hash]);
	int rc = scram_verifier(hash, password, span_from(salt, sizeof salt), SCRAM_ITERATIONS, out);
	buffer_putc(out, '\n');
	return rc;
}

static int put_all(struct span password, struct buffer *out)
{
	int rc = put_argon2id(password, out);
	if (!rc)
		rc = put_scram(SCRAM_SHA256, password, out);
	if (!rc)
		rc = put_scram(SCRAM_SHA1, password, out);
	if (!rc && !buffer_ok(out))
		rc = fail_with(ERR_LIMIT, "verifiers do not fit");
	return rc;
}

int password_make(struct span password, struct buffer *out)
{
	if (password.n == 0)
		return fail_with(ERR_INVALID, "the password is empty");
	if (password.n > PASSWORD_MAX)
		return fail_with(ERR_LIMIT, "the password is over %d bytes", PASSWORD_MAX);
	if (span_find(password, 0) >= 0)
		return fail_with(ERR_INVALID, "the password has a NUL byte");
	size_t before = out->n;
	int rc = put_all(password, out);
	if (rc)
		out->n = before;
	return rc;
}

static bool take_line(struct span *text, struct span *line)
{
	if (text->n == 0)
		return false;
	ssize_t end = span_find(*text, '\n');
	*line = span_sub(*text, 0, end < 0 ? text->n : (size_t)end);
	*text = span_sub(*text, line->n + (end >= 0), text->n);
	return true;
}

static bool strip_prefix(struct span line, struct span prefix, struct span *rest)
{
	if (!span_istarts(line, prefix))
		return false;
	*rest = span_sub(line, prefix.n, line.n);
	return true;
}

/* ERR_INVALID for a line that checks no sent password. *argon says whether the line cost an argon2id hash. */
static int verify_line(struct span line, struct span password, bool *argon)
{
	struct span stored;
	int rc;
	if (strip_prefix(line, SPAN("argon2id="), &stored) || strip_prefix(line, SPAN("{ARGON2ID}"), &stored)) {
		rc = argon_verify(stored, password);
		*argon |= rc == ERR_DENIED;
		return rc;
	}
	return imported_verify(line, password);
}

int password_verify(struct span text, struct span password)
{
	struct span line;
	bool argon = false;
	if (password.n > PASSWORD_MAX || span_find(password, 0) >= 0)
		return fail_with(ERR_DENIED, "a password that nobody can have");
	for (int tried = 0; tried < LINES_MAX && take_line(&text, &line);) {
		int rc = verify_line(line, password, &argon);
		if (rc == OK || rc == ERR_UNAVAILABLE)
			return rc;
		tried += rc == ERR_DENIED;
	}
	if (!argon && argon_spend(password) == ERR_UNAVAILABLE)
		return ERR_UNAVAILABLE;
	return fail_with(ERR_DENIED, "wrong password");
}

struct span password_scram(struct span text, enum scram_hash hash)
{
	struct span line, stored;
	while (take_line(&text, &line))
		if (strip_prefix(line, scram_prefix[hash], &stored))
			return stored;
	return (struct span){ 0 };
}
