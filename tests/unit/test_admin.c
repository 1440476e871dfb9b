#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "arguments.h"
#include "fail.h"
#include "frame.h"
#include "import_item.h"
#include "json_write.h"

/* ---- Words to verbs */

static const struct verb table[] = {
	{ .name = "status", .arguments = "", .options = "" },
	{ .name = "account", .arguments = "", .options = "" },
	{ .name = "account add", .arguments = "ADDRESS...", .min = 1, .max = 3, .options = "password-file=FILE" },
	{ .name = "restore", .arguments = "ADDRESS", .min = 1, .max = 1, .options = "at=WHEN folder=F dry-run yes" },
};

static void test_arguments(void **state)
{
	static const struct {
		const char *words[8];
		const char *verb; /* NULL: none */
		int r;
		size_t n_args, n_options;
		const char *at, *folder; /* values */
		bool dry, json;
	} cases[] = {
		{ { "status" }, "status", OK },
		{ { "status", "--json" }, "status", OK, .json = true },
		{ { "status", "--json=1" }, "status", ERR_INVALID },
		{ { "status", "x" }, "status", ERR_INVALID, 1 },
		{ { "statu" }, NULL },
		{ { "add" }, NULL },
		{ { "account" }, "account", OK },
		{ { "account", "add" }, "account add", ERR_INVALID },
		{ { "account", "add", "a" }, "account add", OK, 1 },
		{ { "account", "add", "a", "b", "c" }, "account add", OK, 3 },
		{ { "account", "add", "a", "b", "c", "d" }, "account add", ERR_INVALID, 4 },
		{ { "restore", "a", "--at", "2h" }, "restore", OK, 1, 1, "2h" },
		{ { "restore", "--at=2h", "a" }, "restore", OK, 1, 1, "2h" },
		{ { "restore", "--at=", "a" }, "restore", OK, 1, 1, "" },
		{ { "restore", "--at", "--folder", "a" }, "restore", OK, 1, 1, "--folder" },
		{ { "restore", "a", "--at" }, "restore", ERR_INVALID, 1 },
		{ { "restore", "a", "--dry-run", "--folder", "F" }, "restore", OK, 1, 2, NULL, "F", true },
		{ { "restore", "a", "--dry-run=yes" }, "restore", ERR_INVALID, 1 },
		{ { "restore", "a", "--dry" }, "restore", ERR_INVALID, 1 },
		{ { "restore", "a", "--folder=x", "--folder=y" }, "restore", OK, 1, 2, NULL, "y" },
		{ { "restore", "--", "--at" }, "restore", OK, 1 },
		{ { "restore", "a", "-" }, "restore", ERR_INVALID, 2 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t n = 0, taken;
		const char *args[8];
		struct request r = { .args = args };
		while (n < 8 && cases[i].words[n])
			n++;
		const struct verb *v = verb_find(table, COUNT(table), cases[i].words, n, &taken);
		if (!cases[i].verb) {
			assert_null(v);
			continue;
		}
		assert_non_null(v);
		assert_string_equal(v->name, cases[i].verb);
		assert_int_equal(arguments_parse(&r, v, cases[i].words + taken, n - taken), cases[i].r);
		if (cases[i].r)
			continue;
		assert_int_equal(r.n_args, cases[i].n_args);
		assert_int_equal(r.n_options, cases[i].n_options);
		assert_int_equal(r.json, cases[i].json);
		assert_int_equal(request_has(&r, "dry-run"), cases[i].dry);
		if (cases[i].at)
			assert_string_equal(request_option(&r, "at"), cases[i].at);
		if (cases[i].folder)
			assert_string_equal(request_option(&r, "folder"), cases[i].folder);
		assert_int_equal(request_has(&r, "at"), cases[i].at != NULL);
	}
}

static void test_too_many_options(void **state)
{
	const char *words[REQUEST_OPTIONS_MAX + 2], *args[REQUEST_OPTIONS_MAX + 2];
	struct request r = { .args = args };
	for (size_t i = 0; i < COUNT(words); i++)
		words[i] = "--yes";
	assert_int_equal(arguments_parse(&r, &table[3], words, COUNT(words)), ERR_INVALID);
}

static void test_usage(void **state)
{
	struct buffer b = { 0 };
	verb_usage(&b, &table[3]);
	buffer_putc(&b, 0);
	assert_string_equal(b.p, "restore ADDRESS [--at WHEN] [--folder F] [--dry-run] [--yes]");
	buffer_free(&b);
}

/* ---- Frames */

static void test_frames_in_pieces(void **state)
{
	struct buffer b = { 0 };
	frame_put(&b, FRAME_LINE, SPAN("hello"));
	frame_put(&b, FRAME_EXIT, SPAN(""));
	for (size_t cut = 0; cut <= b.n; cut++) {
		struct span in = span_from(b.p, cut), s;
		enum frame_type type;
		int r = frame_parse(&in, &type, &s);
		assert_int_equal(r, cut < FRAME_HEAD + 5 ? ERR_NOT_FOUND : OK);
		if (r)
			continue;
		assert_int_equal(type, FRAME_LINE);
		assert_true(span_eq(s, SPAN("hello")));
		assert_int_equal(frame_parse(&in, &type, &s), cut < b.n ? ERR_NOT_FOUND : OK);
	}
	struct span huge = SPAN("\x00\x10\x00\x01\x06"), s;
	enum frame_type type;
	assert_int_equal(frame_parse(&huge, &type, &s), ERR_INVALID);
	buffer_free(&b);
}

static void test_frames_on_a_socket(void **state)
{
	int fd[2];
	enum frame_type type;
	struct span s;
	struct buffer b = { 0 };
	char *big = calloc(1, FRAME_MAX + 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	for (size_t n = 0; n < 5000; n = n * 3 + 1) {
		memset(big, 'x', n);
		assert_int_equal(frame_send(fd[0], FRAME_DATA, span_from(big, n)), OK);
		assert_int_equal(frame_receive(fd[1], &b, &type, &s), OK);
		assert_int_equal(type, FRAME_DATA);
		assert_true(span_eq(s, span_from(big, n)));
	}
	assert_int_equal(frame_send(fd[0], FRAME_DATA, span_from(big, FRAME_MAX + 1)), ERR_INVALID);
	assert_int_equal(send(fd[0], "\xff\xff\xff\xff\x06", 5, 0), 5);
	assert_int_equal(frame_receive(fd[1], &b, &type, &s), ERR_INVALID);
	assert_int_equal(send(fd[0], "\x00\x00\x00\x09\x06half", 9, 0), 9);
	close(fd[0]);
	assert_int_equal(frame_receive(fd[1], &b, &type, &s), ERR_STOPPED);
	close(fd[1]);
	buffer_free(&b);
	free(big);
}

static void test_import_item(void **state)
{
	const struct import_item in = { SPAN("Lists/C"), SPAN("\\Seen"), 1700000000000000, 12345 };
	struct import_item out = { 0 };
	struct buffer b = { 0 };
	import_item_put(&b, &in);
	for (size_t cut = 0; cut < b.n; cut++)
		assert_false(import_item_parse(span_from(b.p, cut), &out));
	assert_true(import_item_parse(buffer_span(&b), &out));
	assert_true(span_eq(out.folder, in.folder) && span_eq(out.flags, in.flags));
	assert_true(out.date == in.date && out.size == in.size);
	buffer_free(&b);
}

/* ---- JSON */

static void test_json(void **state)
{
	struct buffer b = { 0 };
	struct json_writer j = { .out = &b };
	json_put_open(&j, '{');
	json_put_key(&j, "text");
	json_put_text(&j, SPAN("a\"b\\c\n\x7f\xc3\xa4\xff"));
	json_put_key(&j, "list");
	json_put_open(&j, '[');
	json_put_int(&j, -1);
	json_put_bool(&j, true);
	json_put_null(&j);
	json_put_open(&j, '[');
	json_put_close(&j, ']');
	json_put_close(&j, ']');
	json_put_key(&j, "last");
	json_put_int(&j, INT64_MAX);
	json_put_close(&j, '}');
	buffer_putc(&b, 0);
	assert_string_equal(b.p, "{\"text\":\"a\\\"b\\\\c\\u000a\\u007f\xc3\xa4\xef\xbf\xbd\",\"list\":[-1,true,null,[]],"
	                         "\"last\":9223372036854775807}");
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_too_many_options),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_frames_in_pieces),
		cmocka_unit_test(test_frames_on_a_socket),
		cmocka_unit_test(test_import_item),
		cmocka_unit_test(test_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
