/* The directory: which account an address names. ERR_NOT_FOUND only when the store said so; a store that does not
   answer is ERR_UNAVAILABLE (or what else it failed with). Addresses are completed first (address.h); what is no
   address is ERR_NOT_FOUND. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include "identity.h"

/* The last answers are remembered until directory_changed(). */
int directory_find(struct identity *i, struct span address, struct account *out);
/* Something in the system log changed: whoever opened identity calls this at every change of it, before the change is
   answered. */
void directory_changed(struct identity *i);
int directory_find_id(struct identity *i, int64_t id, struct account *out);
/* Is this a domain whose mail comes here? OK or ERR_NOT_FOUND. Lower case; account.domain always is. */
int directory_find_domain(struct identity *i, struct span domain);

#endif
