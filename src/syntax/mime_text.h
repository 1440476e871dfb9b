/* The body of a text part, as it stands in the message, to folded UTF-8 for searching: transfer encoding, charset and case
   are undone in pieces, in bounded memory. HTML is text like any other here: its tags are searched too.

     struct mime_text t;
     mime_text_open(&t, part.encoding, part.charset);
     for each piece: { buffer_reset(&folded); mime_text_push(&t, piece, &folded); text_find_push(&f, buffer_span(&folded)); }
     mime_text_close(&t, &folded);                                                                                       */
#ifndef MIME_TEXT_H
#define MIME_TEXT_H

#include "charset.h"
#include "mime_decode.h"
#include "text_fold.h"

struct mime_text {
	struct mime_decode decode;
	struct charset charset;
	struct buffer bytes, text; /* between the steps */
};

void mime_text_open(struct mime_text *t, enum mime_encoding encoding, struct span charset);
/* Appends what the piece amounts to; at most some four times its size. */
void mime_text_push(struct mime_text *t, struct span piece, struct buffer *out);
/* What was still held; releases everything. */
void mime_text_close(struct mime_text *t, struct buffer *out);

#endif
