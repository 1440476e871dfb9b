#include "fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char detail[512];

int fail_with(enum error code, const char *fmt, ...)
{
	char t[sizeof detail];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t, sizeof t, fmt, ap);
	va_end(ap);
	memcpy(detail, t, sizeof detail);
	return code;
}

int fail_errno(const char *what, const char *path)
{
	int e = errno;
	return fail_with(e == ENOSPC || e == EDQUOT ? ERR_FULL : ERR_UNAVAILABLE, "%s %s: %s", what, path, strerror(e));
}

const char *fail_detail(void)
{
	return detail;
}

void fail_set_detail(const char *d)
{
	snprintf(detail, sizeof detail, "%s", d);
}

const char *fail_name(int code)
{
	static const char *const names[] = { "ok", "not-found", "exists", "invalid", "denied", "cannot", "limit", "quota",
		"full", "unavailable", "corrupt", "conflict", "timeout", "stopped" };
	int i = -code;
	return i >= 0 && i < (int)(sizeof names / sizeof *names) ? names[i] : "unknown";
}
