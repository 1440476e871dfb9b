/* The last known path of every collection an account ever had. */
#ifndef FOLDER_NAMES_H
#define FOLDER_NAMES_H

#include "arena.h"
#include "buffer.h"
#include "service.h"

struct folder_names {
	struct arena arena;
	struct name {
		int64_t id, parent, end; /* end: the change that ended this definition */
		struct span name;
	} *list; /* by id */
	size_t n;
};

int folder_names_read(struct service *s, int64_t account, struct folder_names *out);
/* Appends the path, or "a folder" for one that is not known. */
void folder_names_put(const struct folder_names *n, int64_t id, struct buffer *out);
void folder_names_free(struct folder_names *n);

#endif
