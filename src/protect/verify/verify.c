#include "verify.h"

#include <stdarg.h>
#include <stdio.h>

#include "verify_private.h"

enum { LINES_MAX = 10000, PROGRESS_EVERY = 250 };

/* Names may hold anything once rows are damaged. */
static void make_printable(char *line)
{
	for (; *line; line++)
		if ((unsigned char)*line < ' ' || *line == 127)
			*line = '?';
}

static void say(struct verify *v, char *line)
{
	v->report.troubles++;
	if (!v->q->say || v->report.troubles > LINES_MAX)
		return;
	make_printable(line);
	v->q->say(v->q->ctx, line);
	if (v->report.troubles == LINES_MAX)
		v->q->say(v->q->ctx, "there is more: the rest is only counted");
}

void trouble(struct verify *v, const char *fmt, ...)
{
	char line[1600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	say(v, line);
}

void trouble_at(const struct account *a, const struct kept *k, int64_t uid, const char *fmt, ...)
{
	char line[1600], path[VERIFY_PATH_MAX];
	va_list ap;
	int n = snprintf(line, sizeof line, "%s: %s: ", a->name, verify_path(a, k, path));
	if (uid)
		n += snprintf(line + n, sizeof line - (size_t)n, "uid %lld: ", (long long)uid);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
	va_end(ap);
	say(a->v, line);
}

int verify_failure(struct verify *v, int e, const char *where)
{
	if (e != ERR_CORRUPT)
		return e;
	trouble(v, "%s: %s: " FIX_DATABASE, where, fail_detail());
	return OK;
}

bool verify_step(struct verify *v, uint64_t n)
{
	uint64_t before = v->done;
	v->done = v->done + n < v->stage_end ? v->done + n : v->stage_end;
	if (v->q->progress && v->done / PROGRESS_EVERY != before / PROGRESS_EVERY)
		v->q->progress(v->q->ctx, v->done, v->total);
	if (v->q->cancelled && v->q->cancelled(v->q->ctx))
		v->report.cancelled = true;
	return v->report.cancelled;
}

/* Progress goes on to the end of a stage worth n things. */
static void end_stage(struct verify *v, uint64_t n)
{
	v->done = v->stage_end;
	v->stage_end += n;
}

static int read_sum(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_CHECK_SUM, "");
	if (e)
		return e;
	*(uint64_t *)arg = (uint64_t)meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int read_nodes(struct meta_txn *t, void *arg)
{
	struct verify *v = arg;
	struct meta_rows r;
	buffer_reset(&v->nodes);
	int e = meta_query(t, &r, META_CHECK_NODES, "");
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct node_row n = { meta_int(&r, 0), meta_int(&r, 2), "" };
		snprintf(n.name, sizeof n.name, "%.*s", SPAN_ARG(meta_span(&r, 1)));
		buffer_put(&v->nodes, &n, sizeof n);
	}
	meta_done(&r);
	return e;
}

static void say_database(void *ctx, const char *line)
{
	trouble(ctx, "database: %s: " FIX_DATABASE, line);
}

static int verify_database(struct verify *v)
{
	int e = meta_verify(meta_of(v), say_database, v);
	return e == ERR_CORRUPT && v->report.troubles ? OK : verify_failure(v, e, "database");
}

static int run_all(struct verify *v)
{
	static const struct { int (*run)(struct verify *); bool counted; } parts[] = {
		{ verify_blobs, true }, { verify_emails, true }, { verify_accounts, true },
		{ verify_uses, false }, { verify_deliveries, false }, { verify_positions, false },
	};
	uint64_t messages = 0;
	int e = verify_database(v);
	if (!e)
		e = verify_failure(v, meta_read(meta_of(v), read_sum, &messages), "accounts");
	if (!e)
		e = verify_failure(v, meta_read(meta_of(v), read_nodes, v), "nodes");
	v->total = 3 * messages;
	for (size_t i = 0; !e && !v->report.cancelled && i < sizeof parts / sizeof *parts; i++) {
		end_stage(v, parts[i].counted ? messages : 0);
		e = parts[i].run(v);
	}
	return e;
}

int verify_run(struct service *s, const struct verify_request *q, struct verify_report *out)
{
	struct verify v = { .q = q, .service = s, .store = service_store(s) };
	int e = run_all(&v);
	if (!e && q->progress && !v.report.cancelled)
		q->progress(q->ctx, v.total, v.total);
	buffer_free(&v.nodes);
	buffer_free(&v.records);
	buffer_free(&v.bad);
	if (!e)
		*out = v.report;
	return e;
}
