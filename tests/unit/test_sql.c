/* The schema and the statements, as each database wants them. */
#include "unit.h"

#include <string.h>

#include "mariadb_schema.h"
#include "meta_driver.h"

#define ENGINE " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET binary"

static void test_schema_of_mariadb(void **state)
{
	static const struct {
		const char *ours, *theirs;
	} cases[] = {
		{ "", NULL },
		{ " \n ", NULL },
		{ "CREATE TABLE t ( a INTEGER NOT NULL PRIMARY KEY, b TEXT ); ",
			"CREATE TABLE IF NOT EXISTS t ( a BIGINT NOT NULL PRIMARY KEY, b MEDIUMBLOB )" ENGINE },
		{ "CREATE TABLE t ( a KEYTEXT NOT NULL, b KEYBLOB, c BLOB, PRIMARY KEY (a, b) ) WITHOUT ROWID;",
			"CREATE TABLE IF NOT EXISTS t ( a VARBINARY(1024) NOT NULL, b VARBINARY(1024), c MEDIUMBLOB, PRIMARY KEY (a, b) ) " ENGINE },
		{ "CREATE INDEX i ON t (a);", "CREATE INDEX IF NOT EXISTS i ON t (a)" },
		{ "CREATE UNIQUE INDEX TEXTS ON INTEGER_2 (a)", "CREATE UNIQUE INDEX IF NOT EXISTS TEXTS ON INTEGER_2 (a)" },
		{ "CREATE TABLE t ( thirteen_long INTEGER );", "CREATE TABLE IF NOT EXISTS t ( thirteen_long BIGINT )" ENGINE },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		struct span s = span_of(cases[i].ours);
		assert_int_equal(mariadb_schema_next(&s, &b), cases[i].theirs != NULL);
		buffer_putc(&b, 0);
		assert_string_equal(b.p, cases[i].theirs ? cases[i].theirs : "");
		assert_false(mariadb_schema_next(&s, &b));
		buffer_free(&b);
	}
}

/* Nothing of SQLite's is left, and each statement is one of ours. */
static void test_whole_schema(void **state)
{
	static const char *const foreign[] = { "INTEGER", "TEXT", "ROWID", "--", ";", "KEYBLOB" };
	struct span s = span_of(meta_schema_text());
	struct buffer b = { 0 };
	size_t n = 0;
	for (; mariadb_schema_next(&s, &b); buffer_reset(&b), n++) {
		buffer_putc(&b, 0);
		assert_true(!strncmp(b.p, "CREATE ", 7) && strstr(b.p, " IF NOT EXISTS "));
		for (size_t i = 0; i < COUNT(foreign); i++)
			assert_null(strstr(b.p, foreign[i]));
	}
	assert_true(n > 20);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_of_mariadb),
		cmocka_unit_test(test_whole_schema),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
