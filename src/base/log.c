#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

static atomic_int log_fd = 2;
static atomic_int log_max = LOG_INFO;

void log_to(int fd)
{
	atomic_store(&log_fd, fd);
}

void log_level_set(enum log_level max)
{
	atomic_store(&log_max, max);
}

static size_t put_time(char *to, size_t n)
{
	int64_t now = clock_now();
	time_t s = (time_t)(now / SECOND_US);
	struct tm tm;
	gmtime_r(&s, &tm);
	size_t k = strftime(to, n, "%Y-%m-%dT%H:%M:%S", &tm);
	return k + (size_t)snprintf(to + k, n - k, ".%03dZ", (int)(now / 1000 % 1000));
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
	static const char *const names[] = { "error", "warn", "info", "debug" };
	char line[2048];
	if ((int)level > atomic_load(&log_max))
		return;
	size_t n = put_time(line, sizeof line);
	n += (size_t)snprintf(line + n, sizeof line - n, " %s %s ", names[level], event);
	va_list ap;
	va_start(ap, fmt);
	int k = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
	va_end(ap);
	n += k < 0 ? 0 : (size_t)k;
	if (n > sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	ssize_t ignored = write(atomic_load(&log_fd), line, n); /* one write, so lines of threads do not mix */
	(void)ignored;
}

const char *log_quote(char *out, size_t n, struct span s)
{
	size_t k = 0;
	if (n < 3)
		return "";
	out[k++] = '"';
	for (size_t i = 0; i < s.n && k + 6 < n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
			out[k++] = (char)c;
		else
			k += (size_t)snprintf(out + k, n - k, "\\x%02x", c);
	}
	out[k++] = '"';
	out[k] = 0;
	return out;
}
