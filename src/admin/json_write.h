/* JSON straight into a buffer, no tree: values in turn, commas come by themselves. Text that is no UTF-8 is written with
   U+FFFD for each wrong byte. */
#ifndef JSON_WRITE_H
#define JSON_WRITE_H

#include "buffer.h"

struct json_writer {
	struct buffer *out;
	bool comma; /* a value stands before */
};

void json_put_open(struct json_writer *j, char bracket);  /* '{' or '[' */
void json_put_close(struct json_writer *j, char bracket); /* '}' or ']' */
void json_put_key(struct json_writer *j, const char *name);
void json_put_text(struct json_writer *j, struct span s);
void json_put_int(struct json_writer *j, int64_t v);
void json_put_bool(struct json_writer *j, bool v);
void json_put_null(struct json_writer *j);

#endif
