/* The name written for an item asks for the same item. */
#include <assert.h>

#include "imap_fetch.h"

static void check_name(struct arena *arena, const struct imap_fetch_item *item)
{
	struct buffer b = { 0 }, again = { 0 };
	struct imap_fetch f;
	imap_fetch_put_name(&b, item);
	if (item->partial)
		b.n--, buffer_puts(&b, ".1>");
	struct imap_args a = { .rest = buffer_span(&b), .arena = arena };
	bool ok = imap_fetch_parse(&a, &f);
	assert(ok || arena->used > arena->limit / 2);
	if (ok) {
		assert(f.n == 1 && f.items[0].kind == item->kind);
		imap_fetch_put_name(&again, &f.items[0]);
		assert(again.n == b.n - 2 * item->partial);
	}
	buffer_free(&b);
	buffer_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_fetch f;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_fetch_parse(&a, &f))
		for (size_t i = 0; i < f.n; i++)
			check_name(&arena, &f.items[i]);
	arena_free(&arena);
	return 0;
}
