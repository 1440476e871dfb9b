/* The body of a journal row: what a change did, as a run of operations. Compact, and written so that followers, undo
 * and history need no other source for "which entries": what an entry was before stands in past.
 *
 * An operation: varint kind, varint collection, then
 *   UIDs (ADD, FLAGS, END): varint count, then per range varint distance from the last UID (shifted by one; the low bit set when backwards), varint length - 1; all of it behind a varint count of bytes
 *   a name (FOLDER_CREATE, FOLDER_DELETE, FOLDER_REVIVE: path; ITEM_*: name): varint length, bytes
 *   two names (FOLDER_RENAME: from, to; ENVELOPE: sender, recipient as given)
 *   ADD begins with a varint: the collection it was copied or moved out of, 0 for none. */
#ifndef LOG_BODY_H
#define LOG_BODY_H

#include "buffer.h"

enum log_op {
	LOG_ADD = 1,
	LOG_FLAGS = 2,
	LOG_END = 3,
	LOG_FOLDER_CREATE = 4,
	LOG_FOLDER_DELETE = 5,
	LOG_FOLDER_RENAME = 6,
	LOG_FOLDER_REVIVE = 7,
	LOG_ENVELOPE = 8,
	LOG_ITEM_ADD = 9,
	LOG_ITEM_SET = 10,
	LOG_ITEM_END = 11,
};

/* What kind of change it was: the journal's kind column. Numbers are part of the store's format. */
enum change_kind {
	CHANGE_DELIVER = 1,
	CHANGE_APPEND = 2,
	CHANGE_FLAGS = 3,
	CHANGE_EXPUNGE = 4,
	CHANGE_COPY = 5,
	CHANGE_MOVE = 6,
	CHANGE_CREATE = 7,
	CHANGE_DELETE = 8,
	CHANGE_RENAME = 9,
	CHANGE_SUBSCRIBE = 10,
	CHANGE_IMPORT = 11,
	CHANGE_RESTORE = 12,
	CHANGE_ACCOUNT_ADD = 13,
	CHANGE_ACCOUNT_REMOVE = 14,
	CHANGE_ACCOUNT_PASSWORD = 15,
	CHANGE_ACCOUNT_RESTORE = 16,
	CHANGE_SNAPSHOT_CREATE = 17,
	CHANGE_SNAPSHOT_REMOVE = 18,
	CHANGE_SYSTEM = 19,
	CHANGE_UNDO = 20,
	CHANGE_RIGHTS = 21,
	CHANGE_METADATA = 22,
	CHANGE_SETTING = 30,
	CHANGE_DOMAIN = 31,
	CHANGE_ALIAS = 32,
	CHANGE_APP = 33,
};

/* Collects UIDs of one operation, ascending or not, and writes them as ranges. */
struct log_uids {
	struct buffer ranges; /* pairs already closed */
	uint64_t count, last, first;
	uint64_t prev; /* last UID of the closed range before */
};
void log_uids_add(struct log_uids *u, uint32_t uid);
/* Appends the operation to body when there are UIDs, and empties u. from is for LOG_ADD only. */
void log_uids_close(struct log_uids *u, struct buffer *body, enum log_op op, int64_t collection, int64_t from);
void log_names(struct buffer *body, enum log_op op, int64_t collection, struct span a, struct span b);

/* Reading: one operation at a time. */
struct log_operation {
	enum log_op op;
	int64_t collection, from;
	struct span uids; /* see log_next_range */
	uint64_t ranges;
	struct span a, b;
};
/* 1: *out is set; 0: end; < 0: the body is damaged. */
int log_next(struct span *body, struct log_operation *out);
/* Takes a range off op->uids; *at starts at 0. False when there is none. */
bool log_next_range(struct log_operation *op, uint64_t *at, uint32_t *first, uint32_t *last);
uint64_t log_count(const struct log_operation *op);

#endif
