#include "mbox.h"

#include <ctype.h>
#include <inttypes.h>
#include <time.h>

#include "clock.h"
#include "percent.h"

static const char first[] = "perdura";

/* ---- Writing */

static void put_word(struct buffer *b, struct span s)
{
	static const char plain[] = "/._-+$@&=,:!#'?^`{|}~\\";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x80 && (isalnum(c) || (c && strchr(plain, c))))
			buffer_putc(b, (char)c);
		else
			buffer_printf(b, "%%%02X", c);
	}
}

static void put_flags(struct buffer *b, struct span flags)
{
	while ((flags = span_trim(flags)).n) {
		ssize_t blank = span_find(flags, ' ');
		struct span one = blank < 0 ? flags : span_sub(flags, 0, (size_t)blank);
		buffer_putc(b, '*');
		put_word(b, one);
		flags = span_sub(flags, one.n, flags.n);
	}
}

void mbox_put_mark(struct buffer *b, const struct mbox_mark *m, int64_t date)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)(date / SECOND_US);
	struct tm tm;
	buffer_printf(b, "From %s*%" PRId64 "*%" PRIu32 "*%" PRIu64 "*", first, m->uidvalidity, m->uid, m->size);
	put_word(b, m->folder);
	put_flags(b, m->flags);
	gmtime_r(&t, &tm);
	buffer_printf(b, " %s %s %2d %02d:%02d:%02d %d\n", days[tm.tm_wday], months[tm.tm_mon], tm.tm_mday, tm.tm_hour, tm.tm_min,
		tm.tm_sec, 1900 + tm.tm_year);
}

/* ---- Reading */

/* Takes what stands before the next '*' off the front. */
static bool next_field(struct span *rest, struct span *field)
{
	if (!rest->p)
		return false;
	ssize_t star = span_find(*rest, '*');
	*field = star < 0 ? *rest : span_sub(*rest, 0, (size_t)star);
	*rest = star < 0 ? (struct span){ 0 } : span_sub(*rest, (size_t)star + 1, rest->n);
	return true;
}

static bool next_number(struct span *rest, uint64_t max, uint64_t *out)
{
	struct span field;
	return next_field(rest, &field) && span_u64(field, max, out);
}

static bool get_texts(struct buffer *folder, struct buffer *flags, struct span rest)
{
	struct span field;
	if (!next_field(&rest, &field) || !percent_decode(field, folder))
		return false;
	while (next_field(&rest, &field)) {
		if (flags->n)
			buffer_putc(flags, ' ');
		if (!field.n || !percent_decode(field, flags))
			return false;
	}
	return true;
}

bool mbox_parse_mark(struct arena *a, struct span word, struct mbox_mark *out)
{
	struct buffer folder = { 0 }, flags = { 0 };
	struct span name;
	uint64_t validity, uid, size;
	bool ok = next_field(&word, &name) && span_eq(name, span_of(first)) && next_number(&word, INT64_MAX, &validity) &&
	          next_number(&word, UINT32_MAX, &uid) && next_number(&word, INT64_MAX, &size) &&
	          get_texts(&folder, &flags, word);
	if (ok)
		*out = (struct mbox_mark){ (int64_t)validity, (uint32_t)uid, size, arena_copy(a, buffer_span(&folder)),
			arena_copy(a, buffer_span(&flags)) };
	buffer_free(&folder);
	buffer_free(&flags);
	return ok;
}

bool mbox_is_quotable(struct span line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] == '>')
		n++;
	return span_eq(span_sub(line, n, 5), SPAN("From "));
}
