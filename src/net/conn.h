/* A connection as a protocol sees it, and a protocol as the loop sees it.
 *
 * Idle connections are parked and cost some hundred bytes; one that has work is run by a worker thread, by one at a time,
 * so a protocol needs no lock for its session. A handler is straight-line code: it looks at c->in, takes what it
 * understood with conn_consume(), appends its replies to c->out and says what it waits for. It may block on the stores,
 * never on the peer. What it appended is sent in one write when it returns. */
#ifndef CONN_H
#define CONN_H

#include <stdint.h>

#include "buffer.h"

#define CONN_INPUT_MAX 65536         /* bytes of input a handler can leave unconsumed */
#define CONN_OUTPUT_HIGH 65536       /* over so many unsent bytes no input is read; a good size for conn_flush_if_over */
#define CONN_OUTPUT_MAX (32 << 20)   /* a handler that appends more without yielding loses its connection */

struct conn;
struct tls;

/* What a handler waits for. */
enum conn_next {
	CONN_MORE,  /* input: parked until bytes arrive, then input() */
	CONN_DRAIN, /* the peer to take the output: parked until all of it is sent, then resume() */
	CONN_WAKE,  /* input or conn_wake(), whatever comes first: input() or resume() */
	CONN_TLS,   /* TLS, after conn_start_tls(): the output is sent, input that came ahead is thrown away (it may be somebody
	               else's), then TLS begins; then resume() */
	CONN_DEFLATE, /* deflate (RFC 1951) in both directions, from the next byte after the output and the input so far; input
	                 that came ahead is deflated already. Then CONN_MORE. Once only: conn_deflates() */
	CONN_CLOSE, /* nothing: close() is called, the output is sent, the connection ends */
};

struct conn_protocol {
	const char *name;    /* for logs: "imap" */
	const char *refusal; /* a line for clients over the limit of connections: "* BYE try again later\r\n" */
	/* A new connection: greet, set c->session and a timeout. Must not block. */
	enum conn_next (*open)(struct conn *c);
	/* Bytes arrived: c->in holds all that was not consumed. It must consume something when c->in is full. */
	enum conn_next (*input)(struct conn *c);
	/* The output is drained, or conn_wake() was called (now or earlier: look whether there is something to do). */
	enum conn_next (*resume)(struct conn *c);
	/* The time set with conn_timeout() is over. Set a new one, or CONN_CLOSE. */
	enum conn_next (*timeout)(struct conn *c);
	/* The node stops, or an administrator ends the session: append a goodbye that says why; the connection then ends as
	   with CONN_CLOSE. */
	void (*shutdown)(struct conn *c, const char *why);
	/* Give back c->session. Called once for each open(), the last call of all. */
	void (*close)(struct conn *c);
	/* Clients are asked for a certificate, where one may log them in (tls_load). */
	bool certified;
	/* A client is a stranger until conn_enter() says whose it is: those of one address may be a tenth of the connections, or ten. */
	bool strangers;
};

/* Where bytes come from and go to: the socket, TLS on it, deflate on either. Both return the number of bytes, or -1 and
   errno (EAGAIN: the socket would block; EBADMSG of read: what came means nothing, but the peer can be told so); read
   returns 0 at the end. What write took it may still hold (slot.held): it sends that before all else, and with n of 0 nothing
   but that. finish tells the peer that no more will be written. */
struct conn_io {
	ssize_t (*read)(struct conn *c, void *p, size_t n);
	ssize_t (*write)(struct conn *c, const void *p, size_t n);
	int (*finish)(struct conn *c);
	void (*close)(struct conn *c);
};

struct conn {
	const struct conn_protocol *protocol;
	void *service;     /* what the listener was opened with: the protocol's view of the node */
	void *session;     /* the protocol's */
	struct span in;    /* input not consumed yet; moves between calls */
	struct buffer out; /* append replies here; bytes already sent may stand before them */
	int64_t id;        /* of the session, for logs and the journal */
	int fd;
	bool local;        /* the peer is on this machine: loopback or a Unix socket */
	const char *tls;   /* "TLSv1.3" once TLS protects it, else NULL */
	char peer[54];     /* "127.0.0.1:3456", "[::1]:3456", "unix" */
	const struct conn_io *io;
};

/* Forget the first n bytes of c->in. */
void conn_consume(struct conn *c, size_t n);
/* From now on, us microseconds until timeout() is called; it stays until set anew or over. 0: never. */
void conn_timeout(struct conn *c, int64_t us);
/* The peer's address without its port: "127.0.0.1", "::1", "unix". Lives in c. */
struct span conn_address(const struct conn *c);
/* Sends what it can when more than `bytes` are unsent; true if still more are: the handler should save its place and
   return CONN_DRAIN, so that a slow peer holds no worker. */
bool conn_flush_if_over(struct conn *c, size_t bytes);
/* More is needed, and nothing is said meanwhile: acknowledges at once what came, for a peer that holds the rest back until then
   (Nagle's algorithm, against which ours would wait for 40 ms). */
void conn_acknowledge(struct conn *c);
/* From now on, until CONN_TLS is returned: TLS with these certificates is what comes next. ERR_UNAVAILABLE when there are
   none: nothing changed. */
int conn_start_tls(struct conn *c, struct tls *t);
/* Is what goes over it deflated? */
bool conn_deflates(struct conn *c);
/* What the ends of its TLS session know and nobody between them: CONN_EXPORTER is tls-exporter (RFC 9266), CONN_END_POINT
   tls-server-end-point (RFC 5929). Returns how many bytes, 0: without TLS, or not to be had. */
enum conn_binding { CONN_EXPORTER, CONN_END_POINT };
enum { CONN_BINDING_MAX = 64 };
size_t conn_binding(struct conn *c, enum conn_binding kind, unsigned char out[CONN_BINDING_MAX]);
/* Whom the client's certificate names, which was verified (tls_load): each rfc822Name of its subjectAltName, or where there is
   none its common name, each ended by NUL; returns the bytes, 0: none. */
enum { CONN_NAMES_MAX = 1024 };
size_t conn_client_names(struct conn *c, char out[CONN_NAMES_MAX]);
/* What the session says of itself, for loop_each(); copied, empty takes it back. */
enum conn_fact { CONN_USER, CONN_CLIENT, CONN_FOLDER, CONN_FACTS };
void conn_tell(struct conn *c, enum conn_fact fact, struct span text);
/* Whose session it is, and by which of his passwords, as loop_each() is to find it: numbers that mean something above; 0: nobody's. */
void conn_enter(struct conn *c, int64_t account, int64_t app);
/* From any thread: resume() will run on a worker if the connection waits with CONN_WAKE, or as soon as it does. A call
   that comes after the end of the connection does no harm while the loop lives; it may wake another one in vain. */
void conn_wake(struct conn *c);

#endif
