#include "modseq.h"
#include "reply.h"

/* RFC 5161: names what was asked for and is there; what is unknown is passed over. QRESYNC brings CONDSTORE along. */
enum imap_step cmd_enable(struct command *c)
{
	struct imap_session *s = c->session;
	bool condstore = false, qresync = false;
	struct span name;
	do {
		if (!imap_sp(&c->args) || !imap_atom(&c->args, &name))
			return reply_bad_args(c);
		condstore = condstore || span_ieq(name, SPAN("CONDSTORE"));
		qresync = qresync || span_ieq(name, SPAN("QRESYNC"));
	} while (imap_peek(&c->args, ' '));
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	buffer_puts(c->out, "* ENABLED");
	buffer_puts(c->out, condstore ? " CONDSTORE" : "");
	buffer_puts(c->out, qresync ? " QRESYNC\r\n" : "\r\n");
	if (condstore || qresync)
		condstore_enable(c);
	s->qresync = s->qresync || qresync;
	return reply_completed(c);
}
