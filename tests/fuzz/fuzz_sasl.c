/* SASL exchanges: the first byte chooses the mechanism, then a line for each answer. */
#include "fail.h"
#include "sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sasl s;
	struct span lines = span_from(data + (n > 0), n - (n > 0));
	int rc = SASL_MORE;
	if (sasl_begin(&s, n && data[0] % 2 ? SPAN("PLAIN") : SPAN("LOGIN"), NULL, &(struct sasl_client){ 0 }))
		__builtin_trap();
	while (rc == SASL_MORE && lines.n) {
		ssize_t end = span_find(lines, '\n');
		struct span line = span_sub(lines, 0, end < 0 ? lines.n : (size_t)end);
		lines = span_sub(lines, line.n + 1, lines.n);
		rc = sasl_answer(&s, line);
	}
	if (rc == OK && (s.user.n == 0 || s.password.n == 0 || s.used > sizeof s.text))
		__builtin_trap();
	sasl_end(&s);
	return 0;
}
