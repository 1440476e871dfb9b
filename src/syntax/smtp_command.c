#include "smtp_command.h"

#include "utf8.h"

static struct span take(struct span *in, size_t n)
{
	struct span taken = span_sub(*in, 0, n);
	*in = span_sub(*in, n, in->n);
	return taken;
}

static void skip_blanks(struct span *in)
{
	while (in->n && (*in->p == ' ' || *in->p == '\t'))
		take(in, 1);
}

static bool is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool is_graph(char c)
{
	return c > ' ' && c < 0x7f;
}

enum smtp_line_answer smtp_line_next(struct span *in, struct span *line)
{
	const char *lf = in->n ? memchr(in->p, '\n', in->n) : NULL;
	if (!lf)
		return SMTP_LINE_MORE;
	struct span s = take(in, (size_t)(lf - in->p) + 1);
	if (s.n < 2 || s.p[s.n - 2] != '\r')
		return SMTP_LINE_BAD;
	s.n -= 2;
	if (span_find(s, '\r') >= 0 || span_find(s, '\0') >= 0)
		return SMTP_LINE_BAD;
	*line = s;
	return SMTP_LINE_OK;
}

struct smtp_command smtp_command_parse(struct span line)
{
	size_t n = 0;
	while (n < line.n && is_letter(line.p[n]))
		n++;
	if (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n = 0;
	return (struct smtp_command){ span_sub(line, 0, n), span_trim(span_sub(line, n, line.n)) };
}

/* The number of bytes from the front for which ok() holds. */
static size_t length_of(struct span s, bool (*ok)(char c))
{
	size_t n = 0;
	while (n < s.n && ok(s.p[n]))
		n++;
	return n;
}

/* RFC 5321's atext and dots, wherever they stand: addresses like `a..b.@d` exist and must get their mail. */
static bool is_local(char c)
{
	return is_letter(c) || is_digit(c) || is_8bit(c) || (c && strchr(".!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_domain(char c)
{
	return is_letter(c) || is_digit(c) || is_8bit(c) || c == '-' || c == '.' || c == '_';
}

static bool is_literal(char c)
{
	return is_graph(c) && c != '[' && c != ']' && c != '\\' && c != '<' && c != '>';
}

static bool is_param_value(char c)
{
	return is_graph(c) && c != '=';
}

static bool is_param_name(char c)
{
	return is_letter(c) || is_digit(c) || c == '-';
}

/* Length of the quoted string at the front, quotes included; 0 when it is none. */
static size_t quoted_length(struct span s)
{
	if (!s.n || *s.p != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\' && ++i == s.n)
			return 0;
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return 0;
	}
	return 0;
}

static bool take_domain(struct span *in, struct span *out)
{
	if (in->n && *in->p == '[') {
		size_t n = length_of(span_sub(*in, 1, in->n), is_literal);
		if (n == 0 || n + 1 >= in->n || in->p[n + 1] != ']')
			return false;
		*out = take(in, n + 2);
		return true;
	}
	*out = take(in, length_of(*in, is_domain));
	return out->n && *out->p != '.' && out->p[out->n - 1] != '.' && !memmem(out->p, out->n, "..", 2);
}

/* `@one,@two:` in front of the mailbox. */
static bool skip_route(struct span *in)
{
	if (!in->n || *in->p != '@')
		return true;
	for (struct span domain; in->n && *in->p == '@';) {
		take(in, 1);
		if (!take_domain(in, &domain) || !in->n || (*in->p != ',' && *in->p != ':'))
			return false;
		if (*take(in, 1).p == ':')
			return true;
	}
	return false;
}

static bool take_mailbox(struct span *in, struct smtp_path *out)
{
	struct smtp_path path = { .given = *in };
	size_t quoted = quoted_length(*in);
	path.local = take(in, quoted ? quoted : length_of(*in, is_local));
	if (!path.local.n)
		return false;
	if (in->n && *in->p == '@') {
		take(in, 1);
		if (!take_domain(in, &path.domain))
			return false;
	}
	path.given.n -= in->n;
	*out = path;
	return true;
}

static bool has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_8bit(s.p[i]))
			return true;
	return false;
}

enum smtp_answer smtp_path_take(struct span *args, struct span keyword, struct smtp_path *out)
{
	struct span in = *args;
	if (!span_istarts(in, keyword))
		return SMTP_SYNTAX;
	take(&in, keyword.n);
	if (!in.n || *in.p != ':')
		return SMTP_SYNTAX;
	take(&in, 1);
	skip_blanks(&in); /* `FROM: <a@b>` is wrong and common */
	if (!in.n || *in.p != '<')
		return SMTP_SYNTAX;
	take(&in, 1);
	struct smtp_path path = { .given = span_sub(in, 0, 0) };
	bool null = in.n && *in.p == '>';
	if (!null && (!skip_route(&in) || !take_mailbox(&in, &path) || !in.n || *in.p != '>'))
		return SMTP_BAD_ADDRESS;
	take(&in, 1);
	if (in.n && *in.p != ' ' && *in.p != '\t')
		return SMTP_SYNTAX;
	path.utf8 = has_8bit(path.given);
	if (path.utf8 && !utf8_valid(path.given))
		return SMTP_BAD_ADDRESS;
	skip_blanks(&in);
	*args = in;
	*out = path;
	return SMTP_OK;
}

size_t smtp_local_write(struct span local, char *out)
{
	if (!local.n)
		return 0;
	if (*local.p != '"') {
		memcpy(out, local.p, local.n);
		return local.n;
	}
	size_t n = 0;
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\')
			i++;
		out[n++] = local.p[i];
	}
	return n;
}

enum smtp_answer smtp_param_take(struct span *args, struct smtp_param *out)
{
	struct span in = *args;
	struct smtp_param param = { .name = take(&in, length_of(in, is_param_name)) };
	if (!param.name.n || *param.name.p == '-')
		return SMTP_SYNTAX;
	if (in.n && *in.p == '=') {
		take(&in, 1);
		param.value = take(&in, length_of(in, is_param_value));
		param.has_value = true;
		if (!param.value.n)
			return SMTP_SYNTAX;
	}
	if (in.n && *in.p != ' ' && *in.p != '\t')
		return SMTP_SYNTAX;
	skip_blanks(&in);
	*args = in;
	*out = param;
	return SMTP_OK;
}

enum smtp_answer smtp_chunk_parse(struct span args, struct smtp_chunk *out)
{
	ssize_t blank = span_find(args, ' ');
	struct span size = blank < 0 ? args : span_sub(args, 0, (size_t)blank);
	struct span rest = span_trim(span_sub(args, size.n, args.n));
	struct smtp_chunk c = { .last = rest.n > 0 };
	if (!span_u64(size, INT64_MAX, &c.size) || (c.last && !span_ieq(rest, SPAN("LAST"))))
		return SMTP_SYNTAX;
	*out = c;
	return SMTP_OK;
}
