#include "directory.h"

#include <stdio.h>

#include "fail.h"
#include "identity_private.h"
#include "meta.h"
#include "system.h"

struct find {
	struct span name;
	int64_t id;
	struct account account;
};

static int take_account(struct meta_rows *r, struct account *out)
{
	struct span name = meta_span(r, 2);
	int rc = OK;
	out->id = meta_int(r, 0);
	out->tenant = meta_int(r, 1);
	if (name.n < sizeof out->address)
		snprintf(out->address, sizeof out->address, "%.*s", SPAN_ARG(name));
	else
		rc = fail_with(ERR_CORRUPT, "the address of account %lld is too long", (long long)out->id);
	meta_done(r);
	return rc;
}

void directory_expect(struct meta_txn *t, struct span name)
{
	meta_expect(t, META_DIRECTORY_BY_NAME, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, name);
}

int directory_read(struct meta_txn *t, struct span name, struct account *out)
{
	struct meta_rows r;
	int rc = meta_one(t, &r, META_DIRECTORY_BY_NAME, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, name);
	return rc ? rc : take_account(&r, out);
}

static int find_name(struct meta_txn *t, void *arg)
{
	struct find *f = arg;
	return directory_read(t, f->name, &f->account);
}

static int find_id(struct meta_txn *t, void *arg)
{
	struct find *f = arg;
	struct meta_rows r;
	int rc = meta_one(t, &r, META_DIRECTORY_BY_ID, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, f->id);
	return rc ? rc : take_account(&r, &f->account);
}

static int read_account(struct identity *i, meta_fn *fn, struct find *f, struct account *out)
{
	int rc = meta_read(i->meta, fn, f);
	if (rc == OK)
		*out = f->account;
	return rc;
}

bool directory_recall(struct identity *i, struct span name, struct account *out)
{
	return memo_get(i->memo, MEMO_ACCOUNT, name, out, sizeof *out);
}

void directory_remember(struct identity *i, uint64_t since, const struct account *a)
{
	memo_put(i->memo, since, MEMO_ACCOUNT, span_of(a->address), a, sizeof *a);
}

int directory_find(struct identity *i, struct span address, struct account *out)
{
	char name[ADDRESS_MAX];
	if (address_complete(address, span_of(i->domain), name))
		return ERR_NOT_FOUND;
	if (directory_recall(i, span_of(name), out))
		return OK;
	uint64_t since = memo_now(i->memo);
	struct find f = { .name = span_of(name) };
	int rc = read_account(i, find_name, &f, out);
	if (rc == OK)
		directory_remember(i, since, out);
	return rc;
}

void directory_changed(struct identity *i)
{
	memo_forget(i->memo);
}

int directory_find_id(struct identity *i, int64_t id, struct account *out)
{
	struct find f = { .id = id };
	return read_account(i, find_id, &f, out);
}

static int find_domain(struct meta_txn *t, void *arg)
{
	struct find *f = arg;
	struct meta_rows r;
	int rc = meta_one(t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_DOMAINS, f->name);
	if (rc == OK)
		meta_done(&r);
	return rc;
}

int directory_find_domain(struct identity *i, struct span domain)
{
	bool known;
	struct find f = { .name = domain };
	if (span_ieq(domain, span_of(i->domain)) || memo_get(i->memo, MEMO_DOMAIN, domain, &known, sizeof known))
		return OK;
	uint64_t since = memo_now(i->memo);
	int rc = meta_read(i->meta, find_domain, &f);
	if (rc == OK)
		memo_put(i->memo, since, MEMO_DOMAIN, domain, &(bool){ true }, sizeof known);
	return rc;
}
