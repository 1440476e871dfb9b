/* perdura account add|list|show|password|remove */
#include <stdlib.h>

#include "account.h"
#include "address.h"
#include "arena.h"
#include "verb_common.h"
#include "fail.h"
#include "identity.h"
#include "instant.h"
#include "quantity.h"
#include "settings.h"

enum { PASSWORD_MAX = 1025, PASSWORD_BATCH = 200 };

/* One line from the client, made into verifiers. */
static int ask_verifiers(struct request *r, struct buffer *out)
{
	char password[PASSWORD_MAX];
	int e = request_password(r, password, sizeof password);
	if (e == ERR_NOT_FOUND)
		return request_error(r, EXIT_USAGE, "the password is empty: give one line on standard input or with --password-file");
	if (!e)
		e = identity_password_make(r->node->identity, span_of(password), out);
	explicit_bzero(password, sizeof password);
	return e ? request_failed(r, e, "password") : EXIT_DONE;
}

static int complete(struct request *r, struct arena *a, struct span **out)
{
	struct span *list = arena_alloc(a, r->n_args * sizeof *list);
	char address[320];
	if (!list)
		return request_error(r, EXIT_FAILED, "too many accounts at once");
	for (size_t i = 0; i < r->n_args; i++) {
		int e = identity_complete(r->node->identity, span_of(r->args[i]), address);
		if (e)
			return request_failed(r, e, r->args[i]);
		list[i] = arena_copy(a, span_of(address));
	}
	*out = list;
	return EXIT_DONE;
}

int verb_account_add(struct request *r)
{
	struct arena arena = { 0 };
	struct buffer verifiers = { 0 };
	struct span *addresses = NULL;
	struct actor actor = verb_actor(r);
	int status = complete(r, &arena, &addresses);
	if (!status)
		status = ask_verifiers(r, &verifiers);
	if (!status) {
		int e = account_add(r->node->service, addresses, r->n_args, buffer_span(&verifiers), &actor);
		status = e ? request_failed(r, e, "account add") : EXIT_DONE;
	}
	buffer_free(&verifiers);
	arena_free(&arena);
	return status;
}

/* " of 10G (5%)" */
static void put_quota(struct buffer *b, const struct account_info *i, int64_t quota)
{
	buffer_puts(b, " of ");
	quantity_write(QUANTITY_SIZE, quota, b);
	buffer_printf(b, " (%.0f%%)", 100.0 * (double)i->bytes / (double)quota);
}

/* settings: the account's, where they were read. */
static void show(struct request *r, const struct account_info *i, const struct settings *settings)
{
	struct buffer quota = { 0 };
	char created[40], changed[40];
	instant_write(i->created_stamp, created);
	instant_write(i->stamp, changed);
	if (!r->json) {
		if (settings && settings->quota)
			put_quota(&quota, i, settings->quota);
		request_line(r, "%.*s  messages %lld  bytes %lld%.*s  change @%lld  last %s  since %s", SPAN_ARG(i->address),
		             (long long)i->messages, (long long)i->bytes, (int)quota.n, quota.p, (long long)i->change, changed, created);
		buffer_free(&quota);
		return;
	}
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "address"), json_put_text(&j, i->address);
	json_put_key(&j, "id"), json_put_int(&j, i->id);
	json_put_key(&j, "messages"), json_put_int(&j, i->messages);
	json_put_key(&j, "bytes"), json_put_int(&j, i->bytes);
	if (settings)
		json_put_key(&j, "quota"), json_put_int(&j, settings->quota);
	json_put_key(&j, "change"), json_put_int(&j, i->change);
	json_put_key(&j, "changed"), json_put_text(&j, span_of(changed));
	json_put_key(&j, "created"), json_put_text(&j, span_of(created));
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

static int list_one(void *ctx, const struct account_info *i)
{
	struct request *r = ctx;
	if (r->json)
		show(r, i, NULL);
	else
		request_span(r, i->address);
	return request_cancelled(r);
}

int verb_account_list(struct request *r)
{
	int e = account_list(r->node->service, list_one, r);
	return e ? request_failed(r, e, "account list") : EXIT_DONE;
}

int verb_account_show(struct request *r)
{
	for (size_t i = 0; i < r->n_args; i++) {
		struct account a;
		struct account_info info;
		struct settings settings;
		int status = verb_find_account(r, r->args[i], &a);
		if (status)
			return status;
		int e = account_show(r->node->service, a.id, &info);
		if (!e)
			e = settings_of(r->node->identity, a.id, &settings);
		if (e)
			return request_failed(r, e, r->args[i]);
		info.address = span_of(a.address);
		show(r, &info, &settings);
	}
	return EXIT_DONE;
}

int verb_account_password(struct request *r)
{
	struct buffer verifiers = { 0 };
	struct actor actor = verb_actor(r);
	int64_t *ids = calloc(r->n_args, sizeof *ids);
	int status = ids ? EXIT_DONE : request_error(r, EXIT_FAILED, "no memory");
	for (size_t i = 0; !status && i < r->n_args; i++) {
		struct account a;
		status = verb_find_account(r, r->args[i], &a);
		if (!status)
			ids[i] = a.id;
	}
	if (!status)
		status = ask_verifiers(r, &verifiers);
	for (size_t i = 0; !status && i < r->n_args; i += PASSWORD_BATCH) {
		size_t n = r->n_args - i < PASSWORD_BATCH ? r->n_args - i : PASSWORD_BATCH;
		int e = account_password(r->node->service, ids + i, n, buffer_span(&verifiers), &actor);
		status = e ? request_failed(r, e, "account password") : EXIT_DONE;
	}
	buffer_free(&verifiers);
	free(ids);
	return status;
}

int verb_account_remove(struct request *r)
{
	struct actor actor = verb_actor(r);
	for (size_t i = 0; i < r->n_args; i++) {
		struct account a;
		int status = verb_find_account(r, r->args[i], &a);
		if (status)
			return status;
		int e = account_remove(r->node->service, a.id, &actor);
		if (e)
			return request_failed(r, e, r->args[i]);
		if (!r->json)
			request_line(r, "%s is removed; 'perdura restore %s --at 1m --yes' brings it back", a.address, a.address);
	}
	return EXIT_DONE;
}
