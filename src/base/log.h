/* One line per thing that happened: time, level, event, key=value pairs. Library code returns errors, the program's
   edges log them. A value that holds blanks, quotes or control bytes must go through log_quote first. */
#ifndef LOG_H
#define LOG_H

#include "span.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Where lines go: an open descriptor (standard error at first). Reopening swaps it under the writers. */
void log_to(int fd);
void log_level_set(enum log_level max);
/* log_line(LOG_INFO, "deliver", "account=%lld size=%zu", ...) */
void log_line(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* s within double quotes, with quotes, backslashes and bytes outside printable ASCII as \xHH; cut at n-1 bytes.
   Returns out, so that it can stand in an argument list. */
const char *log_quote(char *out, size_t n, struct span s);

#endif
