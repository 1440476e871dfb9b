#include "driver.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache.h"
#include "fail.h"
#include "failing.h"

static const struct blob_driver *const drivers[] = { &blob_driver_file, &blob_driver_s3 };

static const struct blob_driver *driver_find(const char *url)
{
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		size_t n = strlen(drivers[i]->scheme);
		if (!strncmp(url, drivers[i]->scheme, n) && url[n] == ':')
			return drivers[i];
	}
	return NULL;
}

static int open_plain(const char *url, const char *query, const struct blob_driver_options *o, struct blob_backend **out)
{
	char where[PATH_MAX];
	const struct blob_driver *d = driver_find(url);
	if (!d)
		return fail_with(ERR_INVALID, "blob.url: no such store: %s", url);
	const char *from = url + strlen(d->scheme) + 1;
	size_t n = strcspn(from, "?");
	if (!n || n >= sizeof where)
		return fail_with(ERR_INVALID, "blob.url names no place: %s", url);
	memcpy(where, from, n);
	where[n] = 0;
	int r = d->open(where, query, o, out);
	if (!r && blob_query_int(query, "whole", 0))
		(*out)->whole = true;
	if (!r && d->fetch && o->cache_bytes)
		r = blob_cache_wrap(o, out);
	return !r && blob_query_int(query, "powercut", 0) ? blob_powercut_wrap(query, out) : r;
}

int blob_driver_open(const char *url, const struct blob_driver_options *o, struct blob_backend **out)
{
	const char *mark = strchr(url, '?'), *query = mark ? mark + 1 : "";
	if (strncmp(url, "failing:", 8))
		return open_plain(url, query, o, out);
	int r = open_plain(url + 8, query, o, out);
	return r ? r : blob_failing_wrap(query, out);
}

bool blob_driver_far(const char *url)
{
	const struct blob_driver *d = driver_find(strncmp(url, "failing:", 8) ? url : url + 8);
	return d && d->fetch;
}

int blob_read_other(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	return b->driver->read_other ? b->driver->read_other(b, pack, to, n, offset) : fail_with(ERR_CANNOT, "there is no other copy");
}

bool blob_query_get(const char *query, const char *key, char *out, size_t n)
{
	size_t k = strlen(key);
	for (const char *p = query; *p; p += strcspn(p, "&"), p += *p == '&') {
		if (strncmp(p, key, k) || p[k] != '=')
			continue;
		snprintf(out, n, "%.*s", (int)strcspn(p + k + 1, "&"), p + k + 1);
		return true;
	}
	return false;
}

int64_t blob_query_int(const char *query, const char *key, int64_t otherwise)
{
	char t[24];
	return blob_query_get(query, key, t, sizeof t) ? strtoll(t, NULL, 10) : otherwise;
}
