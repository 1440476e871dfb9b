#include "mariadb_url.h"

#include <stdint.h>
#include <stdlib.h>

#include "span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mariadb_url u;
	char *url = span_dup(span_from(data, n));
	mariadb_url_parse(url, &u);
	free(url);
	return 0;
}
