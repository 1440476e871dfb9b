/* perdura domain add|list|remove */
#include "arena.h"
#include "directory_write.h"
#include "fail.h"
#include "verb_common.h"

int verb_domain_add(struct request *r)
{
	struct arena arena = { 0 };
	struct actor actor = verb_actor(r);
	struct span *list = arena_alloc(&arena, r->n_args * sizeof *list);
	char domain[ADDRESS_MAX];
	int status = list ? EXIT_DONE : request_error(r, EXIT_FAILED, "too many domains at once");
	for (size_t i = 0; !status && i < r->n_args; i++) {
		status = verb_take_domain(r, r->args[i], domain);
		if (!status)
			list[i] = arena_copy(&arena, span_of(domain));
	}
	if (!status) {
		int e = domain_add(r->node->service, list, r->n_args, &actor);
		status = e ? request_failed(r, e, "domain add") : EXIT_DONE;
	}
	arena_free(&arena);
	return status;
}

static int list_one(void *ctx, struct span domain, struct span settings)
{
	struct request *r = ctx;
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	if (!r->json) {
		request_span(r, domain);
		return request_cancelled(r);
	}
	json_put_open(&j, '{');
	json_put_key(&j, "domain"), json_put_text(&j, domain);
	json_put_close(&j, '}');
	verb_json_line(r, &b);
	return request_cancelled(r);
}

int verb_domain_list(struct request *r)
{
	int e = domain_list(r->node->service, list_one, r);
	return e ? request_failed(r, e, "domain list") : EXIT_DONE;
}

int verb_domain_remove(struct request *r)
{
	struct actor actor = verb_actor(r);
	char domain[ADDRESS_MAX];
	for (size_t i = 0; i < r->n_args; i++) {
		int status = verb_take_domain(r, r->args[i], domain);
		if (status)
			return status;
		int e = domain_remove(r->node->service, span_of(domain), &actor);
		if (e == ERR_NOT_FOUND)
			return request_error(r, EXIT_FAILED, "%s: there is no such domain ('perdura domain list' shows all)", domain);
		if (e)
			return request_failed(r, e, domain);
	}
	return EXIT_DONE;
}
