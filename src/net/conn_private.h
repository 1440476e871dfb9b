/* A connection as the loop sees it: what stands around the struct conn of the protocols.
 *
 * A slot is owned (the OWNED bit of `events`) or parked. Whoever sets OWNED first, with the event that it brings, runs
 * the slot or queues it; who finds it set has left its event for the owner, which cannot park while one is there. Slots
 * are never given back to malloc while the loop lives, and a free slot is owned: an event that comes too late finds a
 * slot, sets a bit in it, and does no harm. */
#ifndef CONN_PRIVATE_H
#define CONN_PRIVATE_H

#include <stdatomic.h>

#include "conn.h"
#include "timer.h"

enum source { SOURCE_CONN, SOURCE_LISTENER, SOURCE_QUEUE, SOURCE_TIMERS };

enum {
	EVENT_IO = 1,
	EVENT_WAKE = 2, /* stays until a handler waits for it */
	EVENT_TIMEOUT = 4,
	EVENT_STOP = 8,
	OWNED = 16,
	WAKEABLE = 32, /* parked with CONN_WAKE */
	EVENT_KICK = 64,
};

enum phase {
	PHASE_OPENING,   /* just accepted */
	PHASE_SECURING,  /* the handshake of TLS; then the protocol opens it, or goes on */
	PHASE_SERVING,   /* the protocol runs it */
	PHASE_FLUSHING,  /* the protocol is done, output is left */
	PHASE_LINGERING, /* all is sent and said; what the peer still sends is thrown away, so that no reset overtakes our
	                    last line */
	PHASE_OVER,
};

struct deflater;
struct inflater;

/* What a worker lends to the connection that it runs. */
struct lent {
	struct deflater *deflater; /* NULL: nobody wanted one yet */
	struct inflater *inflater; /* the same, or somebody took it away, amid a block */
};

struct slot {
	enum source source; /* first: what epoll hands out */
	struct conn conn;
	struct loop *loop;
	struct listen_source *from;
	atomic_uint events;
	enum phase phase;
	enum conn_next wait;
	bool listed;     /* loop_each() shows it; it, what the session tells and conn.tls change under the loop's lock */
	bool opened;     /* the protocol has a session */
	bool more;       /* the io may hold input that no event will announce */
	bool eof;        /* the peer sends no more */
	bool watched;    /* in the epoll set */
	bool broken;     /* the socket failed: nothing can be sent */
	bool garbled;    /* what the peer sent means nothing to the io */
	unsigned read_wants, write_wants; /* epoll events to wait for before reading or writing can go on */
	struct tls *tls; /* what TLS is made with; NULL: none */
	struct tls_conn *secure;      /* the io of TLS; NULL: none */
	struct deflate_conn *deflate; /* the io of deflate; NULL: none */
	struct lent *lent;            /* while a worker runs it */
	int64_t since;   /* clock_now() when it came */
	_Atomic int64_t active; /* clock_mono() of its last input */
	int64_t account, app;    /* of conn_enter() */
	bool stranger;   /* counted as one at its address */
	const char *_Atomic kicked; /* why loop_each() ends it */
	char *facts[CONN_FACTS]; /* what conn_tell() said; NULL: nothing */
	int64_t linger_until;   /* clock_mono() */
	int64_t deadline_after; /* the protocol's, while the handshake has one of its own */
	size_t sent;     /* bytes of conn.out that are gone already */
	size_t held;     /* bytes that the io made of those, and could not send yet */
	struct buffer kept; /* unconsumed input while parked */
	_Atomic int64_t deadline; /* clock_mono() time, 0 for none */
	struct timer timer;       /* set at the deadline or before it: a deadline that moves on costs nothing */
	struct slot *next;        /* in the queue or the free list */
};

#define SLOT_OF(c) ((struct slot *)(void *)((char *)(c)-offsetof(struct slot, conn)))

static inline size_t slot_unsent(const struct slot *s)
{
	return s->conn.out.n - s->sent + s->held;
}

/* Sends what the socket takes; sets broken on failure. */
void slot_flush(struct slot *s);
/* Reads into the n bytes at p; sets eof, broken or garbled. Returns the bytes read. */
size_t slot_read(struct slot *s, char *p, size_t n);
/* Leaves an event: true when the caller became the owner by it. */
bool slot_post(struct slot *s, unsigned event);
/* Hands an owned slot to some worker. */
void loop_queue(struct loop *l, struct slot *s);

extern const struct conn_io conn_io_socket;

/* From now on its io is deflate, above what it was. False: out of memory, or it is so already. */
bool deflate_begin(struct slot *s);
/* Its worker turns to something else: gives back what was lent, if it can. */
void deflate_rest(struct slot *s);

#endif
