/* Where a message went when it was moved, and where it came from: out of the journal, which lists what ended and what was
 * added in the same order. */
#ifndef MOVES_H
#define MOVES_H

#include "buffer.h"
#include "change.h"

enum { MOVES_ROWS = 8 };

struct moves {
	int64_t account;
	struct moves_row {
		int64_t change;
		struct buffer out; /* struct moved each, by where it was */
		struct buffer in;  /* the same, by where it went */
	} rows[MOVES_ROWS];    /* read lately */
};

struct spot {
	int64_t collection;
	uint32_t uid;
};

/* OK, ERR_NOT_FOUND (that change moved no such message), or a failure. */
int moves_onward(struct moves *m, struct meta_txn *t, int64_t change, struct spot from, struct spot *to);
int moves_back(struct moves *m, struct meta_txn *t, int64_t change, struct spot to, struct spot *from);
void moves_free(struct moves *m);

#endif
