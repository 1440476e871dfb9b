#include "identity.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"
#include "fail.h"
#include "identity_private.h"
#include "password.h"
#include "secret.h"

enum { CACHE_SETS = 16384 }; /* 98,304 logins in 3.9 MiB */

static EVP_MAC_CTX *keyed_mac(const unsigned char key[SECRET])
{
	char name[] = "SHA256";
	OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_construct_end() };
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	if (ctx && !EVP_MAC_init(ctx, key, SECRET, params)) {
		EVP_MAC_CTX_free(ctx);
		ctx = NULL;
	}
	EVP_MAC_free(hmac);
	return ctx;
}

static int make_macs(struct identity *i)
{
	unsigned char own[SECRET], shared[SECRET];
	int e = secret_get(i->meta, "login.salts", shared);
	if (e)
		return e;
	if (getrandom(own, sizeof own, 0) == (ssize_t)sizeof own)
		i->mac = keyed_mac(own);
	i->salts = keyed_mac(shared);
	OPENSSL_cleanse(own, sizeof own);
	OPENSSL_cleanse(shared, sizeof shared);
	return i->mac && i->salts ? OK : fail_with(ERR_UNAVAILABLE, "identity: no memory or random bytes");
}

static int open_parts(const struct identity_options *o, struct identity *i)
{
	if (o->domain.n >= sizeof i->domain)
		return fail_with(ERR_INVALID, "account.domain is over %zu bytes", sizeof i->domain - 1);
	if (o->domain.n)
		memcpy(i->domain, o->domain.p, o->domain.n);
	i->meta = o->meta;
	i->metrics = o->metrics;
	i->remember = (int64_t)o->cache_minutes * 60 * SECOND_US;
	i->cache = login_cache_new(CACHE_SETS);
	i->memo = memo_new();
	int e = make_macs(i);
	if (e)
		return e;
	i->guard = login_guard_new(i->mac);
	if (!i->cache || !i->memo || !i->guard)
		return fail_with(ERR_UNAVAILABLE, "identity: no memory");
	return hash_pool_new(o->hash_parallel, o->hash_queue, &i->pool);
}

int identity_open(const struct identity_options *o, struct identity **out)
{
	struct identity *i = calloc(1, sizeof *i);
	if (!i)
		return fail_with(ERR_UNAVAILABLE, "identity: no memory");
	int rc = open_parts(o, i);
	if (rc)
		identity_close(&i);
	else
		*out = i;
	return rc;
}

void identity_close(struct identity **i)
{
	if (!*i)
		return;
	hash_pool_free(&(*i)->pool);
	login_cache_free(&(*i)->cache);
	login_guard_free(&(*i)->guard);
	memo_free(&(*i)->memo);
	EVP_MAC_CTX_free((*i)->mac);
	EVP_MAC_CTX_free((*i)->salts);
	free(*i);
	*i = NULL;
}

int identity_password_make(struct identity *i, struct span password, struct buffer *out)
{
	int rc = hash_pool_enter(i->pool, SPAN("here"));
	if (rc)
		return rc;
	rc = password_make(password, out);
	hash_pool_leave(i->pool);
	return rc;
}

int identity_complete(const struct identity *i, struct span address, char out[ADDRESS_MAX])
{
	char why[200];
	if (address_complete(address, span_of(i->domain), out) == OK)
		return OK;
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with(ERR_INVALID, "%.*s is no address: %s", SPAN_ARG(address), why);
}

void identity_offer_scram(struct identity *i, bool offer)
{
	atomic_store(&i->no_scram, !offer);
}
