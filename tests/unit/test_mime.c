#include "unit.h"

#include <stdlib.h>

#include "mime_address.h"
#include "mime_date.h"
#include "mime_scan.h"
#include "mime_summary.h"
#include "preview.h"
#include "mime_text.h"
#include "rfc2047.h"

static struct buffer text;

static const char *as_text(void)
{
	buffer_putc(&text, 0);
	return text.p;
}

/* Every way to cut the message into pieces of `step` bytes gives the same tree. */
static struct mime_scan *scan(struct span message, size_t step, struct mime_tree *tree)
{
	struct mime_scan *s = mime_scan_new(NULL);
	assert_non_null(s);
	for (size_t i = 0; i < message.n; i += step)
		mime_scan_push(s, span_sub(message, i, step));
	mime_scan_end(s, tree);
	return s;
}

static void summarize(struct span message, struct buffer *out, struct mime_summary *view)
{
	struct mime_tree tree;
	struct mime_scan *s = scan(message, SIZE_MAX, &tree);
	buffer_reset(out);
	assert_int_equal(mime_summary_build(&tree, out), OK);
	assert_int_equal(mime_summary_open(buffer_span(out), view), OK);
	mime_scan_free(&s);
	buffer_reset(out);
	s = scan(message, 1, &tree);
	struct buffer again = { 0 };
	assert_int_equal(mime_summary_build(&tree, &again), OK);
	assert_int_equal(mime_summary_build(&tree, out), OK);
	assert_int_equal(mime_summary_open(buffer_span(out), view), OK);
	assert_true(span_eq(buffer_span(out), buffer_span(&again)));
	buffer_free(&again);
	mime_scan_free(&s);
}

#define NESTED \
	"From: a@b\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\npreamble\r\n" \
	"--x\r\n\r\none\r\n\r\n" \
	"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n" \
	"--y\r\nContent-Type: text/html\r\n\r\n<b>\r\n--y--\r\nepilogue\r\n" \
	"--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: BASE64\r\n\r\n\r\n--x--\r\nend\r\n"
#define SINGLE "Subject: s\r\n\r\nbody\r\n"
#define BARE "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b \t\n\ntwo\n\n--b--"
#define ENCODED "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdA==\r\n"
#define NO_BLANK "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n--b\r\n--b--\r\n"
#define EMPTY_MULTI "Content-Type: multipart/mixed; boundary=b\r\n\r\nhello\r\n"

static void sections(void **state)
{
	static const struct { const char *message; uint32_t path[4]; size_t n; int what; const char *want; } cases[] = {
		{ SINGLE, { 0 }, 0, MIME_SECTION_ALL, SINGLE },
		{ SINGLE, { 0 }, 0, MIME_SECTION_HEADER, "Subject: s\r\n\r\n" },
		{ SINGLE, { 0 }, 0, MIME_SECTION_TEXT, "body\r\n" },
		{ SINGLE, { 0 }, 0, MIME_SECTION_MIME, NULL },
		{ SINGLE, { 1 }, 1, MIME_SECTION_ALL, "body\r\n" },
		{ SINGLE, { 1 }, 1, MIME_SECTION_MIME, "Subject: s\r\n\r\n" },
		{ SINGLE, { 1 }, 1, MIME_SECTION_HEADER, NULL },
		{ SINGLE, { 2 }, 1, MIME_SECTION_ALL, NULL },
		{ SINGLE, { 1, 1 }, 2, MIME_SECTION_ALL, NULL },
		{ SINGLE, { 0 }, 1, MIME_SECTION_ALL, NULL },
		{ NESTED, { 1 }, 1, MIME_SECTION_ALL, "one\r\n" },
		{ NESTED, { 1 }, 1, MIME_SECTION_MIME, "\r\n" },
		{ NESTED, { 1, 1 }, 2, MIME_SECTION_ALL, NULL },
		{ NESTED, { 2 }, 1, MIME_SECTION_MIME, "Content-Type: message/rfc822\r\n\r\n" },
		{ NESTED, { 2 }, 1, MIME_SECTION_HEADER,
		  "Subject: in\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n" },
		{ NESTED, { 2 }, 1, MIME_SECTION_TEXT, "--y\r\nContent-Type: text/html\r\n\r\n<b>\r\n--y--\r\nepilogue" },
		{ NESTED, { 2, 1 }, 2, MIME_SECTION_ALL, "<b>" },
		{ NESTED, { 2, 1 }, 2, MIME_SECTION_MIME, "Content-Type: text/html\r\n\r\n" },
		{ NESTED, { 2, 2 }, 2, MIME_SECTION_ALL, NULL },
		{ NESTED, { 3 }, 1, MIME_SECTION_ALL, "" },
		{ NESTED, { 4 }, 1, MIME_SECTION_ALL, NULL },
		{ BARE, { 1 }, 1, MIME_SECTION_ALL, "one" },
		{ BARE, { 2 }, 1, MIME_SECTION_ALL, "two\n" },
		{ ENCODED, { 1 }, 1, MIME_SECTION_HEADER, "" },
		{ ENCODED, { 1 }, 1, MIME_SECTION_TEXT, "U3ViamVjdA==\r\n" },
		{ ENCODED, { 1, 1 }, 2, MIME_SECTION_ALL, "U3ViamVjdA==\r\n" },
		{ NO_BLANK, { 1 }, 1, MIME_SECTION_MIME, "X: y" },
		{ NO_BLANK, { 1 }, 1, MIME_SECTION_ALL, "" },
		{ NO_BLANK, { 2 }, 1, MIME_SECTION_MIME, "" },
		{ NO_BLANK, { 3 }, 1, MIME_SECTION_MIME, NULL },
		{ EMPTY_MULTI, { 1 }, 1, MIME_SECTION_ALL, "hello\r\n" },
		{ EMPTY_MULTI, { 1, 1 }, 2, MIME_SECTION_ALL, NULL },
		{ "", { 0 }, 0, MIME_SECTION_ALL, "" },
		{ "\r\n", { 0 }, 0, MIME_SECTION_HEADER, "\r\n" },
		{ "Subject: x", { 0 }, 0, MIME_SECTION_HEADER, "Subject: x" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_summary view;
		uint64_t from = 0, to = 0;
		summarize(span_of(cases[i].message), &text, &view);
		int rc = mime_summary_section(&view, cases[i].path, cases[i].n, (enum mime_section)cases[i].what, &from, &to);
		if (rc != (cases[i].want ? OK : ERR_NOT_FOUND))
			fail_msg("case %zu: %d", i, rc);
		if (rc != OK)
			continue;
		struct span got = span_sub(span_of(cases[i].message), (size_t)from, (size_t)(to - from));
		if (!span_eq(got, span_of(cases[i].want)))
			fail_msg("case %zu: \"%.*s\"", i, SPAN_ARG(got));
	}
}

static void structures(void **state)
{
	static const struct { const char *message, *body, *structure; } cases[] = {
		{ SINGLE, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1)",
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 1 NIL NIL NIL NIL)" },
		{ BARE, "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0)"
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1) \"mixed\")", NULL },
		{ "Content-Type: Application/PDF; name=\"a \\\"b\\\".pdf\"; x*=utf-8''y (c)\r\nContent-ID: <i@d>\r\n"
		  "Content-Disposition: ATTACHMENT; filename=a b.pdf\r\nContent-Language: en, (x) de\r\n"
		  "Content-Location: http://x/\r\n y\r\nContent-MD5: Q2hlY2s=\r\nContent-Description: d\r\n\r\n",
		  NULL, "(\"application\" \"pdf\" (\"name\" \"a \\\"b\\\".pdf\" \"x*\" \"utf-8''y\") \"<i@d>\" \"d\" \"7bit\" 0 "
		  "\"Q2hlY2s=\" (\"attachment\" (\"filename\" \"a b.pdf\")) (\"en\" \"(x) de\") \"http://x/ y\")" },
		{ EMPTY_MULTI, "((\"text\" \"plain\" NIL NIL NIL \"7bit\" 7 1) \"mixed\")", NULL },
		{ "Content-Type: message/rfc822\r\n\r\nSubject: \xc3\xa9\r\n\r\nx",
		  "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL {2}\r\n\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL) "
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2)", NULL },
		{ "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: s\r\n\r\nx\r\n--b--",
		  "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
		  "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"digest\")", NULL },
		{ "Content-Type: text\r\n\r\n", "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)", NULL },
		{ "Content-Type: text/x>y\r\n\r\n", "(\"text\" \"x\" NIL NIL NIL \"7bit\" 0 0)", NULL },
		{ "Content-Type: foo\r\n\r\n", "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" 0)", NULL },
		{ "Content-Type: text / html (c) ; charset = utf-8 (Unicode)\r\n\r\n",
		  "(\"text\" \"html\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 0 0)", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_summary view;
		struct buffer summary = { 0 };
		summarize(span_of(cases[i].message), &summary, &view);
		buffer_reset(&text);
		assert_int_equal(mime_summary_body(&view, &text), OK);
		if (cases[i].body)
			assert_string_equal(as_text(), cases[i].body);
		buffer_reset(&text);
		buffer_put_span(&text, view.structure);
		if (cases[i].structure)
			assert_string_equal(as_text(), cases[i].structure);
		buffer_free(&summary);
	}
}

static void envelopes(void **state)
{
	static const struct { const char *header, *want; } cases[] = {
		{ "", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)" },
		{ "Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\nSubject: a\r\n b\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
		  "Message-ID: <1@x>\r\nIn-Reply-To: <0@x>\r\nCc: x@y\r\nCc: z\r\n",
		  "(\"Mon, 7 Feb 1994 21:52:25 -0800 (PST)\" \"a b\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		  "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
		  "NIL ((NIL NIL \"x\" \"y\")(NIL NIL \"z\" \"\")) NIL \"<0@x>\" \"<1@x>\")" },
		{ "To: A group:b@c,\"d \\\"e\\\" f\" <g@h>;, i@j\r\nSender: \r\n",
		  "(NIL NIL NIL NIL NIL ((NIL NIL \"A group\" NIL)(NIL NIL \"b\" \"c\")(\"d \\\"e\\\" f\" NIL \"g\" \"h\")"
		  "(NIL NIL NIL NIL)(NIL NIL \"i\" \"j\")) NIL NIL NIL NIL)" },
		{ "Subject: \xff\r\n", "(NIL {1}\r\n\xff NIL NIL NIL NIL NIL NIL NIL NIL)" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_summary view;
		struct buffer summary = { 0 };
		summarize(span_of(cases[i].header), &summary, &view);
		buffer_reset(&text);
		buffer_put_span(&text, view.envelope);
		assert_string_equal(as_text(), cases[i].want);
		buffer_free(&summary);
	}
}

static void put_part(struct buffer *b, const char *name, struct span s)
{
	if (s.p)
		buffer_printf(b, " %s=%.*s", name, SPAN_ARG(s));
}

static void addresses(void **state)
{
	static const struct { const char *in, *want; } cases[] = {
		{ "", "" },
		{ " , ;, ", "" },
		{ "a@b", "[m=a h=b]" },
		{ "a @ b . c", "[m=a h=b.c]" },
		{ "A B <a@b>, c@d", "[n=A B m=a h=b][m=c h=d]" },
		{ "A Q. B <a@b>", "[n=A Q. B m=a h=b]" },
		{ "\"B, A\" <a@b>", "[n=B, A m=a h=b]" },
		{ "a@b (A (very) B)", "[n=A (very) B m=a h=b]" },
		{ "(c) a@b", "[n=c m=a h=b]" },
		{ "a@b <a@b>", "[n=a@b m=a h=b]" },
		{ "John a.b@c", "[n=John m=a.b h=c]" },
		{ "\"a b\"@c", "[m=a b h=c]" },
		{ "<a@b>", "[m=a h=b]" },
		{ "<>", "[m= h=]" },
		{ "A <@x,@y:a@b>", "[n=A r=@x,@y m=a h=b]" },
		{ "undisclosed-recipients:;", "{undisclosed-recipients}" "}" },
		{ "G: a@b, C <c@d>; e@f", "{G}[m=a h=b][n=C m=c h=d]}[m=e h=f]" },
		{ "G: a@b", "{G}[m=a h=b]}" },
		{ "postmaster", "[m=postmaster h=]" },
		{ "A <a@b", "[n=A m=a h=b]" },
		{ "A <a@b, c@d", "[n=A m=a h=b][m=c h=d]" },
		{ "<a@b> <c@d>", "[m=a h=b][m=c h=d]" },
		{ "a@b; c@d", "[m=a h=b][m=c h=d]" },
		{ "a@b@c", "[m=a@b h=c]" },
		{ "a@[10.0.0.1]", "[m=a h=[10.0.0.1]]" },
		{ "=?utf-8?Q?a,_b?= <a@b>", "[n==?utf-8?Q?a,_b?= m=a h=b]" },
		{ "\"unclosed <a@b>", "[m=unclosed <a@b> h=]" },
		{ "A\r\n B <a@\r\n b>", "[n=A B m=a h=b]" },
		{ "<a b@c>", "[m=ab h=c]" },
		{ "a@", "[m=a h=]" },
		{ "@b", "[m= h=b]" },
		{ "\\", "[m=\\ h=]" },
	};
	struct mime_address_reader r = { 0 };
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_address a;
		buffer_reset(&text);
		mime_address_start(&r, span_of(cases[i].in));
		while (mime_address_next(&r, &a)) {
			if (a.kind == ADDRESS_GROUP_START) {
				buffer_printf(&text, "{%.*s}", SPAN_ARG(a.name));
			} else if (a.kind == ADDRESS_GROUP_END) {
				buffer_putc(&text, '}');
			} else {
				size_t at = text.n;
				put_part(&text, "n", a.name);
				put_part(&text, "r", a.route);
				put_part(&text, "m", a.mailbox.p ? a.mailbox : SPAN(""));
				put_part(&text, "h", a.host.p ? a.host : SPAN(""));
				text.p[at] = '[';
				buffer_putc(&text, ']');
			}
		}
		if (strcmp(as_text(), cases[i].want) != 0)
			fail_msg("%s: %s, not %s", cases[i].in, text.p, cases[i].want);
	}
	mime_address_free(&r);
}

static void dates(void **state)
{
	static const struct { const char *in; int ok; int64_t seconds; int zone; } cases[] = {
		{ "Thu, 1 Jan 1970 00:00:00 +0000", 1, 0, 0 },
		{ "Mon, 7 Feb 1994 21:52:25 -0800 (PST)", 1, 760686745, -480 },
		{ "7 Feb 94 21:52:25 PST", 1, 760686745, -480 },
		{ "Mon Feb  7 21:52:25 1994", 1, 760657945, 0 },
		{ "Mon Feb  7 21:52:25 PST 1994", 1, 760686745, -480 },
		{ "1994-02-07T21:52:25-08:00", 1, 760686745, -480 },
		{ "1994-02-07 21:52:25.123 Z", 1, 760657945, 0 },
		{ "7-Feb-1994 21:52 GMT", 1, 760657920, 0 },
		{ "Mon, 7 February 1994 9:52:25 PM -0800", 1, 760686745, -480 },
		{ "Mon (day), 7 (x(y)) Feb 1994 21:52:25 +0530", 1, 760638145, 330 },
		{ "Mon, 7 Feb 104 21:52:25 +0000", 1, 1076190745, 0 },
		{ "7 Feb 1994", 1, 760579200, 0 },
		{ "Tue, 29 Feb 2000 00:00:00 +0000", 1, 951782400, 0 },
		{ "Tue, 29 Feb 2001 00:00:00 +0000", 0, 0, 0 },
		{ "Mon, 7 Feb 1994 25:52:25 -0800", 0, 0, 0 },
		{ "", 0, 0, 0 }, { "yesterday", 0, 0, 0 }, { "((((", 0, 0, 0 }, { "99999999999999 Feb 1", 0, 0, 0 },
		{ "7 Feb 1994 00:00 +01:", 1, 760575600, 60 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_date d = { 0 };
		if (mime_date_parse(span_of(cases[i].in), &d) != cases[i].ok || d.seconds != cases[i].seconds ||
		    d.zone != cases[i].zone)
			fail_msg("%s: %lld %d", cases[i].in, (long long)d.seconds, d.zone);
	}
}

static void header_fields(void **state)
{
	static const struct span names[] = { { "to", 2 }, { "SUBJECT", 7 } };
	struct span header = SPAN("From x Mon 10:00\r\nTo: a\r\n\tb\r\nX: y\r\nSubject : s\r\nTo: c\r\n\r\nTo: body\r\n");
	buffer_reset(&text);
	mime_header_fields(header, names, 2, false, &text);
	assert_string_equal(as_text(), "To: a\r\n\tb\r\nSubject : s\r\nTo: c\r\n\r\n");
	buffer_reset(&text);
	mime_header_fields(header, names, 2, true, &text);
	assert_string_equal(as_text(), "From x Mon 10:00\r\nX: y\r\n\r\n");
	buffer_reset(&text);
	mime_header_fields(SPAN("To: x"), names, 2, false, &text);
	assert_string_equal(as_text(), "To: x\r\n\r\n");
	buffer_reset(&text);
	mime_unfold(SPAN("a\r\n b\n\tc\rd\r\ne"), &text);
	assert_string_equal(as_text(), "a b\tc d e");
}

static void limits(void **state)
{
	struct mime_limits few = { .parts = 4, .depth = 2, .fields = 5, .header_bytes = 200 };
	struct buffer b = { 0 };
	buffer_puts(&b, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	for (int i = 0; i < 10; i++)
		buffer_puts(&b, "--b\r\n\r\nx\r\n");
	struct mime_tree tree;
	struct mime_scan *s = mime_scan_new(&few);
	mime_scan_push(s, buffer_span(&b));
	mime_scan_end(s, &tree);
	assert_int_equal(tree.count, 4);
	assert_true(tree.cut);
	assert_true(tree.parts[3].body_end == b.n);
	mime_scan_free(&s);
	s = mime_scan_new(&few);
	for (int i = 0; i < 10; i++)
		mime_scan_push(s, SPAN("Content-Type: message/rfc822\r\n\r\n"));
	mime_scan_end(s, &tree);
	assert_int_equal(tree.count, 3);
	buffer_reset(&b);
	assert_int_equal(mime_summary_build(&tree, &b), OK);
	mime_scan_free(&s);
	s = mime_scan_new(&few);
	for (int i = 0; i < 10; i++)
		mime_scan_push(s, SPAN("X-Filler: 0123456789012345678901234567890123456789\r\n"));
	mime_scan_push(s, SPAN("\r\nbody"));
	mime_scan_end(s, &tree);
	assert_true(tree.cut && tree.parts[0].header.n == 200 && tree.size - tree.parts[0].body_start == 4);
	mime_scan_free(&s);
	buffer_free(&b);
}

static void attachments_and_dates(void **state)
{
	static const struct { const char *header; int attachment, date; } cases[] = {
		{ "Subject: x\r\n\r\n", 0, 0 },
		{ "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nContent-Type: application/pdf\r\n\r\n", 1, 1 },
		{ "Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\n", 1, 0 },
		{ "Content-Type: image/png\r\nContent-Disposition: inline\r\n\r\n", 0, 0 },
		{ "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\n", 0, 0 },
		{ "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\n", 0, 0 },
		{ NESTED, 1, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_summary view;
		struct buffer summary = { 0 };
		summarize(span_of(cases[i].header), &summary, &view);
		assert_int_equal(view.has_attachment, cases[i].attachment);
		assert_int_equal(view.has_date, cases[i].date);
		buffer_free(&summary);
	}
}

static void fields_block(void **state)
{
	static const struct span known[] = { { "to", 2 }, { "LIST-ID", 7 } }, other[] = { { "to", 2 }, { "received", 8 } };
	struct mime_summary view;
	struct buffer summary = { 0 }, big = { 0 };
	summarize(SPAN("Received: x\r\nTo: a\r\n b\r\nX-Y: z\r\nSubject: s\r\n\r\n"), &summary, &view);
	assert_true(span_eq(view.fields, SPAN("To: a\r\n b\r\nSubject: s\r\n")));
	assert_true(mime_summary_has_fields(&view, known, 2));
	assert_false(mime_summary_has_fields(&view, other, 2));
	buffer_puts(&big, "References:");
	for (int i = 0; i < 2000; i++)
		buffer_puts(&big, " <01234567890@x>");
	summarize(buffer_span(&big), &summary, &view);
	assert_false(mime_summary_has_fields(&view, known, 2));
	buffer_free(&big);
	buffer_free(&summary);
}

/* Whatever byte is damaged, the reader stays within bounds. */
static void damaged_summaries(void **state)
{
	struct mime_summary view;
	struct buffer good = { 0 }, out = { 0 };
	summarize(SPAN(NESTED), &good, &view);
	assert_int_equal(mime_summary_open(span_sub(buffer_span(&good), 0, good.n - 1), &view), ERR_CORRUPT);
	for (size_t i = 0; i < good.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			char *copy = malloc(good.n);
			memcpy(copy, good.p, good.n);
			copy[i] = (char)(copy[i] ^ (1 << bit));
			uint64_t from = 0, to = 0;
			uint32_t path[] = { 2, 1 };
			if (mime_summary_open((struct span){ copy, good.n }, &view) == OK) {
				buffer_reset(&out);
				mime_summary_body(&view, &out);
				if (mime_summary_section(&view, path, 2, MIME_SECTION_ALL, &from, &to) == OK)
					assert_true(from <= to && to <= view.size);
			}
			free(copy);
		}
	buffer_free(&good);
	buffer_free(&out);
}

static void encoded_words(void **state)
{
	static const struct { const char *in, *want; } cases[] = {
		{ "plain", "plain" },
		{ "=?utf-8?Q?caf=C3=A9_au_lait?=", "caf\xc3\xa9 au lait" },
		{ "=?iso-8859-1?q?a?= =?iso-8859-1?q?b?= c", "ab c" },
		{ "=?utf-8?B?w6k=?=\r\n =?utf-8?B?w6k=?=", "\xc3\xa9\xc3\xa9" },
		{ "=?utf-8?Q?=C3?= =?UTF-8?Q?=A9?=", "\xc3\xa9" },
		{ "=?utf-8*en?Q?a?=", "a" },
		{ "=?utf-8?Q?a b?= c", "a b c" },
		{ "x =?utf-8?Q?a", "x =?utf-8?Q?a" },
		{ "=?utf-8?x?a?=", "=?utf-8?x?a?=" },
		{ "=?x-nobody-knows?Q?a=E9?=", "a\xc3\xa9" },
		{ "=?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
		{ "=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "=?gb2312?B?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd" },
		{ "raw \xc3\xa9", "raw \xc3\xa9" }, { "raw \xe9\xc3\xa9", "raw \xc3\xa9\xc3\x83\xc2\xa9" },
		{ "a\r\n b", "a b" }, { "=?=?utf-8?Q?a?=", "=?a" }, { "", "" }, { "=?", "=?" }, { "=?utf-8?B?" "?=", "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		buffer_reset(&text);
		rfc2047_decode(span_of(cases[i].in), &text);
		assert_string_equal(as_text(), cases[i].want);
	}
}

/* Decoded and folded, in pieces of every size. */
static void texts(void **state)
{
	static const struct { enum mime_encoding encoding; const char *charset, *in, *want; } cases[] = {
		{ MIME_7BIT, "", "Hello World", "HELLO WORLD" },
		{ MIME_QP, "utf-8", "CAF=C3=89 =\r\nnext=20=  \r\nx", "CAFE\xcc\x81 NEXT X" },
		{ MIME_QP, "iso-8859-1", "=C9=zz=", "E\xcc\x81=ZZ=" },
		{ MIME_BASE64, "utf-8", "SGVs\r\nbG8=\r\nw4k=", "HELLOE\xcc\x81" },
		{ MIME_BASE64, "", "SGVsbG8", "HELLO" },
		{ MIME_8BIT, "koi8-r", "\xf0\xf2", "\xd0\x9f\xd0\xa0" },
		{ MIME_8BIT, "utf-8", "\xce\xa3\xcf\x82 \xd0\x81 \xef\xbc\xa1", "\xce\xa3\xce\xa3 \xd0\x95\xcc\x88 A" },
		{ MIME_8BIT, "utf-8", "\xe2\x82", "A\xcc\x82\xe2\x80\x9a" },
		{ MIME_8BIT, "shift_jis", "\x93\xfa\x96\x7b", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ MIME_8BIT, "utf-7", "Hi +AOk-!", "HI E\xcc\x81!" },
		{ MIME_8BIT, "../../etc/passwd", "\xe9", "E\xcc\x81" },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t step = 1; step < 30; step++) {
			struct mime_text t;
			struct span in = span_of(cases[i].in);
			buffer_reset(&text);
			mime_text_open(&t, cases[i].encoding, span_of(cases[i].charset));
			for (size_t at = 0; at < in.n; at += step)
				mime_text_push(&t, span_sub(in, at, step), &text);
			mime_text_close(&t, &text);
			assert_string_equal(as_text(), cases[i].want);
		}
}

static void folds(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "aZ_09", "AZ_09" }, { "\xc3\x9f", "\xc3\x9f" }, { "\xc3\xa4\xc3\x84", "A\xcc\x88" "A\xcc\x88" }, { "\xc5\xbf", "S" },
		{ "\xc4\xb1", "I" }, { "\xc4\xb0", "I\xcc\x87" }, { "\xc7\x86\xc7\x85\xc7\x84", "Dz\xcc\x8c" "Dz\xcc\x8c" "Dz\xcc\x8c" },
		{ "\xef\xac\x81", "fi" }, { "\xc2\xa0", " " }, { "\xef\xbd\x81", "A" }, { "\xe1\xb8\xa9", "H\xcc\xa7" },
		{ "\xe1\xbd\xa7", "\xce\xa9\xcc\x94\xcd\x82" }, { "\xf0\x90\x90\xa8", "\xf0\x90\x90\x80" }, { "\xe4\xb8\xad", "\xe4\xb8\xad" },
		{ "\xf0\xaf\xa8\x9d", "\xf0\xaa\x98\x80" }, { "\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf" }, { "\xff" "a", "\xff" "A" }, { "\xc3", "\xc3" },
		{ "\xea\xb0\x80", "\xea\xb0\x80" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		buffer_reset(&text);
		text_fold(span_of(cases[i].in), &text);
		assert_string_equal(as_text(), cases[i].out);
	}
}

static void finds(void **state)
{
	struct span hay = SPAN("aabaabaaabbb aaab");
	static const struct { const char *needle; int found; } cases[] = {
		{ "", 1 }, { "a", 1 }, { "aaabbb", 1 }, { "aaabbbb", 0 }, { "baab", 1 }, { "aaab", 1 }, { "bab", 0 }, { " ", 1 },
		{ "aabaabaaabbb aaab", 1 }, { "aabaabaaabbb aaaba", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t step = 1; step <= hay.n; step++) {
			struct text_find f = { 0 };
			text_find_start(&f, span_of(cases[i].needle));
			for (size_t at = 0; at < hay.n; at += step)
				text_find_push(&f, span_sub(hay, at, step));
			assert_int_equal(f.found, cases[i].found);
			text_find_free(&f);
		}
	assert_true(text_contains(SPAN("Fwd: CAF\xc3\x89"), SPAN("CAFE\xcc\x81")));
	assert_true(text_contains(SPAN("cafe\xcc\x81"), SPAN("CAFE\xcc\x81")));
	assert_false(text_contains(SPAN(""), SPAN("x")));
}

static void previews(void **state)
{
	static const struct { const char *type, *charset; enum mime_encoding encoding; const char *in, *out; } cases[] = {
		{ "text/plain", "", MIME_7BIT, "", "" }, { "text/plain", "", MIME_7BIT, "  Hello,\r\n\r\n\tyou  there \r\n", "Hello, you there" },
		{ "text/plain", "", MIME_7BIT, "> quoted\r\n> more\r\nanswer\r\n>end", "answer" }, { "text/plain", "", MIME_7BIT, "a > b\r\n", "a > b" },
		{ "text/plain", "utf-8", MIME_QP, "Gr=C3=BC=\r\n=C3=9Fe", "Gr\xc3\xbc\xc3\x9f" "e" },
		{ "text/plain", "iso-8859-1", MIME_8BIT, "\xe4", "\xc3\xa4" }, { "text/plain", "", MIME_BASE64, "SGVsbG8=", "Hello" },
		{ "text/plain", "", MIME_7BIT, "a\x01\x7f" "b\xe2\x80\x8b" "c\xc2\xa0" "d", "a bc d" }, { "text/plain", "", MIME_7BIT, "<b>&amp;", "<b>&amp;" },
		{ "text/html", "", MIME_7BIT, "<html><head><title>No</title><style>p { }</style></head><body><p>Hi&nbsp;<b>you</b>&#33;</p><!-- no > -->x</body>",
		  "Hi you ! x" },
		{ "text/html", "", MIME_7BIT, "a&lt;b&GT;c&quot;&unknown;&#x;&#55296;&#1114112;&", "a<b>c\"&unknown;&#x; &#1114112;&" },
		{ "text/html", "", MIME_7BIT, "<style>never ends", "" }, { "text/html", "", MIME_7BIT, "a<b", "a" }, { "text/html", "", MIME_7BIT, "a<!-- b", "a" },
		{ "text/html", "", MIME_7BIT, "<script>1 </scrip> 2</script>b", "b" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct mime_summary_part p = { .type = span_of(cases[i].type), .charset = span_of(cases[i].charset), .encoding = cases[i].encoding };
		struct buffer b = { 0 };
		preview_put(&p, span_of(cases[i].in), &b);
		if (!span_eq(buffer_span(&b), span_of(cases[i].out)))
			fail_msg("%s: got '%.*s'", cases[i].in, SPAN_ARG(buffer_span(&b)));
		buffer_free(&b);
	}
	char many[4 * PREVIEW_MAX];
	struct mime_summary_part p = { .type = SPAN("text/plain") };
	struct buffer b = { 0 };
	for (size_t i = 0; i < sizeof many; i += 4)
		memcpy(many + i, "\xc3\xa4x ", 4);
	preview_put(&p, span_from(many, sizeof many), &b);
	size_t characters = 0;
	for (size_t i = 0; i < b.n; i++)
		characters += ((unsigned char)b.p[i] & 0xc0) != 0x80;
	assert_true(characters <= PREVIEW_MAX && characters > PREVIEW_MAX - 5);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(previews), cmocka_unit_test(header_fields), cmocka_unit_test(sections), cmocka_unit_test(structures),
		cmocka_unit_test(envelopes), cmocka_unit_test(addresses), cmocka_unit_test(dates),
		cmocka_unit_test(limits), cmocka_unit_test(attachments_and_dates), cmocka_unit_test(fields_block),
		cmocka_unit_test(damaged_summaries), cmocka_unit_test(encoded_words),
		cmocka_unit_test(texts), cmocka_unit_test(finds), cmocka_unit_test(folds),
	};
	int failed = cmocka_run_group_tests_name("mime", tests, NULL, NULL);
	buffer_free(&text);
	return failed;
}
