/* Where a node listens: the values of the listen.* options, and the sockets made from them. */
#ifndef LISTENER_H
#define LISTENER_H

#include <sys/un.h>

#include "span.h"

#define LISTEN_MAX 16 /* addresses of one option */

struct listen_address {
	bool is_unix;
	char host[256];  /* a name or a number; "*" is every address of the machine */
	char port[8];
	char path[1024]; /* of a Unix socket */
	unsigned mode;
	char group[64];  /* "": as the process is */
};

struct listen_list {
	size_t n;
	struct listen_address at[LISTEN_MAX];
};

/* "host:port, [::1]:0 unix:PATH?mode=0660&group=postfix": separated by commas or blanks; empty for off. ERR_INVALID
   with a detail that says what is wrong. */
int listen_parse(struct span value, struct listen_list *out);

struct listener {
	int fd;          /* listening, non-blocking, close-on-exec */
	char bound[128]; /* what is really bound, in the form of the option; cut when longer */
	char *path;      /* of a Unix socket, absolute or below the working folder: removed by listener_close */
	uint64_t inode;  /* of that path */
};

/* A host may stand for several addresses, so there may be several listeners; those the machine cannot have (no IPv6)
   are left out while one is left. Relative Unix paths are below dir. *n is the room in out, then what was opened. */
int listener_open(const struct listen_address *a, const char *dir, struct listener *out, size_t *n);
/* Closes the descriptor if it is not -1 and removes the Unix socket if it is still ours. */
void listener_close(struct listener *l);

#endif
