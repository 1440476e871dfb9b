/* Whether bodies and metadata belong together, asked before a node writes anywhere.
 *
 * Nodes that share a database must see the same bodies. A folder cannot tell by itself whether it is the shared one, or a
 * local folder, or an empty mount point, nor can a bucket tell whose it is. So the first node to start on an empty pair writes who it is (DIR/instance) into the
 * database (facts, 'bodies') and then, as a mark, beside the bodies (file .store, object 0); every start compares the two. */
#ifndef PLACE_H
#define PLACE_H

#include "blob.h"
#include "meta.h"

struct place {
	const char *blob_url, *node_name, *instance;
};

/* ERR_INVALID: they do not belong together; the detail says what to do. */
int place_check(const struct place *p, struct meta *m, const struct blob_options *o);
/* Before bodies are removed: do the open stores belong together? When the node started, bodies that could not be reached were not
   asked. ERR_INVALID: they do not. */
int place_confirm(struct meta *m, struct blob_store *b);

#endif
