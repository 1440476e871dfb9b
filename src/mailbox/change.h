/* Writing the log: one change to one account, within a transaction. Only the mailbox service and protect write through
 * this; whatever they do to live rows, the rows replaced go to past and one journal row tells of it.
 *
 *     change_begin -> any number of change_... -> change_end        (all in one run of a meta_fn)
 *
 * A change that did nothing leaves no trace. After a failure of any call the transaction is to be rolled back: return the
 * failure from the meta_fn; change_end frees in either case. */
#ifndef CHANGE_H
#define CHANGE_H

#include "clock.h"
#include "folder.h"
#include "log_body.h"
#include "meta.h"

/* An account that changes is named in `dirty` under the slot of the change's stamp, for followers (follow.h). */
#define DIRTY_SLOT_US (10 * SECOND_US)

struct head {
	int64_t tenant, domain, change, stamp, tree, floor, next_collection, next_uidvalidity, messages, bytes;
};

/* ERR_NOT_FOUND: no such account. */
int change_head(struct meta_txn *t, int64_t account, struct head *out);

enum collection_kind { COLLECTION_SYSTEM = 1, COLLECTION_MAIL = 2, COLLECTION_SUBSCRIPTIONS = 3, COLLECTION_RIGHTS = 4, COLLECTION_METADATA = 5 };
enum { INBOX = 1, SUBSCRIPTIONS = 2 }; /* collections of every account */

struct collection {
	int64_t id, begin, created, kind, parent;
	struct span name;
	int64_t attributes, uidvalidity, uidnext, change, recent, messages, unseen, bytes;
	struct span keywords;
};
/* From a row with COLLECTION_COLUMNS; spans point into the row. */
void collection_from_row(const struct meta_rows *r, struct collection *c);

/* One version of an entry or item. */
struct version {
	uint32_t uid;
	int64_t created, change;
	uint64_t flags;
	struct span keywords;
	int64_t date, saved, email;
	uint64_t size;
	struct span name, data; /* items */
};
/* From a row with ENTRY_COLUMNS. */
void version_from_row(const struct meta_rows *r, struct version *v);

/* What a change touched, for notices after the commit. */
struct touched {
	int64_t account;
	int64_t change;         /* its number; 0 when it did nothing */
	int64_t slot;           /* of dirty, that names the account */
	int64_t collections[8]; /* the first ones; n may be larger: then take it as all */
	size_t n;
	int64_t grown;          /* a collection whose UIDs are to be saved anew (uidmap_saved.h); 0: none */
};

struct change {
	struct service *s;
	struct meta_txn *t;
	int64_t account, number, stamp, changeset;
	enum change_kind kind;
	const struct actor *actor;
	struct head head;
	struct buffer body;
	struct log_uids uids; /* of the operation that is being collected */
	enum log_op op;
	int64_t op_collection, op_from;
	struct arena arena;
	struct open_collection *open;
	bool did;
};

/* Names what change_begin reads (meta_expect). Whoever can name more of what its change will read does so right behind, before
   change_begin: then all of it comes with one answer of the database, and the head first, by which the rest is kept still. */
void change_expect(struct meta_txn *t, int64_t account);

/* Reads the head. ERR_NOT_FOUND: no such account. ERR_FULL: the disk has no room for a change, but of the system log.
   ERR_UNAVAILABLE: this node's clock is off. */
int change_begin(struct change *c, struct service *s, struct meta_txn *t, int64_t account, enum change_kind kind,
                 const struct actor *actor, int64_t changeset);
/* The same for the first change of an account, which makes its log. The account's id must be nobody's. */
int change_begin_account(struct change *c, struct service *s, struct meta_txn *t, int64_t account, enum change_kind kind,
                         const struct actor *actor);
/* result: what went before; OK writes counters, journal and head, anything else only frees. Returns result or the first
   failure. touched (may be NULL) is set. */
int change_end(struct change *c, int result, struct touched *touched);

/* Is there room for so many more bytes? quota 0: always. Ask before anything is written for them: ERR_QUOTA. */
int change_room(const struct change *c, int64_t quota, uint64_t bytes);

/* A living collection, its counters kept by this change. Lives until change_end. ERR_NOT_FOUND. */
int change_collection(struct change *c, int64_t id, struct collection **out);
/* The same out of a row that was found otherwise, with COLLECTION_COLUMNS. */
int change_collection_row(struct change *c, const struct meta_rows *r, struct collection **out);
/* Its change number moves, and who watches it is told, though nothing of it is different. */
void change_touch(struct collection *k);
/* A new one, or (change_collection_revive) one that ended, as it was at its end but with this parent and name. path is
   for the journal. *id out. */
int change_collection_add(struct change *c, enum collection_kind kind, int64_t parent, struct span name, int64_t attributes,
                          struct span path, int64_t *id);
int change_collection_revive(struct change *c, int64_t id, int64_t parent, struct span name, struct span path);
int change_collection_define(struct change *c, int64_t id, int64_t parent, struct span name, int64_t attributes,
                             struct span from, struct span to);
int change_collection_end(struct change *c, int64_t id, struct span path);

/* A new entry; v->uid, created and change are set here. from: the collection it was copied or moved out of, or 0. */
int change_entry_add(struct change *c, struct collection *to, struct version *v, int64_t from);
/* New flags for an entry; v is its version so far and becomes the new one. */
int change_entry_flags(struct change *c, struct collection *in, struct version *v, uint64_t flags, struct span keywords);
int change_entry_end(struct change *c, struct collection *in, const struct version *v);

/* \Seen as somebody else than the owner has it: an overlay of the entry. */
int change_entry_seen(struct change *c, struct collection *in, int64_t viewer, uint32_t uid, bool seen);

/* The same for many entries at once, some ten times faster. v: n living versions, ascending; of all that live between the
   first and the last of them, exactly these are meant by the condition flags & mask != is (mask 0, is 1: all). */
struct flags_condition {
	uint64_t mask, is;
};
/* keep: bits that stay, add: bits that are set. Keywords stay. */
int change_range_flags(struct change *c, struct collection *in, const struct version *v, size_t n, struct flags_condition not,
                       uint64_t keep, uint64_t add);
int change_range_end(struct change *c, struct collection *in, const struct version *v, size_t n, struct flags_condition not);

/* The email behind new entries. */
int change_email_add(struct change *c, int64_t blob, uint64_t size, int64_t sent, struct span summary, int64_t *email);

/* Items of collections that are found by name. uid 0: the next one. ERR_EXISTS: the name is taken. */
void change_expect_item(struct meta_txn *t, int64_t account, int64_t collection, struct span name);
int change_item_add(struct change *c, int64_t collection, uint32_t uid, struct span name, int64_t date, struct span data,
                    uint32_t *out);
int change_item_set(struct change *c, int64_t collection, uint32_t uid, struct span name, int64_t date, struct span data);
int change_item_end(struct change *c, int64_t collection, uint32_t uid, struct span name);

/* Names for the journal that belong to no entry (LOG_ENVELOPE). */
void change_note(struct change *c, enum log_op op, int64_t collection, struct span a, struct span b);

/* Wakes whoever watches what was touched. After the commit. */
void change_publish(struct service *s, const struct touched *t);

#endif
