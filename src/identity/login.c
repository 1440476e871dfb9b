#include "login.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "buffer.h"
#include "clock.h"
#include "fail.h"
#include "identity_private.h"
#include "log.h"
#include "meta.h"
#include "metric.h"
#include "password.h"
#include "peer_net.h"
#include "strict_base64.h"
#include "system.h"

enum { CREDENTIALS_MAX = 64 * 1024 };
#define BUSY_WAIT_MIN (SECOND_US / 10)
#define BUSY_WAIT_MAX SECOND_US
#define BUSY_MAX (30 * SECOND_US)

bool login_may_be_plain(enum login_plaintext allowed, bool tls, bool local)
{
	return tls || allowed == LOGIN_PLAINTEXT_ALWAYS || (allowed == LOGIN_PLAINTEXT_LOOPBACK && local);
}

const char *login_app_text(const struct login *l, char out[LOGIN_APP_TEXT])
{
	char name[LOGIN_APP_TEXT - 6];
	snprintf(out, LOGIN_APP_TEXT, "%s%s", *l->app_name ? " app=" : "", *l->app_name ? log_quote(name, sizeof name, span_of(l->app_name)) : "");
	return out;
}

struct credentials {
	char address[ADDRESS_MAX];
	bool known;
	int64_t account, tenant;
	int64_t version;     /* the change that set them; 0: none set */
	struct buffer text;
	bool is_app;         /* what was sent looks like an application password, with this hash: */
	unsigned char hash[APP_HASH];
	uint32_t app;        /* it is one; 0: not */
	unsigned app_protocols;
	char app_name[APP_NAME_MAX + 1];
};

static void take_app(struct credentials *c, const struct meta_rows *r)
{
	struct span name = app_key_name(meta_span(r, 3));
	struct app_password a;
	if (!app_password_get(meta_span(r, 4), &a) || CRYPTO_memcmp(a.hash, c->hash, APP_HASH) != 0)
		return;
	c->app = (uint32_t)meta_int(r, 0);
	c->app_protocols = a.protocols;
	snprintf(c->app_name, sizeof c->app_name, "%.*s", SPAN_ARG(name));
}

/* Looks at all of them, whichever it is. */
static int find_app(struct meta_txn *t, struct credentials *c)
{
	char from[APP_KEY_MAX], to[APP_KEY_MAX];
	struct meta_rows r;
	int rc = meta_query(t, &r, META_NAME_ITEMS, "iissi", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_APPS,
		app_key(c->account, SPAN(""), from), app_key_end(c->account, to), (int64_t)APP_PASSWORDS_MAX);
	if (rc)
		return rc;
	while ((rc = meta_next(&r)) > 0)
		take_app(c, &r);
	meta_done(&r);
	return rc;
}

static int read_credentials(struct meta_txn *t, void *arg)
{
	struct credentials *c = arg;
	struct meta_rows r;
	buffer_reset(&c->text);
	c->known = false;
	c->app = 0;
	*c->app_name = 0;
	int rc = meta_one(t, &r, META_DIRECTORY_LOGIN, "iiis", (int64_t)SYSTEM_CREDENTIALS, (int64_t)SYSTEM_ACCOUNT,
		(int64_t)SYSTEM_ACCOUNTS, span_of(c->address));
	if (rc)
		return rc;
	c->known = true;
	c->account = meta_int(&r, 0);
	c->tenant = meta_int(&r, 1);
	c->version = meta_int(&r, 2);
	buffer_put_span(&c->text, meta_span(&r, 3));
	meta_done(&r);
	if (!buffer_ok(&c->text))
		return fail_with(ERR_CORRUPT, "the credentials of %s are too long", c->address);
	return c->is_app ? find_app(t, c) : OK;
}

/* An unknown user is no failure here: it goes the whole way with empty credentials, which no password fits. */
static int find_credentials(struct identity *i, struct span user, struct credentials *c)
{
	if (address_complete(user, span_of(i->domain), c->address))
		return OK;
	int rc = meta_read(i->meta, read_credentials, c);
	return rc == ERR_NOT_FOUND ? OK : rc;
}

static int make_tag(struct identity *i, const struct credentials *c, struct span password, unsigned char *tag)
{
	const int64_t head[2] = { c->account, c->version };
	size_t n;
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(i->mac);
	bool made = ctx && EVP_MAC_update(ctx, (const unsigned char *)head, sizeof head) &&
		EVP_MAC_update(ctx, (const unsigned char *)password.p, password.n) && EVP_MAC_final(ctx, tag, &n, LOGIN_TAG);
	EVP_MAC_CTX_free(ctx);
	return made ? OK : fail_with(ERR_UNAVAILABLE, "login: no memory");
}

/* The attempt's turn: OK when it is now. */
static int admit(struct identity *i, struct span account, struct span peer, struct login_pass *pass)
{
	if (pass->waited)
		return OK;
	pass->wait = login_guard_admit(i->guard, peer, account, clock_mono());
	if (pass->wait < 0)
		return fail_with(ERR_LIMIT, "Too many failed logins, try again later");
	pass->waited = true;
	return pass->wait ? LOGIN_WAIT : OK;
}

/* As many passwords are hashed or wait for that as may hold a thread: this one waits without. */
static int wait_for_others(struct login_pass *pass)
{
	int64_t now = clock_mono();
	pass->busy = pass->busy ? pass->busy : now;
	int64_t waited = now - pass->busy;
	if (waited > BUSY_MAX)
		return ERR_UNAVAILABLE;
	pass->wait = waited < BUSY_WAIT_MIN ? BUSY_WAIT_MIN : waited < BUSY_WAIT_MAX ? waited : BUSY_WAIT_MAX;
	return LOGIN_WAIT;
}

static int hash_and_compare(struct identity *i, struct span text, struct span password, struct span peer,
	struct login_pass *pass)
{
	char room[PEER_NET];
	int rc = hash_pool_enter(i->pool, peer_net(peer, room));
	if (rc)
		return wait_for_others(pass);
	rc = password_verify(text, password);
	hash_pool_leave(i->pool);
	return rc;
}

/* Nobody guesses one, so it neither waits for its turn nor counts as a guess. It says nothing for the account's own password either,
   so it does not forgive wrong guesses at that. */
static int check_app(const struct credentials *c, enum login_protocol protocol)
{
	if (!c->app_protocols || c->app_protocols & protocol)
		return OK;
	return fail_with(ERR_DENIED, "the application password is not for this protocol");
}

static int check_own(struct identity *i, const struct credentials *c, struct span password, struct span peer,
	struct login_pass *pass)
{
	unsigned char tag[LOGIN_TAG];
	struct span account = span_of(c->address);
	int rc = make_tag(i, c, password, tag);
	if (rc || login_cache_has(i->cache, tag, clock_mono()))
		return rc;
	if ((rc = admit(i, account, peer, pass)))
		return rc;
	rc = hash_and_compare(i, buffer_span(&c->text), password, peer, pass);
	if (rc == OK || rc == ERR_DENIED)
		login_guard_ended(i->guard, peer, account, rc == OK, clock_mono());
	if (rc == OK && i->remember)
		login_cache_put(i->cache, tag, clock_mono() + i->remember);
	return rc == ERR_DENIED && !c->known ? fail_with(ERR_DENIED, "no such account") : rc;
}

static void tell(const struct credentials *c, struct login *out)
{
	out->account = (struct account){ .id = c->account, .tenant = c->tenant };
	memcpy(out->account.address, c->address, sizeof c->address);
	out->app = c->app;
	memcpy(out->app_name, c->app_name, sizeof c->app_name);
}

int identity_login_plain(struct identity *i, struct span user, struct span password, enum login_protocol protocol, struct span peer,
	struct login_pass *pass, struct login *out)
{
	struct credentials c = { .account = -1, .text.limit = CREDENTIALS_MAX };
	*out = (struct login){ .ended = atomic_load(&i->ended) };
	c.is_app = app_password_hash(password, c.hash);
	int rc = find_credentials(i, user, &c);
	if (rc == OK) {
		tell(&c, out);
		rc = c.app ? check_app(&c, protocol) : check_own(i, &c, password, peer, pass);
	}
	buffer_free(&c.text);
	if (rc != LOGIN_WAIT)
		metric_add(i->metrics, METRIC_LOGINS, metric_result(rc), 1);
	return rc;
}

/* ---- SCRAM */

static bool made_up(struct identity *i, const char *address, enum scram_hash hash, const char *what, unsigned char out[32])
{
	size_t n;
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(i->salts);
	unsigned char kind = (unsigned char)hash;
	bool made = ctx && EVP_MAC_update(ctx, &kind, 1) && EVP_MAC_update(ctx, (const unsigned char *)what, strlen(what) + 1) &&
		EVP_MAC_update(ctx, (const unsigned char *)address, strlen(address)) && EVP_MAC_final(ctx, out, &n, 32);
	EVP_MAC_CTX_free(ctx);
	return made;
}

/* Nobody knows a password that fits; and whoever asks cannot see that. */
static int make_up_verifier(struct identity *i, const char *address, enum scram_hash hash, struct buffer *b)
{
	unsigned char salt[32], stored[32], server[32];
	size_t key = hash == SCRAM_SHA1 ? 20 : 32;
	if (!made_up(i, address, hash, "salt", salt) || !made_up(i, address, hash, "stored", stored) ||
	    !made_up(i, address, hash, "server", server))
		return fail_with(ERR_UNAVAILABLE, "login: no memory");
	buffer_printf(b, "%d$", SCRAM_ITERATIONS);
	base64_strict_put(b, span_from(salt, SCRAM_SALT));
	buffer_putc(b, '$');
	base64_strict_put(b, span_from(stored, key));
	buffer_putc(b, '$');
	base64_strict_put(b, span_from(server, key));
	return OK;
}

static int choose_verifier(struct identity *i, const struct credentials *c, enum scram_hash hash, struct login_claim *out)
{
	struct buffer b = { .limit = sizeof out->verifier - 1 };
	struct span own = password_scram(buffer_span(&c->text), hash);
	buffer_put_span(&b, own);
	int rc = own.n ? OK : make_up_verifier(i, c->address, hash, &b);
	if (!rc && !buffer_ok(&b))
		rc = fail_with(ERR_CORRUPT, "the SCRAM verifier of %s is too long", c->address);
	if (!rc)
		snprintf(out->verifier, sizeof out->verifier, "%.*s", (int)b.n, b.p);
	buffer_free(&b);
	return rc;
}

int identity_claim(struct identity *i, struct span user, enum scram_hash hash, struct login_claim *out)
{
	struct credentials c = { .account = -1, .text.limit = CREDENTIALS_MAX };
	out->ended = atomic_load(&i->ended);
	int rc = find_credentials(i, user, &c);
	if (!rc)
		rc = choose_verifier(i, &c, hash, out);
	out->known = c.known;
	out->account = (struct account){ .id = c.account, .tenant = c.tenant };
	memcpy(out->account.address, c.address, sizeof c.address);
	buffer_free(&c.text);
	return rc;
}

int identity_login_proved(struct identity *i, const struct login_claim *claim, bool right, struct span peer, struct login_pass *pass,
	struct login *out)
{
	*out = (struct login){ .account = claim->account, .ended = claim->ended };
	struct span account = span_of(claim->account.address);
	int rc = admit(i, account, peer, pass);
	if (rc == LOGIN_WAIT)
		return rc;
	if (!rc) {
		right = right && claim->known;
		login_guard_ended(i->guard, peer, account, right, clock_mono());
		rc = right ? OK : fail_with(ERR_DENIED, claim->known ? "wrong password" : "no such account");
	}
	metric_add(i->metrics, METRIC_LOGINS, metric_result(rc), 1);
	return rc;
}

/* ---- Logins that end */

void identity_logins_ended(struct identity *i)
{
	atomic_fetch_add(&i->ended, 1);
}

static int still_there(struct meta_txn *t, int64_t collection, int64_t uid)
{
	struct meta_rows r;
	int rc = meta_one(t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, collection, uid);
	if (rc)
		return rc;
	meta_done(&r);
	return OK;
}

static int look_again(struct meta_txn *t, void *arg)
{
	const struct login *l = arg;
	int rc = still_there(t, SYSTEM_ACCOUNTS, l->account.id);
	return rc || !l->app ? rc : still_there(t, SYSTEM_APPS, l->app);
}

int identity_login_stands(struct identity *i, const struct login *l)
{
	struct login copy = *l;
	if (l->ended == atomic_load(&i->ended))
		return OK;
	int rc = meta_read(i->meta, look_again, &copy);
	return rc == ERR_NOT_FOUND ? fail_with(ERR_DENIED, "the login ended meanwhile") : rc;
}
