/* A forest whose links come and go, and which says in O(log n), amortized, what the root of a node is: link-cut trees
   (Sleator and Tarjan). So chains of any length cost no recursion and no quadratic time. */
#ifndef LINK_FOREST_H
#define LINK_FOREST_H

#include <stddef.h>
#include <stdint.h>

enum { LINK_NONE = 0 }; /* nodes are numbered from 1 */

struct link_node {
	uint32_t up, side[2]; /* in the tree of trees, not in the forest */
};

/* All take the nodes' array, of which the place 0 is unused; zeroed nodes are alone. */
uint32_t link_root(struct link_node *nodes, uint32_t v);
/* v must be a root, and not that of w. */
void link_join(struct link_node *nodes, uint32_t v, uint32_t w);
/* v must not be a root. */
void link_cut(struct link_node *nodes, uint32_t v);

#endif
