/* The admin channel's frames: u32 big-endian length of the payload | u8 type | payload. Node and command speak in them over
   a Unix socket. */
#ifndef FRAME_H
#define FRAME_H

#include "buffer.h"

#define FRAME_MAX (1 << 20) /* bytes of a payload */

enum frame_type {
	FRAME_REQUEST = 1,  /* client: {"args": ["account", "list"], "json": false, "terminal": true, "folder": "/root"} */
	FRAME_ITEM = 2,     /* client: the head of a message to import (import_item.h); its bytes follow as FRAME_DATA */
	FRAME_DATA = 3,     /* bytes, of the client's message or the node's */
	FRAME_END = 4,      /* client: no more data */
	FRAME_ANSWER = 5,   /* client: "yes" or "no", or what is asked for */
	FRAME_LINE = 6,     /* node: a line for standard output */
	FRAME_ERROR = 7,    /* node: a line for standard error */
	FRAME_PROGRESS = 8, /* node: done and total as u64 big-endian (total 0: unknown), then a text */
	FRAME_QUESTION = 9, /* node: a text; the client asks on the terminal and sends FRAME_ANSWER */
	FRAME_EXIT = 10,    /* node: the exit status as one byte; the last frame */
	FRAME_EXPORT = 11,  /* node: a part of an export (export_item.h); a message's bytes follow as FRAME_DATA */
};

#define FRAME_HEAD 5

/* Takes a frame off the front of *in. OK; ERR_NOT_FOUND: more bytes are needed; ERR_INVALID: over FRAME_MAX. */
int frame_parse(struct span *in, enum frame_type *type, struct span *payload);
/* Appends a frame to b. */
void frame_put(struct buffer *b, enum frame_type type, struct span payload);

/* The same on a blocking socket. ERR_STOPPED: the peer is gone. */
int frame_send(int fd, enum frame_type type, struct span payload);
/* *payload lives in b until the next call. */
int frame_receive(int fd, struct buffer *b, enum frame_type *type, struct span *payload);

#endif
