/* What the files of LMTP share. A session is a state (a named function that eats input) and a transaction: sender,
 * recipients, and between DATA and its end the message on its way in. */
#ifndef LMTP_PRIVATE_H
#define LMTP_PRIVATE_H

#include "arena.h"
#include "clock.h"
#include "lmtp.h"
#include "message.h"
#include "smtp_command.h"
#include "smtp_dot.h"

enum {
	LMTP_LINE_MAX = 4096,           /* bytes of a command; RFC 5321 wants 512 and room for parameters */
	LMTP_SKIP_MAX = 1 << 20,        /* bytes of a longer one that are thrown away before the client is */
	LMTP_ERRORS_MAX = 20,           /* mistakes between two deliveries */
	LMTP_COMMANDS_MAX = 10000,      /* commands between two deliveries, besides a full set of RCPT */
	LMTP_ENVELOPE_MAX = 8 << 20,    /* bytes of sender, recipients and what aliases make of them */
	LMTP_ACCOUNTS_MAX = 10000,      /* that the recipients of one message may lead to */
};
#define LMTP_IDLE_US (300 * SECOND_US)  /* RFC 5321, 4.5.3.2.7 */
#define LMTP_DATA_US (3600 * SECOND_US) /* a whole message, however slow its sender */

enum lmtp_step {
	LMTP_AGAIN, /* something was taken off the input: look at the rest, in whatever state it is now */
	LMTP_MORE,  /* the input is dry */
	LMTP_TLS,   /* TLS begins when the output is sent */
	LMTP_CLOSE,
};

/* A recipient as given, and the accounts it leads to: n of `to`, from first on. */
struct lmtp_rcpt {
	struct span given;
	size_t first, n;
};

struct lmtp_session {
	struct conn *conn;
	const struct lmtp_node *node;
	enum lmtp_step (*state)(struct lmtp_session *s);
	bool greeted;       /* LHLO was said */
	uint64_t message_max; /* bytes of a message, as LHLO was answered */
	unsigned errors, commands;
	unsigned messages;  /* counted for the id of a delivery */
	size_t skipped;     /* of a line that is too long */

	/* The transaction. */
	bool has_mail;
	struct arena arena; /* what the spans below point to */
	bool utf8;          /* SMTPUTF8: addresses may have any letters */
	uint64_t declared;  /* the size MAIL spoke of; 0 for none */
	struct span sender;
	struct lmtp_rcpt *rcpt;
	size_t rcpt_n, rcpt_cap;
	struct recipient *to;
	size_t to_n, to_cap;

	/* Between DATA or the first BDAT and the end of the message. */
	bool chunked;              /* it comes by BDAT */
	struct incoming *incoming; /* NULL once the message is refused */
	struct smtp_dot dot;
	uint64_t chunk;            /* octets of this BDAT that are still to come */
	bool last;                 /* and no other BDAT */
	const char *chunk_refused; /* the reply when they are thrown away */
	const char *refused;       /* the reply, when it is */
	uint64_t size;
	int64_t begun;             /* clock_mono() */
};

/* States. */
enum lmtp_step lmtp_state_command(struct lmtp_session *s);
enum lmtp_step lmtp_state_skip(struct lmtp_session *s);
enum lmtp_step lmtp_state_body(struct lmtp_session *s);
enum lmtp_step lmtp_state_chunk(struct lmtp_session *s);

/* Runs one command line. */
enum lmtp_step lmtp_command(struct lmtp_session *s, struct span line);
/* Begins to take a message: the reply is 354, or why not. */
enum lmtp_step lmtp_data(struct lmtp_session *s);
/* Takes a chunk of one; refused: the octets are read and thrown away, then that is the reply. */
enum lmtp_step lmtp_chunk(struct lmtp_session *s, struct smtp_chunk chunk, const char *refused);
/* Forgets the transaction. */
void lmtp_reset(struct lmtp_session *s);

/* Appends a line to the output. */
void lmtp_reply(struct lmtp_session *s, const char *line);
/* The same for what the client should not have sent; over LMTP_ERRORS_MAX of them end the session. */
enum lmtp_step lmtp_mistake(struct lmtp_session *s, const char *line);
/* A last line, and one in the log that says why. */
enum lmtp_step lmtp_goodbye(struct lmtp_session *s, const char *line, const char *why);

/* What an error means to the peer. This is the only place that says so. */
extern const char lmtp_too_big[], lmtp_has_nul[];
const char *lmtp_status(int error);

#endif
