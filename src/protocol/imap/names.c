#include "names.h"

#include "mailbox_name.h"
#include "reply.h"

bool read_mailbox_arg(struct command *c, struct span *sent)
{
	return imap_sp(&c->args) && imap_astring(&c->args, sent);
}

int mailbox_arg(struct command *c, struct span sent, struct span *name)
{
	return mailbox_name_read(&c->arena, sent, name);
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
