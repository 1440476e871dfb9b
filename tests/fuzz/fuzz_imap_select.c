/* Sets come out sorted and of equal counts; the match ends soon, however large they are. */
#include <assert.h>

#include "imap_select.h"

static uint32_t uid_of(const void *ctx, uint32_t number)
{
	return number * 2;
}

static void check(const struct imap_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		assert(s->ranges[i].first && s->ranges[i].first <= s->ranges[i].last && (!i || s->ranges[i - 1].last < s->ranges[i].first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_select s;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_select_parse(&a, &s)) {
		assert(s.modseq <= INT64_MAX && (!s.qresync || s.uidvalidity));
		check(&s.known);
		check(&s.numbers);
		check(&s.uids);
		assert(imap_set_count(&s.numbers) == imap_set_count(&s.uids));
		assert(imap_select_match(&s, 1000, uid_of, NULL) % 2 == 0);
	} else {
		assert(a.bad);
	}
	arena_free(&arena);
	return 0;
}
