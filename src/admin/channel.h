/* One request's end of the admin channel; what stands behind the request_ functions. */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <stdatomic.h>

#include "frame.h"

struct channel {
	int fd;
	const atomic_bool *stopping; /* the node stops */
	bool gone;                   /* the client is */
	bool ended;                  /* it said that no more data comes */
	int64_t progress_at;         /* when progress was sent last */
	uint64_t item_left;          /* bytes of the current item not read yet */
	struct buffer in, item, line;
};

#endif
