#include "mailbox_place.h"

#include <stdlib.h>

#include "directory.h"
#include "fail.h"
#include "mailbox_name.h"

bool name_is_others(struct span name)
{
	struct span first;
	return mailbox_name_next(&name, &first) && span_eq(first, SPAN(OTHERS));
}

struct span others_root(struct arena *a, struct span address)
{
	char *p = arena_alloc(a, sizeof OTHERS + address.n);
	if (!p)
		return (struct span){ 0 };
	memcpy(p, OTHERS "/", sizeof OTHERS);
	memcpy(p + sizeof OTHERS, address.p, address.n);
	return span_from(p, sizeof OTHERS + address.n);
}

/* Only by the address itself, so that a mailbox has one name. */
static int find_owner(struct command *c, struct span address, struct account *out)
{
	int rc = address.n ? directory_find(c->session->node->identity, address, out) : ERR_NOT_FOUND;
	if (!rc && (!span_eq(span_of(out->address), address) || out->id == c->session->account))
		rc = ERR_NOT_FOUND;
	return rc == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "no such user") : rc;
}

static int find_others(struct command *c, struct span name, struct place *out)
{
	struct imap_session *s = c->session;
	struct span rest = name, first, address = { 0 };
	struct account owner;
	struct acl_found f = { 0 };
	mailbox_name_next(&rest, &first);
	mailbox_name_next(&rest, &address);
	int rc = find_owner(c, address, &owner);
	if (!rc)
		rc = mailbox_name_normal(&c->arena, rest, &out->path);
	if (!rc && rest.n)
		rc = acl_find(s->node->service, owner.id, out->path, s->account, &f);
	if (rc)
		return rc;
	out->account = owner.id;
	out->viewer = s->account;
	out->exists = f.exists;
	out->rights = f.rights;
	out->above = f.above;
	return OK;
}

int find_place(struct command *c, struct span name, struct place *out)
{
	*out = (struct place){ .account = c->session->account, .path = name, .exists = true, .rights = RIGHTS_ALL, .above = RIGHTS_ALL };
	return name_is_others(name) ? find_others(c, name, out) : OK;
}

static int check(unsigned has, unsigned needed, unsigned shows)
{
	if ((has & needed) == needed)
		return OK;
	return shows & RIGHT_LOOKUP ? fail_with(ERR_DENIED, "not allowed") : fail_with(ERR_NOT_FOUND, "no such folder");
}

int find_allowed(struct command *c, struct span name, unsigned rights, struct place *out)
{
	int rc = find_place(c, name, out);
	return rc ? rc : check(out->exists ? out->rights : 0, rights, out->rights);
}

int find_above(struct command *c, struct span name, struct place *out)
{
	int rc = find_place(c, name, out);
	return rc ? rc : check(out->above, RIGHT_CREATE, out->above);
}

int find_target(struct command *c, struct span name, struct place *out, bool *may_create)
{
	int rc = find_place(c, name, out);
	*may_create = !rc && out->above & RIGHT_CREATE && (!out->viewer || !out->exists);
	return rc ? rc : check(out->exists ? out->rights : 0, RIGHT_INSERT, out->rights);
}

static int compare_folders(const void *a, const void *b)
{
	const struct acl_folder *x = a, *y = b;
	return (x->folder > y->folder) - (x->folder < y->folder);
}

unsigned visible_rights(const struct visible *v, int64_t folder)
{
	const struct acl_folder key = { .folder = folder }, *at = NULL;
	if (v->n)
		at = bsearch(&key, v->list, v->n, sizeof key, compare_folders);
	return at ? at->rights : 0;
}

/* What lies below a folder follows it in the tree. */
bool visible_below(const struct visible *v, const struct tree *t, size_t i)
{
	for (size_t k = i + 1; k < t->n && mailbox_name_below(t->list[k].path, t->list[i].path); k++)
		if (visible_rights(v, t->list[k].id) & RIGHT_LOOKUP)
			return true;
	return false;
}
