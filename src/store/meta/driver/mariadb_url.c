#include "mariadb_url.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "percent.h"
#include "span.h"

enum { PORT = 3306, CONNECTIONS = 32, CONNECTIONS_MAX = 1000 };

/* Percent-decoded into out, with a NUL; ERR_INVALID when it does not fit or holds a NUL. */
static int decode(struct span s, const char *what, char *out, size_t size)
{
	struct buffer b = { 0 };
	int r = OK;
	if (!percent_decode(s, &b))
		r = fail_with(ERR_INVALID, "meta.url: mariadb: the %s holds a '%%' that is followed by no two hex digits", what);
	else if (!buffer_ok(&b))
		r = fail_with(ERR_UNAVAILABLE, "out of memory");
	else if (b.n >= size || (b.n && memchr(b.p, 0, b.n)))
		r = fail_with(ERR_INVALID, "meta.url: mariadb: the %s is too long, or holds a zero byte", what);
	if (!r)
		snprintf(out, size, "%.*s", (int)b.n, b.n ? b.p : "");
	buffer_free(&b);
	return r;
}

/* What stands before the first c, which is dropped with it; all of it when there is none. */
static struct span cut(struct span *s, char c)
{
	ssize_t at = span_find(*s, c);
	struct span head = at < 0 ? *s : span_sub(*s, 0, (size_t)at);
	*s = at < 0 ? span_sub(*s, s->n, 0) : span_sub(*s, (size_t)at + 1, s->n);
	return head;
}

static int take_user(struct span user, struct mariadb_url *u)
{
	struct span password = user;
	user = cut(&password, ':');
	int r = decode(user, "user", u->user, sizeof u->user);
	if (!r)
		r = decode(password, "password", u->password, sizeof u->password);
	if (!r && !user.n)
		r = fail_with(ERR_INVALID, "meta.url: mariadb: no user is named: mariadb://USER:PASSWORD@HOST:PORT,.../DATABASE");
	return r;
}

static int take_host(struct span s, struct mariadb_url *u)
{
	struct mariadb_address *a = &u->address[u->hosts];
	bool bracket = s.n && *s.p == '[';
	struct span port = bracket ? span_sub(s, 1, s.n) : s;
	struct span host = cut(&port, bracket ? ']' : ':');
	uint64_t n = PORT;
	if (bracket && port.n && *port.p == ':')
		port = span_sub(port, 1, port.n);
	if (u->hosts == MARIADB_HOSTS)
		return fail_with(ERR_INVALID, "meta.url: mariadb: at most %d hosts can be named", MARIADB_HOSTS);
	if (!host.n || host.n >= sizeof a->host || (port.n && (!span_u64(port, 65535, &n) || !n)))
		return fail_with(ERR_INVALID, "meta.url: mariadb: '%.*s' is no HOST or HOST:PORT", SPAN_ARG(s));
	memcpy(a->host, host.p, host.n);
	a->host[host.n] = 0;
	a->port = (unsigned)n;
	u->hosts++;
	return OK;
}

static int take_parameter(struct span value, struct mariadb_url *u)
{
	struct span key = cut(&value, '=');
	uint64_t n;
	if (span_eq(key, SPAN("password_file")))
		return decode(value, "password_file", u->password_file, sizeof u->password_file);
	if (span_eq(key, SPAN("ca")))
		return decode(value, "ca", u->ca, sizeof u->ca);
	if (!span_eq(key, SPAN("connections")))
		return fail_with(ERR_INVALID, "meta.url: mariadb: '%.*s' is none of connections, password_file, ca", SPAN_ARG(key));
	if (!span_u64(value, CONNECTIONS_MAX, &n) || n < 2)
		return fail_with(ERR_INVALID, "meta.url: mariadb: connections is a number from 2 to %d", CONNECTIONS_MAX);
	u->connections = (unsigned)n;
	return OK;
}

int mariadb_url_parse(const char *url, struct mariadb_url *out)
{
	struct mariadb_url u = { .connections = CONNECTIONS };
	struct span rest = span_of(url);
	if (rest.n < 2 || memcmp(rest.p, "//", 2))
		return fail_with(ERR_INVALID, "meta.url: mariadb: wants mariadb://USER:PASSWORD@HOST:PORT,.../DATABASE");
	rest = span_sub(rest, 2, rest.n);
	struct span query = rest;
	struct span database = cut(&query, '?');
	struct span hosts = cut(&database, '/');
	const char *at = hosts.n ? memrchr(hosts.p, '@', hosts.n) : NULL;
	struct span user = span_sub(hosts, 0, at ? (size_t)(at - hosts.p) : 0);
	hosts = span_sub(hosts, at ? user.n + 1 : 0, hosts.n);
	int r = take_user(user, &u);
	do
		r = r ? r : take_host(cut(&hosts, ','), &u);
	while (!r && hosts.n);
	if (!r)
		r = decode(database, "database", u.database, sizeof u.database);
	if (!r && !database.n)
		r = fail_with(ERR_INVALID, "meta.url: mariadb: no database is named behind the hosts: mariadb://.../DATABASE");
	while (!r && query.n)
		r = take_parameter(cut(&query, '&'), &u);
	if (!r)
		*out = u;
	explicit_bzero(&u, sizeof u);
	return r;
}

static int read_line(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return fail_with(ERR_INVALID, "meta.url: mariadb: password_file %s: %s", path, strerror(errno));
	char *line = fgets(out, (int)size, f);
	fclose(f);
	if (!line)
		return fail_with(ERR_INVALID, "meta.url: mariadb: password_file %s holds no line", path);
	out[strcspn(out, "\r\n")] = 0;
	return OK;
}

int mariadb_url_password(struct mariadb_url *u, const char *dir)
{
	char path[PATH_MAX];
	const char *value = getenv("PERDURA_META_PASSWORD");
	if (*u->password)
		return OK;
	if (*u->password_file) {
		bool below = dir && *u->password_file != '/';
		snprintf(path, sizeof path, "%s%s%s", below ? dir : "", below ? "/" : "", u->password_file);
		return read_line(path, u->password, sizeof u->password);
	}
	if (value && strlen(value) >= sizeof u->password)
		return fail_with(ERR_INVALID, "meta.url: mariadb: PERDURA_META_PASSWORD is too long");
	snprintf(u->password, sizeof u->password, "%s", value ? value : "");
	return OK;
}
