/* WHEN: how people name a moment, in commands and in "#at/WHEN/...". */
#ifndef WHEN_H
#define WHEN_H

#include "buffer.h"

enum when_kind {
	WHEN_INSTANT,  /* 2026-11-20T10:00:00.5Z, +01:00; without a zone local time. A blank may stand for the T. */
	WHEN_AGE,      /* 90s 5m 2h 3d 1w: so long before now */
	WHEN_SNAPSHOT, /* [a-z][a-z0-9._-]{0,63} */
	WHEN_CHANGE,   /* @17 */
};

struct when {
	enum when_kind kind;
	int64_t us; /* the instant since 1970 UTC, or the age; a fraction's digits past the sixth are dropped */
	struct span name; /* points into the text */
	uint64_t change;
};

/* ERR_INVALID with a detail that fits for users. */
int when_parse(struct span text, struct when *out);
/* A day alone, 2026-11-20: the instant at which it begins in local time. */
int when_parse_day(struct span text, int64_t *us);
/* Is it a name a snapshot may have? */
bool when_is_snapshot_name(struct span text);
/* RFC 3339 in UTC with what microseconds there are: 2026-11-20T10:00:00.25Z, 2026-11-20T10:00:00Z. */
void when_put(struct buffer *b, int64_t us);

#endif
