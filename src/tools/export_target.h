/* Where an export goes: a Maildir (Maildir++) or an mbox of the user's, written by the command itself. One that broke off goes
   on where it stopped, and at the change it began with: a file beside the mbox (PATH.export), or in the Maildir
   (perdura-export), says whose mail it is and, until it is finished, as of which change. */
#ifndef EXPORT_TARGET_H
#define EXPORT_TARGET_H

#include "export_item.h"

struct export_target;

struct export_options {
	const char *path;
	const char *format;      /* "maildir", "mbox", or NULL: by the path */
	const char *at, *folder; /* as the user gave them; NULL if not */
};

/* ERR_INVALID with a detail for the user: something else is there, or an unfinished export of another kind. */
int export_open(const struct export_options *o, struct export_target **out);
/* What to ask the node for instead of the user's --at, to finish what broke off: "@1234"; NULL if there is nothing. */
const char *export_resume(const struct export_target *t);
/* A part of the export. An answer is due when *answered; the text is put into answer. */
int export_take(struct export_target *t, const struct export_item *i, struct buffer *answer, bool *answered);
/* Bytes of the message. */
int export_data(struct export_target *t, struct span bytes);
/* What is unfinished stays for another try. Takes the pointer's address, sets it NULL. */
void export_close(struct export_target **t);

#endif
