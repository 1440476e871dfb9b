/* TLS 1.2 and 1.3 for connections (loop_listen, conn_start_tls): certificates chosen by the name the client asks for
 * (SNI), exchanged while connections are served. Sessions are resumed by tickets; renegotiation and compression are off;
 * the protocol's name is accepted by ALPN, and no other. */
#ifndef TLS_H
#define TLS_H

#include "span.h"

enum { TLS_PAIRS_MAX = 256 };

struct tls;

/* Without certificates yet. */
int tls_new(struct tls **out);
/* No connection may be open. Takes the pointer's address, sets it NULL. */
void tls_free(struct tls **t);

/* Takes these into use for handshakes from now on; connections that are open go on as they are. certs and keys: PEM files,
   separated by commas or blanks, below dir if relative. The n-th key belongs to the n-th certificate, which stands first
   in its file, the chain behind it; no keys at all: each stands in the file of its certificate. The first pair is for
   clients that name no host, or one that no certificate fits (exact names come before wildcards). Both empty: none.
   authorities: PEM files of those whose certificates clients may show (conn_client_names), which are asked for one then, and of
   their revocation lists: with any, each authority needs one. A client whose certificate does not hold is not let in.
   ERR_INVALID with a detail of one line; what was in use stays in use then. */
struct tls_files {
	struct span certs, keys, authorities;
};
int tls_load(struct tls *t, const struct tls_files *which, const char *dir);
/* Is there a certificate to serve? */
bool tls_ready(struct tls *t);

#endif
