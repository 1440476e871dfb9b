/* Lines of Dovecot's authentication protocol (version 1.2, its client side), which Postfix and Exim speak: a command and
 * its parameters with a TAB between two, ended by LF. \001 escapes: \0010 is NUL, \0011 itself, \001t TAB, \001r CR, \001n LF.
 * Pure: spans point into the line. */
#ifndef AUTH_LINE_H
#define AUTH_LINE_H

#include "buffer.h"

/* Takes a line without its end off *in; false: none is complete. */
bool auth_line_next(struct span *in, struct span *line);
/* Takes the field before the next TAB off *line; false at the end. */
bool auth_field_next(struct span *line, struct span *field);

/* AUTH: what we look at. Absent texts have no bytes. */
struct auth_ask {
	uint32_t id;
	struct span mechanism;
	struct span service;  /* "smtp" */
	struct span remote;   /* rip=: who asks that service, an address as text */
	struct span response; /* resp=: base64 */
	bool has_response;
	bool secured;         /* it came to that service protected */
};
/* The parameters of AUTH. ERR_INVALID when the id is no number of 32 bits or there is no mechanism. Unknown ones are passed
   over. */
int auth_ask_parse(struct span args, struct auth_ask *out);
/* Of CONT and CANCEL: the id, and the data behind it. ERR_INVALID without an id. */
int auth_cont_parse(struct span args, uint32_t *id, struct span *data);

void auth_put_escaped(struct buffer *b, struct span text);

#endif
