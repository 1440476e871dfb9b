#include "percent.h"

bool percent_decode(struct span s, struct buffer *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '%') {
			buffer_putc(out, s.p[i]);
			continue;
		}
		int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1, low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return false;
		buffer_putc(out, (char)(high << 4 | low));
		i += 2;
	}
	return true;
}
