/* A growable run of bytes with an upper bound. Overflow is no error at each put: the buffer remembers that it
   failed, takes nothing more, and the owner asks once at the end (buffer_ok). */
#ifndef BUFFER_H
#define BUFFER_H

#include "span.h"

struct buffer {
	char *p;
	size_t n, cap;
	size_t limit; /* bytes; 0 means no bound but memory */
	bool failed;
};

/* Room for n more bytes, or NULL when the limit or memory is reached. The caller fills it and adds to b->n. */
char *buffer_reserve(struct buffer *b, size_t n);
void buffer_put(struct buffer *b, const void *p, size_t n);
void buffer_printf(struct buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An unsigned number in decimal, much faster than printf. */
void buffer_put_u64(struct buffer *b, uint64_t v);
/* Forget the first n bytes. */
void buffer_consume(struct buffer *b, size_t n);
/* Empty again, memory kept. */
void buffer_reset(struct buffer *b);
void buffer_free(struct buffer *b);

static inline bool buffer_ok(const struct buffer *b)
{
	return !b->failed;
}

static inline struct span buffer_span(const struct buffer *b)
{
	return (struct span){ b->p, b->n };
}

static inline void buffer_put_span(struct buffer *b, struct span s)
{
	buffer_put(b, s.p, s.n);
}

static inline void buffer_puts(struct buffer *b, const char *s)
{
	buffer_put(b, s, strlen(s));
}

static inline void buffer_putc(struct buffer *b, char c)
{
	if (b->n < b->cap && !b->failed)
		b->p[b->n++] = c;
	else
		buffer_put(b, &c, 1);
}

#endif
