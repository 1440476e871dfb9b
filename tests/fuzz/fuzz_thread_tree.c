/* Threads of hostile references: every message comes out once, and all parentheses close. */
#include <assert.h>

#include "base_subject.h"
#include "thread_tree.h"

/* A line of the input is a message: subject, identifier, references. */
static uint32_t add_all(struct thread_tree *t, struct span in)
{
	uint32_t n = 0;
	while (in.n) {
		ssize_t end = span_find(in, '\n');
		struct span line = span_sub(in, 0, end < 0 ? in.n : (size_t)end);
		in = span_sub(in, line.n + 1, SIZE_MAX);
		ssize_t cut = span_find(line, '>');
		struct span id = span_sub(line, 0, (size_t)(cut + 1));
		struct buffer subject = { 0 };
		struct thread_message m = { .number = ++n, .sent = (int64_t)(line.n % 7), .id = id,
			                    .references = span_sub(line, id.n, SIZE_MAX), .in_reply_to = line };
		m.refwd = base_subject(line, &subject);
		m.subject = buffer_span(&subject);
		assert(thread_tree_add(t, &m) == 0);
		buffer_free(&subject);
	}
	return n;
}

static void check(struct span text, uint32_t messages)
{
	long depth = 0;
	uint32_t numbers = 0;
	for (size_t i = 0; i < text.n; i++) {
		depth += (text.p[i] == '(') - (text.p[i] == ')');
		assert(depth >= 0);
		numbers += text.p[i] >= '0' && text.p[i] <= '9' && (text.p[i + 1] < '0' || text.p[i + 1] > '9');
	}
	assert(depth == 0 && numbers == messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	for (int algorithm = THREAD_REFERENCES; algorithm <= THREAD_ORDEREDSUBJECT; algorithm++) {
		struct thread_tree *t;
		struct buffer out = { 0 };
		assert(thread_tree_new((enum thread_algorithm)algorithm, 64 << 20, 1, &t) == 0);
		uint32_t messages = add_all(t, span_from(data, n));
		assert(thread_tree_finish(t) == 0);
		thread_tree_put(t, &out);
		check(buffer_span(&out), messages);
		buffer_free(&out);
		thread_tree_free(&t);
	}
	return 0;
}
