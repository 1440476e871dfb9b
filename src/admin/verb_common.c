#include "verb_common.h"

#include "fail.h"

int verb_find_account(struct request *r, const char *address, struct account *out)
{
	int e = directory_find(r->node->identity, span_of(address), out);
	if (e == ERR_NOT_FOUND)
		return request_error(r, EXIT_FAILED, "%s: there is no such account ('perdura account list' shows all)", address);
	return e ? request_failed(r, e, address) : EXIT_DONE;
}

int verb_take_domain(struct request *r, const char *given, char out[ADDRESS_MAX])
{
	int e = domain_complete(span_of(given), out);
	return e ? request_failed(r, e, given) : EXIT_DONE;
}

struct actor verb_actor(const struct request *r)
{
	return (struct actor){ .name = "admin", .session = r->session, .client = "perdura" };
}

void verb_json_line(struct request *r, struct buffer *b)
{
	request_span(r, buffer_span(b));
	buffer_free(b);
}

struct span verb_option(const struct request *r, const char *name)
{
	const char *value = request_option(r, name);
	return value ? span_of(value) : (struct span){ 0 };
}

void verb_say(void *ctx, const char *line)
{
	struct request *r = ctx;
	if (!r->json)
		request_line(r, "%s", line);
}

void verb_progress(void *ctx, uint64_t done, uint64_t total)
{
	request_progress(ctx, done, total, "messages");
}

int verb_cancelled(void *ctx)
{
	return request_cancelled(ctx);
}
