/* Base64 that is parted from text and joined again: the same to the byte, whatever it is, and a quarter less where it is base64. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64_runs.h"

enum { MOST = 300000 };

static unsigned char text[MOST + 8], bytes[MOST + 8], back[MOST];

/* How many bytes are parted from it as base64. */
static size_t parted(const char *p, size_t n, size_t *runs)
{
	struct base64_split s;
	*runs = 0;
	if (!base64_split((const unsigned char *)p, n, text, bytes, &s))
		return 0;
	unsigned char *exact = malloc(n), *of_text = malloc(s.text), *of_bytes = malloc(s.bytes); /* for who looks at their ends */
	memcpy(of_text, text, s.text);
	memcpy(of_bytes, bytes, s.bytes);
	size_t all, characters;
	assert_true(base64_sizes(s.runs, s.n, n, &all, &characters));
	assert_int_equal(all, s.bytes);
	assert_int_equal(characters + s.text, n);
	assert_true(base64_join(s.runs, s.n, of_text, s.text, of_bytes, exact, n));
	assert_memory_equal(exact, p, n);
	*runs = s.n;
	free(exact);
	free(of_text);
	free(of_bytes);
	return s.bytes;
}

/* Lines of so many characters, n in all; end: between them. */
static size_t put_lines(char *to, size_t n, size_t line, const char *end, unsigned seed)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *p = to;
	for (size_t i = 0; i < n; i++) {
		if (i && i % line == 0)
			p = stpcpy(p, end);
		seed = seed * 1664525 + 1013904223;
		*p++ = digits[seed >> 26];
	}
	*p = 0;
	return (size_t)(p - to);
}

static void forms(void **state)
{
	static const struct { const char *before; size_t n, line; const char *end, *behind; size_t runs, bytes; } cases[] = {
		{ "Content-Transfer-Encoding: base64\r\n\r\n", 7600, 76, "\r\n", "\r\n--b--\r\n", 1, 5700 },
		{ "", 7600, 76, "\r\n", "", 1, 5700 },
		{ "\r\n", 7600, 72, "\r\n", "\r\n", 1, 5700 },
		{ "\r\n", 7606, 76, "\r\n", "==\r\n", 1, 5703 },
		{ "\r\n", 7603, 76, "\r\n", "=\r\n", 1, 5700 },
		{ "\r\n", 7600, 76, "\r\n", "====\r\n", 1, 5700 },
		{ "\r\n", 4000, 4000, "\r\n", "\r\n", 1, 3000 },
		{ "\r\n", 4002, 4002, "\r\n", "\r\n", 0, 0 },       /* one line, and no quads */
		{ "ABC", 7600, 76, "\r\n", "\r\n", 1, 5700 },       /* a line that began before */
		{ "ABCD", 7600, 76, "\r\n", "\r\n", 1, 5703 },
		{ "\n", 7600, 76, "\r\n", "\r\n", 1, 5700 },
		{ "\r\n ", 7600, 76, "\r\n", "\r\n", 1, 5643 },     /* but its first line */
		{ "\r\n", 7600, 76, "\n", "\n", 0, 0 },             /* lines end otherwise */
		{ "\r\n", 7600, 76, "\r\r\n", "\r\n", 0, 0 },
		{ "\r\n", 7600, 76, "\r\n ", "\r\n", 0, 0 },
		{ "\r\n", 7600, 75, "\r\n", "\r\n", 0, 0 },         /* quads across lines */
		{ "\r\n", 124, 76, "\r\n", "\r\n", 0, 0 },          /* not worth it */
		{ "\r\n", 128, 76, "\r\n", "\r\n", 1, 96 },
		{ "\r\n", 1200, 12, "\r\n", "\r\n", 0, 0 },
		{ "", 0, 1, "", "", 0, 0 }, { "\n", 0, 1, "", "", 0, 0 }, { "\r\n\r\n", 0, 1, "", "\n\n\r\r", 0, 0 }, { "\r", 0, 1, "", "", 0, 0 },
		{ "Dear all,\r\nthis is nothing but words, line by line.\r\n", 0, 1, "", "Regards\r\n", 0, 0 },
	};
	static char message[20000];
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t runs, n = strlen(strcpy(message, cases[i].before));
		n += put_lines(message + n, cases[i].n, cases[i].line, cases[i].end, (unsigned)i);
		n += strlen(strcpy(message + n, cases[i].behind));
		size_t got = parted(message, n, &runs);
		if (got != cases[i].bytes || runs != cases[i].runs)
			print_message("case %zu: %zu bytes, %zu runs\n", i, got, runs);
		assert_int_equal(got, cases[i].bytes);
		assert_int_equal(runs, cases[i].runs);
	}
}

/* Chunks are cut anywhere. */
static void cut_anywhere(void **state)
{
	static char message[3000];
	size_t runs, n = strlen(strcpy(message, "Subject: x\r\n\r\n"));
	n += put_lines(message + n, 1900, 76, "\r\n", 1);
	n += strlen(strcpy(message + n, "\r\n--b\r\n\r\n"));
	n += put_lines(message + n, 444, 60, "\r\n", 2);
	n += strlen(strcpy(message + n, "==\r\n--b--\r\n"));
	for (size_t from = 0; from < n; from++) {
		assert_true(parted(message + from, n - from, &runs) <= n);
		assert_true(from > 1500 || runs == 2);
		assert_true(parted(message, from, &runs) <= n);
	}
}

static void many_runs(void **state)
{
	static char message[MOST];
	size_t runs, n = 0;
	for (unsigned i = 0; i < RUNS_MAX + 100; i++) {
		n += put_lines(message + n, 400, 76, "\r\n", i);
		n += strlen(strcpy(message + n, "\r\n--\r\n"));
	}
	assert_int_equal(parted(message, n, &runs), RUNS_MAX * 300);
	assert_int_equal(runs, RUNS_MAX);
}

/* Bytes out of which lines, quads, ends and mistakes come. */
static void anything(void **state)
{
	static const char *const words[] = { "QUJD", "QUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJDQUJD\r\n", "\r\n", "=", "\n",
		"\r", "--", "abc", "\r\n\r\n", "//++", "a line of text\r\n", "QUJDQUJDQUJDQUJD\r\n", "\x80" };
	static char message[60000];
	unsigned seed = 7;
	size_t some = 0;
	for (int round = 0; round < 3000; round++) {
		size_t n = 0, runs;
		for (int i = 0; i < 200; i++) {
			seed = seed * 1664525 + 1013904223;
			size_t k = seed >> 24;
			n += strlen(strcpy(message + n, words[k < 180 ? round % 2 ? 1 : 11 : k % COUNT(words)]));
		}
		some += parted(message, n, &runs) > 0;
	}
	assert_true(some > 2000);
}

/* What a damaged or hostile record may say. */
static void impossible(void **state)
{
	static const struct { struct base64_run run; size_t text, n; bool fits; } cases[] = {
		{ { 0, 8, 8, 4 }, 0, 18, true }, { { 0, 8, 8, 4 }, 0, 17, false }, { { 0, 8, 8, 4 }, 0, 19, false }, { { 1, 8, 8, 4 }, 1, 19, true },
		{ { 2, 8, 8, 4 }, 1, 19, false }, { { UINT32_MAX, 8, 8, 4 }, 1, 19, false }, { { 0, 8, 0, 4 }, 0, 18, false },
		{ { 0, 0, 8, 2 }, 0, 8, false }, { { 0, 6, 8, 4 }, 0, 18, false }, { { 0, 8, 6, 4 }, 0, 18, false }, { { 0, 8, 0, 2 }, 0, 8, true },
		{ { 0, 8, 8, UINT32_MAX }, 0, MOST, false }, { { 0, 4, 4, MOST / 4 }, 0, MOST, false }, { { 0, UINT32_MAX - 3, 4, 2 }, 0, 8, true },
		{ { 0, 4, UINT32_MAX - 3, 2 }, 0, 10, true }, { { 0, 4, 4, 0 }, 3, 3, true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (base64_join(&cases[i].run, 1, text, cases[i].text, bytes, back, cases[i].n) != cases[i].fits)
			fail_msg("case %zu", i);
	}
	struct base64_run two[] = { { 5, 8, 8, 2 }, { 5, 8, 8, 2 } };
	assert_true(base64_join(two, 2, text, 10, bytes, back, 26));
	assert_false(base64_join(two, 2, text, 9, bytes, back, 25));
	two[1].quads = MOST;
	assert_false(base64_join(two, 2, text, 10, bytes, back, 26));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms), cmocka_unit_test(cut_anywhere), cmocka_unit_test(many_runs), cmocka_unit_test(anything),
		cmocka_unit_test(impossible),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
