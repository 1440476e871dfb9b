#include "tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "log.h"
#include "tls_private.h"

/* Forward secrecy and authenticated encryption only. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"

struct tls_set {
	atomic_int users;
	size_t n;
	SSL_CTX *of[]; /* one for each certificate, the default first */
};

struct tls {
	pthread_mutex_t lock;
	struct tls_set *set; /* NULL: none */
};

/* ---- Sets */

void tls_set_release(struct tls_set *s)
{
	if (!s || atomic_fetch_sub(&s->users, 1) != 1)
		return;
	for (size_t i = 0; i < s->n; i++)
		SSL_CTX_free(s->of[i]);
	free(s);
}

static struct tls_set *hold(struct tls *t)
{
	pthread_mutex_lock(&t->lock);
	struct tls_set *s = t->set;
	if (s)
		atomic_fetch_add(&s->users, 1);
	pthread_mutex_unlock(&t->lock);
	return s;
}

bool tls_ready(struct tls *t)
{
	pthread_mutex_lock(&t->lock);
	bool ready = t->set != NULL;
	pthread_mutex_unlock(&t->lock);
	return ready;
}

SSL *tls_session(struct tls *t, struct tls_set **set)
{
	struct tls_set *s = hold(t);
	SSL *ssl = s ? SSL_new(s->of[0]) : NULL;
	if (ssl)
		*set = s;
	else
		tls_set_release(s);
	return ssl;
}

/* ---- What a client asks for */

static SSL_CTX *find_name(const struct tls_set *s, const char *name, unsigned flags)
{
	for (size_t i = 0; i < s->n; i++)
		if (X509_check_host(SSL_CTX_get0_certificate(s->of[i]), name, 0, flags, NULL) == 1)
			return s->of[i];
	return NULL;
}

static int choose_certificate(SSL *ssl, int *alert, void *arg)
{
	const struct tls_set *s = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *found = NULL;
	if (name && s->n > 1) {
		found = find_name(s, name, X509_CHECK_FLAG_NO_WILDCARDS);
		found = found ? found : find_name(s, name, 0);
	}
	if (found)
		SSL_set_SSL_CTX(ssl, found);
	return SSL_TLSEXT_ERR_OK;
}

/* A client that thinks it speaks to something else is told so, before it says anything (RFC 7301). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned n,
                           void *arg)
{
	const struct conn *c = SSL_get_app_data(ssl);
	struct span ours = span_of(c->protocol->name);
	for (unsigned i = 0; i < n && in[i] <= n - i - 1; i += in[i] + 1U)
		if (span_eq(ours, span_from(in + i + 1, in[i]))) {
			*out = in + i + 1;
			*out_n = in[i];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- Certificates */

/* A key with a passphrase is refused: there is nobody to ask. */
static int no_passphrase(char *buf, int size, int writing, void *arg)
{
	return -1;
}

/* The reason OpenSSL gives, in its words. */
static int bad_file(const char *path, const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *why = ERR_reason_error_string(e); /* the first: those behind it say less */
	if (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
		why = "there is none in PEM form";
	if (access(path, R_OK))
		why = strerror(errno);
	return fail_with(ERR_INVALID, "%s: no %s can be read: %s", path, what, why ? why : "unknown");
}

static SSL_CTX *new_context(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	if (!ctx)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* the client keeps it, in its ticket */
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (SSL_CTX_set_cipher_list(ctx, CIPHERS))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* An old certificate is better than none: served, and said. */
static void log_certificate(const char *path, const X509 *x)
{
	char names[256], text[512], until[32] = "?";
	struct tm tm;
	bool expired = X509_cmp_current_time(X509_get0_notAfter(x)) < 0;
	bool early = X509_cmp_current_time(X509_get0_notBefore(x)) > 0;
	X509_NAME_oneline(X509_get_subject_name(x), names, sizeof names);
	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm))
		strftime(until, sizeof until, "%Y-%m-%dT%H:%M:%SZ", &tm);
	log_line(expired || early ? LOG_WARN : LOG_INFO, "tls-certificate", "file=\"%s\" subject=%s until=%s%s", path,
	         log_quote(text, sizeof text, span_of(names)), until, expired ? " expired" : early ? " not-yet-valid" : "");
}

static int load_pair(SSL_CTX *ctx, const char *cert, const char *key)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return bad_file(cert, "certificate");
	/* Kept apart from the next step, in which OpenSSL would drop a certificate that does not fit. */
	const X509 *x = SSL_CTX_get0_certificate(ctx);
	BIO *file = BIO_new_file(key, "r");
	EVP_PKEY *pkey = file ? PEM_read_bio_PrivateKey(file, NULL, no_passphrase, NULL) : NULL;
	BIO_free(file);
	if (!pkey)
		return bad_file(key, "private key");
	bool fits = X509_check_private_key(x, pkey) == 1;
	int r = OK;
	if (!fits)
		r = fail_with(ERR_INVALID, "%s: this key does not belong to the certificate in %s", key, cert);
	else if (SSL_CTX_use_PrivateKey(ctx, pkey) != 1)
		r = bad_file(key, "usable key");
	else
		log_certificate(cert, x);
	EVP_PKEY_free(pkey);
	return r;
}

/* ---- The lists of the options */

struct files {
	size_t n;
	char *of[TLS_PAIRS_MAX];
};

static void free_files(struct files *f)
{
	while (f->n)
		free(f->of[--f->n]);
}

static int add_file(struct files *f, struct span name, const char *dir)
{
	char path[PATH_MAX];
	if (f->n == TLS_PAIRS_MAX)
		return fail_with(ERR_INVALID, "more than %d certificates", TLS_PAIRS_MAX);
	bool absolute = name.p[0] == '/';
	int n = snprintf(path, sizeof path, "%s%s%.*s", absolute ? "" : dir, absolute ? "" : "/", SPAN_ARG(name));
	if (n >= (int)sizeof path)
		return fail_with(ERR_INVALID, "%.*s: name too long", SPAN_ARG(name));
	f->of[f->n++] = span_dup(span_of(path));
	return OK;
}

static bool separates(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

static int split(struct span list, const char *dir, struct files *f)
{
	int r = OK;
	for (size_t i = 0, from; i < list.n && !r; i++) {
		for (from = i; i < list.n && !separates(list.p[i]); i++)
			;
		if (i > from)
			r = add_file(f, span_sub(list, from, i - from), dir);
	}
	return r;
}

/* ---- Certificates of clients */

static bool has_revocations(X509_STORE *store)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++)
		if (X509_OBJECT_get_type(sk_X509_OBJECT_value(all, i)) == X509_LU_CRL)
			return true;
	return false;
}

/* Adopts both. A ticket brings back the certificate it was given for, and falls with this context's keys at the next load. */
static void ask_for_certificate(SSL_CTX *ctx, X509_STORE *store, STACK_OF(X509_NAME) *names)
{
	if (has_revocations(store))
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	SSL_CTX_set_cert_store(ctx, store);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"perdura", sizeof "perdura" - 1);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
}

static int trust(SSL_CTX *ctx, const struct files *authorities)
{
	if (!authorities->n)
		return OK;
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
	int r = store && names ? OK : fail_with(ERR_LIMIT, "tls: no memory");
	for (size_t i = 0; i < authorities->n && !r; i++)
		if (X509_STORE_load_file(store, authorities->of[i]) != 1 || SSL_add_file_cert_subjects_to_stack(names, authorities->of[i]) != 1)
			r = bad_file(authorities->of[i], "certificate");
	if (!r) {
		ask_for_certificate(ctx, store, names);
		return OK;
	}
	X509_STORE_free(store);
	sk_X509_NAME_pop_free(names, X509_NAME_free);
	return r;
}

static int load_one(SSL_CTX *ctx, const struct files *certs, const struct files *keys, const struct files *authorities, size_t i)
{
	if (!ctx)
		return fail_with(ERR_LIMIT, "tls: no memory");
	int r = load_pair(ctx, certs->of[i], keys->n ? keys->of[i] : certs->of[i]);
	return r ? r : trust(ctx, authorities);
}

static int load_set(const struct files *certs, const struct files *keys, const struct files *authorities, struct tls_set **out)
{
	if (keys->n && keys->n != certs->n)
		return fail_with(ERR_INVALID, "%zu certificates in tls.cert, but %zu keys in tls.key", certs->n, keys->n);
	struct tls_set *s = certs->n ? calloc(1, sizeof *s + certs->n * sizeof s->of[0]) : NULL;
	if (!s && certs->n)
		return fail_with(ERR_LIMIT, "tls: no memory");
	int r = OK;
	if (s)
		atomic_init(&s->users, 1);
	for (size_t i = 0; i < certs->n && !r; i++) {
		ERR_clear_error();
		s->of[i] = new_context();
		s->n += s->of[i] != NULL;
		r = load_one(s->of[i], certs, keys, authorities, i);
	}
	if (r) {
		tls_set_release(s);
		return r;
	}
	if (s) {
		SSL_CTX_set_tlsext_servername_callback(s->of[0], choose_certificate);
		SSL_CTX_set_tlsext_servername_arg(s->of[0], s);
	}
	*out = s;
	return OK;
}

int tls_load(struct tls *t, const struct tls_files *which, const char *dir)
{
	struct files c = { 0 }, k = { 0 }, a = { 0 };
	struct tls_set *fresh = NULL;
	int r = split(which->certs, dir, &c);
	if (!r)
		r = split(which->keys, dir, &k);
	if (!r)
		r = split(which->authorities, dir, &a);
	if (!r)
		r = load_set(&c, &k, &a, &fresh);
	if (!r) {
		pthread_mutex_lock(&t->lock);
		struct tls_set *old = t->set;
		t->set = fresh;
		pthread_mutex_unlock(&t->lock);
		tls_set_release(old);
	}
	free_files(&c);
	free_files(&k);
	free_files(&a);
	return r;
}

int tls_new(struct tls **out)
{
	struct tls *t = calloc(1, sizeof *t);
	if (!t)
		return fail_with(ERR_LIMIT, "tls: no memory");
	pthread_mutex_init(&t->lock, NULL);
	*out = t;
	return OK;
}

void tls_free(struct tls **p)
{
	if (!*p)
		return;
	tls_set_release((*p)->set);
	pthread_mutex_destroy(&(*p)->lock);
	free(*p);
	*p = NULL;
}
