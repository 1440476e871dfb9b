#include "sort_entry.h"

#include "clock.h"
#include "fail.h"

enum view_depth sort_entry_depth(const struct imap_sort *by)
{
	return sort_needs_facts(by) ? VIEW_SUMMARIES : VIEW_ENTRIES;
}

void sort_entry_key(const struct imap_sort *by, const struct entry *e, struct sort_scratch *w, struct buffer *out)
{
	struct sort_message m = { .internal = e->date / SECOND_US, .size = e->size, .facts.sent = e->date / SECOND_US };
	struct mime_summary summary;
	if (e->summary.p && mime_summary_open(e->summary, &summary) == OK) /* a damaged one is sorted by what else is known */
		message_facts(&summary, e->date, &m.facts);
	sort_key_put(by, &m, w, out);
}
