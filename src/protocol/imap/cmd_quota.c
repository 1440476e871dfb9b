/* GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). An account is one quota root, for all its mailboxes; what was is under
   none. Its user calls it "account". Whoever the setting quota.admin names for an account sees its quota, and sets it, by its
   address; to everybody else other accounts' roots are not there. */
#include <stdio.h>

#include "account.h"
#include "directory.h"
#include "directory_write.h"
#include "fail.h"
#include "imap_quote.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"
#include "settings.h"

#define QUOTA_ROOT "account"
enum { STORAGE_UNIT = 1024 };
#define STORAGE_MAX (INT64_C(1) << 50) /* units; as many as the setting takes */

static int64_t in_units(int64_t bytes)
{
	return bytes > 0 ? (bytes - 1) / STORAGE_UNIT + 1 : 0;
}

struct root {
	struct span name; /* as the client named it */
	int64_t account;
	struct settings settings;
	bool may_set;
};

/* ERR_NOT_FOUND for what the user may know nothing of. */
static int find_root(struct command *c, struct span name, struct root *out)
{
	struct imap_session *s = c->session;
	struct account a = { .id = s->account };
	bool own = span_eq(name, SPAN(QUOTA_ROOT));
	int rc = own ? OK : !name.n ? ERR_NOT_FOUND : directory_find(s->node->identity, name, &a);
	if (!rc)
		rc = settings_of(s->node->identity, a.id, &out->settings);
	if (rc)
		return rc == ERR_INVALID ? ERR_NOT_FOUND : rc;
	out->name = name;
	out->account = a.id;
	out->may_set = strcmp(out->settings.quota_admin, s->user) == 0;
	return own || out->may_set ? OK : ERR_NOT_FOUND;
}

/* An empty list: there is no limit. */
static int put_quota(struct command *c, const struct root *root)
{
	struct account_info info;
	int rc = account_show(c->session->node->service, root->account, &info);
	if (rc)
		return rc;
	buffer_puts(c->out, "* QUOTA ");
	imap_put_string(c->out, root->name);
	buffer_puts(c->out, " (");
	if (root->settings.quota)
		buffer_printf(c->out, "STORAGE %lld %lld", (long long)in_units(info.bytes), (long long)in_units(root->settings.quota));
	buffer_puts(c->out, ")\r\n");
	return OK;
}

static int find_and_put(struct command *c, struct span name)
{
	struct root root;
	int rc = find_root(c, name, &root);
	return rc ? rc : put_quota(c, &root);
}

static enum imap_step end(struct command *c, int rc)
{
	if (rc == ERR_NOT_FOUND)
		return reply_no(c, "[NONEXISTENT] There is no such quota root");
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step cmd_getquota(struct command *c)
{
	struct span name;
	if (!imap_sp(&c->args) || !imap_astring(&c->args, &name) || !imap_end(&c->args))
		return reply_bad_args(c);
	return end(c, find_and_put(c, name));
}

/* The mailbox need not exist. What others have is under their roots, which are not told. */
enum imap_step cmd_getquotaroot(struct command *c)
{
	struct span name;
	if (!read_one_mailbox(c, &name))
		return IMAP_DONE;
	bool none = name_is_past(name) || name_is_others(name);
	buffer_puts(c->out, "* QUOTAROOT ");
	imap_put_mailbox(c->out, name, c->session->utf8);
	buffer_puts(c->out, none ? "\r\n" : " \"" QUOTA_ROOT "\"\r\n");
	return end(c, none ? OK : find_and_put(c, SPAN(QUOTA_ROOT)));
}

/* A list of limits; *bytes 0: there is to be none, as for each resource that is not named (RFC 9208, 4.1.3). */
static bool read_limits(struct command *c, int64_t *bytes, bool *unknown)
{
	struct span resource;
	uint64_t limit;
	*bytes = 0;
	*unknown = false;
	while (imap_list_next(&c->args)) {
		if (!imap_atom(&c->args, &resource) || !imap_sp(&c->args) || !imap_number64(&c->args, &limit))
			return false;
		if (!span_ieq(resource, SPAN("STORAGE")))
			*unknown = true;
		else if (*bytes)
			return imap_bad(&c->args, "STORAGE twice");
		else /* none at all is as good as one byte, as 0 is the setting's word for no bound */
			*bytes = !limit ? 1 : limit < STORAGE_MAX ? (int64_t)limit * STORAGE_UNIT : STORAGE_MAX * STORAGE_UNIT;
	}
	return imap_end(&c->args);
}

static int set_quota(struct command *c, struct root *root, int64_t bytes)
{
	char text[24];
	struct actor actor = session_actor(c->session);
	snprintf(text, sizeof text, "%lld", (long long)bytes);
	struct setting_value v = { SPAN("quota"), span_of(text) };
	root->settings.quota = bytes;
	return account_set(c->session->node->service, root->account, &v, 1, &actor);
}

enum imap_step cmd_setquota(struct command *c)
{
	struct span name;
	struct root root;
	int64_t bytes;
	bool unknown;
	if (!imap_sp(&c->args) || !imap_astring(&c->args, &name) || !imap_sp(&c->args) || !imap_list_open(&c->args) ||
	    !read_limits(c, &bytes, &unknown))
		return reply_bad_args(c);
	int rc = find_root(c, name, &root);
	if (!rc && !root.may_set)
		return reply_no(c, "[NOPERM] Quotas are set by the account that quota.admin names");
	if (!rc && unknown)
		return reply_no(c, "[CANNOT] STORAGE is the only resource");
	if (!rc)
		rc = set_quota(c, &root, bytes);
	return end(c, rc ? rc : put_quota(c, &root));
}
