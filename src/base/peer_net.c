#include "peer_net.h"

#include <arpa/inet.h>
#include <stdio.h>

struct span peer_net(struct span address, char out[PEER_NET])
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr a;
	if (address.n >= sizeof text)
		return address;
	memcpy(text, address.p, address.n);
	text[address.n] = 0;
	if (inet_pton(AF_INET6, text, &a) != 1)
		return address;
	if (IN6_IS_ADDR_V4MAPPED(&a))
		return inet_ntop(AF_INET, &a.s6_addr[12], out, PEER_NET) ? span_of(out) : address;
	out[0] = 6;
	memcpy(out + 1, &a, 8);
	return span_from(out, 9);
}
