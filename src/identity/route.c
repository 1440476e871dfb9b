#include "route.h"

#include <stdio.h>
#include <stdlib.h>

#include "directory.h"
#include "fail.h"
#include "identity_private.h"
#include "meta.h"
#include "settings.h"
#include "system.h"

/* Addresses that are still to be looked up, in the order they were met; none comes twice. */
struct walk {
	struct identity *i;
	struct route *out;
	struct span *met; /* ROUTE_STEPS_MAX */
	size_t n, at;
	struct span avoid; /* an alias that must not be met (route_check) */
	bool again;        /* an address was met that had been before */
};

/* What is kept under a name. */
struct found {
	struct span name;
	struct account account;  /* id 0: an alias */
	struct buffer targets;   /* of the alias, one a line */
};

static int read_alias(struct meta_txn *t, struct found *f)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_ITEM, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ALIASES, f->name);
	if (e)
		return e;
	buffer_reset(&f->targets);
	buffer_put_span(&f->targets, meta_span(&r, 4));
	meta_done(&r);
	return buffer_ok(&f->targets) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

static bool may_be_account(struct span name)
{
	return name.p[0] != '@';
}

static int read_either(struct meta_txn *t, void *arg)
{
	struct found *f = arg;
	f->account.id = 0;
	if (may_be_account(f->name))
		directory_expect(t, f->name);
	meta_expect(t, META_NAME_ITEM, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ALIASES, f->name);
	int e = may_be_account(f->name) ? directory_read(t, f->name, &f->account) : ERR_NOT_FOUND;
	return e == ERR_NOT_FOUND ? read_alias(t, f) : e;
}

/* name: complete. ERR_NOT_FOUND: neither an account nor an alias. */
static int look_up(struct walk *w, struct span name, struct found *f)
{
	f->name = name;
	if (may_be_account(name) && directory_recall(w->i, name, &f->account))
		return OK;
	uint64_t since = memo_now(w->i->memo);
	int e = meta_read(w->i->meta, read_either, f);
	if (!e && f->account.id)
		directory_remember(w->i, since, &f->account);
	return e;
}

static int meet(struct walk *w, struct span address)
{
	for (size_t i = 0; i < w->n; i++)
		if (span_ieq(w->met[i], address)) {
			w->again = true;
			return OK;
		}
	if (w->n == ROUTE_STEPS_MAX)
		return fail_with(ERR_CANNOT, "it leads along more than %d aliases", ROUTE_STEPS_MAX);
	w->met[w->n] = arena_copy(&w->out->arena, address);
	return w->met[w->n++].p ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

static int add_target(struct walk *w, int64_t account, struct span address, struct span detail)
{
	struct route *r = w->out;
	for (size_t i = 0; i < r->n; i++)
		if (r->list[i].account == account && span_ieq(r->list[i].address, address))
			return OK;
	if (r->n == ROUTE_TARGETS_MAX)
		return fail_with(ERR_CANNOT, "it leads to more than %d addresses", ROUTE_TARGETS_MAX);
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 4;
		struct route_target *list = realloc(r->list, cap * sizeof *list);
		if (!list)
			return fail_with(ERR_UNAVAILABLE, "no memory");
		r->list = list;
		r->cap = cap;
	}
	struct route_target t = { account, arena_copy(&r->arena, address), arena_copy(&r->arena, detail) };
	if (!t.address.p || !t.detail.p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	r->list[r->n++] = t;
	return OK;
}

/* address with "+detail" before its '@', unless it has one. */
static void put_with_detail(struct buffer *b, struct span address, struct span detail)
{
	struct address_parts p;
	address_split(address, &p);
	if (detail.n && !p.has_detail)
		buffer_printf(b, "%.*s+%.*s@%.*s", SPAN_ARG(p.local), SPAN_ARG(detail), SPAN_ARG(p.domain));
	else
		buffer_put_span(b, address);
}

/* "@other": the name that came in, in the other domain. */
static void put_in_domain(struct buffer *b, const struct address_parts *came, struct span at_domain)
{
	buffer_put_span(b, came->local);
	if (came->has_detail)
		buffer_printf(b, "+%.*s", SPAN_ARG(came->detail));
	buffer_put_span(b, at_domain);
}

static int meet_targets(struct walk *w, struct span lines, const struct address_parts *came, struct span detail)
{
	struct buffer b = { 0 };
	int e = OK;
	while (!e && lines.n) {
		ssize_t end = span_find(lines, '\n');
		struct span one = end < 0 ? lines : span_sub(lines, 0, (size_t)end);
		lines = span_sub(lines, one.n + 1, lines.n);
		buffer_reset(&b);
		if (one.n && one.p[0] == '@')
			put_in_domain(&b, came, one);
		else
			put_with_detail(&b, one, detail);
		e = b.n ? meet(w, buffer_span(&b)) : OK;
	}
	buffer_free(&b);
	return e;
}

/* What was found under a name that came with that detail. */
static int follow(struct walk *w, struct found *f, const struct address_parts *came, struct span detail)
{
	if (f->account.id == 0)
		return meet_targets(w, buffer_span(&f->targets), came, detail);
	struct buffer b = { 0 };
	put_with_detail(&b, span_of(f->account.address), detail);
	int e = add_target(w, f->account.id, buffer_span(&b), detail);
	buffer_free(&b);
	return e;
}

static int try_name(struct walk *w, struct span local, const struct address_parts *came, struct span detail, struct found *f)
{
	char whole[ADDRESS_MAX * 2], name[ADDRESS_MAX];
	int n = snprintf(whole, sizeof whole, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(came->domain));
	if (n < 0 || n >= (int)sizeof whole || address_complete(span_from(whole, (size_t)n), SPAN(""), name))
		return ERR_NOT_FOUND;
	if (span_eq(w->avoid, span_of(name)))
		return fail_with(ERR_INVALID, "it leads back to %s", name);
	int e = look_up(w, span_of(name), f);
	return e ? e : follow(w, f, came, detail);
}

static int try_postmaster(struct walk *w, const struct address_parts *came, struct span domain)
{
	struct settings settings;
	struct buffer b = { 0 };
	if (!span_ieq(came->local, SPAN("postmaster")))
		return ERR_NOT_FOUND;
	int e = settings_of_domain(w->i, domain, &settings);
	if (e || !*settings.postmaster)
		return e ? e : ERR_NOT_FOUND;
	put_with_detail(&b, span_of(settings.postmaster), came->detail);
	e = meet(w, buffer_span(&b));
	buffer_free(&b);
	return e;
}

static int try_catch_all(struct walk *w, const struct address_parts *came, struct span domain, struct found *f)
{
	char name[ADDRESS_MAX + 1];
	snprintf(name, sizeof name, "@%.*s", SPAN_ARG(domain));
	if (span_eq(w->avoid, span_of(name)))
		return fail_with(ERR_INVALID, "it leads back to %s", name);
	int e = look_up(w, span_of(name), f);
	return e ? e : meet_targets(w, buffer_span(&f->targets), came, SPAN(""));
}

/* Nobody of that name: fine for a target elsewhere, and passed over in a domain of ours. */
static int try_elsewhere(struct walk *w, struct span address, struct span domain)
{
	char name[ADDRESS_MAX];
	int e = directory_find_domain(w->i, domain);
	if (e != ERR_NOT_FOUND)
		return e;
	bool alias = w->at > 1 && address_complete(address, SPAN(""), name) == OK;
	return alias ? add_target(w, 0, address, SPAN("")) : OK;
}

static int step(struct walk *w, struct span address)
{
	struct address_parts came;
	struct found f = { 0 };
	char domain[ADDRESS_MAX];
	address_split(address, &came);
	struct span local = address;
	if (came.domain.p)
		local.n -= came.domain.n + 1;
	else
		came.domain = span_of(w->i->domain);
	if (domain_complete(came.domain, domain))
		return OK;
	int e = try_name(w, local, &came, SPAN(""), &f);
	if (e == ERR_NOT_FOUND && came.has_detail)
		e = try_name(w, came.local, &came, came.detail, &f);
	if (e == ERR_NOT_FOUND)
		e = try_postmaster(w, &came, span_of(domain));
	if (e == ERR_NOT_FOUND)
		e = try_catch_all(w, &came, span_of(domain), &f);
	if (e == ERR_NOT_FOUND)
		e = try_elsewhere(w, address, span_of(domain));
	buffer_free(&f.targets);
	return e;
}

static int walk(struct identity *i, struct span address, struct span avoid, struct route *out)
{
	*out = (struct route){ 0 };
	struct walk w = { .i = i, .out = out, .avoid = avoid, .met = calloc(ROUTE_STEPS_MAX, sizeof *w.met) };
	if (!w.met)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e = meet(&w, address);
	while (!e && w.at < w.n) {
		struct span next = w.met[w.at++];
		e = step(&w, next);
	}
	free(w.met);
	if (e || out->n)
		return e;
	return w.again ? fail_with(ERR_CANNOT, "its aliases lead in a circle") : ERR_NOT_FOUND;
}

int route_find(struct identity *i, struct span address, struct route *out)
{
	char name[ADDRESS_MAX];
	struct account a;
	struct route r = { 0 };
	struct walk w = { .i = i, .out = &r };
	bool known = address_complete(address, span_of(i->domain), name) == OK && directory_recall(i, span_of(name), &a);
	int e = known ? add_target(&w, a.id, span_of(a.address), SPAN("")) /* the usual case needs no walk */
	              : walk(i, address, SPAN(""), &r);
	if (e)
		route_free(&r);
	else
		*out = r;
	return e;
}

static int refuse_target(struct span target, const char *why)
{
	return fail_with(ERR_INVALID, "%.*s: %s", SPAN_ARG(target), why);
}

/* The target as it is kept, and an address that it is tried with. */
static int complete_target(struct identity *i, struct span alias, struct span target, char kept[ADDRESS_MAX], struct buffer *probe)
{
	char domain[ADDRESS_MAX];
	if (!target.n || target.p[0] != '@') {
		int e = identity_complete(i, target, kept);
		buffer_puts(probe, e ? "" : kept);
		return e;
	}
	if (alias.p[0] != '@')
		return refuse_target(target, "only a catch-all can lead to a whole domain");
	int e = domain_complete(span_sub(target, 1, target.n), domain);
	if (e)
		return e;
	snprintf(kept, ADDRESS_MAX, "@%.*s", ADDRESS_MAX - 2, domain);
	buffer_printf(probe, "nobody%s", kept);
	return OK;
}

/* Nobody is there: fine elsewhere, and for a whole domain. */
static int accept_nobody(struct identity *i, struct span target, const char *kept)
{
	int e = *kept == '@' ? ERR_NOT_FOUND : directory_find_domain(i, span_of(strchr(kept, '@') + 1));
	if (e == OK)
		return refuse_target(target, "there is no such account or alias");
	return e == ERR_NOT_FOUND ? OK : e;
}

int route_check(struct identity *i, struct span alias, struct span target, char out[ADDRESS_MAX])
{
	char why[300], kept[ADDRESS_MAX];
	struct buffer probe = { 0 };
	struct route r = { 0 };
	int e = complete_target(i, alias, target, kept, &probe);
	if (e)
		return e;
	e = walk(i, buffer_span(&probe), alias, &r);
	buffer_free(&probe);
	route_free(&r);
	if (e == ERR_INVALID || e == ERR_CANNOT) {
		snprintf(why, sizeof why, "%s", fail_detail());
		return refuse_target(target, why);
	}
	if (e == ERR_NOT_FOUND)
		e = accept_nobody(i, target, kept);
	if (!e)
		memcpy(out, kept, sizeof kept);
	return e;
}

void route_free(struct route *r)
{
	arena_free(&r->arena);
	free(r->list);
	*r = (struct route){ 0 };
}
