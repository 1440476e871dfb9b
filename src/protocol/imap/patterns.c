#include "patterns.h"

#include "fail.h"
#include "nfc.h"

bool read_pattern(struct command *c, struct span *reference, struct span *pattern)
{
	return imap_astring(&c->args, reference) && imap_sp(&c->args) && imap_list_mailbox(&c->args, pattern);
}

int join_pattern(struct command *c, struct span reference, struct span pattern, struct span *out)
{
	struct span all;
	size_t n = reference.n + pattern.n;
	char *p = n <= 2 * MAILBOX_NAME_MAX ? arena_alloc(&c->arena, n + 1) : NULL;
	if (!p)
		return fail_with(ERR_LIMIT, "that pattern is too long");
	memcpy(p, reference.p, reference.n);
	memcpy(p + reference.n, pattern.p, pattern.n);
	int rc = mailbox_name_decode(&c->arena, span_from(p, n), c->session->utf8, &all);
	if (!rc && c->session->utf8)
		rc = nfc(&c->arena, all, &all);
	return rc ? rc : mailbox_name_normal(&c->arena, all, out);
}

bool pattern_matches(struct mailbox_pattern *pattern, struct span name, bool utf8)
{
	struct arena memory = { 0 };
	struct span form = name;
	bool matches = (!utf8 || nfc(&memory, name, &form) == OK) && mailbox_pattern_match(pattern, form);
	arena_free(&memory);
	return matches;
}
