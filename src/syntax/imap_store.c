#include "imap_store.h"

static bool take_modifiers(struct imap_args *a, struct imap_store *s)
{
	if (!imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		if (s->has_unchangedsince || !imap_take_word(a, SPAN("UNCHANGEDSINCE")))
			return imap_bad(a, "UNCHANGEDSINCE expected");
		if (!imap_sp(a) || !imap_number64(a, &s->unchangedsince))
			return false;
		s->has_unchangedsince = true;
	}
	return s->has_unchangedsince ? imap_sp(a) : imap_bad(a, "UNCHANGEDSINCE expected");
}

static bool take_mode(struct imap_args *a, struct imap_store *s)
{
	if (imap_take(a, '+'))
		s->mode = IMAP_STORE_ADD;
	else if (imap_take(a, '-'))
		s->mode = IMAP_STORE_REMOVE;
	s->silent = imap_take_word(a, SPAN("FLAGS.SILENT"));
	return s->silent || imap_take_word(a, SPAN("FLAGS")) || imap_bad(a, "FLAGS, +FLAGS or -FLAGS expected");
}

bool imap_store_parse(struct imap_args *a, struct imap_store *out)
{
	struct imap_store s = { .mode = IMAP_STORE_REPLACE };
	if (imap_peek(a, '(') && !take_modifiers(a, &s))
		return false;
	if (!take_mode(a, &s) || !imap_sp(a))
		return false;
	bool ok = imap_peek(a, '(') ? imap_flag_list(a, &s.flags) : imap_flags_bare(a, &s.flags);
	if (!ok || !imap_end(a))
		return false;
	*out = s;
	return true;
}
