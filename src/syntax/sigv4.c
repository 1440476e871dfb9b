#include "sigv4.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "clock.h"

enum { HASH = SHA256_DIGEST_LENGTH, DAY = 8 };

static void hex(const unsigned char hash[static HASH], char out[static SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < HASH; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[2 * HASH] = 0;
}

void sigv4_sha256(struct span bytes, char out[static SHA256_HEX])
{
	unsigned char hash[HASH];
	SHA256((const unsigned char *)bytes.p, bytes.n, hash);
	hex(hash, out);
}

void sigv4_stamp(int64_t at, char out[static SIGV4_STAMP])
{
	time_t t = (time_t)(at / SECOND_US);
	struct tm tm;
	if (!gmtime_r(&t, &tm) || !strftime(out, SIGV4_STAMP, "%Y%m%dT%H%M%SZ", &tm))
		memcpy(out, "19700101T000000Z", SIGV4_STAMP);
}

/* RFC 3986: all but unreserved characters as %XX; a slash of a path stays. */
static void put_encoded(struct buffer *b, struct span s, bool path)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
			     c == '_' || c == '~' || (path && c == '/');
		if (plain)
			buffer_putc(b, (char)c);
		else
			buffer_printf(b, "%%%02X", c);
	}
}

struct encoded {
	struct span name, value;
};

static int span_order(struct span a, struct span b)
{
	int r = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
	return r ? r : (a.n > b.n) - (a.n < b.n);
}

/* By name, then by value, as they are encoded. */
static int encoded_order(const void *a, const void *b)
{
	const struct encoded *x = a, *y = b;
	int r = span_order(x->name, y->name);
	return r ? r : span_order(x->value, y->value);
}

static void put_query(struct buffer *out, const struct sigv4_request *r)
{
	struct encoded e[SIGV4_QUERY_MOST];
	struct buffer text = { 0 };
	size_t ends[2 * SIGV4_QUERY_MOST];
	assert(r->n_query <= SIGV4_QUERY_MOST);
	for (size_t i = 0; i < r->n_query; i++) {
		put_encoded(&text, r->query[i].name, false);
		ends[2 * i] = text.n;
		put_encoded(&text, r->query[i].value, false);
		ends[2 * i + 1] = text.n;
	}
	for (size_t i = 0, at = 0; i < r->n_query; at = ends[2 * i + 1], i++)
		e[i] = (struct encoded){ { text.p + at, ends[2 * i] - at }, { text.p + ends[2 * i], ends[2 * i + 1] - ends[2 * i] } };
	if (buffer_ok(&text) && r->n_query)
		qsort(e, r->n_query, sizeof *e, encoded_order);
	for (size_t i = 0; i < r->n_query && buffer_ok(&text); i++)
		buffer_printf(out, "%s%.*s=%.*s", i ? "&" : "", SPAN_ARG(e[i].name), SPAN_ARG(e[i].value));
	if (!buffer_ok(&text))
		out->failed = true;
	buffer_free(&text);
}

void sigv4_target(const struct sigv4_request *r, struct buffer *out)
{
	put_encoded(out, r->path, true);
	if (r->n_query)
		buffer_putc(out, '?');
	put_query(out, r);
}

static void put_names(const struct sigv4_request *r, struct buffer *out)
{
	for (size_t i = 0; i < r->n_headers; i++)
		buffer_printf(out, "%s%.*s", i ? ";" : "", SPAN_ARG(r->headers[i].name));
}

static void put_canonical(const struct sigv4_request *r, struct buffer *out)
{
	buffer_printf(out, "%s\n", r->method);
	put_encoded(out, r->path, true);
	buffer_putc(out, '\n');
	put_query(out, r);
	buffer_putc(out, '\n');
	for (size_t i = 0; i < r->n_headers; i++)
		buffer_printf(out, "%.*s:%.*s\n", SPAN_ARG(r->headers[i].name), SPAN_ARG(r->headers[i].value));
	buffer_putc(out, '\n');
	put_names(r, out);
	buffer_printf(out, "\n%s", r->payload);
}

static void mac(unsigned char key[static HASH], const char *text, size_t n)
{
	unsigned char out[HASH];
	HMAC(EVP_sha256(), key, HASH, (const unsigned char *)text, n, out, NULL);
	memcpy(key, out, HASH);
}

/* The secret, bound to day, region and service. */
static void signing_key(unsigned char key[static HASH], const char *secret, const char *region, const char *service,
	const char *stamp)
{
	struct buffer first = { 0 };
	buffer_printf(&first, "AWS4%s", secret);
	HMAC(EVP_sha256(), first.p, (int)first.n, (const unsigned char *)stamp, DAY, key, NULL);
	OPENSSL_cleanse(first.p, first.n);
	buffer_free(&first);
	mac(key, region, strlen(region));
	mac(key, service, strlen(service));
	mac(key, "aws4_request", strlen("aws4_request"));
}

void sigv4_authorize(const struct sigv4_request *r, const struct sigv4_keys *keys, const char *region, const char *service,
	const char *stamp, struct buffer *out)
{
	struct buffer text = { 0 };
	unsigned char key[HASH];
	char hash[SHA256_HEX];
	put_canonical(r, &text);
	sigv4_sha256(buffer_span(&text), hash);
	if (!buffer_ok(&text))
		out->failed = true;
	buffer_reset(&text);
	buffer_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.*s/%s/%s/aws4_request\n%s", stamp, DAY, stamp, region, service, hash);
	signing_key(key, keys->secret, region, service, stamp);
	mac(key, text.p, text.n);
	hex(key, hash);
	buffer_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%.*s/%s/%s/aws4_request, SignedHeaders=", keys->access, DAY, stamp, region,
		service);
	put_names(r, out);
	buffer_printf(out, ", Signature=%s", hash);
	buffer_free(&text);
}
