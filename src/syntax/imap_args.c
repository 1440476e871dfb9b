#include "imap_args.h"

#include "fail.h"
#include "imap_chars.h"
#include "imap_date.h"
#include "imap_frame.h"
#include "utf8.h"

void imap_args_init(struct imap_args *a, struct span command, struct arena *arena)
{
	if (command.n && command.p[command.n - 1] == '\n')
		command.n--;
	if (command.n && command.p[command.n - 1] == '\r')
		command.n--;
	*a = (struct imap_args){ .rest = command, .arena = arena };
}

bool imap_bad(struct imap_args *a, const char *why)
{
	if (!a->bad)
		a->bad = why;
	return false;
}

static void skip(struct imap_args *a, size_t n)
{
	a->rest = span_sub(a->rest, n, a->rest.n);
}

/* The longest run of bytes of a class, taken off the front; may be empty. */
static struct span take_run(struct imap_args *a, bool (*is)(char))
{
	size_t n = 0;
	while (n < a->rest.n && is(a->rest.p[n]))
		n++;
	struct span run = span_sub(a->rest, 0, n);
	skip(a, n);
	return run;
}

static bool take_some(struct imap_args *a, bool (*is)(char), struct span *out, const char *why)
{
	struct span run = take_run(a, is);
	if (run.n == 0)
		return imap_bad(a, why);
	*out = run;
	return true;
}

bool imap_tag(struct imap_args *a, struct span *out)
{
	return take_some(a, imap_is_tag_char, out, "a tag expected");
}

bool imap_atom(struct imap_args *a, struct span *out)
{
	return take_some(a, imap_is_atom_char, out, "an atom expected");
}

bool imap_peek(const struct imap_args *a, char c)
{
	return a->rest.n && a->rest.p[0] == c;
}

bool imap_take(struct imap_args *a, char c)
{
	if (!imap_peek(a, c))
		return false;
	skip(a, 1);
	return true;
}

bool imap_take_word(struct imap_args *a, struct span word)
{
	if (!span_istarts(a->rest, word))
		return false;
	if (a->rest.n > word.n && imap_is_atom_char(a->rest.p[word.n]))
		return false;
	skip(a, word.n);
	return true;
}

bool imap_sp(struct imap_args *a)
{
	if (!imap_take(a, ' '))
		return imap_bad(a, a->rest.n ? "a blank expected" : "an argument is missing");
	while (imap_take(a, ' '))
		;
	return true;
}

bool imap_end(struct imap_args *a)
{
	while (imap_take(a, ' '))
		;
	return a->rest.n == 0 || imap_bad(a, "the end of the command expected");
}

/* text still holds its escapes. */
static bool unescape(struct imap_args *a, struct span text, struct span *out)
{
	char *to = arena_alloc(a->arena, text.n);
	if (!to)
		return imap_bad(a, "the command is too large");
	struct span s = { to, 0 };
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\\')
			i++;
		to[s.n++] = text.p[i];
	}
	*out = s;
	return true;
}

static bool quoted(struct imap_args *a, struct span *out)
{
	struct span s = span_sub(a->rest, 1, a->rest.n);
	bool escapes = false;
	size_t i = 0;
	for (; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\') {
			i++;
			escapes = true;
			if (i == s.n || (s.p[i] != '"' && s.p[i] != '\\'))
				return imap_bad(a, "in a quoted string, a backslash must precede \\ or \"");
		}
		if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == 0)
			return imap_bad(a, "a quoted string cannot hold line ends or NUL");
	}
	if (i == s.n)
		return imap_bad(a, "a quoted string is not closed");
	s.n = i;
	if (a->utf8 && !utf8_valid(s))
		return imap_bad(a, "a quoted string must be valid UTF-8");
	if (!escapes)
		*out = s;
	else if (!unescape(a, s, out))
		return false;
	skip(a, i + 2);
	return true;
}

static bool literal(struct imap_args *a, struct span *out)
{
	ssize_t lf = span_find(a->rest, '\n');
	struct span line = span_sub(a->rest, 0, lf < 0 ? 0 : (size_t)lf);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	struct imap_literal l;
	if (!imap_literal_at_end(line, &l) || l.at != 0)
		return imap_bad(a, "not a literal");
	skip(a, (size_t)lf + 1);
	if (l.size > a->rest.n)
		return imap_bad(a, "a literal is cut short");
	*out = span_sub(a->rest, 0, (size_t)l.size);
	skip(a, out->n);
	return true;
}

static bool starts_literal(const struct imap_args *a)
{
	return imap_peek(a, '{') || (a->rest.n > 1 && a->rest.p[0] == '~' && a->rest.p[1] == '{');
}

bool imap_string(struct imap_args *a, struct span *out)
{
	if (imap_peek(a, '"'))
		return quoted(a, out);
	if (starts_literal(a))
		return literal(a, out);
	return imap_bad(a, "a string expected");
}

static bool string_or_run(struct imap_args *a, bool (*is)(char), struct span *out, const char *why)
{
	if (imap_peek(a, '"') || starts_literal(a))
		return imap_string(a, out);
	return take_some(a, is, out, why);
}

bool imap_astring(struct imap_args *a, struct span *out)
{
	return string_or_run(a, imap_is_astring_char, out, "a string or an atom expected");
}

bool imap_list_mailbox(struct imap_args *a, struct span *out)
{
	return string_or_run(a, imap_is_list_char, out, "a mailbox pattern expected");
}

bool imap_nstring(struct imap_args *a, struct span *out)
{
	if (imap_take_word(a, SPAN("NIL"))) {
		*out = (struct span){ 0 };
		return true;
	}
	return imap_string(a, out);
}

static bool number_up_to(struct imap_args *a, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (!span_u64(take_run(a, imap_is_digit), max, &v) || v < min)
		return imap_bad(a, "a number expected");
	*out = v;
	return true;
}

bool imap_number(struct imap_args *a, uint32_t *out)
{
	uint64_t v = 0;
	if (!number_up_to(a, 0, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool imap_nz_number(struct imap_args *a, uint32_t *out)
{
	uint64_t v = 0;
	if (!number_up_to(a, 1, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

bool imap_number64(struct imap_args *a, uint64_t *out)
{
	return number_up_to(a, 0, INT64_MAX, out);
}

static bool is_set_char(char c)
{
	return imap_is_digit(c) || c == ':' || c == ',' || c == '*';
}

bool imap_set(struct imap_args *a, struct imap_set *out)
{
	int rc = imap_set_parse(a->arena, take_run(a, is_set_char), out);
	if (rc == ERR_LIMIT)
		return imap_bad(a, "the set has too many ranges");
	return rc == OK || imap_bad(a, "a set of numbers expected");
}

static bool is_date_char(char c)
{
	return imap_is_digit(c) || c == '-' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

bool imap_date(struct imap_args *a, int64_t *day)
{
	struct span text = { 0 };
	if (imap_peek(a, '"')) {
		if (!quoted(a, &text))
			return false;
	} else {
		text = take_run(a, is_date_char);
	}
	return imap_date_parse(text, day) || imap_bad(a, "a date like 1-Feb-2026 expected");
}

bool imap_date_time(struct imap_args *a, int64_t *us)
{
	struct span text;
	if (imap_peek(a, '"') && quoted(a, &text) && imap_date_time_parse(text, us))
		return true;
	return imap_bad(a, "a date and time like \"01-Feb-2026 10:00:00 +0000\" expected");
}

bool imap_list_open(struct imap_args *a)
{
	return imap_take(a, '(') || imap_bad(a, "a list in parentheses expected");
}

bool imap_list_next(struct imap_args *a)
{
	while (imap_take(a, ' '))
		;
	return !imap_take(a, ')');
}

static bool is_flag_char(char c)
{
	return imap_is_atom_char(c) || c == '\\';
}

static bool add_flag(struct imap_args *a, struct flags_builder *f)
{
	struct span name;
	if (!take_some(a, is_flag_char, &name, "a flag expected"))
		return false;
	int rc = flags_add(f, name);
	if (rc == ERR_LIMIT)
		return imap_bad(a, "too many keywords");
	return rc == OK || imap_bad(a, "no such flag");
}

static bool finish_flags(struct imap_args *a, const struct flags_builder *f, struct imap_flags *out)
{
	return flags_finish(f, a->arena, out) == OK || imap_bad(a, "the command is too large");
}

bool imap_flag_list(struct imap_args *a, struct imap_flags *out)
{
	struct flags_builder f = { 0 };
	if (!imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!add_flag(a, &f))
			return false;
	return finish_flags(a, &f, out);
}

bool imap_flags_bare(struct imap_args *a, struct imap_flags *out)
{
	struct flags_builder f = { 0 };
	do
		if (!add_flag(a, &f))
			return false;
	while (a->rest.n && imap_sp(a) && a->rest.n);
	return !a->bad && finish_flags(a, &f, out);
}

bool imap_upload(struct imap_args *a, struct imap_upload *out)
{
	struct imap_literal l;
	bool utf8 = imap_take_word(a, SPAN("UTF8"));
	if (utf8 && (!imap_sp(a) || !imap_list_open(a)))
		return false;
	if (!starts_literal(a) || !imap_literal_at_end(a->rest, &l) || l.at != 0)
		return imap_bad(a, "a literal expected");
	if (utf8 && !l.binary)
		return imap_bad(a, "a literal8 expected");
	*out = (struct imap_upload){ .size = l.size, .sync = l.sync, .binary = l.binary, .utf8 = utf8 };
	skip(a, a->rest.n);
	return true;
}

bool imap_upload_end(struct imap_args *a, const struct imap_upload *u)
{
	return !u->utf8 || imap_take(a, ')') || imap_bad(a, "a message in UTF8 ( is not closed");
}

bool imap_append_message(struct imap_args *a, struct imap_append *out)
{
	struct imap_append m = { 0 };
	if (imap_peek(a, '(') && (!imap_flag_list(a, &m.flags) || !imap_sp(a)))
		return false;
	if (imap_peek(a, '"')) {
		if (!imap_date_time(a, &m.date_us) || !imap_sp(a))
			return false;
		m.has_date = true;
	}
	m.catenate = imap_take_word(a, SPAN("CATENATE"));
	if (m.catenate ? !imap_sp(a) || !imap_list_open(a) : !imap_upload(a, &m.bytes))
		return false;
	*out = m;
	return true;
}

bool imap_append_next(struct imap_args *a, struct imap_append *m, bool *more)
{
	if (!imap_upload_end(a, &m->bytes))
		return false;
	*more = span_trim(a->rest).n > 0;
	return *more ? imap_sp(a) && imap_append_message(a, m) : imap_end(a);
}
