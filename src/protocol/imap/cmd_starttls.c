#include "reply.h"

/* STARTTLS (RFC 3501, 6.2.1; RFC 2595): after the reply TLS begins. What the client said of itself before is forgotten, and
   what it sent ahead is never looked at: both may be somebody else's words. */
enum imap_step cmd_starttls(struct command *c)
{
	struct imap_session *s = c->session;
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	if (s->conn->tls)
		return reply_bad(c, "TLS is on already");
	if (conn_start_tls(s->conn, s->node->tls))
		return reply_bad(c, "No TLS here");
	s->begins = IMAP_TLS;
	session_set_client(s, (struct span){ 0 }, (struct span){ 0 });
	return reply_ok(c, "Begin TLS now");
}
