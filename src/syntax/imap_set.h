/* Sequence sets and UID sets (RFC 3501: sequence-set): kept as ranges, never expanded, so "1:4294967295" costs no
   more than "1". */
#ifndef IMAP_SET_H
#define IMAP_SET_H

#include "arena.h"
#include "buffer.h"

enum { IMAP_SET_RANGES_MAX = 20000 };

/* first <= last, except where '*' (0) is not resolved yet. */
struct imap_range {
	uint32_t first, last;
};

struct imap_set {
	struct imap_range *ranges;
	size_t n;
};

/* "1:*,5,9:7". ERR_INVALID; ERR_LIMIT over 20,000 ranges or the arena. */
int imap_set_parse(struct arena *a, struct span text, struct imap_set *out);
/* Gives '*' its number (the largest in use), then sorts and merges. With max 0 (an empty mailbox) ranges with '*'
   vanish. Everything below wants a resolved set. */
void imap_set_resolve(struct imap_set *s, uint32_t max);

/* How many numbers it holds. */
uint64_t imap_set_count(const struct imap_set *s);
/* The largest number, 0 when empty. */
uint32_t imap_set_last(const struct imap_set *s);
/* O(log ranges). */
bool imap_set_contains(const struct imap_set *s, uint32_t v);
/* The smallest member >= from, or 0 for none; O(log ranges). Walk with from = v + 1 until it returns 0. Sets from
   clients may hold 2^32 members: walk what the mailbox holds and ask for those instead. */
uint32_t imap_set_next(const struct imap_set *s, uint64_t from);

/* What is in both. out->ranges has room for as many ranges as both have together. */
void imap_set_intersect(const struct imap_set *a, const struct imap_set *b, struct imap_set *out);

/* s without `gone` and with `come`, which are ascending; no member of s is in come. out->ranges has room for as many ranges as s has,
   and one more for each number. */
void imap_set_change(const struct imap_set *s, const uint32_t *gone, size_t n_gone, const uint32_t *come, size_t n_come,
                     struct imap_set *out);

/* Writes numbers one by one as a compact set: runs of successive numbers become ranges; order is kept. Start with
   { .b = buffer }. */
struct imap_set_writer {
	struct buffer *b;
	bool some; /* anything written yet? */
	uint32_t first, last;
};
void imap_set_add(struct imap_set_writer *w, uint32_t v);
void imap_set_add_range(struct imap_set_writer *w, struct imap_range r);
/* Writes the last run; the text is complete (empty when nothing was added). */
void imap_set_finish(struct imap_set_writer *w);
/* All of that for an array. */
void imap_set_put(struct buffer *b, const uint32_t *v, size_t n);

#endif
