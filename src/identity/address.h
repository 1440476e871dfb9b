/* Mail addresses as names of accounts: "local@domain", lower case. Printable ASCII only (SMTPUTF8 is not offered); blanks
   and a second @ are refused, also within quotes. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "span.h"

enum { ADDRESS_MAX = 320 }; /* bytes, with the NUL that ends it */

/* Lower-cases; adds @domain where there is none. ERR_INVALID when it is no address, or has no domain and `domain` is
   empty. Sets out (NUL-terminated) on success only. */
int address_complete(struct span address, struct span domain, char out[ADDRESS_MAX]);

/* A domain on its own, lower case. ERR_INVALID when it is empty, too long, begins or ends with a dot or holds other than
   letters, digits, '.', '-' and '_'. */
int domain_complete(struct span domain, char out[ADDRESS_MAX]);

/* "user+folder@domain" is local "user", detail "folder", domain "domain"; with no '@', domain.p is NULL. The first '+'
   and the last '@' count; a '+' in front is part of the name. Detail is empty where there is none. Spans into s. */
struct address_parts {
	struct span local, detail, domain;
	bool has_detail;
};
void address_split(struct span s, struct address_parts *out);

#endif
