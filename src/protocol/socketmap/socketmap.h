/* Postfix's socketmap protocol (socketmap_table(5)): it asks what our directory knows, one netstring a question ("map key")
   and one an answer.
     domains    a domain whose mail comes here
     mailboxes  an address that can be delivered: the accounts it leads to, with commas
     aliases    an address that leads to others: those, here and elsewhere, with commas; an account is no alias
   A store that is down is "TEMP", never "NOTFOUND". Whoever connects may ask: listen where only Postfix can. */
#ifndef SOCKETMAP_H
#define SOCKETMAP_H

#include "conn.h"

struct identity;

enum { SOCKETMAP_CONNECTIONS = 1000 };

/* The `service` of every listener (loop_listen). */
struct socketmap_node {
	struct identity *identity;
};

extern const struct conn_protocol socketmap_protocol;

#endif
