#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include "clock.h"
#include "import_source.h"
#include "scratch.h"

/* All messages found, one after another: "folder|flags|date|bytes" and a line of dashes. */
struct found {
	struct buffer text;
	int n, troubles;
	uint64_t read;
};

static int take(void *ctx, const struct import_item *i, struct span bytes)
{
	struct found *f = ctx;
	assert_int_equal(i->size, bytes.n);
	if (!i->size) {
		buffer_printf(&f->text, "%.*s/\n", SPAN_ARG(i->folder));
		return 0;
	}
	buffer_printf(&f->text, "%.*s|%.*s|%lld|", SPAN_ARG(i->folder), SPAN_ARG(i->flags), (long long)(i->date / SECOND_US));
	buffer_put_span(&f->text, bytes);
	buffer_puts(&f->text, "--\n");
	f->n++;
	return 0;
}

static void complain(void *ctx, const char *path, const char *what)
{
	((struct found *)ctx)->troubles++;
}

static void count(void *ctx, uint64_t bytes)
{
	((struct found *)ctx)->read = bytes;
}

static char dir[64];

static void put(const char *name, const char *text, time_t mtime)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = 0;
		mkdir(path, 0700);
	}
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	utime(path, &(struct utimbuf){ mtime, mtime });
}

static int setup(void **state)
{
	scratch_make("import", dir);
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(dir);
	return 0;
}

static void expect(const char *name, const char *expected, int troubles)
{
	char path[300];
	struct found f = { 0 };
	const struct import_sink sink = { take, complain, count, &f };
	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(import_walk(path, &sink), 0);
	buffer_putc(&f.text, 0);
	assert_string_equal(f.text.p, expected);
	assert_int_equal(f.troubles, troubles);
	assert_int_equal(f.read, import_size(path));
	buffer_free(&f.text);
}

static void test_mbox(void **state)
{
	put("plain",
		"From ada@example.org Fri Mar  1 09:30:00 2024\n"
		"Subject: one\nStatus: RO\nX-Status: AF\n\nbody\n>From here\n>>From there\n> From not\nFrom the middle\n\n"
		"From is no date after a blank line\n\n"
		"From - Fri Mar  1 10:30:00 2024 +0100\n"
		"Subject: two\r\n\r\nkeeps\rCR\n\n"
		"From x Fri Mar  1 09:30:00 2024\n\n"
		"From x Fri Mar  1 09:30:00 2024\n"
		"Subject: last\n\nno end", 1);
	expect("plain",
		"|\\Seen \\Answered \\Flagged|1709285400|Subject: one\r\nStatus: RO\r\nX-Status: AF\r\n\r\nbody\r\nFrom here\r\n>From there\r\n"
		"> From not\r\nFrom the middle\r\n\r\nFrom is no date after a blank line\r\n--\n"
		"||1709285400|Subject: two\r\n\r\nkeeps\rCR\r\n--\n"
		"||1709285400|Subject: last\r\n\r\nno end--\n", 0);
	put("undated", "From nobody\nSubject: x\n\ny\n\n", 1);
	expect("undated", "||0|Subject: x\r\n\r\ny\r\n--\n", 0);
	put("only-separator", "From x Fri Mar  1 09:30:00 2024\n", 1);
	expect("only-separator", "", 0);
	put("no-body", "From x Fri Mar  1 09:30:00 2024\nSubject: x\n\n\n", 1);
	expect("no-body", "||1709285400|Subject: x\r\n\r\n--\n", 0);
	put("empty", "", 1);
	expect("empty", "", 0);
}

static void test_message(void **state)
{
	put("m.eml", "Subject: x\n\n>From a\r\nb\n\n", 1700000000);
	expect("m.eml", "||1700000000|Subject: x\r\n\r\n>From a\r\nb\r\n\r\n--\n", 0);
	expect("not-there", "", 1);
}

static void test_maildir(void **state)
{
	put("md/cur/1.a:2,FRS", "one\n", 1700000001);
	put("md/cur/2.b:2,", "two\n", 1700000002);
	put("md/cur/.hidden", "no\n", 1);
	put("md/new/3.c", "three\n", 1700000003);
	put("md/tmp/4.d", "no\n", 1);
	put("md/.Sent/cur/5.e:2,DPT", "five\n", 1700000005);
	put("md/.Lists.C &AOQ-/new/6.f", "six\n", 1700000006);
	put("md/.R\xc3\xa4t/cur/7.g:2,S", "seven\n", 1700000007);
	put("md/.not-a-folder/x", "no\n", 1);
	put("md/subscriptions", "Sent\n", 1);
	expect("md",
		"|\\Seen \\Answered \\Flagged|1700000001|one\r\n--\n||1700000002|two\r\n--\n||1700000003|three\r\n--\n"
		"Lists/C \xc3\xa4/\nLists/C \xc3\xa4||1700000006|six\r\n--\n"
		"R\xc3\xa4t/\nR\xc3\xa4t|\\Seen|1700000007|seven\r\n--\n"
		"Sent/\nSent|\\Deleted \\Draft $Forwarded|1700000005|five\r\n--\n", 0);
}

static void test_tree(void **state)
{
	char path[100];
	put("tree/b.eml", "b\n", 1700000002);
	put("tree/a.EML", "a\n", 1700000001);
	put("tree/README", "no mail\n", 1);
	put("tree/.hidden/x.eml", "no\n", 1);
	put("tree/2024/March/c.eml", "c\n", 1700000003);
	put("tree/2024/box.mbox", "From x Fri Mar  1 09:30:00 2024\nd\n", 1);
	snprintf(path, sizeof path, "%s/tree/pipe.eml", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect("tree",
		"2024/March||1700000003|c\r\n--\n2024||1709285400|d\r\n--\n||1700000001|a\r\n--\n||1700000002|b\r\n--\n", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mbox),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_maildir),
		cmocka_unit_test(test_tree),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
