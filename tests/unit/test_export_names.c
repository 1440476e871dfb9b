/* Names and separators that an export writes, and reads again. */
#include "unit.h"

#include "maildir_name.h"
#include "mbox.h"

static const struct {
	struct mbox_mark mark;
	int64_t date;
	const char *line;
} marks[] = {
	{ { 1, 7, 42, SPAN("INBOX"), SPAN("") }, 0, "From perdura*1*7*42*INBOX Thu Jan  1 00:00:00 1970\n" },
	{ { 9, 4294967295u, 0, SPAN("a b/c"), SPAN("\\Seen todo") }, INT64_C(1709285400999999),
	  "From perdura*9*4294967295*0*a%20b/c*\\Seen*todo Fri Mar  1 09:30:00 2024\n" },
	{ { 2, 1, 1, SPAN("100% * \"x\" \xc3\xa4"), SPAN("$Junk") }, INT64_C(1000000000000000),
	  "From perdura*2*1*1*100%25%20%2A%20%22x%22%20%C3%A4*$Junk Sun Sep  9 01:46:40 2001\n" },
};

static struct span word_of(const char *line)
{
	struct span rest = span_of(line + 5);
	return span_sub(rest, 0, (size_t)span_find(rest, ' '));
}

static void test_marks(void **state)
{
	struct arena a = { 0 };
	struct mbox_mark m;
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		struct buffer b = { 0 };
		mbox_put_mark(&b, &marks[i].mark, marks[i].date);
		buffer_putc(&b, 0);
		assert_string_equal(b.p, marks[i].line);
		assert_true(mbox_parse_mark(&a, word_of(marks[i].line), &m));
		assert_int_equal(m.uidvalidity, marks[i].mark.uidvalidity);
		assert_int_equal(m.uid, marks[i].mark.uid);
		assert_int_equal(m.size, marks[i].mark.size);
		assert_true(span_eq(m.folder, marks[i].mark.folder) && span_eq(m.flags, marks[i].mark.flags));
		buffer_free(&b);
	}
	arena_free(&a);
}

static void test_not_marks(void **state)
{
	static const char *const words[] = { "", "-", "ada@example.org", "perdura", "perdura*1*2*3", "perdura*1*2*x*INBOX",
		"perdura*1*4294967296*3*INBOX", "perdura**2*3*INBOX", "perdura*1*2*3*IN%2", "perdura*1*2*3*IN%zz", "perdura*1*2*3*INBOX*",
		"perdura*1*2*3*INBOX**todo", "perdura*-1*2*3*INBOX", "Perdura*1*2*3*INBOX" };
	struct arena a = { 0 };
	struct mbox_mark m;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		assert_false(mbox_parse_mark(&a, span_of(words[i]), &m));
	arena_free(&a);
}

static void test_quotable(void **state)
{
	static const char *const yes[] = { "From ", "From x", ">From ", ">>>From y\n" }, *const no[] = { "", "From", " From ", "> From ",
		"from ", ">", ">>>" };
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		assert_true(mbox_is_quotable(span_of(yes[i])));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(mbox_is_quotable(span_of(no[i])));
}

static void test_folders(void **state)
{
	static const struct { const char *path, *name; bool plain; } cases[] = {
		{ "Lists", "Lists", true }, { "Lists/dev", "Lists.dev", true }, { "R\xc3\xa4t", "R&AOQ-t", true }, { "a&b", "a&-b", true },
		{ "a.b", "a\\2eb", false }, { "a\\b", "a\\5cb", false }, { "...", "\\2e\\2e\\2e", false } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer b = { 0 };
		assert_int_equal(maildir_folder_put(&b, span_of(cases[i].path)), cases[i].plain);
		assert_true(span_eq(buffer_span(&b), span_of(cases[i].name)));
		buffer_reset(&b);
		maildir_folder_get(&b, span_of(cases[i].name));
		if (cases[i].plain)
			assert_true(span_eq(buffer_span(&b), span_of(cases[i].path)));
		buffer_free(&b);
	}
}

static void test_long_folders(void **state)
{
	char path[1000];
	struct buffer a = { 0 }, b = { 0 };
	memset(path, 'x', sizeof path);
	assert_false(maildir_folder_put(&a, span_from(path, 999)));
	assert_false(maildir_folder_put(&b, span_from(path, 1000)));
	assert_true(a.n <= 240 && b.n <= 240 && !span_eq(buffer_span(&a), buffer_span(&b)));
	buffer_free(&a);
	buffer_free(&b);
}

static void test_files(void **state)
{
	static const struct maildir_file files[] = { { 0, 1, 1, 0 }, { INT64_C(1709285400000007), 77, 4294967295u, UINT64_C(1) << 40 } };
	static const char *const names[] = { "0.M000000V1U1.perdura,S=0,W=0", "1709285400.M000007V77U4294967295.perdura,S=1099511627776,W=1099511627776" };
	struct maildir_file f;
	uint64_t wire;
	for (size_t i = 0; i < 2; i++) {
		struct buffer b = { 0 };
		maildir_file_put(&b, &files[i]);
		assert_true(span_eq(buffer_span(&b), span_of(names[i])));
		buffer_puts(&b, ":2,FS");
		assert_true(maildir_file_get(buffer_span(&b), &f));
		assert_true(f.date == files[i].date && f.uid == files[i].uid && f.uidvalidity == files[i].uidvalidity && f.size == files[i].size);
		assert_true(maildir_wire_size(buffer_span(&b), &wire) && wire == files[i].size);
		buffer_free(&b);
	}
	assert_false(maildir_file_get(SPAN("1709285400.M7P3.host,S=4,W=5:2,S"), &f));
	assert_true(maildir_wire_size(SPAN("1709285400.M7P3.host,S=4,W=5:2,S"), &wire) && wire == 5);
	assert_false(maildir_wire_size(SPAN("1709285400.M7P3.host,S=4:2,W=5"), &wire) && wire != 5);
	assert_false(maildir_wire_size(SPAN("x,W="), &wire));
	assert_false(maildir_wire_size(SPAN(""), &wire));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_marks), cmocka_unit_test(test_not_marks), cmocka_unit_test(test_quotable),
		cmocka_unit_test(test_folders), cmocka_unit_test(test_long_folders), cmocka_unit_test(test_files) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
