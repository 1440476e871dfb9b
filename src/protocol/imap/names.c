#include "names.h"

#include "fail.h"
#include "mailbox_name.h"
#include "mailbox_place.h"
#include "nfc.h"
#include "reply.h"

int compare_names(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int d = n ? memcmp(x->p, y->p, n) : 0;
	return d ? d : (x->n > y->n) - (x->n < y->n);
}

bool read_mailbox_arg(struct command *c, struct span *sent)
{
	return imap_sp(&c->args) && imap_astring(&c->args, sent);
}

static int join(struct command *c, struct span a, struct span b, struct span *out)
{
	char *p = arena_alloc(&c->arena, a.n + b.n + 1);
	if (!p)
		return fail_with(ERR_LIMIT, "that name is too long");
	memcpy(p, a.p, a.n);
	memcpy(p + a.n, b.p, b.n);
	*out = span_from(p, a.n + b.n);
	return OK;
}

/* Clients of IMAP4rev1 may have made mailboxes with names that are not in NFC: those keep them. */
static int find_nfc(struct command *c, struct span *name)
{
	struct span all, rest, there;
	struct place p;
	struct tree tree;
	int rc = nfc(&c->arena, *name, &all);
	if (rc || span_eq(all, *name) || name_is_past(*name))
		return rc;
	rc = find_place(c, *name, &p);
	if (rc)
		return rc;
	rc = tree_read_path(c->session->node->service, p.account, p.path, &tree);
	if (rc)
		return rc;
	for (there = p.path; there.n && !tree_find(&tree, there);)
		there = mailbox_name_parent(there);
	tree_free(&tree);
	size_t kept = name->n - (p.path.n - there.n);
	rc = nfc(&c->arena, span_sub(*name, kept, name->n), &rest);
	return rc ? rc : join(c, span_sub(*name, 0, kept), rest, name);
}

int mailbox_arg(struct command *c, struct span sent, struct span *name)
{
	return c->session->utf8 ? mailbox_utf8(c, sent, name) : mailbox_name_read(&c->arena, sent, false, name);
}

int mailbox_utf8(struct command *c, struct span sent, struct span *name)
{
	int rc = mailbox_name_read(&c->arena, sent, true, name);
	return rc ? rc : find_nfc(c, name);
}

struct span mailbox_old_name(const struct command *c, struct span sent, struct span name)
{
	if (sent.n > 1 && sent.p[sent.n - 1] == '/') /* no part of the name */
		sent.n--;
	return c->session->rev2 && !span_eq(sent, name) ? sent : (struct span){ 0 };
}

bool name_is_past(struct span name)
{
	return span_eq(name, SPAN("#at")) || (name.n > 3 && memcmp(name.p, "#at/", 4) == 0);
}

void put_emailid(struct buffer *b, int64_t email)
{
	buffer_printf(b, "e%llx", (unsigned long long)email);
}

bool read_one_mailbox(struct command *c, struct span *name)
{
	struct span sent;
	if (!read_mailbox_arg(c, &sent) || !imap_end(&c->args)) {
		reply_bad_args(c);
		return false;
	}
	int rc = mailbox_arg(c, sent, name);
	if (rc)
		reply_failure(c, rc);
	return rc == 0;
}
