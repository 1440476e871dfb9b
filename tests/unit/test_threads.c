/* SORT and THREAD without a mailbox: base subjects, identifiers, sort keys, trees. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base_subject.h"
#include "clock.h"
#include "link_forest.h"
#include "message_id.h"
#include "sort_key.h"
#include "thread_tree.h"

static void base_subjects(void **state)
{
	static const struct { const char *in, *out; bool refwd; } cases[] = {
		{ "", "" }, { "plain", "plain" }, { "Re: plain", "plain", true }, { "RE:plain", "plain", true }, { "re : a", "a", true },
		{ "Fw: a", "a", true }, { "fwd: a", "a", true }, { "FWD:RE:fw: a", "a", true }, { "Fwd a", "Fwd a" }, { "fwdx: a", "fwdx: a" },
		{ "Re", "Re" }, { "Re:", "", true }, { " Re:  ", "", true }, { "reply: a", "reply: a" }, { "ref: a", "ref: a" },
		{ "a (fwd)", "a", true }, { "a (FWD) (fwd) ", "a", true }, { "(fwd)", "", true }, { "a(fwd)", "a", true }, { "a (fwd) b", "a (fwd) b" },
		{ "[list] a", "a" }, { "[list]a", "a" }, { "[a][b] c", "c" }, { "[a][b]", "[b]" }, { "[a]", "[a]" }, { "[a] ", "[a]" },
		{ "[list] Re: a", "a", true }, { "Re: [list] a", "a", true }, { "Re[2]: a", "a", true }, { "Re [2] : a", "a", true },
		{ "[a] [b] re[c]: [d] e", "e", true }, { "[a] re:", "", true }, { "[a] re: [b]", "[b]", true }, { "Re[2]", "Re[2]" },
		{ "Re[2: a", "Re[2: a" }, { "[a", "[a" }, { "[a[b] c", "[a[b] c" }, { "[] a", "a" },
		{ "[fwd: a]", "a", true }, { "[Fwd: Re: a (fwd)]", "a", true }, { "[fwd: [fwd: a]]", "a", true }, { "[fwd: [l] a]", "a", true },
		{ "[l] [fwd: a]", "a", true }, { "[fwd: a] b", "b" }, { "[fwd:]", "", true }, { "[fwd: ]", "", true }, { "[fwd: a", "[fwd: a" },
		{ "Re: [fwd: a]", "a", true }, { "[fwd: a] (fwd)", "a", true },
		{ "a\tb\r\n c   d", "a b c d" }, { "=?utf-8?q?Re=3A_a?=", "a", true }, { "Re: =?utf-8?q?=C3=84?=", "\xc3\x84", true },
		{ "=?iso-8859-1?q?=5Bl=5D?= =?iso-8859-1?q?_=E4?=", "\xc3\xa4" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		bool refwd = base_subject(span_of(cases[i].in), &b);
		if (!span_eq(buffer_span(&b), span_of(cases[i].out)) || refwd != cases[i].refwd)
			fail_msg("%s: got '%.*s' %d", cases[i].in, SPAN_ARG(buffer_span(&b)), refwd);
		buffer_free(&b);
	}
}

static void long_subjects(void **state)
{
	static const char *const pieces[] = { "Re: ", "[", "[a]", "[fwd: ", "re[", "(fwd)", " ", "]", "re[a]" };
	struct buffer b = { 0 }, out = { 0 };
	int64_t began = clock_mono();
	for (size_t i = 0; i < COUNT(pieces); i++) {
		buffer_reset(&b);
		while (b.n < 200000)
			buffer_puts(&b, pieces[i]);
		buffer_reset(&out);
		base_subject(buffer_span(&b), &out);
	}
	assert_true(clock_mono() - began < 5 * SECOND_US);
	buffer_free(&b);
	buffer_free(&out);
}

static void message_ids(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" }, { "<a@b>", "a@b|" }, { " <a@b>\r\n\t<c@d> ", "a@b|c@d|" }, { "a@b", "" }, { "<ab>", "" }, { "<@b>", "" }, { "<a@>", "" },
		{ "<a@b", "" }, { "<a@b <c@d>", "c@d|" }, { "x <a@b> y <c@d>", "a@b|c@d|" }, { "<\"a\"@b>", "a@b|" }, { "<\"a\\\"b\"@c>", "a\"b@c|" },
		{ "<\"a>b\"@c>", "a>b@c|" }, { "<a@b><c@d>", "a@b|c@d|" }, { "<>", "" }, { "<<a@b>>", "a@b|" }, { "<a @ b>", "a@b|" },
		{ "<A@b>", "A@b|" }, { "Your message of Monday <a@b>", "a@b|" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		struct span rest = span_of(cases[i].in);
		while (message_id_next(&rest, &b))
			buffer_putc(&b, '|');
		if (!span_eq(buffer_span(&b), span_of(cases[i].out)))
			fail_msg("%s: got '%.*s'", cases[i].in, SPAN_ARG(buffer_span(&b)));
		buffer_free(&b);
	}
}

/* ---- Trees */

struct mail {
	int64_t sent;
	const char *id, *references, *in_reply_to, *subject;
};

static struct span or_empty(const char *s)
{
	return s ? span_of(s) : (struct span){ 0 };
}

static void add_mail(struct thread_tree *t, uint32_t number, const struct mail *m)
{
	struct buffer b = { 0 };
	bool refwd = base_subject(or_empty(m->subject), &b);
	struct thread_message in = { .number = number, .sent = m->sent, .subject = buffer_span(&b), .refwd = refwd, .id = or_empty(m->id),
		                     .references = or_empty(m->references), .in_reply_to = or_empty(m->in_reply_to) };
	assert_int_equal(thread_tree_add(t, &in), OK);
	buffer_free(&b);
}

static void trees(void **state)
{
	static const struct { enum thread_algorithm algorithm; const char *out; struct mail mails[8]; } cases[] = {
		{ THREAD_REFERENCES, "", { { 0 } } },
		{ THREAD_REFERENCES, "(1)", { { 1, "<1@x>", NULL, NULL, "a" } } },
		{ THREAD_REFERENCES, "(2)(1)", { { 5, "<1@x>", NULL, NULL, "a" }, { 2, "<2@x>", NULL, NULL, "b" } } },
		{ THREAD_REFERENCES, "(1)(2)", { { 5, NULL, NULL, NULL, "a" }, { 5, NULL, NULL, NULL, "b" } } },
		/* a chain, a fork, the order of siblings */
		{ THREAD_REFERENCES, "(1 2 3)", { { 1, "<1@x>" }, { 2, "<2@x>", "<1@x>" }, { 3, "<3@x>", "<1@x> <2@x>" } } },
		{ THREAD_REFERENCES, "(3 2 1)", { { 3, "<3@x>", "<1@x> <2@x>" }, { 2, "<2@x>", "<1@x>" }, { 1, "<1@x>" } } },
		{ THREAD_REFERENCES, "(1 (4 5)(3 2))", { { 1, "<1@x>" }, { 9, "<2@x>", "<1@x> <3@x>" }, { 3, "<3@x>", "<1@x>" }, { 2, "<4@x>", "<1@x>" },
		                                          { 4, "<5@x>", "<1@x> <4@x>" } } },
		/* In-Reply-To where there are no references, and only its first */
		{ THREAD_REFERENCES, "(1 2)", { { 1, "<1@x>" }, { 2, "<2@x>", NULL, "<1@x>" } } },
		{ THREAD_REFERENCES, "(1 2)", { { 1, "<1@x>" }, { 2, "<2@x>", "garbage", "x <1@x> <9@x>" } } },
		{ THREAD_REFERENCES, "(1)(2)", { { 1, "<1@x>", NULL, NULL, "a" }, { 2, "<2@x>", "<9@x>", "<1@x>", "b" } } },
		/* dummies: a single child is promoted, several stay together, inner ones vanish */
		{ THREAD_REFERENCES, "(1)", { { 1, "<1@x>", "<9@x>" } } },
		{ THREAD_REFERENCES, "((1)(2))", { { 1, "<1@x>", "<9@x>" }, { 2, "<2@x>", "<9@x>" } } },
		{ THREAD_REFERENCES, "((1)(2))", { { 1, "<1@x>", "<8@x> <9@x>" }, { 2, "<2@x>", "<8@x> <9@x>" } } },
		{ THREAD_REFERENCES, "(1 (2)(3))", { { 1, "<1@x>" }, { 2, "<2@x>", "<1@x> <9@x>" }, { 3, "<3@x>", "<1@x> <9@x>" } } },
		{ THREAD_REFERENCES, "((1 3)(2))", { { 1, "<1@x>", "<9@x>" }, { 2, "<2@x>", "<9@x>" }, { 3, "<3@x>", "<9@x> <1@x>" } } },
		/* a dummy stands where its first child does */
		{ THREAD_REFERENCES, "(2)((1)(3))(4)", { { 2, "<1@x>", "<9@x>", NULL, "a" }, { 1, "<2@x>", NULL, NULL, "b" }, { 9, "<3@x>", "<9@x>", NULL, "a" },
		                                          { 5, "<4@x>", NULL, NULL, "c" } } },
		/* loops, oneself, twice the same identifier */
		{ THREAD_REFERENCES, "(1)", { { 1, "<1@x>", "<1@x>" } } },
		{ THREAD_REFERENCES, "(2 1)", { { 1, "<1@x>", "<2@x>" }, { 2, "<2@x>", "<1@x>" } } },
		{ THREAD_REFERENCES, "(3 2 1)", { { 1, "<1@x>", "<2@x>" }, { 2, "<2@x>", "<3@x>" }, { 3, "<3@x>", "<1@x>" } } },
		{ THREAD_REFERENCES, "(1 3)(2)", { { 1, "<1@x>", NULL, NULL, "a" }, { 2, "<1@x>", NULL, NULL, "b" }, { 3, "<3@x>", "<1@x>" } } },
		{ THREAD_REFERENCES, "(1 2)", { { 1, "<\"1\"@x>" }, { 2, "<2@x>", "<1@x>" } } },
		/* references cut short: the message's own count */
		{ THREAD_REFERENCES, "(1 3 2)", { { 1, "<1@x>" }, { 2, "<2@x>", "<1@x> <3@x>" }, { 3, "<3@x>", "<1@x>" } } },
		{ THREAD_REFERENCES, "(1 (3)(2))", { { 1, "<1@x>" }, { 3, "<2@x>", "<9@x> <1@x>" }, { 2, "<3@x>", "<1@x>" } } },
		/* subjects: a reply is a child, equals are siblings, dummies are joined */
		{ THREAD_REFERENCES, "(1 2)", { { 1, NULL, NULL, NULL, "a" }, { 2, NULL, NULL, NULL, "Re: a" } } },
		{ THREAD_REFERENCES, "(2 1)", { { 1, NULL, NULL, NULL, "Re: a" }, { 2, NULL, NULL, NULL, "a" } } },
		{ THREAD_REFERENCES, "((1)(2))", { { 1, NULL, NULL, NULL, "a" }, { 2, NULL, NULL, NULL, "a" } } },
		{ THREAD_REFERENCES, "((1)(2))", { { 1, NULL, NULL, NULL, "re: a" }, { 2, NULL, NULL, NULL, "[l] re: a" } } },
		{ THREAD_REFERENCES, "((1)(2)(3))", { { 1, NULL, NULL, NULL, "a" }, { 2, NULL, NULL, NULL, "a" }, { 3, NULL, NULL, NULL, "re: a" } } },
		{ THREAD_REFERENCES, "(1)(2)", { { 1, NULL, NULL, NULL, "Re:" }, { 2, NULL, NULL, NULL, "" } } },
		{ THREAD_REFERENCES, "((1)(2)(3)(4))", { { 1, "<1@x>", "<8@x>", NULL, "a" }, { 2, "<2@x>", "<8@x>", NULL, "z" }, { 3, "<3@x>", "<9@x>", NULL, "a" },
		                                          { 4, "<4@x>", "<9@x>", NULL, "y" } } },
		{ THREAD_REFERENCES, "((1)(2)(3))", { { 1, "<1@x>", NULL, NULL, "a" }, { 2, "<2@x>", "<8@x>", NULL, "a" }, { 3, "<3@x>", "<8@x>", NULL, "z" } } },
		{ THREAD_REFERENCES, "(1 (2)(4 3))", { { 1, "<1@x>", NULL, NULL, "a" }, { 2, "<2@x>", "<1@x>", NULL, "b" }, { 9, "<3@x>", "<4@x>", NULL, "c" },
		                                        { 4, "<4@x>", NULL, NULL, "Re: a" } } },
		/* the first message of a subject leads the others */
		{ THREAD_ORDEREDSUBJECT, "", { { 0 } } },
		{ THREAD_ORDEREDSUBJECT, "(1 2)(3)", { { 1, NULL, NULL, NULL, "a" }, { 3, NULL, NULL, NULL, "re: a" }, { 2, NULL, NULL, NULL, "b" } } },
		{ THREAD_ORDEREDSUBJECT, "(3 (2)(1))", { { 9, NULL, NULL, NULL, "a" }, { 5, NULL, NULL, NULL, "re: a" }, { 2, NULL, NULL, NULL, "a" } } },
		{ THREAD_ORDEREDSUBJECT, "(1 2)", { { 1, "<1@x>", NULL, NULL, "" }, { 2, "<2@x>", NULL, NULL, "re:" } } },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct thread_tree *t;
		struct buffer b = { 0 };
		assert_int_equal(thread_tree_new(cases[i].algorithm, 1 << 20, i, &t), OK);
		for (uint32_t k = 0; k < 8 && cases[i].mails[k].sent; k++)
			add_mail(t, k + 1, &cases[i].mails[k]);
		assert_int_equal(thread_tree_finish(t), OK);
		thread_tree_put(t, &b);
		if (!span_eq(buffer_span(&b), span_of(cases[i].out)))
			fail_msg("case %zu: got '%.*s', want '%s'", i, SPAN_ARG(buffer_span(&b)), cases[i].out);
		buffer_free(&b);
		thread_tree_free(&t);
	}
}

/* Each refers to the one before, or the one behind, or many; a chain of 100,000 and no recursion. */
static void long_chains(void **state)
{
	enum { N = 100000 };
	for (int kind = 0; kind < 4; kind++) {
		struct thread_tree *t;
		struct buffer b = { 0 };
		int64_t began = clock_mono();
		assert_int_equal(thread_tree_new(THREAD_REFERENCES, 256 << 20, 1, &t), OK);
		for (uint32_t i = 1; i <= N; i++) {
			char id[40], refs[100];
			uint32_t other = kind == 0 ? i - 1 : kind == 1 ? i + 1 : kind == 2 ? i * 7919u % N + 1 : i / 2;
			snprintf(id, sizeof id, "<%u@x>", i);
			snprintf(refs, sizeof refs, "<%u@x> <%u@x>", i * 31u % N + 1, other);
			struct mail m = { i, id, kind < 2 ? strchr(refs, ' ') + 1 : refs, NULL, "s" };
			add_mail(t, i, &m);
		}
		assert_int_equal(thread_tree_finish(t), OK);
		thread_tree_put(t, &b);
		size_t numbers = 0;
		for (size_t i = 0; i < b.n; i++)
			numbers += b.p[i] >= '0' && b.p[i] <= '9' && (b.p[i + 1] < '0' || b.p[i + 1] > '9');
		assert_int_equal(numbers, N);
		if (clock_mono() - began > 10 * SECOND_US)
			fail_msg("kind %d took %lld ms", kind, (long long)(clock_mono() - began) / 1000);
		printf("kind %d: %lld ms\n", kind, (long long)(clock_mono() - began) / 1000);
		thread_tree_free(&t);
		buffer_free(&b);
	}
}

/* Links and cuts at random, held against walking up. */
static void forests(void **state)
{
	enum { N = 60, STEPS = 20000 };
	struct link_node nodes[N + 1] = { 0 };
	uint32_t parent[N + 1] = { 0 };
	unsigned seed = 7;
	for (int i = 0; i < STEPS; i++) {
		uint32_t v = (uint32_t)rand_r(&seed) % N + 1, w = (uint32_t)rand_r(&seed) % N + 1, root = w;
		while (parent[root])
			root = parent[root];
		assert_int_equal(link_root(nodes, w), root);
		if (parent[v]) {
			link_cut(nodes, v);
			parent[v] = 0;
		} else if (root != v) {
			link_join(nodes, v, w);
			parent[v] = w;
		}
	}
}

static void too_much(void **state)
{
	struct thread_tree *t;
	int rc = OK;
	assert_int_equal(thread_tree_new(THREAD_REFERENCES, 100000, 1, &t), OK);
	for (uint32_t i = 1; i < 100000 && !rc; i++) {
		struct thread_message m = { .number = i, .subject = SPAN("a subject") };
		rc = thread_tree_add(t, &m);
	}
	assert_int_equal(rc, ERR_LIMIT);
	thread_tree_free(&t);
}

/* ---- Sort keys */

static void sort_keys(void **state)
{
	/* the first comes before the second */
	static const struct { const char *keys; struct sort_message a, b; } cases[] = {
		{ "(ARRIVAL)", { .internal = -5 }, { .internal = 3 } }, { "(ARRIVAL)", { .internal = 255 }, { .internal = 256 } },
		{ "(REVERSE ARRIVAL)", { .internal = 9 }, { .internal = 3 } }, { "(SIZE)", { .size = 9 }, { .size = 10 } },
		{ "(DATE)", { .facts.sent = 1 }, { .facts.sent = 2 } }, { "(REVERSE DATE)", { .facts.sent = 2 }, { .facts.sent = -1 } },
		{ "(SUBJECT)", { .facts.subject = { "Re: ab", 6 } }, { .facts.subject = { "ABC", 3 } } },
		{ "(REVERSE SUBJECT)", { .facts.subject = { "abc", 3 } }, { .facts.subject = { "re: AB", 6 } } },
		{ "(SUBJECT SIZE)", { .facts.subject = { "a", 1 }, .size = 1 }, { .facts.subject = { "A", 1 }, .size = 2 } },
		{ "(SUBJECT REVERSE SIZE)", { .facts.subject = { "a", 1 }, .size = 2 }, { .facts.subject = { "A", 1 }, .size = 1 } },
		{ "(SUBJECT SIZE)", { .facts.subject = { "a", 1 }, .size = 2 }, { .facts.subject = { "ab", 2 }, .size = 1 } },
		{ "(SUBJECT)", { .size = 1 }, { .facts.subject = { "a", 1 } } },
		{ "(FROM)", { .facts.from = { "Zoe <a@z.org>", 13 } }, { .facts.from = { "Ann <B@a.org>, <a@a.org>", 24 } } },
		{ "(DISPLAYFROM)", { .facts.from = { "Ann <z@z.org>", 13 } }, { .facts.from = { "b@a.org", 7 } } },
		{ "(DISPLAYFROM)", { .facts.from = { "a@a.org", 7 } }, { .facts.from = { "\"A@a.org.x\" <a@a>", 17 } } },
		{ "(DISPLAYFROM)", { .facts.from = { "=?utf-8?q?a?= <z@z.org>", 23 } }, { .facts.from = { "B <a@a.org>", 11 } } },
		{ "(DISPLAYTO)", { .facts.to = { "a group: z@z.org;", 17 } }, { .facts.to = { "B <a@a.org>", 11 } } },
		{ "(TO)", { .facts.to = { "a: z@z.org;", 11 } }, { .facts.to = { "<b@a.org>", 9 } } },
		{ "(CC)", { .facts.to = { "z@z", 3 } }, { .facts.cc = { "a@a", 3 } } },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct buffer text = { 0 }, a = { 0 }, b = { 0 };
		struct sort_scratch w = { 0 };
		struct imap_sort sort;
		struct imap_search_query q;
		buffer_printf(&text, "%s UTF-8 ALL", cases[i].keys);
		struct imap_args args = { .rest = buffer_span(&text), .arena = &arena };
		assert_true(imap_sort_parse(&args, &sort, &q));
		sort_key_put(&sort, &cases[i].a, &w, &a);
		sort_key_put(&sort, &cases[i].b, &w, &b);
		if (memcmp(a.p, b.p, a.n < b.n ? a.n : b.n) >= 0)
			fail_msg("case %zu", i);
		buffer_free(&text);
		buffer_free(&a);
		buffer_free(&b);
		sort_scratch_free(&w);
		arena_free(&arena);
	}
}

static void sort_arguments(void **state)
{
	static const struct { const char *in; bool thread, ok; } cases[] = {
		{ "(SUBJECT) UTF-8 ALL", false, true }, { "(reverse date Arrival) us-ascii UNSEEN 1:3", false, true },
		{ "RETURN (MIN COUNT) (CC) \"UTF-8\" ALL", false, true }, { "RETURN () (CC) UTF-8 ALL", false, true }, { "SUBJECT UTF-8 ALL", false, false },
		{ "() UTF-8 ALL", false, false }, { "(SUBJECT) ALL", false, false }, { "(SUBJECT) UTF-8", false, false }, { "(REVERSE) UTF-8 ALL", false, false },
		{ "(REVERSE REVERSE DATE) UTF-8 ALL", false, false }, { "(NONSENSE) UTF-8 ALL", false, false }, { "(SUBJECT", false, false },
		{ "(SUBJECT) RETURN (MIN) UTF-8 ALL", false, false }, { "(DATEARRIVAL) UTF-8 ALL", false, false },
		{ "(DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE DATE) UTF-8 ALL", false, false },
		{ "REFERENCES UTF-8 ALL", true, true }, { "orderedsubject us-ascii (SEEN) NOT 1", true, true }, { "REFS UTF-8 ALL", true, false },
		{ "REFERENCES ALL", true, false }, { "REFERENCES UTF-8", true, false }, { "", true, false }, { "RETURN () REFERENCES UTF-8 ALL", true, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_sort sort;
		struct imap_search_query q;
		enum thread_algorithm algorithm;
		bool ok = cases[i].thread ? imap_thread_parse(&a, &algorithm, &q) : imap_sort_parse(&a, &sort, &q);
		if (ok != cases[i].ok || (!ok && !a.bad))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_subjects), cmocka_unit_test(long_subjects), cmocka_unit_test(message_ids), cmocka_unit_test(forests),
		cmocka_unit_test(trees), cmocka_unit_test(long_chains), cmocka_unit_test(too_much), cmocka_unit_test(sort_keys),
		cmocka_unit_test(sort_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
