#include "unit.h"

#include <stdio.h>

#include "http_request.h"

static void answers(void **state)
{
	static const struct { const char *text; enum http_answer answer; } cases[] = {
		{ "", HTTP_MORE },
		{ "G", HTTP_MORE },
		{ "GET / HTTP/1.1\r\nHost: x\r\n", HTTP_MORE },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r", HTTP_MORE },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_OK },
		{ "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_OK },
		{ "GET / HTTP/1.0\r\n\r\n", HTTP_OK },
		{ "GET / HTTP/1.1\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.9\r\nHost: x\r\n\r\n", HTTP_OK },
		{ "GET / HTTP/2.0\r\nHost: x\r\n\r\n", HTTP_BAD_VERSION },
		{ "GET / HTTP/0.9\r\nHost: x\r\n\r\n", HTTP_BAD_VERSION },
		{ "GET / HTTP/1.11\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET / http/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/x.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET /\r\n", HTTP_BAD },
		{ "GET  / HTTP/1.1\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1 \r\n", HTTP_BAD },
		{ " GET / HTTP/1.1\r\n", HTTP_BAD },
		{ "GET\t/ HTTP/1.1\r\n", HTTP_BAD },
		{ "G(T / HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET x HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET * HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\nHost: x\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHo\rst: x\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost : x\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\n: none\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nA: \xff\ttab\r\n\r\n", HTTP_OK },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", HTTP_OK },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n", HTTP_OK },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", HTTP_BAD },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span in = span_of(cases[i].text);
		struct http_request r;
		if (http_request_next(&in, &r) != cases[i].answer)
			fail_msg("%zu: %s", i, cases[i].text);
		assert_int_equal(in.n, cases[i].answer == HTTP_OK ? 0 : strlen(cases[i].text));
	}
}

static void parts(void **state)
{
	struct span in = SPAN("GET http://h:1/a/b?c=d?e HTTP/1.1\r\nHOST:  h:1 \r\nAccept:\r\nX: y\r\n\r\nrest");
	struct http_request r;
	assert_int_equal(http_request_next(&in, &r), HTTP_OK);
	assert_true(span_eq(in, SPAN("rest")));
	assert_true(span_eq(r.method, SPAN("GET")));
	assert_true(span_eq(r.path, SPAN("/a/b")));
	assert_true(span_eq(r.query, SPAN("c=d?e")));
	assert_true(span_eq(r.host, SPAN("h:1")));
	assert_int_equal(r.n_headers, 3);
	assert_true(span_eq(http_header_find(&r, SPAN("x")), SPAN("y")));
	assert_non_null(http_header_find(&r, SPAN("accept")).p);
	assert_null(http_header_find(&r, SPAN("accep")).p);
}

static void connections(void **state)
{
	static const struct { const char *version, *connection; bool keep; } cases[] = {
		{ "1.1", "X: y", true }, { "1.1", "Connection: close", false }, { "1.1", "connection: TE , Close", false },
		{ "1.1", "Connection: closed", true }, { "1.0", "X: y", false }, { "1.0", "Connection: keep-alive", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[200];
		struct http_request r;
		snprintf(text, sizeof text, "GET / HTTP/%s\r\nHost: x\r\n%s\r\n\r\n", cases[i].version, cases[i].connection);
		struct span in = span_of(text);
		assert_int_equal(http_request_next(&in, &r), HTTP_OK);
		assert_int_equal(r.keep_alive, cases[i].keep);
	}
}

static void header_bound(void **state)
{
	char text[1000] = "GET / HTTP/1.1\r\nHost: x\r\n";
	struct http_request r;
	size_t n = strlen(text);
	for (int i = 1; i < HTTP_HEADERS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "A: b\r\n");
	strcpy(text + n, "\r\n");
	struct span in = span_of(text);
	assert_int_equal(http_request_next(&in, &r), HTTP_OK);
	strcpy(text + n, "A: b\r\n\r\n");
	in = span_of(text);
	assert_int_equal(http_request_next(&in, &r), HTTP_TOO_MANY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers), cmocka_unit_test(parts), cmocka_unit_test(connections), cmocka_unit_test(header_bound),
	};
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
