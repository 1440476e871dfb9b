#include "bar.h"

#include <stdio.h>

#include "clock.h"

enum { WIDTH = 30 };

void bar_show(struct bar *b, uint64_t done, uint64_t total, struct span text)
{
	int64_t now = clock_mono();
	if (!b->terminal || (b->drawn && now - b->at < SECOND_US / 10 && done != total))
		return;
	b->at = now;
	b->drawn = true;
	fputs("\r\033[K", stderr);
	if (total) {
		double part = done < total ? (double)done / (double)total : 1;
		int full = (int)(part * WIDTH);
		fprintf(stderr, "[%.*s%*s] %3d%% ", full, "##############################", WIDTH - full, "", (int)(part * 100));
	} else {
		fprintf(stderr, "%llu ", (unsigned long long)done);
	}
	fprintf(stderr, "%.*s", SPAN_ARG(text));
	fflush(stderr);
}

void bar_clear(struct bar *b)
{
	if (!b->drawn)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	b->drawn = false;
}
