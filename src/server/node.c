#include "node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "audit.h"
#include "expel.h"
#include "ballast.h"
#include "clock.h"
#include "data_dir.h"
#include "directory.h"
#include "durable_file.h"
#include "fail.h"
#include "health.h"
#include "link.h"
#include "log.h"
#include "packer.h"
#include "nodes.h"
#include "poller.h"
#include "purge.h"
#include "secret.h"
#include "metric.h"
#include "store.h"
#include "system.h"
#include "tally.h"

#define PACKER_EVERY_US (10 * SECOND_US)

enum {
	DESCRIPTORS_KEPT = 128,  /* for the stores, when connections take all they can get */
	HTTP_CONNECTIONS = 100,
	AUTH_CONNECTIONS = 5000, /* each process of a mail server may hold one */
};

/* A path below the data folder, unless it is absolute. */
static int path_in(const char *dir, const char *name, char out[PATH_MAX])
{
	int n = *name == '/' ? snprintf(out, PATH_MAX, "%s", name) : snprintf(out, PATH_MAX, "%s/%s", dir, name);
	return n < PATH_MAX ? OK : fail_with(ERR_INVALID, "%s/%s: name too long", dir, name);
}

static int load_config(const struct node_options *o, struct config *out)
{
	return config_load(o->dir, o->config, o->settings, o->n, out);
}

/* *fd is -1 where lines go to standard error. */
static int open_log(const struct node *n, const struct config *c, int *fd)
{
	char path[PATH_MAX];
	*fd = -1;
	if (!*c->log_file)
		return OK;
	int r = path_in(n->opt.dir, c->log_file, path);
	if (r)
		return r;
	int opened = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (opened < 0)
		return fail_errno("open", path);
	*fd = opened;
	return OK;
}

/* The file takes the place of the old one, under the threads that write to it. */
static void use_log(struct node *n, int fd)
{
	log_level_set((enum log_level)n->config.log_level);
	if (n->log_fd >= 0) {
		dup3(fd < 0 ? STDERR_FILENO : fd, n->log_fd, O_CLOEXEC);
		if (fd >= 0)
			close(fd);
	} else if (fd >= 0) {
		n->log_fd = fd;
		log_to(fd);
	}
}

static int load_certificates(struct node *n, const struct config *c)
{
	if (!*c->tls_cert && *n->config.listen_imaps)
		return fail_with(ERR_INVALID, "listen.imaps wants a certificate: set tls.cert and tls.key");
	struct tls_files files = { span_of(c->tls_cert), span_of(c->tls_key), span_of(c->tls_client_ca) };
	return tls_load(n->tls, &files, n->opt.dir);
}

/* What a running node can change. */
static void use_settings(struct node *n)
{
	const struct config *c = &n->config;
	n->lmtp.recipients_max = (unsigned)c->lmtp_recipients_max;
	n->imap.user_max = (unsigned)c->imap_connections_user;
	n->imap.unauthenticate = c->imap_unauthenticate;
	n->imap.plaintext = n->auth.plaintext = (enum login_plaintext)c->login_plaintext;
	identity_offer_scram(n->identity, c->login_scram);
	loop_limit(n->loop, &lmtp_protocol, (int)c->lmtp_connections);
	loop_limit(n->loop, &imap_protocol, (int)c->imap_connections);
}

static int64_t mint(void *ctx)
{
	return service_mint(((struct node *)ctx)->service);
}

static void directory_moved(void *identity)
{
	directory_changed(identity);
}

/* Whoever hashes a password or waits for that holds a worker: half of them at most, so that a flood of logins leaves
   the others to those who are in. */
static void bound_hashes(const struct config *c, struct identity_options *o)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	o->hash_queue = (unsigned)c->workers_max / 4;
	o->hash_parallel = cores > 0 && cores < o->hash_queue ? (unsigned)cores : o->hash_queue;
}

static int open_stores(struct node *n)
{
	const struct config *c = &n->config;
	struct store_options so = { n->opt.dir, c->node_name, c->meta_url, c->blob_url, n->metrics, c->blob_cache };
	int r = store_open(&so, &n->store);
	if (r)
		return r;
	struct identity_options io = { .meta = n->store->meta, .domain = span_of(c->account_domain), .cache_minutes = 5,
		.metrics = n->metrics };
	bound_hashes(c, &io);
	r = identity_open(&io, &n->identity);
	if (!r)
		r = service_open(n->store, &n->service);
	if (r)
		return r;
	service_obey(n->service, n->identity);
	r = service_watch(n->service, SYSTEM_ACCOUNT, 0, directory_moved, n->identity, &n->directory_watch);
	if (!r)
		r = purge_open(&(struct purge_options){ n->service, n->identity, c->purge_grace }, &n->purge);
	if (!r)
		r = packer_open(&(struct packer_options){ n->store, c->blob_pack_bytes, c->blob_pack_age }, &n->packer);
	/* last: what a crash cut short is finished with what room there is */
	return r ? r : ballast_open(n->opt.dir, c->ballast, &n->store->full, &n->ballast);
}

static void close_stores(struct node *n)
{
	ballast_close(&n->ballast);
	if (n->service)
		service_unwatch(n->service, &n->directory_watch);
	packer_close(&n->packer);
	purge_close(&n->purge);
	service_close(&n->service);
	identity_close(&n->identity);
	store_close(&n->store);
}

/* As many as descriptors allow. */
static int connections_max(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) || r.rlim_cur > INT_MAX)
		return INT_MAX;
	return r.rlim_cur > 2 * DESCRIPTORS_KEPT ? (int)r.rlim_cur - DESCRIPTORS_KEPT : (int)r.rlim_cur / 2;
}

static int listen_at(struct node *n, const struct listen_address *a, const struct conn_protocol *p, void *service,
                     struct tls *tls)
{
	struct listener l[LISTEN_MAX];
	size_t count = LISTEN_MAX, i = 0;
	int r = listener_open(a, n->opt.dir, l, &count);
	if (r)
		return r;
	for (; i < count && !r; i++) {
		buffer_puts(&n->ports, n->ports.p[n->ports.n - 1] == '=' ? "" : ",");
		buffer_puts(&n->ports, l[i].bound);
		r = loop_listen(n->loop, &l[i], p, service, 0, tls);
	}
	if (r)
		for (i--; i < count; i++)
			listener_close(&l[i]);
	return r;
}

static int listen_on(struct node *n, const char *option, const char *value, const struct conn_protocol *p, void *service,
                     struct tls *tls)
{
	struct listen_list list;
	char why[400];
	int r = listen_parse(span_of(value), &list);
	if (!r && list.n)
		buffer_printf(&n->ports, "%s=", option);
	for (size_t i = 0; i < list.n && !r; i++)
		r = listen_at(n, &list.at[i], p, service, tls);
	if (!r && list.n)
		buffer_putc(&n->ports, '\n');
	if (!r)
		return OK;
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with((enum error)r, "%s: %s", option, why);
}

static int open_listeners(struct node *n)
{
	const struct config *c = &n->config;
	struct loop_options lo = { .workers_max = (int)c->workers_max, .conns_max = connections_max(), .session_id = mint,
		.ctx = n };
	int r = loop_open(&lo, &n->loop);
	if (r)
		return r;
	n->lmtp = (struct lmtp_node){ .service = n->service, .identity = n->identity, .host = n->host,
		.tls = n->tls, .metrics = n->metrics };
	n->imap = (struct imap_node){ .service = n->service, .identity = n->identity, .host = n->host,
		.version = PERDURA_VERSION, .tls = n->tls, .metrics = n->metrics, .tally = tally_new() };
	if (!n->imap.tally)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	n->auth = (struct auth_node){ .identity = n->identity };
	n->http = (struct http_node){ node_routes, NODE_ROUTES, n };
	n->socketmap = (struct socketmap_node){ n->identity };
	if ((r = listen_on(n, "listen.lmtp", c->listen_lmtp, &lmtp_protocol, &n->lmtp, NULL)) ||
	    (r = listen_on(n, "listen.imap", c->listen_imap, &imap_protocol, &n->imap, NULL)) ||
	    (r = listen_on(n, "listen.imaps", c->listen_imaps, &imap_protocol, &n->imap, n->tls)) ||
	    (r = listen_on(n, "listen.auth", c->listen_auth, &auth_protocol, &n->auth, NULL)) ||
	    (r = listen_on(n, "listen.socketmap", c->listen_socketmap, &socketmap_protocol, &n->socketmap, NULL)) ||
	    (r = listen_on(n, "listen.http", c->listen_http, &http_protocol, &n->http, NULL)))
		return r;
	loop_limit(n->loop, &http_protocol, HTTP_CONNECTIONS);
	loop_limit(n->loop, &socketmap_protocol, SOCKETMAP_CONNECTIONS);
	loop_limit(n->loop, &auth_protocol, AUTH_CONNECTIONS);
	use_settings(n);
	return OK;
}

static int open_link(struct node *n)
{
	struct link_options o = { .service = n->service, .node = nodes_self(n->store->nodes),
		.epoch = nodes_epoch(n->store->nodes), .metrics = n->metrics };
	struct listen_list list;
	char why[400];
	int r = listen_parse(span_of(n->config.listen_link), &list);
	if (r || !list.n)
		return r;
	o.listen = list.at[0];
	r = list.n > 1 ? fail_with(ERR_INVALID, "one address, please") : secret_get(n->store->meta, "link.key", o.key);
	if (!r)
		r = link_open(&o, &n->link);
	if (!r)
		buffer_printf(&n->ports, "listen.link=%s\n", link_address(n->link));
	if (!r)
		return OK;
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with((enum error)r, "listen.link: %s", why);
}

/* What other nodes do is heard of, and looked for. */
static int open_notices(struct node *n)
{
	int r = open_link(n);
	if (!r)
		r = presence_start(&(struct presence_options){ n->service, n->link ? link_address(n->link) : "", PERDURA_VERSION },
			&n->presence);
	if (!r && meta_shared(n->store->meta))
		r = poller_start(&(struct poller_options){ n->service, n->link, n->config.poll_every, n->metrics }, &n->poller);
	return r;
}

static int open_admin(struct node *n)
{
	char path[PATH_MAX];
	n->admin_node = (struct admin_node){ .service = n->service, .identity = n->identity, .loop = n->loop, .dir = n->opt.dir,
		.name = n->config.node_name, .ctx = n,
		.status = node_verb_status, .config = node_verb_config, .reload = node_verb_reload,
		.metrics = node_verb_metrics, .purge = n->purge };
	int r = path_in(n->opt.dir, "admin.sock", path);
	return r ? r : admin_open(path, &n->admin_node, mint, n, &n->admin);
}

static int open_health(struct node *n)
{
	const struct health_options o = { n->opt.dir, n->store, n->loop };
	return health_start(&o, &n->health);
}

static int ports_path(struct node *n, char out[PATH_MAX])
{
	return path_in(n->opt.dir, "run/ports", out);
}

static int write_ports(struct node *n)
{
	char path[PATH_MAX];
	int r = ports_path(n, path);
	return r ? r : durable_file_write(path, buffer_span(&n->ports), 0644);
}

static int remove_ports(struct node *n)
{
	char path[PATH_MAX];
	int r = ports_path(n, path);
	return r || unlink(path) == 0 || errno == ENOENT ? r : fail_errno("unlink", path);
}

/* How often it looks whether there is anything to gather. */
static int64_t packer_every(const struct config *c)
{
	return c->blob_pack_age < PACKER_EVERY_US ? c->blob_pack_age : PACKER_EVERY_US;
}

static int open_all(struct node *n)
{
	int fd, r = data_dir_open(n->opt.dir, &n->lock_fd);
	if (r || (r = open_log(n, &n->config, &fd)))
		return r;
	use_log(n, fd);
	if ((r = tls_new(&n->tls)) || (r = load_certificates(n, &n->config)) || (r = node_metrics_new(n)) ||
	    (r = open_stores(n)) || (r = open_listeners(n)) || (r = open_notices(n)) || (r = open_health(n)) ||
	    (r = expel_start(n->service, n->identity, n->loop, &n->expel)) || (r = loop_start(n->loop)) || (r = open_admin(n)) ||
	    (r = job_start(n->config.purge_every, n->config.purge_every, purge_job, n->purge, &n->purge_job)) ||
	    (r = job_start(packer_every(&n->config), packer_every(&n->config), packer_job, n->packer, &n->packer_job)) ||
	    (r = audit_start(n->service, n->config.log_audit, &n->audit)))
		return r;
	r = resume_job_start(n->service, &n->resume_job);
	return r ? r : write_ports(n);
}

/* What is open, in the order that lets nobody use what is closed. */
static int close_all(struct node *n)
{
	pthread_mutex_lock(&n->lock); /* a reload may be under way */
	int64_t patience = n->config.stop_timeout;
	pthread_mutex_unlock(&n->lock);
	int r = n->loop ? loop_stop(n->loop, patience) : OK;
	if (n->admin && !r)
		r = admin_stop(n->admin, patience);
	if (r)
		return r;
	job_stop(&n->purge_job);
	job_stop(&n->packer_job);
	audit_stop(&n->audit);
	expel_stop(&n->expel);
	poller_stop(&n->poller);
	presence_stop(&n->presence);
	link_close(&n->link);
	resume_job_stop(&n->resume_job);
	admin_close(&n->admin);
	health_stop(&n->health);
	loop_close(&n->loop);
	tally_free(&n->imap.tally);
	tls_free(&n->tls);
	close_stores(n);
	metrics_free(&n->metrics);
	buffer_free(&n->ports);
	config_free(&n->config);
	pthread_mutex_destroy(&n->lock);
	if (n->log_fd >= 0) {
		log_to(STDERR_FILENO);
		close(n->log_fd);
	}
	if (n->lock_fd >= 0)
		close(n->lock_fd);
	return OK;
}

int node_start(const struct node_options *o, struct node *n)
{
	char why[512];
	*n = (struct node){ .opt = *o, .lock_fd = -1, .log_fd = -1, .started = clock_mono() };
	int r = load_config(o, &n->config);
	if (r)
		return r;
	if (gethostname(n->host, sizeof n->host - 1))
		strcpy(n->host, "localhost");
	pthread_mutex_init(&n->lock, NULL);
	r = open_all(n);
	if (r) {
		snprintf(why, sizeof why, "%s", fail_detail());
		close_all(n);
		return fail_with((enum error)r, "%s", why);
	}
	log_line(LOG_INFO, "start", "node=%s version=%s data=%s ms=%lld", n->config.node_name, PERDURA_VERSION, o->dir,
		(long long)((clock_mono() - n->started) / 1000));
	return OK;
}

int node_stop(struct node *n)
{
	remove_ports(n);
	health_stopping(n->health);
	log_line(LOG_INFO, "stop", "node=%s", n->config.node_name);
	return close_all(n);
}

/* Everything that may fail comes first, so that all or nothing is changed. */
static int apply(struct node *n, const struct config *fresh, struct buffer *rest)
{
	int fd, r = open_log(n, fresh, &fd);
	if (r)
		return r;
	r = load_certificates(n, fresh);
	if (r && fd >= 0)
		close(fd);
	if (r)
		return r;
	buffer_reset(rest);
	config_reload(&n->config, fresh, rest);
	use_log(n, fd);
	use_settings(n);
	return OK;
}

int node_reload(struct node *n, struct buffer *rest)
{
	struct config fresh;
	char why[512];
	int r = load_config(&n->opt, &fresh);
	if (!r) {
		pthread_mutex_lock(&n->lock);
		r = apply(n, &fresh, rest);
		pthread_mutex_unlock(&n->lock);
		config_free(&fresh);
	}
	if (r)
		log_line(LOG_ERROR, "reload", "result=refused why=%s", log_quote(why, sizeof why, span_of(fail_detail())));
	else
		log_line(LOG_INFO, "reload", "result=ok from-next-start=%.*s", SPAN_ARG(buffer_span(rest)));
	return r;
}
