/* SUBSCRIBE and UNSUBSCRIBE: of names, be there such a mailbox or not; also of the past. */
#include "fail.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"

static enum imap_step subscribe(struct command *c, bool on)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct span name;
	struct place p;
	if (!read_one_mailbox(c, &name))
		return IMAP_DONE;
	int rc = on && name_is_others(name) ? find_allowed(c, name, RIGHT_LOOKUP, &p) : OK;
	if (!rc)
		rc = folder_subscribe(s->node->service, s->account, name, on, &actor);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step cmd_subscribe(struct command *c)
{
	return subscribe(c, true);
}

enum imap_step cmd_unsubscribe(struct command *c)
{
	return subscribe(c, false);
}
