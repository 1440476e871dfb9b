/* BODY[...] and BINARY[...] (RFC 3516): which bytes, and sending them. Most sections are a range of the message, found in the summary's table of
   parts and sent as it is read; selected header fields are made, from the summary where it has them. A part is decoded twice, to tell its size first and then as it is sent, so that none
   is held whole. */
#ifndef FETCH_SECTION_H
#define FETCH_SECTION_H

#include "ahead.h"
#include "command.h"
#include "imap_fetch.h"
#include "message.h"
#include "mime_decode.h"
#include "mime_summary.h"

struct section_source {
	bool whole; /* what is too long to be looked through fails, and is not cut */
	struct service *service;
	struct entry *entry;
	size_t n;              /* of the batch, from that one on */
	struct ahead *ahead;   /* of the batch */
	struct mime_summary summary;
	struct message *message; /* opened when bytes of it are needed */
};

/* A section on its way out. */
struct section_run {
	bool active;
	uint64_t at, left; /* where in the message, and bytes still to be sent */
	bool decodes;      /* only these: */
	uint64_t end;      /* of the part in the message */
	uint64_t skip;     /* decoded bytes before those that were asked for */
	struct mime_decode decode;
};

bool fetch_item_has_bytes(const struct imap_fetch_item *item);
/* Makes sure, before anything is promised to the client, that the item's bytes can be read: OK, ERR_CORRUPT,
   ERR_UNAVAILABLE, ERR_CANNOT (BINARY of an encoding that is not known). */
int section_prepare(struct section_source *s, const struct imap_fetch_item *item);
/* Writes the item's name and its value, or the start of it: then run->active is set and section_pump() sends the rest.
   A part that the message does not have is NIL. */
int section_begin(struct section_source *s, const struct imap_fetch_item *item, struct buffer *out,
                  struct section_run *run);
/* The same without its name and a literal's head, of an item that is not decoded: *made, in `memory`, is all of it where it is made,
   else section_read() gives run->left bytes. ERR_NOT_FOUND: the message has no such part. */
int section_open(struct section_source *s, const struct imap_fetch_item *item, struct buffer *memory, struct span *made,
                 struct section_run *run);
/* The next bytes; they live until the next call. */
int section_read(struct section_source *s, struct section_run *run, struct span *bytes);
/* Sends until the section is complete (IMAP_DONE), the peer is slow (IMAP_DRAIN), or the message cannot be read any
   further (IMAP_CLOSE): a literal that was announced is never filled with anything else. */
enum imap_step section_pump(struct command *c, struct section_source *s, struct section_run *run);
/* What was begun cannot be ended rightly any more: a log line, and IMAP_CLOSE. */
enum imap_step section_broken(struct command *c, const struct section_source *s, int rc);
/* The message's preview (preview.h); empty when it has no text. Fails as section_prepare() does. */
int section_preview(struct section_source *s, struct buffer *out);
void section_source_close(struct section_source *s);

#endif
