/* Changes of a result as ADDTO and REMOVEFROM tell them (RFC 5267, 4.3.2): pairs of a position and the messages that are put in or taken
   out there, each pair seen from the result as those before it left it. Position 0 says that places do not matter. */
#ifndef IMAP_UPDATE_H
#define IMAP_UPDATE_H

#include "imap_set.h"

/* Start with { .set.b = buffer }, and removes where it writes a REMOVEFROM. */
struct imap_update_writer {
	struct imap_set_writer set;
	bool removes, some;
	uint32_t next; /* a message at that position belongs to the pair being written */
};
void imap_update_add(struct imap_update_writer *w, uint32_t position, uint32_t number);
/* The text is complete (empty when nothing was added). */
void imap_update_finish(struct imap_update_writer *w);

#endif
