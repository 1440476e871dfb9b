/* Entries keep to their form and their number; a value is that of one that can have any. */
#include <assert.h>

#include "imap_metadata.h"

static void check_name(struct span name)
{
	assert(name.n >= strlen("/shared") && name.n <= METADATA_NAME_MAX && name.p[0] == '/' && name.p[name.n - 1] != '/');
	for (size_t i = 0; i < name.n; i++)
		assert(name.p[i] >= ' ' && name.p[i] < 0x7f && name.p[i] != '*' && name.p[i] == ascii_lower(name.p[i]));
}

static void check_query(struct span text, struct arena *arena)
{
	struct imap_metadata_query q;
	struct span mailbox;
	struct imap_args a;
	imap_args_init(&a, text, arena);
	if (!imap_getmetadata_parse(&a, &mailbox, &q)) {
		assert(a.bad);
		return;
	}
	assert(q.n >= 1 && q.n <= METADATA_ASKED_MAX);
	for (size_t i = 0; i < q.n; i++) {
		check_name(q.names[i]);
		assert(imap_metadata_asks_for(&q, q.names[i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_metadata_value *v;
	struct span mailbox;
	struct imap_args a;
	size_t count;
	check_query(span_from(data, n), &arena);
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_setmetadata_parse(&a, &mailbox, &v, &count)) {
		assert(count >= 1 && count <= METADATA_ASKED_MAX);
		for (size_t i = 0; i < count; i++)
			check_name(v[i].name);
	} else {
		assert(a.bad);
	}
	arena_free(&arena);
	return 0;
}
