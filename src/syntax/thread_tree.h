/* Messages as threads (RFC 5256, 3): REFERENCES and ORDEREDSUBJECT. Nothing here is recursive, and however hostile the
   references are, each costs O(log n). */
#ifndef THREAD_TREE_H
#define THREAD_TREE_H

#include "buffer.h"

struct thread_tree;

enum thread_algorithm { THREAD_REFERENCES, THREAD_ORDEREDSUBJECT };

struct thread_message {
	uint32_t number;      /* as it stands in the reply */
	int64_t sent;         /* seconds */
	struct span subject;  /* base subject, folded */
	bool refwd;           /* it is a reply or forwarded (base_subject.h) */
	/* For THREAD_REFERENCES: raw values of the fields, empty where there are none. */
	struct span id, references, in_reply_to;
};

/* memory: bytes that it may use at most; seed: a random number, so that nobody can choose what its hashes are. */
int thread_tree_new(enum thread_algorithm algorithm, size_t memory, uint64_t seed, struct thread_tree **out);
/* Messages come in the order of their numbers; nothing of m is kept. ERR_LIMIT: over the memory. */
int thread_tree_add(struct thread_tree *t, const struct thread_message *m);
/* All were added. ERR_LIMIT */
int thread_tree_finish(struct thread_tree *t);
/* "(1 2)(3 (4)(5))": after the finish. */
void thread_tree_put(const struct thread_tree *t, struct buffer *out);
/* Takes the pointer's address, sets it NULL, accepts NULL. */
void thread_tree_free(struct thread_tree **t);

#endif
