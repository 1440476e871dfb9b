/* One command from its line to its tagged reply.
 *
 * A handler reads its arguments, calls the service, writes untagged lines to c->out and ends in one of the reply_*
 * functions. One that cannot end at once (it streams a literal, waits for a notice, gives way to a slow reader) sets
 * c->resume and what it needs in c->job, and returns what it waits for. */
#ifndef COMMAND_H
#define COMMAND_H

#include "imap_args.h"
#include "session.h"

enum { COMMAND_MEMORY_MAX = 2 << 20 /* bytes of arguments and what is made of them */ };
#define COMMAND_SLICE_US (SECOND_US / 20) /* of a worker's time, before others have their turn */

enum command_flag {
	COMMAND_UID = 1,      /* has a UID form */
	COMMAND_NUMBERS = 2,  /* speaks of message numbers (but in its UID form): no EXPUNGE meanwhile */
	COMMAND_NO_NEWS = 4,  /* its reply is not preceded by what happened in the mailbox */
	COMMAND_SECRET = 8,   /* its arguments are wiped */
	COMMAND_ENDS = 16,    /* it ends messages: the client is told which, whatever else it wants to hear */
};

struct news;
struct telling;

struct command_entry {
	const char *word;
	enum imap_step (*run)(struct command *c);
	unsigned states; /* of enum imap_state */
	unsigned flags;
};

/* An entry whose flags the client was told in this command, as of its change. */
struct told {
	uint32_t uid;
	int64_t change;
};

struct command {
	struct imap_session *session;
	struct buffer *out; /* of the connection */
	const struct command_entry *entry;
	struct span tag;
	bool uid; /* the UID form */
	struct imap_args args;
	struct arena arena; /* the command's lifetime */
	int64_t began;      /* clock_mono() */
	int64_t slice_ends; /* when others should have their turn */

	/* A literal that the framing left in the input: a message of an APPEND or REPLACE, or one that is too big. */
	bool has_literal;
	struct imap_frame_event literal;
	uint64_t unread; /* bytes of it still to be taken off the input */
	bool has_tail;   /* then the rest of the command's line */
	uint64_t drained; /* bytes that were read away since the command was refused */

	enum imap_step (*resume)(struct command *c);
	enum imap_step (*timeout)(struct command *c); /* NULL: a timeout ends the session */
	void (*let_go)(struct command *c);            /* gives back what resume() can have again; may be NULL */
	void (*cleanup)(struct command *c);           /* what the arena does not free; may be NULL */
	void *job;

	bool unasked;       /* no command at all: news between commands, without a reply */
	struct news *news;  /* that is being told; else NULL */
	struct telling *telling; /* likewise (notify.h) */
	struct buffer told; /* of struct told, ascending by UID */
	struct imap_set quiet; /* a silent STORE: what the client takes as done by these changes */
	int64_t quiet_from, quiet_to;
	int64_t modseq_told; /* the highest */
	bool keeps_numbers;  /* no EXPUNGE meanwhile, in the UID form too */
	bool tells_modseq;   /* its OK names the mailbox's mod-sequence to clients that know of VANISHED */
	bool in_literal;     /* it waits in the middle of one: nothing else may be said */
	struct buffer reply; /* what follows the tag */
	bool mistaken;       /* the reply is BAD */
	int result;          /* of the service, for the log */
	struct span text;    /* the command as sent, with its line end */
	char bytes[];        /* of the text */
};

/* Starts a command whose text (with its line end) was framed: copies what it needs. ev: of APPEND or TOO_BIG, else
   NULL. */
enum imap_step command_start(struct imap_session *s, struct span text, enum imap_frame_answer answer,
                             const struct imap_frame_event *ev);
/* The same without a command, to tell what NOTIFY asked for. */
enum imap_step command_tell(struct imap_session *s);
/* Lets the session's running command go on. */
enum imap_step command_go_on(struct imap_session *s);
enum imap_step command_timed_out(struct imap_session *s);
/* It will wait for long: its memory is for others meanwhile. */
void command_let_go(struct imap_session *s);
/* Gives the session's running command up without a reply. */
void command_abort(struct imap_session *s);

/* The cursor over the arguments at the beginning of text: of the whole command, its tag, or of what follows a literal. */
void command_args(struct command *c, struct span text);
/* Zeroed memory for c->job. NULL: there is none, and the reply says so. */
void *command_job(struct command *c, size_t n);
/* Should a long command give way? True when much output is unsent or its time slice is over: return IMAP_DRAIN. */
bool command_should_yield(struct command *c);

/* Takes the rest of the literal and of the line behind it off the input; IMAP_MORE until both are gone. sink gets the bytes of
   the literal, *tail is the line, with its end (both may be NULL). When that is the head of one more literal, has_literal and
   literal are set anew, as at the start. */
enum imap_step command_read_literal(struct command *c, void (*sink)(struct command *c, struct span bytes), struct span *tail);

/* The handlers; one file each. */
enum imap_step cmd_append(struct command *c);
enum imap_step cmd_authenticate(struct command *c);
enum imap_step cmd_cancelupdate(struct command *c);
enum imap_step cmd_capability(struct command *c);
enum imap_step cmd_check(struct command *c);
enum imap_step cmd_close(struct command *c);
enum imap_step cmd_compress(struct command *c);
enum imap_step cmd_copy(struct command *c);
enum imap_step cmd_create(struct command *c);
enum imap_step cmd_delete(struct command *c);
enum imap_step cmd_deleteacl(struct command *c);
enum imap_step cmd_enable(struct command *c);
enum imap_step cmd_esearch(struct command *c);
enum imap_step cmd_examine(struct command *c);
enum imap_step cmd_expunge(struct command *c);
enum imap_step cmd_fetch(struct command *c);
enum imap_step cmd_getacl(struct command *c);
enum imap_step cmd_getmetadata(struct command *c);
enum imap_step cmd_getquota(struct command *c);
enum imap_step cmd_getquotaroot(struct command *c);
enum imap_step cmd_id(struct command *c);
enum imap_step cmd_idle(struct command *c);
enum imap_step cmd_list(struct command *c);
enum imap_step cmd_listrights(struct command *c);
enum imap_step cmd_login(struct command *c);
enum imap_step cmd_logout(struct command *c);
enum imap_step cmd_lsub(struct command *c);
enum imap_step cmd_move(struct command *c);
enum imap_step cmd_myrights(struct command *c);
enum imap_step cmd_namespace(struct command *c);
enum imap_step cmd_noop(struct command *c);
enum imap_step cmd_notify(struct command *c);
enum imap_step cmd_rename(struct command *c);
enum imap_step cmd_replace(struct command *c);
enum imap_step cmd_search(struct command *c);
enum imap_step cmd_select(struct command *c);
enum imap_step cmd_starttls(struct command *c);
enum imap_step cmd_setacl(struct command *c);
enum imap_step cmd_setmetadata(struct command *c);
enum imap_step cmd_setquota(struct command *c);
enum imap_step cmd_sort(struct command *c);
enum imap_step cmd_status(struct command *c);
enum imap_step cmd_store(struct command *c);
enum imap_step cmd_subscribe(struct command *c);
enum imap_step cmd_thread(struct command *c);
enum imap_step cmd_unauthenticate(struct command *c);
enum imap_step cmd_unselect(struct command *c);
enum imap_step cmd_unsubscribe(struct command *c);

#endif
