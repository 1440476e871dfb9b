#include "datagram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "change.h"
#include "fail.h"
#include "mint.h"
#include "varint.h"

enum { MAGIC = 4, HEADER = MAGIC + 2 + 4 + 8, MAC = 16, NAMED = sizeof((struct touched *)0)->collections / sizeof(int64_t), ALL };

static const char magic[MAGIC] = { 'P', 'D', 'L', '1' };

static void put_number(char *to, size_t n, uint64_t v)
{
	while (n--) {
		to[n] = (char)(v & 0xff);
		v >>= 8;
	}
}

static uint64_t get_number(const char *p, size_t n)
{
	uint64_t v = 0;
	for (size_t i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

bool datagram_add(struct datagram *d, const struct touched *t)
{
	char room[10 * (3 + NAMED)];
	struct buffer b = { .p = room, .cap = sizeof room, .limit = sizeof room };
	varint_put(&b, (uint64_t)t->account);
	varint_put(&b, (uint64_t)t->change);
	varint_put(&b, t->n > NAMED ? ALL : t->n);
	for (size_t i = 0; t->n <= NAMED && i < t->n; i++)
		varint_put(&b, (uint64_t)t->collections[i]);
	size_t at = d->n ? d->n : HEADER;
	if (at + b.n + MAC > sizeof d->bytes)
		return false;
	memcpy(d->bytes + at, b.p, b.n);
	d->n = at + b.n;
	d->notices++;
	return true;
}

static void mac(const unsigned char key[LINK_KEY], struct span of, unsigned char out[EVP_MAX_MD_SIZE])
{
	unsigned n;
	HMAC(EVP_sha256(), key, LINK_KEY, (const unsigned char *)of.p, of.n, out, &n);
}

void datagram_seal(struct datagram *d, const struct datagram_sender *from, const unsigned char key[LINK_KEY])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	memcpy(d->bytes, magic, MAGIC);
	put_number(d->bytes + MAGIC, 2, (uint64_t)from->node);
	put_number(d->bytes + MAGIC + 2, 4, (uint64_t)from->epoch);
	put_number(d->bytes + MAGIC + 6, 8, from->sequence);
	mac(key, span_from(d->bytes, d->n), sum);
	memcpy(d->bytes + d->n, sum, MAC);
	d->n += MAC;
}

int datagram_open(struct span bytes, const unsigned char key[LINK_KEY], struct datagram_sender *from, struct span *notices)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	if (bytes.n < HEADER + MAC || memcmp(bytes.p, magic, MAGIC))
		return fail_with(ERR_DENIED, "no datagram of a node");
	mac(key, span_sub(bytes, 0, bytes.n - MAC), sum);
	struct datagram_sender s = { (int64_t)get_number(bytes.p + MAGIC, 2), (int64_t)get_number(bytes.p + MAGIC + 2, 4),
		get_number(bytes.p + MAGIC + 6, 8) };
	if (CRYPTO_memcmp(sum, bytes.p + bytes.n - MAC, MAC) || s.node >= MINT_NODES)
		return fail_with(ERR_DENIED, "a datagram under another key");
	*from = s;
	*notices = span_sub(bytes, HEADER, bytes.n - HEADER - MAC);
	return OK;
}

static bool get_id(struct span *in, int64_t *out)
{
	uint64_t v;
	if (!varint_get(in, &v) || v > INT64_MAX)
		return false;
	*out = (int64_t)v;
	return true;
}

int datagram_next(struct span *notices, struct touched *t)
{
	struct touched got = { 0 };
	uint64_t n;
	if (!notices->n)
		return 0;
	bool good = get_id(notices, &got.account) && get_id(notices, &got.change) && varint_get(notices, &n) && n <= ALL;
	for (size_t i = 0; good && n != ALL && i < n; i++)
		good = get_id(notices, &got.collections[i]);
	if (!good)
		return fail_with(ERR_INVALID, "a notice that makes no sense");
	got.n = (size_t)n;
	*t = got;
	return 1;
}

bool datagram_fresh(struct datagram_window *w, const struct datagram_sender *from)
{
	if (from->epoch > w->epoch) {
		*w = (struct datagram_window){ from->epoch, from->sequence, 1 };
		return true;
	}
	if (from->epoch < w->epoch)
		return false;
	if (from->sequence > w->top) {
		uint64_t by = from->sequence - w->top;
		w->seen = (by < 64 ? w->seen << by : 0) | 1;
		w->top = from->sequence;
		return true;
	}
	uint64_t back = w->top - from->sequence;
	if (back >= 64 || (w->seen >> back & 1))
		return false;
	w->seen |= UINT64_C(1) << back;
	return true;
}
