#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

char *buffer_reserve(struct buffer *b, size_t n)
{
	if (b->failed)
		return NULL;
	if (n <= b->cap - b->n)
		return b->p ? b->p + b->n : NULL;
	size_t need = b->n + n;
	if (need < n || (b->limit && need > b->limit)) {
		b->failed = true;
		return NULL;
	}
	size_t cap = b->cap + b->cap / 2 + 64;
	if (cap < need)
		cap = need;
	if (b->limit && cap > b->limit)
		cap = b->limit;
	char *p = realloc(b->p, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return p + b->n;
}

void buffer_put(struct buffer *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	char *to = buffer_reserve(b, n);
	if (!to)
		return;
	memcpy(to, p, n);
	b->n += n;
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list ap;
	for (size_t room = 128;;) {
		char *to = buffer_reserve(b, room);
		if (!to)
			return;
		va_start(ap, fmt);
		int k = vsnprintf(to, room, fmt, ap);
		va_end(ap);
		if (k < 0) {
			b->failed = true;
			return;
		}
		if ((size_t)k < room) {
			b->n += (size_t)k;
			return;
		}
		room = (size_t)k + 1;
	}
}

void buffer_put_u64(struct buffer *b, uint64_t v)
{
	char t[20];
	size_t i = sizeof t;
	do
		t[--i] = (char)('0' + v % 10);
	while (v /= 10);
	buffer_put(b, t + i, sizeof t - i);
}

void buffer_consume(struct buffer *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void buffer_reset(struct buffer *b)
{
	b->n = 0;
	b->failed = false;
}

void buffer_free(struct buffer *b)
{
	free(b->p);
	*b = (struct buffer){ .limit = b->limit };
}
