#include "password.h"

#include <argon2.h>
#include <stdio.h>
#include <sys/random.h>

#include "fail.h"
#include "imported.h"
#include "scram.h"

enum {
	ARGON_KIB = 19456, ARGON_PASSES = 2, ARGON_LANES = 1,
	ARGON_MAX_KIB = 65536, ARGON_MAX_PASSES = 16, ARGON_MAX_LANES = 4, /* of hashes brought along */
	ARGON_SALT = 16, ARGON_HASH = 32, ARGON_TEXT = 256,
	SCRAM_ITERATIONS = 4096,
	LINES_MAX = 8, /* verifiers tried for one password */
};

/* Costs what a real one costs; nobody's password, as its result is never looked at. */
#define DUMMY "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* So few bytes come whole or not at all. */
static int random_bytes(unsigned char *p, size_t n)
{
	return getrandom(p, n, 0) == (ssize_t)n ? OK : fail_errno("getrandom", "");
}

static int put_argon2id(struct span password, struct buffer *out)
{
	unsigned char salt[ARGON_SALT];
	char text[ARGON_TEXT];
	int rc = random_bytes(salt, sizeof salt);
	if (rc)
		return rc;
	rc = argon2id_hash_encoded(ARGON_PASSES, ARGON_KIB, ARGON_LANES, password.p, password.n, salt, sizeof salt,
		ARGON_HASH, text, sizeof text);
	if (rc != ARGON2_OK)
		return fail_with(ERR_UNAVAILABLE, "argon2id: %s", argon2_error_message(rc));
	buffer_printf(out, "argon2id=%s\n", text);
	return OK;
}

static int put_scram(const char *name, enum scram_hash hash, struct span password, struct buffer *out)
{
	unsigned char salt[16];
	int rc = random_bytes(salt, sizeof salt);
	if (rc)
		return rc;
	buffer_printf(out, "%s=", name);
	rc = scram_verifier(hash, password, span_from(salt, sizeof salt), SCRAM_ITERATIONS, out);
	buffer_putc(out, '\n');
	return rc;
}

static int put_all(struct span password, struct buffer *out)
{
	int rc = put_argon2id(password, out);
	if (!rc)
		rc = put_scram("scram-sha-256", SCRAM_SHA256, password, out);
	if (!rc)
		rc = put_scram("scram-sha-1", SCRAM_SHA1, password, out);
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

static int argon_check(const char *encoded, struct span password)
{
	int rc = argon2_verify(encoded, password.p, password.n, Argon2_id);
	if (rc == ARGON2_MEMORY_ALLOCATION_ERROR || rc == ARGON2_THREAD_FAIL)
		return fail_with(ERR_UNAVAILABLE, "argon2id: %s", argon2_error_message(rc));
	return rc == ARGON2_OK ? OK : ERR_DENIED;
}

/* ERR_INVALID when it is no hash, or one that costs too much: nothing was computed then. */
static int argon_verify(struct span stored, struct span password)
{
	char encoded[ARGON_TEXT];
	unsigned kib, passes, lanes;
	if (stored.n >= sizeof encoded || span_find(stored, 0) >= 0)
		return ERR_INVALID;
	memcpy(encoded, stored.p, stored.n);
	encoded[stored.n] = 0;
	if (sscanf(encoded, "$argon2id$v=19$m=%9u,t=%9u,p=%9u$", &kib, &passes, &lanes) != 3)
		return ERR_INVALID;
	if (kib > ARGON_MAX_KIB || passes > ARGON_MAX_PASSES || lanes > ARGON_MAX_LANES)
		return ERR_INVALID;
	return argon_check(encoded, password);
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
	if (!argon && argon_check(DUMMY, password) == ERR_UNAVAILABLE)
		return ERR_UNAVAILABLE;
	return fail_with(ERR_DENIED, "wrong password");
}
