/* A conversation of SCRAM: the first byte says whether it binds to a channel, then the client's two messages, a line each. */
#include "fail.h"
#include "scram_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char verifier[] = "4096$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct scram_channel tls = { .exporter = { "exporter", 8 }, .end_point = { "end point", 9 } }, none;
	struct scram s;
	struct span lines = span_from(data + (n > 0), n - (n > 0));
	bool plus = n && data[0] % 2;
	ssize_t end = span_find(lines, '\n');
	struct span first = span_sub(lines, 0, end < 0 ? lines.n : (size_t)end), final = span_sub(lines, first.n + 1, lines.n);
	if (scram_first(&s, SCRAM_SHA256, plus, plus ? &tls : &none, first))
		return 0;
	if (!*s.user || (plus && !s.binding.n) || scram_challenge(&s, span_of(verifier), SPAN("nonce")))
		__builtin_trap();
	scram_final(&s, final);
	return 0;
}
