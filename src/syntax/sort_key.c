#include "sort_key.h"

#include "base_subject.h"
#include "rfc2047.h"
#include "text_fold.h"

bool sort_needs_facts(const struct imap_sort *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->keys[i].by != SORT_ARRIVAL && s->keys[i].by != SORT_SIZE)
			return true;
	return false;
}

static void put_number(struct buffer *out, int64_t v)
{
	uint64_t bits = (uint64_t)v ^ UINT64_C(1) << 63; /* negative ones come first */
	for (int shift = 56; shift >= 0; shift -= 8)
		buffer_putc(out, (char)(bits >> shift & 0xff));
}

/* Folded, ended by a NUL, so that what is longer comes behind. */
static void put_text(struct sort_scratch *w, struct buffer *out)
{
	buffer_reset(&w->folded);
	text_fold(buffer_span(&w->text), &w->folded);
	struct span s = span_sub(buffer_span(&w->folded), 0, SORT_TEXT_MAX);
	for (size_t i = 0; i < s.n; i++)
		buffer_putc(out, s.p[i] ? s.p[i] : ' ');
	buffer_putc(out, 0);
}

/* RFC 5957: the name as it is shown, else the address. */
static void display(const struct mime_address *a, struct buffer *text)
{
	if (a->name.n) {
		rfc2047_decode(a->name, text);
		return;
	}
	buffer_put_span(text, a->mailbox);
	if (a->host.n)
		buffer_putc(text, '@');
	buffer_put_span(text, a->host);
}

/* Of the first address: its local part (of a group: the name), or what is shown of it. */
static void put_address(struct sort_scratch *w, struct span value, bool shown, struct buffer *out)
{
	struct mime_address a;
	buffer_reset(&w->text);
	mime_address_start(&w->addresses, value);
	if (mime_address_next(&w->addresses, &a)) {
		if (shown)
			display(&a, &w->text);
		else
			buffer_put_span(&w->text, a.kind == ADDRESS_MAILBOX ? a.mailbox : a.name);
	}
	put_text(w, out);
}

static void put_subject(struct sort_scratch *w, struct span value, struct buffer *out)
{
	buffer_reset(&w->text);
	base_subject(value, &w->text);
	put_text(w, out);
}

static void put_one(enum imap_sort_by by, const struct sort_message *m, struct sort_scratch *w, struct buffer *out)
{
	const struct message_facts *f = &m->facts;
	switch (by) {
	case SORT_ARRIVAL:
		put_number(out, m->internal);
		break;
	case SORT_CC:
		put_address(w, f->cc, false, out);
		break;
	case SORT_DATE:
		put_number(out, f->sent);
		break;
	case SORT_DISPLAYFROM:
		put_address(w, f->from, true, out);
		break;
	case SORT_DISPLAYTO:
		put_address(w, f->to, true, out);
		break;
	case SORT_FROM:
		put_address(w, f->from, false, out);
		break;
	case SORT_SIZE:
		put_number(out, (int64_t)m->size);
		break;
	case SORT_SUBJECT:
		put_subject(w, f->subject, out);
		break;
	case SORT_TO:
		put_address(w, f->to, false, out);
		break;
	}
}

void sort_key_put(const struct imap_sort *s, const struct sort_message *m, struct sort_scratch *w, struct buffer *out)
{
	for (size_t i = 0; i < s->n; i++) {
		size_t start = out->n;
		put_one(s->keys[i].by, m, w, out);
		for (size_t at = start; s->keys[i].reverse && at < out->n; at++)
			out->p[at] = (char)~out->p[at];
	}
}

void sort_scratch_free(struct sort_scratch *w)
{
	mime_address_free(&w->addresses);
	buffer_free(&w->text);
	buffer_free(&w->folded);
}
