/* The first line is a pattern, the rest a name. Matching agrees with the plain recursion where that is affordable. */
#include <assert.h>

#include "mailbox_name.h"

static bool matches(struct span p, struct span s)
{
	if (p.n == 0)
		return s.n == 0;
	if (p.p[0] != '*' && p.p[0] != '%')
		return s.n && p.p[0] == s.p[0] && matches(span_sub(p, 1, p.n), span_sub(s, 1, s.n));
	if (matches(span_sub(p, 1, p.n), s))
		return true;
	return s.n && (p.p[0] == '*' || s.p[0] != '/') && matches(p, span_sub(s, 1, s.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { 0 };
	struct span in = span_from(data, n), normal;
	ssize_t lf = span_find(in, '\n');
	struct span pattern = span_sub(in, 0, lf < 0 ? 0 : (size_t)lf), name = span_sub(in, (size_t)(lf + 1), n);
	struct mailbox_pattern m;
	assert(mailbox_name_normal(&arena, name, &normal) == 0);
	int rc = mailbox_name_check(name);
	assert(rc == mailbox_name_check(normal));
	assert(rc || (mailbox_name_leaf(name).n && name.n <= MAILBOX_NAME_MAX));
	mailbox_name_read(&arena, name, false, &normal);
	mailbox_name_read(&arena, name, true, &normal);
	if (mailbox_pattern_init(&m, &arena, pattern) == 0) {
		bool match = mailbox_pattern_match(&m, name);
		assert(pattern.n > 12 || name.n > 24 || span_istarts(name, SPAN("inbox")) || match == matches(pattern, name));
	}
	arena_free(&arena);
	return 0;
}
