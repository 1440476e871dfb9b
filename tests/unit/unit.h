/* What every unit test needs before its own headers. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Where the bodies of a test lie: a suite may run it again on another kind of store. */
static inline const char *blob_url(void)
{
	const char *url = getenv("PERDURA_TEST_BLOB");
	return url ? url : "file:blobs";
}

#endif
