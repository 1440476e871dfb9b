#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fail.h"
#include "tls_private.h"

struct tls_conn {
	SSL *ssl;
	struct tls_set *set;
	bool failed; /* nothing may be said on it any more, not even goodbye */
};

/* After a call that did not do it all: what it waits for, as an epoll event; 0 when it failed. */
static unsigned wanted(const SSL *ssl, int result)
{
	switch (SSL_get_error(ssl, result)) {
	case SSL_ERROR_WANT_READ: return EPOLLIN;
	case SSL_ERROR_WANT_WRITE: return EPOLLOUT;
	default: return 0;
	}
}

static ssize_t would_block(void)
{
	errno = EAGAIN;
	return -1;
}

/* As much as fits: nobody will announce what OpenSSL holds already. s->more: there may be some of it left. */
static ssize_t tls_read(struct conn *c, void *p, size_t n)
{
	struct slot *s = SLOT_OF(c);
	struct tls_conn *t = s->secure;
	size_t got = 0, k;
	s->more = true;
	while (got < n) {
		ERR_clear_error();
		if (SSL_read_ex(t->ssl, (char *)p + got, n - got, &k)) {
			got += k;
			continue;
		}
		if ((s->read_wants = wanted(t->ssl, 0))) {
			s->more = false;
			return got ? (ssize_t)got : would_block();
		}
		s->read_wants = EPOLLIN;
		if (got)
			return (ssize_t)got; /* the end, or the failure, is found again */
		s->more = false;
		if (SSL_get_shutdown(t->ssl) & SSL_RECEIVED_SHUTDOWN)
			return 0;
		t->failed = true;
		errno = EPROTO;
		return -1;
	}
	return (ssize_t)got;
}

static ssize_t tls_write(struct conn *c, const void *p, size_t n)
{
	struct slot *s = SLOT_OF(c);
	struct tls_conn *t = s->secure;
	size_t k;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, p, n, &k))
		return (ssize_t)k;
	if ((s->write_wants = wanted(t->ssl, 0)))
		return would_block();
	s->write_wants = EPOLLOUT;
	t->failed = true;
	errno = EPIPE;
	return -1;
}

static int tls_finish(struct conn *c)
{
	struct tls_conn *t = SLOT_OF(c)->secure;
	ERR_clear_error();
	if (!t->failed)
		SSL_shutdown(t->ssl);
	return shutdown(c->fd, SHUT_WR);
}

static void tls_close(struct conn *c)
{
	struct tls_conn *t = SLOT_OF(c)->secure;
	SSL_free(t->ssl);
	tls_set_release(t->set);
	free(t);
	close(c->fd);
}

static const struct conn_io tls_io = { tls_read, tls_write, tls_finish, tls_close };

static struct tls_conn *begin(struct slot *s)
{
	struct tls_conn *t = calloc(1, sizeof *t);
	if (!t || !(t->ssl = tls_session(s->tls, &t->set))) {
		free(t);
		return NULL;
	}
	SSL_set_app_data(t->ssl, &s->conn);
	SSL_set_accept_state(t->ssl);
	if (!s->conn.protocol->certified)
		SSL_set_verify(t->ssl, SSL_VERIFY_NONE, NULL);
	SSL_set_fd(t->ssl, s->conn.fd);
	s->secure = t;
	s->conn.io = &tls_io;
	return t;
}

static const char *reason(const SSL *ssl)
{
	unsigned long e = ERR_peek_error();
	long verified = SSL_get_verify_result(ssl);
	const char *text = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) :
		verified != X509_V_OK ? X509_verify_cert_error_string(verified) : ERR_reason_error_string(e);
	return text ? text : "the peer closed the connection";
}

enum tls_answer tls_handshake(struct slot *s, const char **why)
{
	struct tls_conn *t = s->secure ? s->secure : begin(s);
	*why = "no certificate or no memory";
	if (!t)
		return TLS_FAILED;
	ERR_clear_error();
	int r = SSL_do_handshake(t->ssl);
	if (r == 1) {
		s->read_wants = EPOLLIN;
		s->more = true; /* commands may have come with the handshake's end */
		return TLS_DONE;
	}
	if ((s->read_wants = wanted(t->ssl, r)))
		return TLS_AGAIN;
	s->read_wants = EPOLLIN;
	t->failed = true;
	*why = reason(t->ssl);
	return TLS_FAILED;
}

const char *tls_version(const struct slot *s)
{
	return SSL_get_version(s->secure->ssl);
}

/* Without the extended master secret it could be the same on another session of TLS 1.2 (RFC 9266, section 4.2). */
static size_t exporter(SSL *ssl, unsigned char *out)
{
	static const char label[] = "EXPORTER-Channel-Binding";
	enum { SIZE = 32 };
	bool safe = SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
	return safe && SSL_export_keying_material(ssl, out, SIZE, label, sizeof label - 1, NULL, 0, 0) == 1 ? SIZE : 0;
}

/* The certificate's hash, with the function of its signature; SHA-256 in place of MD5 and SHA-1 (RFC 5929, section 4.1). */
static size_t end_point(SSL *ssl, unsigned char *out)
{
	X509 *cert = SSL_get_certificate(ssl);
	int nid = NID_undef;
	unsigned n = 0;
	if (!cert || !X509_get_signature_info(cert, &nid, NULL, NULL, NULL))
		return 0;
	const EVP_MD *md = nid == NID_md5 || nid == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(nid);
	return md && EVP_MD_get_size(md) <= CONN_BINDING_MAX && X509_digest(cert, md, out, &n) ? n : 0;
}

size_t conn_binding(struct conn *c, enum conn_binding kind, unsigned char out[CONN_BINDING_MAX])
{
	const struct tls_conn *t = SLOT_OF(c)->secure;
	if (!t || !c->tls)
		return 0;
	return kind == CONN_EXPORTER ? exporter(t->ssl, out) : end_point(t->ssl, out);
}

/* Names with control bytes, also NUL, which is how one authority's name is made to look like another's, are passed over. */
static size_t put_name(char *out, size_t used, const ASN1_STRING *s)
{
	const unsigned char *p = s ? ASN1_STRING_get0_data(s) : NULL;
	size_t n = p ? (size_t)ASN1_STRING_length(s) : 0;
	if (!n || n >= CONN_NAMES_MAX - used)
		return used;
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return used;
	memcpy(out + used, p, n);
	out[used + n] = '\0';
	return used + n + 1;
}

/* False: the certificate has none, not even one that is passed over. */
static bool put_addresses(const X509 *cert, char *out, size_t *used)
{
	bool any = false;
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
		if (name->type != GEN_EMAIL)
			continue;
		any = true;
		*used = put_name(out, *used, name->d.rfc822Name);
	}
	GENERAL_NAMES_free(all);
	return any;
}

static size_t put_common_name(const X509 *cert, char *out)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	return at < 0 ? 0 : put_name(out, 0, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

/* Resumed sessions bring the result of the first handshake, each with a ticket for the next: they must not outlive the certificate. */
static bool holds_now(const X509 *cert)
{
	return X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

size_t conn_client_names(struct conn *c, char out[CONN_NAMES_MAX])
{
	const struct tls_conn *t = SLOT_OF(c)->secure;
	const X509 *cert = t && c->tls ? SSL_get0_peer_certificate(t->ssl) : NULL;
	if (!cert || SSL_get_verify_result(t->ssl) != X509_V_OK || !holds_now(cert))
		return 0;
	size_t n = 0;
	return put_addresses(cert, out, &n) ? n : put_common_name(cert, out);
}
