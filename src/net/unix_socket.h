/* Unix stream sockets by path, also where the path is longer than a socket address can hold. */
#ifndef UNIX_SOCKET_H
#define UNIX_SOCKET_H

#include <sys/types.h>

/* Listens at path with exactly this mode and group ((gid_t)-1: as it comes). A socket nobody listens on any more is
   replaced; one that answers is ERR_EXISTS, anything else of that name ERR_INVALID. *out is non-blocking. */
int unix_listen(const char *path, mode_t mode, gid_t group, int *out);
/* A blocking connection. ERR_NOT_FOUND when nobody listens there, ERR_DENIED without the right. */
int unix_connect(const char *path, int *out);

#endif
