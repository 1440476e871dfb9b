#include "scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "fail.h"
#include "strict_base64.h"

struct keys {
	unsigned char salted[EVP_MAX_MD_SIZE], client[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE], server[EVP_MAX_MD_SIZE];
	unsigned n;
};

/* RFC 5802, section 3. */
static bool derive(const EVP_MD *md, struct span password, struct span salt, unsigned iterations, struct keys *k)
{
	k->n = (unsigned)EVP_MD_get_size(md);
	return PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n, (int)iterations,
		       md, (int)k->n, k->salted) &&
		HMAC(md, k->salted, (int)k->n, (const unsigned char *)"Client Key", 10, k->client, NULL) &&
		EVP_Digest(k->client, k->n, k->stored, NULL, md, NULL) &&
		HMAC(md, k->salted, (int)k->n, (const unsigned char *)"Server Key", 10, k->server, NULL);
}

int scram_verifier(enum scram_hash hash, struct span password, struct span salt, unsigned iterations, struct buffer *out)
{
	struct keys k;
	bool made = derive(hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256(), password, salt, iterations, &k);
	if (made) {
		buffer_put_u64(out, iterations);
		buffer_putc(out, '$');
		base64_strict_put(out, salt);
		buffer_putc(out, '$');
		base64_strict_put(out, span_from(k.stored, k.n));
		buffer_putc(out, '$');
		base64_strict_put(out, span_from(k.server, k.n));
	}
	OPENSSL_cleanse(&k, sizeof k);
	return made ? OK : fail_with(ERR_UNAVAILABLE, "SCRAM verifier: no memory");
}
