/* A file that holds room on the data folder's disk. When the disk is nearly full it is emptied, and the store says that
 * it is full: mail and changes are refused, while purge and checkpoints work in the room that was held. When there is
 * room for the ballast again it is filled, and everything goes on.
 *
 *   none    no file: the disk never had room for it         -> held as soon as it has
 *   held    DIR/ballast has its blocks                      -> released, when less than a quarter of it is free
 *   released  DIR/ballast is empty, also over a restart: full -> held, when it fits beside half of its size
 *
 * A disk that is nearly full without a ballast (none) is full as well, until half of the ballast's size is free. */
#ifndef BALLAST_H
#define BALLAST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ballast;

/* Looks at once, and then every second. bytes: what is to be held, at most a 16th of the disk; 0: nothing, the file is
   removed and *full is left alone. A ballast that cannot be had is no failure. */
int ballast_open(const char *dir, int64_t bytes, atomic_bool *full, struct ballast **out);
void ballast_close(struct ballast **b);

struct ballast_stats {
	uint64_t held; /* bytes */
	uint64_t free; /* bytes of the disk, without them */
	bool full;
};
void ballast_stats(struct ballast *b, struct ballast_stats *out);

#endif
