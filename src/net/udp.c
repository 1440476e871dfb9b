#include "udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "fail.h"

static int look_up(const struct listen_address *a, int flags, struct udp_address *out)
{
	struct addrinfo want = { .ai_socktype = SOCK_DGRAM, .ai_flags = flags | AI_NUMERICSERV }, *list;
	int e = getaddrinfo(a->host, a->port, &want, &list);
	if (e)
		return fail_with(ERR_INVALID, "%s: %s", a->host, gai_strerror(e));
	memcpy(&out->at, list->ai_addr, list->ai_addrlen);
	out->n = list->ai_addrlen;
	freeaddrinfo(list);
	return OK;
}

static bool is_any(const struct udp_address *a)
{
	if (a->at.ss_family == AF_INET6)
		return IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)&a->at)->sin6_addr);
	return ((const struct sockaddr_in *)(const void *)&a->at)->sin_addr.s_addr == htonl(INADDR_ANY);
}

static int describe(int fd, char bound[UDP_TEXT])
{
	struct udp_address a = { .n = sizeof a.at };
	char host[INET6_ADDRSTRLEN + 1], port[8];
	if (getsockname(fd, (struct sockaddr *)&a.at, &a.n) ||
	    getnameinfo((struct sockaddr *)&a.at, a.n, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
		return fail_with(ERR_UNAVAILABLE, "the socket has no address");
	snprintf(bound, UDP_TEXT, a.at.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return OK;
}

int udp_open(const struct listen_address *a, int *fd, char bound[UDP_TEXT])
{
	struct udp_address to;
	int e = a->is_unix || !strcmp(a->host, "*") ? fail_with(ERR_INVALID, "wants one address of this machine, host:port") :
	                                              look_up(a, 0, &to);
	if (!e && is_any(&to))
		e = fail_with(ERR_INVALID, "%s: the other nodes cannot send there; name one address of this machine", a->host);
	if (e)
		return e;
	int s = socket(to.at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s < 0 || bind(s, (struct sockaddr *)&to.at, to.n))
		e = fail_with(errno == EADDRINUSE ? ERR_EXISTS : ERR_UNAVAILABLE, "%s:%s: %s", a->host, a->port, strerror(errno));
	else
		e = describe(s, bound);
	if (e && s >= 0)
		close(s);
	else if (!e)
		*fd = s;
	return e;
}

int udp_resolve(struct span text, struct udp_address *out)
{
	struct listen_list list;
	int e = listen_parse(text, &list);
	if (!e && (list.n != 1 || list.at[0].is_unix))
		e = fail_with(ERR_INVALID, "not host:port");
	return e ? e : look_up(&list.at[0], AI_NUMERICHOST, out);
}
