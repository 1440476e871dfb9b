/* Raw deflate (RFC 1951) in both directions, for streams that last as long as a connection and mostly rest.
 *
 * What a stream needs while it works, some 300 KiB for a deflater and 40 for an inflater, belongs to whoever does the work
 * (a worker), not to the stream, and serves one stream after the other: a deflater begins anew wherever one of its
 * pieces ended, an inflater goes on where the stream stood, given what its peer may still refer to. */
#ifndef DEFLATE_H
#define DEFLATE_H

#include "buffer.h"

enum {
	DEFLATE_PIECE = 32 * 1024, /* bytes that are deflated at a time, at most */
	INFLATE_PAST = 32 * 1024,  /* bytes that a peer may refer back to, at most */
};

struct deflater;
struct inflater;

/* ERR_LIMIT without memory. _free takes the pointer's address, sets it NULL, accepts NULL. */
int deflater_new(struct deflater **out);
void deflater_free(struct deflater **d);
/* What comes next refers to nothing that was deflated before. */
void deflater_reset(struct deflater *d);
/* Appends to out what in (of DEFLATE_PIECE bytes at most) becomes; the peer can inflate all of it at once. Never more than
   in.n and 64 bytes. out fails where it has no room. */
void deflater_put(struct deflater *d, struct span in, struct buffer *out);

enum inflate_answer {
	INFLATE_MORE, /* all input is taken, all that it makes is there */
	INFLATE_FULL, /* the room is full; there may be more of it */
	INFLATE_END,  /* the stream ended */
	INFLATE_BAD,  /* this is no deflated data, or memory is out */
};

int inflater_new(struct inflater **out);
void inflater_free(struct inflater **i);
/* Goes on with a stream that rests, whose last bytes were these; empty: with a new one. ERR_LIMIT without memory. */
int inflater_resume(struct inflater *i, struct span past);
/* Inflates from in, which is shortened by what was taken, to the *room bytes at out; *room becomes what came. Takes
   time in proportion to both. After INFLATE_END and INFLATE_BAD it says the same again. */
enum inflate_answer inflater_get(struct inflater *i, struct span *in, char *out, size_t *room);
/* Does the stream rest, between two blocks and two bytes? Then `past` is all that must be kept of it: up to INFLATE_PAST
   bytes, or fewer where fewer came. False also where there is no memory for these: the inflater must be kept. */
bool inflater_leave(struct inflater *i, struct buffer *past);

#endif
