/* Addresses, SASL, the bound on hashes, the cache, and logins and look-ups against a real store. */
#include "unit.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "directory.h"
#include "fail.h"
#include "hash_pool.h"
#include "identity_private.h"
#include "login.h"
#include "login_cache.h"
#include "meta.h"
#include "password.h"
#include "sasl.h"
#include "scratch.h"
#include "strict_base64.h"
#include "system.h"

static void addresses(void **state)
{
	static const struct { const char *in, *domain, *out; } cases[] = {
		{ "alice", "example.org", "alice@example.org" }, { "Alice@Example.ORG", "x", "alice@example.org" },
		{ "A.B+C", "Example.org", "a.b+c@example.org" }, { "alice", "", NULL }, { "alice@", "example.org", NULL },
		{ "@example.org", "x", NULL }, { "", "example.org", NULL }, { "@", "x", NULL }, { "a b@c", "x", NULL },
		{ "a\tb", "x", NULL }, { "a\x7f", "x", NULL }, { "\xc3\x84Z@\xc3\xa4", "x", "\xc3\x84z@\xc3\xa4" }, { "\xc3@x", "x", NULL },
		{ "a@\xff", "x", NULL }, { "\"a\"@x", "x", NULL }, { "a,b@x", "x", NULL }, { "a(b)@x", "x", NULL }, { "a..b@x", "x", "a..b@x" },
		{ "a@.x", "x", NULL }, { "a@x.", "x", NULL }, { "a@x..y", "x", NULL }, { "a@[127.0.0.1]", "x", "a@[127.0.0.1]" },
		{ "a@[]", "x", NULL }, { "a@xn--bcher-kva.test", "x", "a@xn--bcher-kva.test" }, { "a@b@c", "x", NULL },
		{ "a@b c", "x", NULL },
	};
	char out[ADDRESS_MAX], longest[ADDRESS_MAX + 1];
	for (size_t i = 0; i < COUNT(cases); i++) {
		int rc = address_complete(span_of(cases[i].in), span_of(cases[i].domain), out);
		assert_int_equal(rc, cases[i].out ? OK : ERR_INVALID);
		if (cases[i].out)
			assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(address_complete(SPAN("a\0b"), SPAN("x"), out), ERR_INVALID);
	memset(longest, 'x', sizeof longest);
	longest[ADDRESS_LOCAL_MAX] = '@';
	assert_int_equal(address_complete(span_from(longest, ADDRESS_MAX - 1), SPAN("y"), out), OK);
	assert_int_equal(strlen(out), ADDRESS_MAX - 1);
	assert_int_equal(address_complete(span_from(longest, ADDRESS_MAX), SPAN("y"), out), ERR_INVALID);
	assert_int_equal(address_complete(span_from(longest, ADDRESS_LOCAL_MAX), SPAN("y"), out), OK);
	longest[ADDRESS_LOCAL_MAX] = 'x';
	assert_int_equal(address_complete(span_from(longest, ADDRESS_LOCAL_MAX + 1), SPAN("y"), out), ERR_INVALID);
}

static void splitting(void **state)
{
	static const struct { const char *in, *local, *detail, *domain; int has; } cases[] = {
		{ "user+folder@d", "user", "folder", "d", 1 }, { "user@d", "user", "", "d", 0 }, { "user", "user", "", NULL, 0 },
		{ "user+a/b+c@d", "user", "a/b+c", "d", 1 }, { "user+@d", "user", "", "d", 1 }, { "+x@d", "+x", "", "d", 0 },
		{ "+x+y@d", "+x", "y", "d", 1 }, { "", "", "", NULL, 0 }, { "@d", "", "", "d", 0 }, { "u+X@", "u", "X", "", 1 },
		{ "u+a@b@c", "u", "a@b", "c", 1 }, { "++", "+", "", NULL, 1 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct address_parts p;
		address_split(span_of(cases[i].in), &p);
		assert_true(span_eq(p.local, span_of(cases[i].local)));
		assert_true(span_eq(p.detail, span_of(cases[i].detail)));
		assert_int_equal(p.domain.p != NULL, cases[i].domain != NULL);
		assert_true(span_eq(p.domain, span_of(cases[i].domain)));
		assert_int_equal(p.has_detail, cases[i].has);
	}
}

static int sasl_said(struct sasl *s, struct identity *i, struct span mechanism, struct span raw)
{
	struct buffer b = { 0 };
	assert_int_equal(sasl_begin(s, mechanism, i, &(struct sasl_client){ 0 }), OK);
	base64_strict_put(&b, raw);
	int rc = sasl_answer(s, buffer_span(&b));
	buffer_free(&b);
	return rc;
}

static int sasl_one(struct sasl *s, struct span mechanism, struct span raw)
{
	return sasl_said(s, NULL, mechanism, raw);
}

static void sasl_plain(void **state)
{
	static const struct { struct span in; int rc; const char *authorize, *user, *password; } cases[] = {
		{ SPAN("\0tim\0tanstaaftanstaaf"), OK, "", "tim", "tanstaaftanstaaf" },
		{ SPAN("Ursel\0Kurt\0xipj3plmq"), OK, "Ursel", "Kurt", "xipj3plmq" },
		{ SPAN("\0a\0p=\xc3\xa4 "), OK, "", "a", "p=\xc3\xa4 " },
		{ SPAN(""), ERR_INVALID }, { SPAN("\0"), ERR_INVALID }, { SPAN("\0\0"), ERR_INVALID }, { SPAN("\0\0p"), ERR_INVALID },
		{ SPAN("\0u\0"), ERR_INVALID }, { SPAN("u p"), ERR_INVALID }, { SPAN("\0u\0p\0"), ERR_INVALID },
		{ SPAN("\0u\0p\0q"), ERR_INVALID }, { SPAN("z\0\0p"), ERR_INVALID },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sasl s;
		assert_int_equal(sasl_one(&s, SPAN("plain"), cases[i].in), cases[i].rc);
		if (cases[i].rc)
			continue;
		assert_true(span_eq(s.authorize, span_of(cases[i].authorize)));
		assert_true(span_eq(s.user, span_of(cases[i].user)));
		assert_true(span_eq(s.password, span_of(cases[i].password)));
		sasl_end(&s);
	}
}

static void sasl_lines(void **state)
{
	static char big[SASL_LINE_MAX + 5];
	struct sasl s;
	memset(big, 'A', sizeof big - 1);
	assert_int_equal(sasl_begin(&s, SPAN("CRAM-MD5"), NULL, &(struct sasl_client){ 0 }), ERR_NOT_FOUND);
	assert_int_equal(sasl_begin(&s, SPAN(""), NULL, &(struct sasl_client){ 0 }), ERR_NOT_FOUND);
	static const struct { struct span line; int rc; } plain[] = {
		{ SPAN("*"), ERR_INVALID }, { SPAN("="), ERR_INVALID }, { SPAN(""), ERR_INVALID }, { SPAN("AHUAcA"), ERR_INVALID },
		{ SPAN("AHUAcA==\r"), ERR_INVALID }, { SPAN("AHUAcA=="), OK }, { SPAN("!!!!"), ERR_INVALID },
	};
	for (size_t i = 0; i < COUNT(plain); i++) {
		assert_int_equal(sasl_begin(&s, SPAN("PLAIN"), NULL, &(struct sasl_client){ 0 }), OK);
		assert_int_equal(sasl_challenge(&s).n, 0);
		assert_int_equal(sasl_answer(&s, plain[i].line), plain[i].rc);
	}
	assert_int_equal(sasl_begin(&s, SPAN("PLAIN"), NULL, &(struct sasl_client){ 0 }), OK);
	assert_int_equal(sasl_answer(&s, span_from(big, sizeof big - 1)), ERR_LIMIT);

	assert_int_equal(sasl_begin(&s, SPAN("login"), NULL, &(struct sasl_client){ 0 }), OK);
	assert_true(span_eq(sasl_challenge(&s), SPAN("VXNlcm5hbWU6")));
	assert_int_equal(sasl_answer(&s, SPAN("dGlt")), SASL_MORE);
	assert_true(span_eq(sasl_challenge(&s), SPAN("UGFzc3dvcmQ6")));
	assert_int_equal(sasl_answer(&s, SPAN("c2VjcmV0")), OK);
	assert_true(span_eq(s.user, SPAN("tim")));
	assert_true(span_eq(s.password, SPAN("secret")));
	assert_int_equal(sasl_one(&s, SPAN("LOGIN"), SPAN("")), ERR_INVALID);
	assert_int_equal(sasl_one(&s, SPAN("LOGIN"), SPAN("a\0b")), ERR_INVALID);
}

static void cache(void **state)
{
	struct login_cache *c = login_cache_new(1);
	unsigned char tag[LOGIN_CACHE_WAYS + 1][LOGIN_TAG] = { { 0 } };
	for (int i = 0; i <= LOGIN_CACHE_WAYS; i++)
		tag[i][31] = (unsigned char)i;
	assert_false(login_cache_has(c, tag[0], 0));
	login_cache_put(c, tag[0], 100);
	assert_true(login_cache_has(c, tag[0], 99));
	assert_false(login_cache_has(c, tag[0], 100));
	assert_false(login_cache_has(c, tag[1], 0));
	for (int i = 0; i <= LOGIN_CACHE_WAYS; i++)
		login_cache_put(c, tag[i], 200 + i);
	assert_false(login_cache_has(c, tag[0], 0)); /* the oldest made room */
	for (int i = 1; i <= LOGIN_CACHE_WAYS; i++)
		assert_true(login_cache_has(c, tag[i], 0));
	login_cache_put(c, tag[1], 1000); /* again: no second place, nobody leaves */
	for (int i = 1; i <= LOGIN_CACHE_WAYS; i++)
		assert_true(login_cache_has(c, tag[i], 0));
	login_cache_free(&c);
	assert_null(c);
	login_cache_free(&c);
}

/* One thread is inside; the others queue up one after the other, each with its peer. */
struct queue_test {
	struct hash_pool *pool;
	const char *peer;
	int rc;
	pthread_mutex_t *lock;
	char *order; /* peers in the order they got in */
	atomic_int *done;
};

static void *enter_once(void *arg)
{
	struct queue_test *q = arg;
	q->rc = hash_pool_enter(q->pool, span_of(q->peer));
	if (q->rc == OK) {
		pthread_mutex_lock(q->lock);
		strcat(q->order, q->peer);
		pthread_mutex_unlock(q->lock);
		hash_pool_leave(q->pool);
	}
	atomic_fetch_add(q->done, 1);
	return NULL;
}

static void pool_is_fair(void **state)
{
	/* Five waiters fit. The guesser g comes six times, so its last is sent away; then two others come, and for
	   them two more of g's. They take turns with what is left. */
	static const char *const peers[] = { "g", "g", "g", "g", "g", "g", "a", "b" };
	static const int away_after[] = { 0, 0, 0, 0, 0, 1, 2, 3 };
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char order[16] = "";
	atomic_int done = 0;
	struct queue_test q[COUNT(peers)];
	pthread_t threads[COUNT(peers)];
	struct hash_pool *pool;
	assert_int_equal(hash_pool_new(1, 5, &pool), OK);
	assert_int_equal(hash_pool_enter(pool, SPAN("")), OK);
	for (size_t i = 0; i < COUNT(peers); i++) {
		q[i] = (struct queue_test){ pool, peers[i], OK, &lock, order, &done };
		assert_int_equal(pthread_create(&threads[i], NULL, enter_once, &q[i]), 0);
		while ((int)hash_pool_waiting(pool) + atomic_load(&done) < (int)i + 1)
			usleep(1000);
		assert_int_equal(atomic_load(&done), away_after[i]);
	}
	hash_pool_leave(pool);
	for (size_t i = 0; i < COUNT(peers); i++)
		pthread_join(threads[i], NULL);
	assert_string_equal(order, "gabgg");
	for (size_t i = 0; i < COUNT(peers); i++)
		assert_int_equal(q[i].rc, i >= 3 && i <= 5 ? ERR_UNAVAILABLE : OK);
	hash_pool_free(&pool);
	assert_null(pool);
}

struct bound_test {
	struct hash_pool *pool;
	atomic_int inside, worst, refused;
};

static void *enter_often(void *arg)
{
	struct bound_test *b = arg;
	char peer[32];
	snprintf(peer, sizeof peer, "%lu", (unsigned long)pthread_self() % 5);
	for (int i = 0; i < 200; i++) {
		if (hash_pool_enter(b->pool, span_of(peer))) {
			atomic_fetch_add(&b->refused, 1);
			continue;
		}
		int now = atomic_fetch_add(&b->inside, 1) + 1, worst = atomic_load(&b->worst);
		while (now > worst && !atomic_compare_exchange_weak(&b->worst, &worst, now))
			;
		usleep(20);
		atomic_fetch_sub(&b->inside, 1);
		hash_pool_leave(b->pool);
	}
	return NULL;
}

static void pool_is_bounded(void **state)
{
	struct bound_test b = { 0 };
	pthread_t threads[24];
	assert_int_equal(hash_pool_new(3, 10, &b.pool), OK);
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, enter_often, &b), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_in_range(atomic_load(&b.worst), 1, 3);
	assert_true(atomic_load(&b.refused) > 0);
	hash_pool_free(&b.pool);
}

/* A store with accounts. They are written past meta, as the mailbox service is above this library. */
struct fixture {
	char dir[64];
	struct meta *meta;
	sqlite3 *db;
	struct identity *identity;
};

static void sql(struct fixture *f, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char *text = sqlite3_vmprintf(fmt, ap), *error = NULL;
	va_end(ap);
	if (sqlite3_exec(f->db, text, NULL, NULL, &error))
		print_error("%s: %s\n", text, error);
	assert_null(error);
	sqlite3_free(text);
}

static void put_account(struct fixture *f, int64_t id, const char *address, struct span verifiers)
{
	sql(f, "INSERT INTO head VALUES (%lld, 7, 0, 1, 1, 1, 0, 1, 1, 0, 0)", (long long)id);
	sql(f, "INSERT INTO names VALUES (0, %d, '%q', %lld)", SYSTEM_ACCOUNTS, address, (long long)id);
	sql(f, "INSERT INTO live VALUES (0, %d, 0, %lld, 1, 1, 0, 0, NULL, 0, 0, 0, 0, '%q', '')", SYSTEM_ACCOUNTS,
		(long long)id, address);
	sql(f, "INSERT INTO live VALUES (0, %d, 0, %lld, 1, 1, 0, 0, NULL, 0, 0, 0, 0, NULL, '%.*q')", SYSTEM_CREDENTIALS,
		(long long)id, SPAN_ARG(verifiers));
}

static void set_password(struct fixture *f, int64_t id, int64_t change, struct span verifiers)
{
	sql(f, "UPDATE live SET change_no = %lld, data = '%.*q' WHERE account = 0 AND collection = %d AND uid = %lld",
		(long long)change, SPAN_ARG(verifiers), SYSTEM_CREDENTIALS, (long long)id);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	char path[128];
	scratch_make("login", f->dir);
	struct meta_options mo = { .dir = f->dir };
	assert_int_equal(meta_open("sqlite:meta.db", &mo, &f->meta), OK);
	snprintf(path, sizeof path, "%s/meta.db", f->dir);
	assert_int_equal(sqlite3_open(path, &f->db), SQLITE_OK);
	sqlite3_busy_timeout(f->db, 5000);
	sqlite3_wal_autocheckpoint(f->db, 0);
	sqlite3_db_config(f->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	struct identity_options io = { .meta = f->meta, .domain = SPAN("Example.org"), .cache_minutes = 5, .hash_parallel = 2, .hash_queue = 16 };
	assert_int_equal(identity_open(&io, &f->identity), OK);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	identity_close(&f->identity);
	assert_null(f->identity);
	sqlite3_close(f->db);
	if (f->meta)
		meta_close(&f->meta);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

static void directory(void **state)
{
	struct fixture *f = *state;
	struct account a = { .id = -5 };
	put_account(f, 3, "alice@example.org", SPAN(""));
	put_account(f, 4, "alice+list@example.org", SPAN(""));
	static const struct { const char *in; int64_t exact; } cases[] = {
		{ "alice", 3 }, { "ALICE@EXAMPLE.ORG", 3 }, { "alice@other.org", 0 }, { "alice+List@example.org", 4 }, { "", 0 }, { "@", 0 },
		{ "alice@example.org+x@nowhere", 0 }, { "alice+x@", 0 }, { "alice\xc3\xa4", 0 }, { "alice' OR 1=1 --", 0 },
		{ "alice%", 0 }, { "+alice", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		a.id = -5;
		assert_int_equal(directory_find(f->identity, span_of(cases[i].in), &a), cases[i].exact ? OK : ERR_NOT_FOUND);
		assert_int_equal(a.id, cases[i].exact ? cases[i].exact : -5);
	}
	assert_int_equal(directory_find_id(f->identity, 3, &a), OK);
	assert_int_equal(a.tenant, 7);
	assert_string_equal(a.address, "alice@example.org");
	assert_int_equal(directory_find_id(f->identity, 0, &a), ERR_NOT_FOUND);
	assert_int_equal(directory_find_id(f->identity, 99, &a), ERR_NOT_FOUND);
}

static int login(struct fixture *f, const char *user, const char *password, struct login *a)
{
	struct login_pass not_slowed = { .waited = true };
	return identity_login_plain(f->identity, span_of(user), span_of(password), LOGIN_IMAP, SPAN("127.0.0.1"), &not_slowed, a);
}

static void logins(void **state)
{
	struct fixture *f = *state;
	struct login a;
	struct buffer verifiers = { 0 };
	assert_int_equal(identity_password_make(f->identity, SPAN("secret"), &verifiers), OK);
	put_account(f, 3, "alice@example.org", buffer_span(&verifiers));
	put_account(f, 4, "bob@example.org", buffer_span(&verifiers)); /* one text for two */
	put_account(f, 5, "none@example.org", SPAN(""));
	sql(f, "DELETE FROM live WHERE collection = %d AND uid = 5", SYSTEM_CREDENTIALS);
	static const struct { const char *user, *password; int64_t id; } cases[] = {
		{ "alice", "secret", 3 }, { "Alice@Example.Org", "secret", 3 }, { "alice", "secret", 3 }, { "bob", "secret", 4 },
		{ "alice", "secret ", 0 }, { "alice", "", 0 }, { "nobody", "secret", 0 }, { "none", "secret", 0 }, { "none", "", 0 },
		{ "", "secret", 0 }, { "alice@elsewhere.org", "secret", 0 }, { "alice+x", "secret", 0 }, { "\xff\xff", "x", 0 },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(login(f, cases[i].user, cases[i].password, &a), cases[i].id ? OK : ERR_DENIED);
		if (cases[i].id)
			assert_int_equal(a.account.id, cases[i].id);
	}
	assert_int_equal(login(f, "bob", "secret", &a), OK);
	assert_int_equal(a.account.tenant, 7);
	assert_string_equal(a.account.address, "bob@example.org");
	buffer_free(&verifiers);
}

/* The examples of RFC 5802, section 5, and RFC 7677, section 3: password "pencil". */
static const struct scram_example {
	enum scram_hash hash;
	const char *salt, *client_nonce, *nonce, *proof, *v;
} examples[] = {
	{ SCRAM_SHA1, "QSXCR+Q6sek8bf92", "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j", "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	  "rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ SCRAM_SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
	  "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void put_verifier(const struct scram_example *e, struct buffer *out)
{
	char salt[32];
	size_t n;
	assert_int_equal(base64_strict_get(span_of(e->salt), salt, sizeof salt, &n), OK);
	assert_int_equal(scram_verifier(e->hash, SPAN("pencil"), span_from(salt, n), 4096, out), OK);
}

static void scram_examples(void **state)
{
	static const struct scram_channel none;
	for (size_t i = 0; i < COUNT(examples); i++) {
		const struct scram_example *e = &examples[i];
		struct scram s;
		struct buffer verifier = { 0 };
		char first[200], challenge[200], final[300], v[60];
		put_verifier(e, &verifier);
		snprintf(first, sizeof first, "n,,n=user,r=%s", e->client_nonce);
		snprintf(challenge, sizeof challenge, "r=%s%s,s=%s,i=4096", e->client_nonce, e->nonce, e->salt);
		snprintf(final, sizeof final, "c=biws,r=%s%s,p=%s", e->client_nonce, e->nonce, e->proof);
		snprintf(v, sizeof v, "v=%s", e->v);
		assert_int_equal(scram_first(&s, e->hash, false, &none, span_of(first)), OK);
		assert_string_equal(s.user, "user");
		assert_int_equal(scram_challenge(&s, buffer_span(&verifier), span_of(e->nonce)), OK);
		assert_true(span_eq(span_from(s.reply, s.reply_n), span_of(challenge)));
		assert_int_equal(scram_final(&s, span_of(final)), OK);
		assert_true(span_eq(span_from(s.reply, s.reply_n), span_of(v)));
		for (size_t k = strlen(final) - 28; k < strlen(final) - 5; k += 3) { /* another proof, of the same form */
			char other = final[k];
			final[k] = other == 'A' ? 'B' : 'A';
			assert_int_equal(scram_final(&s, span_of(final)), ERR_DENIED);
			final[k] = other;
		}
		for (size_t k = 0; k < strlen(final); k++) /* cut */
			assert_int_not_equal(scram_final(&s, span_from(final, k)), OK);
		buffer_free(&verifier);
	}
}

static void scram_first_messages(void **state)
{
	static const struct scram_channel none, tls = { .exporter = { "exported", 8 }, .end_point = { "hash", 4 } }, old = { .end_point = { "hash", 4 } };
	static const struct {
		const char *in;
		bool plus;
		const struct scram_channel *channel;
		int rc;
		const char *user, *authorize, *binding;
	} cases[] = {
		{ "n,,n=user,r=x", false, &none, OK, "user", "", "" },
		{ "n,a=other,n=user,r=x", false, &none, OK, "user", "other", "" },
		{ "n,,n=a=2Cb=3Dc@d,r=x,ext=1", false, &none, OK, "a,b=c@d", "", "" },
		{ "y,,n=user,r=x", false, &none, OK, "user", "", "" },
		{ "y,,n=user,r=x", false, &tls, ERR_INVALID },
		{ "n,,n=user,r=x", false, &tls, OK, "user", "", "" },
		{ "p=tls-exporter,,n=user,r=x", true, &tls, OK, "user", "", "exported" },
		{ "p=tls-server-end-point,,n=user,r=x", true, &tls, OK, "user", "", "hash" },
		{ "p=tls-exporter,,n=user,r=x", true, &old, ERR_INVALID }, { "p=tls-unique,,n=user,r=x", true, &tls, ERR_INVALID },
		{ "p=,,n=user,r=x", true, &tls, ERR_INVALID }, { "p=tls-exporter,,n=user,r=x", false, &tls, ERR_INVALID },
		{ "n,,n=user,r=x", true, &tls, ERR_INVALID }, { "y,,n=user,r=x", true, &tls, ERR_INVALID },
		{ "", false, &none, ERR_INVALID }, { "n", false, &none, ERR_INVALID }, { "n,,", false, &none, ERR_INVALID },
		{ "n,,n=user", false, &none, ERR_INVALID }, { "n,,n=user,r=", false, &none, ERR_INVALID }, { "n,,n=,r=x", false, &none, ERR_INVALID },
		{ "n,,r=x,n=user", false, &none, ERR_INVALID }, { "n,,m=must,n=user,r=x", false, &none, ERR_INVALID },
		{ "n,,n=a=2D,r=x", false, &none, ERR_INVALID }, { "n,,n=a=,r=x", false, &none, ERR_INVALID }, { "n,,n=a=2,r=x", false, &none, ERR_INVALID },
		{ "n,b=x,n=user,r=x", false, &none, ERR_INVALID }, { "n,a=,n=user,r=x", false, &none, ERR_INVALID },
		{ "n,,n=user,r=a b", false, &none, ERR_INVALID }, { "N,,n=user,r=x", false, &none, ERR_INVALID }, { "x,,n=user,r=x", false, &none, ERR_INVALID },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scram s;
		assert_int_equal(scram_first(&s, SCRAM_SHA256, cases[i].plus, cases[i].channel, span_of(cases[i].in)), cases[i].rc);
		if (cases[i].rc)
			continue;
		assert_string_equal(s.user, cases[i].user);
		assert_string_equal(s.authorize, cases[i].authorize);
		assert_true(span_eq(s.binding, span_of(cases[i].binding)));
	}
}

static void scram_long_messages(void **state)
{
	static const struct scram_channel none;
	static const struct { size_t user, nonce; int rc; } cases[] = {
		{ 1, 256, OK }, { 1, 257, ERR_INVALID }, { ADDRESS_MAX - 2, 1, OK }, { ADDRESS_MAX, 1, ERR_INVALID }, { 5000, 1, ERR_INVALID },
		{ 1, 5000, ERR_INVALID },
	};
	struct buffer verifier = { 0 };
	put_verifier(&examples[1], &verifier);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		struct scram s;
		buffer_puts(&b, "n,,n=");
		for (size_t k = 0; k < cases[i].user; k++)
			buffer_putc(&b, 'u');
		buffer_puts(&b, ",r=");
		for (size_t k = 0; k < cases[i].nonce; k++)
			buffer_putc(&b, 'n');
		assert_int_equal(scram_first(&s, SCRAM_SHA256, false, &none, buffer_span(&b)), cases[i].rc);
		if (!cases[i].rc)
			assert_int_equal(scram_challenge(&s, buffer_span(&verifier), SPAN("nonce")), OK);
		buffer_free(&b);
	}
	static const char *const damaged[] = { "", "4096", "4096$", "4096$c2FsdA==$x$y", "x$c2FsdA==$x$y", "4096$$$" };
	struct scram s;
	assert_int_equal(scram_first(&s, SCRAM_SHA256, false, &none, SPAN("n,,n=user,r=x")), OK);
	for (size_t i = 0; i < COUNT(damaged); i++)
		assert_int_equal(scram_challenge(&s, span_of(damaged[i]), SPAN("nonce")), ERR_CORRUPT);
	buffer_free(&verifier);
}

/* An unknown user, and one without a verifier, are answered like others, and always the same. */
static void claims(void **state)
{
	struct fixture *f = *state;
	struct buffer verifiers = { 0 };
	struct login a;
	struct login_pass not_slowed = { .waited = true };
	assert_int_equal(identity_password_make(f->identity, SPAN("secret"), &verifiers), OK);
	put_account(f, 3, "alice@example.org", buffer_span(&verifiers));
	put_account(f, 4, "bob@example.org", SPAN("{PLAIN}two\n"));
	static const struct { const char *user; bool known, own; } cases[] = {
		{ "alice", true, true }, { "Alice@EXAMPLE.org", true, true }, { "bob", true, false }, { "nobody", false, false },
		{ "nobody@elsewhere", false, false }, { "no address", false, false },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		for (enum scram_hash h = SCRAM_SHA1; h <= SCRAM_SHA256; h++) {
			struct login_claim c = { 0 }, again = { 0 };
			struct scram s;
			static const struct scram_channel none;
			assert_int_equal(identity_claim(f->identity, span_of(cases[i].user), h, &c), OK);
			assert_int_equal(identity_claim(f->identity, span_of(cases[i].user), h, &again), OK);
			assert_int_equal(c.known, cases[i].known);
			assert_string_equal(c.verifier, again.verifier);
			assert_int_equal(span_eq(span_of(c.verifier), password_scram(buffer_span(&verifiers), h)), cases[i].own);
			assert_int_equal(scram_first(&s, h, false, &none, SPAN("n,,n=user,r=x")), OK);
			assert_int_equal(scram_challenge(&s, span_of(c.verifier), SPAN("nonce")), OK);
			assert_int_equal(identity_login_proved(f->identity, &c, true, SPAN("::1"), &not_slowed, &a), c.known ? OK : ERR_DENIED);
			assert_int_equal(identity_login_proved(f->identity, &c, false, SPAN("::1"), &not_slowed, &a), ERR_DENIED);
		}
	identity_close(&f->identity); /* another node, or another start, makes up the same */
	struct login_claim before = { 0 }, after = { 0 };
	struct identity_options io = { .meta = f->meta, .domain = SPAN("Example.org") };
	assert_int_equal(identity_open(&io, &f->identity), OK);
	assert_int_equal(identity_claim(f->identity, SPAN("nobody"), SCRAM_SHA256, &before), OK);
	identity_close(&f->identity);
	assert_int_equal(identity_open(&io, &f->identity), OK);
	assert_int_equal(identity_claim(f->identity, SPAN("nobody"), SCRAM_SHA256, &after), OK);
	assert_string_equal(before.verifier, after.verifier);
	buffer_free(&verifiers);
}

/* What was remembered must not outlive a change. */
static void changes_count_at_once(void **state)
{
	struct fixture *f = *state;
	struct login a;
	put_account(f, 3, "alice@example.org", SPAN("{PLAIN}one\n"));
	assert_int_equal(login(f, "alice", "one", &a), OK);
	assert_int_equal(login(f, "alice", "one", &a), OK);
	set_password(f, 3, 2, SPAN("{PLAIN}two\n"));
	assert_int_equal(login(f, "alice", "one", &a), ERR_DENIED);
	assert_int_equal(login(f, "alice", "two", &a), OK);
	set_password(f, 3, 3, SPAN("{PLAIN}one\n"));
	assert_int_equal(login(f, "alice", "two", &a), ERR_DENIED);
	assert_int_equal(login(f, "alice", "one", &a), OK);
	sql(f, "DELETE FROM names WHERE uid = 3");
	sql(f, "DELETE FROM live WHERE account = 0 AND uid = 3");
	assert_int_equal(login(f, "alice", "one", &a), ERR_DENIED);
	put_account(f, 9, "alice@example.org", SPAN("{PLAIN}nine\n")); /* the name again, for somebody else */
	assert_int_equal(login(f, "alice", "one", &a), ERR_DENIED);
	assert_int_equal(login(f, "alice", "nine", &a), OK);
	assert_int_equal(a.account.id, 9);
}

/* Of this thread alone: the machine may be busy with other things. */
static int64_t cpu_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

static int64_t login_time(struct fixture *f, const char *user, const char *password)
{
	struct login a;
	int64_t best = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		int64_t start = cpu_time();
		login(f, user, password, &a);
		int64_t took = cpu_time() - start;
		best = took < best ? took : best;
	}
	return best;
}

/* ---- Application passwords */

static void app_secrets(void **state)
{
	char text[APP_TEXT], other[APP_TEXT], changed[4 * APP_TEXT];
	unsigned char hash[APP_HASH], again[APP_HASH];
	assert_int_equal(app_password_make(text, hash), OK);
	assert_int_equal(app_password_make(other, again), OK);
	assert_string_not_equal(text, other);
	assert_int_equal(strlen(text), APP_TEXT - 1);
	static const char *const around[][2] = { { "", "" }, { " ", " " }, { "", "-" }, { "- -", "" } };
	for (size_t i = 0; i < COUNT(around); i++) {
		snprintf(changed, sizeof changed, "%s%s%s", around[i][0], text, around[i][1]);
		for (char *c = changed; i % 2 && *c; c++)
			*c = *c == '-' ? ' ' : *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
		assert_true(app_password_hash(span_of(changed), again));
		assert_memory_equal(hash, again, APP_HASH);
	}
	static const char *const none[] = { "", "correct horse", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaa", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-a",
		"aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaa1", "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaa8", "aaaa_aaaa_aaaa_aaaa_aaaa_aaaa_aaaa" };
	for (size_t i = 0; i < COUNT(none); i++)
		assert_false(app_password_hash(span_of(none[i]), again));
	assert_false(app_password_hash(span_from("aaaaaaaaaaaaaaaaaaaaaaaaaaa\0", APP_LETTERS), again));
}

static void app_data(void **state)
{
	static const struct { const char *list; int rc; unsigned bits; } lists[] = {
		{ "", OK, 0 }, { "imap", OK, LOGIN_IMAP }, { "SMTP", OK, LOGIN_SMTP }, { "imap,smtp", OK, LOGIN_IMAP | LOGIN_SMTP },
		{ "smtp, imap", OK, LOGIN_IMAP | LOGIN_SMTP }, { "imap,", OK, LOGIN_IMAP }, { "pop3", ERR_INVALID, 0 }, { ",", ERR_INVALID, 0 },
		{ "imap,,smtp", ERR_INVALID, 0 }, { "imaps", ERR_INVALID, 0 },
	};
	for (size_t i = 0; i < COUNT(lists); i++) {
		unsigned bits = 77;
		assert_int_equal(login_protocols_read(span_of(lists[i].list), &bits), lists[i].rc);
		assert_int_equal(bits, lists[i].rc ? 77 : lists[i].bits);
	}
	for (unsigned bits = 0; bits < 4; bits++) {
		struct app_password a = { .hash = { 1, 2, 255 }, .protocols = bits }, b = { .protocols = 9 };
		struct buffer data = { 0 };
		app_password_put(&a, &data);
		assert_true(app_password_get(buffer_span(&data), &b));
		assert_memory_equal(a.hash, b.hash, APP_HASH);
		assert_int_equal(a.protocols, b.protocols);
		for (size_t n = 0; n < data.n; n++)
			assert_false(app_password_get(span_from(data.p, n), &b));
		buffer_free(&data);
	}
	static const struct { const char *name; bool good; } names[] = {
		{ "phone", true }, { "Dana's phone", true }, { "T\xc3\xa9l\xc3\xa9phone", true }, { "a/b", true }, { "", false }, { " a", false },
		{ "a ", false }, { "a\nb", false }, { "\xff", false }, { "\x7f", false },
		{ "0123456789012345678901234567890123456789012345678901234567890123", true },
		{ "01234567890123456789012345678901234567890123456789012345678901234", false },
	};
	for (size_t i = 0; i < COUNT(names); i++)
		assert_int_equal(app_name_check(span_of(names[i].name)), names[i].good ? OK : ERR_INVALID);
}

static void put_app(struct fixture *f, int64_t uid, int64_t account, const char *name, const char *secret, unsigned protocols)
{
	struct app_password a = { .protocols = protocols };
	struct buffer data = { 0 };
	char key[APP_KEY_MAX];
	struct span k = app_key(account, span_of(name), key);
	assert_true(app_password_hash(span_of(secret), a.hash));
	app_password_put(&a, &data);
	sql(f, "INSERT INTO names VALUES (0, %d, '%.*q', %lld)", SYSTEM_APPS, SPAN_ARG(k), (long long)uid);
	sql(f, "INSERT INTO live VALUES (0, %d, 0, %lld, 1, 1, 0, 0, NULL, 5, 0, 0, 0, '%.*q', '%.*q')", SYSTEM_APPS, (long long)uid,
		SPAN_ARG(k), SPAN_ARG(buffer_span(&data)));
	buffer_free(&data);
}

#define APP_A "aaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaa"
#define APP_B "bbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbb"
#define APP_C "cccc-cccc-cccc-cccc-cccc-cccc-cccc"

static void app_logins(void **state)
{
	struct fixture *f = *state;
	static const struct span peer = SPAN("192.0.2.7");
	put_account(f, 1, "alice@example.org", SPAN("{PLAIN}one\n"));
	put_account(f, 12, "bob@example.org", SPAN("{PLAIN}" APP_C "\n")); /* his own password looks like one */
	put_app(f, 1, 1, "phone", APP_A, LOGIN_IMAP);
	put_app(f, 2, 1, "2/laptop", APP_B, 0);
	put_app(f, 3, 12, "phone", APP_B, LOGIN_IMAP | LOGIN_SMTP);
	static const struct { const char *user, *password; enum login_protocol protocol; int rc; uint32_t app; const char *name; } cases[] = {
		{ "alice", APP_A, LOGIN_IMAP, OK, 1, "phone" }, { "ALICE@example.org", "AAAAaaaaaaaa aaaa aaaa aaaa aaaa", LOGIN_IMAP, OK, 1, "phone" },
		{ "alice", APP_A, LOGIN_SMTP, ERR_DENIED, 1, "phone" }, { "alice", APP_A, LOGIN_OTHER, ERR_DENIED, 1, "phone" },
		{ "alice", APP_B, LOGIN_SMTP, OK, 2, "2/laptop" }, { "alice", APP_B, LOGIN_OTHER, OK, 2, "2/laptop" },
		{ "alice", "one", LOGIN_IMAP, OK, 0, "" }, { "alice", APP_C, LOGIN_IMAP, ERR_DENIED, 0, "" },
		{ "bob", APP_A, LOGIN_IMAP, ERR_DENIED, 0, "" }, { "bob", APP_B, LOGIN_SMTP, OK, 3, "phone" },
		{ "bob", APP_B, LOGIN_OTHER, ERR_DENIED, 3, "phone" }, { "bob", APP_C, LOGIN_OTHER, OK, 0, "" },
		{ "nobody", APP_A, LOGIN_IMAP, ERR_DENIED, 0, "" }, { "alice/phone", APP_A, LOGIN_IMAP, ERR_DENIED, 0, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct login_pass pass = { .waited = true };
		struct login l;
		assert_int_equal(identity_login_plain(f->identity, span_of(cases[i].user), span_of(cases[i].password), cases[i].protocol, peer,
			&pass, &l), cases[i].rc);
		assert_int_equal(l.app, cases[i].app);
		assert_string_equal(l.app_name, cases[i].name);
	}
}

/* It costs no hash and waits for nobody's turn, however much was guessed; what is wrong counts as a guess. */
static void app_logins_are_not_slowed(void **state)
{
	struct fixture *f = *state;
	static const struct span peer = SPAN("192.0.2.7");
	struct login l;
	struct login_pass pass;
	int rc = ERR_DENIED;
	put_account(f, 1, "alice@example.org", SPAN("{PLAIN}one\n"));
	put_app(f, 1, 1, "phone", APP_A, LOGIN_IMAP);
	for (int i = 0; i < 20 && rc == ERR_DENIED; i++) {
		pass = (struct login_pass){ 0 };
		rc = identity_login_plain(f->identity, SPAN("alice"), SPAN(APP_B), LOGIN_IMAP, peer, &pass, &l);
		pass = (struct login_pass){ 0 }; /* the right one does not forgive them */
		assert_int_equal(identity_login_plain(f->identity, SPAN("alice"), SPAN(APP_A), LOGIN_IMAP, peer, &pass, &l), OK);
		assert_false(pass.waited);
	}
	assert_int_equal(rc, LOGIN_WAIT);
	assert_true(login_time(f, "alice", APP_A) < 10000);
}

/* A login that ends between the look into the store and the session's beginning. */
static void app_ends_amid_login(void **state)
{
	struct fixture *f = *state;
	struct login own, app, after;
	put_account(f, 1, "alice@example.org", SPAN("{PLAIN}one\n"));
	put_app(f, 1, 1, "phone", APP_A, 0);
	assert_int_equal(login(f, "alice", "one", &own), OK);
	assert_int_equal(login(f, "alice", APP_A, &app), OK);
	sql(f, "DELETE FROM names WHERE collection = %d", SYSTEM_APPS);
	sql(f, "DELETE FROM live WHERE collection = %d", SYSTEM_APPS);
	assert_int_equal(login(f, "alice", APP_A, &after), ERR_DENIED);
	assert_int_equal(identity_login_stands(f->identity, &app), OK); /* nobody said so */
	identity_logins_ended(f->identity);
	assert_int_equal(identity_login_stands(f->identity, &app), ERR_DENIED);
	assert_int_equal(identity_login_stands(f->identity, &own), OK);
	sql(f, "DELETE FROM live WHERE collection = %d", SYSTEM_ACCOUNTS);
	assert_int_equal(identity_login_stands(f->identity, &own), ERR_DENIED);
	sql(f, "ALTER TABLE live RENAME TO away");
	int down = identity_login_stands(f->identity, &own);
	assert_true(down < 0 && down != ERR_DENIED && down != ERR_NOT_FOUND);
	sql(f, "ALTER TABLE away RENAME TO live");
	assert_int_equal(login(f, "alice", "one", &own), OK);
	struct login_claim c = { 0 };
	struct login_pass pass = { .waited = true };
	assert_int_equal(identity_claim(f->identity, SPAN("alice"), SCRAM_SHA256, &c), OK);
	identity_logins_ended(f->identity);
	assert_int_equal(identity_login_proved(f->identity, &c, true, SPAN("::1"), &pass, &own), OK);
	assert_int_equal(identity_login_stands(f->identity, &own), ERR_DENIED);
}

/* Whatever is refused costs one hash, so that its time tells nothing. */
static void times(void **state)
{
	struct fixture *f = *state;
	struct buffer verifiers = { 0 };
	assert_int_equal(identity_password_make(f->identity, SPAN("secret"), &verifiers), OK);
	put_account(f, 3, "alice@example.org", buffer_span(&verifiers));
	put_account(f, 4, "old@example.org", SPAN("{SSHA256}MiBKWPJ1JQtCfn9IyOCVrjIVaDjvjq7QEJ2338bLy6lOYUNs\n"));
	int64_t known = login_time(f, "alice", "wrong"), right = login_time(f, "alice", "secret");
	static const char *const others[] = { "nobody", "old", "no address", "" };
	for (size_t i = 0; i < COUNT(others); i++)
		assert_in_range(login_time(f, others[i], "wrong"), known / 2, known * 4);
	assert_in_range(right, 0, known / 10);
	print_message("wrong password %lld us, remembered %lld us\n", (long long)known, (long long)right);
	buffer_free(&verifiers);
}

static void sasl_logins(void **state)
{
	struct fixture *f = *state;
	put_account(f, 3, "alice@example.org", SPAN("{PLAIN}one\n"));
	put_account(f, 4, "bob@example.org", SPAN("{PLAIN}two\n"));
	static const struct { struct span in; int rc; } cases[] = {
		{ SPAN("\0alice\0one"), OK }, { SPAN("alice\0alice\0one"), OK }, { SPAN("Alice@example.org\0alice\0one"), OK },
		{ SPAN("alice\0alice@EXAMPLE.org\0one"), OK }, { SPAN("bob\0alice\0one"), ERR_DENIED },
		{ SPAN("alice\0bob\0one"), ERR_DENIED }, { SPAN("\0alice\0two"), ERR_DENIED }, { SPAN("a b\0alice\0one"), ERR_DENIED },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct sasl s;
		struct login a;
		assert_int_equal(sasl_said(&s, f->identity, SPAN("PLAIN"), cases[i].in), OK);
		assert_int_equal(sasl_login(&s, SPAN("::1"), &a), cases[i].rc);
		sasl_end(&s);
	}
}

static int64_t admitted(struct login_guard *g, const char *address, const char *account, int64_t now)
{
	return login_guard_admit(g, span_of(address), span_of(account), now);
}

static void wrong(struct login_guard *g, const char *address, const char *account, int n, int64_t now)
{
	while (n-- > 0)
		login_guard_ended(g, span_of(address), span_of(account), false, now);
}

static void guard(void **state)
{
	struct fixture *f = *state;
	struct login_guard *g = f->identity->guard;
	const int64_t now = 1000 * SECOND_US;
	int64_t waits[20];
	/* An address: some are free, then the time between two doubles, then it is sent away; others are not concerned. */
	wrong(g, "192.0.2.1", "a", LOGIN_FREE, now);
	for (int i = 0; i < 100; i++)
		assert_int_equal(admitted(g, "192.0.2.1", "a", now), 0);
	wrong(g, "192.0.2.1", "b", 1, now);
	assert_int_equal(admitted(g, "192.0.2.1", "c", now), 0);
	assert_int_equal(admitted(g, "192.0.2.1", "d", now), LOGIN_SPACING_MIN);
	assert_int_equal(admitted(g, "192.0.2.1", "e", now), 2 * LOGIN_SPACING_MIN);
	wrong(g, "192.0.2.1", "f", 1, now + 2 * SECOND_US);
	assert_int_equal(admitted(g, "192.0.2.1", "e", now + 2 * SECOND_US), 0);
	assert_int_equal(admitted(g, "192.0.2.1", "e", now + 2 * SECOND_US), 2 * LOGIN_SPACING_MIN);
	assert_int_equal(admitted(g, "192.0.2.2", "e", now), 0);
	wrong(g, "192.0.2.1", "z", 100, now);
	for (size_t i = 0; i < COUNT(waits); i++)
		waits[i] = admitted(g, "192.0.2.1", "e", now + 60 * SECOND_US);
	assert_int_equal(waits[0], 0);
	assert_int_equal(waits[1], LOGIN_SPACING_MAX);
	assert_int_equal(waits[2], LOGIN_WAIT_MAX);
	assert_int_equal(waits[3], -1);
	assert_int_equal(waits[19], -1);
	/* It is forgotten in time. */
	assert_int_equal(admitted(g, "192.0.2.1", "e", now + 20 * LOGIN_FORGET_US), 0);
	assert_int_equal(admitted(g, "192.0.2.1", "e", now + 20 * LOGIN_FORGET_US), 0);
	/* Of IPv6 the network counts. */
	wrong(g, "2001:db8::1", "g", 9, now);
	admitted(g, "2001:db8::2", "h", now);
	assert_int_equal(admitted(g, "2001:db8::3", "i", now), LOGIN_SPACING_MAX);
	assert_int_equal(admitted(g, "2001:db8:0:1::3", "i", now), 0);
	/* This machine's own addresses are not slowed, the account is. */
	for (int i = 0; i < 50; i++)
		wrong(g, i % 2 ? "127.0.0.1" : "unix", i < 25 ? "j" : "k", 1, now);
	assert_int_equal(admitted(g, "127.0.0.1", "l", now), 0);
	assert_int_equal(admitted(g, "127.0.0.1", "l", now), 0);
	admitted(g, "::1", "j", now);
	assert_int_equal(admitted(g, "192.0.2.77", "j", now), LOGIN_SPACING_MAX);
}

static void guard_and_known_pairs(void **state)
{
	struct fixture *f = *state;
	struct login_guard *g = f->identity->guard;
	const int64_t now = 1000 * SECOND_US;
	login_guard_ended(g, SPAN("192.0.2.9"), SPAN("owner"), true, now);
	wrong(g, "192.0.2.66", "owner", 50, now);
	wrong(g, "192.0.2.9", "other", 50, now);
	for (int i = 0; i < 10; i++)
		assert_int_equal(admitted(g, "192.0.2.9", "owner", now), 0);
	assert_int_equal(admitted(g, "192.0.2.66", "owner", now), 0);
	assert_int_equal(admitted(g, "192.0.2.66", "owner", now), LOGIN_SPACING_MAX);
	/* A known pair's own mistakes count for itself alone. */
	wrong(g, "192.0.2.9", "owner", 50, now);
	admitted(g, "192.0.2.9", "owner", now);
	assert_int_equal(admitted(g, "192.0.2.9", "owner", now), LOGIN_SPACING_MAX);
	login_guard_ended(g, SPAN("192.0.2.9"), SPAN("owner"), true, now);
	assert_int_equal(admitted(g, "192.0.2.9", "owner", now), 0);
	/* Any number of names and addresses takes the same memory. */
	for (int i = 0; i < 100000; i++) {
		char account[32], address[32];
		snprintf(account, sizeof account, "user%d", i);
		snprintf(address, sizeof address, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		wrong(g, address, account, 1, now + i);
	}
	assert_int_equal(admitted(g, "198.51.100.1", "owner", now + SECOND_US), 0);
}

static void slowed_logins(void **state)
{
	struct fixture *f = *state;
	struct login a;
	struct login_pass pass = { 0 };
	const struct span there = SPAN("192.0.2.1"), else_where = SPAN("192.0.2.2");
	put_account(f, 3, "alice@example.org", SPAN("{PLAIN}one\n"));
	assert_int_equal(identity_login_plain(f->identity, SPAN("alice"), SPAN("one"), LOGIN_IMAP, else_where, &pass, &a), OK);
	int rc = ERR_DENIED;
	for (int i = 0; i < 20 && rc == ERR_DENIED; i++) {
		pass = (struct login_pass){ 0 };
		rc = identity_login_plain(f->identity, SPAN("alice"), SPAN("two"), LOGIN_IMAP, there, &pass, &a);
	}
	assert_int_equal(rc, LOGIN_WAIT);
	assert_true(pass.wait > 0 && pass.wait <= LOGIN_SPACING_MAX && pass.waited);
	assert_int_equal(identity_login_plain(f->identity, SPAN("alice"), SPAN("two"), LOGIN_IMAP, there, &pass, &a), ERR_DENIED);
	/* The right password of a moment ago, and its address, are not slowed. */
	pass = (struct login_pass){ 0 };
	assert_int_equal(identity_login_plain(f->identity, SPAN("alice"), SPAN("one"), LOGIN_IMAP, there, &pass, &a), OK);
	set_password(f, 3, 9, SPAN("{PLAIN}three\n"));
	pass = (struct login_pass){ 0 };
	assert_int_equal(identity_login_plain(f->identity, SPAN("alice"), SPAN("three"), LOGIN_IMAP, else_where, &pass, &a), OK);
	for (rc = 0; rc != ERR_LIMIT;) {
		pass = (struct login_pass){ 0 };
		rc = identity_login_plain(f->identity, SPAN("nobody"), SPAN("x"), LOGIN_IMAP, there, &pass, &a);
		assert_true(rc == LOGIN_WAIT || rc == ERR_LIMIT || rc == ERR_DENIED);
	}
}

/* "Down" is neither "denied" nor "not found". */
static void store_is_down(void **state)
{
	struct fixture *f = *state;
	struct login a;
	put_account(f, 3, "alice@example.org", SPAN("{PLAIN}one\n"));
	assert_int_equal(login(f, "alice", "one", &a), OK);
	sql(f, "ALTER TABLE names RENAME TO away");
	const int down[] = {
		login(f, "alice", "one", &a), login(f, "alice", "two", &a), login(f, "nobody", "one", &a),
		directory_find(f->identity, SPAN("alice"), &a.account),
	};
	for (size_t i = 0; i < COUNT(down); i++)
		assert_true(down[i] < 0 && down[i] != ERR_DENIED && down[i] != ERR_NOT_FOUND);
	sql(f, "ALTER TABLE away RENAME TO names");
	assert_int_equal(login(f, "alice", "one", &a), OK);
}

struct race {
	struct fixture *f;
	atomic_int stop, changes, stale, failed, checks;
};

/* A login that began after a password was replaced must not pass with the old one. Passwords are numbers. */
static void *log_in_often(void *arg)
{
	struct race *r = arg;
	while (!atomic_load(&r->stop)) {
		char old[16], now[16];
		struct login a;
		int n = atomic_load(&r->changes);
		snprintf(old, sizeof old, "%d", n - 1);
		snprintf(now, sizeof now, "%d", n);
		if (n > 0 && login(r->f, "alice", old, &a) == OK)
			atomic_fetch_add(&r->stale, 1);
		int rc = login(r->f, "alice", now, &a);
		if (rc != OK && rc != ERR_DENIED && rc != LOGIN_WAIT)
			atomic_fetch_add(&r->failed, 1);
		atomic_fetch_add(&r->checks, 1);
		directory_find(r->f->identity, SPAN("alice"), &a.account);
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct fixture *f = *state;
	struct race r = { .f = f };
	pthread_t threads[4];
	struct login a;
	put_account(f, 3, "alice@example.org", SPAN("{PLAIN}0\n"));
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, &r), 0);
	for (int n = 1; n <= 20; n++) {
		char text[32];
		snprintf(text, sizeof text, "{PLAIN}%d\n", n);
		set_password(f, 3, n + 1, span_of(text));
		atomic_store(&r.changes, n);
		usleep(20000);
	}
	atomic_store(&r.stop, 1);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(login(f, "alice", "20", &a), OK);
	assert_int_equal(login(f, "alice", "19", &a), ERR_DENIED);
	assert_int_equal(atomic_load(&r.stale), 0);
	assert_int_equal(atomic_load(&r.failed), 0);
	assert_true(atomic_load(&r.checks) > 0);
}

struct flood {
	struct fixture *f;
	atomic_int denied, sent_away, other;
};

static void *guess(void *arg)
{
	struct flood *w = arg;
	for (int i = 0; i < 4; i++) {
		struct login a;
		int rc = login(w->f, i % 2 ? "alice" : "nobody", "wrong", &a);
		atomic_fetch_add(rc == ERR_DENIED ? &w->denied : rc == LOGIN_WAIT ? &w->sent_away : &w->other, 1);
	}
	return NULL;
}

static long peak_kib(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		sscanf(line, "VmHWM: %ld", &kib);
	fclose(f);
	return kib;
}

static void thousand_wrong_logins(void **state)
{
	struct flood w = { .f = *state };
	pthread_t threads[250];
	put_account(w.f, 3, "alice@example.org", SPAN("{PLAIN}one\n"));
	for (size_t i = 0; i < COUNT(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, guess, &w), 0);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(w.denied + w.sent_away, 1000);
	assert_true(w.denied > 0 && w.sent_away > 0);
	print_message("%d denied, %d sent away, peak %ld KiB\n", (int)w.denied, (int)w.sent_away, peak_kib());
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_in_range(peak_kib(), 1, 128 * 1024); /* two hashes of 19 MiB, the stacks and what the store takes */
#endif
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses), cmocka_unit_test(splitting), cmocka_unit_test(sasl_plain), cmocka_unit_test(sasl_lines),
		cmocka_unit_test(scram_examples), cmocka_unit_test(scram_first_messages), cmocka_unit_test(scram_long_messages), WITH_STORE(claims),
		cmocka_unit_test(cache), cmocka_unit_test(pool_is_fair), cmocka_unit_test(pool_is_bounded),
		WITH_STORE(directory), WITH_STORE(logins), WITH_STORE(changes_count_at_once), WITH_STORE(times),
		WITH_STORE(sasl_logins), cmocka_unit_test(app_secrets), cmocka_unit_test(app_data), WITH_STORE(app_logins),
		WITH_STORE(app_logins_are_not_slowed), WITH_STORE(app_ends_amid_login), WITH_STORE(guard), WITH_STORE(guard_and_known_pairs), WITH_STORE(slowed_logins), WITH_STORE(store_is_down), WITH_STORE(many_threads), WITH_STORE(thousand_wrong_logins),
	};
	return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
