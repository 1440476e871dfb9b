#include "imported.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "fail.h"
#include "password.h"
#include "strict_base64.h"

struct scheme {
	const char *name;
	int (*verify)(const struct scheme *s, struct span stored, struct span password);
	const EVP_MD *(*digest)(void);
	bool salted;
};

enum { CRYPT_STORED_MAX = 128, CRYPT_ROUNDS_MAX = 500000, BCRYPT_COST_MAX = 14, DES_CRYPT = 13, STORED_MAX = 256 };

static bool crypt_bcrypt_ok(struct span rest)
{
	uint64_t cost;
	return rest.n > 3 && rest.p[2] == '$' && span_u64(span_sub(rest, 0, 2), BCRYPT_COST_MAX, &cost);
}

static bool crypt_sha_ok(struct span rest)
{
	uint64_t rounds;
	if (!span_istarts(rest, SPAN("rounds=")))
		return true;
	rest = span_sub(rest, 7, rest.n);
	ssize_t end = span_find(rest, '$');
	return end > 0 && span_u64(span_sub(rest, 0, (size_t)end), CRYPT_ROUNDS_MAX, &rounds);
}

/* crypt(3) does whatever its setting asks for, hours of it if need be; these are the settings it is asked with. */
static bool crypt_affordable(struct span stored)
{
	static const struct {
		struct span prefix;
		bool (*ok)(struct span rest);
	} kinds[] = {
		{ SPAN("$6$"), crypt_sha_ok }, { SPAN("$5$"), crypt_sha_ok }, { SPAN("$2a$"), crypt_bcrypt_ok },
		{ SPAN("$2b$"), crypt_bcrypt_ok }, { SPAN("$2y$"), crypt_bcrypt_ok }, { SPAN("$y$j9T$"), NULL }, { SPAN("$1$"), NULL },
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = kinds[i].prefix.n;
		if (span_eq(span_sub(stored, 0, n), kinds[i].prefix))
			return !kinds[i].ok || kinds[i].ok(span_sub(stored, n, stored.n));
	}
	return stored.n == DES_CRYPT && span_find(stored, '$') < 0 && span_find(stored, '*') < 0;
}

static int same(struct span a, struct span b)
{
	return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0 ? OK : ERR_DENIED;
}

struct crypt_call {
	char password[PASSWORD_MAX + 1], stored[CRYPT_STORED_MAX + 1];
	struct crypt_data data;
};

static int verify_crypt(const struct scheme *s, struct span stored, struct span password)
{
	if (stored.n > CRYPT_STORED_MAX || span_find(stored, 0) >= 0 || !crypt_affordable(stored))
		return ERR_INVALID;
	struct crypt_call *c = calloc(1, sizeof *c);
	if (!c)
		return fail_with(ERR_UNAVAILABLE, "crypt: no memory");
	memcpy(c->stored, stored.p, stored.n);
	if (password.n)
		memcpy(c->password, password.p, password.n);
	/* Not crypt_r: the sanitizers put a broken one in its place. */
	const char *made = crypt_rn(c->password, c->stored, &c->data, sizeof c->data);
	int rc = made ? same(span_of(made), stored) : ERR_DENIED;
	OPENSSL_cleanse(c, sizeof *c);
	free(c);
	return rc;
}

static bool digest(const EVP_MD *md, struct span a, struct span b, unsigned char *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx && EVP_DigestInit_ex(ctx, md, NULL) && EVP_DigestUpdate(ctx, a.p, a.n) &&
		EVP_DigestUpdate(ctx, b.p, b.n) && EVP_DigestFinal_ex(ctx, out, NULL);
	EVP_MD_CTX_free(ctx);
	return done;
}

static int verify_digest(const struct scheme *s, struct span stored, struct span password)
{
	char raw[STORED_MAX];
	unsigned char made[EVP_MAX_MD_SIZE];
	size_t n, size = (size_t)EVP_MD_get_size(s->digest());
	if (base64_strict_get(stored, raw, sizeof raw, &n) || n < size || (n > size) != s->salted)
		return ERR_INVALID;
	if (!digest(s->digest(), password, span_from(raw + size, n - size), made))
		return fail_with(ERR_UNAVAILABLE, "%s: no memory", s->name);
	return same(span_from(raw, size), span_from(made, size));
}

/* Compared by their digests, so that the time does not depend on the length. */
static int verify_plain(const struct scheme *s, struct span stored, struct span password)
{
	unsigned char a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];
	struct span none = { "", 0 };
	if (stored.n == 0)
		return ERR_INVALID;
	if (!digest(EVP_sha256(), stored, none, a) || !digest(EVP_sha256(), password, none, b))
		return fail_with(ERR_UNAVAILABLE, "PLAIN: no memory");
	return same(span_from(a, 32), span_from(b, 32));
}

static const struct scheme schemes[] = {
	{ "CRYPT", verify_crypt },
	{ "SHA512-CRYPT", verify_crypt },
	{ "SHA256-CRYPT", verify_crypt },
	{ "BLF-CRYPT", verify_crypt },
	{ "SSHA", verify_digest, EVP_sha1, true },
	{ "SHA256", verify_digest, EVP_sha256, false },
	{ "SSHA256", verify_digest, EVP_sha256, true },
	{ "SSHA512", verify_digest, EVP_sha512, true },
	{ "PLAIN", verify_plain },
};

int imported_verify(struct span line, struct span password)
{
	ssize_t end = line.n && line.p[0] == '{' ? span_find(line, '}') : -1;
	if (end < 0)
		return ERR_INVALID;
	struct span name = span_sub(line, 1, (size_t)end - 1), stored = span_sub(line, (size_t)end + 1, line.n);
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (span_ieq(name, span_of(schemes[i].name)))
			return schemes[i].verify(&schemes[i], stored, password);
	return ERR_INVALID;
}
