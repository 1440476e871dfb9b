/* Datagrams between nodes: a socket bound to one address, which is also what others are told to send to. */
#ifndef UDP_H
#define UDP_H

#include <sys/socket.h>

#include "listener.h"

struct udp_address {
	struct sockaddr_storage at;
	socklen_t n;
};

/* Binds the address, in whole ("*" and unix: are ERR_INVALID, as nobody could send there). *fd is non-blocking; bound (of
   UDP_TEXT bytes) is the address in numbers, as udp_resolve() reads it. */
enum { UDP_TEXT = 128 };
int udp_open(const struct listen_address *a, int *fd, char bound[UDP_TEXT]);
/* "host:port" in numbers. ERR_INVALID. */
int udp_resolve(struct span text, struct udp_address *out);

#endif
