#include "login_guard.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "peer_net.h"

enum { SETS = 4096, WAYS = 4 };

enum kind { BY_ADDRESS, BY_ACCOUNT, BY_PAIR, KINDS };

struct entry {
	uint64_t tag;    /* 0: free */
	int64_t used;    /* last time it was asked for */
	int64_t failed;  /* last wrong password */
	int64_t next;    /* the next attempt's turn */
	int64_t known;   /* of a pair: logged in, so long it counts */
	uint32_t failures;
};

struct login_guard {
	const EVP_MAC_CTX *mac;
	pthread_mutex_t lock;
	struct entry of[KINDS][SETS][WAYS];
};

struct login_guard *login_guard_new(const EVP_MAC_CTX *mac)
{
	struct login_guard *g = calloc(1, sizeof *g); /* pages nobody used cost nothing */
	if (!g)
		return NULL;
	g->mac = mac;
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void login_guard_free(struct login_guard **g)
{
	if (!*g)
		return;
	pthread_mutex_destroy(&(*g)->lock);
	free(*g);
	*g = NULL;
}

/* ---- Who it is */

static bool is_own(struct span address)
{
	return span_eq(address, SPAN("127.0.0.1")) || span_eq(address, SPAN("::1")) || span_eq(address, SPAN("unix"));
}

static uint64_t tag_of(const struct login_guard *g, enum kind kind, struct span net, struct span account)
{
	unsigned char out[EVP_MAX_MD_SIZE];
	const uint64_t head[2] = { kind, net.n };
	uint64_t tag = 0;
	size_t n;
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(g->mac);
	if (ctx && EVP_MAC_update(ctx, (const unsigned char *)head, sizeof head) &&
	    EVP_MAC_update(ctx, (const unsigned char *)net.p, net.n) &&
	    EVP_MAC_update(ctx, (const unsigned char *)account.p, account.n) && EVP_MAC_final(ctx, out, &n, sizeof out))
		memcpy(&tag, out, sizeof tag);
	EVP_MAC_CTX_free(ctx);
	return tag ? tag : 1;
}

static void tags_of(const struct login_guard *g, struct span address, struct span account, uint64_t tags[KINDS])
{
	char room[PEER_NET];
	struct span net = peer_net(address, room), none = { 0 };
	tags[BY_ADDRESS] = is_own(address) ? 0 : tag_of(g, BY_ADDRESS, net, none);
	tags[BY_ACCOUNT] = tag_of(g, BY_ACCOUNT, none, account);
	tags[BY_PAIR] = tag_of(g, BY_PAIR, net, account);
}

/* ---- Their entries; all below with the lock held */

/* The entry of that tag, or the one in its place that was quiet longest, emptied. NULL for tag 0. */
static struct entry *entry_of(struct login_guard *g, enum kind kind, uint64_t tag, int64_t now)
{
	struct entry *set = g->of[kind][tag % SETS], *oldest = set;
	if (!tag)
		return NULL;
	for (struct entry *e = set; e < set + WAYS; e++) {
		if (e->tag == tag) {
			oldest = e;
			break;
		}
		oldest = e->used < oldest->used ? e : oldest;
	}
	if (oldest->tag != tag)
		*oldest = (struct entry){ .tag = tag };
	oldest->used = now;
	return oldest;
}

static uint32_t failures(const struct entry *e, int64_t now)
{
	int64_t halvings = (now - e->failed) / LOGIN_FORGET_US;
	return halvings < 32 ? e->failures >> halvings : 0;
}

static int64_t spacing(const struct entry *e, int64_t now)
{
	uint32_t over = failures(e, now);
	if (over <= LOGIN_FREE)
		return 0;
	over -= LOGIN_FREE + 1;
	int64_t us = over < 16 ? LOGIN_SPACING_MIN << over : LOGIN_SPACING_MAX;
	return us < LOGIN_SPACING_MAX ? us : LOGIN_SPACING_MAX;
}

static void count_failure(struct entry *e, int64_t now)
{
	if (!e)
		return;
	uint32_t n = failures(e, now);
	e->failures = n < UINT32_MAX ? n + 1 : n;
	e->failed = now;
}

/* Those that what this pair does counts for: itself once it is known, else its two halves. */
static void concerned(struct login_guard *g, const uint64_t tags[KINDS], int64_t now, struct entry *out[2])
{
	struct entry *pair = entry_of(g, BY_PAIR, tags[BY_PAIR], now);
	bool known = pair->known > now;
	out[0] = known ? pair : entry_of(g, BY_ACCOUNT, tags[BY_ACCOUNT], now);
	out[1] = known ? NULL : entry_of(g, BY_ADDRESS, tags[BY_ADDRESS], now);
}

int64_t login_guard_admit(struct login_guard *g, struct span address, struct span account, int64_t now)
{
	uint64_t tags[KINDS];
	struct entry *of[2];
	int64_t at = now;
	tags_of(g, address, account, tags);
	pthread_mutex_lock(&g->lock);
	concerned(g, tags, now, of);
	for (int i = 0; i < 2; i++)
		at = of[i] && of[i]->next > at ? of[i]->next : at;
	bool admitted = at - now <= LOGIN_WAIT_MAX;
	for (int i = 0; i < 2 && admitted; i++)
		if (of[i] && spacing(of[i], now))
			of[i]->next = at + spacing(of[i], now);
	pthread_mutex_unlock(&g->lock);
	return admitted ? at - now : -1;
}

void login_guard_ended(struct login_guard *g, struct span address, struct span account, bool right, int64_t now)
{
	uint64_t tags[KINDS];
	struct entry *of[2];
	tags_of(g, address, account, tags);
	pthread_mutex_lock(&g->lock);
	if (right) {
		*entry_of(g, BY_PAIR, tags[BY_PAIR], now) = (struct entry){ .tag = tags[BY_PAIR], .used = now,
			.known = now + LOGIN_KNOWN_US };
	} else {
		concerned(g, tags, now, of);
		count_failure(of[0], now);
		count_failure(of[1], now);
	}
	pthread_mutex_unlock(&g->lock);
}
