#include "argon.h"

#include <argon2.h>
#include <assert.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "fail.h"
#include "password.h"
#include "strict_base64.h"

enum {
	KIB = 19456, PASSES = 2, LANES = 1, SALT = 16, HASH = 32,
	MAX_KIB = 65536, MAX_PASSES = 16, MAX_LANES = 4, MAX_BYTES = 64, /* of hashes brought along */
	MIN_SALT = 8, MIN_HASH = 16,
};

struct hash {
	unsigned kib, passes, lanes;
	size_t salt_n, hash_n;
	char salt[MAX_BYTES], hash[MAX_BYTES];
};

static int map_memory(uint8_t **memory, size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		return ARGON2_MEMORY_ALLOCATION_ERROR;
	*memory = p;
	return ARGON2_OK;
}

static void unmap_memory(uint8_t *memory, size_t n)
{
	munmap(memory, n);
}

/* Computes h->hash_n bytes of hash from the rest of h. The library wants what it only reads to be writable. */
static int compute(const struct hash *h, struct span password, char out[MAX_BYTES])
{
	char secret[PASSWORD_MAX], salt[MAX_BYTES];
	argon2_context c = {
		.out = (uint8_t *)out, .outlen = (uint32_t)h->hash_n, .pwd = (uint8_t *)secret, .pwdlen = (uint32_t)password.n,
		.salt = (uint8_t *)salt, .saltlen = (uint32_t)h->salt_n, .t_cost = h->passes, .m_cost = h->kib, .lanes = h->lanes,
		.threads = h->lanes, .version = ARGON2_VERSION_13, .allocate_cbk = map_memory, .free_cbk = unmap_memory,
	};
	assert(password.n <= sizeof secret);
	if (password.n)
		memcpy(secret, password.p, password.n);
	memcpy(salt, h->salt, h->salt_n);
	int rc = argon2_ctx(&c, Argon2_id);
	OPENSSL_cleanse(secret, sizeof secret);
	if (rc == ARGON2_MEMORY_ALLOCATION_ERROR || rc == ARGON2_THREAD_FAIL)
		return fail_with(ERR_UNAVAILABLE, "argon2id: %s", argon2_error_message(rc));
	return rc == ARGON2_OK ? OK : fail_with(ERR_INVALID, "argon2id: %s", argon2_error_message(rc));
}

static void put_unpadded(struct buffer *out, struct span raw)
{
	base64_strict_put(out, raw);
	while (out->n && out->p[out->n - 1] == '=')
		out->n--;
}

int argon_make(struct span password, struct buffer *out)
{
	struct hash h = { .kib = KIB, .passes = PASSES, .lanes = LANES, .salt_n = SALT, .hash_n = HASH };
	if (getrandom(h.salt, h.salt_n, 0) != (ssize_t)h.salt_n)
		return fail_errno("getrandom", "");
	int rc = compute(&h, password, h.hash);
	if (rc)
		return rc;
	buffer_printf(out, "$argon2id$v=19$m=%u,t=%u,p=%u$", h.kib, h.passes, h.lanes);
	put_unpadded(out, span_from(h.salt, h.salt_n));
	buffer_putc(out, '$');
	put_unpadded(out, span_from(h.hash, h.hash_n));
	return OK;
}

static bool get_unpadded(struct span text, char out[MAX_BYTES], size_t *n)
{
	char padded[MAX_BYTES * 2];
	if (text.n + 3 > sizeof padded || span_find(text, '=') >= 0)
		return false;
	memset(padded, '=', sizeof padded);
	memcpy(padded, text.p, text.n);
	return base64_strict_get(span_from(padded, (text.n + 3) / 4 * 4), out, MAX_BYTES, n) == OK;
}

/* Takes "name=number" and the byte that ends it off the front. */
static bool take_number(struct span *s, struct span name, char end, unsigned max, unsigned *out)
{
	uint64_t v;
	ssize_t at = span_find(*s, end);
	if (at < 0 || !span_istarts(*s, name))
		return false;
	if (!span_u64(span_sub(*s, name.n, (size_t)at - name.n), max, &v) || v == 0)
		return false;
	*out = (unsigned)v;
	*s = span_sub(*s, (size_t)at + 1, s->n);
	return true;
}

static bool parse(struct span s, struct hash *h)
{
	const struct span front = SPAN("$argon2id$v=19$");
	if (!span_eq(span_sub(s, 0, front.n), front))
		return false;
	s = span_sub(s, front.n, s.n);
	if (!take_number(&s, SPAN("m="), ',', MAX_KIB, &h->kib) || !take_number(&s, SPAN("t="), ',', MAX_PASSES, &h->passes) ||
			!take_number(&s, SPAN("p="), '$', MAX_LANES, &h->lanes))
		return false;
	ssize_t middle = span_find(s, '$');
	return middle > 0 && get_unpadded(span_sub(s, 0, (size_t)middle), h->salt, &h->salt_n) &&
		get_unpadded(span_sub(s, (size_t)middle + 1, s.n), h->hash, &h->hash_n) && h->salt_n >= MIN_SALT &&
		h->hash_n >= MIN_HASH;
}

int argon_verify(struct span encoded, struct span password)
{
	struct hash h;
	char made[MAX_BYTES];
	if (!parse(encoded, &h))
		return ERR_INVALID;
	int rc = compute(&h, password, made);
	if (rc)
		return rc;
	return CRYPTO_memcmp(made, h.hash, h.hash_n) == 0 ? OK : ERR_DENIED;
}

int argon_spend(struct span password)
{
	struct hash h = { .kib = KIB, .passes = PASSES, .lanes = LANES, .salt_n = SALT, .hash_n = HASH };
	return compute(&h, password, h.hash);
}
