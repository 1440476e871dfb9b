#include "nfc.h"

#include <stdlib.h>
#include <utf8proc.h>

#include "fail.h"
#include "utf8.h"

/* All before U+0300 is in NFC as it is. */
static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0xcc)
			return false;
	return true;
}

static int normalize(struct arena *a, struct span s, struct span *out)
{
	utf8proc_uint8_t *made = NULL;
	if (s.n > NFC_MAX)
		return fail_with(ERR_LIMIT, "that text is too long");
	utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &made, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n >= 0)
		*out = arena_copy(a, span_from(made, (size_t)n));
	free(made);
	return n >= 0 && out->p ? OK : fail_with(ERR_LIMIT, "no room for a text");
}

int nfc(struct arena *a, struct span s, struct span *out)
{
	if (!utf8_valid(s))
		return fail_with(ERR_INVALID, "that is no valid UTF-8");
	*out = s;
	return is_plain(s) ? OK : normalize(a, s, out);
}
