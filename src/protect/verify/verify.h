/* Verify: does the store hold what docs/store.md says it always holds? Everything is looked at, beside a running node:
 *
 * - the database's own structure,
 * - every record of every pack and staged row, read whole, its SHA-256 compared, and every blob row against the record it points at,
 * - every email, use of a blob, remembered delivery and position,
 * - every account: journal, collections, counters, entries now and in the past, names.
 *
 * Reads are cut into transactions of a page each. What changes meanwhile disturbs nothing: an account is judged as it was at
 * the change it had when its turn came. Memory: 24 bytes for each record, 8 MiB for versions, a page of rows. */
#ifndef VERIFY_H
#define VERIFY_H

#include "service.h"

struct verify_request {
	/* All may be NULL. say: one line for each trouble: where, what, and what to do. progress: about so far of about so much.
	   cancelled: non-zero ends the run after the current page. */
	void (*say)(void *ctx, const char *line);
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	int (*cancelled)(void *ctx);
	void *ctx;
};

struct verify_report {
	uint64_t troubles;     /* lines that were said; 0: all is well */
	uint64_t records;      /* in packs, and the bytes of the messages in them */
	uint64_t bytes;
	uint64_t blobs;        /* rows */
	uint64_t emails;
	uint64_t accounts;
	uint64_t entries;      /* now */
	uint64_t versions;     /* in the past */
	uint64_t changes;      /* journal rows */
	uint64_t unreferenced; /* records that no row refers to: left by a crash between sync and commit; no trouble */
	uint64_t orphans;      /* packs of which all records are so; purge removes them when they are old enough */
	uint64_t staged;       /* bodies that lie in the database until they are gathered into a pack */
	uint64_t unused;       /* blobs that no email uses; no trouble */
	bool cancelled;
};

/* OK: it ran to its end or was cancelled, whatever it found. Else a store did not answer: ERR_UNAVAILABLE, ERR_STOPPED. */
int verify_run(struct service *s, const struct verify_request *q, struct verify_report *out);

#endif
