#include "unit.h"

#include <stdlib.h>
#include <zlib.h>

#include "deflate.h"
#include "fail.h"

enum { SIZE = 300000 };

/* 0: a text of few words; 1: noise; 2: one byte. */
static void make(char *p, size_t n, int kind)
{
	static const char *const words[] = { "message ", "FETCH ", "(FLAGS ", "mailbox ", "\\Seen) ", "17 ", "a " };
	unsigned r = 12345;
	for (size_t i = 0; i < n;) {
		r = r * 1103515245 + 12345;
		const char *w = kind ? NULL : words[(r >> 16) % 7];
		if (!w)
			p[i++] = kind == 1 ? (char)(r >> 16) : 'x';
		for (; w && *w && i < n; w++)
			p[i++] = *w;
	}
}

static struct buffer deflate_all(const char *p, size_t n, size_t piece, bool anew)
{
	struct deflater *d;
	struct buffer out = { 0 };
	assert_int_equal(deflater_new(&d), OK);
	for (size_t i = 0; i < n; i += piece) {
		if (anew)
			deflater_reset(d);
		size_t before = out.n, k = n - i < piece ? n - i : piece;
		deflater_put(d, span_from(p + i, k), &out);
		assert_true(buffer_ok(&out) && out.n - before <= k + 64);
	}
	deflater_free(&d);
	return out;
}

/* Inflates it `take` bytes at a time out of `give`, with a new inflater wherever the stream rests. */
static enum inflate_answer inflate_all(struct span in, size_t give, size_t take, struct buffer *out, int *rests)
{
	struct inflater *i;
	enum inflate_answer answer = INFLATE_MORE;
	assert_int_equal(inflater_new(&i), OK);
	while (in.n && answer < INFLATE_END) {
		struct span some = span_sub(in, 0, give);
		in = span_sub(in, some.n, in.n);
		do {
			size_t room = take;
			char *to = buffer_reserve(out, take);
			answer = inflater_get(i, &some, to, &room);
			assert_true(room <= take && (answer != INFLATE_FULL || room == take) && (answer != INFLATE_MORE || !some.n));
			out->n += room;
		} while (answer == INFLATE_FULL);
		struct buffer past = { 0 };
		if (answer == INFLATE_MORE && inflater_leave(i, &past)) {
			assert_true(past.n == (out->n < INFLATE_PAST ? out->n : INFLATE_PAST));
			inflater_free(&i);
			assert_int_equal(inflater_new(&i), OK);
			assert_int_equal(inflater_resume(i, buffer_span(&past)), OK);
			++*rests;
		}
		buffer_free(&past);
	}
	inflater_free(&i);
	return answer;
}

/* Whatever the pieces, the same comes out; and a stream rests at the end of each. */
static void test_round(void **state)
{
	static const struct {
		int kind;
		size_t n, piece, give, take;
		bool anew;
	} cases[] = {
		{ 0, 1, 1, 1, 1, false },
		{ 0, 100, 10, 1000, 1000, false },
		{ 0, 100, 10, 1, 1, true },
		{ 0, SIZE, DEFLATE_PIECE, 4096, 65536, false },
		{ 0, SIZE, DEFLATE_PIECE, 4096, 65536, true },
		{ 0, SIZE, 1000, 333, 777, false },
		{ 1, SIZE, DEFLATE_PIECE, 4096, 65536, false },
		{ 1, SIZE, 777, 1, 65536, true },
		{ 2, SIZE, DEFLATE_PIECE, 4096, 65536, false },
		{ 2, SIZE, DEFLATE_PIECE, 1, 1, true },
	};
	char *text = malloc(SIZE);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make(text, cases[i].n, cases[i].kind);
		struct buffer small = deflate_all(text, cases[i].n, cases[i].piece, cases[i].anew), out = { 0 };
		int rests = 0;
		assert_int_equal(inflate_all(buffer_span(&small), cases[i].give, cases[i].take, &out, &rests), INFLATE_MORE);
		assert_true(span_eq(buffer_span(&out), span_from(text, cases[i].n)));
		assert_true(rests > 0 && (cases[i].kind != 0 || cases[i].n < SIZE || small.n < SIZE / 2));
		buffer_free(&small);
		buffer_free(&out);
	}
	free(text);
}

/* What a client deflates in one stream, with references far back, goes on after each rest. */
static void test_one_stream(void **state)
{
	char *text = malloc(SIZE);
	make(text, SIZE, 0);
	Bytef *small = malloc(SIZE);
	z_stream z = { .next_in = (Bytef *)text, .next_out = small, .avail_out = SIZE };
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
	for (size_t i = 0; i < SIZE; i += 100) {
		z.avail_in = 100;
		assert_int_equal(deflate(&z, i % 300 ? Z_SYNC_FLUSH : Z_PARTIAL_FLUSH), Z_OK);
	}
	deflate(&z, Z_FINISH);
	struct buffer out = { 0 };
	int rests = 0;
	assert_int_equal(inflate_all(span_from(small, z.total_out), 50, 4096, &out, &rests), INFLATE_END);
	assert_true(span_eq(buffer_span(&out), span_from(text, SIZE)) && rests > 0);
	deflateEnd(&z);
	buffer_free(&out);
	free(small);
	free(text);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		enum inflate_answer answer;
		size_t made;
	} cases[] = {
		{ "\x07", 1, INFLATE_BAD, 0 },                        /* a kind of block that is none */
		{ "\x00\x01\x00\x00\x00", 5, INFLATE_BAD, 0 },        /* a length that its complement denies */
		{ "\x00\x02\x00\xfd\xff" "ab\x07", 8, INFLATE_BAD, 2 },
		{ "a1 NOOP\r\n", 9, INFLATE_BAD, 0 },
		{ "\x03\x02", 2, INFLATE_BAD, 0 },                    /* refers back to nothing */
		{ "\x03\x00", 2, INFLATE_END, 0 },
		{ "\x03\x00more", 6, INFLATE_END, 0 },
		{ "\x00\x00\x00\xff\xff\x00\x00\x00\xff\xff", 10, INFLATE_MORE, 0 },
		{ "\x00\x02", 2, INFLATE_MORE, 0 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t give = 1; give < 12; give += 10) {
			struct buffer out = { 0 };
			int rests = 0;
			assert_int_equal(inflate_all(span_from(cases[i].text, cases[i].n), give, 10, &out, &rests), cases[i].answer);
			assert_int_equal(out.n, cases[i].made);
			buffer_free(&out);
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_one_stream),
		cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
