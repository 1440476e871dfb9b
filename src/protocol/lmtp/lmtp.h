/* LMTP (RFC 2033): mail comes in from the transfer agent, with one answer for each recipient. */
#ifndef LMTP_H
#define LMTP_H

#include "conn.h"

struct service;
struct identity;
struct metrics;
struct tls;

/* The `service` of every LMTP listener (loop_listen); not freed while it is served; what is _Atomic
   may change meanwhile. */
struct lmtp_node {
	struct service *service;
	struct identity *identity;
	const char *host;       /* how the node calls itself in its greeting */
	struct tls *tls;        /* for STARTTLS; NULL: none */
	_Atomic unsigned recipients_max; /* of one message; RFC 5321 wants at least 100 */
	struct metrics *metrics; /* NULL: nothing is counted */
};

extern const struct conn_protocol lmtp_protocol;
/* Names the commands in the metrics. */
void lmtp_metrics(struct metrics *m);

#endif
