/* What is parted is joined to what it was; runs as a damaged record may have them are refused or stay within their place. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base64_runs.h"

static void there_and_back(const uint8_t *data, size_t n)
{
	struct base64_split s;
	unsigned char *text = malloc(n + 1), *bytes = malloc(n + 8), *back = malloc(n + 1);
	if (base64_split(data, n, text, bytes, &s)) {
		assert(base64_join(s.runs, s.n, text, s.text, bytes, back, n));
		assert(!memcmp(back, data, n));
	}
	free(text);
	free(bytes);
	free(back);
}

static void hostile(const uint8_t *data, size_t n)
{
	struct base64_run runs[4];
	size_t bytes, characters, raw = n;
	if (n < sizeof runs)
		return;
	memcpy(runs, data, sizeof runs);
	for (size_t i = 0; i < 4; i++) /* as they might be, too */
		if (data[n - 1] & 1 << i)
			runs[i] = (struct base64_run){ runs[i].text % 16, runs[i].first % 80 & ~3u, runs[i].line % 80 & ~3u, runs[i].quads % 100 };
	if (base64_sizes(runs, 4, raw, &bytes, &characters)) {
		unsigned char *text = calloc(raw - characters + 1, 1), *all = calloc(bytes + 1, 1), *to = malloc(raw + 1);
		base64_join(runs, 4, text, raw - characters, all, to, raw);
		free(text);
		free(all);
		free(to);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	there_and_back(data, n);
	hostile(data, n);
	return 0;
}
