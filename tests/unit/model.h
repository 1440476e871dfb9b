/* A plain picture of what an account holds, and what each operation makes of it, written from the headers of the service
 * alone: the tests of the service compare the two after every step. Contents are shared between states until one of them
 * is changed, so keeping the state of every change costs little. */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_NAME = 16, MODEL_PATH = 256, MODEL_KEYWORDS = 5 };

struct m_entry {
	uint32_t uid;
	uint64_t flags;
	unsigned keywords;   /* bits */
	int64_t change;      /* MODSEQ */
	int64_t email, date; /* 0: not known yet */
	int64_t size;
	int body;
};

struct m_content {
	int refs;
	size_t n, cap;
	struct m_entry *e; /* by UID */
};

struct m_folder {
	int64_t id, parent, uidvalidity, uidnext, change;
	int64_t recent;    /* UIDs from here on are \Recent to who comes next; -1: not known */
	bool noselect;
	int64_t special;   /* other attributes */
	unsigned keywords; /* ever used */
	char name[MODEL_NAME];
	struct m_content *c;
};

struct m_state {
	int64_t change, stamp;
	size_t n, cap;
	struct m_folder *f;
	size_t n_subs;
	char (*subs)[MODEL_PATH]; /* sorted */
};

/* What ended: messages for sessions that were not told, folders for when they come back. */
struct m_grave {
	int64_t folder;
	struct m_entry e;
};

struct model {
	struct m_state now;
	int64_t next_id, next_uidvalidity;
	struct m_grave *graves;
	size_t n_graves;
	struct m_folder *dead;
	size_t n_dead;
};

struct m_state m_state_copy(const struct m_state *s);
void m_state_free(struct m_state *s);
void m_free(struct model *m);

/* INBOX in any case. NULL: there is none. */
struct m_folder *m_find(const struct m_state *s, const char *path);
struct m_folder *m_by_id(const struct m_state *s, int64_t id);
const struct m_folder *m_dead(const struct model *m, int64_t id);
void m_path(const struct m_state *s, const struct m_folder *f, char out[MODEL_PATH]);
bool m_has_children(const struct m_state *s, int64_t id);
/* Is path the folder `up` or below it? */
bool m_within(const char *path, const char *up);
struct m_entry *m_entry(const struct m_folder *f, uint32_t uid);
size_t m_unseen(const struct m_folder *f);
int64_t m_bytes(const struct m_folder *f);
const struct m_entry *m_grave(const struct model *m, int64_t folder, uint32_t uid);
/* Entries may be written to after this. */
void m_own(struct m_folder *f);
struct m_folder *m_push_folder(struct m_state *s, const struct m_folder *f);
void m_push_entry(struct m_folder *f, const struct m_entry *e);

/* Operations within the change m->now.change + 1; they return what the service must return, and change nothing when that
   is no OK. m_commit counts the change. Pointers to folders do not survive those that make or end one. */
void m_commit(struct model *m);
struct m_folder *m_ensure(struct model *m, const char *path);
/* For messages to go in: a name alone becomes a folder. */
struct m_folder *m_ensure_selectable(struct model *m, const char *path);
int m_create(struct model *m, const char *path);
int m_delete(struct model *m, const char *path);
int m_rename(struct model *m, const char *from, const char *to);
bool m_subscribe(struct model *m, const char *path, bool on); /* did it change anything? */
bool m_subscribed(const struct m_state *s, const char *path);
struct m_entry *m_add(struct model *m, struct m_folder *to, struct m_entry e);
void m_set_flags(struct model *m, struct m_folder *f, uint32_t uid, uint64_t flags, unsigned keywords);
void m_end(struct model *m, struct m_folder *f, uint32_t uid);

#endif
