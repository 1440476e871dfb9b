#include "imap_frame.h"

#include "imap_chars.h"

bool imap_literal_at_end(struct span line, struct imap_literal *out)
{
	const char *open = line.n ? memrchr(line.p, '{', line.n) : NULL;
	if (!open || line.p[line.n - 1] != '}')
		return false;
	size_t at = (size_t)(open - line.p);
	struct span number = span_sub(line, at + 1, line.n - at - 2);
	struct imap_literal l = { .at = at, .sync = true };
	if (number.n && number.p[number.n - 1] == '+')
		l.sync = false, number.n--;
	for (size_t i = 0; i < number.n; i++)
		if (!imap_is_digit(number.p[i]))
			return false;
	if (number.n == 0)
		return false;
	if (!span_u64(number, UINT64_MAX, &l.size))
		l.size = UINT64_MAX;
	if (at && line.p[at - 1] == '~')
		l.binary = true, l.at--;
	*out = l;
	return true;
}

/* Looks at n more bytes. */
static void advance(struct imap_frame *f, struct span in, size_t n)
{
	if (n && !(f->left && f->binary) && memchr(in.p + f->scanned, 0, n))
		f->nul = true;
	f->scanned += n;
}

/* False when the literal is not all there yet. */
static bool pass_literal(struct imap_frame *f, struct span in)
{
	size_t n = in.n - f->scanned;
	if (n > f->left)
		n = f->left;
	advance(f, in, n);
	f->left -= n;
	if (f->left)
		return false;
	f->line = f->scanned;
	return true;
}

/* Behind the word that starts at `at`, and the blanks after it. */
static size_t next_word(struct span line, size_t at)
{
	while (at < line.n && line.p[at] != ' ')
		at++;
	while (at < line.n && line.p[at] == ' ')
		at++;
	return at;
}

/* Is the command an APPEND or a REPLACE, and where is its mailbox? Asked once, of the first line. */
static void know_command(struct imap_frame *f, struct span line)
{
	f->known = true;
	size_t at = next_word(line, 0);
	bool uid = span_istarts(span_sub(line, at, line.n), SPAN("UID "));
	if (uid)
		at = next_word(line, at);
	bool replace = span_istarts(span_sub(line, at, line.n), SPAN("REPLACE "));
	f->append = replace || (!uid && span_istarts(span_sub(line, at, line.n), SPAN("APPEND ")));
	f->mailbox = next_word(line, at);
	if (replace)
		f->mailbox = next_word(line, f->mailbox);
}

/* The literal that follows a mailbox is the message; the one in the mailbox's place is the mailbox. In a tail, all are left to
   whoever takes it. */
static bool is_message(const struct imap_frame *f, struct span in, size_t literal_at)
{
	if (f->tail || !f->append)
		return f->tail;
	return literal_at > f->mailbox && span_trim(span_sub(in, f->mailbox, literal_at - f->mailbox)).n > 0;
}

static enum imap_frame_answer take_line(struct imap_frame *f, struct span in, size_t literals_max,
                                        struct imap_frame_event *ev)
{
	struct span line = span_sub(in, f->line, f->scanned - f->line - 1);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (!f->known)
		know_command(f, line);
	struct imap_literal l = { 0 };
	bool more = imap_literal_at_end(line, &l);
	*ev = (struct imap_frame_event){ .length = f->scanned, .literal = l.size, .sync = l.sync, .binary = l.binary };
	if (!more)
		return f->nul ? IMAP_FRAME_BAD : IMAP_FRAME_DONE;
	if (is_message(f, in, f->line + l.at))
		return IMAP_FRAME_APPEND;
	if (f->literals > literals_max || l.size > literals_max - f->literals)
		return IMAP_FRAME_TOO_BIG;
	f->literals += l.size;
	f->left = l.size;
	f->binary = l.binary;
	f->line = f->scanned;
	return l.sync ? IMAP_FRAME_CONTINUE : IMAP_FRAME_MORE;
}

enum imap_frame_answer imap_frame_next(struct imap_frame *f, struct span in, size_t literals_max,
                                       struct imap_frame_event *ev)
{
	for (;;) {
		if (f->left && !pass_literal(f, in))
			return IMAP_FRAME_MORE;
		ssize_t lf = span_find(span_sub(in, f->scanned, in.n), '\n');
		size_t n = lf < 0 ? in.n - f->scanned : (size_t)lf + 1;
		f->text += n;
		if (f->text > IMAP_TEXT_MAX)
			return IMAP_FRAME_TOO_LONG;
		advance(f, in, n);
		if (lf < 0)
			return IMAP_FRAME_MORE;
		enum imap_frame_answer answer = take_line(f, in, literals_max, ev);
		if (answer != IMAP_FRAME_MORE)
			return answer;
	}
}
