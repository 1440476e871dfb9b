#include "notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "span.h"

/* A path, or with @ a name of the abstract kind. */
static socklen_t manager_address(const char *name, struct sockaddr_un *a)
{
	size_t n = strlen(name);
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((*name != '/' && *name != '@') || n >= sizeof a->sun_path)
		return 0;
	memcpy(a->sun_path, name, n);
	if (*name == '@')
		a->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void notify_manager(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un a;
	socklen_t n = name ? manager_address(name, &a) : 0;
	int fd = n ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0)
		return;
	ssize_t ignored = sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&a, n);
	(void)ignored;
	close(fd);
}

void notify_reloading(void)
{
	char text[80];
	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono());
	notify_manager(text);
}

int64_t notify_watchdog(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t n, process;
	if (!us || !span_u64(span_of(us), INT64_MAX, &n))
		return 0;
	if (pid && (!span_u64(span_of(pid), INT32_MAX, &process) || process != (uint64_t)getpid()))
		return 0;
	return (int64_t)n;
}
