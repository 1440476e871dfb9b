#include "settings.h"

#include <stdio.h>

#include "clock.h"
#include "fail.h"
#include "identity_private.h"
#include "meta.h"
#include "quantity.h"
#include "system.h"

#define DAY_US (86400 * SECOND_US)

enum setting_type {
	TYPE_size = QUANTITY_SIZE,
	TYPE_duration = QUANTITY_DURATION,
	TYPE_address,
};

struct row {
	enum setting_type type;
	const char *name;
	size_t offset;
	const char *fallback; /* the default */
	int64_t least, most;
	unsigned where;       /* it may be set: enum settings_scope */
	const char *help;
};

#define CLUSTER SETTINGS_CLUSTER
#define DOMAIN SETTINGS_DOMAIN
#define ACCOUNT SETTINGS_ACCOUNT
static const struct row rows[] = {
#define SETTING(type, name, field, ...) { TYPE_##type, name, offsetof(struct settings, field), __VA_ARGS__ },
#include "settings.def"
#undef SETTING
};
enum { ROWS = sizeof rows / sizeof *rows, CLUSTER_MAX = 1000 };

static void *field(struct settings *s, const struct row *r)
{
	return (char *)s + r->offset;
}

static const struct row *find_row(struct span name, unsigned where)
{
	for (size_t i = 0; i < ROWS; i++)
		if ((rows[i].where & where) && span_eq(span_of(rows[i].name), name))
			return &rows[i];
	return NULL;
}

static void write_number(const struct row *r, int64_t v, struct buffer *out)
{
	quantity_write((enum quantity)r->type, v, out);
}

static void write_bounds(const struct row *r, struct buffer *out)
{
	if (r->type == TYPE_address) {
		buffer_puts(out, "an address, or empty");
		return;
	}
	write_number(r, r->least, out);
	buffer_puts(out, " to ");
	write_number(r, r->most, out);
}

static void write_value(const struct row *r, struct settings *s, struct buffer *out)
{
	if (r->type == TYPE_address)
		buffer_puts(out, field(s, r));
	else
		write_number(r, *(int64_t *)field(s, r), out);
}

static int bad_value(const struct row *r, struct span value)
{
	struct buffer bounds = { 0 };
	write_bounds(r, &bounds);
	int e = fail_with(ERR_INVALID, "%s=%.*s: wants a %s from %.*s", r->name, SPAN_ARG(value),
		quantity_name((enum quantity)r->type), (int)bounds.n, bounds.p);
	buffer_free(&bounds);
	return e;
}

/* A value as it is kept. */
static int take_value(const struct row *r, struct span value, struct settings *out)
{
	int64_t v;
	if (r->type == TYPE_address) {
		if (value.n >= ADDRESS_MAX)
			return fail_with(ERR_INVALID, "%s: an address has at most %d bytes", r->name, ADDRESS_MAX - 1);
		snprintf(field(out, r), ADDRESS_MAX, "%.*s", SPAN_ARG(value));
		return OK;
	}
	if (!quantity_parse((enum quantity)r->type, value, &v) || v < r->least || v > r->most)
		return bad_value(r, value);
	*(int64_t *)field(out, r) = v;
	return OK;
}

/* ---- What counts */

struct resolved {
	struct settings settings;
	enum settings_scope from[ROWS]; /* by the first row of the field */
	int64_t message_ceiling;
};

static enum settings_scope *from_of(struct resolved *q, const struct row *r)
{
	const struct row *first = rows;
	while (first->offset != r->offset)
		first++;
	return &q->from[first - rows];
}

/* A name that is unknown was set by a later version of the program: it does not count here. */
static int apply(struct resolved *q, enum settings_scope where, struct span name, struct span value)
{
	const struct row *r = find_row(name, where);
	int e = r ? take_value(r, value, &q->settings) : OK;
	if (e)
		return fail_with(ERR_CORRUPT, "the system log holds %.*s=%.*s", SPAN_ARG(name), SPAN_ARG(value));
	if (r)
		*from_of(q, r) = where;
	return OK;
}

static bool next_line(struct span *lines, struct span *name, struct span *value)
{
	while (lines->n) {
		ssize_t end = span_find(*lines, '\n');
		struct span line = end < 0 ? *lines : span_sub(*lines, 0, (size_t)end);
		ssize_t equals = span_find(line, '=');
		*lines = span_sub(*lines, line.n + 1, lines->n);
		if (equals < 0)
			continue;
		*name = span_sub(line, 0, (size_t)equals);
		*value = span_sub(line, (size_t)equals + 1, line.n);
		return true;
	}
	return false;
}

static int apply_lines(struct resolved *q, enum settings_scope where, struct span lines)
{
	struct span name, value;
	int e = OK;
	while (!e && next_line(&lines, &name, &value))
		e = apply(q, where, name, value);
	return e;
}

void settings_default(struct settings *out)
{
	*out = (struct settings){ 0 };
	for (size_t i = 0; i < ROWS; i++)
		take_value(&rows[i], span_of(rows[i].fallback), out);
}

static int apply_cluster(struct meta_txn *t, struct resolved *q)
{
	struct meta_rows r;
	int e = meta_query(t, &r, META_LIVE_ITEMS, "iiii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_SETTINGS, (int64_t)0,
		(int64_t)CLUSTER_MAX), bad = OK;
	if (e)
		return e;
	while (!bad && (e = meta_next(&r)) > 0)
		bad = apply(q, SETTINGS_CLUSTER, meta_span(&r, 3), meta_span(&r, 4));
	meta_done(&r);
	q->message_ceiling = q->settings.message_max;
	return bad ? bad : e;
}

static int apply_domain(struct meta_txn *t, struct resolved *q, struct span domain)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_ITEM, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_DOMAINS, domain);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	e = apply_lines(q, SETTINGS_DOMAIN, meta_span(&r, 4));
	meta_done(&r);
	return e;
}

/* The account's address and its own lines; of one that was removed, those it had. */
static int read_account(struct meta_txn *t, int64_t account, struct buffer *address, struct buffer *lines)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, account);
	if (e == ERR_NOT_FOUND)
		e = meta_one(t, &r, META_PAST_ITEM_OF_UID, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, account);
	if (e)
		return e;
	buffer_put_span(address, meta_span(&r, 3));
	buffer_put_span(lines, meta_span(&r, 4));
	meta_done(&r);
	return buffer_ok(address) && buffer_ok(lines) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

static int apply_account(struct meta_txn *t, struct resolved *q, int64_t account)
{
	struct buffer address = { 0 }, lines = { 0 };
	struct address_parts parts;
	int e = read_account(t, account, &address, &lines);
	address_split(buffer_span(&address), &parts);
	if (!e)
		e = apply_domain(t, q, parts.domain);
	if (!e)
		e = apply_lines(q, SETTINGS_ACCOUNT, buffer_span(&lines));
	buffer_free(&address);
	buffer_free(&lines);
	return e;
}

struct question {
	enum settings_scope where;
	int64_t account;
	struct span domain;
	struct resolved answer;
};

/* All but the domain of an account, which its address names. */
static void expect_first(struct meta_txn *t, const struct question *k)
{
	meta_expect(t, META_LIVE_ITEMS, "iiii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_SETTINGS, (int64_t)0, (int64_t)CLUSTER_MAX);
	if (k->where == SETTINGS_DOMAIN)
		meta_expect(t, META_NAME_ITEM, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_DOMAINS, k->domain);
	if (k->where == SETTINGS_ACCOUNT)
		meta_expect(t, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, k->account);
}

static int read_settings(struct meta_txn *t, void *arg)
{
	struct question *k = arg;
	struct resolved *q = &k->answer;
	*q = (struct resolved){ 0 };
	settings_default(&q->settings);
	expect_first(t, k);
	int e = apply_cluster(t, q);
	if (!e && k->where == SETTINGS_DOMAIN)
		e = apply_domain(t, q, k->domain);
	if (!e && k->where == SETTINGS_ACCOUNT)
		e = apply_account(t, q, k->account);
	if (q->settings.message_max > q->message_ceiling)
		q->settings.message_max = q->message_ceiling;
	return e;
}

/* key: what it is remembered by. */
static int ask(struct identity *i, struct question *k, enum memo_kind kind, struct span key, struct settings *out)
{
	if (memo_get(i->memo, kind, key, out, sizeof *out))
		return OK;
	uint64_t since = memo_now(i->memo);
	int e = meta_read(i->meta, read_settings, k);
	if (e)
		return e;
	*out = k->answer.settings;
	memo_put(i->memo, since, kind, key, out, sizeof *out);
	return OK;
}

int settings_of(struct identity *i, int64_t account, struct settings *out)
{
	struct question k = { .where = account ? SETTINGS_ACCOUNT : SETTINGS_CLUSTER, .account = account };
	return ask(i, &k, MEMO_SETTINGS, span_from(&account, sizeof account), out);
}

int settings_of_domain(struct identity *i, struct span domain, struct settings *out)
{
	struct question k = { .where = SETTINGS_DOMAIN, .domain = domain };
	return ask(i, &k, MEMO_DOMAIN_SETTINGS, domain, out);
}

/* ---- Showing and changing */

static int show(struct resolved *q, const struct row *r, int (*fn)(void *ctx, const struct setting *s), void *ctx)
{
	struct buffer value = { 0 }, bounds = { 0 };
	write_value(r, &q->settings, &value);
	write_bounds(r, &bounds);
	struct setting s = { .name = r->name, .type = r->type == TYPE_address ? "address" : quantity_name((enum quantity)r->type),
		.help = r->help, .value = buffer_span(&value), .fallback = span_of(r->fallback), .bounds = buffer_span(&bounds),
		.from = *from_of(q, r) };
	int stop = fn(ctx, &s);
	buffer_free(&value);
	buffer_free(&bounds);
	return stop;
}

int settings_list(struct identity *i, enum settings_scope where, int64_t account, struct span domain,
                  int (*fn)(void *ctx, const struct setting *s), void *ctx)
{
	struct question k = { .where = where, .account = account, .domain = domain };
	int e = meta_read(i->meta, read_settings, &k);
	for (size_t n = 0; !e && n < ROWS; n++)
		if ((rows[n].where & where) && show(&k.answer, &rows[n], fn, ctx))
			break;
	return e;
}

static const char *where_name(enum settings_scope where)
{
	return where == SETTINGS_CLUSTER ? "the cluster" : where == SETTINGS_DOMAIN ? "a domain" : "an account";
}

int settings_check(const struct identity *i, enum settings_scope where, struct span name, struct span value,
                   struct buffer *out)
{
	struct settings scratch;
	char address[ADDRESS_MAX];
	const struct row *r = find_row(name, where);
	if (!r && find_row(name, ~0u))
		return fail_with(ERR_INVALID, "%.*s is no setting of %s", SPAN_ARG(name), where_name(where));
	if (!r)
		return fail_with(ERR_INVALID, "there is no setting \"%.*s\"; \"perdura set\" lists them all", SPAN_ARG(name));
	if (r->type == TYPE_address && value.n) {
		int e = identity_complete(i, value, address);
		if (e)
			return e;
		value = span_of(address);
	}
	int e = value.n ? take_value(r, value, &scratch) : OK;
	if (!e)
		buffer_put_span(out, value);
	return e;
}

void settings_lines_put(struct span lines, struct span name, struct span value, struct buffer *out)
{
	struct span n, v;
	while (next_line(&lines, &n, &v))
		if (!span_eq(n, name))
			buffer_printf(out, "%.*s=%.*s\n", SPAN_ARG(n), SPAN_ARG(v));
	if (value.n)
		buffer_printf(out, "%.*s=%.*s\n", SPAN_ARG(name), SPAN_ARG(value));
}
