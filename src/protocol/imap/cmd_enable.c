#include "fail.h"
#include "modseq.h"
#include "notify.h"
#include "reply.h"

/* RFC 5161: names what was asked for and is there; what is unknown is passed over. QRESYNC brings CONDSTORE along. */
enum imap_step cmd_enable(struct command *c)
{
	struct imap_session *s = c->session;
	bool condstore = false, qresync = false, rev2 = false, utf8 = false, metadata = false, uidonly = false;
	struct span name;
	do {
		if (!imap_sp(&c->args) || !imap_atom(&c->args, &name))
			return reply_bad_args(c);
		condstore = condstore || span_ieq(name, SPAN("CONDSTORE"));
		qresync = qresync || span_ieq(name, SPAN("QRESYNC"));
		rev2 = rev2 || span_ieq(name, SPAN("IMAP4rev2"));
		utf8 = utf8 || span_ieq(name, SPAN("UTF8=ACCEPT"));
		metadata = metadata || span_ieq(name, SPAN("METADATA"));
		uidonly = uidonly || span_ieq(name, SPAN("UIDONLY"));
	} while (imap_peek(&c->args, ' '));
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	int rc = metadata ? notify_enable_metadata(s) : OK;
	if (rc)
		return reply_failure(c, rc);
	buffer_puts(c->out, "* ENABLED");
	buffer_puts(c->out, condstore ? " CONDSTORE" : "");
	buffer_puts(c->out, qresync ? " QRESYNC" : "");
	buffer_puts(c->out, rev2 ? " IMAP4rev2" : "");
	buffer_puts(c->out, metadata ? " METADATA" : "");
	buffer_puts(c->out, uidonly ? " UIDONLY" : "");
	buffer_puts(c->out, utf8 ? " UTF8=ACCEPT\r\n" : "\r\n");
	if (condstore || qresync)
		condstore_enable(c);
	s->qresync = s->qresync || qresync;
	s->rev2 = s->rev2 || rev2;
	s->utf8_accept = s->utf8_accept || utf8;
	s->uidonly = s->uidonly || uidonly;
	s->utf8 = s->rev2 || s->utf8_accept;
	return reply_completed(c);
}
