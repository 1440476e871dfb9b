/* What the service manager is told (systemd's sd_notify protocol): lines to the socket that NOTIFY_SOCKET names. Without
   one, or when nobody listens, nothing happens. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", ...; several with line ends between. */
void notify_manager(const char *text);
/* That a reload begins; READY=1 ends it. */
void notify_reloading(void);
/* How often, in us, the manager wants to hear WATCHDOG=1 at least; 0: never. */
int64_t notify_watchdog(void);

#endif
