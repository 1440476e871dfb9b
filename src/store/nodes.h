/* The nodes that share the store: which of them this is, and which others live.
 *
 * Each node has a row. A start of it takes the next epoch there, and while it runs it gives a sign of life every
 * NODES_BEAT_US. A node that gave none for NODES_SILENT_US of this node's monotonic clock counts as dead; no wall clock is
 * asked. That is a guess (it may hang, and go on): what must hold if it was wrong is fenced by epochs (lease.h, changeset.h).
 *
 * A name belongs to one data folder at a time: DIR/instance tells them apart. The same folder started again takes its name at
 * once, another one only when the name's node was stopped or has been silent. A node whose name was taken over learns that with its next sign of life,
 * and has to end at once.
 *
 * Of a database that belongs to one node alone (meta_shared) nothing of this costs anything: it is the only one. */
#ifndef NODES_H
#define NODES_H

#include "buffer.h"
#include "clock.h"
#include "meta.h"

#define NODES_BEAT_US (2 * SECOND_US)
#define NODES_SILENT_US (10 * SECOND_US)

struct nodes;

/* instance: of the data folder (nodes_instance). Blocks for NODES_SILENT_US where it has to see whether a node of that name lives.
   ERR_EXISTS: it does. ERR_LIMIT: too many names, or starts. */
int nodes_join(struct meta *m, const char *name, const char *instance, struct nodes **out);
/* Says that this node is stopped. Takes the pointer's address, sets it NULL, accepts NULL. */
void nodes_leave(struct nodes **n);
/* What tells the data folder from every other and from copies of it; made when it is not there. */
int nodes_instance(const char *dir, char out[64]);

int64_t nodes_self(const struct nodes *n);
int64_t nodes_epoch(const struct nodes *n);

/* What the others learn with a sign of life. Texts may be NULL: nothing. */
struct node_report {
	int64_t ahead;       /* of the database's clock, us */
	int64_t horizon;     /* no transaction that still runs here gives a stamp at or before this, us since 1970 */
	int64_t needs;       /* what retention covered at this time may be looked at here, us since 1970 */
	const char *address; /* where other nodes reach this one */
	const char *version;
};
/* A sign of life, and a look at the others. ERR_CONFLICT: the name was taken over, this node must end. */
int nodes_beat(struct nodes *n, const struct node_report *r);

struct node_info {
	int64_t id, epoch;
	char name[64], address[128], version[32];
	bool self, stopped, alive;
	int64_t seen;    /* its clock at its last sign of life, us since 1970 */
	int64_t silent;  /* us since that was noticed here */
	int64_t ahead, horizon, needs;
};
/* struct node_info each, by id, as the last beat saw them. */
int nodes_list(struct nodes *n, struct buffer *out);
/* No transaction that still runs on any node that lives gives a stamp at or before this, us since 1970. */
int64_t nodes_horizon(struct nodes *n);
bool nodes_dead(struct nodes *n, int64_t id); /* no start of it lives, as of the last beat */
/* Does that start of the node still run, as far as anybody can tell? */
bool nodes_alive(struct nodes *n, int64_t id, int64_t epoch);

#endif
