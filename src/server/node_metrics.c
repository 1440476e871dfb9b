/* What a node tells of itself: the routes of listen.http, and the verb metrics. */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "audit.h"
#include "clock.h"
#include "fail.h"
#include "follow.h"
#include "health.h"
#include "link.h"
#include "metric.h"
#include "node.h"
#include "packer.h"
#include "purge.h"
#include "staged.h"
#include "store.h"

#define PACKS_US (60 * SECOND_US)
#define PACKS_FAR_US (3600 * SECOND_US) /* in S3, where a list costs a request for each 1,000 */

static const struct conn_protocol *const protocols[] = { &lmtp_protocol, &imap_protocol, &http_protocol,
	&socketmap_protocol, &auth_protocol };
enum { PROTOCOLS = sizeof protocols / sizeof *protocols };

static void read_loop(struct node *n)
{
	struct loop_stats s;
	loop_stats(n->loop, &s);
	for (unsigned i = 0; i < PROTOCOLS; i++)
		metric_set(n->metrics, METRIC_CONNECTIONS, i, loop_conns(n->loop, protocols[i]));
	metric_set(n->metrics, METRIC_ACCEPTED, 0, s.accepted);
	metric_set(n->metrics, METRIC_REFUSED, 0, s.refused);
	metric_set(n->metrics, METRIC_WORKERS, 0, s.workers > s.waiting ? s.workers - s.waiting : 0);
	metric_set(n->metrics, METRIC_WORKERS, 1, s.waiting);
}

static void read_stores(struct node *n)
{
	struct meta_stats meta;
	struct blob_stats blob;
	struct service_stats service;
	struct statvfs disk;
	meta_stats(n->store->meta, &meta);
	blob_stats(n->store->blob, &blob);
	service_stats(n->service, &service);
	metric_set(n->metrics, METRIC_CHANGES, 0, service.changes);
	metric_set(n->metrics, METRIC_COMMITS, 0, meta.commits);
	metric_set(n->metrics, METRIC_META_BYTES, 0, meta.bytes);
	metric_set(n->metrics, METRIC_BLOB_RECORDS, 0, blob.records);
	metric_set(n->metrics, METRIC_BLOB_RAW, 0, blob.bytes_raw);
	metric_set(n->metrics, METRIC_BLOB_STORED, 0, blob.bytes_stored);
	if (statvfs(n->opt.dir, &disk) == 0)
		metric_set(n->metrics, METRIC_DISK_FREE, 0, (uint64_t)disk.f_bavail * disk.f_frsize);
}

static void read_followers(struct node *n)
{
	struct follow_stats f;
	struct link_stats l;
	audit_stats(n->audit, &f);
	link_stats(n->link, &l);
	metric_set(n->metrics, METRIC_LINK_PEERS, 0, l.peers);
	metric_set(n->metrics, METRIC_FOLLOWED, 0, f.rows);
	metric_set(n->metrics, METRIC_FOLLOW_MISSED, 0, f.misses);
	metric_set(n->metrics, METRIC_FOLLOW_LAG, 0, (uint64_t)(follow_lag(&f, clock_now()) / SECOND_US));
}

struct packs {
	uint64_t n, bytes;
};

static int add_pack(void *ctx, const struct blob_pack_info *info)
{
	struct packs *p = ctx;
	p->n++;
	p->bytes += (uint64_t)info->size;
	return 0;
}

/* Every file is asked for its size: not each time that somebody wants to know. */
static void read_packs(struct node *n)
{
	struct packs p = { 0 };
	int64_t now = clock_mono(), last = n->packs_read, every = blob_is_whole(n->store->blob) ? PACKS_FAR_US : PACKS_US;
	if ((last && now - last < every) || !atomic_compare_exchange_strong(&n->packs_read, &last, now))
		return;
	if (blob_list(n->store->blob, add_pack, &p))
		return;
	metric_set(n->metrics, METRIC_PACKS, 0, p.n);
	metric_set(n->metrics, METRIC_PACK_BYTES, 0, p.bytes);
}

static void read_staged(struct node *n)
{
	struct staged_stats s;
	struct packer_stats p;
	packer_stats(n->packer, &p);
	const uint64_t runs[] = { p.runs - p.failed, p.failed }, packed[] = { p.packs, p.bodies, p.bytes };
	for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++)
		metric_set(n->metrics, METRIC_PACKER_RUNS, i, runs[i]);
	for (unsigned i = 0; i < sizeof packed / sizeof *packed; i++)
		metric_set(n->metrics, METRIC_PACKED, i, packed[i]);
	if (!blob_is_whole(n->store->blob) || staged_stats(n->store, &s))
		return;
	metric_set(n->metrics, METRIC_STAGED, 0, s.rows);
	metric_set(n->metrics, METRIC_STAGED_BYTES, 0, s.bytes);
	metric_set(n->metrics, METRIC_STAGED_AGE, 0, (uint64_t)(staged_age(&s) / SECOND_US));
}

static void read_purge(struct node *n)
{
	struct purge_stats s;
	purge_stats(n->purge, &s);
	const uint64_t runs[] = { s.runs - s.refused - s.failed, s.refused, s.failed };
	const struct purge_counts *c = &s.counts;
	const uint64_t removed[] = { c->versions, c->folders, c->changes, c->emails, c->accounts, c->deliveries, c->condemned,
		c->bodies, c->packs, c->rewritten };
	for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++)
		metric_set(n->metrics, METRIC_PURGE_RUNS, i, runs[i]);
	for (unsigned i = 0; i < sizeof removed / sizeof *removed; i++)
		metric_set(n->metrics, METRIC_PURGED, i, removed[i]);
	metric_set(n->metrics, METRIC_CONDEMNED, 0, s.waiting);
	metric_set(n->metrics, METRIC_PURGED_BYTES, 0, c->bytes);
	metric_set(n->metrics, METRIC_PURGE_LAST, 0, (uint64_t)(s.last / SECOND_US));
}

static uint64_t count_descriptors(void)
{
	uint64_t n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0; /* without ".", ".." and the folder's own */
}

/* "write_bytes: N" */
static uint64_t bytes_written(void)
{
	char line[100];
	unsigned long long n = 0;
	FILE *f = fopen("/proc/self/io", "re");
	while (f && fgets(line, sizeof line, f) && sscanf(line, "write_bytes: %llu", &n) != 1)
		;
	if (f)
		fclose(f);
	return n;
}

static void read_memory(struct node *n)
{
	unsigned long long size = 0, resident = 0, page = (unsigned long long)sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/statm", "re");
	if (f && fscanf(f, "%llu %llu", &size, &resident) == 2) {
		metric_set(n->metrics, METRIC_VIRTUAL, 0, size * page);
		metric_set(n->metrics, METRIC_RESIDENT, 0, resident * page);
	}
	if (f)
		fclose(f);
}

static void read_process(struct node *n)
{
	struct rusage u;
	struct rlimit fds;
	if (getrusage(RUSAGE_SELF, &u) == 0)
		metric_set(n->metrics, METRIC_CPU, 0, (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec));
	if (getrlimit(RLIMIT_NOFILE, &fds) == 0)
		metric_set(n->metrics, METRIC_MAX_FDS, 0, fds.rlim_cur);
	metric_set(n->metrics, METRIC_OPEN_FDS, 0, count_descriptors());
	metric_set(n->metrics, METRIC_WRITTEN, 0, bytes_written());
	metric_set(n->metrics, METRIC_START_TIME, 0,
		(uint64_t)((clock_now() - (clock_mono() - n->started)) / SECOND_US));
	read_memory(n);
}

static void put_all(struct node *n, struct buffer *out)
{
	const char *reason;
	metric_set(n->metrics, METRIC_HEALTHY, 0, health_answer(n->health, &reason));
	read_loop(n);
	read_stores(n);
	read_packs(n);
	read_staged(n);
	read_purge(n);
	read_followers(n);
	read_process(n);
	metrics_put(n->metrics, out);
}

int node_metrics_new(struct node *n)
{
	int r = metrics_new(&n->metrics);
	if (r)
		return r;
	metric_name(n->metrics, METRIC_BUILD, 0, PERDURA_VERSION);
	metric_set(n->metrics, METRIC_BUILD, 0, 1);
	for (unsigned i = 0; i < PROTOCOLS; i++)
		metric_name(n->metrics, METRIC_CONNECTIONS, i, protocols[i]->name);
	imap_metrics(n->metrics);
	lmtp_metrics(n->metrics);
	return OK;
}

static void get_metrics(void *ctx, const struct http_request *rq, struct http_reply *out)
{
	out->type = "text/plain; version=0.0.4; charset=utf-8";
	put_all(ctx, &out->body);
}

static void get_health(void *ctx, const struct http_request *rq, struct http_reply *out)
{
	struct node *n = ctx;
	const char *reason;
	out->status = health_answer(n->health, &reason) ? 200 : 503;
	buffer_printf(&out->body, "%s\n", reason);
}

const struct http_route node_routes[NODE_ROUTES] = { { "/metrics", get_metrics }, { "/health", get_health } };

int node_verb_metrics(struct request *r)
{
	struct buffer b = { 0 };
	put_all(r->node->ctx, &b);
	for (struct span rest = buffer_span(&b); rest.n;) {
		size_t n = (size_t)span_find(rest, '\n');
		request_span(r, span_sub(rest, 0, n));
		rest = span_sub(rest, n + 1, rest.n);
	}
	buffer_free(&b);
	return EXIT_DONE;
}
