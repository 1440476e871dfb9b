/* A mark that was read and written reads as the same mark; a file's name in a Maildir likewise. */
#include <assert.h>

#include "maildir_name.h"
#include "mbox.h"

static void mark(struct arena *a, struct span word)
{
	struct mbox_mark m, again;
	struct buffer b = { 0 };
	if (!mbox_parse_mark(a, word, &m))
		return;
	mbox_put_mark(&b, &m, 0);
	struct span line = span_sub(buffer_span(&b), 5, b.n);
	assert(mbox_parse_mark(a, span_sub(line, 0, (size_t)span_find(line, ' ')), &again));
	assert(again.uid == m.uid && again.size == m.size && again.uidvalidity == m.uidvalidity && span_eq(again.folder, m.folder));
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = { 0 };
	struct maildir_file f, again;
	struct buffer b = { 0 };
	uint64_t size;
	mark(&a, span_from(data, n));
	if (maildir_file_get(span_from(data, n), &f)) {
		maildir_file_put(&b, &f);
		assert(maildir_file_get(buffer_span(&b), &again) && again.uid == f.uid && again.date == f.date && again.size == f.size);
	}
	maildir_wire_size(span_from(data, n), &size);
	buffer_reset(&b);
	maildir_folder_get(&b, span_from(data, n));
	maildir_folder_put(&b, span_from(data, n));
	buffer_free(&b);
	arena_free(&a);
	return 0;
}
