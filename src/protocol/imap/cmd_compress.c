#include "reply.h"

/* COMPRESS=DEFLATE (RFC 4978): behind the reply all is deflated, both ways. */
enum imap_step cmd_compress(struct command *c)
{
	struct imap_session *s = c->session;
	struct span algorithm;
	if (!imap_sp(&c->args) || !imap_atom(&c->args, &algorithm) || !imap_end(&c->args))
		return reply_bad_args(c);
	if (!span_ieq(algorithm, SPAN("DEFLATE")))
		return reply_no(c, "[CANNOT] DEFLATE is all there is");
	if (conn_deflates(s->conn))
		return reply_no(c, "[COMPRESSIONACTIVE] DEFLATE is on already");
	s->begins = IMAP_DEFLATE;
	return reply_ok(c, "DEFLATE begins now");
}
