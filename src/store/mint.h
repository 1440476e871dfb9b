/* Ids that no other node and no earlier start of this node ever gave out, without asking anyone: node number (12 bits),
   boot epoch (20 bits), sequence (31 bits), in this order, so that a node's ids grow. */
#ifndef MINT_H
#define MINT_H

#include <stdatomic.h>
#include <stdint.h>

struct mint {
	int64_t base;
	atomic_int_fast64_t next;
};

#define MINT_NODES (1 << 12)
#define MINT_EPOCHS (1 << 20)

/* 0 <= node < MINT_NODES, 0 <= epoch < MINT_EPOCHS. */
void mint_init(struct mint *m, int64_t node, int64_t epoch);
int64_t mint_id(struct mint *m);

static inline int64_t mint_node(int64_t id)
{
	return id >> 51;
}

static inline int64_t mint_epoch(int64_t id)
{
	return id >> 31 & (MINT_EPOCHS - 1);
}

static inline int64_t mint_sequence(int64_t id)
{
	return id & 0x7fffffff;
}

#endif
