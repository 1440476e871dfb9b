/* Password hashes brought along from other mail servers: "{SCHEME}hash", as password.h lists them. */
#ifndef IMPORTED_H
#define IMPORTED_H

#include "span.h"

/* OK, ERR_DENIED; ERR_INVALID when the line is none of these or would cost too much; ERR_UNAVAILABLE without memory. */
int imported_verify(struct span line, struct span password);

#endif
