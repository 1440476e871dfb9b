/* GETACL, SETACL, DELETEACL, LISTRIGHTS and MYRIGHTS (RFC 4314). Identifiers are addresses of accounts and "anyone", and either with
   "-" before it, which takes rights away. The owner may do everything always. */
#include <stdio.h>

#include "acl.h"
#include "directory.h"
#include "fail.h"
#include "imap_quote.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"

/* The rights that let a user know that a mailbox is there, and so ask for his own. */
#define RIGHTS_TELLING (RIGHT_LOOKUP | RIGHT_READ | RIGHT_INSERT | RIGHT_CREATE | RIGHT_DELETE_MAILBOX | RIGHT_ADMIN)

static const struct span anyone = { "anyone", 6 };

/* Whose rights a command is about. */
struct identifier {
	struct span text;
	struct acl_entry entry;
	bool owner;
};

static bool read_identifier(struct command *c, struct span *out)
{
	return imap_sp(&c->args) && imap_astring(&c->args, out);
}

/* ERR_INVALID: nobody is called so. */
static int find_identifier(struct command *c, struct span text, const struct place *p, struct identifier *out)
{
	struct account who;
	*out = (struct identifier){ .text = text, .entry.negative = text.n && text.p[0] == '-' };
	struct span name = span_sub(text, out->entry.negative, text.n);
	if (span_eq(name, anyone))
		return OK;
	int rc = directory_find(c->session->node->identity, name, &who);
	if (rc)
		return rc == ERR_NOT_FOUND ? fail_with(ERR_INVALID, "there is no such user") : rc;
	out->entry.who = who.id;
	out->owner = who.id == p->account;
	return OK;
}

/* The mailbox a command is about. */
static int find_mailbox(struct command *c, struct span sent, unsigned rights, struct span *name, struct place *out)
{
	int rc = mailbox_arg(c, sent, name);
	if (!rc && name_is_past(*name))
		rc = fail_with(ERR_CANNOT, "rights are those of today");
	return rc ? rc : find_allowed(c, *name, rights, out);
}

/* For the owner's own names, which are not looked up: is there such a mailbox? */
static int check_there(struct command *c, const struct place *p)
{
	struct acl_found f;
	int rc = p->viewer ? OK : acl_find(c->session->node->service, p->account, p->path, p->account, &f);
	return rc || p->viewer || f.exists ? rc : fail_with(ERR_NOT_FOUND, "no such folder");
}

static void put_rights(struct buffer *b, struct span identifier, unsigned rights)
{
	buffer_putc(b, ' ');
	imap_put_astring(b, identifier);
	buffer_putc(b, ' ');
	imap_rights_put(b, rights);
}

/* Users that are no more are passed over. */
static int put_entry(struct command *c, const struct acl_entry *e)
{
	struct account who;
	char text[ADDRESS_MAX + 1];
	int rc = e->who == ACL_ANYONE ? OK : directory_find_id(c->session->node->identity, e->who, &who);
	if (rc)
		return rc == ERR_NOT_FOUND ? OK : rc;
	int n = snprintf(text, sizeof text, "%s%s", e->negative ? "-" : "", e->who == ACL_ANYONE ? anyone.p : who.address);
	put_rights(c->out, span_from(text, (size_t)n), e->rights);
	return OK;
}

static int put_owner(struct command *c, int64_t account)
{
	struct account who;
	int rc = directory_find_id(c->session->node->identity, account, &who);
	if (!rc)
		put_rights(c->out, span_of(who.address), RIGHTS_ALL);
	return rc;
}

static int put_acl(struct command *c, struct span name, const struct place *p)
{
	struct acl a;
	size_t before = c->out->n;
	int rc = acl_read(c->session->node->service, p->account, p->path, &c->arena, &a);
	if (rc)
		return rc;
	buffer_puts(c->out, "* ACL ");
	imap_put_mailbox(c->out, name, c->session->utf8);
	rc = put_owner(c, p->account);
	for (size_t i = 0; !rc && i < a.n; i++)
		rc = put_entry(c, &a.list[i]);
	buffer_puts(c->out, "\r\n");
	if (rc)
		c->out->n = before;
	return rc;
}

enum imap_step cmd_getacl(struct command *c)
{
	struct span sent, name;
	struct place p;
	if (!read_mailbox_arg(c, &sent) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = find_mailbox(c, sent, RIGHT_ADMIN, &name, &p);
	if (!rc)
		rc = put_acl(c, name, &p);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

static enum imap_step change(struct command *c, struct span sent, struct span who, enum rights_op op, unsigned rights)
{
	struct actor actor = session_actor(c->session);
	struct identifier id;
	struct span name;
	struct place p;
	int rc = find_mailbox(c, sent, RIGHT_ADMIN, &name, &p);
	if (!rc)
		rc = find_identifier(c, who, &p, &id);
	if (!rc && id.owner)
		rc = fail_with(ERR_CANNOT, "the owner may always do everything");
	if (rc)
		return reply_failure(c, rc);
	id.entry.rights = rights;
	actor.viewer = p.viewer;
	rc = acl_change(c->session->node->service, p.account, p.path, op, id.entry, &actor);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step cmd_setacl(struct command *c)
{
	struct span sent, who, text;
	enum rights_op op;
	unsigned rights;
	if (!read_mailbox_arg(c, &sent) || !read_identifier(c, &who) || !imap_sp(&c->args) || !imap_astring(&c->args, &text) ||
	    !imap_end(&c->args))
		return reply_bad_args(c);
	if (!imap_rights_change(text, &op, &rights))
		return reply_bad(c, "Rights are some of lrswipkxteacd, + or - before them");
	return change(c, sent, who, op, rights);
}

enum imap_step cmd_deleteacl(struct command *c)
{
	struct span sent, who;
	if (!read_mailbox_arg(c, &sent) || !read_identifier(c, &who) || !imap_end(&c->args))
		return reply_bad_args(c);
	return change(c, sent, who, RIGHTS_SET, 0);
}

/* Each right may be granted or not, by itself; the owner has all of them anyway. */
enum imap_step cmd_listrights(struct command *c)
{
	struct span sent, who, name;
	struct identifier id;
	struct place p;
	if (!read_mailbox_arg(c, &sent) || !read_identifier(c, &who) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = find_mailbox(c, sent, RIGHT_ADMIN, &name, &p);
	if (!rc)
		rc = check_there(c, &p);
	if (!rc)
		rc = find_identifier(c, who, &p, &id);
	if (rc)
		return reply_failure(c, rc);
	buffer_puts(c->out, "* LISTRIGHTS ");
	imap_put_mailbox(c->out, name, c->session->utf8);
	if (id.owner && !id.entry.negative) {
		put_rights(c->out, who, RIGHTS_ALL);
	} else {
		buffer_putc(c->out, ' ');
		imap_put_astring(c->out, who);
		buffer_puts(c->out, " \"\" l r s w i p k x t e a c d");
	}
	buffer_puts(c->out, "\r\n");
	return reply_completed(c);
}

enum imap_step cmd_myrights(struct command *c)
{
	struct span sent, name;
	struct place p;
	if (!read_mailbox_arg(c, &sent) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = find_mailbox(c, sent, 0, &name, &p);
	if (!rc)
		rc = p.rights & RIGHTS_TELLING ? check_there(c, &p) : fail_with(ERR_NOT_FOUND, "no such folder");
	if (rc)
		return reply_failure(c, rc);
	put_myrights(c, name, p.rights);
	return reply_completed(c);
}

void put_myrights(struct command *c, struct span name, unsigned rights)
{
	buffer_puts(c->out, "* MYRIGHTS ");
	imap_put_mailbox(c->out, name, c->session->utf8);
	buffer_putc(c->out, ' ');
	imap_rights_put(c->out, rights);
	buffer_puts(c->out, "\r\n");
}
