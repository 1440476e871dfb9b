#include "s3_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"
#include "fail.h"

static bool is_made_of(const char *s, size_t n, const char *chars)
{
	return strspn(s, chars) >= n;
}

static int read_bucket(const char *s, size_t n, char out[static 64])
{
	if (n < 3 || n > 63 || !is_made_of(s, n, "abcdefghijklmnopqrstuvwxyz0123456789.-"))
		return fail_with(ERR_INVALID, "blob.url: \"%.*s\" is no name of a bucket (s3://BUCKET/PREFIX?endpoint=URL)", (int)n, s);
	memcpy(out, s, n);
	out[n] = 0;
	return OK;
}

/* A port that the scheme has anyway is not in a request's Host. */
static void cut_port(char *base, const char *host)
{
	size_t n = strlen(base);
	const char *usual = !strncmp(base, "https:", 6) ? ":443" : ":80";
	size_t k = strlen(usual);
	if (n > k && !strcmp(base + n - k, usual) && base + n - k > host)
		base[n - k] = 0;
}

static int add_endpoint(struct s3_place *p, const char *s, size_t n)
{
	while (n && s[n - 1] == '/')
		n--;
	size_t scheme = !strncmp(s, "http://", 7) ? 7 : !strncmp(s, "https://", 8) ? 8 : 0;
	if (!scheme || n <= scheme || n >= sizeof p->endpoint->base || memchr(s + scheme, '/', n - scheme) || memchr(s, '@', n) ||
	    memchr(s, ' ', n))
		return fail_with(ERR_INVALID, "blob.url: endpoint=%.*s is no http://host:port or https://host:port", (int)n, s);
	if (p->n_endpoints == S3_ENDPOINTS)
		return fail_with(ERR_INVALID, "blob.url: more than %d endpoints", S3_ENDPOINTS);
	char *base = p->endpoint[p->n_endpoints].base;
	memcpy(base, s, n);
	base[n] = 0;
	p->endpoint[p->n_endpoints++].host = base + scheme;
	cut_port(base, base + scheme);
	return OK;
}

static int read_endpoints(struct s3_place *p, const char *list)
{
	int r = OK;
	for (const char *s = list; !r && *s; s += strcspn(s, ","), s += *s == ',')
		r = add_endpoint(p, s, strcspn(s, ","));
	if (!r && !p->n_endpoints)
		r = fail_with(ERR_INVALID, "blob.url names no endpoint: s3://BUCKET/PREFIX?endpoint=http://host:port");
	return r;
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

/* Keys of objects keep to what no server and no proxy on the way sees a need to write otherwise. */
static int read_prefix(const char *s, struct s3_config *c)
{
	size_t n = strlen(s);
	while (n && s[n - 1] == '/')
		n--;
	if (n + 2 > sizeof c->prefix || !is_made_of(s, n, LETTERS "/") || strstr(s, "//") || strstr(s, "/.") || *s == '/' || *s == '.')
		return fail_with(ERR_INVALID, "blob.url: the prefix \"%s\" may have letters, digits, - _ . and / between names that begin with "
			"no dot, %zu of them", s, sizeof c->prefix - 2);
	snprintf(c->prefix, sizeof c->prefix, "%.*s%s", (int)n, s, n ? "/" : "");
	return OK;
}

static int read_where(const char *where, struct s3_config *c)
{
	if (strncmp(where, "//", 2))
		return fail_with(ERR_INVALID, "blob.url: s3://BUCKET/PREFIX?endpoint=URL");
	const char *bucket = where + 2;
	size_t n = strcspn(bucket, "/");
	int r = read_bucket(bucket, n, c->place.bucket);
	return r ? r : read_prefix(bucket + n + (bucket[n] == '/'), c);
}

static int read_mirror(const char *text, struct s3_config *c)
{
	const char *at = strchr(text, '@');
	if (!at)
		return fail_with(ERR_INVALID, "blob.url: mirror=BUCKET@URL");
	int r = read_bucket(text, (size_t)(at - text), c->mirror.bucket);
	return r ? r : read_endpoints(&c->mirror, at + 1);
}

static int in_dir(const char *dir, const char *file, char out[static PATH_MAX])
{
	int n = *file == '/' ? snprintf(out, PATH_MAX, "%s", file) : snprintf(out, PATH_MAX, "%s/%s", dir, file);
	return n < PATH_MAX ? OK : fail_with(ERR_INVALID, "path too long: %.200s...", file);
}

struct key_place {
	const char *name;
	char *to;
	size_t n;
};

static void take_key_line(const struct key_place *places, size_t n, struct span line)
{
	ssize_t is = span_find(line, '=');
	if (is < 0)
		return;
	struct span name = span_trim(span_sub(line, 0, (size_t)is)), value = span_trim(span_sub(line, (size_t)is + 1, SIZE_MAX));
	for (size_t i = 0; i < n; i++)
		if (span_ieq(name, span_of(places[i].name)))
			snprintf(places[i].to, places[i].n, "%.*s", SPAN_ARG(value));
}

static int read_key_file(const char *path, const struct key_place *places, size_t n)
{
	char line[5000];
	FILE *f = fopen(path, "re");
	if (!f)
		return fail_with(ERR_INVALID, "blob.url: keys=%s: %s", path, strerror(errno));
	while (fgets(line, sizeof line, f))
		take_key_line(places, n, span_of(line));
	fclose(f);
	explicit_bzero(line, sizeof line);
	return OK;
}

static void read_environment(const struct key_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *v = getenv(places[i].name);
		if (v && *v)
			snprintf(places[i].to, places[i].n, "%s", v);
	}
}

/* Those of ours win, and AWS's session token belongs to AWS's. */
static int read_keys(const char *file, struct s3_config *c)
{
	char access[sizeof c->access] = "", secret[sizeof c->secret] = "";
	const struct key_place places[] = {
		{ "AWS_ACCESS_KEY_ID", c->access, sizeof c->access },
		{ "AWS_SECRET_ACCESS_KEY", c->secret, sizeof c->secret },
		{ "AWS_SESSION_TOKEN", c->token, sizeof c->token },
		{ "PERDURA_S3_ACCESS_KEY", access, sizeof access },
		{ "PERDURA_S3_SECRET_KEY", secret, sizeof secret },
	};
	const size_t n = sizeof places / sizeof *places;
	int r = OK;
	if (*file)
		r = read_key_file(file, places, n);
	else
		read_environment(places, n);
	if (*access || *secret) {
		strcpy(c->access, access);
		strcpy(c->secret, secret);
		*c->token = 0;
	}
	explicit_bzero(secret, sizeof secret);
	if (!r && (!*c->access || !*c->secret))
		r = fail_with(ERR_INVALID, "blob.url: no keys for S3: set PERDURA_S3_ACCESS_KEY and PERDURA_S3_SECRET_KEY in the "
			"environment or in a file that keys=FILE names");
	return r;
}

int s3_config_read(const char *where, const char *query, const char *dir, struct s3_config *out)
{
	char text[4096], file[PATH_MAX] = "";
	memset(out, 0, sizeof *out);
	int r = read_where(where, out);
	if (!r)
		r = read_endpoints(&out->place, blob_query_get(query, "endpoint", text, sizeof text) ? text : "");
	if (!r && blob_query_get(query, "mirror", text, sizeof text))
		r = read_mirror(text, out);
	if (!blob_query_get(query, "region", out->region, sizeof out->region))
		strcpy(out->region, "default");
	if (!r && blob_query_get(query, "ca", text, sizeof text))
		r = in_dir(dir, text, out->ca);
	if (!r && blob_query_get(query, "keys", text, sizeof text))
		r = in_dir(dir, text, file);
	return r ? r : read_keys(file, out);
}
