/* The link: a node tells the others what it has changed, and hears from them, so that sessions over there wake at once.
 *
 * An optimisation, and built as one: nobody waits for it, nothing is sent again, and what is lost the poll finds (service_poll).
 * A change that is committed puts a notice into a bounded queue; a thread of the link's own sends what has gathered for some
 * milliseconds to every peer, and calls service_told() for what comes in. Reads are causal (meta.h), so whoever is woken sees the
 * change, also where another database node answers. */
#ifndef LINK_H
#define LINK_H

#include "datagram.h"
#include "udp.h"

struct link;
struct metrics;
struct service;

struct link_options {
	struct service *service;
	struct listen_address listen;
	unsigned char key[LINK_KEY]; /* of the cluster */
	int64_t node, epoch;         /* who we are (mint.h) */
	struct metrics *metrics;     /* not owned; may be NULL */
};

/* Binds the address; sends to nobody yet. */
int link_open(const struct link_options *o, struct link **out);
/* Takes the pointer's address, sets it NULL. */
void link_close(struct link **l);
/* Where others send to: "host:port" in numbers. */
const char *link_address(const struct link *l);

enum { LINK_PEERS = 64 };
/* To whom notices go from now on. */
void link_peers(struct link *l, const struct udp_address *peers, size_t n);

struct link_stats {
	uint64_t sent;     /* notices, to each peer */
	uint64_t received; /* notices */
	uint64_t dropped;  /* notices that found the queue full or the socket unwilling */
	uint64_t refused;  /* datagrams: not of a node, under another key, or seen before */
	size_t peers;
};
/* NULL: all 0. */
void link_stats(struct link *l, struct link_stats *out);

#endif
