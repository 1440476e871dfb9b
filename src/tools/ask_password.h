/* A password for the node: the first line of a file or of standard input, which a terminal does not show. */
#ifndef ASK_PASSWORD_H
#define ASK_PASSWORD_H

#include "buffer.h"

/* file NULL: standard input. ERR_NOT_FOUND when there is no line. */
int ask_password(const char *file, struct buffer *out);

#endif
