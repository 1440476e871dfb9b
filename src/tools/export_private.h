/* What the two kinds of targets share. */
#ifndef EXPORT_PRIVATE_H
#define EXPORT_PRIVATE_H

#include <limits.h>

#include "arena.h"
#include "export_target.h"

/* A kind of target. Each function may fail with a detail. */
struct export_format {
	/* Makes what is missing and learns what is there; without `ours` nothing may be there. */
	int (*open)(struct export_target *t, bool ours);
	int (*folder)(struct export_target *t);
	/* The message of t->message begins, whole at its last byte. */
	int (*begin)(struct export_target *t);
	int (*data)(struct export_target *t, struct span bytes);
	int (*end)(struct export_target *t);
	/* What was begun and not ended is as if it never was. */
	void (*drop)(struct export_target *t);
	/* On stable storage. */
	int (*sync)(struct export_target *t);
	void (*close)(struct export_target *t);
};

struct export_message {
	uint32_t uid;
	int64_t date;
	uint64_t size, left; /* bytes still to come */
	struct span flags;
	bool open;
};

/* (UIDVALIDITY, UID) of messages that are there already, sorted. */
struct export_known {
	int64_t uidvalidity;
	uint32_t uid;
};

struct export_target {
	const struct export_format *format;
	const char *path, *at, *folder_asked;
	/* The state file. */
	char state[PATH_MAX], resume[32];
	struct buffer address, unfinished; /* whose mail; --at and --folder of an export that broke off */
	/* The current folder and message. */
	struct buffer folder, flags;
	int64_t uidvalidity;
	struct export_message message;
	bool skip; /* the message is there already: its bytes are passed over */
	struct buffer known; /* struct export_known */
	void *own; /* the format's */
};

extern const struct export_format export_maildir, export_mbox;

void export_know(struct export_target *t, int64_t uidvalidity, uint32_t uid);
void export_known_sort(struct export_target *t);
/* "dir/name", or a failure. */
int export_path(char out[static PATH_MAX], const char *dir, const char *name);

#endif
