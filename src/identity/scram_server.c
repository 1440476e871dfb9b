#include "scram_server.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "fail.h"
#include "strict_base64.h"

enum { GS2_MAX = 2 * ADDRESS_MAX };

static const EVP_MD *digest(const struct scram *s)
{
	return s->hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
}

static size_t key_size(const struct scram *s)
{
	return (size_t)EVP_MD_get_size(digest(s));
}

static int bad(const char *what)
{
	return fail_with(ERR_INVALID, "SCRAM: %s", what);
}

/* Takes what stands before the next comma off *rest, with the comma. */
static struct span field(struct span *rest)
{
	ssize_t comma = span_find(*rest, ',');
	struct span f = span_sub(*rest, 0, comma < 0 ? rest->n : (size_t)comma);
	*rest = span_sub(*rest, f.n + (comma >= 0), rest->n);
	return f;
}

/* Takes the attribute of that name off *rest. */
static bool attribute(struct span *rest, char name, struct span *value)
{
	if (rest->n < 2 || rest->p[0] != name || rest->p[1] != '=')
		return false;
	struct span f = field(rest);
	*value = span_sub(f, 2, f.n);
	return true;
}

/* saslname: a comma is =2C, an equals sign =3D. */
static bool take_name(struct span in, char out[ADDRESS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < in.n && n + 1 < ADDRESS_MAX; i++) {
		char c = in.p[i];
		if (c == 0)
			return false;
		if (c == '=') {
			struct span code = span_sub(in, i + 1, 2);
			if (!span_eq(code, SPAN("2C")) && !span_eq(code, SPAN("3D")))
				return false;
			c = code.p[0] == '2' ? ',' : '=';
			i += 2;
		}
		out[n++] = c;
		out[n] = 0;
	}
	return n > 0 && in.n < GS2_MAX && n + 1 < ADDRESS_MAX;
}

static bool is_nonce(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == ',')
			return false;
	return s.n > 0 && s.n <= SCRAM_NONCE_MAX;
}

static bool choose_binding(struct scram *s, struct span kind, const struct scram_channel *ch)
{
	if (span_eq(kind, SPAN("tls-exporter")))
		s->binding = span_from(ch->exporter.bytes, ch->exporter.n);
	else if (span_eq(kind, SPAN("tls-server-end-point")))
		s->binding = span_from(ch->end_point.bytes, ch->end_point.n);
	return s->binding.n > 0;
}

/* gs2-cbind-flag: "n" it cannot, "y" it could but was not offered any, "p=..." it does. */
static int take_flag(struct scram *s, struct span flag, bool plus, const struct scram_channel *ch)
{
	bool offered = ch->exporter.n || ch->end_point.n;
	if (plus != (flag.n > 2 && flag.p[0] == 'p' && flag.p[1] == '='))
		return bad("the mechanism and the flag of channel binding differ");
	if (plus)
		return choose_binding(s, span_sub(flag, 2, flag.n), ch) ? OK : bad("this kind of channel binding is not offered");
	if (span_eq(flag, SPAN("y")))
		return offered ? bad("channel binding is offered here, and the client was told otherwise") : OK;
	return span_eq(flag, SPAN("n")) ? OK : bad("a flag of channel binding was expected");
}

int scram_first(struct scram *s, enum scram_hash hash, bool plus, const struct scram_channel *ch, struct span message)
{
	struct span rest = message, authorize, user;
	*s = (struct scram){ .hash = hash };
	int e = take_flag(s, field(&rest), plus, ch);
	if (e)
		return e;
	struct span a = field(&rest);
	if (a.n && (!attribute(&a, 'a', &authorize) || !take_name(authorize, s->authorize)))
		return bad("bad authorization identity");
	s->bare = rest;
	s->header = span_sub(message, 0, message.n - rest.n);
	if (!attribute(&rest, 'n', &user) || !take_name(user, s->user))
		return bad("bad user name");
	if (!attribute(&rest, 'r', &s->client_nonce) || !is_nonce(s->client_nonce))
		return bad("bad nonce");
	return OK;
}

static bool take_key(struct scram *s, struct span text, unsigned char *out)
{
	size_t n;
	return base64_strict_get(text, (char *)out, SCRAM_KEY_MAX, &n) == OK && n == key_size(s);
}

/* The part of "a$b$c" before the next "$". */
static struct span part(struct span *rest)
{
	ssize_t end = span_find(*rest, '$');
	struct span p = span_sub(*rest, 0, end < 0 ? rest->n : (size_t)end);
	*rest = span_sub(*rest, p.n + (end >= 0), rest->n);
	return p;
}

int scram_challenge(struct scram *s, struct span verifier, struct span nonce)
{
	struct span iterations = part(&verifier), salt = part(&verifier);
	uint64_t n;
	if (!span_u64(iterations, UINT32_MAX, &n) || !salt.n || !take_key(s, part(&verifier), s->stored) ||
	    !take_key(s, part(&verifier), s->server))
		return fail_with(ERR_CORRUPT, "a SCRAM verifier is damaged");
	int w = snprintf(s->first, sizeof s->first, "r=%.*s%.*s,s=%.*s,i=%llu", SPAN_ARG(s->client_nonce), SPAN_ARG(nonce), SPAN_ARG(salt),
	                 (unsigned long long)n);
	if (w < 0 || (size_t)w >= sizeof s->first)
		return fail_with(ERR_CORRUPT, "a SCRAM verifier is too long");
	s->first_n = (size_t)w;
	s->nonce_at = 2;
	s->nonce_n = s->client_nonce.n + nonce.n;
	memcpy(s->reply, s->first, s->first_n);
	s->reply_n = s->first_n;
	return OK;
}

/* c=: the header again, and the channel as the client sees it. */
static int check_channel(const struct scram *s, struct span value)
{
	char sent[GS2_MAX + SCRAM_BINDING_MAX];
	size_t n;
	if (base64_strict_get(value, sent, sizeof sent, &n))
		return bad("bad channel binding");
	struct span header = span_from(sent, n < s->header.n ? n : s->header.n), binding = span_from(sent + header.n, n - header.n);
	if (span_eq(header, s->header) && span_eq(binding, s->binding))
		return OK;
	return fail_with(ERR_DENIED, "SCRAM: the client speaks over another channel");
}

static bool sign(const struct scram *s, const unsigned char *key, struct span text, unsigned char *out)
{
	unsigned n;
	return HMAC(digest(s), key, (int)key_size(s), (const unsigned char *)text.p, text.n, out, &n) != NULL;
}

/* H(ClientProof XOR HMAC(StoredKey, AuthMessage)) is StoredKey. */
static int check_proof(const struct scram *s, struct span auth, const unsigned char *proof)
{
	unsigned char signature[EVP_MAX_MD_SIZE], key[EVP_MAX_MD_SIZE], stored[EVP_MAX_MD_SIZE];
	size_t n = key_size(s);
	bool done = sign(s, s->stored, auth, signature);
	for (size_t i = 0; done && i < n; i++)
		key[i] = proof[i] ^ signature[i];
	done = done && EVP_Digest(key, n, stored, NULL, digest(s), NULL);
	int e = !done ? fail_with(ERR_UNAVAILABLE, "SCRAM: no memory")
		: CRYPTO_memcmp(stored, s->stored, n) ? fail_with(ERR_DENIED, "wrong password") : OK;
	OPENSSL_cleanse(key, sizeof key);
	return e;
}

static int prove(struct scram *s, struct span auth)
{
	unsigned char signature[EVP_MAX_MD_SIZE];
	struct buffer b = { 0 };
	if (!sign(s, s->server, auth, signature))
		return fail_with(ERR_UNAVAILABLE, "SCRAM: no memory");
	buffer_puts(&b, "v=");
	base64_strict_put(&b, span_from(signature, key_size(s)));
	bool ok = buffer_ok(&b) && b.n <= sizeof s->reply;
	if (ok)
		memcpy(s->reply, b.p, s->reply_n = b.n);
	buffer_free(&b);
	return ok ? OK : fail_with(ERR_UNAVAILABLE, "SCRAM: no memory");
}

int scram_final(struct scram *s, struct span message)
{
	struct span rest = message, channel, nonce, proof = { 0 };
	unsigned char bytes[SCRAM_KEY_MAX];
	struct buffer auth = { 0 };
	size_t n;
	if (!attribute(&rest, 'c', &channel) || !attribute(&rest, 'r', &nonce))
		return bad("channel binding and nonce were expected");
	while (rest.n && !attribute(&rest, 'p', &proof)) /* extensions */
		field(&rest);
	if (rest.n || base64_strict_get(proof, (char *)bytes, sizeof bytes, &n) || n != key_size(s))
		return bad("bad proof");
	if (!span_eq(nonce, span_from(s->first + s->nonce_at, s->nonce_n)))
		return fail_with(ERR_DENIED, "SCRAM: the nonce is not ours");
	int e = check_channel(s, channel);
	if (e)
		return e;
	buffer_put_span(&auth, s->bare);
	buffer_putc(&auth, ',');
	buffer_put_span(&auth, span_from(s->first, s->first_n));
	buffer_putc(&auth, ',');
	buffer_put_span(&auth, span_sub(message, 0, (size_t)(proof.p - message.p) - 3));
	if (!buffer_ok(&auth))
		e = fail_with(ERR_UNAVAILABLE, "SCRAM: no memory");
	if (!e)
		e = check_proof(s, buffer_span(&auth), bytes);
	if (!e)
		e = prove(s, buffer_span(&auth));
	buffer_free(&auth);
	return e;
}
