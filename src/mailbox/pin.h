/* What sessions of this node stand on: change numbers that purge looks at before it goes past them.
 *
 * Purge on another node does not see them: it knows how old the oldest is (pin_oldest), and who reads looks for himself
 * whether it has come too far (view_holds).
 *
 * A pin is taken before what it protects is read, and whoever reads looks at pin_lost() after it has read: purge marks a
 * pin before it commits what the pin would have kept. */
#ifndef PIN_H
#define PIN_H

#include <stdbool.h>

#include "clock.h"
#include "service.h"

enum pin_kind {
	PIN_SINCE = 1, /* needs what ended in the collection after that change (a view of the present that lags behind) */
	PIN_AT = 2,    /* needs the account as it was at that change */
};

struct pin;

int pin_new(struct service *s, int64_t account, int64_t collection, enum pin_kind kind, int64_t change, struct pin **out);
void pin_move(struct pin *p, int64_t change);
/* What it stands on is gone, as its holder found. */
void pin_give_up(struct pin *p);
/* NULL is never lost. */
bool pin_lost(const struct pin *p);
/* Takes the pointer's address, sets it NULL. */
void pin_free(struct pin **p);

/* ---- For purge */

struct pin_info {
	enum pin_kind kind;
	int64_t collection, change;
	int64_t since; /* when it was taken, clock_mono() */
	int64_t serial;
};
/* Those of an account that are not lost; free(). */
int pin_list(struct service *s, int64_t account, struct pin_info **out, size_t *n);
/* Gives a pin up, and wakes whoever holds it: true. False when it has moved on since it was listed, or was given back. */
bool pin_lose(struct service *s, int64_t account, const struct pin_info *i);

/* How long ago, us, the first of those taken that look at the past: what purge on other nodes heeds (nodes.h). Those older than PIN_AGE_US do
   not count; 0: there is none. */
#define PIN_AGE_US (3600 * SECOND_US)
int64_t pin_oldest(struct service *s);

struct pins;
int pins_new(struct pins **out);
void pins_free(struct pins **p);

#endif
