/* A real store in a temporary folder beside a model of it (model.h): comparing the two, and sessions that believe only
 * what they are told. */
#ifndef MODEL_WORLD_H
#define MODEL_WORLD_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "account.h"
#include "fail.h"
#include "model.h"
#include "store.h"
#include "view.h"

enum { SESSIONS = 5, KEPT = 2000, BODIES = 40, SNAPSHOTS = 6, DELIVERIES = 400, MESSAGES_MAX = 250 };

/* What a client of a session believes. */
struct picture {
	uint32_t uid;
	uint64_t flags;
	unsigned keywords;
};

struct session {
	struct view *v;
	int64_t folder;
	struct picture *p;
	size_t n;
	int64_t told; /* the folder's change when it was last told of everything */
};

struct delivered {
	int body, sender, account;
	char folder[MODEL_PATH];
};

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	struct identity *identity;
	struct purge *purge;
	struct packer *packer;
	int64_t floor; /* the past before that change is purged, but for snapshots */
	int64_t account, other;
	int64_t others; /* messages delivered to the other account */
	uint64_t seed, random;
	long step;
	const char *doing;
	bool trace;
	bool together; /* several threads: what goes wrong cannot be told to cmocka */
	struct model m;
	struct m_state kept[KEPT]; /* by change number modulo KEPT */
	struct session sessions[SESSIONS];
	struct { int64_t change; char name[16]; } snapshots[SNAPSHOTS];
	struct delivered deliveries[DELIVERIES];
	size_t n_deliveries;
	struct { int64_t email; int body; } *emails;
	size_t n_emails;
};

extern const struct actor tester;

uint64_t next_random(struct world *w);
unsigned pick(struct world *w, unsigned n); /* below n */
bool chance(struct world *w, unsigned percent);
/* A path out of few, so that they meet. */
void random_path(struct world *w, char out[MODEL_PATH]);

/* Tells seed and step and fails the test. */
#define expect(w, yes, ...) ((yes) ? (void)0 : wrong(w, __FILE__, __LINE__, __VA_ARGS__))
#define expect_code(w, got, want, what) expect_code_at(w, __FILE__, __LINE__, got, want, what)
void wrong(const struct world *w, const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 4,
                                                                                                          5)));
void wrong_code(const struct world *w, const char *file, int line, int got, int want, const char *what);
void trace(const struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void expect_code_at(const struct world *w, const char *file, int line, int got, int want,
                                  const char *what)
{
	if (got != want)
		wrong_code(w, file, line, got, want, what);
}

/* For cmocka; *state is the seed before. The model is empty. */
int world_setup(void **state);
int world_teardown(void **state);
void open_world(struct world *w);
void close_world(struct world *w);
int note_accounts(void *ctx, const struct account_info *i);
/* Everything the store holds, see verify.h. */
void verify(struct world *w);
/* Of the environment. */
long setting(const char *name, long otherwise);

unsigned keywords_read(const struct world *w, struct span text);
struct span keywords_text(unsigned bits, char out[64]);
struct incoming *new_message(struct world *w, int body);
int64_t size_of(int body);
void check_bytes(struct world *w, const struct entry *e, int body);
int body_of(const struct world *w, int64_t email); /* -1: not known */
void note_email(struct world *w, int64_t email, int body);
int open_view(struct world *w, const char *path, int flags, struct view **v);

/* The account as it is now; folders, counters, subscriptions, some contents. */
void compare_account(struct world *w);
void compare_present(struct world *w);
/* An instant of the last KEPT changes that can still be seen. */
void compare_past(struct world *w);
void keep_state(struct world *w);
struct m_state *any_past(struct world *w);
/* Right after that change; NULL where it is not kept. */
struct m_state *state_at(struct world *w, int64_t change);
const struct m_folder *any_folder(struct world *w);

void close_session(struct session *s);
/* Asks for the flags of a message. */
void look_at(struct world *w, struct session *s, struct picture *p);
/* Asks about messages the client does not know yet. */
void learn_new(struct world *w, struct session *s);
void apply_delta(struct world *w, struct session *s, const struct view_delta *d);
/* view_sync, and the client's belief compared with the model. */
void sync_session(struct world *w, struct session *s, bool expunges);
/* NULL when the folder it tried cannot be selected. */
struct session *any_session(struct world *w);

/* What is staged is gathered, or some of it. */
void pack_at_random(struct world *w);
/* One purge, up to whatever state. */
void purge_at_random(struct world *w);
/* One restore of whatever kind, compared with what it promises; the model goes on from the outcome. */
void restore_at_random(struct world *w);
/* Undo of some changes, mostly undone itself; and a restore that makes the state what it was. */
void undo_at_random(struct world *w);
void exact_at_random(struct world *w);
/* What the service says is there; the model goes on from that. */
struct m_state read_state(struct world *w);
void take_over(struct world *w, struct m_state *s);

#endif
