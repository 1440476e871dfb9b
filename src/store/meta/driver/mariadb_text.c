#include "mariadb_text.h"

#include <assert.h>
#include <stdlib.h>

/* As the server reads strings of a binary connection; a zero byte would do as it is, but not in logs. */
static char *escape(char *to, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\'' || c == '\\' || c == 0) {
			*to++ = '\\';
			c = c ? c : '0';
		}
		*to++ = c;
	}
	return to;
}

static void put_bytes(struct buffer *out, struct span s)
{
	if (!s.p) {
		buffer_puts(out, "NULL");
		return;
	}
	char *to = buffer_reserve(out, 2 * s.n + 3);
	if (!to)
		return;
	char *end = to;
	*end++ = '\'';
	end = escape(end, s);
	*end++ = '\'';
	out->n += (size_t)(end - to);
}

static void put_value(struct buffer *out, const struct meta_value *v)
{
	if (v->type != 'i') {
		put_bytes(out, v->s);
		return;
	}
	if (v->i < 0)
		buffer_putc(out, '-');
	buffer_put_u64(out, v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i);
}

static void put_text(struct buffer *out, const char *p, const struct meta_value *v, size_t n)
{
	size_t used = 0;
	for (const char *q; (q = strchr(p, '?')); p = q + 1) {
		assert(used < n);
		buffer_put(out, p, (size_t)(q - p));
		put_value(out, &v[used++]);
	}
	assert(used == n);
	buffer_puts(out, p);
}

void mariadb_text_put(struct buffer *out, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	put_text(out, meta_sql_text(stmt), v, n);
}

bool mariadb_text_put_row(struct buffer *out, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	static const char insert[] = "INSERT ", values[] = " VALUES (";
	const char *sql = meta_sql_text(stmt), *row = strstr(sql, values);
	if (strncmp(sql, insert, sizeof insert - 1) || !row)
		return false;
	put_text(out, row + sizeof values - 2, v, n);
	return true;
}

/* The text behind the n-th comma from p on. */
static const char *behind_comma(const char *p, int n)
{
	for (; n && p; n--)
		p = (p = strchr(p, ',')) ? p + 1 : NULL;
	return p;
}

static int questions(const char *from, const char *to)
{
	int n = 0;
	for (; from < to; from++)
		n += *from == '?';
	return n;
}

static bool word_at(const char *sql, const char *p, size_t n)
{
	return (p == sql || !strchr("abcdefghijklmnopqrstuvwxyz_", p[-1])) && !strchr("abcdefghijklmnopqrstuvwxyz_", p[n]);
}

/* INSERT INTO t (a, account, ...) VALUES (?,?,...): the value at the column's place. */
static int inserted(const char *sql, const char *column, const char *values)
{
	const char *list = strchr(sql, '(');
	int place = 0;
	if (!list || list > column || column > values)
		return -1;
	for (const char *p = list; p < column; p++)
		place += *p == ',';
	const char *value = behind_comma(values, place);
	value = value ? value + strspn(value, " (VALUES") : NULL;
	return value && *value == '?' ? questions(sql, value) : -1;
}

int mariadb_text_account(const char *sql)
{
	static const char name[] = "account", is[] = " = ?";
	size_t n = sizeof name - 1;
	const char *values = strstr(sql, "VALUES");
	for (const char *p = sql; (p = strstr(p, name)); p += n) {
		if (!word_at(sql, p, n))
			continue;
		if (values)
			return inserted(sql, p, values);
		if (!strncmp(p + n, is, sizeof is - 1))
			return questions(sql, p);
	}
	return -1;
}
