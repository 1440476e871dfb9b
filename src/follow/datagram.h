/* What nodes tell each other over the link: committed changes, a few to a datagram, under the cluster's key.
 *
 *     "PDL1"  sender: node (2 bytes), epoch (4), sequence (8), big-endian
 *     notices: varint account, varint change, varint n (0 to 8; 9: all), n varints: the collections it touched
 *     HMAC-SHA256 of all before it, cut to 16 bytes
 *
 * A datagram says nothing but "look": what has changed is read from the store. Whoever forges one needs the key; repeating one
 * that was seen does nothing while its sequence is remembered (datagram_fresh), and wakes sessions for nothing else. */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include "buffer.h"

struct touched;

enum { DATAGRAM_MAX = 1200, LINK_KEY = 32 };

struct datagram {
	size_t n;                 /* bytes so far; 0: empty */
	unsigned notices;
	char bytes[DATAGRAM_MAX];
};

/* False: there is no room left in it. */
bool datagram_add(struct datagram *d, const struct touched *t);

struct datagram_sender {
	int64_t node, epoch;
	uint64_t sequence;
};
/* Says who sends it, and closes it. */
void datagram_seal(struct datagram *d, const struct datagram_sender *from, const unsigned char key[LINK_KEY]);

/* ERR_DENIED: not a datagram of ours, or not under this key. */
int datagram_open(struct span bytes, const unsigned char key[LINK_KEY], struct datagram_sender *from, struct span *notices);
/* 1: a notice was taken off the front; 0: there are no more; ERR_INVALID: the rest makes no sense. */
int datagram_next(struct span *notices, struct touched *t);

/* The sequence numbers of a sender that came already: the highest, and which of the 64 up to it. */
struct datagram_window {
	int64_t epoch;
	uint64_t top, seen;
};
/* Did it not come before? Then it has now. What is older than the window did. */
bool datagram_fresh(struct datagram_window *w, const struct datagram_sender *from);

#endif
