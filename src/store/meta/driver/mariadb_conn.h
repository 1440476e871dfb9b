/* One connection to a MariaDB server, by the text protocol. Used by one thread at a time. */
#ifndef MARIADB_CONN_H
#define MARIADB_CONN_H

#include <mysql.h>

#include "mariadb_url.h"
#include "meta_driver.h"

enum {
	MARIADB_CONNECT_S = 3,
	/* The longest wait for an answer. A Galera cluster that loses a node holds every commit for 5.3 s with its stock
	   settings, without an error. */
	MARIADB_ANSWER_S = 8,
	MARIADB_LOCK_S = 3,  /* for a row that another transaction holds */
	MARIADB_IDLE_S = 60, /* the server ends a connection that is idle for so long */
	MARIADB_LIFE_S = 300, /* one that is older is not lent again: the host's name may have got another address */
	MARIADB_STALL_S = 10, /* and one that is idle within a transaction: a node that was cut off holds no rows for longer */
};

/* How a session is set up for transactions of either sort. See mariadb_txn.h for why none of those that write commits by itself. */
#define MARIADB_FOR_READING "autocommit=1, tx_isolation='REPEATABLE-READ'"
#define MARIADB_FOR_WRITING "autocommit=0, tx_isolation='READ-COMMITTED'"

struct mariadb_conn {
	struct mariadb_conn *next; /* the pool's */
	MYSQL *db;
	int socket;          /* a descriptor of it that is ours: the library closes its own when it likes (mariadb_conn_cut) */
	size_t host;         /* which of the pool's */
	bool writes;         /* MARIADB_FOR_WRITING */
	bool owed;           /* the answer to the end of a transaction was not waited for */
	int64_t idle_since;  /* us (clock_mono) */
	int64_t born;        /* us (clock_mono) */
	unsigned error;      /* the server's or the client library's number for the last failure; 0: none */
};

/* How long one waits for anything, seconds. */
struct mariadb_patience {
	unsigned connect, answer;
	bool current; /* reads wait for what other nodes committed before */
};

/* address and the rest of u need not outlive the call. The password is never told. On failure *out holds nothing but error. */
int mariadb_conn_open(const struct mariadb_url *u, size_t host, const struct mariadb_patience *p, struct mariadb_conn *out);
void mariadb_conn_close(struct mariadb_conn *c);
/* From another thread than the one that uses it, and while it is not closed: who waits for an answer finds it lost. */
void mariadb_conn_cut(const struct mariadb_conn *c);

struct mariadb_answer {
	MYSQL_RES *rows; /* NULL for a statement that gives none; the caller frees it */
	int64_t changed;
};

enum {
	MARIADB_OK_BYTES = 11,  /* the shortest packet that says OK, and that ends rows: the least that a statement is answered with */
};

/* Sends n statements, with semicolons between, in one go and reads the answers until one failed: *done succeeded, and the rest
   did not run. False on failure: c->error tells of the first that did not (mariadb_failure). answer: room for n.
   least: as many bytes come at least if none fails. A server sends each answer by itself; woken by each of them, one spends more
   processor time on waiting than on anything else. One that fails is heard of a few ms later for it. */
bool mariadb_batch(struct mariadb_conn *c, struct span sql, size_t n, size_t least, struct mariadb_answer *answer, size_t *done);
/* How many bytes rows come in at least, were they none: what describes their columns. */
size_t mariadb_least_bytes(MYSQL_RES *rows);
/* Sends a statement whose answer is read when the connection is used next. */
void mariadb_send(struct mariadb_conn *c, const char *sql);
/* Reads what is owed; false: the connection is of no use any more. */
bool mariadb_settle(struct mariadb_conn *c);

/* What a failure is about. */
enum mariadb_fault {
	FAULT_NONE,
	FAULT_CONFLICT,  /* the transaction was refused for another's sake: run it again */
	FAULT_LOCK_WAIT, /* waited too long for a row; the statement is undone, the transaction is not */
	FAULT_NOT_READY, /* the server is there and takes no work: another may */
	FAULT_LOST,      /* the connection is gone, or was never made */
	FAULT_OTHER,
};
enum mariadb_fault mariadb_fault(unsigned error);
/* The server takes no more connections, and is well. */
bool mariadb_is_full(unsigned error);
/* Our code for it. What may be run again is ERR_CONFLICT. */
int mariadb_code(unsigned error, const char *text);
/* Sets the detail from what the connection said last, and returns the code. what: which statement, cut. */
int mariadb_failure(const struct mariadb_conn *c, const char *what);

#endif
