/* Mail addresses as names of accounts and aliases: "local@domain". Letters, digits, dots and what else needs no quotes
   (RFC 5321, atext), and any other letter in UTF-8 (RFC 6531). ASCII letters are made lower case; all else is compared byte
   by byte as given: neither accents (NFC) nor domains (U-labels, A-labels) are turned into another spelling. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include "span.h"

enum {
	ADDRESS_MAX = 320,      /* bytes, with the NUL that ends it */
	ADDRESS_LOCAL_MAX = 64, /* bytes before the '@' (RFC 5321, 4.5.3.1.1) */
};

/* Lower-cases; adds @domain where there is none. ERR_INVALID when it is no address, or has no domain and `domain` is
   empty. Sets out (NUL-terminated) on success only. */
int address_complete(struct span address, struct span domain, char out[ADDRESS_MAX]);

/* A domain on its own, lower case: letters, digits, '.', '-' and '_', or an address in brackets. ERR_INVALID when it is
   none. */
int domain_complete(struct span domain, char out[ADDRESS_MAX]);

/* "user+folder@domain" is local "user", detail "folder", domain "domain"; with no '@', domain.p is NULL. The first '+'
   and the last '@' count; a '+' in front is part of the name. Detail is empty where there is none. Spans into s. */
struct address_parts {
	struct span local, detail, domain;
	bool has_detail;
};
void address_split(struct span s, struct address_parts *out);

#endif
