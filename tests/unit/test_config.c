#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "fail.h"

static int load(struct config *c, const char *setting)
{
	return config_load("/nowhere", NULL, &setting, setting ? 1 : 0, c);
}

static void test_values(void **state)
{
	static const struct {
		const char *setting;
		size_t offset;
		int64_t value; /* -1: refused */
	} cases[] = {
#define AT(field) offsetof(struct config, field)
		{ " workers.max = 7 ", AT(workers_max), 7 },
		{ "workers.max=", 0, -1 },
		{ "workers.max=-5", 0, -1 },
		{ "workers.max=18446744073709551617", 0, -1 },
		{ "stop.timeout=0", AT(stop_timeout), 0 },
		{ "stop.timeout=250ms", AT(stop_timeout), 250000 },
		{ "stop.timeout=5", AT(stop_timeout), 5 * SECOND_US },
		{ "stop.timeout=5s", AT(stop_timeout), 5 * SECOND_US },
		{ "stop.timeout=2m", AT(stop_timeout), 120 * SECOND_US },
		{ "stop.timeout=1h", 0, -1 },
		{ "stop.timeout=1y", 0, -1 },
		{ "workers.max=4", AT(workers_max), 4 },
		{ "workers.max=3", 0, -1 },
		{ "workers.max=4K", 0, -1 },
		{ "log.level=error", AT(log_level), 0 },
		{ "log.level=debug", AT(log_level), 3 },
		{ "log.level=Debug", 0, -1 },
		{ "log.level=", 0, -1 },
		{ "login.plaintext=never", AT(login_plaintext), 2 },
		{ "no.such=1", 0, -1 },
		{ "=1", 0, -1 },
		{ "workers.max", 0, -1 },
		{ "", 0, -1 },
#undef AT
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct config c;
		print_message("%s\n", cases[i].setting);
		int r = load(&c, cases[i].setting);
		assert_int_equal(r, cases[i].value < 0 ? ERR_INVALID : OK);
		if (r) {
			assert_null(strchr(fail_detail(), '\n'));
			continue;
		}
		assert_int_equal(*(int64_t *)(void *)((char *)&c + cases[i].offset), cases[i].value);
		config_free(&c);
	}
}

static void test_defaults_are_within_bounds(void **state)
{
	struct config c;
	assert_int_equal(load(&c, NULL), OK);
#define OPTION(type, name, field, fallback, least, most, ...) \
	if (#type[0] != 't' && #type[0] != 'l') { \
		int64_t v = (int64_t)(uintptr_t)c.field; \
		assert_true(v >= (least) && v <= (most)); \
	}
#define LIVE OPTION
#include "options.def"
#undef LIVE
#undef OPTION
	assert_string_equal(c.node_name, "n1");
	config_free(&c);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_file(void **state)
{
	char dir[] = "/tmp/test_config.XXXXXX", path[64], where[80];
	const char *last = "node.name=fromset";
	struct config c;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/perdura.conf", dir);
	write_file(path, "# a comment\r\n\n\tnode.name = one\nworkers.max = 9 # not a comment\n");
	assert_int_equal(config_load(dir, NULL, NULL, 0, &c), ERR_INVALID);
	snprintf(where, sizeof where, "%s:4: ", path);
	assert_memory_equal(fail_detail(), where, strlen(where));
	write_file(path, "node.name=one\nnode.name=two\nlog.file = /a b#c\nworkers.max = 9");
	assert_int_equal(config_load(dir, NULL, NULL, 0, &c), OK);
	assert_string_equal(c.node_name, "two");
	assert_string_equal(c.log_file, "/a b#c");
	assert_int_equal(c.workers_max, 9);
	config_free(&c);
	assert_int_equal(config_load(dir, NULL, &last, 1, &c), OK);
	assert_string_equal(c.node_name, "fromset");
	config_free(&c);
	unlink(path);
	assert_int_equal(config_load(dir, NULL, NULL, 0, &c), OK); /* none is fine */
	config_free(&c);
	assert_int_equal(config_load(dir, path, NULL, 0, &c), ERR_NOT_FOUND); /* but the one named must be there */
	assert_int_equal(config_load("/", dir, NULL, 0, &c), ERR_INVALID);    /* a folder is no file */
	rmdir(dir);
}

static void test_reload(void **state)
{
	const char *now[] = { "log.level=warn" }, *later[] = { "log.level=debug", "log.file=x", "workers.max=9", "node.name=n2" };
	struct config c, fresh;
	struct buffer rest = { 0 };
	assert_int_equal(config_load("/nowhere", NULL, now, COUNT(now), &c), OK);
	assert_int_equal(config_load("/nowhere", NULL, later, COUNT(later), &fresh), OK);
	config_reload(&c, &fresh, &rest);
	config_free(&fresh);
	assert_true(span_eq(buffer_span(&rest), SPAN("node.name,workers.max")));
	buffer_free(&rest);
	assert_int_equal(c.log_level, 3);
	assert_string_equal(c.log_file, "x");
	assert_int_equal(c.workers_max, 64);
	assert_string_equal(c.node_name, "n1");
	config_free(&c);
}

static void collect(void *ctx, struct span line)
{
	buffer_put_span(ctx, line);
	buffer_putc(ctx, '\n');
}

static void test_list(void **state)
{
	static const char *const names[] = { "workers.max", "log.file", "stop.timeout", "login.plaintext" }, *const unknown[] = { "x" };
	struct config c;
	struct buffer b = { 0 };
	assert_int_equal(load(&c, "stop.timeout=90s"), OK);
	assert_int_equal(config_list(&c, unknown, 1, false, collect, &b), ERR_NOT_FOUND);
	assert_int_equal(b.n, 0);
	assert_int_equal(config_list(&c, names, COUNT(names), false, collect, &b), OK);
	buffer_putc(&b, 0);
	assert_non_null(strstr(b.p, "workers.max = 64\n"));
	assert_non_null(strstr(b.p, "default 64; 4 to 4096 threads; from the next start on\n"));
	assert_non_null(strstr(b.p, "log.file = \n"));
	assert_non_null(strstr(b.p, "stop.timeout = 90s\n"));
	assert_non_null(strstr(b.p, "one of: loopback always never; reload"));
	assert_null(strstr(b.p, "node.name"));
	buffer_reset(&b);
	assert_int_equal(config_list(&c, names, 1, true, collect, &b), OK);
	assert_true(span_istarts(buffer_span(&b), SPAN("[{\"name\":\"workers.max\",\"type\":\"number\",\"value\":\"64\",")));
	buffer_free(&b);
	config_free(&c);
}

static void test_passwords_are_not_listed(void **state)
{
	static const struct {
		const char *url, *shown;
	} urls[] = {
		{ "meta.url=mariadb://u:se:cr@et@h1:3306,h2/db?ca=x", "meta.url = mariadb://u:***@h1:3306,h2/db?ca=x\n" },
		{ "meta.url=mariadb://u@h/db", "meta.url = mariadb://u@h/db\n" },
		{ "meta.url=sqlite:a:b@c", "meta.url = sqlite:a:b@c\n" },
	};
	static const char *const name = "meta.url";
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct config c;
		struct buffer b = { 0 };
		assert_int_equal(load(&c, urls[i].url), OK);
		assert_int_equal(config_list(&c, &name, 1, false, collect, &b), OK);
		buffer_putc(&b, 0);
		assert_null(strstr(b.p, "se:cr"));
		assert_non_null(strstr(b.p, urls[i].shown));
		buffer_free(&b);
		config_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults_are_within_bounds),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_passwords_are_not_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
