/* A node: the stores and services of one data folder, and what listens on top of them. */
#ifndef NODE_H
#define NODE_H

#include <pthread.h>
#include <stdatomic.h>

#include "admin.h"
#include "auth.h"
#include "config.h"
#include "http.h"
#include "identity.h"
#include "imap.h"
#include "lmtp.h"
#include "loop.h"
#include "presence.h"
#include "purge_job.h"
#include "resume_job.h"
#include "service.h"
#include "socketmap.h"
#include "tls.h"

struct audit;
struct expel;
struct ballast;
struct link;
struct poller;

/* What the command line says; lives as long as the node. */
struct node_options {
	const char *dir;
	const char *config;          /* file; NULL: DIR/perdura.conf if it is there */
	const char *const *settings; /* n of --set */
	size_t n;
};

struct node {
	struct node_options opt;
	char host[256];
	int64_t started;        /* clock_mono() */
	pthread_mutex_t lock;   /* config, while it is reloaded and read at once */
	struct config config;
	int lock_fd, log_fd;
	struct store *store;
	struct identity *identity;
	struct service *service;
	struct watch *directory_watch; /* tells identity of changes of the system log */
	struct ballast *ballast;
	struct link *link;      /* to other nodes; NULL: none */
	struct poller *poller;  /* NULL: no other node has this database */
	struct audit *audit;    /* NULL: off */
	struct expel *expel;    /* ends sessions whose login ended */
	struct lmtp_node lmtp;
	struct imap_node imap;
	struct auth_node auth;
	struct http_node http;
	struct socketmap_node socketmap;
	struct metrics *metrics;
	struct health *health;
	_Atomic int64_t packs_read; /* clock_mono() time at which their sizes were asked for */
	struct tls *tls;        /* the certificates */
	struct loop *loop;
	struct admin_node admin_node;
	struct admin *admin;
	struct purge *purge;
	struct packer *packer;
	struct job *purge_job, *packer_job;
	struct resume_job *resume_job;
	struct presence *presence;
	struct buffer ports;    /* what DIR/run/ports says */
};

/* Serves when it returns OK. On failure nothing is left running. */
int node_start(const struct node_options *o, struct node *n);
/* Ends within stop.timeout and a little; ERR_TIMEOUT when something still runs: then the process should just end,
   which loses nothing that was answered. */
int node_stop(struct node *n);
/* Reads the settings and the certificates again, reopens the log file; what is wrong is logged, and nothing is changed then.
   rest gets the names of changed options that count from the next start on. */
int node_reload(struct node *n, struct buffer *rest);

/* node_verbs.c */
int node_verb_status(struct request *r);
int node_verb_config(struct request *r);
int node_verb_reload(struct request *r);

/* node_metrics.c */
enum { NODE_ROUTES = 2 };
extern const struct http_route node_routes[NODE_ROUTES];
int node_metrics_new(struct node *n);
int node_verb_metrics(struct request *r);

#endif
