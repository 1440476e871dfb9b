#include "maildir_name.h"

#include <inttypes.h>

#include "clock.h"
#include "utf7.h"

enum { NAME_MOST = 240, NAME_KEPT = 200 };

/* FNV-1a: short, and only meant to tell apart names that begin alike. */
static uint64_t hash(struct span s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

bool maildir_folder_put(struct buffer *b, struct span path)
{
	struct buffer utf7 = { 0 };
	size_t start = b->n;
	bool plain = utf7_encode(&utf7, path) == 0;
	for (size_t i = 0; i < utf7.n; i++) {
		char c = utf7.p[i];
		if (c == '/')
			buffer_putc(b, '.');
		else if (c == '.' || c == '\\')
			plain = (buffer_puts(b, c == '.' ? "\\2e" : "\\5c"), false);
		else
			buffer_putc(b, c);
	}
	buffer_free(&utf7);
	if (b->n - start <= NAME_MOST)
		return plain;
	b->n = start + NAME_KEPT;
	buffer_printf(b, "\\~%016" PRIx64, hash(path));
	return false;
}

void maildir_folder_get(struct buffer *b, struct span name)
{
	struct arena a = { 0 };
	struct span decoded = name;
	utf7_decode(&a, name, &decoded);
	for (size_t i = 0; i < decoded.n; i++)
		buffer_putc(b, decoded.p[i] == '.' ? '/' : decoded.p[i]);
	arena_free(&a);
}

void maildir_file_put(struct buffer *b, const struct maildir_file *f)
{
	int64_t date = f->date < 0 ? 0 : f->date; /* the file's own time tells */
	buffer_printf(b, "%" PRId64 ".M%06" PRId64 "V%" PRId64 "U%" PRIu32 ".perdura,S=%" PRIu64 ",W=%" PRIu64, date / SECOND_US,
		date % SECOND_US, f->uidvalidity, f->uid, f->size, f->size);
}

/* Takes a number and what must follow it off the front. */
static bool take(struct span *s, struct span after, uint64_t max, uint64_t *out)
{
	size_t n = 0;
	while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
		n++;
	if (!span_u64(span_sub(*s, 0, n), max, out) || !span_eq(span_sub(*s, n, after.n), after))
		return false;
	*s = span_sub(*s, n + after.n, s->n);
	return true;
}

bool maildir_file_get(struct span name, struct maildir_file *out)
{
	uint64_t seconds, us, validity, uid, size;
	if (!take(&name, SPAN(".M"), INT64_MAX / SECOND_US - 1, &seconds) || !take(&name, SPAN("V"), SECOND_US - 1, &us) ||
	    !take(&name, SPAN("U"), INT64_MAX, &validity) || !take(&name, SPAN(".perdura,S="), UINT32_MAX, &uid) ||
	    !take(&name, SPAN(",W="), INT64_MAX, &size))
		return false;
	*out = (struct maildir_file){ (int64_t)seconds * SECOND_US + (int64_t)us, (int64_t)validity, (uint32_t)uid, size };
	return true;
}

bool maildir_wire_size(struct span name, uint64_t *out)
{
	for (ssize_t comma; (comma = span_find(name, ',')) >= 0;) {
		name = span_sub(name, (size_t)comma + 1, name.n);
		struct span rest = span_sub(name, 2, name.n);
		if (span_eq(span_sub(name, 0, 2), SPAN("W=")))
			return take(&rest, (struct span){ 0 }, INT64_MAX, out);
	}
	return false;
}
