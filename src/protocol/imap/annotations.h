/* METADATA lines (RFC 5464, RFC 9590), for GETMETADATA and LIST. */
#ifndef ANNOTATIONS_H
#define ANNOTATIONS_H

#include "command.h"
#include "imap_metadata.h"
#include "imap_rights.h"
#include "metadata.h"

/* Whoever sees a mailbox and has one of these rights to it may read its annotations, and keep private ones (RFC 5464, 3.3). */
#define RIGHTS_ANNOTATIONS (RIGHT_READ | RIGHT_SEEN | RIGHT_WRITE | RIGHT_INSERT | RIGHT_POST)

/* "* METADATA name (...)" with what the query asks for, where that is anything. attributes: of the folder. *longest grows to the
   size of the largest value that was left out for its size. */
int put_metadata(struct command *c, struct span name, const struct metadata_place *p, int64_t attributes,
                 const struct imap_metadata_query *q, size_t *longest);
/* The OK of a command that told annotations. */
enum imap_step reply_metadata(struct command *c, size_t longest);
/* NO to a value that is too large. */
enum imap_step reply_metadata_size(struct command *c);
/* Is it what SPECIAL-USE says of the user's own mailboxes (RFC 6154, 4)? */
bool is_special_use(const struct metadata_place *p, struct span entry);

#endif
