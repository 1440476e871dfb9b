/* Messages out of local files: mbox, Maildir and Maildir++, a tree of .eml and .mbox files, a single message. Read by the
   command itself, so that the node needs no right to a user's files. Line ends come out as CRLF, but for what an export
   wrote, which comes out as it went in. */
#ifndef IMPORT_SOURCE_H
#define IMPORT_SOURCE_H

#include "import_item.h"

struct import_sink {
	/* A message, or with size 0 a folder that is there, empty or not; non-zero ends the walk with it. */
	int (*message)(void *ctx, const struct import_item *item, struct span bytes);
	/* Something that could not be read; the walk goes on. */
	void (*trouble)(void *ctx, const char *path, const char *what);
	/* Bytes of the source read so far; may be NULL. */
	void (*read)(void *ctx, uint64_t bytes);
	void *ctx;
};

int import_walk(const char *path, const struct import_sink *to);
/* The bytes of all files that import_walk would read, for a progress bar. */
uint64_t import_size(const char *path);

#endif
