/* perdura restore ADDRESS --at WHEN, and of all accounts */
#include <stdio.h>

#include "verb_common.h"
#include "fail.h"
#include "restore_all.h"
#include "system.h"

/* The account, brought back first where it was removed. */
static int find_or_revive(struct request *r, struct account *out)
{
	struct actor actor = verb_actor(r);
	char address[320];
	int64_t id;
	int e = directory_find(r->node->identity, span_of(r->args[0]), out);
	if (e != ERR_NOT_FOUND)
		return e ? request_failed(r, e, r->args[0]) : EXIT_DONE;
	e = identity_complete(r->node->identity, span_of(r->args[0]), address);
	if (!e && request_has(r, "dry-run"))
		return request_error(r, EXIT_FAILED, "%s is removed or never was: without --dry-run it would be brought back", address);
	if (!e)
		e = restore_account(r->node->service, span_of(address), &actor, &id);
	if (e == ERR_NOT_FOUND)
		return request_error(r, EXIT_FAILED, "%s: there is no such account and there never was", r->args[0]);
	if (e)
		return request_failed(r, e, r->args[0]);
	request_line(r, "%s: the account is back", address);
	e = directory_find(r->node->identity, span_of(address), out);
	return e ? request_failed(r, e, address) : EXIT_DONE;
}

static void write_counts(struct json_writer *j, const struct restore_report *k)
{
	json_put_key(j, "folders"), json_put_int(j, (int64_t)k->folders);
	json_put_key(j, "messages"), json_put_int(j, (int64_t)k->messages);
	json_put_key(j, "flags"), json_put_int(j, (int64_t)k->flags);
	json_put_key(j, "removed"), json_put_int(j, (int64_t)k->removed);
	json_put_key(j, "folders_removed"), json_put_int(j, (int64_t)k->folders_removed);
	json_put_key(j, "kept"), json_put_int(j, (int64_t)k->kept);
}

static void report(struct request *r, const struct restore_report *k, const struct instant *at)
{
	char when[40];
	instant_write(at->stamp, when);
	if (!r->json && request_has(r, "exact")) {
		request_line(r, "%s: exactly as of %s: %llu folder%s, %llu message%s, flags of %llu; %llu folder%s and %llu message%s removed,"
		             " %llu that came since stay", request_has(r, "dry-run") ? "would restore" : "restored", when,
		             (unsigned long long)k->folders, k->folders == 1 ? "" : "s", (unsigned long long)k->messages,
		             k->messages == 1 ? "" : "s", (unsigned long long)k->flags, (unsigned long long)k->folders_removed,
		             k->folders_removed == 1 ? "" : "s", (unsigned long long)k->removed, k->removed == 1 ? "" : "s",
		             (unsigned long long)k->kept);
		return;
	}
	if (!r->json) {
		request_line(r, "%s: as of %s: %llu folder%s, %llu message%s, flags of %llu", request_has(r, "dry-run") ? "would restore" : "restored",
		             when, (unsigned long long)k->folders, k->folders == 1 ? "" : "s", (unsigned long long)k->messages,
		             k->messages == 1 ? "" : "s", (unsigned long long)k->flags);
		return;
	}
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "at"), json_put_text(&j, span_of(when));
	json_put_key(&j, "change"), json_put_int(&j, at->change);
	write_counts(&j, k);
	json_put_key(&j, "dry_run"), json_put_bool(&j, request_has(r, "dry-run"));
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

/* One line for each account that something came back to, or that failed. */
static void tell_account(void *ctx, struct span address, const struct restore_report *k, int error, const char *why)
{
	struct request *r = ctx;
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	if (error)
		request_error(r, EXIT_FAILED, "%.*s: %s", SPAN_ARG(address), *why ? why : fail_name(error));
	if (error || (k && !(k->folders + k->messages + k->flags + k->removed + k->folders_removed)))
		return;
	if (!r->json) {
		if (!k)
			request_line(r, "%.*s: the account %s", SPAN_ARG(address), request_has(r, "dry-run") ? "would come back" : "is back");
		else
			request_line(r, "%.*s: %llu folders, %llu messages, flags of %llu; %llu folders and %llu messages removed", SPAN_ARG(address),
			             (unsigned long long)k->folders, (unsigned long long)k->messages, (unsigned long long)k->flags,
			             (unsigned long long)k->folders_removed, (unsigned long long)k->removed);
		return;
	}
	json_put_open(&j, '{');
	json_put_key(&j, "account"), json_put_text(&j, address);
	json_put_key(&j, "came_back"), json_put_bool(&j, !k);
	if (k)
		write_counts(&j, k);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

static void progress_all(void *ctx, uint64_t done, uint64_t total)
{
	request_progress(ctx, done, total, "accounts");
}

static void report_all(struct request *r, const struct restore_all_request *q, const struct restore_all_report *k)
{
	char when[40];
	instant_write(q->at, when);
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	if (!r->json) {
		request_line(r, "%s: as of %s: %llu accounts, %llu came back, %llu were made since, %llu failed; %llu folders, %llu messages, flags of"
		             " %llu; %llu folders and %llu messages removed; %llu domains, aliases and settings came back", q->dry_run ? "would restore" : "restored", when,
		             (unsigned long long)k->accounts, (unsigned long long)k->revived, (unsigned long long)k->younger,
		             (unsigned long long)k->failed, (unsigned long long)k->sum.folders, (unsigned long long)k->sum.messages,
		             (unsigned long long)k->sum.flags, (unsigned long long)k->sum.folders_removed, (unsigned long long)k->sum.removed,
		             (unsigned long long)k->entries);
		return;
	}
	json_put_open(&j, '{');
	json_put_key(&j, "at"), json_put_text(&j, span_of(when));
	json_put_key(&j, "entries_back"), json_put_int(&j, (int64_t)k->entries);
	json_put_key(&j, "accounts"), json_put_int(&j, (int64_t)k->accounts);
	json_put_key(&j, "accounts_back"), json_put_int(&j, (int64_t)k->revived);
	json_put_key(&j, "made_since"), json_put_int(&j, (int64_t)k->younger);
	json_put_key(&j, "failed"), json_put_int(&j, (int64_t)k->failed);
	write_counts(&j, &k->sum);
	json_put_key(&j, "dry_run"), json_put_bool(&j, q->dry_run);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

static int restore_all(struct request *r, const struct restore_request *one)
{
	struct restore_all_request q = { .folder = one->folder, .match = one->match, .into = one->into, .exact = one->exact,
		                         .with_deliveries = one->with_deliveries, .dry_run = one->dry_run, .actor = one->actor,
		                         .account = tell_account, .progress = progress_all, .cancelled = verb_cancelled, .ctx = r };
	struct restore_all_report k = { 0 };
	struct span when = verb_option(r, "at");
	if (when.n && *when.p == '@')
		return request_error(r, EXIT_USAGE, "change numbers are an account's own: --all wants a time, an age or a snapshot");
	int status = q.dry_run ? EXIT_DONE : request_confirm(r, "Restore all accounts?");
	if (status)
		return status;
	int e = instant_stamp(r->node->service, SYSTEM_ACCOUNT, when, &q.at);
	if (!e)
		e = restore_all_run(r->node->service, &q, &k);
	if (e)
		return request_failed(r, e, "restore");
	report_all(r, &q, &k);
	return k.failed ? EXIT_FAILED : EXIT_DONE;
}

int verb_restore(struct request *r)
{
	struct actor actor = verb_actor(r);
	struct restore_report k = { 0 };
	struct account a;
	if (!request_option(r, "at"))
		return request_error(r, EXIT_USAGE, "restore wants --at WHEN: a time, an age such as 2h, a snapshot's name or @N out of history");
	struct restore_request q = { .folder = verb_option(r, "folder"), .match = verb_option(r, "match"), .into = verb_option(r, "into"),
		                     .exact = request_has(r, "exact"), .with_deliveries = request_has(r, "with-deliveries"),
		                     .dry_run = request_has(r, "dry-run"), .actor = &actor, .say = verb_say, .progress = verb_progress,
		                     .cancelled = verb_cancelled, .ctx = r };
	int status = EXIT_DONE;
	if (q.exact && (q.match.n || q.into.n))
		return request_error(r, EXIT_USAGE, "--exact goes neither with --match nor with --into");
	if (q.with_deliveries && !q.exact)
		return request_error(r, EXIT_USAGE, "--with-deliveries only goes with --exact");
	if ((r->n_args == 1) == request_has(r, "all"))
		return request_error(r, EXIT_USAGE, "restore wants one ADDRESS, or --all");
	if (request_has(r, "all"))
		return restore_all(r, &q);
	if (!q.folder.n && !q.match.n && !q.dry_run)
		status = request_confirm(r, "Restore the whole account?");
	if (!status)
		status = find_or_revive(r, &a);
	if (status)
		return status;
	q.account = a.id;
	int e = instant_resolve(r->node->service, a.id, verb_option(r, "at"), &q.at);
	if (!e)
		e = restore_run(r->node->service, &q, &k);
	if (e)
		return request_failed(r, e, "restore");
	report(r, &k, &q.at);
	return EXIT_DONE;
}
