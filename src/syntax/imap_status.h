/* What STATUS asks for, also as a return option of LIST (RFC 3501, 6.3.10; RFC 5819, 7162, 7889, 8438, 8474, 9208). */
#ifndef IMAP_STATUS_H
#define IMAP_STATUS_H

#include "imap_args.h"

enum imap_status_item {
	STATUS_MESSAGES = 1,
	STATUS_RECENT = 2,
	STATUS_UIDNEXT = 4,
	STATUS_UIDVALIDITY = 8,
	STATUS_UNSEEN = 16,
	STATUS_HIGHESTMODSEQ = 32,
	STATUS_SIZE = 64,
	STATUS_MAILBOXID = 128,
	STATUS_APPENDLIMIT = 256,
	STATUS_DELETED = 512,
	STATUS_DELETED_STORAGE = 1024,
};
enum { STATUS_ITEMS = 11 };

/* `(MESSAGES UIDNEXT)`: the items as bits, at least one. */
bool imap_status_items(struct imap_args *a, unsigned *items);
/* The name of the i-th bit, i < STATUS_ITEMS. */
const char *imap_status_name(int i);

#endif
