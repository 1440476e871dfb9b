#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
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
	struct tls_conn *t = c->io_state;
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
	struct tls_conn *t = c->io_state;
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
	struct tls_conn *t = c->io_state;
	ERR_clear_error();
	if (!t->failed)
		SSL_shutdown(t->ssl);
	return shutdown(c->fd, SHUT_WR);
}

static void tls_close(struct conn *c)
{
	struct tls_conn *t = c->io_state;
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
	SSL_set_fd(t->ssl, s->conn.fd);
	s->conn.io_state = t;
	s->conn.io = &tls_io;
	return t;
}

static const char *reason(const SSL *ssl)
{
	unsigned long e = ERR_peek_error();
	const char *text = ERR_SYSTEM_ERROR(e) ? strerror(ERR_GET_REASON(e)) : ERR_reason_error_string(e);
	return text ? text : "the peer closed the connection";
}

enum tls_answer tls_handshake(struct slot *s, const char **why)
{
	struct conn *c = &s->conn;
	struct tls_conn *t = c->io == &tls_io ? c->io_state : begin(s);
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
	const struct tls_conn *t = s->conn.io_state;
	return SSL_get_version(t->ssl);
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

size_t conn_binding(const struct conn *c, enum conn_binding kind, unsigned char out[CONN_BINDING_MAX])
{
	if (c->io != &tls_io || !c->tls)
		return 0;
	const struct tls_conn *t = c->io_state;
	return kind == CONN_EXPORTER ? exporter(t->ssl, out) : end_point(t->ssl, out);
}
