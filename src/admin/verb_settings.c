/* perdura set, domain set, account set: settings of the cluster, of a domain, of an account */
#include "arena.h"
#include "directory_write.h"
#include "fail.h"
#include "settings.h"
#include "verb_common.h"

/* Whose settings. */
struct owner {
	enum settings_scope where;
	struct span domain;
	int64_t account;
};

static const char *from_name(enum settings_scope from)
{
	return from == SETTINGS_ACCOUNT ? "account" : from == SETTINGS_DOMAIN ? "domain" : from == SETTINGS_CLUSTER ? "cluster" : "default";
}

static void show_json(struct request *r, const struct setting *s)
{
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "name"), json_put_text(&j, span_of(s->name));
	json_put_key(&j, "type"), json_put_text(&j, span_of(s->type));
	json_put_key(&j, "value"), json_put_text(&j, s->value);
	json_put_key(&j, "from"), json_put_text(&j, span_of(from_name(s->from)));
	json_put_key(&j, "default"), json_put_text(&j, s->fallback);
	json_put_key(&j, "bounds"), json_put_text(&j, s->bounds);
	json_put_key(&j, "help"), json_put_text(&j, span_of(s->help));
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

static int show(void *ctx, const struct setting *s)
{
	struct request *r = ctx;
	if (r->json)
		show_json(r, s);
	else
		request_line(r, "%s = %.*s\n    %s\n    from the %s; default %.*s; %.*s", s->name, SPAN_ARG(s->value), s->help,
		             from_name(s->from), SPAN_ARG(s->fallback.n ? s->fallback : SPAN("empty")), SPAN_ARG(s->bounds));
	return request_cancelled(r);
}

/* NAME=VALUE words from the n-th argument on, checked. */
static int take_values(struct request *r, const struct owner *o, size_t first, struct arena *a, struct setting_value **out)
{
	struct setting_value *v = arena_alloc(a, (r->n_args - first) * sizeof *v);
	struct buffer kept = { 0 };
	int status = v ? EXIT_DONE : request_error(r, EXIT_FAILED, "too many settings at once");
	for (size_t i = first; !status && i < r->n_args; i++) {
		struct span word = span_of(r->args[i]);
		ssize_t equals = span_find(word, '=');
		if (equals < 0) {
			status = request_error(r, EXIT_USAGE, "\"%s\": wants NAME=VALUE", r->args[i]);
			break;
		}
		struct span name = span_sub(word, 0, (size_t)equals);
		buffer_reset(&kept);
		int e = settings_check(r->node->identity, o->where, name, span_sub(word, (size_t)equals + 1, word.n), &kept);
		v[i - first] = (struct setting_value){ name, arena_copy(a, buffer_span(&kept)) };
		status = e ? request_failed(r, e, "set") : EXIT_DONE;
	}
	buffer_free(&kept);
	*out = v;
	return status;
}

static int write_values(struct request *r, const struct owner *o, const struct setting_value *v, size_t n)
{
	struct actor actor = verb_actor(r);
	struct service *s = r->node->service;
	return o->where == SETTINGS_ACCOUNT ? account_set(s, o->account, v, n, &actor)
	     : o->where == SETTINGS_DOMAIN ? domain_set(s, o->domain, v, n, &actor) : settings_set(s, v, n, &actor);
}

/* Without values: what counts now. */
static int set_or_list(struct request *r, const struct owner *o, size_t first)
{
	struct arena arena = { 0 };
	struct setting_value *values;
	if (r->n_args == first) {
		int e = settings_list(r->node->identity, o->where, o->account, o->domain, show, r);
		return e ? request_failed(r, e, "set") : EXIT_DONE;
	}
	int status = take_values(r, o, first, &arena, &values);
	if (!status) {
		int e = write_values(r, o, values, r->n_args - first);
		if (e == ERR_NOT_FOUND && o->where == SETTINGS_DOMAIN)
			status = request_error(r, EXIT_FAILED, "%s: there is no such domain ('perdura domain add' makes it)", r->args[0]);
		else
			status = e ? request_failed(r, e, "set") : EXIT_DONE;
	}
	arena_free(&arena);
	return status;
}

int verb_set(struct request *r)
{
	struct owner o = { .where = SETTINGS_CLUSTER };
	return set_or_list(r, &o, 0);
}

int verb_domain_set(struct request *r)
{
	char domain[ADDRESS_MAX];
	int status = verb_take_domain(r, r->args[0], domain);
	struct owner o = { .where = SETTINGS_DOMAIN, .domain = span_of(domain) };
	return status ? status : set_or_list(r, &o, 1);
}

int verb_account_set(struct request *r)
{
	struct account a;
	int status = verb_find_account(r, r->args[0], &a);
	struct owner o = { .where = SETTINGS_ACCOUNT, .account = a.id };
	return status ? status : set_or_list(r, &o, 1);
}
