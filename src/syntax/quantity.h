/* Values as people write them in settings: numbers, sizes ("50M"), durations ("30d"). */
#ifndef QUANTITY_H
#define QUANTITY_H

#include "buffer.h"

enum quantity {
	QUANTITY_NUMBER,   /* 12 */
	QUANTITY_SIZE,     /* bytes; K, M, G, T are powers of 1024 */
	QUANTITY_DURATION, /* microseconds, written with ms, s, m, h, d, w (without: seconds) */
};

/* The whole of s, no blanks, no sign. False when it is none or does not fit. */
bool quantity_parse(enum quantity q, struct span s, int64_t *out);
/* Appends v (not negative) with the largest unit that keeps it whole. */
void quantity_write(enum quantity q, int64_t v, struct buffer *out);
/* "number", "size", "duration" */
const char *quantity_name(enum quantity q);

#endif
