/* What NOTIFY asks for (RFC 5465, 8): of which mailboxes the client wants to hear which events. */
#ifndef IMAP_NOTIFY_H
#define IMAP_NOTIFY_H

#include "imap_fetch.h"
#include "imap_filter.h"

enum {
	NOTIFY_GROUPS_MAX = 50,
	NOTIFY_NAMES_MAX = 200, /* of mailboxes, in all groups */
};

enum notify_event {
	NOTIFY_MESSAGE_NEW = 1,
	NOTIFY_MESSAGE_EXPUNGE = 2,
	NOTIFY_FLAG_CHANGE = 4,
	NOTIFY_ANNOTATION_CHANGE = 8,
	NOTIFY_MAILBOX_NAME = 16,
	NOTIFY_SUBSCRIPTION_CHANGE = 32,
	NOTIFY_MAILBOX_METADATA_CHANGE = 64,
	NOTIFY_SERVER_METADATA_CHANGE = 128,
	NOTIFY_OTHER = 256, /* one that this server has never heard of */
	NOTIFY_MESSAGE = 15, /* those of messages */
	NOTIFY_METADATA = 192, /* those of annotations */
};
enum { NOTIFY_EVENTS = 8 /* that have names */ };

struct imap_notify_group {
	struct imap_filter filter;
	unsigned events; /* of enum notify_event */
};

struct imap_notify {
	bool set;      /* NOTIFY SET; else NONE: nothing else is */
	bool status;   /* STATUS of all mailboxes at once */
	bool too_many; /* groups; what is more was passed over */
	unsigned events; /* of all groups */
	struct imap_notify_group *groups;
	size_t n;
	struct imap_filter_names names;
	bool has_fetch;
	struct imap_fetch fetch; /* of new messages of the selected mailbox */
	struct span items;       /* the same as sent: "(UID FLAGS)" */
};

/* Everything behind the word, to the end of the command: ` SET STATUS (SELECTED (MessageNew (UID) MessageExpunge))`. What is
   found points into the command and its arena. */
bool imap_notify_parse(struct imap_args *a, struct imap_notify *out);
/* 0 <= i < NOTIFY_EVENTS: "MessageNew" is that of 1 << 0. */
const char *imap_notify_event_name(int i);

#endif
