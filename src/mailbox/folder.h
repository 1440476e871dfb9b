/* Folders (collections of mail) of an account, now or in the past.
 *
 * Names are UTF-8 paths with '/' between components; INBOX is matched without case, also as first component. Names that
 * begin with '#' are not folders of the account (see view.h for "#at/WHEN/..."): protocols look at those first. */
#ifndef FOLDER_H
#define FOLDER_H

#include "arena.h"
#include "service.h"

enum folder_attribute {
	FOLDER_NOSELECT = 1,
	FOLDER_DRAFTS = 16,
	FOLDER_SENT = 32,
	FOLDER_JUNK = 64,
	FOLDER_TRASH = 128,
	FOLDER_ARCHIVE = 256,
	FOLDER_SPECIAL = 496, /* the five above: what a folder is used for */
};
enum { FOLDER_OBJECTID = 64 /* room for a MAILBOXID */ };

struct folder {
	int64_t id, parent;
	struct span name; /* last component */
	struct span path; /* whole */
	int64_t attributes;
	bool has_children;
	int64_t uidvalidity, uidnext;
	int64_t change;   /* HIGHESTMODSEQ */
	int64_t messages, unseen, bytes;
	int64_t recent;   /* UIDs from here on are \Recent */
	int64_t begin;    /* change that gave it this definition */
	int64_t created;
	struct span keywords; /* ever used in it, blank-separated; may be empty */
};

/* All folders of an account, parents before children, siblings by name, INBOX first. */
struct tree {
	struct arena arena;
	struct folder *list;
	size_t n;
	int64_t change; /* the account's change number it was read at */
};

/* at: a change number to see the past, 0 for now. Counters of the past are those of each folder's last change then,
   except messages, unseen and bytes, which are 0: see folder_count. */
int tree_read(struct service *s, int64_t account, int64_t at, struct tree *out);
/* Of what is there now, only the folders on the way down to path: enough to find it. Their has_children says nothing. */
int tree_read_path(struct service *s, int64_t account, struct span path, struct tree *out);
/* Likewise, only these folders, those of them that are there, and what they lie in. */
int tree_read_folders(struct service *s, int64_t account, const int64_t *ids, size_t n, struct tree *out);
/* NULL when there is none. */
struct folder *tree_find(const struct tree *t, struct span path);
struct folder *tree_by_id(const struct tree *t, int64_t id);
void tree_free(struct tree *t);

/* Counters of one folder at a change (at > 0): *f gets messages, unseen, bytes. */
int folder_count(struct service *s, int64_t account, int64_t at, struct folder *f);
/* What an EXPUNGE would take: the living messages with \Deleted, and their bytes. */
int folder_count_deleted(struct service *s, int64_t account, int64_t id, int64_t *messages, int64_t *bytes);
/* How many of a living folder's messages are \Recent to who looks now. */
int folder_count_recent(struct service *s, int64_t account, const struct folder *f, uint32_t *messages);
/* f->unseen: the messages that are unseen to somebody else than the owner. */
int folder_count_unseen(struct service *s, int64_t account, int64_t viewer, struct folder *f);
/* The MAILBOXID of a living folder (RFC 8474), for as long as it has its UIDVALIDITY. */
void folder_objectid(int64_t account, int64_t id, char out[FOLDER_OBJECTID]);

/* Creates missing parents. ERR_EXISTS, ERR_INVALID (a bad name; the detail says why), ERR_LIMIT. */
int folder_create(struct service *s, int64_t account, struct span path, const struct actor *a);
/* The same for a special use, attributes out of FOLDER_SPECIAL (0: none); *id is set. ERR_DENIED: another folder has it. */
int folder_create_for(struct service *s, int64_t account, struct span path, int64_t special, const struct actor *a, int64_t *id);
/* The folder as it is, messages and all, ends by one row; open views of it see ERR_NOT_FOUND. With children it stays
   as a name that cannot be selected. INBOX: ERR_CANNOT. */
int folder_delete(struct service *s, int64_t account, struct span path, const struct actor *a);
/* With all below it. Renaming INBOX moves its messages to the new name and leaves INBOX empty (RFC 3501, 6.3.5). */
int folder_rename(struct service *s, int64_t account, struct span from, struct span to, const struct actor *a);

/* Subscriptions are names; a folder need not exist for its name to be subscribed (RFC 3501, 6.3.6). */
int folder_subscribe(struct service *s, int64_t account, struct span path, bool on, const struct actor *a);
/* The subscribed names, sorted, in the arena. */
int folder_subscriptions(struct service *s, int64_t account, struct arena *arena, struct span **names, size_t *n);

#endif
