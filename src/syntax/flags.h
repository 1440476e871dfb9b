/* Flags of an entry: one bit each for the system flags and the well-known keywords, text for all other keywords.
   Everything that stores, changes or shows flags uses this form. Names are compared without regard to ASCII case. */
#ifndef FLAGS_H
#define FLAGS_H

#include "arena.h"
#include "buffer.h"

enum flag {
	FLAG_SEEN = 1,
	FLAG_ANSWERED = 2,
	FLAG_FLAGGED = 4,
	FLAG_DELETED = 8,
	FLAG_DRAFT = 16,
	FLAG_FORWARDED = 32,
	FLAG_MDNSENT = 64,
	FLAG_JUNK = 128,
	FLAG_NOTJUNK = 256,
	FLAG_PHISHING = 512,
	FLAG_IMPORTANT = 1024,
	FLAG_SUBMITPENDING = 2048,
	FLAG_SUBMITTED = 4096,
	FLAGS_SYSTEM = 31,  /* those with a backslash */
	FLAGS_KNOWN = 8191, /* all that have a bit */
};

enum { KEYWORD_MAX = 64 /* bytes of one name */, KEYWORDS_MAX = 50 /* of one entry */ };

/* keywords is canonical text: names separated by one blank, sorted without case, each once; empty for none. */
struct imap_flags {
	uint64_t system;
	struct span keywords;
};

/* The bit of a name, or 0 with OK when it is a keyword that has none. ERR_INVALID: not a flag's name (an unknown
   backslash name, not an atom, over 64 bytes). ERR_CANNOT: \Recent, which nobody sets. */
int flag_parse(struct span name, uint64_t *bit);

/* Collects names in any order into canonical form. Start with { 0 }; the names must stay until flags_finish(). */
struct flags_builder {
	uint64_t system;
	struct span names[KEYWORDS_MAX];
	size_t n;
};

/* ERR_INVALID as flag_parse(); ERR_LIMIT over 50 keywords. \Recent is passed over: clients send it back with APPEND. */
int flags_add(struct flags_builder *f, struct span name);
/* ERR_LIMIT when the arena is full. */
int flags_finish(const struct flags_builder *f, struct arena *a, struct imap_flags *out);

/* Names separated by blanks, without parentheses: "\Seen $Junk a b". recent adds \Recent. */
void flags_put(struct buffer *b, const struct imap_flags *f, bool recent);

/* Operations on canonical text, O(n); where the two spell a name differently, a's spelling stays. */
int keywords_union(struct buffer *out, struct span a, struct span b); /* ERR_LIMIT over 50 */
void keywords_minus(struct buffer *out, struct span a, struct span b);
bool keywords_contains(struct span set, struct span name);
/* Takes the first name off *set; false when there is none. */
bool keywords_next(struct span *set, struct span *name);

#endif
