/* Text without regard to case, in UTF-8: i;unicode-casemap (RFC 5051), as I18NLEVEL=1 (RFC 5255) wants it for SEARCH, SORT and
   THREAD. Both sides are folded, each character to its titlecase, decomposed, then compared byte by byte: so composed and
   decomposed accents are the same, and a letter is found in the same one with an accent. */
#ifndef TEXT_FOLD_H
#define TEXT_FOLD_H

#include "buffer.h"

/* Appends s folded. Bytes that are no UTF-8 are kept as they are. */
void text_fold(struct span s, struct buffer *out);

/* A needle looked for in text that comes in pieces. */
struct text_find {
	struct span needle; /* folded, the caller's, unchanged while in use */
	struct buffer tail; /* the last needle.n - 1 bytes seen */
	bool found;
};

/* An empty needle is found at once. */
void text_find_start(struct text_find *f, struct span needle);
/* True as soon as the needle occurred in what was pushed so far. */
bool text_find_push(struct text_find *f, struct span folded);
void text_find_free(struct text_find *f);

/* All at once: is the folded needle in this text, which is folded here? */
bool text_contains(struct span text, struct span needle);

#endif
