/* ID (RFC 2971): what a client says of itself is never trusted, but history shows it: "imap Thunderbird 128". */
#include "imap_quote.h"
#include "log.h"
#include "reply.h"

enum { ID_PAIRS_MAX = 30 };

struct client_id {
	struct span name, version;
};

static bool read_pairs(struct imap_args *a, struct client_id *id)
{
	struct span key, value;
	int n = 0;
	if (imap_take_word(a, SPAN("NIL")))
		return true;
	if (!imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		if (++n > ID_PAIRS_MAX)
			return imap_bad(a, "Too many fields");
		if (!imap_string(a, &key) || !imap_sp(a) || !imap_nstring(a, &value))
			return false;
		if (span_ieq(key, SPAN("name")))
			id->name = value;
		else if (span_ieq(key, SPAN("version")))
			id->version = value;
	}
	return !a->bad;
}

enum imap_step cmd_id(struct command *c)
{
	struct imap_session *s = c->session;
	struct client_id id = { 0 };
	char client[4 * sizeof s->client];
	if (!imap_sp(&c->args) || !read_pairs(&c->args, &id) || !imap_end(&c->args))
		return reply_bad_args(c);
	session_set_client(s, id.name, id.version);
	log_line(LOG_INFO, "imap-id", "session=%lld client=%s", (long long)s->conn->id,
	         log_quote(client, sizeof client, span_of(s->client)));
	buffer_puts(c->out, "* ID (\"name\" \"Perdura\" \"version\" ");
	imap_put_string(c->out, span_of(s->node->version));
	buffer_puts(c->out, ")\r\n");
	return reply_completed(c);
}
