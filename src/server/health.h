/* Whether a node works: a thread of its own tries every few seconds that a worker takes up work, that the store can be
 * read, that the committer answers, and that the disk has room. Whoever asks learns the last outcome, and that the try
 * hangs if it does. The service manager's watchdog is fed by what only a node that runs can do: a try that came to its
 * end with the store's answer, whatever it was; a full disk is no reason to be killed. */
#ifndef HEALTH_H
#define HEALTH_H

#include <stdbool.h>

struct health;
struct loop;
struct store;

struct health_options {
	const char *dir; /* of the data; its file system is looked at */
	struct store *store;
	struct loop *loop;
};

/* Nothing given is owned. */
int health_start(const struct health_options *o, struct health **out);
/* Takes the pointer's address, sets it NULL. It waits for a try under way. */
void health_stop(struct health **h);
/* From now on the answer is "stopping". */
void health_stopping(struct health *h);

/* True when all is well; *reason is a literal, "ok" then. Any thread. */
bool health_answer(struct health *h, const char **reason);

#endif
