#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "netstring.h"
#include "smtp_command.h"
#include "smtp_dot.h"

static void lines(void **state)
{
	static const struct { struct span in; enum smtp_line_answer answer; size_t line, left; } cases[] = {
		{ SPAN(""), SMTP_LINE_MORE, 0, 0 },
		{ SPAN("NOOP"), SMTP_LINE_MORE, 0, 4 },
		{ SPAN("NOOP\r"), SMTP_LINE_MORE, 0, 5 },
		{ SPAN("NOOP\r\n"), SMTP_LINE_OK, 4, 0 },
		{ SPAN("\r\nQUIT\r\n"), SMTP_LINE_OK, 0, 6 },
		{ SPAN("NOOP\nQUIT\r\n"), SMTP_LINE_BAD, 0, 6 },
		{ SPAN("\n"), SMTP_LINE_BAD, 0, 0 },
		{ SPAN("NO\rOP\r\nx"), SMTP_LINE_BAD, 0, 1 },
		{ SPAN("NO\0P\r\nx"), SMTP_LINE_BAD, 0, 1 },
		{ SPAN("NOOP\r\r\n"), SMTP_LINE_BAD, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = cases[i].in, line = { 0 };
		assert_int_equal(smtp_line_next(&in, &line), cases[i].answer);
		assert_int_equal(line.n, cases[i].line);
		assert_int_equal(in.n, cases[i].left);
	}
}

static void commands(void **state)
{
	static const struct { const char *line, *word, *args; } cases[] = {
		{ "NOOP", "NOOP", "" },        { "lhlo  host ", "lhlo", "host" },   { "", "", "" },
		{ "MAIL FROM:<>", "MAIL", "FROM:<>" }, { "MAIL\tx", "MAIL", "x" }, { " NOOP", "", "NOOP" },
		{ "NO-OP x", "", "NO-OP x" },  { "\xff\xfe", "", "\xff\xfe" },      { "STARTTLS x y ", "STARTTLS", "x y" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct smtp_command c = smtp_command_parse(span_of(cases[i].line));
		assert_true(span_eq(c.word, span_of(cases[i].word)));
		assert_true(span_eq(c.args, span_of(cases[i].args)));
	}
}

static void paths(void **state)
{
	static const struct { const char *args; enum smtp_answer answer; const char *given, *local, *domain, *rest; } cases[] = {
		{ "TO:<a@b.example>", SMTP_OK, "a@b.example", "a", "b.example", "" },
		{ "to:<a@b> X=1 Y", SMTP_OK, "a@b", "a", "b", "X=1 Y" },
		{ "TO: <a@b>", SMTP_OK, "a@b", "a", "b", "" },
		{ "TO:<>", SMTP_OK, "", "", "", "" },
		{ "TO:<> SIZE=1", SMTP_OK, "", "", "", "SIZE=1" },
		{ "TO:<postmaster>", SMTP_OK, "postmaster", "postmaster", "", "" },
		{ "TO:<a+b/c@d>", SMTP_OK, "a+b/c@d", "a+b/c", "d", "" },
		{ "TO:<a..b.@d>", SMTP_OK, "a..b.@d", "a..b.", "d", "" },
		{ "TO:<\"a b\"@d>", SMTP_OK, "\"a b\"@d", "a b", "d", "" },
		{ "TO:<\"a\\\"\\\\>@\"@d>", SMTP_OK, "\"a\\\"\\\\>@\"@d", "a\"\\>@", "d", "" },
		{ "TO:<\"\"@d>", SMTP_OK, "\"\"@d", "", "d", "" },
		{ "TO:<a@[127.0.0.1]>", SMTP_OK, "a@[127.0.0.1]", "a", "[127.0.0.1]", "" },
		{ "TO:<a@[IPv6:::1]>", SMTP_OK, "a@[IPv6:::1]", "a", "[IPv6:::1]", "" },
		{ "TO:<@x,@y:a@b>", SMTP_OK, "a@b", "a", "b", "" },
		{ "TO:<@x:a@b>", SMTP_OK, "a@b", "a", "b", "" },
		{ "TO:a@b", SMTP_SYNTAX, 0, 0, 0, 0 },
		{ "FROM:<a@b>", SMTP_SYNTAX, 0, 0, 0, 0 },
		{ "TO<a@b>", SMTP_SYNTAX, 0, 0, 0, 0 },
		{ "TO", SMTP_SYNTAX, 0, 0, 0, 0 },
		{ "TO:", SMTP_SYNTAX, 0, 0, 0, 0 },
		{ "TO:<a@b>x", SMTP_SYNTAX, 0, 0, 0, 0 },
		{ "TO:<", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@b", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a b@c>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<@b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<@b:>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<@b,>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<@b,c:a@b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@b..c>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@.b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@b@c>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@[]>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<a@[1>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\"a@b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\"a\\", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\"a\tb\"@c>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\xc3\xa4@b>", SMTP_OK, "\xc3\xa4@b", "\xc3\xa4", "b", "" },
		{ "TO:<\"\xc3\xa4 x\"@b>", SMTP_OK, "\"\xc3\xa4 x\"@b", "\xc3\xa4 x", "b", "" },
		{ "TO:<a@\xc3\xa4.x> Y", SMTP_OK, "a@\xc3\xa4.x", "a", "\xc3\xa4.x", "Y" },
		{ "TO:<a@\xc3>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\xff@b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\"\xc3\"@b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
		{ "TO:<\xed\xa0\x80@b>", SMTP_BAD_ADDRESS, 0, 0, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span args = span_of(cases[i].args);
		struct smtp_path path;
		enum smtp_answer answer = smtp_path_take(&args, SPAN("TO"), &path);
		if (answer != cases[i].answer)
			print_error("%s\n", cases[i].args);
		assert_int_equal(answer, cases[i].answer);
		if (answer != SMTP_OK) {
			assert_true(span_eq(args, span_of(cases[i].args)));
			continue;
		}
		char local[100];
		assert_true(span_eq(path.given, span_of(cases[i].given)));
		assert_true(span_eq(span_from(local, smtp_local_write(path.local, local)), span_of(cases[i].local)));
		assert_true(span_eq(path.domain, span_of(cases[i].domain)));
		assert_int_equal(path.utf8, strchr(cases[i].given, 0xc3) != NULL);
		assert_true(span_eq(args, span_of(cases[i].rest)));
	}
}

static void chunks(void **state)
{
	static const struct { const char *args; enum smtp_answer answer; uint64_t size; bool last; } cases[] = {
		{ "0", SMTP_OK, 0, false }, { "0 LAST", SMTP_OK, 0, true }, { "86 last", SMTP_OK, 86, true },
		{ "9223372036854775807", SMTP_OK, INT64_MAX, false }, { "9223372036854775808", SMTP_SYNTAX, 0, false },
		{ "", SMTP_SYNTAX, 0, false }, { "LAST", SMTP_SYNTAX, 0, false }, { "1 LAST 2", SMTP_SYNTAX, 0, false },
		{ "-1", SMTP_SYNTAX, 0, false }, { "1x", SMTP_SYNTAX, 0, false }, { "1 x", SMTP_SYNTAX, 0, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct smtp_chunk c = { 0 };
		assert_int_equal(smtp_chunk_parse(span_of(cases[i].args), &c), cases[i].answer);
		assert_int_equal(c.size, cases[i].size);
		assert_int_equal(c.last, cases[i].last);
	}
}

static void netstrings(void **state)
{
	static const struct { const char *in; enum netstring_answer answer; const char *out, *rest; } cases[] = {
		{ "0:,", NETSTRING_OK, "", "" }, { "5:hello,x", NETSTRING_OK, "hello", "x" }, { "3:a,b,4:", NETSTRING_OK, "a,b", "4:" },
		{ "", NETSTRING_MORE, 0, 0 }, { "5", NETSTRING_MORE, 0, 0 }, { "5:", NETSTRING_MORE, 0, 0 }, { "5:hello", NETSTRING_MORE, 0, 0 },
		{ "20:", NETSTRING_MORE, 0, 0 }, { "21:", NETSTRING_BAD, 0, 0 }, { "21", NETSTRING_BAD, 0, 0 }, { "05:hello,", NETSTRING_BAD, 0, 0 },
		{ "5:hellox", NETSTRING_BAD, 0, 0 }, { ":", NETSTRING_BAD, 0, 0 }, { "-1:", NETSTRING_BAD, 0, 0 }, { "5 :hello,", NETSTRING_BAD, 0, 0 },
		{ "99999999999999999999", NETSTRING_BAD, 0, 0 }, { "x", NETSTRING_BAD, 0, 0 }, { "4294967301:hello,", NETSTRING_BAD, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = span_of(cases[i].in), out;
		assert_int_equal(netstring_next(&in, 20, &out), cases[i].answer);
		if (cases[i].answer != NETSTRING_OK) {
			assert_true(span_eq(in, span_of(cases[i].in)));
			continue;
		}
		assert_true(span_eq(out, span_of(cases[i].out)));
		assert_true(span_eq(in, span_of(cases[i].rest)));
		struct buffer b = { 0 };
		netstring_put(&b, out);
		assert_true(span_eq(buffer_span(&b), span_sub(span_of(cases[i].in), 0, b.n)));
		buffer_free(&b);
	}
}

static void params(void **state)
{
	static const struct { const char *args; enum smtp_answer answer; const char *name, *value, *rest; } cases[] = {
		{ "SIZE=12", SMTP_OK, "SIZE", "12", "" },
		{ "BODY=8BITMIME  SIZE=1", SMTP_OK, "BODY", "8BITMIME", "SIZE=1" },
		{ "SMTPUTF8 x", SMTP_OK, "SMTPUTF8", NULL, "x" },
		{ "X-a-1", SMTP_OK, "X-a-1", NULL, "" },
		{ "SIZE=", SMTP_SYNTAX, 0, 0, 0 },
		{ "=1", SMTP_SYNTAX, 0, 0, 0 },
		{ "-a=1", SMTP_SYNTAX, 0, 0, 0 },
		{ "a=1=2", SMTP_SYNTAX, 0, 0, 0 },
		{ "a=\xff", SMTP_SYNTAX, 0, 0, 0 },
		{ "<b>", SMTP_SYNTAX, 0, 0, 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span args = span_of(cases[i].args);
		struct smtp_param param = { 0 };
		assert_int_equal(smtp_param_take(&args, &param), cases[i].answer);
		if (cases[i].answer != SMTP_OK)
			continue;
		assert_true(span_eq(param.name, span_of(cases[i].name)));
		assert_int_equal(param.has_value, cases[i].value != NULL);
		assert_true(span_eq(param.value, span_of(cases[i].value)));
		assert_true(span_eq(args, span_of(cases[i].rest)));
	}
}

/* Feeds in[from, to) and appends what comes out; true at the end of the body, *left then says how much follows. */
static bool feed(struct smtp_dot *d, struct span in, struct buffer *out, size_t *left)
{
	struct span run;
	for (;;) {
		switch (smtp_dot_next(d, &in, &run)) {
		case SMTP_DOT_MORE:
			assert_int_equal(in.n, 0);
			return false;
		case SMTP_DOT_RUN:
			assert_true(run.n > 0);
			buffer_put_span(out, run);
			break;
		case SMTP_DOT_END:
			*left = in.n;
			return true;
		}
	}
}

static const struct dot_case {
	struct span in, out;
	bool end;
	size_t left;
} dot_cases[] = {
	{ SPAN(".\r\n"), SPAN(""), true, 0 },
	{ SPAN("a\r\n.\r\nQUIT\r\n"), SPAN("a\r\n"), true, 6 },
	{ SPAN("\r\n.\r\n"), SPAN("\r\n"), true, 0 },
	{ SPAN("..\r\n.\r\n"), SPAN(".\r\n"), true, 0 },
	{ SPAN("...\r\n..a\r\n.b\r\n.\r\n.\r\n"), SPAN("..\r\n.a\r\nb\r\n"), true, 3 },
	{ SPAN("a.\r\n.\r\n"), SPAN("a.\r\n"), true, 0 },
	{ SPAN("a\n.\r\nb\r\n.\r\n"), SPAN("a\n.\r\nb\r\n"), true, 0 },
	{ SPAN("a\r\n.\nb\r\n.\r\n"), SPAN("a\r\n\nb\r\n"), true, 0 },
	{ SPAN("a\n.\nb\n..\n\r\n.\r\n"), SPAN("a\n.\nb\n..\n\r\n"), true, 0 },
	{ SPAN("a\r.\r\nb\r\r\n.\r\n"), SPAN("a\r.\r\nb\r\r\n"), true, 0 },
	{ SPAN("a\r\n.\rb\r\n.\r\n"), SPAN("a\r\n\rb\r\n"), true, 0 },
	{ SPAN("a\r\n.\r\r\nb\r\n.\r\n"), SPAN("a\r\n\r\r\nb\r\n"), true, 0 },
	{ SPAN("a\r\n.\r\r\n.\r\n"), SPAN("a\r\n\r\r\n"), true, 0 },
	{ SPAN("a\r\n.\r.\r\n"), SPAN("a\r\n\r.\r\n"), false, 0 },
	{ SPAN("a\0b\r\n.\r\n"), SPAN("a\0b\r\n"), true, 0 },
	{ SPAN("a\r\n"), SPAN("a\r\n"), false, 0 },
	{ SPAN("a\r\n."), SPAN("a\r\n"), false, 0 },
	{ SPAN("a\r\n.\r"), SPAN("a\r\n"), false, 0 },
	{ SPAN("a\r\n\r\n.\r\n.\r\n.\r\n"), SPAN("a\r\n\r\n"), true, 6 },
	{ SPAN(""), SPAN(""), false, 0 },
};

/* In three pieces, cut at every pair of places, and byte by byte. */
static void dots(void **state)
{
	for (size_t i = 0; i < COUNT(dot_cases); i++) {
		const struct dot_case *c = &dot_cases[i];
		for (size_t a = 0; a <= c->in.n; a++)
			for (size_t b = a; b <= c->in.n; b++) {
				struct span pieces[] = { span_sub(c->in, 0, a), span_sub(c->in, a, b - a), span_sub(c->in, b, c->in.n) };
				size_t behind[] = { c->in.n - a, c->in.n - b, 0 };
				struct smtp_dot d = { 0 };
				struct buffer out = { 0 };
				bool end = false;
				size_t left = 0;
				for (size_t k = 0; k < 3 && !end; k++)
					if ((end = feed(&d, pieces[k], &out, &left)))
						left += behind[k];
				assert_int_equal(end, c->end);
				assert_int_equal(left, c->left);
				assert_true(span_eq(buffer_span(&out), c->out));
				buffer_free(&out);
			}
	}
}

/* What a correct sender makes of any bytes comes back as they were (with CRLF at the end). */
static void dots_round_trip(void **state)
{
	static const char alphabet[] = { '\r', '\n', '.', 'x' };
	unsigned seed = 1;
	for (int round = 0; round < 3000; round++) {
		struct buffer text = { 0 }, wire = { 0 }, out = { 0 };
		for (int i = rand_r(&seed) % 30; i > 0; i--)
			buffer_putc(&text, alphabet[rand_r(&seed) % 4]);
		buffer_puts(&text, "\r\n");
		for (size_t i = 0; i < text.n; i++) {
			bool line = i == 0 || (i >= 2 && text.p[i - 1] == '\n' && text.p[i - 2] == '\r');
			if (line && text.p[i] == '.')
				buffer_putc(&wire, '.');
			buffer_putc(&wire, text.p[i]);
		}
		buffer_puts(&wire, ".\r\n");
		struct smtp_dot d = { 0 };
		size_t left = 1;
		bool end = false;
		for (size_t i = 0; i < wire.n && !end; i++)
			end = feed(&d, span_from(wire.p + i, 1), &out, &left);
		assert_true(end);
		assert_true(span_eq(buffer_span(&out), buffer_span(&text)));
		buffer_free(&text);
		buffer_free(&wire);
		buffer_free(&out);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines), cmocka_unit_test(commands), cmocka_unit_test(paths), cmocka_unit_test(params), cmocka_unit_test(netstrings), cmocka_unit_test(chunks),
		cmocka_unit_test(dots), cmocka_unit_test(dots_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
