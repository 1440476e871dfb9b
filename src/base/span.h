/* A span is text from elsewhere: pointer and length, never owned, never NUL-terminated. */
#ifndef SPAN_H
#define SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct span {
	const char *p;
	size_t n;
};

/* A span over a string literal. */
#define SPAN(lit) ((struct span){ "" lit, sizeof(lit) - 1 })
/* For printf: "%.*s", SPAN_ARG(s). */
#define SPAN_ARG(s) (int)((s).n < 0x7fffffff ? (s).n : 0x7fffffff), (s).p

static inline struct span span_of(const char *s)
{
	return (struct span){ s, s ? strlen(s) : 0 };
}

static inline struct span span_from(const void *p, size_t n)
{
	return (struct span){ p, n };
}

static inline bool span_eq(struct span a, struct span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The part of s from byte `from` on, at most n bytes; clipped to s. */
static inline struct span span_sub(struct span s, size_t from, size_t n)
{
	if (from > s.n)
		from = s.n;
	if (n > s.n - from)
		n = s.n - from;
	return (struct span){ from ? s.p + from : s.p, n }; /* an empty span may have no address to add to */
}

/* ASCII case is folded, other bytes are compared as they are. */
bool span_ieq(struct span a, struct span b);
int span_icmp(struct span a, struct span b);
bool span_istarts(struct span s, struct span prefix);
/* Offset of the first byte c, or -1. */
ssize_t span_find(struct span s, char c);
/* Without blanks, tabs, CR and LF at both ends. */
struct span span_trim(struct span s);
/* Decimal digits only; false when empty, not a number, or over max. */
bool span_u64(struct span s, uint64_t max, uint64_t *out);
/* A NUL-terminated copy on the heap; abort on no memory. Free with free(). */
char *span_dup(struct span s);

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* The value of a hexadecimal digit, or -1. */
static inline int hex_digit(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
