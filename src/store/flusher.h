/* Syncs bodies on a thread of its own, so that the statements of a group run while the disk works. One thread (meta's
   committer) calls begin and end, in turn. */
#ifndef FLUSHER_H
#define FLUSHER_H

#include "blob.h"

struct flusher;

int flusher_start(struct blob_store *s, struct flusher **out);
void flusher_stop(struct flusher **f);
/* Writes the stages and starts their sync; takes the array, which is freed. */
void flusher_begin(struct flusher *f, struct blob_stage **stages, size_t n);
/* Waits for what begin started: OK when all that was written is on stable storage, or nothing was started. */
int flusher_end(struct flusher *f);

/* Instead of these two, and from any thread: returns when it is known what became of the stages (blob_stage_result). Those that
   come while another's sync is under way share the next. */
void flusher_flush(struct flusher *f, struct blob_stage *const *stages, size_t n);

#endif
