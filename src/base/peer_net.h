/* Whom an address stands for, to count by: one of IPv4 (also as "::ffff:192.0.2.1"); of IPv6 its first 64 bits, as whoever has one has all
   of those; text that is neither, as it stands. */
#ifndef PEER_NET_H
#define PEER_NET_H

#include "span.h"

enum { PEER_NET = 16 };

/* Lives in out, or is the address itself. */
struct span peer_net(struct span address, char out[PEER_NET]);

#endif
