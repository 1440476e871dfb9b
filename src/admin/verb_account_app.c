/* perdura account app add|list|remove */
#include "app.h"
#include "fail.h"
#include "instant.h"
#include "verb_common.h"

static void put_protocol(void *ctx, struct span name)
{
	json_put_text(ctx, name);
}

/* No limit is an empty list. */
static void put_protocols(struct json_writer *j, unsigned protocols)
{
	json_put_key(j, "protocols"), json_put_open(j, '[');
	login_protocols_each(protocols, put_protocol, j);
	json_put_close(j, ']');
}

static void show_secret(struct request *r, const struct account *a, const char *secret, unsigned protocols)
{
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	if (!r->json) {
		request_line(r, "%s", secret);
		return;
	}
	json_put_open(&j, '{');
	json_put_key(&j, "address"), json_put_text(&j, span_of(a->address));
	json_put_key(&j, "name"), json_put_text(&j, span_of(r->args[1]));
	put_protocols(&j, protocols);
	json_put_key(&j, "password"), json_put_text(&j, span_of(secret));
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

int verb_account_app_add(struct request *r)
{
	struct account a;
	struct actor actor = verb_actor(r);
	char secret[APP_TEXT];
	unsigned protocols = 0;
	int e = login_protocols_read(verb_option(r, "protocol"), &protocols);
	if (e)
		return request_failed(r, e, "account app add");
	int status = verb_find_account(r, r->args[0], &a);
	if (status)
		return status;
	e = app_add(r->node->service, a.id, span_of(r->args[1]), protocols, &actor, secret);
	if (e)
		return request_failed(r, e, r->args[0]);
	show_secret(r, &a, secret, protocols);
	explicit_bzero(secret, sizeof secret);
	return EXIT_DONE;
}

static void add_protocol(void *ctx, struct span name)
{
	buffer_printf(ctx, "%s%.*s", ((struct buffer *)ctx)->n ? "," : "", SPAN_ARG(name));
}

static void show_app(struct request *r, const struct app_info *i)
{
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	char made[40];
	instant_write(i->made, made);
	if (!r->json) {
		login_protocols_each(i->protocols, add_protocol, &b);
		request_line(r, "%s  since %s  %.*s", i->name, made, b.n ? (int)b.n : 3, b.n ? b.p : "all");
		buffer_free(&b);
		return;
	}
	json_put_open(&j, '{');
	json_put_key(&j, "name"), json_put_text(&j, span_of(i->name));
	json_put_key(&j, "created"), json_put_text(&j, span_of(made));
	put_protocols(&j, i->protocols);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

int verb_account_app_list(struct request *r)
{
	struct app_info list[APP_PASSWORDS_MAX];
	struct account a;
	size_t n = 0;
	int status = verb_find_account(r, r->args[0], &a);
	if (status)
		return status;
	int e = app_list(r->node->service, a.id, list, &n);
	if (e)
		return request_failed(r, e, r->args[0]);
	for (size_t i = 0; i < n; i++)
		show_app(r, &list[i]);
	return EXIT_DONE;
}

int verb_account_app_remove(struct request *r)
{
	struct actor actor = verb_actor(r);
	struct account a;
	int status = verb_find_account(r, r->args[0], &a);
	if (status)
		return status;
	for (size_t i = 1; i < r->n_args; i++) {
		int e = app_remove(r->node->service, a.id, span_of(r->args[i]), &actor);
		if (e)
			return request_failed(r, e, r->args[0]);
	}
	return EXIT_DONE;
}
