#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fail.h"
#include "flags.h"

static void *grown(void *p, size_t bytes)
{
	void *q = realloc(p, bytes ? bytes : 1);
	if (!q)
		abort();
	return q;
}

/* --- States --- */

static struct m_content *new_content(void)
{
	struct m_content *c = grown(NULL, sizeof *c);
	*c = (struct m_content){ .refs = 1 };
	return c;
}

static void drop_content(struct m_content *c)
{
	if (!c || --c->refs)
		return;
	free(c->e);
	free(c);
}

void m_own(struct m_folder *f)
{
	struct m_content *c = f->c, *own;
	if (c->refs == 1)
		return;
	own = new_content();
	own->n = own->cap = c->n;
	own->e = grown(NULL, c->n * sizeof *c->e);
	if (c->n)
		memcpy(own->e, c->e, c->n * sizeof *c->e);
	c->refs--;
	f->c = own;
}

struct m_state m_state_copy(const struct m_state *s)
{
	struct m_state copy = *s;
	copy.cap = s->n;
	copy.f = grown(NULL, s->n * sizeof *s->f);
	copy.subs = grown(NULL, s->n_subs * sizeof *s->subs);
	if (s->n)
		memcpy(copy.f, s->f, s->n * sizeof *s->f);
	if (s->n_subs)
		memcpy(copy.subs, s->subs, s->n_subs * sizeof *s->subs);
	for (size_t i = 0; i < s->n; i++)
		copy.f[i].c->refs++;
	return copy;
}

void m_state_free(struct m_state *s)
{
	for (size_t i = 0; i < s->n; i++)
		drop_content(s->f[i].c);
	free(s->f);
	free(s->subs);
	*s = (struct m_state){ 0 };
}

void m_free(struct model *m)
{
	m_state_free(&m->now);
	for (size_t i = 0; i < m->n_dead; i++)
		drop_content(m->dead[i].c);
	free(m->dead);
	free(m->graves);
	*m = (struct model){ 0 };
}

/* --- Looking --- */

struct m_folder *m_by_id(const struct m_state *s, int64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->f[i].id == id)
			return &s->f[i];
	return NULL;
}

const struct m_folder *m_dead(const struct model *m, int64_t id)
{
	for (size_t i = m->n_dead; i; i--)
		if (m->dead[i - 1].id == id)
			return &m->dead[i - 1];
	return NULL;
}

void m_path(const struct m_state *s, const struct m_folder *f, char out[MODEL_PATH])
{
	char below[MODEL_PATH];
	snprintf(out, MODEL_PATH, "%s", f->name);
	for (int depth = 0; f->parent && depth < 50; depth++) {
		f = m_by_id(s, f->parent);
		if (!f)
			return;
		memcpy(below, out, sizeof below);
		snprintf(out, MODEL_PATH, "%s/%.*s", f->name, MODEL_PATH - MODEL_NAME - 2, below);
	}
}

static bool same_path(const char *a, const char *b)
{
	bool inbox = !strncasecmp(a, "INBOX", 5) && !strncasecmp(b, "INBOX", 5) && (a[5] == 0 || a[5] == '/');
	return inbox ? !strcmp(a + 5, b + 5) : !strcmp(a, b);
}

struct m_folder *m_find(const struct m_state *s, const char *path)
{
	char p[MODEL_PATH];
	for (size_t i = 0; i < s->n; i++) {
		m_path(s, &s->f[i], p);
		if (same_path(p, path))
			return &s->f[i];
	}
	return NULL;
}

bool m_within(const char *path, const char *up)
{
	size_t n = strlen(up);
	char head[MODEL_PATH];
	snprintf(head, sizeof head, "%.*s", (int)n, path);
	return same_path(head, up) && (path[n] == 0 || path[n] == '/') && strlen(path) >= n;
}

bool m_has_children(const struct m_state *s, int64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->f[i].parent == id)
			return true;
	return false;
}

struct m_entry *m_entry(const struct m_folder *f, uint32_t uid)
{
	size_t low = 0, high = f->c->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (f->c->e[mid].uid < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->c->n && f->c->e[low].uid == uid ? &f->c->e[low] : NULL;
}

size_t m_unseen(const struct m_folder *f)
{
	size_t n = 0;
	for (size_t i = 0; i < f->c->n; i++)
		n += !(f->c->e[i].flags & FLAG_SEEN);
	return n;
}

int64_t m_bytes(const struct m_folder *f)
{
	int64_t n = 0;
	for (size_t i = 0; i < f->c->n; i++)
		n += f->c->e[i].size;
	return n;
}

const struct m_entry *m_grave(const struct model *m, int64_t folder, uint32_t uid)
{
	for (size_t i = m->n_graves; i; i--)
		if (m->graves[i - 1].folder == folder && m->graves[i - 1].e.uid == uid)
			return &m->graves[i - 1].e;
	return NULL;
}

/* --- Changing --- */

void m_commit(struct model *m)
{
	m->now.change++;
}

struct m_folder *m_push_folder(struct m_state *s, const struct m_folder *f)
{
	if (s->n == s->cap)
		s->f = grown(s->f, (s->cap = s->cap * 2 + 8) * sizeof *s->f);
	s->f[s->n] = *f;
	if (!f->c)
		s->f[s->n].c = new_content();
	return &s->f[s->n++];
}

void m_push_entry(struct m_folder *f, const struct m_entry *e)
{
	struct m_content *c;
	m_own(f);
	c = f->c;
	if (c->n == c->cap)
		c->e = grown(c->e, (c->cap = c->cap * 2 + 8) * sizeof *c->e);
	c->e[c->n++] = *e;
	f->keywords |= e->keywords;
}

static struct m_folder *add_folder(struct model *m, int64_t parent, const char *name, bool noselect)
{
	struct m_folder f = { .id = m->next_id++, .parent = parent, .uidvalidity = m->next_uidvalidity++, .uidnext = 1,
		              .change = m->now.change + 1, .recent = 1, .noselect = noselect };
	snprintf(f.name, sizeof f.name, "%s", name);
	return m_push_folder(&m->now, &f);
}

struct m_folder *m_ensure(struct model *m, const char *path)
{
	char upto[MODEL_PATH];
	struct m_folder *f = NULL;
	for (const char *p = path, *end; p; p = *end ? end + 1 : NULL) {
		int64_t parent = f ? f->id : 0;
		end = strchrnul(p, '/');
		snprintf(upto, sizeof upto, "%.*s", (int)(end - path), path);
		f = m_find(&m->now, upto);
		if (!f)
			f = add_folder(m, parent, upto + (p - path), false);
	}
	return f;
}

struct m_folder *m_ensure_selectable(struct model *m, const char *path)
{
	struct m_folder *f = m_ensure(m, path);
	if (f->noselect) {
		f->noselect = false;
		f->change = m->now.change + 1;
	}
	return f;
}

int m_create(struct model *m, const char *path)
{
	struct m_folder *f = m_find(&m->now, path);
	if (f && !f->noselect)
		return ERR_EXISTS;
	m_ensure_selectable(m, path);
	return OK;
}

/* Takes the folder out of the state; its content goes to the dead. */
static void bury(struct model *m, struct m_folder *f)
{
	m->dead = grown(m->dead, (m->n_dead + 1) * sizeof *m->dead);
	m->dead[m->n_dead++] = *f;
	size_t at = (size_t)(f - m->now.f);
	memmove(f, f + 1, (--m->now.n - at) * sizeof *f);
}

int m_delete(struct model *m, const char *path)
{
	struct m_folder *f = m_find(&m->now, path);
	if (!f)
		return ERR_NOT_FOUND;
	bool children = m_has_children(&m->now, f->id);
	if (f->id == 1 || (f->noselect && children)) /* 1: INBOX */
		return ERR_CANNOT;
	struct m_folder was = *f;
	bury(m, f);
	if (!children)
		return OK;
	int64_t id = add_folder(m, was.parent, was.name, true)->id;
	for (size_t i = 0; i < m->now.n; i++)
		if (m->now.f[i].parent == was.id) {
			m->now.f[i].parent = id;
			m->now.f[i].change = m->now.change + 1;
		}
	return OK;
}

static int rename_inbox(struct model *m, const char *to)
{
	struct m_folder *out = m_ensure(m, to), *in = m_find(&m->now, "INBOX");
	while (in->c->n) {
		struct m_entry e = in->c->e[0];
		m_end(m, in, e.uid);
		m_add(m, out, e);
	}
	return OK;
}

int m_rename(struct model *m, const char *from, const char *to)
{
	struct m_folder *f = m_find(&m->now, from);
	char path[MODEL_PATH], parent[MODEL_PATH];
	if (!f)
		return ERR_NOT_FOUND;
	if (m_find(&m->now, to))
		return ERR_EXISTS;
	if (f->id == 1)
		return rename_inbox(m, to);
	m_path(&m->now, f, path);
	if (m_within(to, path))
		return ERR_INVALID;
	int64_t id = f->id, up = 0;
	const char *slash = strrchr(to, '/');
	if (slash) {
		snprintf(parent, sizeof parent, "%.*s", (int)(slash - to), to);
		up = m_ensure(m, parent)->id;
	}
	f = m_by_id(&m->now, id);
	f->parent = up;
	snprintf(f->name, sizeof f->name, "%s", slash ? slash + 1 : to);
	f->change = m->now.change + 1;
	return OK;
}

bool m_subscribed(const struct m_state *s, const char *path)
{
	for (size_t i = 0; i < s->n_subs; i++)
		if (!strcmp(s->subs[i], path))
			return true;
	return false;
}

bool m_subscribe(struct model *m, const char *path, bool on)
{
	struct m_state *s = &m->now;
	size_t at = 0;
	if (m_subscribed(s, path) == on)
		return false;
	while (at < s->n_subs && strcmp(s->subs[at], path) < 0)
		at++;
	if (on) {
		s->subs = grown(s->subs, (s->n_subs + 1) * sizeof *s->subs);
		memmove(s->subs + at + 1, s->subs + at, (s->n_subs++ - at) * sizeof *s->subs);
		snprintf(s->subs[at], MODEL_PATH, "%s", path);
	} else {
		memmove(s->subs + at, s->subs + at + 1, (--s->n_subs - at) * sizeof *s->subs);
	}
	return true;
}

struct m_entry *m_add(struct model *m, struct m_folder *to, struct m_entry e)
{
	e.uid = (uint32_t)to->uidnext++;
	e.change = to->change = m->now.change + 1;
	m_push_entry(to, &e);
	return &to->c->e[to->c->n - 1];
}

void m_set_flags(struct model *m, struct m_folder *f, uint32_t uid, uint64_t flags, unsigned keywords)
{
	m_own(f);
	struct m_entry *e = m_entry(f, uid);
	e->flags = flags;
	e->keywords = keywords;
	f->keywords |= keywords;
	e->change = f->change = m->now.change + 1;
}

void m_end(struct model *m, struct m_folder *f, uint32_t uid)
{
	m_own(f);
	struct m_entry *e = m_entry(f, uid);
	m->graves = grown(m->graves, (m->n_graves + 1) * sizeof *m->graves);
	m->graves[m->n_graves++] = (struct m_grave){ f->id, *e };
	memmove(e, e + 1, (size_t)(f->c->e + --f->c->n - e) * sizeof *e);
	f->change = m->now.change + 1;
}
