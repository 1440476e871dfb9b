/* perdura history [ADDRESS]: without one, of accounts, domains, aliases, settings and snapshots (the system log) */
#include <stdio.h>

#include "verb_common.h"
#include "fail.h"
#include "history.h"
#include "past.h"
#include "system.h"

struct telling {
	struct request *r;
	const char *address; /* empty: of the system log */
};

/* The command that undoes the event; empty when there is none. */
static void put_undo(const struct telling *k, const struct history_event *h, struct buffer *out)
{
	if (h->undoable && *k->address)
		buffer_printf(out, "perdura undo %s --since @%lld --until @%lld --client %llx", k->address, (long long)h->first,
		              (long long)h->last, (unsigned long long)h->session);
}

static void show_line(const struct telling *k, const struct history_event *h, const char *at, const struct buffer *undo)
{
	char numbers[60];
	if (h->first == h->last)
		snprintf(numbers, sizeof numbers, "@%lld", (long long)h->first);
	else
		snprintf(numbers, sizeof numbers, "@%lld-%lld", (long long)h->first, (long long)h->last);
	if (*h->actor)
		request_line(k->r, "%s  %s  %s (%s) %.*s", numbers, at, h->actor, h->client, SPAN_ARG(h->text));
	else
		request_line(k->r, "%s  %s  %s %.*s", numbers, at, h->client, SPAN_ARG(h->text));
	if (undo->n)
		request_line(k->r, "    %.*s", SPAN_ARG(buffer_span(undo)));
}

static void show_json(const struct telling *k, const struct history_event *h, const char *at, const struct buffer *undo)
{
	char session[24];
	snprintf(session, sizeof session, "%llx", (unsigned long long)h->session);
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "first"), json_put_int(&j, h->first);
	json_put_key(&j, "last"), json_put_int(&j, h->last);
	json_put_key(&j, "at"), json_put_text(&j, span_of(at));
	json_put_key(&j, "actor"), json_put_text(&j, span_of(h->actor));
	json_put_key(&j, "client"), json_put_text(&j, span_of(h->client));
	json_put_key(&j, "session"), json_put_text(&j, span_of(session));
	json_put_key(&j, "text"), json_put_text(&j, h->text);
	if (undo->n)
		json_put_key(&j, "undo"), json_put_text(&j, buffer_span(undo));
	json_put_close(&j, '}');
	verb_json_line(k->r, &b);
}

static int show(void *ctx, const struct history_event *h)
{
	const struct telling *k = ctx;
	struct buffer undo = { 0 };
	char at[40];
	instant_write(h->stamp, at);
	put_undo(k, h, &undo);
	(k->r->json ? show_json : show_line)(k, h, at, &undo);
	buffer_free(&undo);
	return request_cancelled(k->r);
}

static int bound(struct request *r, int64_t account, const char *name, int64_t *stamp)
{
	struct span when = verb_option(r, name);
	*stamp = 0;
	int e = when.n ? instant_stamp(r->node->service, account, when, stamp) : OK;
	return e ? request_failed(r, e, name) : EXIT_DONE;
}

/* What is told of the time before is little. */
static int tell_floor(struct request *r, const struct history_request *q)
{
	struct past_floor floor;
	char at[40];
	int e = past_floor(r->node->service, q->account, &floor);
	if (e || r->json || q->since >= floor.stamp)
		return e;
	instant_write(floor.stamp, at);
	request_line(r, "(the past before %s is purged, but for what snapshots show)", at);
	return OK;
}

int verb_history(struct request *r)
{
	struct account a = { .id = SYSTEM_ACCOUNT };
	int status = r->n_args ? verb_find_account(r, r->args[0], &a) : EXIT_DONE;
	if (status)
		return status;
	struct history_request q = { .account = a.id, .folder = verb_option(r, "folder") };
	status = bound(r, a.id, "since", &q.since);
	if (!status)
		status = bound(r, a.id, "until", &q.until);
	if (status)
		return status;
	struct telling k = { r, a.address };
	int e = tell_floor(r, &q);
	if (!e)
		e = history_run(r->node->service, &q, show, &k);
	return e ? request_failed(r, e, "history") : EXIT_DONE;
}
