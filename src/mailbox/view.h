/* A view: a session's picture of one mailbox. It holds a map from message numbers to UIDs (shared with other sessions
 * that see the same state) and two change numbers: up to where flags and new messages were told, and up to where
 * expunges were. What was expunged by others but not told yet can still be read: nothing is lost by a change.
 *
 * A view belongs to one session and is used by one thread at a time. */
#ifndef VIEW_H
#define VIEW_H

#include "acl.h"
#include "folder.h"
#include "imap_set.h"
#include "instant.h"

struct view;

enum { VIEW_READ_ONLY = 1 };

/* path: a folder of the account, or "#at/WHEN/path" for the past (then read-only, and VIEW_PAST of view_info is set).
   A read-write open takes the \Recent mark along. ERR_NOT_FOUND, ERR_INVALID (a bad WHEN; detail), ERR_CANNOT (a name
   that cannot be selected). */
int view_open(struct service *s, int64_t account, struct span path, int flags, struct view **out);
/* The same for somebody else than the owner, as far as his rights go: without that to read ERR_DENIED; without any to change
   something read-only. There is no past for him, and no \Recent; \Seen is his own, and the owner's is none of his. */
int view_open_others(struct service *s, int64_t account, int64_t viewer, struct span path, int flags, struct view **out);
/* May he still read it? Takes his rights anew; of an owner's view always OK. ERR_NOT_FOUND: no, which ends the view. */
int view_allowed(struct view *v);
/* Was that why it ended? */
bool view_denied(const struct view *v);
void view_close(struct view **v);

struct view_info {
	struct folder folder;   /* spans live as long as the view */
	bool past, read_only;
	int64_t account;        /* the owner */
	int64_t viewer;         /* somebody else who looks at it; 0: the owner */
	unsigned rights;        /* imap_rights.h */
	struct instant at;      /* when past */
	uint32_t recent_from;   /* UIDs from here on are \Recent in this session */
	char id[FOLDER_OBJECTID]; /* MAILBOXID; differs between past and present */
};
const struct view_info *view_info(const struct view *v);

/* Messages as numbered for this session. Numbers run from 1; 0 is none. */
uint32_t view_count(const struct view *v);
uint32_t view_uid(const struct view *v, uint32_t number);
uint32_t view_number(const struct view *v, uint32_t uid);
uint32_t view_recent(const struct view *v);
/* Number of the first message without \Seen, or 0. */
int view_first_unseen(struct view *v, uint32_t *number);

/* Brings the view up to date and tells what became different. With expunges false, messages that are gone keep their
   numbers until a later call. ERR_NOT_FOUND: the mailbox itself is gone, or the view has lagged behind for so long that what
   it stands on is purged (the session ends with BYE). */
struct view_delta {
	struct view_gone {
		uint32_t number; /* as numbered after those before it are gone */
		uint32_t uid;
	} *expunged;        /* in the order to announce them: ascending */
	size_t n_expunged;
	uint32_t *changed;  /* UIDs whose flags changed since, ascending; without new messages */
	size_t n_changed;
	bool exists;        /* view_count grew */
};
int view_sync(struct view *v, bool expunges, struct view_delta *out);
void view_delta_free(struct view_delta *d);
/* Has purge taken what the view stands on? That ends it, as the end of its mailbox does. */
bool view_purged(const struct view *v);
/* The change number the view was last brought to, expunges aside; and with them: all up to there was told. */
int64_t view_change(const struct view *v);
int64_t view_settled(const struct view *v);

/* What became different since a change number that a client remembers, as the view shows it (RFC 7162). changed may name
   more messages than did change: pass over those whose entry's change is not over since. vanished: which UIDs among
   these are not in the view because they were expunged since; below the account's purge floor, or where it was too
   much to tell apart, all that are not in it. Not for the past. */
struct view_resync {
	struct imap_set changed, vanished;
};
int view_resync(struct view *v, int64_t since, const struct imap_set *among, struct view_resync *out);
void view_resync_free(struct view_resync *r);

/* "#at/WHEN/path" in its parts; path and when are empty where they are missing. False for any other name. */
bool past_split(struct span name, struct span *when, struct span *path);

/* One message in a mailbox. */
struct entry {
	uint32_t uid;
	int64_t created, change; /* change: MODSEQ */
	uint64_t flags;          /* bits of flags.h, \Recent aside */
	struct span keywords;    /* others, blank-separated */
	int64_t date;            /* INTERNALDATE, us */
	int64_t saved;           /* us */
	int64_t email;           /* EMAILID */
	uint64_t size;           /* RFC822.SIZE */
	struct span summary;     /* mime_summary.h; only when asked for */
	const struct message_place *place; /* message.h; only when asked for */
	const struct ahead *ahead; /* ahead.h; bytes that were read already, perhaps of this one */
};

enum view_depth { VIEW_ENTRIES, VIEW_SUMMARIES, VIEW_PLACES /* and summaries */ };

/* Entries of the view whose UIDs are in the set (resolved) and from `from` on, ascending, at most max of them; they live in the
   arena. Fewer than max means that there are no more. Entries that are gone but untold are read from the past. */
int view_read_set(struct view *v, const struct imap_set *uids, uint64_t from, size_t max, enum view_depth depth,
                  struct arena *arena, struct entry **out, size_t *n);
/* The same for from <= uid <= to. */
int view_read(struct view *v, uint32_t from, uint32_t to, size_t max, bool with_summary, struct arena *arena,
              struct entry **out, size_t *n);

enum store_op { STORE_REPLACE, STORE_ADD, STORE_REMOVE };
struct store_request {
	const struct imap_set *uids; /* resolved UIDs */
	enum store_op op;
	uint64_t flags;
	struct span keywords;        /* canonical text (flags.h) */
	bool has_unchanged_since;    /* only entries whose change is <= unchanged_since */
	int64_t unchanged_since;
	bool others_may_change;      /* or, with ADD and REMOVE, whose flags that are asked for are as they were then */
};
struct store_result {
	int64_t first, last;         /* change numbers it took; 0 when nothing changed */
	int64_t changes;             /* how many of those are its own: all, unless somebody came between */
	bool others_changed;         /* some entry was stored to because of others_may_change */
	uint32_t *modified;          /* UIDs that failed the condition, ascending; free() */
	size_t n_modified;
};
/* ERR_CANNOT in a read-only view. Flags that may not be changed stay as they are; ERR_DENIED when none may. */
int view_store(struct view *v, const struct store_request *r, const struct actor *a, struct store_result *out);

struct copy_result {
	int64_t uidvalidity; /* of the target */
	uint32_t *from, *to; /* pairs, ascending in from; free() each */
	size_t n;
};
/* Into folder path of the view's account. ERR_NOT_FOUND: no such target (TRYCREATE). Out of the past, \Deleted is left
   behind. move: the source entries end in the same changes, else ERR_QUOTA: there is no room for all, and nothing stays. */
int view_copy(struct view *v, const struct imap_set *uids, struct span path, bool move, const struct actor *a,
              struct copy_result *out);
/* The same into a folder of any account, in the name of `viewer` where that is not the account's own user (else 0): there \Seen is
   his, and the new messages are unseen to the owner. Across accounts a move is a copy, and then an expunge. */
int view_copy_to(struct view *v, const struct imap_set *uids, int64_t account, int64_t viewer, struct span path, bool move,
                 const struct actor *a, struct copy_result *out);
/* Ends the messages that carry \Deleted; only those among uids when that is not NULL. */
int view_expunge(struct view *v, const struct imap_set *uids, const struct actor *a);

#endif
