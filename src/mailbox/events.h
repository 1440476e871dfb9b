/* What happened in an account since a change, read from its log: for who asked to hear of it. Whoever asks remembers one number,
   however many folders it is about; what comes is bounded, and what is more comes with the next call. */
#ifndef EVENTS_H
#define EVENTS_H

#include "arena.h"
#include "buffer.h"
#include "service.h"

enum { EVENTS_BEHIND_MAX = 10000 /* changes: whoever is further behind is not told any more */ };

enum { EVENT_NEW = 1, EVENT_GONE = 2, EVENT_FLAGS = 4 };
struct message_event {
	int64_t folder;
	unsigned what; /* happened to some of its messages */
};

enum name_event_kind { NAME_MADE, NAME_MOVED, NAME_ENDED, NAME_SUBSCRIBED };
struct name_event {
	enum name_event_kind kind;
	struct span name, from; /* from: of NAME_MOVED */
};

struct annotation_event {
	int64_t folder; /* 0: the server's */
	struct span entry;
};

struct events {
	struct arena arena;
	int64_t change;         /* all up to there was looked at */
	bool more;              /* there are changes behind it */
	struct buffer messages; /* struct message_event each, a folder once */
	struct buffer names;    /* struct name_event each, as they happened */
	struct buffer annotations; /* struct annotation_event each, an entry of a folder once: it has another value, or none */
};

/* Changes after `since` that were not made by that session. ERR_LIMIT: that is too far back. */
int events_read(struct service *s, int64_t account, int64_t since, int64_t session, struct events *out);
void events_free(struct events *e);
/* The account's last change. */
int events_now(struct service *s, int64_t account, int64_t *change);

#endif
