#include "resume.h"

#include "fail.h"
#include "restore_all.h"
#include "store.h"
#include "system.h"
#include "undo.h"
#include "view_write.h"

static bool is_bulk(const struct changeset *c)
{
	return c->kind != CHANGE_RESTORE && c->kind != CHANGE_UNDO;
}

static int go_on(struct service *s, const struct changeset *c, const struct resume_request *q)
{
	if (c->kind == CHANGE_UNDO)
		return undo_resume(s, c, q->say, q->ctx);
	if (c->kind == CHANGE_RESTORE && c->account == SYSTEM_ACCOUNT)
		return restore_all_resume(s, c, q->say, q->ctx);
	if (c->kind == CHANGE_RESTORE)
		return restore_resume(s, c, q->say, q->ctx);
	int e = bulk_resume(s, c);
	return e == ERR_NOT_FOUND ? OK : e; /* its folder is gone, and so is what was to be done */
}

static int resume_one(struct service *s, struct changeset *c, const struct resume_request *q)
{
	struct store *store = service_store(s);
	struct arena arena = { 0 };
	bool told = changeset_left(store, c);
	int e = changeset_take(store, c);
	if (!e)
		e = changeset_read(store->meta, c, &arena);
	bool elsewhere = e == ERR_CONFLICT || e == ERR_NOT_FOUND, again = true;
	if (!e) {
		e = go_on(s, c, q);
		again = e == ERR_STOPPED || e == ERR_UNAVAILABLE || e == ERR_FULL;
		if (!again)
			e = changeset_end(store, c->account, c->id, e);
	}
	if (e && again && !elsewhere)
		changeset_leave(store, c->account, c->id); /* it may be ours also where the take was told to have failed */
	if (e && !elsewhere && e != ERR_STOPPED && q->failed && !(told && again))
		q->failed(q->ctx, c, e, again);
	arena_free(&arena);
	return elsewhere ? OK : e;
}

int resume_run(struct service *s, const struct resume_request *q)
{
	struct buffer rows = { 0 };
	struct store *store = service_store(s);
	int e = changeset_list(store->meta, &rows);
	struct changeset *list = (struct changeset *)(void *)rows.p;
	for (int bulk = 1; bulk >= 0; bulk--)
		for (size_t i = rows.n / sizeof *list; !e && i--;)
			if (is_bulk(&list[i]) == bulk && !changeset_owned(store, &list[i]))
				e = resume_one(s, &list[i], q) == ERR_STOPPED ? ERR_STOPPED : OK;
	buffer_free(&rows);
	return e;
}
