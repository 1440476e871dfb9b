/* A progress bar on a terminal's standard error; nothing elsewhere. */
#ifndef BAR_H
#define BAR_H

#include "span.h"

struct bar {
	bool terminal;
	bool drawn;
	int64_t at; /* when it was drawn last */
};

/* total 0: unknown. Draws ten times a second at most. */
void bar_show(struct bar *b, uint64_t done, uint64_t total, struct span text);
/* Before anything else is printed. */
void bar_clear(struct bar *b);

#endif
