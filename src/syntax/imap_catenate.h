/* The parts of a message that is put together on the server (CATENATE, RFC 4469), and the URLs that name what is there
   already (RFC 5092). */
#ifndef IMAP_CATENATE_H
#define IMAP_CATENATE_H

#include "imap_args.h"
#include "imap_fetch.h"

enum { IMAP_URL_MAX = 8192 /* bytes of one that comes as a literal */ };

enum imap_part_kind { PART_END, PART_TEXT, PART_URL };

struct imap_part {
	enum imap_part_kind kind;
	bool comes;              /* its bytes do, as a literal: of PART_TEXT always */
	struct imap_upload text; /* that literal */
	struct span url;         /* else */
};

/* The next part; *p is that before it, { 0 } behind "CATENATE (". */
bool imap_part_next(struct imap_args *a, struct imap_part *p);

/* "/MAILBOX;UIDVALIDITY=n/;UID=n/;SECTION=s/;PARTIAL=offset.length": of a mailbox on this server, or without one, beginning with
   ";UID=", of the one that is selected. */
struct imap_url {
	struct span mailbox;         /* decoded, in UTF-8; .p is NULL without one */
	uint32_t uidvalidity;        /* 0: any */
	uint32_t uid;
	struct imap_fetch_item what; /* BODY.PEEK[section]<partial> */
};
/* What is kept lies in the arena. False: *why says what is wrong with it. */
bool imap_url_parse(struct span url, struct arena *arena, struct imap_url *out, const char **why);

#endif
