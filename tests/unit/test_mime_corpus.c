/* Every message of the corpus: the result does not depend on how it was cut into pieces, ENVELOPE and BODYSTRUCTURE are
   correct IMAP, and the parts' ranges are what RFC 3501 says they are. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "corpus.h"
#include "mime_scan.h"
#include "mime_summary.h"
#include "mime_text.h"
#include "rfc2047.h"

/* The grammar of RFC 3501 section 9, strictly: each function takes its production off the front or fails the test. */
struct reader {
	const char *name;
	struct span rest;
};

static void wrong(const struct reader *r, const char *what)
{
	fail_msg("%s: %s at \"%.*s\"", r->name, what, SPAN_ARG(span_sub(r->rest, 0, 60)));
}

static bool take(struct reader *r, const char *literal)
{
	struct span want = span_of(literal);
	if (!span_istarts(r->rest, want))
		return false;
	r->rest = span_sub(r->rest, want.n, SIZE_MAX);
	return true;
}

static void expect(struct reader *r, const char *literal)
{
	if (!take(r, literal))
		wrong(r, literal);
}

static uint64_t take_number(struct reader *r)
{
	size_t n = 0;
	uint64_t v = 0;
	while (n < r->rest.n && r->rest.p[n] >= '0' && r->rest.p[n] <= '9')
		n++;
	if (!span_u64(span_sub(r->rest, 0, n), UINT64_MAX, &v))
		wrong(r, "number");
	r->rest = span_sub(r->rest, n, SIZE_MAX);
	return v;
}

static struct span take_quoted(struct reader *r)
{
	size_t n = 0;
	for (; n < r->rest.n && r->rest.p[n] != '"'; n++) {
		unsigned char c = (unsigned char)r->rest.p[n];
		if (c == '\\')
			c = (unsigned char)r->rest.p[++n];
		if (c == 0 || c == '\r' || c == '\n' || c >= 128)
			wrong(r, "byte in a quoted string");
	}
	struct span s = span_sub(r->rest, 0, n);
	r->rest = span_sub(r->rest, n, SIZE_MAX);
	expect(r, "\"");
	return s;
}

static struct span take_string(struct reader *r)
{
	if (take(r, "\""))
		return take_quoted(r);
	expect(r, "{");
	uint64_t n = take_number(r);
	expect(r, "}\r\n");
	if (n > r->rest.n || memchr(r->rest.p, 0, (size_t)n))
		wrong(r, "literal");
	struct span s = span_sub(r->rest, 0, (size_t)n);
	r->rest = span_sub(r->rest, (size_t)n, SIZE_MAX);
	return s;
}

static void take_nstring(struct reader *r)
{
	if (!take(r, "NIL"))
		take_string(r);
}

static void take_addresses(struct reader *r)
{
	if (take(r, "NIL"))
		return;
	expect(r, "(");
	do {
		expect(r, "(");
		for (int i = 0; i < 4; i++) {
			take_nstring(r);
			expect(r, i < 3 ? " " : ")");
		}
	} while (!take(r, ")"));
}

static void take_envelope(struct reader *r)
{
	expect(r, "(");
	for (int i = 0; i < 10; i++) {
		if (i >= 2 && i <= 7)
			take_addresses(r);
		else
			take_nstring(r);
		expect(r, i < 9 ? " " : ")");
	}
}

static void take_params(struct reader *r)
{
	if (take(r, "NIL"))
		return;
	expect(r, "(");
	do {
		take_string(r);
		expect(r, " ");
		take_string(r);
	} while (take(r, " "));
	expect(r, ")");
}

static void take_languages(struct reader *r)
{
	if (!take(r, "(")) {
		take_nstring(r);
		return;
	}
	do
		take_string(r);
	while (take(r, " "));
	expect(r, ")");
}

static void take_extension(struct reader *r)
{
	expect(r, " ");
	if (!take(r, "NIL")) {
		expect(r, "(");
		take_string(r);
		expect(r, " ");
		take_params(r);
		expect(r, ")");
	}
	expect(r, " ");
	take_languages(r);
	expect(r, " ");
	take_nstring(r);
}

static void take_body(struct reader *r, bool extended);

static void take_multipart(struct reader *r, bool extended)
{
	while (span_istarts(r->rest, SPAN("(")))
		take_body(r, extended);
	expect(r, " ");
	take_string(r);
	if (extended && !span_istarts(r->rest, SPAN(")"))) {
		expect(r, " ");
		take_params(r);
		take_extension(r);
	}
}

static void take_leaf(struct reader *r, bool extended)
{
	struct span type = take_string(r);
	expect(r, " ");
	struct span subtype = take_string(r);
	expect(r, " ");
	take_params(r);
	expect(r, " ");
	take_nstring(r);
	expect(r, " ");
	take_nstring(r);
	expect(r, " ");
	take_string(r);
	expect(r, " ");
	take_number(r);
	bool message = span_eq(type, SPAN("message")) && (span_eq(subtype, SPAN("rfc822")) || span_eq(subtype, SPAN("global")));
	if (message) {
		expect(r, " ");
		take_envelope(r);
		expect(r, " ");
		take_body(r, extended);
	}
	if (message || span_eq(type, SPAN("text"))) {
		expect(r, " ");
		take_number(r);
	}
	if (extended && !span_istarts(r->rest, SPAN(")"))) {
		expect(r, " ");
		take_nstring(r);
		take_extension(r);
	}
}

static void take_body(struct reader *r, bool extended)
{
	expect(r, "(");
	if (span_istarts(r->rest, SPAN("(")))
		take_multipart(r, extended);
	else
		take_leaf(r, extended);
	expect(r, ")");
}

static void check_grammar(const char *name, const struct mime_summary *view)
{
	struct buffer body = { 0 };
	struct reader r = { name, view->envelope };
	take_envelope(&r);
	assert_int_equal(r.rest.n, 0);
	r.rest = view->structure;
	take_body(&r, true);
	assert_int_equal(r.rest.n, 0);
	assert_int_equal(mime_summary_body(view, &body), OK);
	r.rest = buffer_span(&body);
	take_body(&r, false);
	assert_int_equal(r.rest.n, 0);
	buffer_free(&body);
}

static uint64_t count_lines(struct span s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

static struct span range(struct span message, uint64_t from, uint64_t to)
{
	return span_sub(message, (size_t)from, (size_t)(to - from));
}

static void check_part(const char *name, struct span message, const struct mime_tree *tree, const struct mime_part *p)
{
	if (p->header_start > p->body_start || p->body_start > p->body_end || p->body_end > tree->size)
		fail_msg("%s: part %td runs out of bounds", name, p - tree->parts);
	if (p->lines != count_lines(range(message, p->body_start, p->body_end)))
		fail_msg("%s: part %td: %llu lines", name, p - tree->parts, (unsigned long long)p->lines);
	struct span header = range(message, p->header_start, p->body_start);
	if (!tree->cut && (p->header.n < header.n || memcmp(p->header.p, header.p, header.n) != 0))
		fail_msg("%s: part %td: another header", name, p - tree->parts);
	uint64_t at = p->body_start;
	for (int32_t i = p->child; i >= 0; i = tree->parts[i].next) {
		const struct mime_part *child = &tree->parts[i];
		if (child->header_start < at || child->body_end > p->body_end)
			fail_msg("%s: part %d is not within part %td or overlaps its sibling", name, i, p - tree->parts);
		assert_true(&tree->parts[child->parent] == p && child->depth == p->depth + 1);
		at = child->body_end;
	}
}

/* The part numbers of RFC 3501, by walking the tree, lead to the same places in the summary. */
static void check_paths(const char *name, const struct mime_tree *tree, const struct mime_summary *view, int32_t at,
			uint32_t *path, size_t n)
{
	const struct mime_part *p = &tree->parts[at];
	struct mime_summary_part got;
	uint32_t k = 0;
	assert_true(n < 200);
	if (p->is_message && p->kind != MIME_MULTIPART) {
		path[n++] = 1;
		assert_int_equal(mime_summary_part(view, path, n, &got), OK);
		assert_true(got.header_start == p->header_start && got.body_start == p->body_start && got.kind == p->kind);
	}
	if (p->kind == MIME_MESSAGE && p->child >= 0)
		check_paths(name, tree, view, p->child, path, n);
	for (int32_t i = p->kind == MIME_MULTIPART ? p->child : MIME_NONE; i >= 0; i = tree->parts[i].next) {
		const struct mime_part *child = &tree->parts[i];
		path[n] = ++k;
		assert_int_equal(mime_summary_part(view, path, n + 1, &got), OK);
		if (got.header_start != child->header_start || got.body_end != child->body_end || got.encoding != child->encoding)
			fail_msg("%s: part %u leads elsewhere", name, k);
		check_paths(name, tree, view, i, path, n + 1);
	}
}

static struct mime_scan *scanner;
static struct buffer summary, again;
static unsigned messages, parts, largest_depth, with_cut;
static size_t summary_bytes, summary_largest;

static void scan_in_pieces(struct span message, size_t step, struct mime_tree *tree)
{
	mime_scan_free(&scanner);
	scanner = mime_scan_new(NULL);
	assert_non_null(scanner);
	for (size_t at = 0; at < message.n; at += step)
		mime_scan_push(scanner, span_sub(message, at, step));
	mime_scan_end(scanner, tree);
}

static void check_pieces(const char *name, struct span message)
{
	static const size_t steps[] = { 1, 2, 7, 100, 1024, 4099 };
	struct mime_tree tree;
	for (size_t i = message.n > 100000 ? 2 : 0; i < COUNT(steps); i++) {
		scan_in_pieces(message, steps[i], &tree);
		buffer_reset(&again);
		assert_int_equal(mime_summary_build(&tree, &again), OK);
		if (!span_eq(buffer_span(&again), buffer_span(&summary)))
			fail_msg("%s: pieces of %zu bytes give another result", name, steps[i]);
	}
}

static void check_message(const char *name, struct span message)
{
	struct mime_tree tree;
	struct mime_summary view;
	uint32_t path[256];
	scan_in_pieces(message, message.n ? message.n : 1, &tree);
	assert_true(tree.size == message.n && tree.parts[0].body_end == message.n);
	for (uint32_t i = 0; i < tree.count; i++) {
		check_part(name, message, &tree, &tree.parts[i]);
		if (tree.parts[i].depth > largest_depth)
			largest_depth = tree.parts[i].depth;
	}
	buffer_reset(&summary);
	assert_int_equal(mime_summary_build(&tree, &summary), OK);
	assert_int_equal(mime_summary_open(buffer_span(&summary), &view), OK);
	check_grammar(name, &view);
	check_paths(name, &tree, &view, 0, path, 0);
	messages++;
	parts += tree.count;
	with_cut += tree.cut;
	summary_bytes += summary.n;
	if (summary.n > summary_largest)
		summary_largest = summary.n;
	check_pieces(name, message);
}

static void every_message(void **state)
{
	if (!corpus_each(check_message)) {
		print_message("skipped: no corpus; set PERDURA_CORPUS to the folder that holds mime/ and mbox/\n");
		skip();
	}
	print_message("%u messages, %u parts, depth up to %u, %u over a limit, summaries of %zu bytes, at most %zu\n",
		      messages, parts, largest_depth, with_cut, summary_bytes / messages, summary_largest);
}

static void decode_part(const struct mime_summary_part *p, struct span message)
{
	struct mime_text t;
	mime_text_open(&t, p->encoding, p->charset);
	struct span rest = range(message, p->body_start, p->body_end);
	for (; rest.n; rest = span_sub(rest, 1000, SIZE_MAX)) {
		buffer_reset(&again);
		mime_text_push(&t, span_sub(rest, 0, 1000), &again);
	}
	mime_text_close(&t, &again);
}

/* Nothing to compare with: that it ends, and without a sanitizer's complaint, is the test. */
static void decode_message(const char *name, struct span message)
{
	struct mime_tree tree;
	struct mime_summary view;
	struct mime_summary_part p;
	struct mime_field f;
	scan_in_pieces(message, message.n ? message.n : 1, &tree);
	buffer_reset(&summary);
	assert_int_equal(mime_summary_build(&tree, &summary), OK);
	assert_int_equal(mime_summary_open(buffer_span(&summary), &view), OK);
	struct span rest = view.parts;
	while (mime_summary_next(&view, &rest, &p))
		if (span_istarts(p.type, SPAN("text/")))
			decode_part(&p, message);
	rest = tree.parts[0].header;
	while (mime_header_next(&rest, &f)) {
		buffer_reset(&again);
		rfc2047_decode(f.value, &again);
	}
}

static void every_text(void **state)
{
	if (!corpus_each(decode_message))
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_message), cmocka_unit_test(every_text) };
	int failed = cmocka_run_group_tests_name("mime_corpus", tests, NULL, NULL);
	mime_scan_free(&scanner);
	buffer_free(&summary);
	buffer_free(&again);
	return failed ? failed : messages ? 0 : 77;
}
