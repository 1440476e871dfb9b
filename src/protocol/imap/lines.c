#include "lines.h"

int lines_put(struct command *c, struct lines *l, void (*put)(struct command *c, const struct entry *e))
{
	for (;;) {
		for (; l->i < l->n; l->i++) {
			if (command_should_yield(c))
				return LINES_MORE;
			put(c, &l->e[l->i]);
		}
		l->i = 0;
		int rc = entries_next(&l->walk, &l->batch, &l->e, &l->n);
		if (rc || l->n == 0)
			return rc;
	}
}

void lines_end(struct lines *l)
{
	arena_free(&l->batch);
}
