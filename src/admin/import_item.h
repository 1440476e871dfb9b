/* A message on its way from a file of the client's into a mailbox. */
#ifndef IMPORT_ITEM_H
#define IMPORT_ITEM_H

#include "buffer.h"

struct import_item {
	struct span folder; /* path with / between names, UTF-8; "" where the source has no folders */
	struct span flags;  /* "\Seen \Answered", as in IMAP */
	int64_t date;       /* when it arrived, us since 1970; 0 if the source does not tell */
	uint64_t size;      /* of the bytes that follow; 0: only the folder is to be there */
};

void import_item_put(struct buffer *b, const struct import_item *i);
bool import_item_parse(struct span s, struct import_item *out);

#endif
