#include "unit.h"

#include "auth_line.h"
#include "fail.h"

static void lines(void **state)
{
	struct span in = SPAN("VERSION\t1\t2\n\nAUTH\t1\tPLAIN\t\nrest"), line, field;
	assert_true(auth_line_next(&in, &line));
	assert_true(auth_field_next(&line, &field) && span_eq(field, SPAN("VERSION")));
	assert_true(auth_field_next(&line, &field) && span_eq(field, SPAN("1")));
	assert_true(auth_field_next(&line, &field) && span_eq(field, SPAN("2")));
	assert_false(auth_field_next(&line, &field));
	assert_true(auth_line_next(&in, &line) && line.n == 0);
	assert_true(auth_field_next(&line, &field) && field.n == 0);
	assert_false(auth_field_next(&line, &field));
	assert_true(auth_line_next(&in, &line) && span_eq(line, SPAN("AUTH\t1\tPLAIN\t")));
	assert_false(auth_line_next(&in, &line));
	assert_true(span_eq(in, SPAN("rest")));
}

static void asks(void **state)
{
	static const struct {
		const char *args;
		int result;
		struct auth_ask want;
	} cases[] = {
		{ "1\tPLAIN", OK, { .id = 1, .mechanism = SPAN("PLAIN") } },
		{ "4294967295\tLOGIN\tservice=smtp\tnologin\tlip=::1\trip=192.0.2.1\tsecured", OK,
		  { .id = UINT32_MAX, .mechanism = SPAN("LOGIN"), .service = SPAN("smtp"), .remote = SPAN("192.0.2.1"),
		    .secured = true } },
		{ "7\tPLAIN\tresp=QQ==\tsecured\trip=127.0.0.1", OK,
		  { .id = 7, .mechanism = SPAN("PLAIN"), .response = SPAN("QQ=="), .has_response = true } },
		{ "7\tPLAIN\tresp=", OK, { .id = 7, .mechanism = SPAN("PLAIN"), .has_response = true } },
		{ "7\tPLAIN\tsecured=tls\tx\ty=z\t", OK, { .id = 7, .mechanism = SPAN("PLAIN"), .secured = true } },
		{ "7\tPLAIN\ttransport=tls", OK, { .id = 7, .mechanism = SPAN("PLAIN"), .secured = true } },
		{ "7\tPLAIN\ttransport=insecure", OK, { .id = 7, .mechanism = SPAN("PLAIN") } },
		{ "7\tPLAIN\tnot-secured\tsecuredx", OK, { .id = 7, .mechanism = SPAN("PLAIN") } },
		{ "", ERR_INVALID, { 0 } }, { "7", ERR_INVALID, { 0 } }, { "7\t", ERR_INVALID, { 0 } },
		{ "\tPLAIN", ERR_INVALID, { 0 } }, { "x\tPLAIN", ERR_INVALID, { 0 } }, { "-1\tPLAIN", ERR_INVALID, { 0 } },
		{ "4294967296\tPLAIN", ERR_INVALID, { 0 } },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct auth_ask got = { 0 };
		const struct auth_ask *want = &cases[i].want;
		assert_int_equal(auth_ask_parse(span_of(cases[i].args), &got), cases[i].result);
		assert_int_equal(got.id, want->id);
		assert_true(span_eq(got.mechanism, want->mechanism) && span_eq(got.service, want->service));
		assert_true(span_eq(got.remote, want->remote) && span_eq(got.response, want->response));
		assert_true(got.has_response == want->has_response && got.secured == want->secured);
	}
}

static void continuations(void **state)
{
	uint32_t id;
	struct span data;
	assert_int_equal(auth_cont_parse(SPAN("5\tQUJD"), &id, &data), OK);
	assert_true(id == 5 && span_eq(data, SPAN("QUJD")));
	assert_int_equal(auth_cont_parse(SPAN("6"), &id, &data), OK);
	assert_true(id == 6 && data.n == 0);
	assert_int_equal(auth_cont_parse(SPAN(""), &id, &data), ERR_INVALID);
	assert_int_equal(auth_cont_parse(SPAN("\t5"), &id, &data), ERR_INVALID);
}

static void escapes(void **state)
{
	struct buffer b = { 0 };
	auth_put_escaped(&b, SPAN("a\tb\nc\rd\1e\0f"));
	assert_true(span_eq(buffer_span(&b), SPAN("a\1tb\1nc\1rd\1" "1e\1" "0f")));
	buffer_free(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines), cmocka_unit_test(asks), cmocka_unit_test(continuations), cmocka_unit_test(escapes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
