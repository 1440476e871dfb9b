/* The verbs that look at the node itself: status, config, reload. */
#include <malloc.h>
#include <unistd.h>

#include "audit.h"
#include "ballast.h"
#include "clock.h"
#include "fail.h"
#include "follow.h"
#include "instant.h"
#include "link.h"
#include "node.h"
#include "nodes.h"
#include "poller.h"
#include "packer.h"
#include "purge.h"
#include "staged.h"
#include "store.h"

struct field {
	const char *name;
	uint64_t value;
};

static uint64_t resident_bytes(void)
{
	unsigned long long size, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f) {
		if (fscanf(f, "%llu %llu", &size, &resident) != 2)
			resident = 0;
		fclose(f);
	}
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* listen.imap=127.0.0.1:1143 ... without line ends */
static void put_ports_json(struct json_writer *j, struct span ports)
{
	json_put_open(j, '{');
	while (ports.n) {
		char name[64];
		size_t end = (size_t)span_find(ports, '\n');
		struct span line = span_sub(ports, 0, end);
		size_t equals = (size_t)span_find(line, '=');
		snprintf(name, sizeof name, "%.*s", (int)equals, line.p);
		json_put_key(j, name);
		json_put_text(j, span_sub(line, equals + 1, line.n));
		ports = span_sub(ports, end + 1, ports.n);
	}
	json_put_close(j, '}');
}

static const char *state_of(const struct node_info *i)
{
	return i->self ? "this node" : i->alive ? "alive" : i->stopped ? "stopped" : "silent";
}

static void say_nodes(struct request *r, const struct buffer *nodes)
{
	const struct node_info *i = (const struct node_info *)(const void *)nodes->p;
	for (size_t k = 0; k < nodes->n / sizeof *i; k++) {
		char seen[40];
		instant_write(i[k].seen, seen);
		request_line(r, "node_%s %s, seen %s, start %lld, version %s, clock %+lld ms%s%s", i[k].name, state_of(&i[k]), seen,
			(long long)i[k].epoch, *i[k].version ? i[k].version : "unknown", (long long)(i[k].ahead / 1000),
			*i[k].address ? ", at " : "", i[k].address);
	}
}

static void put_nodes_json(struct json_writer *j, const struct buffer *nodes)
{
	const struct node_info *i = (const struct node_info *)(const void *)nodes->p;
	json_put_open(j, '[');
	for (size_t k = 0; k < nodes->n / sizeof *i; k++) {
		char seen[40];
		instant_write(i[k].seen, seen);
		json_put_open(j, '{');
		json_put_key(j, "name");
		json_put_text(j, span_of(i[k].name));
		json_put_key(j, "state");
		json_put_text(j, span_of(state_of(&i[k])));
		json_put_key(j, "seen");
		json_put_text(j, span_of(seen));
		json_put_key(j, "start");
		json_put_int(j, i[k].epoch);
		json_put_key(j, "version");
		json_put_text(j, span_of(i[k].version));
		json_put_key(j, "clock_ahead_us");
		json_put_int(j, i[k].ahead);
		json_put_key(j, "address");
		json_put_text(j, span_of(i[k].address));
		json_put_close(j, '}');
	}
	json_put_close(j, ']');
}

static void say_plain(struct request *r, const struct node *n, const struct field *f, size_t count, const struct buffer *nodes)
{
	request_line(r, "node %s, version %s, process %d, data in %s", n->config.node_name, PERDURA_VERSION, (int)getpid(),
		n->opt.dir);
	struct span ports = buffer_span(&n->ports);
	request_span(r, span_sub(ports, 0, ports.n ? ports.n - 1 : 0));
	for (size_t i = 0; i < count; i++)
		request_line(r, "%s %llu", f[i].name, (unsigned long long)f[i].value);
	say_nodes(r, nodes);
}

static void say_json(struct request *r, const struct node *n, const struct field *f, size_t count, const struct buffer *nodes)
{
	struct buffer b = { 0 };
	struct json_writer j = { .out = &b };
	json_put_open(&j, '{');
	json_put_key(&j, "node");
	json_put_text(&j, span_of(n->config.node_name));
	json_put_key(&j, "version");
	json_put_text(&j, span_of(PERDURA_VERSION));
	json_put_key(&j, "process");
	json_put_int(&j, getpid());
	json_put_key(&j, "data");
	json_put_text(&j, span_of(n->opt.dir));
	json_put_key(&j, "listen");
	put_ports_json(&j, buffer_span(&n->ports));
	for (size_t i = 0; i < count; i++) {
		json_put_key(&j, f[i].name);
		json_put_int(&j, (int64_t)f[i].value);
	}
	json_put_key(&j, "nodes");
	put_nodes_json(&j, nodes);
	json_put_close(&j, '}');
	request_span(r, buffer_span(&b));
	buffer_free(&b);
}

int node_verb_status(struct request *r)
{
	const struct node *n = r->node->ctx;
	struct loop_stats loop;
	struct meta_stats meta;
	struct blob_stats blob;
	struct service_stats service;
	struct ballast_stats ballast;
	struct purge_stats purge;
	struct packer_stats packer;
	struct staged_stats staged = { 0 };
	struct link_stats link;
	struct follow_stats audit;
	struct buffer nodes = { 0 };
	loop_stats(n->loop, &loop);
	meta_stats(n->store->meta, &meta);
	blob_stats(n->store->blob, &blob);
	service_stats(n->service, &service);
	ballast_stats(n->ballast, &ballast);
	purge_stats(n->purge, &purge);
	packer_stats(n->packer, &packer);
	if (blob_is_whole(n->store->blob))
		staged_stats(n->store, &staged);
	link_stats(n->link, &link);
	audit_stats(n->audit, &audit);
	int e = nodes_list(n->store->nodes, &nodes);
	const struct field fields[] = {
		{ "uptime_s", (uint64_t)((clock_mono() - n->started) / SECOND_US) },
		{ "resident_bytes", resident_bytes() },
		{ "connections", loop.conns },
		{ "connections_accepted", loop.accepted },
		{ "connections_refused", loop.refused },
		{ "workers", loop.workers },
		{ "workers_waiting", loop.waiting },
		{ "deliveries", service.deliveries },
		{ "deliveries_repeated", service.duplicates },
		{ "changes", service.changes },
		{ "commits", meta.commits },
		{ "commit_groups", meta.groups },
		{ "checkpoints", meta.checkpoints },
		{ "commit_failures", meta.failures },
		{ "blobs_written", blob.records },
		{ "blob_bytes", blob.bytes_raw },
		{ "blob_bytes_stored", blob.bytes_stored },
		{ "blob_syncs", blob.syncs },
		{ "torn_packs_repaired", blob.torn_packs },
		{ "staged_bodies", staged.rows },
		{ "staged_bytes", staged.bytes },
		{ "staged_oldest_s", (uint64_t)(staged_age(&staged) / SECOND_US) },
		{ "packs_gathered", packer.packs },
		{ "packer_failed", packer.failed },
		{ "disk_full", ballast.full },
		{ "clock_off", n->store->clock_off != 0 },
		{ "disk_free_bytes", ballast.free },
		{ "ballast_bytes", ballast.held },
		{ "purges", purge.runs },
		{ "purges_refused", purge.refused },
		{ "purges_failed", purge.failed },
		{ "purged_versions", purge.counts.versions },
		{ "purged_changes", purge.counts.changes },
		{ "purged_emails", purge.counts.emails },
		{ "purged_bodies", purge.counts.bodies },
		{ "purged_packs", purge.counts.packs + purge.counts.rewritten },
		{ "purge_last", (uint64_t)(purge.last / SECOND_US) },
		{ "link_peers", link.peers },
		{ "notices_sent", link.sent },
		{ "notices_received", link.received },
		{ "notices_dropped", link.dropped },
		{ "datagrams_refused", link.refused },
		{ "polled_changes", poller_missed(n->poller) },
		{ "audit_here", audit.here },
		{ "audit_lag_ms", (uint64_t)(follow_lag(&audit, clock_now()) / 1000) },
		{ "audit_changes", audit.rows },
		{ "audit_missed", audit.misses },
		{ "purge_ms", (uint64_t)(purge.took / 1000) },
	};
	(r->json ? say_json : say_plain)(r, n, fields, sizeof fields / sizeof *fields, &nodes);
	buffer_free(&nodes);
	return e ? request_failed(r, e, "status") : EXIT_DONE;
}

static void say_line(void *ctx, struct span line)
{
	request_span(ctx, line);
}

int node_verb_config(struct request *r)
{
	struct node *n = r->node->ctx;
	pthread_mutex_lock(&n->lock);
	int e = config_list(&n->config, r->args, r->n_args, r->json, say_line, r);
	pthread_mutex_unlock(&n->lock);
	return e ? request_failed(r, e, "config") : EXIT_DONE;
}

int node_verb_reload(struct request *r)
{
	struct buffer rest = { 0 };
	int e = node_reload(r->node->ctx, &rest);
	if (!e && rest.n)
		request_line(r, "from the next start on: %.*s", SPAN_ARG(buffer_span(&rest)));
	buffer_free(&rest);
	return e ? request_failed(r, e, "reload: nothing was changed") : EXIT_DONE;
}
