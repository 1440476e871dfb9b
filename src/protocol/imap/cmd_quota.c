/* GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). An account is one quota root, for all its mailboxes; what was is under
   none. Quotas are set by admins, so QUOTASET is not announced and SETQUOTA is refused. */
#include "account.h"
#include "fail.h"
#include "imap_quote.h"
#include "names.h"
#include "reply.h"
#include "settings.h"

#define QUOTA_ROOT "account"
enum { STORAGE_UNIT = 1024 };

static int64_t in_units(int64_t bytes)
{
	return bytes > 0 ? (bytes - 1) / STORAGE_UNIT + 1 : 0;
}

/* An empty list: there is no limit. */
static int put_quota(struct command *c)
{
	struct imap_session *s = c->session;
	struct settings settings;
	struct account_info info;
	int rc = settings_of(s->node->identity, s->account, &settings);
	if (!rc)
		rc = account_show(s->node->service, s->account, &info);
	if (rc)
		return rc;
	buffer_puts(c->out, "* QUOTA \"" QUOTA_ROOT "\" (");
	if (settings.quota)
		buffer_printf(c->out, "STORAGE %lld %lld", (long long)in_units(info.bytes), (long long)in_units(settings.quota));
	buffer_puts(c->out, ")\r\n");
	return OK;
}

enum imap_step cmd_getquota(struct command *c)
{
	struct span root;
	if (!imap_sp(&c->args) || !imap_astring(&c->args, &root) || !imap_end(&c->args))
		return reply_bad_args(c);
	if (!span_eq(root, SPAN(QUOTA_ROOT)))
		return reply_no(c, "[NONEXISTENT] There is no such quota root");
	int rc = put_quota(c);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

/* The mailbox need not exist. */
enum imap_step cmd_getquotaroot(struct command *c)
{
	struct span name;
	if (!read_one_mailbox(c, &name))
		return IMAP_DONE;
	bool past = name_is_past(name);
	buffer_puts(c->out, "* QUOTAROOT ");
	imap_put_mailbox(c->out, name);
	buffer_puts(c->out, past ? "\r\n" : " \"" QUOTA_ROOT "\"\r\n");
	int rc = past ? OK : put_quota(c);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step cmd_setquota(struct command *c)
{
	struct span root, resource;
	uint64_t limit;
	if (!imap_sp(&c->args) || !imap_astring(&c->args, &root) || !imap_sp(&c->args) || !imap_list_open(&c->args))
		return reply_bad_args(c);
	while (imap_list_next(&c->args))
		if (!imap_atom(&c->args, &resource) || !imap_sp(&c->args) || !imap_number64(&c->args, &limit))
			return reply_bad_args(c);
	return imap_end(&c->args) ? reply_no(c, "[NOPERM] Quotas are set by admins only") : reply_bad_args(c);
}
