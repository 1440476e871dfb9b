/* What SORT orders messages by, out of their entries. */
#ifndef SORT_ENTRY_H
#define SORT_ENTRY_H

#include "sort_key.h"
#include "view.h"

/* How much of an entry that takes. */
enum view_depth sort_entry_depth(const struct imap_sort *by);
void sort_entry_key(const struct imap_sort *by, const struct entry *e, struct sort_scratch *w, struct buffer *out);

#endif
