/* What a session asked to hear of (NOTIFY, RFC 5465), and telling it without a command. It costs a session that waits the names of
 * its mailboxes and one number: up to which change of the account's log it was told (events.h). */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "command.h"
#include "imap_notify.h"

struct notify;

enum {
	NOTIFY_SUPPORTED = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_FLAG_CHANGE | NOTIFY_MAILBOX_NAME |
	                   NOTIFY_SUBSCRIPTION_CHANGE | NOTIFY_METADATA,
	NOTIFY_MEMORY_MAX = 64 * 1024, /* bytes of a session's choice */
};

/* From now on the session hears of that and of nothing else. ERR_LIMIT: it is too much; as before. */
int notify_set(struct command *c, const struct imap_notify *what);
void notify_close(struct imap_session *s);

/* ENABLE METADATA (RFC 5464, 4.1): it hears of annotations too, until it says by NOTIFY what it wants. */
int notify_enable_metadata(struct imap_session *s);

/* Did it use NOTIFY? */
bool notify_asked(const struct imap_session *s);
/* Which events of messages of the selected mailbox it hears of; all where it never said. */
unsigned notify_selected(const struct imap_session *s);
/* Another mailbox is selected, or none. */
void notify_reselect(struct imap_session *s);
/* These messages of a mailbox of the account were put there by the session itself: their arrival is no news to it. */
void notify_own(struct imap_session *s, int64_t account, int64_t uidvalidity, const uint32_t *uids, size_t n);

/* STATUS lines of the other mailboxes of whose messages it hears. NEWS_MORE: give way, then call again. */
int notify_put_status(struct command *c);

/* Tells what is new, within IDLE or without any command: IMAP_DONE when all is told that can be told now. Anything else is to be
   returned. expunges: those too, if the client wants them to be told only when it sends commands. */
enum imap_step notify_tell(struct command *c, bool expunges);
void notify_let_go(struct command *c);
/* Forgets what was not told yet, at the end of the command. */
void notify_end(struct command *c);

/* Makes sure that the session, which uses NOTIFY, is woken when there is something to tell. */
void notify_watch(struct imap_session *s);
/* The same; is there something already? */
bool notify_due(struct imap_session *s);
/* There is, but not yet: how long until it is time, us; 0: nothing is waiting. */
int64_t notify_wait(const struct imap_session *s);

#endif
