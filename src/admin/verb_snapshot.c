/* perdura snapshot create|list|remove */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "copy.h"
#include "verb_common.h"
#include "fail.h"
#include "instant.h"
#include "when.h"

static void show(struct request *r, const struct snapshot *s)
{
	char at[40], expires[40];
	instant_write(s->stamp, at);
	instant_write(s->expires, expires);
	if (!r->json) {
		request_line(r, "%s  %s%s%s", s->name, at, s->expires ? "  until " : "", s->expires ? expires : "");
		return;
	}
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "name"), json_put_text(&j, span_of(s->name));
	json_put_key(&j, "at"), json_put_text(&j, span_of(at));
	json_put_key(&j, "expires");
	if (s->expires)
		json_put_text(&j, span_of(expires));
	else
		json_put_null(&j);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

/* --keep 14d */
static int read_keep(struct request *r, int64_t *expires)
{
	struct when w;
	struct span keep = verb_option(r, "keep");
	*expires = 0;
	if (!keep.n)
		return EXIT_DONE;
	if (when_parse(keep, &w) || w.kind != WHEN_AGE)
		return request_error(r, EXIT_USAGE, "--keep takes a time span such as 12h, 14d, 8w");
	*expires = service_now(r->node->service) + w.us;
	return EXIT_DONE;
}

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	request_progress(ctx, done, total, "bytes");
}

static void show_copy(struct request *r, const char *to, const struct copy_report *k)
{
	char at[40];
	instant_write(k->stamp, at);
	if (!r->json) {
		request_line(r, "%s: a copy as of %s; %" PRIu64 " bytes copied, %" PRIu64 " shared with the original", to, at,
			k->copied, k->shared);
		return;
	}
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "copy"), json_put_text(&j, span_of(to));
	json_put_key(&j, "at"), json_put_text(&j, span_of(at));
	json_put_key(&j, "copied"), json_put_int(&j, (int64_t)k->copied);
	json_put_key(&j, "shared"), json_put_int(&j, (int64_t)k->shared);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

/* --copy-to, where it was given */
static int copy(struct request *r)
{
	char to[PATH_MAX];
	struct copy_report k;
	if (!request_option(r, "copy-to"))
		return EXIT_DONE;
	int e = request_path(r, request_option(r, "copy-to"), to);
	const struct copy_request q = { r->node->dir, r->node->name, to, progress, verb_cancelled, r };
	if (!e)
		e = copy_run(r->node->service, &q, &k);
	if (e)
		return request_failed(r, e, "copy (run it again to go on where it stopped)");
	show_copy(r, to, &k);
	return EXIT_DONE;
}

int verb_snapshot(struct request *r)
{
	if (!request_option(r, "copy-to"))
		return request_error(r, EXIT_USAGE, "snapshot create, list or remove; or snapshot --copy-to DIR");
	return copy(r);
}

int verb_snapshot_create(struct request *r)
{
	char name[80];
	struct snapshot sn;
	struct actor actor = verb_actor(r);
	int64_t expires;
	int status = read_keep(r, &expires);
	if (status)
		return status;
	if (r->n_args) {
		snprintf(name, sizeof name, "%s", r->args[0]);
	} else {
		int64_t now = clock_now();
		time_t t = (time_t)(now / SECOND_US);
		struct tm tm;
		gmtime_r(&t, &tm);
		size_t n = strftime(name, sizeof name, "s%Y%m%d-%H%M%S", &tm);
		snprintf(name + n, sizeof name - n, ".%06d", (int)(now % SECOND_US));
	}
	int e = snapshot_create(r->node->service, span_of(name), expires, &actor, &sn);
	if (e)
		return request_failed(r, e, "snapshot create");
	show(r, &sn);
	return copy(r);
}

int verb_snapshot_remove(struct request *r)
{
	struct actor actor = verb_actor(r);
	for (size_t i = 0; i < r->n_args; i++) {
		int e = snapshot_remove(r->node->service, span_of(r->args[i]), &actor);
		if (e)
			return request_failed(r, e, "snapshot remove");
	}
	return EXIT_DONE;
}

static int list_one(void *ctx, const struct snapshot *s)
{
	show(ctx, s);
	return request_cancelled(ctx);
}

int verb_snapshot_list(struct request *r)
{
	int e = snapshot_list(r->node->service, list_one, r);
	return e ? request_failed(r, e, "snapshot list") : EXIT_DONE;
}
