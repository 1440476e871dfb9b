/* The auth socket: Dovecot's authentication protocol (auth_line.h), so that Postfix and Exim check the passwords of those
 * who send mail against our accounts. Whoever can connect to it is trusted in what it says of its own clients: their address
 * and whether TLS protects them. */
#ifndef AUTH_H
#define AUTH_H

#include "conn.h"
#include "login.h"

/* The `service` of every listener (loop_listen); not freed while it is served; what is _Atomic may change meanwhile. */
struct auth_node {
	struct identity *identity;
	_Atomic enum login_plaintext plaintext;
};

extern const struct conn_protocol auth_protocol;

#endif
