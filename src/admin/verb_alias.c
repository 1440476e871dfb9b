/* perdura alias add|list|remove */
#include <stdio.h>

#include "arena.h"
#include "directory_write.h"
#include "fail.h"
#include "route.h"
#include "verb_common.h"

/* "@domain" or an address; else an exit status, the error is said. */
static int take_alias(struct request *r, const char *given, char out[ADDRESS_MAX])
{
	char domain[ADDRESS_MAX];
	if (*given != '@') {
		int e = identity_complete(r->node->identity, span_of(given), out);
		return e ? request_failed(r, e, given) : EXIT_DONE;
	}
	int status = verb_take_domain(r, given + 1, domain);
	if (!status)
		snprintf(out, ADDRESS_MAX, "@%.*s", ADDRESS_MAX - 2, domain);
	return status;
}

/* One to be added must be possible. One to be removed is compared with what is kept: what never could be one is not there. */
static int take_target(struct request *r, const char *alias, const char *given, bool add, char out[ADDRESS_MAX])
{
	if (!add)
		return take_alias(r, given, out);
	int e = route_check(r->node->identity, span_of(alias), span_of(given), out);
	return e ? request_failed(r, e, alias) : EXIT_DONE;
}

static int take_targets(struct request *r, const char *alias, bool add, struct arena *a, struct span **out)
{
	struct span *list = arena_alloc(a, r->n_args * sizeof *list);
	char target[ADDRESS_MAX];
	if (!list)
		return request_error(r, EXIT_FAILED, "too many targets at once");
	for (size_t i = 1; i < r->n_args; i++) {
		int status = take_target(r, alias, r->args[i], add, target);
		if (status)
			return status;
		list[i - 1] = arena_copy(a, span_of(target));
	}
	*out = list;
	return EXIT_DONE;
}

static int change_alias(struct request *r, bool add)
{
	struct arena arena = { 0 };
	struct actor actor = verb_actor(r);
	struct span *targets = NULL;
	char alias[ADDRESS_MAX];
	int status = take_alias(r, r->args[0], alias);
	if (!status)
		status = take_targets(r, alias, add, &arena, &targets);
	if (!status) {
		int e = (add ? alias_add : alias_remove)(r->node->service, span_of(alias), targets, r->n_args - 1, &actor);
		if (e == ERR_NOT_FOUND && !add)
			status = request_error(r, EXIT_FAILED, "%s: there is no such alias ('perdura alias list' shows all)", alias);
		else
			status = e ? request_failed(r, e, add ? "alias add" : alias) : EXIT_DONE;
	}
	arena_free(&arena);
	return status;
}

int verb_alias_add(struct request *r)
{
	return change_alias(r, true);
}

int verb_alias_remove(struct request *r)
{
	return change_alias(r, false);
}

static bool next_line(struct span *lines, struct span *one)
{
	ssize_t end = span_find(*lines, '\n');
	if (end < 0)
		return false;
	*one = span_sub(*lines, 0, (size_t)end);
	*lines = span_sub(*lines, (size_t)end + 1, lines->n);
	return true;
}

static int list_one(void *ctx, struct span alias, struct span targets)
{
	struct request *r = ctx;
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	struct span one;
	if (!r->json) {
		buffer_put_span(&b, alias);
		while (next_line(&targets, &one))
			buffer_printf(&b, " %.*s", SPAN_ARG(one));
		verb_json_line(r, &b);
		return request_cancelled(r);
	}
	json_put_open(&j, '{');
	json_put_key(&j, "alias"), json_put_text(&j, alias);
	json_put_key(&j, "targets"), json_put_open(&j, '[');
	while (next_line(&targets, &one))
		json_put_text(&j, one);
	json_put_close(&j, ']');
	json_put_close(&j, '}');
	verb_json_line(r, &b);
	return request_cancelled(r);
}

int verb_alias_list(struct request *r)
{
	int e = alias_list(r->node->service, list_one, r);
	return e ? request_failed(r, e, "alias list") : EXIT_DONE;
}
