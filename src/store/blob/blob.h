/* blob: message bodies, immutable. Small ones are gathered in packs that are only ever appended to; a body over
 * BLOB_OWN_FILE gets a pack of its own. Compression (zstd) and checksums are done here, above the drivers.
 *
 * A body comes in through a stage (streamed, hashed, compressed), becomes durable with others (blob_sync), and is
 * referred to by a location, which the caller keeps in meta. Nothing here knows who refers to it.
 *
 * Where nothing can be appended to a pack (blob_is_whole: S3), a record of up to BLOB_STAGED bytes is the caller's to keep, as
 * a row beside those that refer to it (store/staged.h), at a location without a pack; larger ones are packs of their own. Rows
 * are gathered into packs later (blob_gather_new). */
#ifndef BLOB_H
#define BLOB_H

#include "file_copy.h"
#include "span.h"

struct blob_store;
struct blob_stage;
struct blob_reader;
struct metrics;

enum { BLOB_OWN_FILE = 256 * 1024, BLOB_CHUNK = 256 * 1024, BLOB_STAGED = 128 * 1024 };

struct blob_location {
	int64_t pack;   /* minted id; names node, boot epoch and sequence (mint.h); 0: the record is a row */
	int64_t offset; /* of the record's header in the pack; the row's id */
	int64_t stored; /* bytes of the record, header included */
};

/* The rows, where there are any. Any thread, never within a transaction. */
struct blob_rows {
	/* The n bytes of a row. ERR_NOT_FOUND: there is none; ERR_CORRUPT: it has another length. */
	int (*read)(void *ctx, int64_t id, void *to, size_t n);
	/* Up to *n rows with greater ids, by id; *n becomes their number. */
	int (*list)(void *ctx, int64_t after, struct blob_location *out, size_t *n);
	void *ctx;
};

struct blob_options {
	const char *dir;       /* the node's data folder */
	const char *node_name; /* packs go below the folder of this name */
	struct mint *mint;     /* ids for packs; not owned */
	struct metrics *metrics; /* not owned; NULL: nothing is counted */
	int64_t cache_bytes;   /* of a store that is far away, kept in DIR/cache; 0: nothing */
	int64_t pack_bytes;    /* a pack is closed past this size; 0: the default of 64 MiB */
	struct blob_rows rows; /* without functions: no location without a pack can be read */
};

/* url: file:FOLDER, or failing:URL (tests). Repairs the torn tails of packs that an earlier start left open. */
int blob_open(const char *url, const struct blob_options *o, struct blob_store **out);
void blob_close(struct blob_store **s);
/* Can nothing be appended to a pack that is there? Then blob_write() and its kin take no small stage (they make larger ones
   durable), and calls with different stages may go side by side. */
bool blob_is_whole(const struct blob_store *s);
/* Is there any pack, of whatever node? */
int blob_holds_packs(const char *url, const struct blob_options *o, bool *holds);
/* Is it far away, where a store of another node or database may be just as well? */
bool blob_is_far(const char *url);
/* The mark of the store at url: a word kept beside the packs, by which place.h knows the folder. put: what it becomes where
   there is none (NULL: nothing). ERR_NOT_FOUND: there is none. ERR_CANNOT: such a store has no mark. */
enum { BLOB_MARK = 80 };
int blob_mark(const char *url, const struct blob_options *o, const char *put, char out[static BLOB_MARK]);
/* That of an open store. */
int blob_own_mark(struct blob_store *s, char out[static BLOB_MARK]);

/* A new stage. Bodies up to BLOB_OWN_FILE stay in memory until flushed; larger ones stream into a file as they come. */
int blob_stage_new(struct blob_store *s, struct blob_stage **out);
int blob_stage_write(struct blob_stage *st, struct span bytes);
/* The body is whole: its size and SHA-256 are known, and it is compressed. Not durable yet. */
int blob_stage_finish(struct blob_stage *st);
uint64_t blob_stage_size(const struct blob_stage *st);
const unsigned char *blob_stage_sha256(const struct blob_stage *st); /* 32 bytes, after finish */
/* OK and the location once it was written, or why it is not; durable after the sync. */
int blob_stage_result(const struct blob_stage *st, struct blob_location *where);
/* The record of a finished small stage as a row of this id, at { 0, id, its length }; the stage's until it is freed. Empty: the
   body lies in a pack, or will (blob_stage_result). */
struct span blob_stage_row(struct blob_stage *st, int64_t id);
/* Where packs are put whole: when a large body was, us since 1970 (a pack that nobody refers to is removed some day). Else 0. */
int64_t blob_stage_put(const struct blob_stage *st);
/* A stage that was never flushed leaves nothing behind. Takes the pointer's address, sets it NULL. */
void blob_stage_free(struct blob_stage **st);

/* Making finished stages durable, in steps, so that other work can be done while the disk works: blob_write() writes those
   of a pack one after the other and tells their locations (blob_stage_result); blob_sync(), of the same stages and on any
   thread, returns when all that were written are on stable storage, with one sync for those in a pack, else the first
   failure; blob_settle(), after it, lets each stage say what became of it. A stage that is durable
   already is left alone. After a failed sync the pack is abandoned: its name is never used again, and what it held
   unsynced is written anew elsewhere when written again. These calls never overlap; each write is followed by the others. */
void blob_write(struct blob_store *s, struct blob_stage *const *stages, size_t n);
int blob_sync(struct blob_store *s, struct blob_stage *const *stages, size_t n);
void blob_settle(struct blob_store *s, struct blob_stage *const *stages, size_t n);

/* Reading. Every byte handed out was verified against its checksum: ERR_CORRUPT otherwise, ERR_UNAVAILABLE when the
   store does not answer, ERR_NOT_FOUND only when the store says that there is no such pack. */
int blob_reader_open(struct blob_store *s, const struct blob_location *at, struct blob_reader **out);
/* Of a row that the caller has at hand; `record` is not needed any more when it returns. */
int blob_reader_open_row(struct blob_store *s, const struct blob_location *at, struct span record, struct blob_reader **out);
uint64_t blob_reader_size(const struct blob_reader *r);
const unsigned char *blob_reader_sha256(const struct blob_reader *r); /* as the record claims */
/* The bytes from offset on, as many as lie in one chunk (empty at the end). Valid until the next call. */
int blob_reader_at(struct blob_reader *r, uint64_t offset, struct span *out);
void blob_reader_close(struct blob_reader **r);

/* Gathering records into a new pack, which is there whole or not at all. add: `record` is what lies at `from`, verified
   (ERR_CORRUPT: nothing was added); *to, where it will lie. put: the pack is on stable storage, and was found there again.
   A pack that was gathered and not put leaves nothing behind. One thread at a time for each. */
struct blob_gather;
int blob_gather_new(struct blob_store *s, struct blob_gather **out);
int blob_gather_add(struct blob_gather *g, const struct blob_location *from, struct span record, struct blob_location *to);
int64_t blob_gather_size(const struct blob_gather *g);
int blob_gather_put(struct blob_gather *g);
void blob_gather_free(struct blob_gather **g);

/* For check: every record of every row and pack of the store, in order; stops when fn returns non-zero. Each record is read
   whole and its SHA-256 compared (result). Bytes that are no record where one should be are told as a corrupt record of
   no length; offset 0 is the pack's own header. */
struct blob_record {
	struct blob_location at;
	uint64_t size;
	unsigned char sha256[32];
	int result; /* OK, ERR_CORRUPT, ERR_UNAVAILABLE */
};
int blob_scan(struct blob_store *s, int (*fn)(void *ctx, const struct blob_record *r), void *ctx);

/* For purge, which alone removes. A pack that was not written for so long is not written any more, by whatever node. */
#define BLOB_PACK_IDLE_US (30 * 60 * INT64_C(1000000))
struct blob_pack_info {
	int64_t pack;
	int64_t size;    /* bytes */
	int64_t changed; /* when it was last written, us since 1970: a young one may hold what no row refers to yet */
	bool open;       /* deliveries still go to it */
};
/* All packs of the store, of every node, by id; stops when fn returns non-zero, and returns that. A pack that has no name
   yet is not among them. */
int blob_list(struct blob_store *s, int (*fn)(void *ctx, const struct blob_pack_info *p), void *ctx);
/* OK: the pack is not there and does not come back with a power cut, also when it was not there before. Who reads a
   small record of it has that in hand; all others get ERR_NOT_FOUND. ERR_INVALID: it is the open pack. */
int blob_remove_pack(struct blob_store *s, int64_t pack);
/* A finished stage that holds the record of `at` as it is stored, its checksums verified, to be written elsewhere by
   blob_write() (or store_commit()); the record that was copied stays. Fails as reading does; ERR_INVALID: the body has
   a pack of its own, which is never partly dead. */
int blob_stage_copy(struct blob_store *s, const struct blob_location *at, struct blob_stage **out);

/* For a copy of the store: while it is held, no pack is removed (blob_remove_pack: ERR_UNAVAILABLE). Holds add up. */
void blob_hold(struct blob_store *s);
void blob_release(struct blob_store *s);
/* All packs into folder `to`, on which a file: store can be opened then; what is there already from an earlier copy is left
   alone. The store is held. What was durable when it was called is there; later records may be, the last one cut. */
int blob_copy(struct blob_store *s, const char *to, struct file_copy *c);
/* Packs that are gone from the store go from the copy, once nothing refers to them there any more. */
int blob_copy_prune(struct blob_store *s, const char *to);

struct blob_stats {
	uint64_t flushes, syncs, records, bytes_raw, bytes_stored, packs;
	/* Found at open: packs that an earlier start left without an end, and what was cut off them (never answered). */
	uint64_t torn_packs, torn_bytes;
};
void blob_stats(struct blob_store *s, struct blob_stats *out);

#endif
