#include "link_forest.h"

/* A path of the forest is a splay tree ordered by depth; `up` of its root leads to the path above. */

static int side_of(const struct link_node *n, uint32_t v)
{
	uint32_t p = n[v].up;
	return p == LINK_NONE ? -1 : n[p].side[0] == v ? 0 : n[p].side[1] == v ? 1 : -1;
}

static void set_side(struct link_node *n, uint32_t p, int side, uint32_t v)
{
	n[p].side[side] = v;
	if (v)
		n[v].up = p;
}

static void rotate(struct link_node *n, uint32_t v)
{
	uint32_t p = n[v].up, above = n[p].up;
	int side = side_of(n, v), side_above = side_of(n, p);
	set_side(n, p, side, n[v].side[!side]);
	set_side(n, v, !side, p);
	n[v].up = above;
	if (side_above >= 0)
		n[above].side[side_above] = v;
}

static void splay(struct link_node *n, uint32_t v)
{
	int side, above;
	for (; (side = side_of(n, v)) >= 0; rotate(n, v))
		if ((above = side_of(n, n[v].up)) >= 0)
			rotate(n, above == side ? n[v].up : v);
}

/* Makes the path from the root to v one splay tree with v as its root. */
static void expose(struct link_node *n, uint32_t v)
{
	uint32_t below = LINK_NONE;
	for (uint32_t w = v; w != LINK_NONE; w = n[w].up) {
		splay(n, w);
		n[w].side[1] = below;
		below = w;
	}
	splay(n, v);
}

uint32_t link_root(struct link_node *n, uint32_t v)
{
	expose(n, v);
	while (n[v].side[0])
		v = n[v].side[0];
	splay(n, v);
	return v;
}

void link_join(struct link_node *n, uint32_t v, uint32_t w)
{
	expose(n, v);
	expose(n, w);
	n[v].up = w;
}

void link_cut(struct link_node *n, uint32_t v)
{
	expose(n, v);
	uint32_t above = n[v].side[0];
	n[above].up = LINK_NONE;
	n[v].side[0] = LINK_NONE;
}
