#include "mariadb_schema.h"

static const struct word {
	const char *ours, *theirs;
} words[] = {
	{ "INTEGER", "BIGINT" },
	{ "KEYTEXT", "VARBINARY(1024)" },
	{ "KEYBLOB", "VARBINARY(1024)" },
	{ "TEXT", "MEDIUMBLOB" },
	{ "BLOB", "MEDIUMBLOB" },
	{ "TABLE", "TABLE IF NOT EXISTS" },
	{ "INDEX", "INDEX IF NOT EXISTS" },
};

static const char engine[] = " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET binary";

static struct span translated(struct span word)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (span_eq(word, span_of(words[i].ours)))
			return span_of(words[i].theirs);
	return word;
}

static size_t length_of_word(struct span s)
{
	size_t n = 0;
	while (n < s.n && ((s.p[n] >= 'A' && s.p[n] <= 'Z') || (s.p[n] >= 'a' && s.p[n] <= 'z') || s.p[n] == '_'))
		n++;
	return n;
}

static bool starts(struct span s, struct span with)
{
	return span_eq(span_sub(s, 0, with.n), with);
}

bool mariadb_schema_next(struct span *schema, struct buffer *out)
{
	struct span s = span_trim(*schema), end = SPAN("WITHOUT ROWID");
	bool table = starts(s, SPAN("CREATE TABLE"));
	if (!s.n)
		return false;
	while (s.n && *s.p != ';') {
		size_t n = length_of_word(s);
		if (starts(s, end))
			n = end.n;
		else if (n)
			buffer_put_span(out, translated(span_sub(s, 0, n)));
		else
			buffer_putc(out, *s.p);
		s = span_sub(s, n ? n : 1, s.n);
	}
	if (table)
		buffer_puts(out, engine);
	*schema = span_sub(s, 1, s.n);
	return true;
}
