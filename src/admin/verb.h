/* What the handler of a verb sees. A handler reads top to bottom: take the arguments, call one service function, write
   the result; it returns the exit status. All verbs stand in verbs.def; each handler in a file of its own. */
#ifndef VERB_H
#define VERB_H

#include <limits.h>

#include "json_write.h"

/* Exit statuses that scripts rely on. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_RETRY = 75 };

enum {
	VERB_PASSWORD = 1, /* the command sends one line (of --password-file or standard input): request_password() */
	VERB_ITEMS = 2,    /* the arguments after the first are files and folders of the client: request_item() */
	VERB_OFFLINE = 4,  /* the command does it without a node */
	VERB_EXPORT = 8,   /* the second argument is a place of the client's that it writes to: request_export() */
	VERB_LOCAL = 16,   /* the command does it, never the node */
};

struct request;
struct purge;

struct verb {
	const char *name;      /* "account add" */
	int (*run)(struct request *r);
	const char *arguments; /* for the usage: "ADDRESS..." */
	size_t min, max;       /* how many of them */
	const char *options;   /* "folder=F at=WHEN yes": those with = take a value; --json is always there */
	unsigned flags;
	const char *help;
};

/* The node as verbs see it. */
struct admin_node {
	struct service *service; /* the mailbox service */
	struct identity *identity;
	struct loop *loop;       /* the sessions */
	struct purge *purge;     /* the one destroyer */
	const char *dir, *name;  /* the data folder, and node.name */
	void *ctx;               /* for the verbs of the node itself, which it brings along: */
	int (*status)(struct request *r);
	int (*config)(struct request *r);
	int (*reload)(struct request *r);
	int (*metrics)(struct request *r);
};

#define ARGS_MAX 10000
#define REQUEST_OPTIONS_MAX 16

struct request {
	const struct admin_node *node;
	const struct verb *verb;
	const char **args;   /* n_args of them, without the verb's words and the options */
	size_t n_args;
	bool json, terminal; /* --json; standard output is a terminal */
	const char *folder;  /* the command's working folder, for relative paths */
	int64_t session;     /* for history */
	/* Below: for the functions only. */
	struct {
		const char *name;
		size_t name_n;
		const char *value;
	} options[REQUEST_OPTIONS_MAX];
	size_t n_options;
	struct channel *channel;
};

/* The value of --name; NULL if it was not given. */
const char *request_option(const struct request *r, const char *name);
/* Was --name given? */
bool request_has(const struct request *r, const char *name);

/* The path as the command's user means it, for the node: absolute. */
int request_path(const struct request *r, const char *path, char out[static PATH_MAX]);

/* A line for standard output, without its line end. */
void request_line(struct request *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void request_span(struct request *r, struct span line);
/* A line for standard error; returns status, so that a handler can end with it. */
int request_error(struct request *r, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same for an error code and its detail: what was to be done, what went wrong, and 75 where a later try may work. */
int request_failed(struct request *r, int error, const char *what);
/* Shown as a bar on a terminal; total 0: unknown. Cheap: sent ten times a second at most. */
void request_progress(struct request *r, uint64_t done, uint64_t total, const char *text);
/* The client is gone, or the node stops: long work ends at its next step. */
bool request_cancelled(struct request *r);
/* OK when the user agrees (on a terminal) or gave --yes; else an exit status, the error is said. */
int request_confirm(struct request *r, const char *question);

/* The password line, without its end. It must be wiped after use. ERR_NOT_FOUND when none came. */
int request_password(struct request *r, char *out, size_t n);

/* The next message to import. OK, ERR_NOT_FOUND at the end, or a failure. It lives until the next call. */
struct import_item;
int request_item(struct request *r, struct import_item *out);
/* The next piece of that message's bytes; ERR_NOT_FOUND at its end. */
int request_item_data(struct request *r, struct span *out);

/* A part of an export to the command, and bytes of the message named last. What goes wrong shows as request_cancelled(). */
struct export_item;
void request_export(struct request *r, const struct export_item *i);
void request_export_data(struct request *r, struct span bytes);
/* What the command says to it; lives until the next call. */
int request_export_answer(struct request *r, struct span *out);

#define VERB(name, handler, ...) int handler(struct request *r);
#include "verbs.def"
#undef VERB

#endif
