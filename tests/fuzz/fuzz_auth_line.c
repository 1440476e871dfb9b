/* Every line of the input through the parsers of the auth socket; what is escaped holds no separators. */
#include <assert.h>

#include "auth_line.h"
#include "fail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n), line, word, rest;
	while (auth_line_next(&in, &line)) {
		struct auth_ask ask;
		uint32_t id;
		struct buffer b = { 0 };
		auth_put_escaped(&b, line);
		assert(b.n >= line.n && span_find(buffer_span(&b), '\t') < 0 && span_find(buffer_span(&b), '\n') < 0);
		buffer_free(&b);
		if (!auth_field_next(&line, &word))
			continue;
		if (auth_ask_parse(line, &ask) == OK)
			assert(ask.mechanism.n);
		auth_cont_parse(line, &id, &rest);
	}
	return 0;
}
