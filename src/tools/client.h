/* The command's end of the admin channel: what the node says is printed as it comes, also while we send. */
#ifndef CLIENT_H
#define CLIENT_H

#include "bar.h"
#include "frame.h"

struct export_target;

struct client {
	int fd;
	int status; /* the exit status the node gave; -1 before */
	struct buffer in;
	struct bar bar;
	struct export_target *to; /* where an export goes; not owned */
};

/* ERR_NOT_FOUND when no node runs there. */
int client_open(struct client *c, const char *socket_path, bool terminal);
void client_close(struct client *c);
/* ERR_STOPPED when the node has ended the request already (c->status) or is gone. */
int client_send(struct client *c, enum frame_type type, struct span payload);
/* Prints what comes until the end. ERR_STOPPED when the node went away before it. */
int client_finish(struct client *c);

#endif
