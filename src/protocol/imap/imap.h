/* IMAP4rev1 (RFC 3501) with LITERAL+, SASL-IR, ID, ENABLE, NAMESPACE, UNSELECT, IDLE, UIDPLUS, MOVE, SPECIAL-USE,
   CREATE-SPECIAL-USE, CHILDREN, CONDSTORE, QRESYNC, ESEARCH, LIST-EXTENDED, LIST-STATUS, OBJECTID, STATUS=SIZE,
   QUOTA, BINARY, MULTIAPPEND, REPLACE, SEARCHRES, PARTIAL, WITHIN, SAVEDATE, PREVIEW, INPROGRESS, SORT, SORT=DISPLAY, ESORT, NOTIFY, UIDONLY,
   UNAUTHENTICATE, THREAD=REFERENCES, THREAD=ORDEREDSUBJECT, I18NLEVEL=1 and APPENDLIMIT. The tour through the folder is in its README. */
#ifndef IMAP_H
#define IMAP_H

#include "conn.h"
#include "login.h"

struct service;
struct identity;
struct metrics;
struct tls;

/* The `service` of every IMAP listener (loop_listen); not freed while it is served; what is _Atomic
   may change meanwhile. */
struct imap_node {
	struct service *service;
	struct identity *identity;
	const char *host;    /* how the node calls itself in its greeting */
	const char *version; /* for ID */
	struct tls *tls;     /* for STARTTLS */
	_Atomic enum login_plaintext plaintext;
	_Atomic bool unauthenticate; /* is it offered? */
	_Atomic unsigned user_max; /* sessions of one user at one address */
	struct tally *tally;       /* they are counted here */
	struct metrics *metrics; /* NULL: nothing is counted */
};

extern const struct conn_protocol imap_protocol;
/* Names the commands in the metrics. */
void imap_metrics(struct metrics *m);

#endif
