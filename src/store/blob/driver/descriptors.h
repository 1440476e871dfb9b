/* Open files of packs that are being read: a bounded cache, the least recently used goes first. Any thread. */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { DESCRIPTORS = 64 };

struct descriptor {
	int64_t pack; /* 0: the place is free */
	int fd;
	unsigned users;
	bool dropped; /* nobody takes it any more; closed by the last who holds it */
	uint64_t used; /* when, in calls */
};

struct descriptors {
	pthread_mutex_t lock;
	uint64_t calls;
	struct descriptor place[DESCRIPTORS];
};

void descriptors_init(struct descriptors *d);
void descriptors_free(struct descriptors *d);
/* The pack's descriptor, or -1 when it is not open. Held until descriptors_release. */
int descriptors_take(struct descriptors *d, int64_t pack);
/* Gives fd to the cache, held by the caller. It may stay outside of it when all places are held. */
void descriptors_add(struct descriptors *d, int64_t pack, int fd);
void descriptors_release(struct descriptors *d, int64_t pack, int fd);
/* The pack was removed: who reads it goes on, and its room is given back after them. */
void descriptors_drop(struct descriptors *d, int64_t pack);

#endif
