#include <assert.h>

#include "query.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct query q;
	if (query_parse(&arena, span_from(data, n), &q) == 0)
		for (size_t i = 0; i < q.n; i++)
			assert(q.terms[i].kind > QUERY_FOLDER || (q.terms[i].text.n && utf8_valid(q.terms[i].text)));
	arena_free(&arena);
	return 0;
}
