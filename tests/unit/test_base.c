#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena.h"
#include "buffer.h"
#include "durable_file.h"
#include "fail.h"
#include "log.h"
#include "span.h"
#include "varint.h"

static void spans(void **state)
{
	static const struct { const char *in; uint64_t max; int ok; uint64_t v; } numbers[] = {
		{ "0", 9, 1, 0 }, { "", 9, 0, 0 }, { "10", 9, 0, 0 }, { "18446744073709551615", UINT64_MAX, 1, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, 0, 0 }, { "1x", 99, 0, 0 }, { "-1", 99, 0, 0 },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint64_t v = 0;
		assert_int_equal(span_u64(span_of(numbers[i].in), numbers[i].max, &v), numbers[i].ok);
		assert_int_equal(v, numbers[i].v);
	}
	assert_true(span_ieq(SPAN("INBOX"), SPAN("inBox")));
	assert_false(span_ieq(SPAN("INBOX"), SPAN("inBo")));
	assert_true(span_eq(span_trim(SPAN(" \t a b\r\n")), SPAN("a b")));
	assert_true(span_eq(span_sub(SPAN("abc"), 5, 5), SPAN("")));
	assert_int_equal(span_find(SPAN("abc"), 'c'), 2);
	assert_int_equal(span_find(SPAN("abc"), 'd'), -1);
}

static void buffers(void **state)
{
	struct buffer b = { .limit = 10 };
	buffer_puts(&b, "12345678");
	buffer_put_u64(&b, 90);
	assert_true(buffer_ok(&b));
	buffer_putc(&b, 'x');
	assert_false(buffer_ok(&b));
	assert_int_equal(b.n, 10);
	buffer_consume(&b, 3);
	assert_true(span_eq(buffer_span(&b), SPAN("4567890")));
	buffer_free(&b);
	struct buffer big = { 0 };
	buffer_printf(&big, "%0500d", 7);
	assert_int_equal(big.n, 500);
	buffer_free(&big);
}

static void arenas(void **state)
{
	struct arena a = { .limit = 1000 };
	assert_non_null(arena_alloc(&a, 500));
	assert_null(arena_alloc(&a, 600));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_string_equal(arena_copy(&a, SPAN("hello")).p, "hello");
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 900));
	arena_free(&a);
}

static void varints(void **state)
{
	static const uint64_t v[] = { 0, 1, 127, 128, 16384, UINT32_MAX, UINT64_MAX };
	struct buffer b = { 0 };
	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		varint_put(&b, v[i]);
	struct span in = buffer_span(&b);
	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		uint64_t got;
		assert_true(varint_get(&in, &got));
		assert_true(got == v[i]);
	}
	uint64_t none;
	assert_false(varint_get(&in, &none));
	in = SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
	assert_false(varint_get(&in, &none));
	in = SPAN("\x05" "abc");
	struct span s;
	assert_false(varint_get_span(&in, &s));
	buffer_free(&b);
}

static void quoting(void **state)
{
	char out[64];
	assert_string_equal(log_quote(out, sizeof out, SPAN("a \"b\"\n")), "\"a \\x22b\\x22\\x0a\"");
}

static void durable_files(void **state)
{
	char dir[] = "/tmp/perdura-base-XXXXXX", path[128];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a/b", dir);
	assert_int_equal(durable_mkdir(path, 0700), OK);
	assert_int_equal(durable_mkdir(path, 0700), OK);
	snprintf(path, sizeof path, "%s/a/b/f", dir);
	assert_int_equal(durable_file_write(path, SPAN("one"), 0600), OK);
	assert_int_equal(durable_file_write(path, SPAN("two!"), 0600), OK);
	FILE *f = fopen(path, "r");
	char got[8] = "";
	assert_int_equal(fread(got, 1, sizeof got, f), 4);
	fclose(f);
	assert_int_equal(durable_file_write("/nowhere/f", SPAN("x"), 0600), ERR_UNAVAILABLE);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans), cmocka_unit_test(buffers), cmocka_unit_test(arenas), cmocka_unit_test(varints),
		cmocka_unit_test(quoting), cmocka_unit_test(durable_files),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
