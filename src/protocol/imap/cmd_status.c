#include "modseq.h"
#include "names.h"
#include "reply.h"
#include "status.h"

enum imap_step cmd_status(struct command *c)
{
	struct span sent, name;
	unsigned items;
	if (!read_mailbox_arg(c, &sent) || !imap_sp(&c->args) || !imap_status_items(&c->args, &items) || !imap_end(&c->args))
		return reply_bad_args(c);
	if (items & STATUS_HIGHESTMODSEQ)
		condstore_enable(c);
	int rc = mailbox_arg(c, sent, &name);
	if (!rc)
		rc = status_put(c, name, NULL, items);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
