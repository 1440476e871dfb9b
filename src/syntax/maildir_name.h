/* Names in a Maildir: folders as Maildir++ has them (INBOX is the Maildir itself, Lists/dev is ".Lists.dev" in it), and
   the files of messages that an export wrote. */
#ifndef MAILDIR_NAME_H
#define MAILDIR_NAME_H

#include "arena.h"
#include "buffer.h"

/* The folder's name on disk, without the leading dot: modified UTF-7, '.' for '/'. A '.' or '\' in a name becomes \2e or \5c,
   and what is too long for a file system is cut and ends in a hash: such a name does not say what the folder is called
   (false), so that has to be noted in it. Never "", never with a '/', at most 240 bytes. */
bool maildir_folder_put(struct buffer *b, struct span path);
/* The other way round, for names that say it. Not modified UTF-7: taken as it is. */
void maildir_folder_get(struct buffer *b, struct span name);

/* The part of a message's file name before its flags:
   SECONDS.M<microseconds>V<UIDVALIDITY>U<UID>.perdura,S=<bytes>,W=<bytes>
   W= with the file's own size says, as elsewhere, that the line ends in it are those of the message. */
struct maildir_file {
	int64_t date; /* us */
	int64_t uidvalidity;
	uint32_t uid;
	uint64_t size;
};
void maildir_file_put(struct buffer *b, const struct maildir_file *f);
/* From a name with or without flags; false for a file of others. */
bool maildir_file_get(struct span name, struct maildir_file *out);
/* What W= says in the name of anyone's file; false if it does not. */
bool maildir_wire_size(struct span name, uint64_t *out);

#endif
