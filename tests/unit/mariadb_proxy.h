/* A TCP proxy in front of a MariaDB server, which spoils what it is told to: for tests of what a driver makes of it. */
#ifndef MARIADB_PROXY_H
#define MARIADB_PROXY_H

#include <stdbool.h>

enum proxy_where {
	PROXY_NOWHERE,
	PROXY_BEGIN,     /* the batch that begins a transaction */
	PROXY_STATEMENT, /* any batch within one that does not end it */
	PROXY_COMMIT,    /* the batch that ends one that wrote */
	PROXY_FENCE,     /* the batch that closes an open end */
	PROXY_ALL,       /* every statement, also the looks at the server's health */
};

enum proxy_what {
	PROXY_CUT,       /* cuts the connection before the batch is handed on */
	PROXY_CUT_AFTER, /* hands it on, waits until it was carried out, cuts the connection without the answer */
	PROXY_HANG,      /* hands it on, and keeps the answer for itself */
	PROXY_SILENT,    /* does not hand it on, and answers nothing */
	PROXY_ERROR,     /* does not hand it on (of the end of a transaction: the COMMIT in it), and answers an error */
	PROXY_ERROR_AFTER, /* hands it on, and answers an error in place of the last answer */
	PROXY_LOSE,      /* of the end of a transaction: all is answered with OK, and rolled back */
};

struct proxy_plan {
	enum proxy_where where;
	enum proxy_what what;
	unsigned error; /* the number that errors have */
	int skip;       /* so many such batches go through before */
	int times;      /* and so many are spoiled then; 0: all */
};

struct proxy;

struct proxy *proxy_start(const char *host, unsigned port);
void proxy_stop(struct proxy **p);
unsigned proxy_port(const struct proxy *p);
/* Counting begins anew. */
void proxy_set(struct proxy *p, struct proxy_plan plan);
/* While it is down, connections are refused (and those that were there are cut). */
void proxy_down(struct proxy *p, bool down);
/* New connections are taken and never served, and those that are there stop. */
void proxy_freeze(struct proxy *p, bool frozen);
/* Connections beyond the n-th are answered with 1040, as those of a server that has no more; 0: none is. */
void proxy_limit(struct proxy *p, int n);
int proxy_refused(struct proxy *p);
int proxy_spoiled(struct proxy *p);

#endif
