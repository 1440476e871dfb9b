/* Where packs are kept: what a driver below the blob facade does. Compression, checksums and the format of a pack are
 * the facade's; a driver stores bytes under a pack's id.
 *
 * A pack is created, written (each byte once; only its first PACK_HEADER + RECORD_HEADER bytes may come last), synced,
 * and closed. It is there for others, and after a power cut, once it was synced with its name. One thread at a time
 * uses a pack that is being written; different packs and all reads go side by side.
 *
 * A store that cannot append says so (blob_backend.whole). Then each pack is written from its beginning to its end, synced with
 * its name once, and never touched again: small bodies are rows of meta until they are gathered into such a pack (store/staged.h).
 * In S3, write gathers the bytes in a file of this machine, sync without the name uploads the parts of a large pack, sync with the name
 * puts the object or completes it; done before that leaves nothing. Packs are written side by side by many threads. */
#ifndef DRIVER_H
#define DRIVER_H

#include <sys/uio.h>

#include "file_copy.h"
#include "span.h"

struct blob_driver;
struct metrics;

/* A driver's own struct begins with this one. */
struct blob_backend {
	const struct blob_driver *driver;
	bool whole; /* nothing can be appended to a pack that has its name */
};

struct blob_pack; /* being written; the driver's */

struct blob_driver_options {
	const char *dir, *node_name;
	int64_t node; /* number of this node, as in the ids of its packs; 0: it has none yet, and only list and mark are called */
	struct metrics *metrics; /* not owned; NULL: nothing is counted */
	int64_t cache_bytes; /* of a store that is far away, so much is kept here (cache.h); 0: nothing */
};

/* What the facade found in a pack that was left without a seal. */
struct pack_mend {
	bool leave;      /* nothing to do */
	int64_t length;  /* what comes after is cut off ... */
	struct span end; /* ... and this is put there */
};

typedef int pack_fn(void *ctx, int64_t pack, int64_t size, int64_t changed);
typedef int pack_inspect_fn(void *ctx, int64_t pack, int64_t size, struct pack_mend *out);

struct blob_driver {
	const char *scheme;
	/* where: the URL without its scheme and query. */
	int (*open)(const char *where, const char *query, const struct blob_driver_options *o, struct blob_backend **out);
	void (*close)(struct blob_backend *b);

	/* Exclusive: ERR_EXISTS when the id was ever used. */
	int (*create)(struct blob_backend *b, int64_t pack, struct blob_pack **out);
	int (*write)(struct blob_backend *b, struct blob_pack *p, const struct iovec *v, int n, int64_t offset);
	/* What was written is on stable storage; with `name`, so is the pack's name. */
	int (*sync)(struct blob_backend *b, struct blob_pack *p, bool name);
	/* No more writes. A pack that was never synced with its name leaves nothing behind. */
	void (*done)(struct blob_backend *b, struct blob_pack *p);

	/* Exactly n bytes. ERR_NOT_FOUND: there is no such pack. ERR_CORRUPT: it ends before. ERR_UNAVAILABLE: who knows. */
	int (*read)(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset);
	/* Only of a store that is far away, else NULL: as read, but a pack that ends before gives fewer bytes, *got; ERR_CORRUPT when
	   it ends at or before offset. For what reads more at a time than it was asked for. */
	int (*fetch)(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset, size_t *got);
	/* Only of a store that may have a second copy of its packs, else NULL: as read, out of that, when the first was found damaged.
	   ERR_CANNOT: there is none. */
	int (*read_other)(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset);
	/* Only of what keeps something of a store's packs elsewhere, else NULL: the next read of this pack asks the store itself. */
	void (*forget)(struct blob_backend *b, int64_t pack);
	/* All packs with their sizes, of every node, by id; stops when fn returns non-zero, and returns that. changed: when it
	   was last written, us since 1970; by our clock, where the store says what its own shows. */
	int (*list)(struct blob_backend *b, pack_fn *fn, void *ctx);
	/* OK: the pack is not there, and will not be after a power cut; also when it was not. Reads under way may still end
	   well. Not for a pack that is being written. */
	int (*remove)(struct blob_backend *b, int64_t pack);
	/* All packs, of every node, into a folder that a file: store can be opened on; those that are there already are left
	   alone. No pack is removed meanwhile. Later, prune: what is gone here goes there. */
	int (*copy)(struct blob_backend *b, const char *to, struct file_copy *c);
	int (*prune)(struct blob_backend *b, const char *to);
	/* As blob_mark(). NULL: there is none. */
	int (*mark)(struct blob_backend *b, const char *put, char *out, size_t n);
	/* Hands packs that earlier starts of this node may not have ended to fn and mends them as it says. At open only. */
	int (*repair)(struct blob_backend *b, pack_inspect_fn *fn, void *ctx);
};

int blob_read_other(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset);

extern const struct blob_driver blob_driver_file, blob_driver_s3;

/* Is what the URL names far away, so that others may name it too? */
bool blob_driver_far(const char *url);
/* Finds the driver of a URL and opens it, with what the URL wraps around it: failing:URL (failing.h), URL?powercut=1. With
   ?whole=1 a store that could append behaves as one that cannot (tests). */
int blob_driver_open(const char *url, const struct blob_driver_options *o, struct blob_backend **out);
/* The value of key in a=1&b=2, cut to n - 1 bytes; false when it is not there. */
bool blob_query_get(const char *query, const char *key, char *out, size_t n);
int64_t blob_query_int(const char *query, const char *key, int64_t otherwise);

/* Power cuts for tests: appended data is held in memory until its sync, so that a killed process forgets what a machine
   without power may forget. With seed=N a random part of it, in random pieces, is in the file nonetheless. With cut=N the
   process kills itself at the Nth write or step of a sync or a removal. Takes *b also when it fails. */
int blob_powercut_wrap(const char *query, struct blob_backend **b);

#endif
