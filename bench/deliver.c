/* How fast this machine takes mail in, without the network: threads deliver messages through the mailbox service into
 * the embedded stores, each delivery durable before the next of its thread.
 *
 *     bench/deliver DIR [threads=8] [messages=2000] [bytes=1500] [accounts=8] [page=1024]
 *
 * DIR must not hold a store yet. Prints one line: messages per second, CPU, syncs and bytes written per message. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "account.h"
#include "clock.h"
#include "durable_file.h"
#include "fail.h"
#include "message.h"
#include "store.h"

enum { ACCOUNTS_MAX = 1000, THREADS_MAX = 256 };

struct bench {
	const char *dir;
	long threads, messages, bytes, accounts, page;
	int64_t account[ACCOUNTS_MAX];
	long n_accounts;
	struct store *store;
	struct service *service;
	atomic_long next, failed;
};

static const struct actor actor = { "", 1, "bench" };

static void must(int r, const char *what)
{
	if (!r)
		return;
	fprintf(stderr, "%s: %s: %s\n", what, fail_name(r), fail_detail());
	exit(1);
}

/* Text that compresses about as mail does: hexadecimal digits. */
static size_t compose(const struct bench *b, long number, char *out, size_t size)
{
	uint64_t x = (uint64_t)number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	size_t n = (size_t)snprintf(out, size,
		"Received: from mx.example.org (mx.example.org [192.0.2.1]) by n1 with LMTP id %ld\r\n"
		"From: Anna Example <anna%ld@example.org>\r\nTo: <b@example.org>\r\nMessage-ID: <%ld.bench@example.org>\r\n"
		"Date: Fri, 20 Nov 2026 10:00:00 +0000\r\nSubject: Message number %ld of the bench\r\n"
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", number, number % 97, number, number);
	while (n + 66 < size && n < (size_t)b->bytes) {
		for (int i = 0; i < 4; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			n += (size_t)snprintf(out + n, size - n, "%016llx", (unsigned long long)x);
		}
		n += (size_t)snprintf(out + n, size - n, "\r\n");
	}
	return n;
}

static int deliver_one(struct bench *b, long number, char *text, size_t size)
{
	struct incoming *in;
	struct recipient r = { .account = b->account[number % b->n_accounts], .address = SPAN("b@example.org") };
	int e = incoming_new(b->service, &in);
	if (e)
		return e;
	e = incoming_write(in, (struct span){ text, compose(b, number, text, size) });
	if (!e)
		e = incoming_finish(in);
	if (!e)
		e = deliver(b->service, in, SPAN("anna@example.org"), &r, 1, &actor);
	incoming_free(&in);
	return e ? e : r.result;
}

static void *work(void *arg)
{
	struct bench *b = arg;
	size_t size = (size_t)b->bytes + 2000;
	char *text = malloc(size);
	long i;
	while (text && (i = atomic_fetch_add(&b->next, 1)) < b->messages)
		if (deliver_one(b, i, text, size))
			atomic_fetch_add(&b->failed, 1);
	free(text);
	return NULL;
}

/* The store keeps the page size of a database that is there already. */
static void choose_page_size(const struct bench *b)
{
	char path[4096], sql[64];
	sqlite3 *db;
	snprintf(path, sizeof path, "%s/meta.db", b->dir);
	snprintf(sql, sizeof sql, "PRAGMA page_size=%ld; VACUUM;", b->page);
	if (sqlite3_open(path, &db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
		must(fail_with(ERR_UNAVAILABLE, "%s", sqlite3_errmsg(db)), path);
	sqlite3_close(db);
}

static int take_account(void *ctx, const struct account_info *i)
{
	struct bench *b = ctx;
	b->account[b->n_accounts++] = i->id;
	return b->n_accounts == ACCOUNTS_MAX;
}

static void open_stores(struct bench *b)
{
	struct store_options o = { b->dir, "n1", "sqlite:meta.db", "file:blobs" };
	must(durable_mkdir(b->dir, 0700), b->dir);
	choose_page_size(b);
	must(store_open(&o, &b->store), "store");
	must(service_open(b->store, &b->service), "service");
	for (long i = 0; i < b->accounts; i++) {
		char name[64];
		snprintf(name, sizeof name, "user%ld@example.org", i);
		struct span s = span_of(name);
		must(account_add(b->service, &s, 1, SPAN("none"), &actor), name);
	}
	must(account_list(b->service, take_account, b), "accounts");
}

/* Bytes this process sent towards the disk. */
static uint64_t written(void)
{
	char line[128];
	unsigned long long n = 0;
	FILE *f = fopen("/proc/self/io", "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "write_bytes: %llu", &n) == 1)
			break;
	if (f)
		fclose(f);
	return n;
}

static double cpu_seconds(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct reading {
	int64_t at;
	double cpu;
	uint64_t written;
	struct meta_stats meta;
	struct blob_stats blob;
};

static void take_reading(const struct bench *b, struct reading *r)
{
	r->at = clock_mono();
	r->cpu = cpu_seconds();
	r->written = written();
	meta_stats(b->store->meta, &r->meta);
	blob_stats(b->store->blob, &r->blob);
}

static void report(const struct bench *b, const struct reading *from, const struct reading *to)
{
	double n = (double)b->messages, groups = (double)(to->meta.groups - from->meta.groups);
	double syncs = groups + (double)(to->blob.syncs - from->blob.syncs) +
		2 * (double)(to->meta.checkpoints - from->meta.checkpoints);
	printf("threads %ld page %ld: %.0f messages/s, cpu %.3f ms, group %.1f, syncs %.2f, written %.0f bytes"
		" (blobs %.0f), database %.0f bytes a message, %ld failed\n",
		b->threads, b->page, n * 1e6 / (double)(to->at - from->at), (to->cpu - from->cpu) * 1e3 / n, n / groups, syncs / n,
		(double)(to->written - from->written) / n, (double)(to->blob.bytes_stored - from->blob.bytes_stored) / n,
		((double)to->meta.bytes - (double)from->meta.bytes) / n, (long)b->failed);
}

static void run(struct bench *b)
{
	pthread_t threads[THREADS_MAX];
	struct reading from, to;
	take_reading(b, &from);
	for (long i = 0; i < b->threads; i++)
		must(pthread_create(&threads[i], NULL, work, b), "thread");
	for (long i = 0; i < b->threads; i++)
		pthread_join(threads[i], NULL);
	take_reading(b, &to);
	report(b, &from, &to);
}

static long option(int argc, char **argv, const char *name, long value, long max)
{
	size_t n = strlen(name);
	uint64_t v;
	for (int i = 2; i < argc; i++)
		if (!strncmp(argv[i], name, n) && argv[i][n] == '=') {
			if (!span_u64(span_of(argv[i] + n + 1), (uint64_t)max, &v) || !v)
				must(fail_with(ERR_INVALID, "1 to %ld", max), argv[i]);
			value = (long)v;
		}
	return value;
}

int main(int argc, char **argv)
{
	static struct bench b;
	if (argc < 2) {
		fprintf(stderr, "usage: %s DIR [threads=8] [messages=2000] [bytes=1500] [accounts=8] [page=1024]\n", argv[0]);
		return 2;
	}
	b.dir = argv[1];
	b.threads = option(argc, argv, "threads", 8, THREADS_MAX);
	b.messages = option(argc, argv, "messages", 2000, 100000000);
	b.bytes = option(argc, argv, "bytes", 1500, 100000000);
	b.accounts = option(argc, argv, "accounts", 8, ACCOUNTS_MAX);
	b.page = option(argc, argv, "page", 1024, 65536);
	open_stores(&b);
	run(&b);
	service_close(&b.service);
	store_close(&b.store);
	return b.failed ? 1 : 0;
}
