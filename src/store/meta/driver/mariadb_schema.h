/* schema.sql in the words of MariaDB. One text is kept for both databases; what differs is decided here:
 *
 *   INTEGER           BIGINT
 *   KEYTEXT, KEYBLOB  VARBINARY(1024): text and bytes that stand in a key (3,072 bytes at most), the longest of which is the
 *                     whole name of a subscribed folder (MAILBOX_NAME_MAX)
 *   TEXT, BLOB        MEDIUMBLOB: 16 MiB
 *
 * All of them compare byte by byte, as SQLite does; tables are InnoDB's, which alone is replicated. Each statement may be run
 * again: it does nothing where its table or index stands, so that a creation that was cut can be taken up. */
#ifndef MARIADB_SCHEMA_H
#define MARIADB_SCHEMA_H

#include "buffer.h"

/* Appends the next statement of *schema (meta_schema_text()), without a semicolon, and moves *schema behind it. False, with
   nothing appended, when there are no more. */
bool mariadb_schema_next(struct span *schema, struct buffer *out);

#endif
