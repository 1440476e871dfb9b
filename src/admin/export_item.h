/* What an export consists of, on its way from the node to the command: its beginning, then each folder, each folder's
   messages in the order of their UIDs, and the end. */
#ifndef EXPORT_ITEM_H
#define EXPORT_ITEM_H

#include "buffer.h"

enum export_kind {
	EXPORT_BEGIN = 1,   /* number: the account's change that is exported; date: its instant; text: the address */
	EXPORT_FOLDER = 2,  /* text: path, UTF-8; number: UIDVALIDITY. Answered by the UIDs that are there already ("1:7,9") */
	EXPORT_MESSAGE = 3, /* text: flags and keywords as in IMAP; number: UID; size bytes follow as FRAME_DATA. One that is cut
	                       short (another item, or the end, comes before) could not be read and counts for nothing */
	EXPORT_END = 4,     /* answered by "yes" when all of it is on stable storage */
};

struct export_item {
	enum export_kind kind;
	struct span text;
	int64_t number, date; /* date of a message: INTERNALDATE, us since 1970 */
	uint64_t size;
};

void export_item_put(struct buffer *b, const struct export_item *i);
bool export_item_parse(struct span s, struct export_item *out);

#endif
