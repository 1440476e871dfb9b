#include "json_write.h"

#include "utf8.h"

static void begin_value(struct json_writer *j)
{
	if (j->comma)
		buffer_putc(j->out, ',');
	j->comma = true;
}

void json_put_open(struct json_writer *j, char bracket)
{
	begin_value(j);
	buffer_putc(j->out, bracket);
	j->comma = false;
}

void json_put_close(struct json_writer *j, char bracket)
{
	buffer_putc(j->out, bracket);
	j->comma = true;
}

static void put_character(struct buffer *b, uint32_t c)
{
	if (c == '"' || c == '\\')
		buffer_putc(b, '\\');
	if (c < 0x20 || c == 0x7f)
		buffer_printf(b, "\\u%04x", (unsigned)c);
	else
		utf8_put(b, c);
}

static void put_string(struct buffer *b, struct span s)
{
	uint32_t c;
	buffer_putc(b, '"');
	while (s.n) {
		if (!utf8_next(&s, &c)) {
			c = 0xfffd;
			s = span_sub(s, 1, s.n);
		}
		put_character(b, c);
	}
	buffer_putc(b, '"');
}

void json_put_text(struct json_writer *j, struct span s)
{
	begin_value(j);
	put_string(j->out, s);
}

void json_put_key(struct json_writer *j, const char *name)
{
	json_put_text(j, span_of(name));
	buffer_putc(j->out, ':');
	j->comma = false;
}

void json_put_int(struct json_writer *j, int64_t v)
{
	begin_value(j);
	buffer_printf(j->out, "%lld", (long long)v);
}

void json_put_bool(struct json_writer *j, bool v)
{
	begin_value(j);
	buffer_puts(j->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *j)
{
	begin_value(j);
	buffer_puts(j->out, "null");
}
