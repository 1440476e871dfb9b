/* The embedded stores in a folder, and what a node opens on them. */
#ifndef STAND_H
#define STAND_H

#include "fail.h"
#include "identity.h"
#include "purge.h"
#include "store.h"
#include "stores.h"
#include "unit.h"

static inline void stores_open(const char *dir, const char *meta_url, struct store **store, struct service **s)
{
	struct store_options o = { .dir = dir, .node_name = "n1", .meta_url = meta_url, .blob_url = test_blob_url(dir) };
	int e = store_open(&o, store);
	if (!e)
		e = service_open(*store, s);
	if (e)
		print_message("%s: %s\n", dir, fail_detail());
	assert_int_equal(e, OK);
}

static inline void stores_close(struct store **store, struct service **s)
{
	service_close(s);
	store_close(store);
}

/* With a store that is open; purge_close, identity_close. grace: us. */
static inline void purge_stand(struct store *store, struct service *s, int64_t grace, struct identity **i, struct purge **p)
{
	assert_int_equal(identity_open(&(struct identity_options){ .meta = store->meta }, i), OK);
	assert_int_equal(purge_open(&(struct purge_options){ s, *i, grace }, p), OK);
}

#endif
