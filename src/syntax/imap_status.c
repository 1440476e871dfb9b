#include "imap_status.h"

static const char *const names[STATUS_ITEMS] = {
	"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "SIZE", "MAILBOXID", "APPENDLIMIT",
	"DELETED", "DELETED-STORAGE",
};

const char *imap_status_name(int i)
{
	return names[i];
}

bool imap_status_items(struct imap_args *a, unsigned *items)
{
	struct span word;
	unsigned all = 0;
	if (!imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		int i = 0;
		if (!imap_atom(a, &word))
			return false;
		while (i < STATUS_ITEMS && !span_ieq(word, span_of(names[i])))
			i++;
		if (i == STATUS_ITEMS)
			return imap_bad(a, "an item of STATUS is not known");
		all |= 1u << i;
	}
	if (!all)
		return imap_bad(a, "an item of STATUS expected");
	*items = all;
	return true;
}
