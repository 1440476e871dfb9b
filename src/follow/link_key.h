/* The key under which the nodes of a cluster talk: random, in the store, made by the first that asks. */
#ifndef LINK_KEY_H
#define LINK_KEY_H

#include "datagram.h"

struct meta;

int link_key(struct meta *m, unsigned char key[LINK_KEY]);

#endif
