#include "mint.h"

#include <assert.h>

void mint_init(struct mint *m, int64_t node, int64_t epoch)
{
	assert(node >= 0 && node < MINT_NODES && epoch >= 0 && epoch < MINT_EPOCHS);
	m->base = node << 51 | epoch << 31;
	atomic_init(&m->next, 1);
}

int64_t mint_id(struct mint *m)
{
	int64_t n = atomic_fetch_add(&m->next, 1);
	assert(n <= 0x7fffffff); /* two thousand million ids in one run: the node is restarted long before */
	return m->base | n;
}
