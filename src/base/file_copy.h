/* Copies of large files: they share the blocks of the original where the file system can (reflink: btrfs, xfs), else the bytes
   are copied, at half of the speed there is and without pushing everything else out of the page cache. */
#ifndef FILE_COPY_H
#define FILE_COPY_H

#include <stdbool.h>
#include <stdint.h>

struct file_copy {
	/* Told of every piece; non-zero ends the copy with it. May be NULL. */
	int (*step)(void *ctx, uint64_t bytes);
	void *ctx;
	uint64_t copied, shared; /* out, summed up: bytes */
};

/* The first n bytes of an open file go to `to`, which is made anew and on stable storage (but not its name) when it returns
   OK. A file that is written meanwhile: each byte is as it was at some time since the call. */
int file_copy(struct file_copy *c, int from, int64_t n, const char *to, unsigned mode);

#endif
