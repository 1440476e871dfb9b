/* Parameters of SELECT and EXAMINE (RFC 4466; RFC 7162, 3.1.8 and 3.2.5). */
#ifndef IMAP_SELECT_H
#define IMAP_SELECT_H

#include "imap_args.h"

struct imap_select {
	bool condstore, qresync;
	/* with qresync: what the client remembers */
	uint32_t uidvalidity;
	uint64_t modseq;
	bool has_known;
	struct imap_set known;   /* its UIDs; resolved */
	bool has_match;
	struct imap_set numbers; /* some message numbers, and in the same order the UIDs they had; resolved, of equal counts */
	struct imap_set uids;
};

/* `(CONDSTORE)`, `(QRESYNC (67890007 9006 1:29,31 (5,10 7,12)))`, or nothing; to the end of the command. */
bool imap_select_parse(struct imap_args *a, struct imap_select *out);
/* The largest pair of numbers and uids that is true by uid_of, as a UID; 0 when none is. count: messages there are. No
   UID up to it was expunged since the client saw them (RFC 7162, 3.2.5.2). */
uint32_t imap_select_match(const struct imap_select *s, uint32_t count, uint32_t (*uid_of)(const void *ctx, uint32_t number),
                           const void *ctx);

#endif
