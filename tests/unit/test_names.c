/* Names, times and queries: modified UTF-7, mailbox names and patterns, WHEN, QUERY. */
#include "unit.h"

#include <stdlib.h>
#include <time.h>

#include "fail.h"
#include "mailbox_name.h"
#include "nfc.h"
#include "query.h"
#include "utf7.h"
#include "utf8.h"
#include "when.h"

static void assert_text(struct span got, const char *want)
{
	if (!span_eq(got, span_of(want)))
		fail_msg("got '%.*s', want '%s'", SPAN_ARG(got), want);
}

static void utf7(void **state)
{
	static const struct { const char *utf8, *utf7; } pairs[] = {
		{ "", "" }, { "INBOX", "INBOX" }, { "a&b", "a&-b" }, { "&&", "&-&-" }, { "a-b", "a-b" },
		{ "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", "~peter/mail/&U,BTFw-/&ZeVnLIqe-" },
		{ "Entw\xc3\xbcrfe", "Entw&APw-rfe" }, { "\xf0\x9f\x98\x80", "&2D3eAA-" }, { "\xc3\xa4-", "&AOQ--" },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc!", "&AOQA9gD8-!" }, { "\x01", "&AAE-" },
	};
	static const char *const bad[] = {
		"&", "a&", "&AOQ", "&AGE-", "&AOQ-&APY-", "&AOR-", "&AO-", "&A-", "&2D0-", "&3gA-", "&3gDYPQ-", "&AOQ=-", "&AOQ/-",
		"\xc3\xa4", "\x80", "&U,BTFw-&ZeVnLIqe-", "&ACY-", "&AOQA-", "\x7f", "a\x01", "& -", "&Jjo!-",
	};
	struct arena a = { 0 };
	struct span s;
	for (size_t i = 0; i < COUNT(pairs); i++) {
		struct buffer b = { 0 };
		assert_int_equal(utf7_encode(&b, span_of(pairs[i].utf8)), OK);
		assert_text(buffer_span(&b), pairs[i].utf7);
		assert_int_equal(utf7_decode(&a, span_of(pairs[i].utf7), &s), OK);
		assert_text(s, pairs[i].utf8);
		buffer_free(&b);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		if (utf7_decode(&a, span_of(bad[i]), &s) != ERR_INVALID)
			fail_msg("'%s' was taken", bad[i]);
	arena_free(&a);
}

static void utf8(void **state)
{
	static const struct { const char *in; bool ok; } cases[] = {
		{ "", true }, { "abc", true }, { "\xc3\xa4", true }, { "\xe2\x82\xac", true }, { "\xf4\x8f\xbf\xbf", true },
		{ "\xc3", false }, { "\xa4", false }, { "\xc0\x80", false }, { "\xe0\x80\x80", false }, { "\xed\xa0\x80", false },
		{ "\xf4\x90\x80\x80", false }, { "\xf8\x88\x80\x80\x80", false }, { "\xff", false }, { "\xe2\x82", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(utf8_valid(span_of(cases[i].in)), cases[i].ok);
}

static void name_rules(void **state)
{
	static const struct { const char *name; int rc; } cases[] = {
		{ "INBOX", OK }, { "inbox/x", OK }, { "a", OK }, { "a/b/c", OK }, { "a b & c~!\"\\", OK }, { "...", OK },
		{ "a#b", OK }, { "a/#b", OK }, { "\xc3\xa4", OK }, { "\xf0\x9f\x98\x80", OK }, { "a.b", OK },
		{ "", ERR_INVALID }, { "/", ERR_INVALID }, { "/a", ERR_INVALID }, { "a/", ERR_INVALID }, { "a//b", ERR_INVALID },
		{ ".", ERR_INVALID }, { "..", ERR_INVALID }, { "../x", ERR_INVALID }, { "a/../b", ERR_INVALID },
		{ "a/.", ERR_INVALID }, { "a%", ERR_INVALID }, { "*", ERR_INVALID }, { "a\nb", ERR_INVALID },
		{ "\x7f", ERR_INVALID }, { "\xc2\x85", ERR_INVALID }, { "\xe2\x80\xa8", ERR_INVALID }, { "\xc3", ERR_INVALID },
		{ "\xff", ERR_INVALID }, { "#at", ERR_CANNOT }, { "#", ERR_CANNOT }, { "#at/2h/INBOX", ERR_CANNOT },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		if (mailbox_name_check(span_of(cases[i].name)) != cases[i].rc)
			fail_msg("%s", cases[i].name);
	assert_int_equal(mailbox_name_check(span_from("a\0b", 3)), ERR_INVALID);
	char big[10240];
	memset(big, 'x', sizeof big);
	assert_int_equal(mailbox_name_check(span_from(big, sizeof big)), ERR_LIMIT);
	assert_int_equal(mailbox_name_check(span_from(big, 256)), ERR_LIMIT);
	assert_int_equal(mailbox_name_check(span_from(big, 255)), OK);
	for (size_t i = 1; i < sizeof big; i += 2)
		big[i] = '/';
	assert_int_equal(mailbox_name_check(span_from(big, 99)), OK);
	assert_int_equal(mailbox_name_check(span_from(big, 101)), ERR_LIMIT);
}

static void normal_form_c(void **state)
{
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" }, { "plain", "plain" }, { "\xc3\xbc", "\xc3\xbc" }, { "u\xcc\x88", "\xc3\xbc" },
		{ "xu\xcc\x88y/e\xcc\x81", "x\xc3\xbcy/\xc3\xa9" },
		{ "\xe2\x84\xaa", "K" }, /* the Kelvin sign */
		{ "a\xcc\xa3\xcc\x82", "\xe1\xba\xad" }, { "a\xcc\x82\xcc\xa3", "\xe1\xba\xad" }, /* marks in whatever order */
		{ "a\xcc\x81\xcc\x81", "\xc3\xa1\xcc\x81" }, { "\xcc\x81" "a", "\xcc\x81" "a" },
		{ "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81" }, { "\xea\xb0\x80\xe1\x86\xa8", "\xea\xb0\x81" }, /* Hangul */
		{ "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc" }, /* excluded from composition */
		{ "\xf0\x9d\x85\x9e", "\xf0\x9d\x85\x97\xf0\x9d\x85\xa5" },
	};
	struct arena a = { 0 };
	struct span s;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(nfc(&a, span_of(cases[i].in), &s), OK);
		assert_text(s, cases[i].out);
	}
	assert_int_equal(nfc(&a, SPAN("a\xcc"), &s), ERR_INVALID);
	char marks[NFC_MAX + 2];
	for (size_t i = 0; i < sizeof marks; i += 2)
		memcpy(marks + i, i / 2 % 2 ? "\xcc\xa3" : "\xcc\x81", 2);
	assert_int_equal(nfc(&a, span_from(marks, NFC_MAX), &s), OK);
	assert_int_equal(s.n, NFC_MAX);
	assert_int_equal(nfc(&a, span_from(marks, NFC_MAX + 2), &s), ERR_LIMIT);
	arena_free(&a);
}

static void name_forms(void **state)
{
	static const struct { const char *in, *out; } read[] = {
		{ "inbox", "INBOX" }, { "InBox/a", "INBOX/a" }, { "inboxes", "inboxes" }, { "a/inbox", "a/inbox" }, { "a/", "a" },
		{ "inbox/", "INBOX" }, { "/", "/" }, { "", "" }, { "Entw&APw-rfe", "Entw\xc3\xbcrfe" }, { "#at/2h/inbox", "#at/2h/inbox" },
	};
	static const struct { const char *name, *parent, *leaf; } parts[] = {
		{ "a", "", "a" }, { "a/b", "a", "b" }, { "a/b/c", "a/b", "c" }, { "", "", "" },
	};
	struct arena a = { 0 };
	struct span s, c;
	for (size_t i = 0; i < COUNT(read); i++) {
		assert_int_equal(mailbox_name_read(&a, span_of(read[i].in), false, &s), OK);
		assert_text(s, read[i].out);
	}
	assert_int_equal(mailbox_name_read(&a, SPAN("a&b"), false, &s), ERR_INVALID);
	assert_int_equal(mailbox_name_read(&a, SPAN("inbox/\xc3\xbc&APw-/"), true, &s), OK);
	assert_text(s, "INBOX/\xc3\xbc&APw-");
	assert_int_equal(mailbox_name_read(&a, SPAN("\xfc"), true, &s), ERR_INVALID);
	for (size_t i = 0; i < COUNT(parts); i++) {
		assert_text(mailbox_name_parent(span_of(parts[i].name)), parts[i].parent);
		assert_text(mailbox_name_leaf(span_of(parts[i].name)), parts[i].leaf);
	}
	assert_true(mailbox_name_below(SPAN("a/b"), SPAN("a")));
	assert_false(mailbox_name_below(SPAN("a"), SPAN("a")));
	assert_false(mailbox_name_below(SPAN("ab/c"), SPAN("a")));
	s = SPAN("a/bc");
	assert_true(mailbox_name_next(&s, &c));
	assert_text(c, "a");
	assert_true(mailbox_name_next(&s, &c));
	assert_text(c, "bc");
	assert_false(mailbox_name_next(&s, &c));
	assert_true(mailbox_name_is_inbox(SPAN("inboX")));
	arena_free(&a);
}

static void patterns(void **state)
{
	static const struct { const char *pattern, *name; bool match; } cases[] = {
		{ "*", "a", true }, { "*", "a/b/c", true }, { "*", "", true }, { "%", "a", true }, { "%", "a/b", false },
		{ "%/%", "a/b", true }, { "%/%", "a", false }, { "a*", "a/b", true }, { "a%", "a/b", false }, { "a%", "abc", true },
		{ "a/%", "a/b", true }, { "a/%", "a", false }, { "a/%", "a/b/c", false }, { "a/*", "a/b/c", true },
		{ "*c", "a/b/c", true }, { "%c", "a/b/c", false }, { "*/c", "c", false }, { "a*b*c", "a/b/b/c", true },
		{ "a*b%c", "a/b/bxc", true }, { "a*b%c", "a/b/b/c", false }, { "", "", true }, { "", "a", false },
		{ "a", "", false }, { "inbox", "INBOX", true }, { "InBo%", "INBOX", true }, { "inbox/x", "INBOX/x", true },
		{ "inbox/x", "INBOX/X", false }, { "abc", "ABC", false }, { "*BOX", "INBOX", true }, { "*box", "INBOX", true },
		{ "%%", "a", true }, { "%*", "a/b", true }, { "*%", "a/b", true }, { "%*%*%", "a/b/c", true }, { "a%%b", "ab", true },
		{ "inboxes", "INBOXES", false }, { "#at/%", "#at/daily", true },
	};
	struct arena a = { 0 };
	struct mailbox_pattern m;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(mailbox_pattern_init(&m, &a, span_of(cases[i].pattern)), OK);
		for (int again = 0; again < 2; again++)
			if (mailbox_pattern_match(&m, span_of(cases[i].name)) != cases[i].match)
				fail_msg("%s, %s", cases[i].pattern, cases[i].name);
	}
	char hostile[1000], name[1000];
	memset(name, 'a', sizeof name);
	for (size_t i = 0; i < sizeof hostile; i++)
		hostile[i] = "%a*a"[i % 4];
	hostile[999] = 'b';
	assert_int_equal(mailbox_pattern_init(&m, &a, span_from(hostile, sizeof hostile)), OK);
	for (int i = 0; i < 50; i++)
		assert_false(mailbox_pattern_match(&m, span_from(name, sizeof name)));
	assert_int_equal(mailbox_pattern_init(&m, &a, span_from(name, MAILBOX_NAME_MAX + 1)), ERR_LIMIT);
	arena_free(&a);
}

static void whens(void **state)
{
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	static const struct { const char *in; int kind; int64_t us; const char *out; } cases[] = {
		{ "2026-11-20T10:00:00Z", WHEN_INSTANT, 1795168800000000, "2026-11-20T10:00:00Z" },
		{ "2026-11-20t10:00:00z", WHEN_INSTANT, 1795168800000000, "2026-11-20T10:00:00Z" },
		{ "2026-11-20 10:00:00.25Z", WHEN_INSTANT, 1795168800250000, "2026-11-20T10:00:00.25Z" },
		{ "2026-11-20T10:00:00.000001Z", WHEN_INSTANT, 1795168800000001, "2026-11-20T10:00:00.000001Z" },
		{ "2026-11-20T10:00:00.123456789Z", WHEN_INSTANT, 1795168800123456, "2026-11-20T10:00:00.123456Z" },
		{ "2026-11-20T10:00:00+01:30", WHEN_INSTANT, 1795163400000000, "2026-11-20T08:30:00Z" },
		{ "2026-11-20T10:00:00-01:00", WHEN_INSTANT, 1795172400000000, "2026-11-20T11:00:00Z" },
		{ "2026-11-20T10:00:00", WHEN_INSTANT, 1795165200000000, "2026-11-20T09:00:00Z" },
		{ "2026-07-20T10:00:00", WHEN_INSTANT, 1784534400000000, "2026-07-20T08:00:00Z" },
		{ "1969-12-31T23:59:59.5Z", WHEN_INSTANT, -500000, "1969-12-31T23:59:59.5Z" },
		{ "2024-02-29T00:00:00Z", WHEN_INSTANT, 1709164800000000, "2024-02-29T00:00:00Z" },
		{ "0s", WHEN_AGE, 0 }, { "90s", WHEN_AGE, 90000000 }, { "5m", WHEN_AGE, 300000000 }, { "2h", WHEN_AGE, 7200000000 },
		{ "3d", WHEN_AGE, 259200000000 }, { "1w", WHEN_AGE, 604800000000 }, { "52000w", WHEN_AGE, 31449600000000000 },
		{ "daily", WHEN_SNAPSHOT }, { "a", WHEN_SNAPSHOT }, { "daily-2026.11_20", WHEN_SNAPSHOT },
		{ "a234567890123456789012345678901234567890123456789012345678901234", WHEN_SNAPSHOT },
		{ "@0", WHEN_CHANGE, 0 }, { "@17", WHEN_CHANGE, 17 }, { "@9223372036854775807", WHEN_CHANGE, INT64_MAX },
		{ "", -1 }, { "2026-11-20", -1 }, { "2026-11-20T10:00", -1 }, { "2026-13-20T10:00:00Z", -1 },
		{ "2023-02-29T00:00:00Z", -1 }, { "2026-11-20T24:00:00Z", -1 }, { "2026-11-20T10:00:00.Z", -1 },
		{ "2026-11-20T10:00:00+0100", -1 }, { "2026-11-20T10:00:00+24:00", -1 }, { "2026-11-20T10:00:00ZZ", -1 },
		{ "2026-11-20T10:00:00 Z", -1 }, { " 2026-11-20T10:00:00Z", -1 }, { "5", -1 }, { "5y", -1 }, { "-5m", -1 },
		{ "h", WHEN_SNAPSHOT }, { "5 m", -1 }, { "60000w", -1 }, { "99999999999999999999s", -1 }, { "Daily", -1 },
		{ "daily/x", -1 }, { "a2345678901234567890123456789012345678901234567890123456789012345", -1 }, { "@", -1 },
		{ "@-1", -1 }, { "@9223372036854775808", -1 }, { "_x", -1 }, { "d\xc3\xa4y", -1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct when w = { 0 };
		int rc = when_parse(span_of(cases[i].in), &w);
		if (rc != (cases[i].kind < 0 ? ERR_INVALID : OK))
			fail_msg("'%s': %d", cases[i].in, rc);
		if (rc != OK)
			continue;
		assert_int_equal(w.kind, cases[i].kind);
		assert_int_equal(w.kind == WHEN_CHANGE ? (int64_t)w.change : w.us, cases[i].us);
		if (w.kind == WHEN_SNAPSHOT)
			assert_text(w.name, cases[i].in);
		struct buffer b = { 0 };
		if (w.kind == WHEN_INSTANT)
			when_put(&b, w.us);
		assert_text(buffer_span(&b), cases[i].out ? cases[i].out : "");
		buffer_free(&b);
	}
	int64_t us;
	assert_int_equal(when_parse_day(SPAN("2026-11-20"), &us), OK);
	assert_int_equal(us, 1795129200000000);
	assert_int_equal(when_parse_day(SPAN("2026-11-31"), &us), ERR_INVALID);
}

static void show(struct buffer *b, const struct query_term *t)
{
	static const char *const kinds[] = { "text", "from", "to", "cc", "subject", "body", "folder", "before", "after",
		                             "larger", "smaller", "attachment", "seen", "flagged" };
	buffer_printf(b, "%s%s%s", b->n ? " " : "", t->negated ? "-" : "", kinds[t->kind]);
	if (t->text.n)
		buffer_printf(b, "=%.*s", SPAN_ARG(t->text));
	if (t->kind == QUERY_LARGER || t->kind == QUERY_SMALLER)
		buffer_printf(b, "#%llu", (unsigned long long)t->number);
	if (t->kind == QUERY_BEFORE || t->kind == QUERY_AFTER)
		buffer_printf(b, "@%lld", (long long)(t->when.us / 1000000));
}

static void queries(void **state)
{
	setenv("TZ", "UTC", 1);
	tzset();
	static const struct { const char *in, *out; } cases[] = {
		{ "", "" }, { "  \t", "" }, { "word", "text=word" }, { " two  words ", "text=two text=words" },
		{ "\"two words\"", "text=two words" }, { "-word", "-text=word" }, { "-\"a b\"", "-text=a b" },
		{ "\"a\\\"b\\\\c\"", "text=a\"b\\c" }, { "from:anna", "from=anna" }, { "FROM:\"Anna B\" x", "from=Anna B text=x" },
		{ "to:a cc:b subject:c body:d folder:\"A B/c\"", "to=a cc=b subject=c body=d folder=A B/c" },
		{ "-from:anna", "-from=anna" }, { "larger:10", "larger#10" }, { "larger:10k smaller:5M", "larger#10240 smaller#5242880" },
		{ "larger:1g", "larger#1073741824" }, { "before:1970-01-02", "before@86400" }, { "after:1970-01-02T00:00:01Z", "after@86401" },
		{ "after:2h", "after@7200" }, { "has:attachment", "attachment" }, { "-has:attachment", "-attachment" },
		{ "is:seen is:unseen -is:unseen", "seen -seen seen" }, { "is:FLAGGED is:unflagged", "flagged -flagged" },
		{ "-", "text=-" }, { "- x", "text=- text=x" }, { "a-b", "text=a-b" }, { "10:30", "text=10:30" },
		{ "\"http://x\"", "text=http://x" }, { "a\"b", "text=a\"b" }, { "\xc3\xa4:x", "text=\xc3\xa4:x" },
		{ "subject:a:b", "subject=a:b" }, { "--x", "-text=-x" },
		{ "\"", NULL }, { "\"\"", NULL }, { "from:", NULL }, { "from: anna", NULL }, { "from:\"\"", NULL }, { "\"a\"b", NULL },
		{ "form:anna", NULL }, { "http://x", NULL }, { "larger:", NULL }, { "larger:x", NULL }, { "larger:k", NULL },
		{ "larger:-1", NULL }, { "larger:9999999999999g", NULL }, { "before:daily", NULL }, { "before:@5", NULL },
		{ "before:tomorrow", NULL }, { "has:x", NULL }, { "is:read", NULL }, { "\xff", NULL }, { "a \"b", NULL },
		{ "\"a\\", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct arena a = { 0 };
		struct query q = { 0 };
		int rc = query_parse(&a, span_of(cases[i].in), &q);
		if (rc != (cases[i].out ? OK : ERR_INVALID))
			fail_msg("'%s': %d %s", cases[i].in, rc, fail_detail());
		struct buffer b = { 0 };
		for (size_t k = 0; k < q.n; k++)
			show(&b, &q.terms[k]);
		assert_text(buffer_span(&b), cases[i].out ? cases[i].out : "");
		buffer_free(&b);
		arena_free(&a);
	}
	char many[1000];
	for (size_t i = 0; i < sizeof many; i++)
		many[i] = "x "[i % 2];
	struct arena a = { 0 };
	struct query q;
	assert_int_equal(query_parse(&a, span_from(many, 200), &q), OK);
	assert_int_equal(q.n, 100);
	assert_int_equal(query_parse(&a, span_from(many, 202), &q), ERR_LIMIT);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf7), cmocka_unit_test(utf8), cmocka_unit_test(name_rules), cmocka_unit_test(normal_form_c), cmocka_unit_test(name_forms),
		cmocka_unit_test(patterns), cmocka_unit_test(whens), cmocka_unit_test(queries),
	};
	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
