/* Base64 in lines, as attachments come (RFC 2045, 6.8), is kept as the bytes that it stands for: a quarter less, in which zstd
   finds what the encoding hid, and several times as fast to read as Huffman codes. Only whole quads of the alphabet in lines of
   one length that end in CRLF are taken, without padding; what is made of them is therefore what was there, to the byte.
   Pure functions over memory. */
#ifndef BASE64_RUNS_H
#define BASE64_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNS_MAX = 256 /* further ones are text */, RUN_STORED = 16 };

struct base64_run {
	uint32_t text;  /* bytes of text before it, since the run before */
	uint32_t first; /* characters of its first line, which may have begun in the chunk before */
	uint32_t line;  /* of each further one but the last, which may be shorter; between lines stands CRLF */
	uint32_t quads; /* of all lines */
};

struct base64_split {
	struct base64_run runs[RUNS_MAX];
	size_t n, text, bytes; /* runs, and what is in the two places */
};

/* Parts n bytes into text (at most n) and the bytes that runs stand for (at most n, 8 more may be written). false: there is no run,
   and nothing of that is good. */
bool base64_split(const unsigned char *from, size_t n, unsigned char *text, unsigned char *bytes, struct base64_split *out);
/* The bytes that all runs stand for, and the characters they make; false if those alone are more than n, or a run is none. */
bool base64_sizes(const struct base64_run *runs, size_t n_runs, size_t n, size_t *bytes, size_t *characters);
/* Undoes it; all sizes fit (base64_sizes), the text before runs too. text, bytes: to their ends. */
bool base64_join(const struct base64_run *runs, size_t n_runs, const unsigned char *text, size_t n_text, const unsigned char *bytes,
                 unsigned char *to, size_t n);

#endif
