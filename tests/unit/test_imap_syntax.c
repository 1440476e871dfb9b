#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "flags.h"
#include "imap_args.h"
#include "imap_catenate.h"
#include "imap_date.h"
#include "imap_fetch.h"
#include "imap_frame.h"
#include "imap_quote.h"
#include "imap_list.h"
#include "imap_metadata.h"
#include "imap_notify.h"
#include "imap_rights.h"
#include "imap_search.h"
#include "imap_select.h"
#include "imap_set.h"
#include "imap_update.h"
#include "imap_store.h"

static void assert_text(const struct buffer *b, const char *want)
{
	struct span got = buffer_span(b);
	if (!span_eq(got, span_of(want)))
		fail_msg("got '%.*s', want '%s'", SPAN_ARG(got), want);
}

/* ---- flags ---- */

static void flag_names(void **state)
{
	static const struct { const char *name; int rc; uint64_t bit; } cases[] = {
		{ "\\Seen", OK, FLAG_SEEN }, { "\\sEEN", OK, 1 }, { "\\Answered", OK, 2 }, { "\\Flagged", OK, 4 },
		{ "\\Deleted", OK, 8 }, { "\\Draft", OK, 16 }, { "$Forwarded", OK, 32 }, { "$mdnsent", OK, 64 },
		{ "$Junk", OK, 128 }, { "$NotJunk", OK, 256 }, { "$Phishing", OK, 512 }, { "$Important", OK, 1024 },
		{ "$SubmitPending", OK, 2048 }, { "$Submitted", OK, 4096 }, { "Seen", OK, 0 }, { "NonJunk", OK, 0 },
		{ "$label1", OK, 0 }, { "\\Recent", ERR_CANNOT, 0 }, { "\\Foo", ERR_INVALID, 0 }, { "\\", ERR_INVALID, 0 },
		{ "", ERR_INVALID, 0 }, { "a b", ERR_INVALID, 0 }, { "a]", ERR_INVALID, 0 }, { "\xc3\xa4", ERR_INVALID, 0 },
		{ "a\x01", ERR_INVALID, 0 }, { "a*", ERR_INVALID, 0 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", OK, 0 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ERR_INVALID, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint64_t bit = 0;
		assert_int_equal(flag_parse(span_of(cases[i].name), &bit), cases[i].rc);
		assert_int_equal(bit, cases[i].bit);
	}
}

static void keyword_sets(void **state)
{
	static const struct { const char *a, *b, *sum, *rest; } cases[] = {
		{ "", "", "", "" },
		{ "a", "", "a", "a" },
		{ "", "a", "a", "" },
		{ "a B c", "b D", "a B c D", "a c" },
		{ "A", "a", "A", "" },
		{ "a b c", "a b c", "a b c", "" },
		{ "a aa", "aaa", "a aa aaa", "a aa" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		assert_int_equal(keywords_union(&b, span_of(cases[i].a), span_of(cases[i].b)), OK);
		assert_text(&b, cases[i].sum);
		buffer_reset(&b);
		keywords_minus(&b, span_of(cases[i].a), span_of(cases[i].b));
		assert_text(&b, cases[i].rest);
		buffer_free(&b);
	}
	assert_true(keywords_contains(SPAN("a Bc d"), SPAN("bC")));
	assert_false(keywords_contains(SPAN("a Bc d"), SPAN("b")));
	assert_false(keywords_contains(SPAN(""), SPAN("b")));
}

static void flags_collected(void **state)
{
	struct arena a = { 0 };
	struct flags_builder f = { 0 };
	static const char *const names[] = { "zeta", "\\Seen", "Alpha", "$junk", "\\Recent", "ALPHA", "beta" };
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(flags_add(&f, span_of(names[i])), OK);
	struct imap_flags flags;
	assert_int_equal(flags_finish(&f, &a, &flags), OK);
	struct buffer b = { 0 };
	flags_put(&b, &flags, false);
	assert_text(&b, "\\Seen $Junk Alpha beta zeta");
	buffer_reset(&b);
	flags_put(&b, &(struct imap_flags){ 0 }, true);
	assert_text(&b, "\\Recent");
	char many[51][8];
	f = (struct flags_builder){ 0 };
	for (int i = 0; i < 51; i++) {
		snprintf(many[i], sizeof many[i], "k%d", i);
		assert_int_equal(flags_add(&f, span_of(many[i])), i < 50 ? OK : ERR_LIMIT);
	}
	assert_int_equal(flags_add(&f, SPAN("K7")), OK);
	buffer_reset(&b);
	assert_int_equal(flags_finish(&f, &a, &flags), OK);
	assert_int_equal(keywords_union(&b, flags.keywords, SPAN("zzz")), ERR_LIMIT);
	buffer_free(&b);
	arena_free(&a);
}

/* ---- framing ---- */

struct frame_case {
	const char *in;
	size_t n; /* 0: strlen */
	const char *answers; /* M is left out; + continue, . done, ! bad, A append, B too big, L too long, and at last m */
	size_t length;
	uint64_t literal;
	bool sync;
};

static char letter(enum imap_frame_answer a)
{
	return "m+.!ABL"[a];
}

/* Feeds the input in pieces and writes down the answers; a final MORE is 'm'. */
static void run_frame(struct span in, size_t piece, bool tail, char *out, struct imap_frame_event *ev)
{
	struct imap_frame f = { .tail = tail };
	size_t got = 0;
	enum imap_frame_answer answer;
	for (;;) {
		answer = imap_frame_next(&f, span_sub(in, 0, got), 100, ev);
		if (answer == IMAP_FRAME_CONTINUE)
			*out++ = '+';
		else if (answer != IMAP_FRAME_MORE || got == in.n)
			break;
		else
			got = got + piece < in.n ? got + piece : in.n;
	}
	*out++ = letter(answer);
	*out = 0;
}

static void framing(void **state)
{
	static const struct frame_case cases[] = {
		{ "", 0, "m" },
		{ "a NOOP", 0, "m" },
		{ "a NOOP\r\nb", 0, ".", 8 },
		{ "a NOOP\nb", 0, ".", 7 },
		{ "\r\n", 0, ".", 2 },
		{ "a LOGIN {3}\r\nabc {2}\r\nxy\r\nz", 0, "++.", 26 },
		{ "a LOGIN {3+}\r\nabc {2+}\r\nxy\r\nz", 0, ".", 28 },
		{ "a LOGIN {3+}\r\na\nb {0+}\r\n\r\nz", 0, ".", 26 },
		{ "a LOGIN {3+}\r\na\n", 0, "m" },
		{ "a X {101}\r\n", 0, "B", 11, 101, true },
		{ "a X {60+}\r\n123456789012345678901234567890123456789012345678901234567890 {41+}\r\n", 0, "B", 79, 41, false },
		{ "a X {99999999999999999999999}\r\n", 0, "B", 31, UINT64_MAX, true },
		{ "a X {-1}\r\n", 0, ".", 10 },
		{ "a X {}\r\n", 0, ".", 8 },
		{ "a X {+}\r\n", 0, ".", 9 },
		{ "a X {5}x\r\n", 0, ".", 10 },
		{ "a X \"{3}\r\nabc\r\n", 0, "+.", 15 },
		{ "a APPEND INBOX {310}\r\n", 0, "A", 22, 310, true },
		{ "a APPEND INBOX {310+}\r\nFrom", 0, "A", 23, 310, false },
		{ "a append \"Sent {5}\" (\\Seen) {10}\r\n", 0, "A", 34, 10, true },
		{ "a APPEND {5}\r\nINBOX {310}\r\n", 0, "+A", 27, 310, true },
		{ "a APPEND {5+}\r\nINBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {310+}\r\n", 0, "A", 66, 310, false },
		{ "a  APPEND  {2}\r\nab {0}\r\n", 0, "+A", 24, 0, true },
		{ "a APPEND INBOX\r\n", 0, ".", 16 },
		{ "a REPLACE 4 INBOX {310}\r\n", 0, "A", 25, 310, true },
		{ "a UID REPLACE 4 INBOX {310+}\r\nFrom", 0, "A", 30, 310, false },
		{ "a uid  replace  *  {5}\r\nINBOX () {310}\r\n", 0, "+A", 40, 310, true },
		{ "a REPLACE {1}\r\n4 {5}\r\nINBOX {3+}\r\n", 0, "+A", 22, 5, true },
		{ "a REPLACE 4 UTF8 (~{310}\r\n", 0, "A", 26, 310, true },
		{ "a UID APPEND INBOX {5}\r\nhello\r\n", 0, "+.", 31 },
		{ "a APPENDX INBOX {5}\r\nhello\r\n", 0, "+.", 28 },
		{ "APPEND INBOX {5}\r\nhello\r\n", 0, "+.", 25 },
		{ "a NO\0OP\r\n", 9, "!", 9 },
		{ "a X {3+}\r\na\0b\r\n", 15, "!", 15 },
		{ "a X ~{3+}\r\na\0b\r\n", 16, ".", 16 },
		{ "a X ~{3+}\r\na\0b\0\r\n", 17, "!", 17 },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t piece = 1; piece < 80; piece += 6) {
			const struct frame_case *c = &cases[i];
			struct imap_frame_event ev = { 0 };
			char got[32];
			run_frame(span_from(c->in, c->n ? c->n : strlen(c->in)), piece, false, got, &ev);
			if (strcmp(got, c->answers) != 0)
				fail_msg("%s: got %s, want %s", c->in, got, c->answers);
			if (strpbrk(got, ".!AB") && ev.length != c->length)
				fail_msg("%s: length %zu", c->in, ev.length);
			if (strpbrk(got, "AB")) {
				assert_true(ev.literal == c->literal);
				assert_int_equal(ev.sync, c->sync);
			}
		}
}

static void framing_tail_and_limits(void **state)
{
	struct imap_frame_event ev;
	char got[32];
	run_frame(SPAN("\r\nb NOOP\r\n"), 1, true, got, &ev);
	assert_string_equal(got, ".");
	assert_int_equal(ev.length, 2);
	run_frame(SPAN(" (\\Seen) {5+}\r\nhello\r\n"), 3, true, got, &ev);
	assert_string_equal(got, "A");
	assert_int_equal(ev.length, 15);
	assert_true(ev.literal == 5 && !ev.sync);
	run_frame(SPAN("a APPEND {500}\r\n"), 3, true, got, &ev);
	assert_string_equal(got, "A");
	assert_true(ev.literal == 500 && ev.sync);
	size_t n = IMAP_TEXT_MAX + 100;
	char *big = malloc(n);
	memset(big, 'x', n);
	run_frame(span_from(big, IMAP_TEXT_MAX), 4000, false, got, &ev);
	assert_string_equal(got, "m");
	run_frame(span_from(big, n), 4000, false, got, &ev);
	assert_string_equal(got, "L");
	for (size_t i = 0; i + 6 <= n; i += 6)
		memcpy(big + i, "{0+}\r\n", 6);
	run_frame(span_from(big, n), 1000, false, got, &ev);
	assert_string_equal(got, "L");
	free(big);
}

/* ---- arguments ---- */

static void strings(void **state)
{
	enum { ATOM, ASTRING, STRING, NSTRING, LIST };
	static const struct { int kind; const char *in, *out, *rest; } cases[] = {
		{ ATOM, "abc def", "abc", " def" }, { ATOM, "a]b", "a", "]b" }, { ATOM, "(", NULL }, { ATOM, "", NULL },
		{ ASTRING, "a]b c", "a]b", " c" }, { ASTRING, "\"a b\" c", "a b", " c" }, { ASTRING, "\"\"", "", "" },
		{ ASTRING, "\"a\\\"b\\\\\"x", "a\"b\\", "x" }, { ASTRING, "\"a\\nb\"", NULL }, { ASTRING, "\"abc", NULL },
		{ ASTRING, "\"a\\", NULL }, { ASTRING, "\"a\\\"", NULL }, { ASTRING, "\"a\r\nb\"", NULL },
		{ ASTRING, "{3}\r\na b)", "a b", ")" }, { ASTRING, "{3+}\r\n\"\r\n)", "\"\r\n", ")" },
		{ ASTRING, "{3}\nabc", "abc", "" }, { ASTRING, "~{1}\r\nx", "x", "" }, { ASTRING, "{4}\r\nabc", NULL },
		{ ASTRING, "{0}\r\n", "", "" }, { ASTRING, "{x}\r\nabc", NULL }, { ASTRING, "{3} abc", NULL },
		{ ASTRING, "{99999999999999999999}\r\nabc", NULL }, { ASTRING, "p\xc3\xa4ss", "p\xc3\xa4ss", "" },
		{ ASTRING, "~a", "~a", "" }, { ASTRING, "a%", "a", "%" }, { ASTRING, "NIL", "NIL", "" },
		{ STRING, "abc", NULL }, { STRING, "\"abc\"", "abc", "" }, { LIST, "a%*]b c", "a%*]b", " c" },
		{ LIST, "\"%\"", "%", "" }, { LIST, "*", "*", "" }, { NSTRING, "\"x\"", "x", "" }, { NSTRING, "NILL", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		bool (*const parse[])(struct imap_args *, struct span *) = { imap_atom, imap_astring, imap_string, imap_nstring,
			                                                     imap_list_mailbox };
		struct span got = SPAN("untouched");
		bool ok = parse[cases[i].kind](&a, &got);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		assert_true(span_eq(got, span_of(ok ? cases[i].out : "untouched")));
		if (ok)
			assert_true(span_eq(a.rest, span_of(cases[i].rest)));
		else
			assert_non_null(a.bad);
		arena_free(&arena);
	}
	struct imap_args nil = { .rest = SPAN("nil") };
	struct span s = SPAN("x");
	assert_true(imap_nstring(&nil, &s));
	assert_null(s.p);
}

static void numbers(void **state)
{
	static const struct { const char *in; bool n, nz, n64; } cases[] = {
		{ "0", true, false, true }, { "1", true, true, true }, { "4294967295", true, true, true },
		{ "4294967296", false, false, true }, { "9223372036854775807", false, false, true },
		{ "9223372036854775808", false, false, false }, { "", false, false, false }, { "-1", false, false, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t v;
		uint64_t v64;
		struct imap_args a[3] = { { span_of(cases[i].in) }, { span_of(cases[i].in) }, { span_of(cases[i].in) } };
		assert_int_equal(imap_number(&a[0], &v), cases[i].n);
		assert_int_equal(imap_nz_number(&a[1], &v), cases[i].nz);
		assert_int_equal(imap_number64(&a[2], &v64), cases[i].n64);
	}
}

static void dates(void **state)
{
	static const struct { const char *in; bool ok; int64_t us; const char *out; } cases[] = {
		{ "17-Jul-1996 02:44:25 -0700", true, 837596665, "\"17-Jul-1996 09:44:25 +0000\"" },
		{ " 1-Jan-1970 00:00:00 +0000", true, 0, "\"01-Jan-1970 00:00:00 +0000\"" },
		{ "1-jan-1970 00:00:00 +0000", true, 0, "\"01-Jan-1970 00:00:00 +0000\"" },
		{ "29-Feb-2024 23:59:60 +0530", true, 1709231400, "\"29-Feb-2024 18:30:00 +0000\"" },
		{ "31-Dec-1969 23:59:59 +0000", true, -1, "\"31-Dec-1969 23:59:59 +0000\"" },
		{ "29-Feb-2023 00:00:00 +0000", false }, { "00-Jan-2023 00:00:00 +0000", false },
		{ "1-Foo-2023 00:00:00 +0000", false }, { "1-Jan-23 00:00:00 +0000", false },
		{ "1-Jan-2023 24:00:00 +0000", false }, { "1-Jan-2023 00:00:00", false },
		{ "1-Jan-2023 00:00:00 GMT", false }, { "1-Jan-2023 00:00:00 +00000", false }, { "", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t us = -7;
		assert_int_equal(imap_date_time_parse(span_of(cases[i].in), &us), cases[i].ok);
		if (!cases[i].ok)
			continue;
		assert_true(us == cases[i].us * 1000000);
		struct buffer b = { 0 };
		imap_date_time_put(&b, us);
		assert_text(&b, cases[i].out);
		buffer_free(&b);
	}
	int64_t day;
	assert_true(imap_date_parse(SPAN("1-Feb-1994"), &day));
	assert_int_equal(day, 8797);
	assert_false(imap_date_parse(SPAN("1-Feb-1994 "), &day));
	struct buffer b = { 0 };
	imap_date_time_put(&b, INT64_MAX);
	imap_date_time_put(&b, INT64_MIN);
	assert_text(&b, "\"31-Dec-9999 23:59:59 +0000\"\"01-Jan-0000 00:00:00 +0000\"");
	buffer_free(&b);
}

static void utf8_strings(void **state)
{
	static const struct { const char *in; bool plain, utf8; } cases[] = {
		{ "\"\"\r\n", true, true }, { "\"gr\xc3\xb6\xc3\x9f\\\"e\"\r\n", true, true }, { "\"\xf0\x9f\x92\xa9\"\r\n", true, true },
		{ "\"\xc3\"\r\n", true, false }, { "\"\xc0\xaf\"\r\n", true, false }, { "\"\xed\xa0\x80\"\r\n", true, false },
		{ "\"\xf4\x90\x80\x80\"\r\n", true, false }, { "\"\xfc\"\r\n", true, false }, { "{1+}\r\n\xfc\r\n", true, true },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct arena arena = { 0 };
			struct imap_args a;
			struct span s;
			imap_args_init(&a, span_of(cases[i].in), &arena);
			a.utf8 = utf8;
			assert_int_equal(imap_astring(&a, &s), utf8 ? cases[i].utf8 : cases[i].plain);
			arena_free(&arena);
		}
}

static void append_messages(void **state)
{
	static const struct { const char *in, *flags; int64_t seconds; uint64_t size; bool sync, binary, utf8; } cases[] = {
		{ "{310}\r\n", "", 0, 310, true },
		{ "(\\Seen $x) {0+}\r\n", "\\Seen $x", 0, 0, false },
		{ "() \" 2-Jan-1970 00:00:00 +0000\" ~{7}\r\n", "", 86400, 7, true, true },
		{ "(\\Recent)  {1}\r\n", "", 0, 1, true },
		{ "UTF8 (~{310}\r\n", "", 0, 310, true, true, true },
		{ "(\\Seen) utf8 (~{3+}\r\n", "\\Seen", 0, 3, false, true, true },
		{ "(\\Foo) {1}\r\n" }, { "\\Seen {1}\r\n" }, { "(\\Seen {1}\r\n" }, { "\"1-Jan-1970\" {1}\r\n" }, { "y{1}\r\n" },
		{ "CATENATE (", "", 0, 0, false }, { "(\\Seen) \" 2-Jan-1970 00:00:00 +0000\" CATENATE (", "\\Seen", 86400, 0, false },
		{ "CATENATE {1}\r\n" }, { "CATENATE(" }, { "CATENATED (" }, { "(\\Seen){1}\r\n" }, { "UTF8 ({310}\r\n" }, { "UTF8 ~{310}\r\n" }, { "UTF8(~{310}\r\n" },
		{ "UTF8 (~{310})\r\n" }, { "" }, { "\r\n" }, { "{1} {2}\r\n" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a;
		struct imap_append m = { 0 };
		imap_args_init(&a, span_of(cases[i].in), &arena);
		if (imap_append_message(&a, &m) != (cases[i].flags != NULL))
			fail_msg("%s: %s", cases[i].in, a.bad ? a.bad : "taken");
		if (cases[i].flags) {
			struct buffer b = { 0 };
			flags_put(&b, &m.flags, false);
			assert_text(&b, cases[i].flags);
			buffer_free(&b);
			assert_int_equal(m.date_us, cases[i].seconds * 1000000);
			const struct imap_upload *u = &m.bytes;
			assert_int_equal(u->size, cases[i].size);
			assert_true(u->sync == cases[i].sync && u->binary == cases[i].binary && u->utf8 == cases[i].utf8);
			assert_int_equal(m.catenate, strstr(cases[i].in, "CATENATE") != NULL);
		} else {
			assert_non_null(a.bad);
		}
		arena_free(&arena);
	}
}

static void append_rests(void **state)
{
	enum { BAD, LAST, MORE };
	static const struct { const char *in; bool utf8; int is; uint64_t size; } cases[] = {
		{ "\r\n", false, LAST }, { " \r\n", false, LAST }, { "", false, LAST }, { ")\r\n", true, LAST }, { ") \r\n", true, LAST },
		{ " {5}\r\n", false, MORE, 5 }, { " (\\Seen) \" 2-Jan-1970 00:00:00 +0000\" {7+}\r\n", false, MORE, 7 },
		{ ") {5}\r\n", true, MORE, 5 }, { ") UTF8 (~{6}\r\n", true, MORE, 6 }, { " UTF8 (~{6}\r\n", false, MORE, 6 },
		{ "{5}\r\n" }, { " x\r\n" }, { " INBOX {5}\r\n" }, { ")\r\n" }, { " (\\Seen)\r\n" }, { " {5} {6}\r\n" },
		{ "\r\n", true }, { " )\r\n", true }, { " {5}\r\n", true }, { "){5}\r\n", true }, { "))\r\n", true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a;
		struct imap_append m = { .bytes.utf8 = cases[i].utf8 };
		bool more = false;
		imap_args_init(&a, span_of(cases[i].in), &arena);
		bool ok = imap_append_next(&a, &m, &more);
		if ((ok ? more ? MORE : LAST : BAD) != cases[i].is)
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		assert_true(ok || a.bad);
		assert_true(cases[i].is != MORE || m.bytes.size == cases[i].size);
		arena_free(&arena);
	}
}

/* ---- CATENATE ---- */

/* What comes up to a literal, and (`after`) behind it: 't' and 'T' are a TEXT and what follows its bytes, 'U' a URL that comes, 'u' one
   that is there, '.' the end. */
static void catenate_parts(void **state)
{
	static const struct { const char *in, *after, *out; } cases[] = {
		{ "TEXT {5}\r\n", ")\r\n", "t." }, { "text ~{5+}\r\n", " URL /a)\r\n", "tu." }, { "URL \"/a;UID=1\")\r\n", "", "u." },
		{ "URL /a URL \"/b\" TEXT {3}\r\n", ")\r\n", "uut." }, { "URL {3}\r\n", " TEXT {1}\r\n", "Ut" },
		{ "TEXT UTF8 (~{5}\r\n", "))\r\n", "t." }, { "TEXT UTF8 (~{5}\r\n", ")\r\n", "t!" }, { "TEXT {5}\r\n", "\r\n", "t!" },
		{ "TEXT {5}\r\n", "TEXT {5}\r\n", "t!" }, { ")\r\n", "", "!" }, { "\r\n", "", "!" }, { "", "", "!" }, { "TEXT x)\r\n", "", "!" },
		{ "TEXT \"x\")\r\n", "", "!" }, { "URL)\r\n", "", "!" }, { "URLS /a)\r\n", "", "!" }, { "URL /a)x\r\n", "", "u." },
		{ "URL (/a))\r\n", "", "!" }, { "TEXT {5} \r\n", "", "!" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a;
		struct imap_part p = { 0 };
		char out[8] = "";
		size_t n = 0, literals = 0;
		imap_args_init(&a, span_of(cases[i].in), &arena);
		do {
			bool ok = imap_part_next(&a, &p);
			out[n++] = !ok ? '!' : p.kind == PART_END ? '.' : p.kind == PART_TEXT ? 't' : p.comes ? 'U' : 'u';
			if (ok && p.comes && ++literals == 1)
				imap_args_init(&a, span_of(cases[i].after), &arena);
		} while (n < COUNT(out) - 1 && !strchr("!.", out[n - 1]) && literals < 2);
		assert_string_equal(out, cases[i].out);
		arena_free(&arena);
	}
}

static void urls(void **state)
{
	static const struct { const char *in, *mailbox; uint32_t uidvalidity, uid; const char *what; } cases[] = {
		{ "/INBOX;UIDVALIDITY=3/;UID=7", "INBOX", 3, 7, "BODY[]" }, { "/a/b/;uid=4294967295", "a/b", 0, UINT32_MAX, "BODY[]" },
		{ "/INBOX/;UID=7/;SECTION=1.2", "INBOX", 0, 7, "BODY[1.2]" }, { ";UID=7/;SECTION=HEADER", "", 0, 7, "BODY[HEADER]" },
		{ "/INBOX/;UID=7/;SECTION=1.MIME/;PARTIAL=5.10", "INBOX", 0, 7, "BODY[1.MIME]<5>" }, { "/x/;UID=7/;PARTIAL=5", "x", 0, 7, "BODY[]<5>" },
		{ "/x/;UID=7/;SECTION=HEADER.FIELDS%20(To%20CC)", "x", 0, 7, "BODY[HEADER.FIELDS (To CC)]" },
		{ "/%c3%a9%2F%25;UIDVALIDITY=1/;UID=7", "\u00e9/%", 1, 7, "BODY[]" }, { "/x/;UID=7/;PARTIAL=0.0" }, { "/x/;UID=7/;PARTIAL=-1.2" },
		{ "" }, { "/" }, { "//;UID=7" }, { "/;UID=7" }, { "/x" }, { "/x/;UID=" }, { "/x/;UID=0" }, { "/x/;UID=4294967296" }, { "/x/;UID=7x" },
		{ "/x/;UID=7/" }, { "/x/;UID=7/;" }, { "/x/;UID=7/;SECTION=" }, { "/x/;UID=7/;SECTION=1.x" }, { "/x/;UID=7/;PARTIAL=" },
		{ "/x/;UID=7/;PARTIAL=1.2.3" }, { "/x/;UID=7/;SECTION=1;URLAUTH=anonymous" }, { "/x/;UID=7;EXPIRE=2026-01-01" }, { "/%zz/;UID=7" },
		{ "/x%00/;UID=7" }, { "/x;UIDVALIDITY=0/;UID=7" }, { "/x;UIDVALIDITY=a/;UID=7" }, { "/x?SUBJECT%20y/;UID=7" }, { "/x?SUBJECT%20y" },
		{ "imap://host/x/;UID=7" }, { "x/;UID=7" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_url u;
		const char *why = NULL;
		bool ok = imap_url_parse(span_of(cases[i].in), &arena, &u, &why);
		if (ok != (cases[i].what != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : why);
		assert_true(ok || why);
		if (ok) {
			struct buffer b = { 0 };
			imap_fetch_put_name(&b, &u.what);
			assert_text(&b, cases[i].what);
			buffer_free(&b);
			assert_true(span_eq(u.mailbox, span_of(cases[i].mailbox)));
			assert_true(u.uidvalidity == cases[i].uidvalidity && u.uid == cases[i].uid);
		}
		arena_free(&arena);
	}
}

/* ---- sets ---- */

static void sets(void **state)
{
	static const struct { const char *in; int rc; uint32_t max; const char *out; uint64_t count; } cases[] = {
		{ "1", OK, 9, "1", 1 }, { "1:*", OK, 9, "1:9", 9 }, { "*", OK, 9, "9", 1 }, { "*:1", OK, 9, "1:9", 9 },
		{ "1:*,5,7:9", OK, 6, "1:9", 9 }, { "9:7,5,3", OK, 9, "3,5,7:9", 5 }, { "5:*", OK, 3, "3:5", 3 },
		{ "*", OK, 0, "", 0 }, { "3,*:*", OK, 0, "3", 1 }, { "1,2,3,5", OK, 9, "1:3,5", 4 },
		{ "1:4294967295", OK, 9, "1:4294967295", 4294967295u }, { "4294967295,1", OK, 9, "1,4294967295", 2 },
		{ "1:5,2:3,4:10", OK, 9, "1:10", 10 },
		{ "", ERR_INVALID }, { "0", ERR_INVALID }, { "1,", ERR_INVALID }, { ",1", ERR_INVALID }, { "1:", ERR_INVALID },
		{ "1:2:3", ERR_INVALID }, { "4294967296", ERR_INVALID }, { "a", ERR_INVALID }, { "-1", ERR_INVALID },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = { 0 };
		struct imap_set s;
		assert_int_equal(imap_set_parse(&a, span_of(cases[i].in), &s), cases[i].rc);
		if (cases[i].rc == OK) {
			imap_set_resolve(&s, cases[i].max);
			struct buffer b = { 0 };
			struct imap_set_writer w = { .b = &b };
			for (size_t k = 0; k < s.n; k++)
				imap_set_add_range(&w, s.ranges[k]);
			imap_set_finish(&w);
			assert_text(&b, cases[i].out);
			assert_true(imap_set_count(&s) == cases[i].count);
			buffer_free(&b);
		}
		arena_free(&a);
	}
}

static void set_walks(void **state)
{
	struct arena a = { 0 };
	struct imap_set s;
	assert_int_equal(imap_set_parse(&a, SPAN("3:5,9,4294967295"), &s), OK);
	imap_set_resolve(&s, 1);
	static const uint32_t want[] = { 3, 4, 5, 9, UINT32_MAX };
	size_t n = 0;
	for (uint32_t v = imap_set_next(&s, 0); v; v = imap_set_next(&s, (uint64_t)v + 1))
		assert_int_equal(v, want[n++]);
	assert_int_equal(n, COUNT(want));
	assert_true(imap_set_contains(&s, 4));
	assert_false(imap_set_contains(&s, 6));
	assert_true(imap_set_last(&s) == UINT32_MAX);
	struct buffer b = { 0 };
	static const uint32_t uids[] = { 1, 2, 3, 7, 9, 10, 4 };
	imap_set_put(&b, uids, COUNT(uids));
	assert_text(&b, "1:3,7,9:10,4");
	buffer_reset(&b);
	for (int i = 0; i < IMAP_SET_RANGES_MAX; i++)
		buffer_puts(&b, "7,");
	buffer_puts(&b, "7");
	assert_int_equal(imap_set_parse(&a, buffer_span(&b), &s), ERR_LIMIT);
	buffer_free(&b);
	arena_free(&a);
}

/* ---- FETCH, STORE, SEARCH ---- */

static void fetches(void **state)
{
	static const struct { const char *in, *out; bool seen; } cases[] = {
		{ "FLAGS", "FLAGS", false },
		{ "(flags uid rfc822.size)", "FLAGS UID RFC822.SIZE", false },
		{ "FAST", "FLAGS INTERNALDATE RFC822.SIZE", false },
		{ "ALL", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE", false },
		{ "full", "FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY", false },
		{ "RFC822", "RFC822", true },
		{ "(RFC822.HEADER RFC822.TEXT)", "RFC822.HEADER RFC822.TEXT", true },
		{ "(BODYSTRUCTURE BODY EMAILID THREADID MODSEQ)", "BODYSTRUCTURE BODY EMAILID THREADID MODSEQ", false },
		{ "BODY[]", "BODY[]", true },
		{ "BODY.PEEK[]", "BODY[]", false },
		{ "BINARY[1.2]", "BINARY[1.2]", true },
		{ "binary.peek[1]<5.9>", "BINARY[1]<5>", false },
		{ "(BINARY.SIZE[1] BINARY[])", "BINARY.SIZE[1] BINARY[]", true },
		{ "body.peek[header]", "BODY[HEADER]", false },
		{ "BODY[]<0.100>", "BODY[]<0>", true }, { "BODY[]<4294967296.9223372036854775807>", "BODY[]<4294967296>", true },
		{ "BODY[1.2.3]", "BODY[1.2.3]", true },
		{ "BODY.PEEK[1.2.MIME]<5.1>", "BODY[1.2.MIME]<5>", false },
		{ "BODY.PEEK[4.TEXT]", "BODY[4.TEXT]", false },
		{ "BODY.PEEK[HEADER.FIELDS (From \"To\" \"a b\")]", "BODY[HEADER.FIELDS (From To \"a b\")]", false },
		{ "BODY.PEEK[1.HEADER.FIELDS.NOT (Received)]", "BODY[1.HEADER.FIELDS.NOT (Received)]", false },
		{ "(UID BODY.PEEK[HEADER.FIELDS ({4}\r\nDate)] FLAGS)", "UID BODY[HEADER.FIELDS (Date)] FLAGS", false },
		{ "(FLAGS) ", "FLAGS", false },
		{ "FLAGS (CHANGEDSINCE 5)", "FLAGS", false }, { "FLAGS (PARTIAL -1:-9)", "FLAGS", false },
		{ "FLAGS (PARTIAL 1:9 VANISHED CHANGEDSINCE 5)", "FLAGS", false }, { "SAVEDATE", "SAVEDATE", false }, { "PREVIEW", "PREVIEW", false },
		{ "PREVIEW (LAZY)", "PREVIEW", false }, { "(UID PREVIEW (LAZY) FLAGS)", "UID PREVIEW FLAGS", false },
		{ "PREVIEW (CHANGEDSINCE 5)", "PREVIEW", false }, { "PREVIEW (LAZY) (CHANGEDSINCE 5)", "PREVIEW", false },
		{ "(UID FLAGS) (CHANGEDSINCE 9223372036854775807 VANISHED)", "UID FLAGS", false },
		{ "" }, { "()" }, { "(" }, { "(FLAGS" }, { "FOO" }, { "FLAGS UID" }, { "(ALL)" }, { "BODY[" }, { "BODY[1" },
		{ "BODY[0]" }, { "BODY[1.]" }, { "BODY[.1]" }, { "BODY[MIME]" }, { "BODY[1TEXT]" }, { "BODY[TEXT.1]" },
		{ "BODY[HEADER.FIELDS]" }, { "BODY[HEADER.FIELDS ()]" }, { "BODY[HEADER.FIELDS From]" }, { "BODY[HEADER.FOO]" },
		{ "BODY[]<0>" }, { "BODY[]<0.0>" }, { "BODY[]<-1.5>" }, { "BODY.PEEK" }, { "RFC822.PEEK" },
		{ "BINARY" }, { "BINARY[TEXT]" }, { "BINARY[1.MIME]" }, { "BINARY.SIZE[1]<0.1>" }, { "BINARY.PEEK" }, { "BINARY[1" },
		{ "BODY[4294967296]" }, { "BODY[]<9223372036854775808.1>" }, { "BODY[]<0.9223372036854775808>" }, { "FLAGS (CHANGEDSINCE)" }, { "PREVIEW (LAZY" }, { "PREVIEW (LAZY LAZY)" }, { "PREVIEW (EAGER)" }, { "(PREVIEW(LAZY))" }, { "FLAGS (PARTIAL)" }, { "FLAGS (PARTIAL 1:2 VANISHED)" }, { "FLAGS (PARTIAL 1:2 PARTIAL 1:2)" },
		{ "FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)" }, { "FLAGS (VANISHED)" }, { "FLAGS (PARTIAL 1:-2)" }, { "FLAGS ()" }, { "FLAGS (X 1)" },
		{ "FLAGS (VANISHED)" }, { "FLAGS[]" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_fetch f = { 0 };
		bool ok = imap_fetch_parse(&a, &f);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		struct buffer b = { 0 };
		for (size_t k = 0; k < f.n; k++) {
			if (k)
				buffer_putc(&b, ' ');
			imap_fetch_put_name(&b, &f.items[k]);
		}
		assert_text(&b, ok ? cases[i].out : "");
		assert_int_equal(f.sets_seen, cases[i].seen);
		buffer_free(&b);
		arena_free(&arena);
	}
}

static void fetch_limits(void **state)
{
	struct arena arena = { .limit = 1 << 20 };
	struct buffer b = { 0 };
	struct imap_fetch f;
	buffer_puts(&b, "(");
	for (int i = 0; i <= FETCH_ITEMS_MAX; i++)
		buffer_puts(&b, "BODY[] ");
	buffer_puts(&b, ")");
	struct imap_args a = { .rest = buffer_span(&b), .arena = &arena };
	assert_false(imap_fetch_parse(&a, &f));
	buffer_reset(&b);
	buffer_puts(&b, "BODY[1");
	for (int i = 0; i < FETCH_DEPTH_MAX; i++)
		buffer_puts(&b, ".1");
	buffer_puts(&b, "]");
	a = (struct imap_args){ .rest = buffer_span(&b), .arena = &arena };
	assert_false(imap_fetch_parse(&a, &f));
	buffer_reset(&b);
	buffer_puts(&b, "BODY[HEADER.FIELDS (");
	for (int i = 0; i <= FETCH_FIELDS_MAX; i++)
		buffer_puts(&b, "x ");
	buffer_puts(&b, ")]");
	a = (struct imap_args){ .rest = buffer_span(&b), .arena = &arena };
	assert_false(imap_fetch_parse(&a, &f));
	buffer_free(&b);
	arena_free(&arena);
}

static void stores(void **state)
{
	static const struct { const char *in; int mode; bool silent; const char *flags; uint64_t since; } cases[] = {
		{ "FLAGS (\\Seen)", IMAP_STORE_REPLACE, false, "\\Seen", 0 },
		{ "+FLAGS \\Seen \\Deleted x", IMAP_STORE_ADD, false, "\\Seen \\Deleted x", 0 },
		{ "-flags.silent ()", IMAP_STORE_REMOVE, true, "", 0 },
		{ "FLAGS.SILENT (b A)", IMAP_STORE_REPLACE, true, "A b", 0 },
		{ "(UNCHANGEDSINCE 12345) +FLAGS.SILENT (\\Seen)", IMAP_STORE_ADD, true, "\\Seen", 12345 },
		{ "+FLAGS \\Seen ", IMAP_STORE_ADD, false, "\\Seen", 0 },
		{ "FLAGS" }, { "FLAGS " }, { "+FLAGS (\\Foo)" }, { "+FLAG (\\Seen)" }, { "*FLAGS (\\Seen)" }, { "FLAGS (\\Seen" },
		{ "(UNCHANGEDSINCE) FLAGS ()" }, { "(X 1) FLAGS ()" }, { "FLAGS (a) b" }, { "" }, { "FLAGS \\" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_store s = { 0 };
		if (imap_store_parse(&a, &s) != (cases[i].flags != NULL))
			fail_msg("%s: %s", cases[i].in, a.bad ? a.bad : "taken");
		if (cases[i].flags) {
			struct buffer b = { 0 };
			flags_put(&b, &s.flags, false);
			assert_text(&b, cases[i].flags);
			assert_int_equal(s.mode, cases[i].mode);
			assert_int_equal(s.silent, cases[i].silent);
			assert_int_equal(s.unchangedsince, cases[i].since);
			assert_int_equal(s.has_unchangedsince, cases[i].since != 0);
			buffer_free(&b);
		} else {
			assert_non_null(a.bad);
		}
		arena_free(&arena);
	}
}

static void show(struct buffer *b, const struct imap_search *s)
{
	static const char *const ops[] = { "all", "and", "or", "not", "flag", "keyword", "recent", "header", "body", "text",
		                           "internal", "saved", "sent", "larger", "smaller", "set", "uid", "result", "younger", "older", "modseq",
		                           "emailid", "threadid" };
	buffer_puts(b, ops[s->op]);
	if (s->child) {
		buffer_puts(b, "(");
		for (const struct imap_search *c = s->child; c; c = c->next) {
			if (c != s->child)
				buffer_puts(b, " ");
			show(b, c);
		}
		buffer_puts(b, ")");
	}
	if (s->name.n)
		buffer_printf(b, ":%.*s", SPAN_ARG(s->name));
	if (s->text.p)
		buffer_printf(b, "=%.*s", SPAN_ARG(s->text));
	if (s->number)
		buffer_printf(b, "#%llu", (unsigned long long)s->number);
	if (s->from != s->to)
		buffer_printf(b, "[%lld,%lld)", s->from == INT64_MIN ? -1LL : (long long)s->from,
		              s->to == INT64_MAX ? -1LL : (long long)s->to);
	if (s->set.n)
		buffer_printf(b, "<%u:%u>", s->set.ranges[0].first, s->set.ranges[0].last);
}

static void searches(void **state)
{
	static const struct { const char *in, *out, *charset; } cases[] = {
		{ "ALL", "all" },
		{ "UNSEEN", "not(flag#1)" },
		{ "seen deleted", "and(flag#1 flag#8)" },
		{ "NEW", "and(recent not(flag#1))" },
		{ "OLD", "not(recent)" },
		{ "1:*", "set<1:0>" },
		{ "UID 5:9 UNANSWERED", "and(uid<5:9> not(flag#2))" },
		{ "OR SEEN FLAGGED", "or(flag#1 flag#4)" },
		{ "OR (SEEN DRAFT) NOT FLAGGED", "or(and(flag#1 flag#16) not(flag#4))" },
		{ "NOT UNSEEN", "not(not(flag#1))" },
		{ "FROM anna", "header:From=anna" },
		{ "CC \"a b\" BCC {3}\r\nx\ny TO \"\"", "and(header:Cc=a b header:Bcc=x\ny header:To=)" },
		{ "SUBJECT {2+}\r\n()", "header:Subject=()" },
		{ "HEADER X-Foo \"\"", "header:X-Foo=" },
		{ "HEADER Message-ID <a@b>", "header:Message-ID=<a@b>" },
		{ "BODY x TEXT y", "and(body=x text=y)" },
		{ "KEYWORD $Junk KEYWORD foo UNKEYWORD bar", "and(flag=$Junk#128 keyword=foo not(keyword=bar))" },
		{ "BEFORE 2-Jan-1970", "internal[-1,1)" },
		{ "ON \"2-Jan-1970\"", "internal[1,2)" },
		{ "SINCE 2-Jan-1970", "internal[1,-1)" },
		{ "SENTBEFORE 02-Jan-1970 SENTON 2-Jan-1970 SENTSINCE 2-Jan-1970", "and(sent[-1,1) sent[1,2) sent[1,-1))" },
		{ "LARGER 100 SMALLER 4294967296", "and(larger#100 smaller#4294967296)" },
		{ "YOUNGER 60 OLDER 5", "and(younger#60 older#5)" },
		{ "MODSEQ 620", "modseq#620" },
		{ "MODSEQ \"/flags/\\\\Seen\" all 620", "modseq#620" },
		{ "EMAILID M1 THREADID T1", "and(emailid=M1 threadid=T1)" },
		{ "CHARSET UTF-8 SUBJECT \"\xc3\xa4\"", "header:Subject=\xc3\xa4", "UTF-8" },
		{ "((((SEEN))))", "flag#1" },
		{ "SEEN ", "flag#1" },
		{ "" }, { "()" }, { "(SEEN" }, { "SEEN)" }, { "FOO" }, { "SEENX" }, { "FROM" }, { "NOT" }, { "OR SEEN" },
		{ "CHARSET UTF-8" }, { "BEFORE 32-Jan-1970" }, { "ON" }, { "LARGER x" }, { "LARGER -1" }, { "UID" }, { "UID 0" },
		{ "0" }, { "1,," }, { "YOUNGER 0" }, { "KEYWORD \\Seen\"" }, { "KEYWORD" }, { "MODSEQ" }, { "MODSEQ \"x\" 5" },
		{ "SEEN(DRAFT)" }, { "HEADER X" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_search_query q = { 0 };
		bool ok = imap_search_parse(&a, &q);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		if (ok) {
			struct buffer b = { 0 };
			show(&b, q.root);
			assert_text(&b, cases[i].out);
			assert_true(span_eq(q.charset, span_of(cases[i].charset)));
			assert_int_equal(q.modseq, strstr(cases[i].in, "MODSEQ") != NULL);
			buffer_free(&b);
		} else {
			assert_non_null(a.bad);
		}
		arena_free(&arena);
	}
}

static void put_set(struct buffer *b, const char *name, const struct imap_set *s)
{
	struct imap_set_writer w = { .b = b };
	buffer_printf(b, " %s=", name);
	for (size_t i = 0; i < s->n; i++)
		imap_set_add_range(&w, s->ranges[i]);
	imap_set_finish(&w);
}

static void selects(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" },
		{ "  ", "" },
		{ " (CONDSTORE)", "condstore" },
		{ " (condstore CONDSTORE) ", "condstore" },
		{ " (QRESYNC (67890007 90060115194045000))", "67890007/90060115194045000" },
		{ " (QRESYNC (1 0))", "1/0" },
		{ " (QRESYNC (1 9223372036854775807 41,43:211,214:541))", "1/9223372036854775807 known=41,43:211,214:541" },
		{ " (CONDSTORE QRESYNC (1 2 5,6,7))", "condstore1/2 known=5:7" },
		{ " (QRESYNC (4294967295 2 1:4294967295))", "4294967295/2 known=1:4294967295" },
		{ " (QRESYNC (1 2 1:29997 (5000,7500,9990:9992 15000,22500,29970,29973,29976)))",
		  "1/2 known=1:29997 numbers=5000,7500,9990:9992 uids=15000,22500,29970,29973,29976" },
		{ " (QRESYNC (1 2 (1 1)))", "1/2 numbers=1 uids=1" },
		{ " (QRESYNC (1  2  3  (4  5)))", "1/2 known=3 numbers=4 uids=5" },
		{ "(CONDSTORE)" }, { " CONDSTORE" }, { " ()" }, { " (" }, { " (CONDSTORE" }, { " (FOO)" }, { " (CONDSTORE) x" }, { " (CONDSTORED)" },
		{ " (QRESYNC)" }, { " (QRESYNC 1 2)" }, { " (QRESYNC ())" }, { " (QRESYNC (1))" }, { " (QRESYNC (0 1))" }, { " (QRESYNC (1 2)" },
		{ " (QRESYNC (1 9223372036854775808))" }, { " (QRESYNC (4294967296 1))" }, { " (QRESYNC (1 -2))" }, { " (QRESYNC (1 2 *))" },
		{ " (QRESYNC (1 2 1:*))" }, { " (QRESYNC (1 2 3,2))" }, { " (QRESYNC (1 2 3:2))" }, { " (QRESYNC (1 2 2,2))" },
		{ " (QRESYNC (1 2 3 4))" }, { " (QRESYNC (1 2 (1)))" }, { " (QRESYNC (1 2 (1 2,3)))" }, { " (QRESYNC (1 2 (1:2 2,1)))" },
		{ " (QRESYNC (1 2 (1 *)))" }, { " (QRESYNC (1 2 (1 1) 3))" }, { " (QRESYNC (1 2) QRESYNC (1 2))" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_select s = { 0 };
		struct buffer b = { 0 };
		bool ok = imap_select_parse(&a, &s);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		if (s.condstore)
			buffer_puts(&b, "condstore");
		if (s.qresync)
			buffer_printf(&b, "%u/%llu", s.uidvalidity, (unsigned long long)s.modseq);
		if (s.has_known)
			put_set(&b, "known", &s.known);
		if (s.has_match) {
			put_set(&b, "numbers", &s.numbers);
			put_set(&b, "uids", &s.uids);
		}
		if (ok && cases[i].out[0])
			assert_text(&b, cases[i].out);
		buffer_free(&b);
		arena_free(&arena);
	}
}

/* Messages 1 to 10 have the UIDs 3, 6, ... 30. */
static uint32_t by_threes(const void *ctx, uint32_t number)
{
	return number * 3;
}

static void select_matches(void **state)
{
	static const struct { const char *match; uint32_t uid; } cases[] = {
		{ "1 3", 3 }, { "1 1", 0 }, { "1,5 3,15", 15 }, { "1,5 3,16", 3 }, { "1,5 4,15", 15 }, { "4:6 12,15,18", 18 },
		{ "10 30", 30 }, { "11 33", 0 }, { "1,11 3,33", 3 }, { "1:4294967295 1:4294967295", 0 }, { "4294967295 4294967295", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[200];
		struct arena arena = { 0 };
		struct imap_select s = { 0 };
		snprintf(text, sizeof text, " (QRESYNC (1 1 (%s)))", cases[i].match);
		struct imap_args a = { .rest = span_of(text), .arena = &arena };
		assert_true(imap_select_parse(&a, &s));
		assert_int_equal(imap_select_match(&s, 10, by_threes, NULL), cases[i].uid);
		arena_free(&arena);
	}
}

static void lists(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ " \"\" *", ":*" },
		{ " a \"b c\"", "a:b c" },
		{ " \"\" \"\"", ":" },
		{ " () \"\" %", "x:%" },
		{ " (SUBSCRIBED) \"\" %", "xs:% rs" },
		{ " (subscribed recursivematch special-use remote) \"\" %", "xsrp:% rsrp" },
		{ " \"\" (a b \"c d\")", "x:a,b,c d" },
		{ " \"\" % RETURN ()", "x:%" },
		{ " \"\" % RETURN (CHILDREN SUBSCRIBED SPECIAL-USE)", "x:% rsrp" },
		{ " \"\" % RETURN (MyRights)", "x:%m" },
		{ " \"\" % return (status (messages uidnext) children)", "x:%5" },
		{ " (SUBSCRIBED SUBSCRIBED) {0}\r\n (% *) RETURN (STATUS (SIZE))", "xs:%,* rs64" },
		{ "" }, { " " }, { " \"\"" }, { " (FOO) \"\" *" }, { " (SUBSCRIBED \"\" *" }, { " (SUBSCRIBED)\"\" *" }, { " (RECURSIVEMATCH) \"\" *" },
		{ " (RECURSIVEMATCH REMOTE) \"\" *" }, { " \"\" ()" }, { " \"\" (a" }, { " \"\" * RETURN" }, { " \"\" * RETURN (FOO)" },
		{ " \"\" * RETURN (STATUS)" }, { " \"\" * RETURN (STATUS ())" }, { " \"\" * RETURN (STATUS (FOO))" }, { " \"\" * RETURN (CHILDREN" },
		{ " \"\" * RETURN (CHILDREN) x" }, { " \"\" * FOO (CHILDREN)" }, { " \"\" * RETURNED (CHILDREN)" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_list l = { 0 };
		struct buffer b = { 0 };
		bool ok = imap_list_parse(&a, &l);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		buffer_printf(&b, "%s%s%s%s", l.extended ? "x" : "", l.select.subscribed ? "s" : "", l.select.recursive ? "r" : "",
		              l.select.special_use ? "p" : "");
		buffer_put_span(&b, l.reference);
		buffer_puts(&b, ":");
		for (size_t k = 0; k < l.n; k++)
			buffer_printf(&b, "%s%.*s", k ? "," : "", SPAN_ARG(l.patterns[k]));
		buffer_printf(&b, "%s%s", l.returns.subscribed ? " rs" : "", l.returns.special_use ? "rp" : "");
		if (l.returns.myrights)
			buffer_puts(&b, "m");
		if (l.returns.status)
			buffer_printf(&b, "%u", l.returns.status);
		if (ok)
			assert_text(&b, cases[i].out);
		buffer_free(&b);
		arena_free(&arena);
	}
}

/* "s" for STATUS, then a group each: the filter's place, its names, ":" and its events; "f" for items to fetch. */
static void notify_groups(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ " NONE", "none" }, { " none ", "none" },
		{ " SET (SELECTED (MessageNew MessageExpunge))", " 0:3" }, { " SET (SELECTED NONE)", " 0:0" },
		{ " set status (selected-delayed (messagenew messageexpunge flagchange))", "s 1:7" },
		{ " SET (SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge))",
		  " 0:3 f(UID BODY.PEEK[HEADER.FIELDS (From)])" },
		{ " SET (SELECTED (MessageExpunge MessageNew (FLAGS)))", " 0:3 f(FLAGS)" },
		{ " SET (INBOXES NONE) (PERSONAL (MailboxName)) (SUBSCRIBED (SubscriptionChange MailboxName))", " 2:0 3:16 4:48" },
		{ " SET (SUBTREE a (MailboxName)) (MAILBOXES (b \"c d\") (MailboxName)) (MAILBOXES {1}\r\ne NONE)", " 5a:16 7b,c d:16 7e:0" },
		{ " SET (PERSONAL (MailboxMetadataChange ServerMetadataChange Other))", " 3:448" },
		{ " SET (PERSONAL (MessageNew MessageExpunge AnnotationChange))", " 3:11" },
		{ "", NULL }, { " ", NULL }, { " SET", NULL }, { " NONE x", NULL }, { " SET ", NULL }, { " SET STATUS", NULL },
		{ " SETX (PERSONAL NONE)", NULL }, { " SET(PERSONAL NONE)", NULL }, { " SET (PERSONAL)", NULL }, { " SET (PERSONAL NONE", NULL },
		{ " SET (PERSONAL NONE))", NULL }, { " SET (PERSONAL ())", NULL }, { " SET (PERSONAL (NONE MailboxName)) x", NULL },
		{ " SET (PERSONAL (MessageNew))", NULL }, { " SET (PERSONAL (MessageExpunge))", NULL }, { " SET (PERSONAL (FlagChange))", NULL },
		{ " SET (PERSONAL (MessageNew (UID) MessageExpunge))", NULL }, { " SET (SELECTED (MailboxName))", NULL },
		{ " SET (SELECTED NONE) (SELECTED NONE)", NULL }, { " SET (SELECTED NONE) (SELECTED-DELAYED NONE)", NULL },
		{ " SET (SELECTED (MessageNew (X) MessageExpunge))", NULL }, { " SET (SELECTED (MessageNew () MessageExpunge))", NULL },
		{ " SET (SUBTREE (MailboxName))", NULL }, { " SET (MAILBOXES () (MailboxName))", NULL }, { " SET (SUBTREE a)", NULL },
		{ " SET (SUBTREE-ONE a (MailboxName))", NULL }, { " SET (NOWHERE (MailboxName))", NULL }, { " SET (PERSONAL NONE)(PERSONAL NONE)", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_notify q = { 0 };
		struct buffer b = { 0 };
		bool ok = imap_notify_parse(&a, &q);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		buffer_puts(&b, !q.set ? "none" : q.status ? "s" : "");
		for (size_t k = 0; k < q.n; k++) {
			buffer_printf(&b, " %d", (int)q.groups[k].filter.where);
			for (size_t n = 0; n < q.groups[k].filter.n; n++)
				buffer_printf(&b, "%s%.*s", n ? "," : "", SPAN_ARG(q.names.v[q.groups[k].filter.first + n]));
			buffer_printf(&b, ":%u", q.groups[k].events);
		}
		if (q.has_fetch)
			buffer_printf(&b, " f%.*s", SPAN_ARG(q.items));
		if (ok)
			assert_text(&b, cases[i].out);
		buffer_free(&b);
		arena_free(&arena);
	}
}

/* More groups or names than are kept: it is said, and no more are kept. */
static void notify_bounds(void **state)
{
	struct buffer b = { 0 };
	struct arena arena = { 0 };
	struct imap_notify q;
	buffer_puts(&b, " SET");
	for (int i = 0; i <= NOTIFY_GROUPS_MAX; i++)
		buffer_puts(&b, " (MAILBOXES (a b c d e f) NONE)");
	struct imap_args a = { .rest = buffer_span(&b), .arena = &arena };
	assert_true(imap_notify_parse(&a, &q));
	assert_true(q.too_many && q.names.too_many);
	assert_int_equal(q.n, NOTIFY_GROUPS_MAX);
	assert_int_equal(q.names.n, NOTIFY_NAMES_MAX);
	buffer_free(&b);
	arena_free(&arena);
}

/* The mailbox, the depth and MAXSIZE, the entries. */
static void metadata_queries(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ " INBOX /shared/comment", "INBOX 0 4294967295 /shared/comment" },
		{ " \"\" (/Shared/COMMENT \"/private/vendor/a b/c\")", " 0 4294967295 /shared/comment /private/vendor/a b/c" },
		{ " (DEPTH 1) a /private", "a 1 4294967295 /private" }, { " (depth INFINITY maxsize 9) a (/shared)", "a 2 9 /shared" },
		{ " a (MAXSIZE 0 DEPTH 0) (/shared/a)", "a 0 0 /shared/a" }, { " a (DEPTH 1) {9}\r\n/shared/a", "a 1 4294967295 /shared/a" },
		{ " (MAXSIZE 5) a (DEPTH 1) /shared/a", "a 1 5 /shared/a" }, { " a (/shared/vendor/x)", "a 0 4294967295 /shared/vendor/x" },
		{ "", NULL }, { " ", NULL }, { " a", NULL }, { " a ", NULL }, { " a ()", NULL }, { " () a /shared/a", NULL }, { " a () /shared/a", NULL },
		{ " a /shared/a /shared/b", NULL }, { " a (/shared/a", NULL }, { " a (/shared/a))", NULL }, { " (DEPTH) a /shared/a", NULL },
		{ " (DEPTH 2) a /shared/a", NULL }, { " (DEPTH 1 x", NULL }, { " (MAXSIZE -1) a /shared/a", NULL },
		{ " (MAXSIZE 4294967296) a /shared/a", NULL }, { " (DEPTH 1)a /shared/a", NULL }, { " (x) a /shared/a", NULL },
		{ " a /", NULL }, { " a //", NULL }, { " a \"\"", NULL }, { " a shared/a", NULL }, { " a /other/a", NULL }, { " a /sharedx/a", NULL },
		{ " a /shared/", NULL }, { " a /shared//a", NULL }, { " a \"/shared/*\"", NULL }, { " a \"/shared/%\"", NULL },
		{ " a \"/shared/\t\"", NULL }, { " a \"/shared/\303\251\"", NULL }, { " a \"/shared/\177\"", NULL }, { " a NIL", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_metadata_query q = { 0 };
		struct span mailbox = { 0 };
		struct buffer b = { 0 };
		bool ok = imap_getmetadata_parse(&a, &mailbox, &q);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		buffer_printf(&b, "%.*s %d %u", SPAN_ARG(mailbox), (int)q.depth, q.max);
		for (size_t k = 0; k < q.n; k++)
			buffer_printf(&b, " %.*s", SPAN_ARG(q.names[k]));
		if (ok)
			assert_text(&b, cases[i].out);
		buffer_free(&b);
		arena_free(&arena);
	}
}

static void metadata_depths(void **state)
{
	static const struct { const char *root, *name; bool covered[3]; } cases[] = {
		{ "/shared/a", "/shared/a", { true, true, true } }, { "/shared/a", "/shared/a/b", { false, true, true } },
		{ "/shared/a", "/shared/a/b/c", { false, false, true } }, { "/shared/a", "/shared/ab", { false, false, false } },
		{ "/shared/a/b", "/shared/a", { false, false, false } }, { "/shared", "/private/a", { false, false, false } },
		{ "/shared", "/shared/vendor/x/y", { false, false, true } }, { "/private", "/private/comment", { false, true, true } },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int depth = 0; depth < 3; depth++) {
			struct span root = span_of(cases[i].root);
			struct imap_metadata_query q = { .depth = (enum imap_metadata_depth)depth, .names = &root, .n = 1 };
			assert_int_equal(imap_metadata_asks_for(&q, span_of(cases[i].name)), cases[i].covered[depth]);
		}
}

static void metadata_values(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ " INBOX (/private/comment \"x\")", "INBOX /private/comment=x" }, { " a (/Shared/A NIL)", "a /shared/a!" },
		{ " a (/shared/a \"\" /private/b nil)", "a /shared/a= /private/b!" }, { " \"\" (/private/vendor/x/y {2}\r\nab)", " /private/vendor/x/y=ab" },
		{ " a (/shared/a ~{2}\r\nab)", "a /shared/a=ab" }, { " a ({9}\r\n/shared/a \"x\")", "a /shared/a=x" },
		{ "", NULL }, { " a", NULL }, { " a ()", NULL }, { " a (/shared/a)", NULL }, { " a (/shared/a x)", NULL }, { " a (/shared/a \"x\"", NULL },
		{ " a (/shared/a \"x\") y", NULL }, { " a /shared/a \"x\"", NULL }, { " a (/shared \"x\")", NULL }, { " a (/shared/vendor \"x\")", NULL },
		{ " a (/private/vendor/x \"x\")", NULL }, { " a (/shared//a \"x\")", NULL }, { " a (/nobody/a \"x\")", NULL },
		{ " a (/shared/a (\"x\"))", NULL }, { " a (/shared/a {9}\r\nab)", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_metadata_value *v = NULL;
		struct span mailbox = { 0 };
		struct buffer b = { 0 };
		size_t n = 0;
		bool ok = imap_setmetadata_parse(&a, &mailbox, &v, &n);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		buffer_put_span(&b, mailbox);
		for (size_t k = 0; k < n; k++)
			buffer_printf(&b, " %.*s%s%.*s", SPAN_ARG(v[k].name), v[k].value.p ? "=" : "!", SPAN_ARG(v[k].value));
		if (ok)
			assert_text(&b, cases[i].out);
		buffer_free(&b);
		arena_free(&arena);
	}
}

/* Names and their number have bounds. */
static void metadata_bounds(void **state)
{
	for (int n = METADATA_ASKED_MAX; n <= METADATA_ASKED_MAX + 1; n++) {
		struct buffer b = { 0 };
		struct arena arena = { 0 };
		struct imap_metadata_query q;
		struct span mailbox;
		buffer_puts(&b, " a (");
		for (int i = 0; i < n; i++)
			buffer_printf(&b, " /shared/%d", i);
		buffer_puts(&b, ")");
		struct imap_args a = { .rest = buffer_span(&b), .arena = &arena };
		assert_int_equal(imap_getmetadata_parse(&a, &mailbox, &q), n == METADATA_ASKED_MAX);
		buffer_reset(&b);
		buffer_printf(&b, " a /shared/%0*d", n - METADATA_ASKED_MAX + METADATA_NAME_MAX - 8, 1);
		a = (struct imap_args){ .rest = buffer_span(&b), .arena = &arena };
		assert_int_equal(imap_getmetadata_parse(&a, &mailbox, &q), n == METADATA_ASKED_MAX);
		buffer_free(&b);
		arena_free(&arena);
	}
}

static void search_returns(void **state)
{
	static const struct { const char *in; int returns; bool numbers; } cases[] = {
		{ "ALL", 0, false }, { "RETURN () ALL", SEARCH_RETURN_ALL, false }, { "RETURN (MIN) 1:3", SEARCH_RETURN_MIN, true },
		{ "return (count all max min) CHARSET UTF-8 UID 1", 15, false }, { "RETURN (MIN MIN) (OR 1 SEEN)", SEARCH_RETURN_MIN, true },
		{ "RETURN", -1 }, { "RETURN ALL", -1 }, { "RETURN (ALL)", -1 }, { "RETURN (ALL)ALL", -1 }, { "RETURN (FOO) ALL", -1 },
		{ "RETURN (SAVE) $", 16, false }, { "RETURN (SAVE MIN) NOT $", 17, false }, { "RETURN (PARTIAL 1:5) ALL", 32, false },
		{ "RETURN (SAVE PARTIAL -1:-5 COUNT) ALL", 56, false }, { "RETURN (PARTIAL) ALL", -1 }, { "RETURN (PARTIAL 1) ALL", -1 },
		{ "RETURN (PARTIAL 0:1) ALL", -1 }, { "RETURN (PARTIAL -1:5) ALL", -1 }, { "RETURN (PARTIAL 1:-5) ALL", -1 },
		{ "RETURN (PARTIAL 1:*) ALL", -1 }, { "RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL", -1 }, { "RETURN (PARTIAL 1:2 ALL) ALL", -1 },
		{ "RETURN (PARTIAL 1:4294967296) ALL", -1 }, { "$,1", -1 }, { "$$", -1 }, { "1:$", -1 }, { "UID $", 0, false }, { "UID $,1", -1 },
		{ "OR $ (SAVEDBEFORE 1-Jan-2020 SAVEDON 2-Feb-2021 SAVEDSINCE \"3-Mar-2022\" SAVEDATESUPPORTED)", 0, false },
		{ "SAVEDBEFORE", -1 }, { "SAVEDON x", -1 },
		{ "RETURN (MIN ALL", -1 }, { "CHARSET UTF-8 RETURN (MIN) ALL", -1 }, { "RETURN (MIN) RETURN (MAX) ALL", -1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_search_query q = { 0 };
		bool ok = imap_search_parse(&a, &q);
		if (ok != (cases[i].returns >= 0))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : a.bad);
		assert_true(!ok || (q.returns.what == (unsigned)cases[i].returns && q.numbers == cases[i].numbers));
		arena_free(&arena);
	}
}

/* What decides whether a result can be kept up to date. */
static void search_contexts(void **state)
{
	static const struct { const char *in; unsigned what; bool update, numbers, saved, ages, last; } cases[] = {
		{ "RETURN (UPDATE) ALL", SEARCH_RETURN_ALL, true },
		{ "RETURN (CONTEXT) ALL", SEARCH_RETURN_ALL, false },
		{ "return (context update Update count) ALL", SEARCH_RETURN_COUNT, true },
		{ "RETURN (UPDATE SAVE) NOT $", SEARCH_RETURN_SAVE, true, .saved = true },
		{ "RETURN (PARTIAL 1:2 UPDATE) 1:*", SEARCH_RETURN_PARTIAL, true, .numbers = true },
		{ "RETURN (UPDATE) (SEEN NOT OLDER 5)", SEARCH_RETURN_ALL, true, .ages = true },
		{ "RETURN (UPDATE) OR SEEN YOUNGER 5", SEARCH_RETURN_ALL, true, .ages = true },
		{ "RETURN (UPDATE) UID 1:5", SEARCH_RETURN_ALL, true },
		{ "RETURN (UPDATE) UID 5,7:*", SEARCH_RETURN_ALL, true, .last = true },
		{ "RETURN (UPDATE) NOT UID *:9", SEARCH_RETURN_ALL, true, .last = true },
		{ "UPDATE" }, { "RETURN (UPDATED) ALL" }, { "RETURN (UPDATE 5) ALL" }, { "RETURN (CONTEXT=SEARCH) ALL" }, { "RETURN (\"UPDATE\") ALL" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_args a = { .rest = span_of(cases[i].in), .arena = &arena };
		struct imap_search_query q = { 0 };
		if (imap_search_parse(&a, &q) != (cases[i].what > 0))
			fail_msg("%s: %s", cases[i].in, cases[i].what ? a.bad : "taken");
		if (q.returns.what != cases[i].what || q.returns.update != cases[i].update || q.numbers != cases[i].numbers ||
		    q.saved != cases[i].saved || q.ages != cases[i].ages || q.last != cases[i].last)
			fail_msg("%s is taken for something else", cases[i].in);
		arena_free(&arena);
	}
}

static void partial_lists(void **state)
{
	static const struct { const char *in; size_t n, from, count; } cases[] = {
		{ "1:5", 10, 0, 5 }, { "5:1", 10, 0, 5 }, { "6:20", 10, 5, 5 }, { "11:20", 10, 0, 0 }, { "1:1", 0, 0, 0 },
		{ "10:10", 10, 9, 1 }, { "1:4294967295", 3, 0, 3 },
		{ "-1:-3", 10, 7, 3 }, { "-3:-1", 10, 7, 3 }, { "-8:-20", 10, 0, 3 }, { "-11:-20", 10, 0, 0 }, { "-10:-10", 10, 0, 1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_args a = { .rest = span_of(cases[i].in) };
		struct imap_partial p;
		struct buffer b = { 0 };
		size_t from;
		assert_true(imap_partial(&a, &p));
		assert_int_equal(imap_partial_of(&p, cases[i].n, &from), cases[i].count);
		assert_int_equal(from, cases[i].from);
		imap_partial_put(&b, &p);
		assert_true(span_eq(buffer_span(&b), span_of(cases[i].in)));
		buffer_free(&b);
	}
}

/* Numbers one by one, ascending. */
static size_t parse_numbers(struct arena *arena, const char *text, uint32_t *out)
{
	struct imap_set s = { 0 };
	size_t n = 0;
	if (*text)
		assert_int_equal(imap_set_parse(arena, span_of(text), &s), OK);
	imap_set_resolve(&s, 0);
	for (uint32_t v = imap_set_next(&s, 0); v; v = imap_set_next(&s, (uint64_t)v + 1))
		out[n++] = v;
	return n;
}

static void set_changes(void **state)
{
	static const struct { const char *set, *gone, *come, *out; } cases[] = {
		{ "1:10", "5", "", "1:4,6:10" }, { "1:10", "1", "", "2:10" }, { "1:10", "10", "", "1:9" }, { "1:3", "1:3", "", "" },
		{ "1:10", "2,4:5,9", "", "1,3,6:8,10" }, { "5,7", "6", "", "5,7" }, { "5,7", "1:9", "", "" }, { "5,7", "5", "6", "6:7" },
		{ "5,7", "", "6", "5:7" }, { "", "", "3:4,9", "3:4,9" }, { "5:6", "", "1,4,7,20", "1,4:7,20" }, { "5:9", "6:7", "3,11", "3,5,8:9,11" },
		{ "1:4294967295", "4294967295", "", "1:4294967294" }, { "4294967294", "", "4294967295", "4294967294:4294967295" },
		{ "2:3,6:7,10:11", "3,6,11", "4,8,12", "2,4,7:8,10,12" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_range room[40];
		struct imap_set s = { 0 }, out = { .ranges = room };
		uint32_t gone[20], come[20];
		struct buffer text = { 0 };
		if (cases[i].set[0])
			assert_int_equal(imap_set_parse(&arena, span_of(cases[i].set), &s), OK);
		imap_set_resolve(&s, 0);
		size_t g = parse_numbers(&arena, cases[i].gone, gone), c = parse_numbers(&arena, cases[i].come, come);
		imap_set_change(&s, gone, g, come, c, &out);
		assert_true(out.n <= s.n + g + c);
		put_set(&text, "", &out);
		assert_true(span_eq(span_sub(buffer_span(&text), 2, text.n), span_of(cases[i].out)));
		buffer_free(&text);
		arena_free(&arena);
	}
}

static void updates(void **state)
{
	static const struct { bool removes; uint32_t v[5][2]; const char *out; } cases[] = {
		{ false, { { 0 } }, "" },
		{ false, { { 0, 7 } }, "0 7" }, { false, { { 0, 7 }, { 0, 8 }, { 0, 10 } }, "0 7:8,10" }, { true, { { 0, 7 }, { 0, 9 } }, "0 7,9" },
		/* the next one follows what was put in, or comes to stand where something was taken out */
		{ false, { { 1, 5 }, { 2, 6 }, { 3, 4 } }, "1 5:6,4" }, { false, { { 1, 5 }, { 1, 6 } }, "1 5 1 6" },
		{ true, { { 1, 5 }, { 1, 6 }, { 1, 4 } }, "1 5:6,4" }, { true, { { 1, 5 }, { 2, 6 } }, "1 5 2 6" },
		{ false, { { 3, 9 }, { 4, 8 }, { 1, 10 }, { 2, 11 } }, "3 9,8 1 10:11" },
		{ true, { { 3, 9 }, { 3, 10 }, { 5, 11 } }, "3 9:10 5 11" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		struct imap_update_writer w = { .set.b = &b, .removes = cases[i].removes };
		for (size_t k = 0; k < COUNT(cases[i].v) && cases[i].v[k][1]; k++)
			imap_update_add(&w, cases[i].v[k][0], cases[i].v[k][1]);
		imap_update_finish(&w);
		assert_true(span_eq(buffer_span(&b), span_of(cases[i].out)));
		buffer_free(&b);
	}
}

static void set_intersections(void **state)
{
	static const struct { const char *a, *b, *out; } cases[] = {
		{ "1:10", "5:20", "5:10" }, { "1,3,5", "2,4,6", "" }, { "1:4294967295", "7,9:11", "7,9:11" }, { "1:3,5:7,9", "3:5,7:9", "3,5,7,9" },
		{ "5", "5", "5" }, { "1:2", "3:4", "" }, { "4294967295", "1:4294967295", "4294967295" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { 0 };
		struct imap_range room[20];
		struct imap_set a, b, out = { .ranges = room };
		struct buffer text = { 0 };
		assert_int_equal(imap_set_parse(&arena, span_of(cases[i].a), &a), OK);
		assert_int_equal(imap_set_parse(&arena, span_of(cases[i].b), &b), OK);
		imap_set_resolve(&a, 0);
		imap_set_resolve(&b, 0);
		for (int turn = 0; turn < 2; turn++) {
			struct imap_set_writer w = { .b = &text };
			imap_set_intersect(turn ? &b : &a, turn ? &a : &b, &out);
			assert_true(out.n <= a.n + b.n);
			buffer_reset(&text);
			for (size_t k = 0; k < out.n; k++)
				imap_set_add_range(&w, out.ranges[k]);
			imap_set_finish(&w);
			assert_true(span_eq(buffer_span(&text), span_of(cases[i].out)));
		}
		buffer_free(&text);
		arena_free(&arena);
	}
}

static void search_limits(void **state)
{
	static const struct { const char *word; int times; const char *end; bool ok; } cases[] = {
		{ "NOT ", 49, "SEEN", true }, { "NOT ", 50, "SEEN", false }, { "NOT ", 10000, "SEEN", false },
		{ "(", 49, "SEEN", false }, { "(", 60000, "", false }, { "OR SEEN ", 49, "SEEN", true },
		{ "OR SEEN ", 50, "SEEN", false }, { "SEEN ", 998, "SEEN", true }, { "SEEN ", 1000, "SEEN", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena arena = { .limit = 1 << 20 };
		struct buffer b = { 0 };
		for (int k = 0; k < cases[i].times; k++)
			buffer_puts(&b, cases[i].word);
		buffer_puts(&b, cases[i].end);
		struct imap_args a = { .rest = buffer_span(&b), .arena = &arena };
		struct imap_search_query q;
		assert_int_equal(imap_search_parse(&a, &q), cases[i].ok);
		buffer_free(&b);
		arena_free(&arena);
	}
}

static void quoting(void **state)
{
	static const struct { struct span in; const char *string, *astring; } cases[] = {
		{ { "abc", 3 }, "\"abc\"", "abc" },
		{ { "", 0 }, "\"\"", "\"\"" },
		{ { "a b", 3 }, "\"a b\"", "\"a b\"" },
		{ { "a\"\\", 3 }, "\"a\\\"\\\\\"", "\"a\\\"\\\\\"" },
		{ { "nil", 3 }, "\"nil\"", "\"nil\"" },
		{ { "a\r\nb", 4 }, "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
		{ { "\xc3\xa4", 2 }, "{2}\r\n\xc3\xa4", "{2}\r\n\xc3\xa4" },
		{ { "a\0b", 3 }, "\"a?b\"", "\"a?b\"" },
		{ { "\n\0", 2 }, "{2}\r\n\n?", "{2}\r\n\n?" },
		{ { "a]", 2 }, "\"a]\"", "\"a]\"" },
	};
	struct buffer b = { 0 };
	for (size_t i = 0; i < COUNT(cases); i++) {
		buffer_reset(&b);
		imap_put_string(&b, cases[i].in);
		assert_text(&b, cases[i].string);
		buffer_reset(&b);
		imap_put_astring(&b, cases[i].in);
		assert_text(&b, cases[i].astring);
	}
	buffer_reset(&b);
	imap_put_nstring(&b, (struct span){ 0 });
	imap_put_mailbox(&b, SPAN("Entw\xc3\xbcrfe & mehr"), false);
	imap_put_text(&b, SPAN("a\r\nb\xc3"));
	imap_put_mailbox(&b, SPAN("Entw\xc3\xbcrfe \"&"), true);
	imap_put_mailbox(&b, SPAN("\xc3\xbc\r\n* x"), true);
	assert_text(&b, "NIL\"Entw&APw-rfe &- mehr\"a  b?\"Entw\xc3\xbcrfe \\\"&\"{7}\r\n\xc3\xbc\r\n* x");
	buffer_free(&b);
}

static void rights(void **state)
{
	static const struct { const char *in; int op; const char *out; } cases[] = {
		{ "lrswipkxtea", RIGHTS_SET, "lrswipkxteacd" }, { "aetxkpiwsrl", RIGHTS_SET, "lrswipkxteacd" }, { "", RIGHTS_SET, "" }, { "l", RIGHTS_SET, "l" },
		{ "+l", RIGHTS_ADD, "l" }, { "-rl", RIGHTS_REMOVE, "lr" }, { "+", RIGHTS_ADD, "" }, { "-", RIGHTS_REMOVE, "" },
		{ "c", RIGHTS_SET, "kc" }, { "d", RIGHTS_SET, "xted" }, { "kc", RIGHTS_SET, "kc" }, { "t", RIGHTS_SET, "td" }, { "dt", RIGHTS_SET, "xted" },
		{ "L", -1, NULL }, { "ll", -1, NULL }, { "cc", -1, NULL }, { "lz", -1, NULL }, { "l r", -1, NULL }, { "++l", -1, NULL }, { "l+", -1, NULL },
		{ "0", -1, NULL }, { "\xff", -1, NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		enum rights_op op;
		unsigned r;
		bool ok = imap_rights_change(span_of(cases[i].in), &op, &r);
		if (ok != (cases[i].out != NULL))
			fail_msg("%s: %s", cases[i].in, ok ? "taken" : "refused");
		if (ok) {
			imap_rights_put(&b, r);
			assert_true((int)op == cases[i].op && span_eq(buffer_span(&b), span_of(cases[i].out)));
		}
		buffer_free(&b);
	}
	assert_false(imap_rights_change(span_from("l\0", 2), &(enum rights_op){ 0 }, &(unsigned){ 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights),
		cmocka_unit_test(flag_names), cmocka_unit_test(keyword_sets), cmocka_unit_test(flags_collected),
		cmocka_unit_test(framing), cmocka_unit_test(framing_tail_and_limits), cmocka_unit_test(strings),
		cmocka_unit_test(numbers), cmocka_unit_test(dates), cmocka_unit_test(utf8_strings), cmocka_unit_test(append_messages), cmocka_unit_test(append_rests), cmocka_unit_test(catenate_parts), cmocka_unit_test(urls),
		cmocka_unit_test(sets),
		cmocka_unit_test(set_walks), cmocka_unit_test(fetches), cmocka_unit_test(fetch_limits), cmocka_unit_test(stores),
		cmocka_unit_test(searches), cmocka_unit_test(search_limits), 
		cmocka_unit_test(notify_groups), cmocka_unit_test(notify_bounds), cmocka_unit_test(metadata_queries), cmocka_unit_test(metadata_depths),
		cmocka_unit_test(metadata_values), cmocka_unit_test(metadata_bounds), cmocka_unit_test(search_returns), cmocka_unit_test(search_contexts), cmocka_unit_test(partial_lists),
		cmocka_unit_test(selects),
		cmocka_unit_test(select_matches),
		cmocka_unit_test(lists),
		cmocka_unit_test(set_intersections), cmocka_unit_test(set_changes), cmocka_unit_test(updates), cmocka_unit_test(quoting),
	};
	return cmocka_run_group_tests_name("imap_syntax", tests, NULL, NULL);
}
