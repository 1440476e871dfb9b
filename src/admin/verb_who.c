/* perdura who, perdura kick ADDRESS|SESSION... */
#include <stdlib.h>

#include "clock.h"
#include "instant.h"
#include "loop.h"
#include "verb_common.h"

enum { LINE_ENDS = '\n' };

/* What is gathered under the loop's lock, and sent without it. */
struct gathered {
	bool json;
	struct buffer lines;
};

/* Folders and clients may hold anything but what would break a line. */
static void put_word(struct buffer *b, const char *s)
{
	for (; s && *s; s++)
		buffer_putc(b, (unsigned char)*s < ' ' || *s == 0x7f ? '?' : *s);
	buffer_puts(b, "  ");
}

static void put_plain(struct buffer *b, const struct conn_info *c, const char *since)
{
	const char *user = c->facts[CONN_USER];
	buffer_printf(b, "%lld  %s  %s  %s  %s  since %s  idle %llds  ", (long long)c->id, user ? user : "-", c->protocol,
		c->peer, c->tls ? c->tls : "-", since, (long long)(c->idle / SECOND_US));
	put_word(b, c->facts[CONN_FOLDER]);
	put_word(b, c->facts[CONN_CLIENT]);
	while (b->n && b->p[b->n - 1] == ' ')
		b->n--;
}

static void put_fact(struct json_writer *j, const char *key, const char *value)
{
	json_put_key(j, key);
	json_put_text(j, span_of(value ? value : ""));
}

static void put_json(struct buffer *b, const struct conn_info *c, const char *since)
{
	struct json_writer j = { b, false };
	json_put_open(&j, '{');
	json_put_key(&j, "session"), json_put_int(&j, c->id);
	put_fact(&j, "account", c->facts[CONN_USER]);
	put_fact(&j, "protocol", c->protocol);
	put_fact(&j, "address", c->peer);
	put_fact(&j, "tls", c->tls);
	put_fact(&j, "since", since);
	json_put_key(&j, "idle_s"), json_put_int(&j, c->idle / SECOND_US);
	put_fact(&j, "folder", c->facts[CONN_FOLDER]);
	put_fact(&j, "client", c->facts[CONN_CLIENT]);
	json_put_close(&j, '}');
}

static const char *gather(void *ctx, const struct conn_info *c)
{
	struct gathered *g = ctx;
	char since[40];
	instant_write(c->since, since);
	(g->json ? put_json : put_plain)(&g->lines, c, since);
	buffer_putc(&g->lines, LINE_ENDS);
	return NULL;
}

int verb_who(struct request *r)
{
	struct gathered g = { .json = r->json };
	loop_each(r->node->loop, gather, &g);
	for (struct span rest = buffer_span(&g.lines); rest.n;) {
		size_t end = (size_t)span_find(rest, LINE_ENDS);
		request_span(r, span_sub(rest, 0, end));
		rest = span_sub(rest, end + 1, rest.n);
	}
	buffer_free(&g.lines);
	return EXIT_DONE;
}

struct wanted {
	bool is_session;
	uint64_t session;
	char address[ADDRESS_MAX];
};

static const char *is_wanted(void *ctx, const struct conn_info *c)
{
	const struct wanted *w = ctx;
	const char *user = c->facts[CONN_USER];
	bool wanted = w->is_session ? (uint64_t)c->id == w->session : user && strcmp(user, w->address) == 0;
	return wanted ? "Ended by an administrator" : NULL;
}

static int kick(struct request *r, const char *word, int *status)
{
	struct wanted w = { 0 };
	w.is_session = span_u64(span_of(word), INT64_MAX, &w.session);
	int e = w.is_session ? 0 : identity_complete(r->node->identity, span_of(word), w.address);
	if (e)
		return request_failed(r, e, word);
	int n = loop_each(r->node->loop, is_wanted, &w);
	if (n == 0)
		*status = request_error(r, EXIT_FAILED, "%s: no such session is open ('perdura who' shows all)", word);
	else if (r->json)
		request_line(r, "{\"ended\":%d}", n);
	else
		request_line(r, "%s: %d %s ended", word, n, n == 1 ? "session" : "sessions");
	return EXIT_DONE;
}

int verb_kick(struct request *r)
{
	int status = EXIT_DONE;
	for (size_t i = 0; i < r->n_args; i++) {
		int failed = kick(r, r->args[i], &status);
		if (failed)
			return failed;
	}
	return status;
}
