/* What STORE asks for, behind the set (RFC 3501, 6.4.6; RFC 7162). */
#ifndef IMAP_STORE_H
#define IMAP_STORE_H

#include "imap_args.h"

enum imap_store_mode { IMAP_STORE_REPLACE, IMAP_STORE_ADD, IMAP_STORE_REMOVE };

struct imap_store {
	enum imap_store_mode mode;
	bool silent;
	bool has_unchangedsince;
	uint64_t unchangedsince;
	struct imap_flags flags;
};

/* `(UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen a)`, `FLAGS \Seen`, to the end of the command. */
bool imap_store_parse(struct imap_args *a, struct imap_store *out);

#endif
