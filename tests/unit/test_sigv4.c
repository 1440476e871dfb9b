#include "unit.h"

#include <stdio.h>

#include "clock.h"
#include "sigv4.h"

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define LETTERS "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define P(name, value) { { name, sizeof name - 1 }, { value, sizeof value - 1 } }

enum { MOST = 4 };

struct vector {
	const char *name, *method, *path;
	struct sigv4_pair query[MOST], headers[MOST + 2];
	const char *body, *signature, *target;
};

/* The published test suite: date 20150830T123600Z, service "service". Its cases about paths that are normalised do not hold for S3. */
static const struct vector suite[] = {
	{ "get-vanilla", "GET", "/", .target = "/",
	  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
	{ "post-vanilla", "POST", "/", .target = "/",
	  .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
	{ "get-vanilla-query-order-key-case", "GET", "/", { P("Param2", "value2"), P("Param1", "value1") },
	  .target = "/?Param1=value1&Param2=value2",
	  .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
	{ "get-vanilla-empty-query-key", "GET", "/", { P("Param1", "value1") }, .target = "/?Param1=value1",
	  .signature = "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb" },
	{ "post-vanilla-query", "POST", "/", { P("Param1", "value1") }, .target = "/?Param1=value1",
	  .signature = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11" },
	{ "get-vanilla-query-unreserved", "GET", "/", { P("-._~" LETTERS, "-._~" LETTERS) },
	  .target = "/?-._~" LETTERS "=-._~" LETTERS,
	  .signature = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197" },
	{ "get-vanilla-query-order-encoded", "GET", "/", { P("Param-3", "Value3"), P("Param", "Value2"), P("\341\210\264", "Value1") },
	  .target = "/?%E1%88%B4=Value1&Param=Value2&Param-3=Value3",
	  .signature = "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac" },
	{ "get-vanilla-utf8-query", "GET", "/", { P("\341\210\264", "bar") }, .target = "/?%E1%88%B4=bar",
	  .signature = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04" },
	{ "get-unreserved", "GET", "/-._~" LETTERS, .target = "/-._~" LETTERS,
	  .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f" },
	{ "get-utf8", "GET", "/\341\210\264", .target = "/%E1%88%B4",
	  .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85" },
	{ "get-header-key-duplicate", "GET", "/", .headers = { P("my-header1", "value2,value2,value1") }, .target = "/",
	  .signature = "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea" },
	{ "post-header-key-sort", "POST", "/", .headers = { P("my-header1", "value1") }, .target = "/",
	  .signature = "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c" },
};

static void check(const struct vector *v, const struct sigv4_pair *headers, size_t n, const char *service, const char *secret,
	const char *access, const char *stamp)
{
	char payload[SHA256_HEX], end[80];
	struct buffer out = { 0 };
	size_t n_query = 0;
	while (n_query < MOST && v->query[n_query].name.n)
		n_query++;
	sigv4_sha256(span_of(v->body ? v->body : ""), payload);
	struct sigv4_request r = { v->method, span_of(v->path), v->query, n_query, headers, n, payload };
	sigv4_target(&r, &out);
	assert_true(buffer_ok(&out) && span_eq(buffer_span(&out), span_of(v->target)));
	buffer_reset(&out);
	sigv4_authorize(&r, &(struct sigv4_keys){ access, secret }, "us-east-1", service, stamp, &out);
	buffer_putc(&out, 0);
	snprintf(end, sizeof end, ", Signature=%s", v->signature);
	if (!strstr(out.p, end))
		fail_msg("%s: %s", v->name, out.p);
	buffer_free(&out);
}

static void test_suite(void **state)
{
	for (size_t i = 0; i < COUNT(suite); i++) {
		struct sigv4_pair h[3] = { P("host", "example.amazonaws.com"), suite[i].headers[0] };
		size_t n = h[1].name.n ? 2 : 1;
		h[n++] = (struct sigv4_pair)P("x-amz-date", "20150830T123600Z");
		check(&suite[i], h, n, "service", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "AKIDEXAMPLE", "20150830T123600Z");
	}
}

#define S3_HOST P("host", "examplebucket.s3.amazonaws.com")
#define S3_DATE P("x-amz-date", "20130524T000000Z")
#define S3_NOTHING P("x-amz-content-sha256", EMPTY)

/* The examples of the S3 documentation. */
static const struct vector s3[] = {
	{ "GET object", "GET", "/test.txt", .headers = { S3_HOST, P("range", "bytes=0-9"), S3_NOTHING, S3_DATE }, .target = "/test.txt",
	  .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
	{ "PUT object", "PUT", "/test$file.text", .body = "Welcome to Amazon S3.", .target = "/test%24file.text",
	  .headers = { P("date", "Fri, 24 May 2013 00:00:00 GMT"), S3_HOST,
		       P("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"), S3_DATE,
		       P("x-amz-storage-class", "REDUCED_REDUNDANCY") },
	  .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
	{ "GET lifecycle", "GET", "/", { P("lifecycle", "") }, { S3_HOST, S3_NOTHING, S3_DATE }, .target = "/?lifecycle=",
	  .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
	{ "list objects", "GET", "/", { P("prefix", "J"), P("max-keys", "2") }, { S3_HOST, S3_NOTHING, S3_DATE },
	  .target = "/?max-keys=2&prefix=J",
	  .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
};

static void s3_examples(void **state)
{
	for (size_t i = 0; i < COUNT(s3); i++) {
		size_t n = 0;
		while (n < MOST + 2 && s3[i].headers[n].name.n)
			n++;
		check(&s3[i], s3[i].headers, n, "s3", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPLE",
			"20130524T000000Z");
	}
}

static void stamps(void **state)
{
	static const struct { int64_t at; const char *text; } cases[] = {
		{ 0, "19700101T000000Z" }, { 1440938160, "20150830T123600Z" }, { 1709164800, "20240229T000000Z" },
	};
	char t[SIGV4_STAMP];
	for (size_t i = 0; i < COUNT(cases); i++) {
		sigv4_stamp(cases[i].at * SECOND_US + 999999, t);
		assert_string_equal(t, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite), cmocka_unit_test(s3_examples), cmocka_unit_test(stamps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
