#include "smtp_dot.h"

static struct span take(struct span *in, size_t n)
{
	struct span taken = { in->p, n };
	in->p += n;
	in->n -= n;
	return taken;
}

/* Up to the next place where a dot is, or may be, the first byte of a line. Looks at line ends only. */
static struct span take_run(struct smtp_dot *d, struct span *in)
{
	const char *end = in->p + in->n, *p = in->p;
	bool after_cr = d->state == SMTP_DOT_CR;
	for (const char *lf; p < end && (lf = memchr(p, '\n', (size_t)(end - p)));) {
		p = lf + 1;
		bool crlf = lf > in->p ? lf[-1] == '\r' : after_cr;
		if (crlf && (p == end || *p == '.')) {
			d->state = SMTP_DOT_LINE;
			return take(in, (size_t)(p - in->p));
		}
	}
	d->state = end[-1] == '\r' ? SMTP_DOT_CR : SMTP_DOT_TEXT;
	return take(in, in->n);
}

enum smtp_dot_answer smtp_dot_next(struct smtp_dot *d, struct span *in, struct span *run)
{
	while (in->n) {
		char c = *in->p;
		switch (d->state) {
		case SMTP_DOT_LINE:
			if (c == '.') {
				take(in, 1);
				d->state = SMTP_DOT_DOT;
				continue;
			}
			break;
		case SMTP_DOT_DOT:
			if (c == '\r') {
				take(in, 1);
				d->state = SMTP_DOT_DOT_CR;
				continue;
			}
			d->state = SMTP_DOT_TEXT;
			break;
		case SMTP_DOT_DOT_CR:
			if (c == '\n') {
				take(in, 1);
				d->state = SMTP_DOT_LINE;
				return SMTP_DOT_END;
			}
			d->state = SMTP_DOT_CR; /* the CR held back was the message's after all */
			*run = SPAN("\r");
			return SMTP_DOT_RUN;
		case SMTP_DOT_TEXT:
		case SMTP_DOT_CR:
			break;
		}
		*run = take_run(d, in);
		return SMTP_DOT_RUN;
	}
	return SMTP_DOT_MORE;
}
