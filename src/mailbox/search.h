/* Looking into messages: what SEARCH, restore --match and discovery have in common. Text is compared folded
   (text_fold.h), decoded from its charset and transfer encoding. Entries must carry their summary. */
#ifndef SEARCH_H
#define SEARCH_H

#include "view.h"

struct text_search;

/* Does any header field of this name hold the folded needle? An empty needle asks whether there is such a field.
   Answered from the summary where it can be, else from the message's header. */
int search_header(struct service *s, const struct entry *e, struct span field, struct span needle, bool *found);
/* Is the folded needle in the text of the message's parts (with_header: or in any header of it)? */
int search_text(struct service *s, const struct entry *e, struct span needle, bool with_header, bool *found);

/* The same in steps of some milliseconds, so that a large message holds nobody up. The needle, the entry's summary and
   its place stay where they are until it is closed. */
int text_search_open(struct service *s, const struct entry *e, struct span needle, bool with_header, struct text_search **out);
/* Looks on a little; *done when *found is the answer. */
int text_search_step(struct text_search *t, bool *done, bool *found);
/* A pause: gives back what the next step can have again. */
void text_search_pause(struct text_search *t);
/* Takes the pointer's address, sets it NULL. */
void text_search_close(struct text_search **t);

#endif
