/* How many times each email is somewhere. */
#ifndef EMAIL_COUNTS_H
#define EMAIL_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct email_counts {
	struct email_count {
		int64_t email;
		uint32_t n;
	} *slots;
	size_t cap, used;
};

int email_counts_add(struct email_counts *c, int64_t email);
/* Takes one off; false when there is none. */
bool email_counts_take(struct email_counts *c, int64_t email);
void email_counts_free(struct email_counts *c);

#endif
