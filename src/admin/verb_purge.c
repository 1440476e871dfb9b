/* perdura purge */
#include "fail.h"
#include "instant.h"
#include "log.h"
#include "purge.h"
#include "verb_common.h"

struct field {
	const char *name, *one, *many; /* in JSON; for people */
	uint64_t value;
};

enum { FIELDS = 11 };

static void list_fields(const struct purge_counts *c, struct field out[FIELDS])
{
	const struct field all[FIELDS] = {
		{ "accounts", "removed account", "removed accounts", c->accounts },
		{ "emails", "message", "messages", c->emails },
		{ "bytes", "byte", "bytes", c->bytes },
		{ "versions", "version", "versions", c->versions },
		{ "folders", "definition of a folder", "definitions of folders", c->folders },
		{ "changes", "change", "changes", c->changes },
		{ "deliveries", "remembered delivery", "remembered deliveries", c->deliveries },
		{ "condemned", "body condemned", "bodies condemned", c->condemned },
		{ "bodies", "body removed", "bodies removed", c->bodies },
		{ "packs", "pack removed", "packs removed", c->packs },
		{ "rewritten", "pack rewritten", "packs rewritten", c->rewritten },
	};
	memcpy(out, all, sizeof all);
}

static void put_counts(const struct purge_counts *c, struct buffer *b)
{
	struct field f[FIELDS];
	size_t before = b->n;
	list_fields(c, f);
	for (size_t i = 0; i < FIELDS; i++)
		if (f[i].value)
			buffer_printf(b, "%s%llu %s", b->n > before ? ", " : "", (unsigned long long)f[i].value,
			              f[i].value == 1 ? f[i].one : f[i].many);
	if (b->n == before)
		buffer_puts(b, "nothing");
}

static void put_counts_json(const struct purge_counts *c, struct json_writer *j)
{
	struct field f[FIELDS];
	list_fields(c, f);
	for (size_t i = 0; i < FIELDS; i++) {
		json_put_key(j, f[i].name);
		json_put_int(j, (int64_t)f[i].value);
	}
}

static void say_json(struct request *r, const struct purge_account *a)
{
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	char floor[40];
	instant_write(a->floor, floor);
	json_put_open(&j, '{');
	json_put_key(&j, "account"), json_put_text(&j, span_of(a->name));
	json_put_key(&j, "before");
	if (a->floor)
		json_put_text(&j, span_of(floor));
	else
		json_put_null(&j);
	put_counts_json(&a->counts, &j);
	json_put_key(&j, "kept");
	json_put_open(&j, '[');
	for (size_t i = 0; i < a->n_holds; i++) {
		json_put_open(&j, '{');
		json_put_key(&j, "by"), json_put_text(&j, span_of(a->holds[i].what));
		json_put_key(&j, "versions"), json_put_int(&j, (int64_t)a->holds[i].versions);
		json_put_close(&j, '}');
	}
	json_put_close(&j, ']');
	json_put_close(&j, '}');
	verb_json_line(r, &b);
}

static void say_plain(struct request *r, const struct purge_account *a)
{
	struct buffer b = { 0 };
	char floor[40];
	buffer_printf(&b, "%s: ", a->name);
	put_counts(&a->counts, &b);
	if (a->floor) {
		instant_write(a->floor, floor);
		buffer_printf(&b, "; the past before %s", floor);
	}
	for (size_t i = 0; i < a->n_holds; i++) {
		buffer_puts(&b, i ? ", " : "; kept: ");
		if (a->holds[i].versions)
			buffer_printf(&b, "%llu version%s by ", (unsigned long long)a->holds[i].versions,
			              a->holds[i].versions == 1 ? "" : "s");
		else
			buffer_puts(&b, "all by ");
		buffer_puts(&b, a->holds[i].what);
	}
	request_span(r, buffer_span(&b));
	buffer_free(&b);
}

static void say(void *ctx, const struct purge_account *a)
{
	struct request *r = ctx;
	(r->json ? say_json : say_plain)(r, a);
}

static void report(struct request *r, const struct purge_report *p, bool dry_run)
{
	struct buffer b = { 0 };
	if (r->json) {
		struct json_writer j = { &b, false };
		json_put_open(&j, '{');
		put_counts_json(&p->counts, &j);
		json_put_key(&j, "waiting"), json_put_int(&j, (int64_t)p->waiting);
		json_put_key(&j, "busy"), json_put_int(&j, (int64_t)p->busy);
		json_put_key(&j, "ms"), json_put_int(&j, p->took / 1000);
		json_put_close(&j, '}');
	} else {
		buffer_puts(&b, dry_run ? "would go: " : "gone: ");
		put_counts(&p->counts, &b);
		if (p->waiting)
			buffer_printf(&b, "; %llu condemned wait for the end of their grace", (unsigned long long)p->waiting);
		if (p->busy)
			buffer_printf(&b, "; %llu accounts left out for now: an operation on them is not finished",
			              (unsigned long long)p->busy);
	}
	request_span(r, buffer_span(&b));
	buffer_free(&b);
}

static void write_log(const struct purge_report *p)
{
	struct buffer b = { 0 };
	purge_report_write(p, &b);
	log_line(LOG_INFO, "purge", "%.*s", SPAN_ARG(buffer_span(&b)));
	buffer_free(&b);
}

int verb_purge(struct request *r)
{
	struct purge_report p = { 0 };
	struct purge_request q = { .dry_run = request_has(r, "dry-run"), .clock_is_right = request_has(r, "clock-is-right"),
		                   .say = say, .cancelled = verb_cancelled, .ctx = r };
	int e = purge_run(r->node->purge, &q, &p);
	if (e == ERR_CONFLICT)
		return request_error(r, EXIT_RETRY, "purge: %s: try again when it is done", fail_detail());
	if (e)
		return request_failed(r, e, "purge");
	report(r, &p, q.dry_run);
	if (!q.dry_run)
		write_log(&p);
	if (p.cancelled)
		return request_error(r, EXIT_RETRY, "purge was broken off; the next one goes on");
	return EXIT_DONE;
}
