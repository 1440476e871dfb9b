/* An IMAP session: who is logged in, the view of the selected mailbox, and the command that has not ended. An idle one
 * is this struct and its view, some hundred bytes; all memory of a command goes with the command. */
#ifndef SESSION_H
#define SESSION_H

#include "imap.h"
#include "imap_frame.h"
#include "scram_server.h"
#include "view.h"

struct command;
struct contexts;
struct notify;

enum imap_state {
	STATE_GREETED = 1,  /* not logged in */
	STATE_USER = 2,     /* logged in, no mailbox selected */
	STATE_SELECTED = 4,
};

enum {
	CLIENT_NAME_MAX = 60,            /* printable bytes of what ID says */
	SESSION_MISTAKES_MAX = 50,       /* BAD answers between two good ones */
	SESSION_LOGINS_MAX = 5,          /* wrong passwords */
	SESSION_LITERALS_MAX = 32 * 1024, /* bytes of a command's literals, APPEND's message aside */
	GREETED_INPUT_MAX = 8 * 1024,     /* bytes that are kept for somebody who is not logged in */
	GREETED_LITERALS_MAX = 4 * 1024,
};
#define SESSION_LOGIN_US (60 * SECOND_US)
#define SESSION_IDLE_US (1800 * SECOND_US)
#define SESSION_READ_US (5 * SECOND_US) /* without the peer taking its output, until memory is given back */

/* What a step of a command amounts to. */
enum imap_step {
	IMAP_DONE,  /* it ended: the reply is set */
	IMAP_MORE,  /* it wants input, or a timeout */
	IMAP_DRAIN, /* it goes on when the output is sent and others had their turn */
	IMAP_TLS,   /* TLS begins when the output is sent */
	IMAP_DEFLATE, /* deflate begins behind the output */
	IMAP_WAKE,  /* it wants input or conn_wake() */
	IMAP_CLOSE, /* BYE was said, or cannot be said any more */
};

struct imap_session {
	struct conn *conn;
	const struct imap_node *node;
	enum imap_state state;
	unsigned mistakes, wrong_logins;
	int64_t account;
	int64_t login_until;     /* clock_mono() time at which somebody must be logged in */
	char *user;              /* the account's address */
	struct view *view;       /* of the selected mailbox */
	char *mailbox;           /* its name when it was selected, in UTF-8 */
	struct imap_set saved;   /* "$": UIDs in it that a search saved (search_result.h) */
	struct contexts *contexts; /* results that are kept up to date (context.h); NULL: none */
	struct notify *notify;   /* what the client asked to hear of, by NOTIFY or ENABLE; NULL: it never said */
	struct command *running; /* the one that has not ended */
	struct imap_frame frame; /* how far the next one was looked at */
	bool rev2, utf8_accept;  /* ENABLEd (RFC 9051, 9755) */
	bool utf8;               /* by either: strings and the names of mailboxes are UTF-8, both ways */
	bool uidonly;            /* messages have UIDs and no numbers, both ways (RFC 9586) */
	bool condstore, qresync; /* the client knows of mod-sequences; and of VANISHED (RFC 7162) */
	enum imap_step begins;   /* after this reply: IMAP_TLS, IMAP_DEFLATE; else IMAP_DONE */
	bool counted;            /* among the sessions of its user at its address */
	bool draining, patient;  /* it waits for the peer to read; and gave back what it can meanwhile */
	char client[sizeof "imap " + CLIENT_NAME_MAX + sizeof " from " + 54];
};

/* `* BYE why`, unless a literal is not complete, and a log line. Returns IMAP_CLOSE. */
enum imap_step session_bye(struct imap_session *s, const char *why);
/* The same, when the store says that the selected mailbox is not there any more. */
enum imap_step session_mailbox_gone(struct imap_session *s);
/* Leaves the mailbox, if one is selected. */
void session_unselect(struct imap_session *s);
/* Who the session's changes are made by; valid while the session is. */
struct actor session_actor(const struct imap_session *s);
/* Does the client send more than can be kept before it is looked at? */
bool session_input_full(const struct imap_session *s);
/* What the client says it is: "imap NAME VERSION from ADDRESS". */
void session_set_client(struct imap_session *s, struct span name, struct span version);
/* The session is this account's from now on. ERR_LIMIT: it has too many at that address already. ERR_DENIED: the account, or the
   application password, ended meanwhile. */
int session_enter(struct imap_session *s, const struct login *who);
/* Nobody's again, as it was before (RFC 8437). */
void session_leave(struct imap_session *s);
/* Is that offered? Not to who compresses: the layer would have to end in the middle. */
bool session_may_leave(const struct imap_session *s);
/* What both ends know of their TLS session; false: nothing that a login could be bound to. */
bool session_channel(const struct imap_session *s, struct scram_channel *out);
/* May a password travel on this connection as it is? */
bool session_plaintext(const struct imap_session *s);

#endif
