/* Unicode Normalization Form C (UAX 15), in UTF-8: of all spellings of a text the one that Net-Unicode wants (RFC 5198). */
#ifndef NFC_H
#define NFC_H

#include "arena.h"

enum { NFC_MAX = 4096 /* bytes of a text with characters from U+0300 on: marks in a row are sorted by insertion */ };

/* Sets *out to s itself or to a text in the arena. ERR_INVALID: no valid UTF-8; ERR_LIMIT: over
   NFC_MAX bytes, or the arena is full. */
int nfc(struct arena *a, struct span s, struct span *out);

#endif
