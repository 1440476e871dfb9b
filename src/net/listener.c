#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "unix_socket.h"

static bool copy(char *to, size_t cap, struct span s)
{
	if (s.n >= cap || memchr(s.p, 0, s.n))
		return false;
	memcpy(to, s.p, s.n);
	to[s.n] = 0;
	return true;
}

static int bad(struct span item, const char *what)
{
	return fail_with(ERR_INVALID, "\"%.*s\": %s", SPAN_ARG(item), what);
}

static bool parse_mode(struct span s, unsigned *out)
{
	unsigned mode = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return false;
		mode = mode * 8 + (unsigned)(s.p[i] - '0');
		if (mode > 0777)
			return false;
	}
	*out = mode;
	return s.n > 0;
}

static int parse_unix_option(struct span item, struct span option, struct listen_address *a)
{
	if (span_istarts(option, SPAN("mode=")) && parse_mode(span_sub(option, 5, option.n), &a->mode))
		return OK;
	if (span_istarts(option, SPAN("group=")) && option.n > 6 && copy(a->group, sizeof a->group, span_sub(option, 6, option.n)))
		return OK;
	return bad(item, "after ? stand mode=0660 (octal, at most 0777) and group=NAME, joined by &");
}

static int parse_unix(struct span item, struct listen_address *a)
{
	struct span rest = span_sub(item, 5, item.n), path = rest;
	ssize_t q = span_find(rest, '?');
	a->is_unix = true;
	a->mode = 0660;
	if (q >= 0) {
		path = span_sub(rest, 0, (size_t)q);
		rest = span_sub(rest, (size_t)q + 1, rest.n);
	} else {
		rest.n = 0;
	}
	if (path.n == 0 || !copy(a->path, sizeof a->path, path))
		return bad(item, "unix: wants a path of 1 to 1023 bytes");
	while (rest.n) {
		ssize_t amp = span_find(rest, '&');
		size_t n = amp < 0 ? rest.n : (size_t)amp;
		int r = parse_unix_option(item, span_sub(rest, 0, n), a);
		if (r)
			return r;
		rest = span_sub(rest, n + 1, rest.n);
	}
	return OK;
}

static int parse_host_port(struct span item, struct listen_address *a)
{
	ssize_t colon = -1;
	for (size_t i = 0; i < item.n; i++)
		colon = item.p[i] == ':' ? (ssize_t)i : colon;
	if (colon <= 0)
		return bad(item, "wants host:port, [address]:port or unix:PATH");
	struct span host = span_sub(item, 0, (size_t)colon), port = span_sub(item, (size_t)colon + 1, item.n);
	uint64_t number;
	if (!span_u64(port, 65535, &number))
		return bad(item, "the port is a number from 0 (any free one) to 65535");
	if (host.p[0] == '[' && host.n > 2 && host.p[host.n - 1] == ']')
		host = span_sub(host, 1, host.n - 2);
	else if (span_find(host, ':') >= 0 || span_find(host, '[') >= 0 || span_find(host, ']') >= 0)
		return bad(item, "an IPv6 address stands in brackets: [::1]:143");
	if (!copy(a->host, sizeof a->host, host))
		return bad(item, "the host name is too long");
	snprintf(a->port, sizeof a->port, "%u", (unsigned)number);
	return OK;
}

static bool separates(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

static int parse_item(struct span item, struct listen_list *list)
{
	if (list->n == LISTEN_MAX)
		return fail_with(ERR_LIMIT, "more than %d addresses", LISTEN_MAX);
	struct listen_address *a = &list->at[list->n++];
	*a = (struct listen_address){ 0 };
	return span_istarts(item, SPAN("unix:")) ? parse_unix(item, a) : parse_host_port(item, a);
}

int listen_parse(struct span value, struct listen_list *out)
{
	struct listen_list list = { 0 };
	for (size_t i = 0; i < value.n;) {
		size_t from = i;
		while (i < value.n && !separates(value.p[i]))
			i++;
		int r = i > from ? parse_item(span_sub(value, from, i - from), &list) : OK;
		if (r)
			return r;
		while (i < value.n && separates(value.p[i]))
			i++;
	}
	*out = list;
	return OK;
}

/* Leaves *out as it is when there is no name. */
static int find_group(const char *name, gid_t *out)
{
	char text[4096];
	struct group g, *found;
	if (!*name)
		return OK;
	if (getgrnam_r(name, &g, text, sizeof text, &found) || !found)
		return fail_with(ERR_INVALID, "there is no group %s", name);
	*out = found->gr_gid;
	return OK;
}

static int open_unix(const struct listen_address *a, const char *dir, struct listener *out)
{
	char path[PATH_MAX];
	struct stat st;
	gid_t group = (gid_t)-1;
	int n = *a->path == '/' ? snprintf(path, sizeof path, "%s", a->path) :
	                          snprintf(path, sizeof path, "%s/%s", dir, a->path);
	if (n >= (int)sizeof path)
		return fail_with(ERR_INVALID, "%s: name too long", a->path);
	int r = find_group(a->group, &group);
	if (r || (r = unix_listen(path, a->mode, group, &out->fd)))
		return r;
	out->path = span_dup(span_of(path));
	out->inode = stat(path, &st) ? 0 : st.st_ino;
	snprintf(out->bound, sizeof out->bound, "unix:%s", path);
	return OK;
}

static void describe(struct listener *l)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof a;
	char host[INET6_ADDRSTRLEN] = "?";
	getsockname(l->fd, (struct sockaddr *)&a, &n);
	if (a.ss_family == AF_INET6) {
		const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&a;
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
		snprintf(l->bound, sizeof l->bound, "[%s]:%u", host, ntohs(six->sin6_port));
	} else {
		const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&a;
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
		snprintf(l->bound, sizeof l->bound, "%s:%u", host, ntohs(four->sin_port));
	}
}

/* ERR_NOT_FOUND: the machine has no such address, or not that kind (no IPv6). */
static int refused(int e, const struct listen_address *a)
{
	bool none = e == EADDRNOTAVAIL || e == EAFNOSUPPORT || e == EPROTONOSUPPORT;
	return fail_with(none ? ERR_NOT_FOUND : e == EADDRINUSE ? ERR_EXISTS : ERR_UNAVAILABLE, "%s:%s: %s", a->host, a->port,
		strerror(e));
}

static int open_tcp(const struct addrinfo *ai, const struct listen_address *a, struct listener *out)
{
	int on = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refused(errno, a);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, SOMAXCONN)) {
		int e = errno;
		close(fd);
		return refused(e, a);
	}
	*out = (struct listener){ .fd = fd };
	describe(out);
	return OK;
}

static int open_all(const struct addrinfo *ai, const struct listen_address *a, struct listener *out, size_t *n)
{
	size_t room = *n, k = 0;
	int r = OK;
	for (; ai && k < room && (!r || r == ERR_NOT_FOUND); ai = ai->ai_next) {
		r = open_tcp(ai, a, &out[k]);
		k += r == OK;
	}
	if (k && r == ERR_NOT_FOUND)
		r = OK;
	while (r && k)
		listener_close(&out[--k]);
	if (!r)
		*n = k;
	return r;
}

static int open_host(const struct listen_address *a, struct listener *out, size_t *n)
{
	struct addrinfo want = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list;
	int e = getaddrinfo(strcmp(a->host, "*") ? a->host : NULL, a->port, &want, &list);
	if (e)
		return fail_with(ERR_INVALID, "%s: %s", a->host, gai_strerror(e));
	int r = open_all(list, a, out, n);
	freeaddrinfo(list);
	return r;
}

int listener_open(const struct listen_address *a, const char *dir, struct listener *out, size_t *n)
{
	if (!a->is_unix)
		return open_host(a, out, n);
	*out = (struct listener){ .fd = -1 };
	int r = open_unix(a, dir, out);
	if (!r)
		*n = 1;
	return r;
}

void listener_close(struct listener *l)
{
	struct stat st;
	if (l->fd >= 0)
		close(l->fd);
	if (l->path && lstat(l->path, &st) == 0 && st.st_ino == l->inode)
		unlink(l->path);
	free(l->path);
	*l = (struct listener){ .fd = -1 };
}
