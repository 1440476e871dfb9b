/* perdura undo ADDRESS --since WHEN --until WHEN */
#include <stdio.h>

#include "verb_common.h"
#include "fail.h"
#include "undo.h"

static void report(struct request *r, const struct undo_request *q, const struct undo_report *k)
{
	if (!r->json) {
		request_line(r, "%s %llu change%s: %llu folder%s, %llu message%s back, %llu removed, flags of %llu, %llu subscription%s;"
		             " %llu changed again since",
		             q->dry_run ? "would undo" : "undid", (unsigned long long)k->changes, k->changes == 1 ? "" : "s",
		             (unsigned long long)k->folders, k->folders == 1 ? "" : "s", (unsigned long long)k->messages,
		             k->messages == 1 ? "" : "s", (unsigned long long)k->removed, (unsigned long long)k->flags,
		             (unsigned long long)k->subscriptions, k->subscriptions == 1 ? "" : "s", (unsigned long long)k->skipped);
		return;
	}
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "first"), json_put_int(&j, q->first);
	json_put_key(&j, "last"), json_put_int(&j, q->last);
	json_put_key(&j, "changes"), json_put_int(&j, (int64_t)k->changes);
	json_put_key(&j, "folders"), json_put_int(&j, (int64_t)k->folders);
	json_put_key(&j, "messages"), json_put_int(&j, (int64_t)k->messages);
	json_put_key(&j, "removed"), json_put_int(&j, (int64_t)k->removed);
	json_put_key(&j, "flags"), json_put_int(&j, (int64_t)k->flags);
	json_put_key(&j, "subscriptions"), json_put_int(&j, (int64_t)k->subscriptions);
	json_put_key(&j, "skipped"), json_put_int(&j, (int64_t)k->skipped);
	json_put_key(&j, "dry_run"), json_put_bool(&j, q->dry_run);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

int verb_undo(struct request *r)
{
	struct actor actor = verb_actor(r);
	struct undo_report k = { 0 };
	struct account a;
	if (!request_option(r, "since") || !request_option(r, "until"))
		return request_error(r, EXIT_USAGE, "undo wants --since WHEN and --until WHEN: times, ages such as 2h, snapshots or @N out of history");
	struct undo_request q = { .client = verb_option(r, "client"), .folder = verb_option(r, "folder"), .dry_run = request_has(r, "dry-run"),
		                  .actor = &actor, .say = verb_say, .progress = verb_progress, .cancelled = verb_cancelled, .ctx = r };
	int status = verb_find_account(r, r->args[0], &a);
	if (!status && !q.dry_run)
		status = request_confirm(r, "Undo these changes?");
	if (status)
		return status;
	q.account = a.id;
	int e = undo_range(r->node->service, a.id, verb_option(r, "since"), verb_option(r, "until"), &q.first, &q.last);
	if (!e)
		e = undo_run(r->node->service, &q, &k);
	if (e)
		return request_failed(r, e, "undo");
	report(r, &q, &k);
	return EXIT_DONE;
}
