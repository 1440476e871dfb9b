/* TLS as the loop sees it: a struct conn_io above the socket, and the handshake that comes before. */
#ifndef TLS_PRIVATE_H
#define TLS_PRIVATE_H

#include <openssl/ssl.h>

#include "conn_private.h"
#include "tls.h"

enum tls_answer { TLS_DONE, TLS_AGAIN, TLS_FAILED };

/* A set of certificates, kept by each connection that began with it. */
struct tls_set;
/* A new connection's side of it, with a reference to the set; NULL without certificates or memory. */
SSL *tls_session(struct tls *t, struct tls_set **set);
void tls_set_release(struct tls_set *s);

/* Goes on with the handshake (the first call begins it). After TLS_DONE the connection's io is TLS. TLS_AGAIN:
   s->read_wants says what to wait for. TLS_FAILED: *why is for the log. */
enum tls_answer tls_handshake(struct slot *s, const char **why);

/* "TLSv1.3", of a connection whose handshake is done. */
const char *tls_version(const struct slot *s);

#endif
