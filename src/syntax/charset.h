/* Text in any charset to UTF-8, in pieces. Never fails: a charset nobody knows is read as UTF-8, and bytes that are no
   UTF-8 as Windows-1252, which is what they most often are; other wrong bytes become U+FFFD. The output is always valid
   UTF-8, whole characters only. */
#ifndef CHARSET_H
#define CHARSET_H

#include <iconv.h>

#include "buffer.h"

enum charset_kind { CHARSET_UTF8, CHARSET_LATIN1, CHARSET_ICONV };

struct charset {
	enum charset_kind kind;
	iconv_t iconv;
	uint8_t held_n;
	char held[16]; /* the start of a character that came in pieces */
};

/* A converter for one text; end it with charset_close. An empty name is UTF-8. */
void charset_open(struct charset *c, struct span name);
void charset_push(struct charset *c, struct span bytes, struct buffer *out);
/* What is still held comes out, then everything is released. */
void charset_close(struct charset *c, struct buffer *out);

/* All at once. */
void charset_to_utf8(struct span name, struct span bytes, struct buffer *out);

#endif
