#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "s3_answer.h"
#include "xml_leaves.h"

static void errors(void **state)
{
	static const struct { const char *xml; int result; const char *code, *message, *region; } cases[] = {
		{ "<Error><Code>NoSuchKey</Code><Message>The key\nis \"gone\"</Message></Error>", OK, "NoSuchKey", "The key?is ?gone?", "" },
		{ "<?xml version=\"1.0\"?><Error><Code>A</Code><Region>b</Region></Error>", OK, "A", "", "b" },
		{ "<ErrorResponse><Error><Code>A</Code></Error></ErrorResponse>", OK, "A", "", "" },
		{ "<Error/>", OK, "", "", "" },
		{ "<Other><Code>A</Code></Other>", ERR_NOT_FOUND, NULL, NULL, NULL },
		{ "<Other><Error><Code>A</Code></Error></Other>", ERR_NOT_FOUND, NULL, NULL, NULL },
		{ "", ERR_CORRUPT, NULL, NULL, NULL },
		{ "<Error><Code>A</Code>", ERR_CORRUPT, NULL, NULL, NULL },
		{ "<Error><Code>A</Error></Code>", ERR_CORRUPT, NULL, NULL, NULL },
		{ "<html><body>Bad Gateway<br></body></html>", ERR_CORRUPT, NULL, NULL, NULL },
		{ "<!DOCTYPE Error><Error><Code>A</Code></Error>", ERR_CORRUPT, NULL, NULL, NULL },
		{ "<!DOCTYPE e [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>", ERR_CORRUPT, NULL, NULL, NULL },
		{ "<Error><Code>&amp;&#65;</Code></Error>", OK, "&A", "", "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct s3_error e;
		assert_int_equal(s3_error_read(span_of(cases[i].xml), &e), cases[i].result);
		if (cases[i].result)
			continue;
		assert_string_equal(e.code, cases[i].code);
		assert_string_equal(e.message, cases[i].message);
		assert_string_equal(e.region, cases[i].region);
	}
}

struct seen {
	int n;
	char keys[200];
	int64_t bytes, changed;
};

static int see(void *ctx, const struct s3_listed *o)
{
	struct seen *s = ctx;
	s->n++;
	snprintf(s->keys + strlen(s->keys), sizeof s->keys - strlen(s->keys), "%.*s ", SPAN_ARG(o->key));
	s->bytes += o->size;
	s->changed = o->changed;
	return OK;
}

#define ENTRY(key, size) "<Contents><Key>" key "</Key><LastModified>2013-05-24T00:00:01.5Z</LastModified><ETag>x</ETag><Size>" size \
	"</Size><Owner><ID>x</ID></Owner></Contents>"

static void lists(void **state)
{
	static const struct { const char *xml; int result, n; const char *keys, *token; } cases[] = {
		{ "<ListBucketResult></ListBucketResult>", OK, 0, "", NULL },
		{ "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Prefix>p</Prefix><IsTruncated>false</IsTruncated>"
		  ENTRY("p/a", "1") ENTRY("p/b", "20") "</ListBucketResult>", OK, 2, "p/a p/b ", NULL },
		{ "<ListBucketResult><IsTruncated>true</IsTruncated>" ENTRY("a", "21")
		  "<NextContinuationToken>t=/+</NextContinuationToken></ListBucketResult>", OK, 1, "a ", "t=/+" },
		{ "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", ERR_CORRUPT, 0, NULL, NULL },
		{ "<ListBucketResult>" ENTRY("a", "-1") "</ListBucketResult>", ERR_CORRUPT, 0, NULL, NULL },
		{ "<ListBucketResult>" ENTRY("", "1") "</ListBucketResult>", ERR_CORRUPT, 0, NULL, NULL },
		{ "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>", ERR_CORRUPT, 0, NULL, NULL },
		{ "<Other>" ENTRY("a", "1") "</Other>", ERR_CORRUPT, 0, NULL, NULL },
		{ "<ListBucketResult>" ENTRY("a", "1"), ERR_CORRUPT, 0, NULL, NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct seen s = { 0 };
		struct s3_page page;
		assert_int_equal(s3_list_read(span_of(cases[i].xml), see, &s, &page), cases[i].result);
		if (cases[i].result)
			continue;
		assert_int_equal(s.n, cases[i].n);
		assert_string_equal(s.keys, cases[i].keys);
		assert_int_equal(page.more, cases[i].token != NULL);
		if (cases[i].token)
			assert_string_equal(page.token, cases[i].token);
		if (s.n)
			assert_true(s.bytes == 21 && s.changed == 1369353601 * SECOND_US);
	}
}

static int see_upload(void *ctx, const struct s3_upload *u)
{
	struct seen *s = ctx;
	s->n++;
	snprintf(s->keys + strlen(s->keys), sizeof s->keys - strlen(s->keys), "%.*s=%.*s ", SPAN_ARG(u->key), SPAN_ARG(u->id));
	return OK;
}

static void uploads(void **state)
{
	struct seen s = { 0 };
	struct s3_uploads_page page;
	assert_int_equal(s3_uploads_read(SPAN("<ListMultipartUploadsResult><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>i"
		"</NextUploadIdMarker><IsTruncated>true</IsTruncated><Upload><Key>a</Key><UploadId>2~x</UploadId>"
		"<Initiated>2013-05-24T00:00:01Z</Initiated></Upload></ListMultipartUploadsResult>"), see_upload, &s, &page), OK);
	assert_true(page.more && !strcmp(page.key, "k") && !strcmp(page.id, "i"));
	assert_string_equal(s.keys, "a=2~x ");
	assert_int_equal(s3_uploads_read(SPAN("<ListMultipartUploadsResult><Upload><Key>a</Key></Upload></ListMultipartUploadsResult>"),
		see_upload, &s, &page), ERR_CORRUPT);
	assert_int_equal(s3_uploads_read(SPAN("<Other/>"), see_upload, &s, &page), ERR_CORRUPT);
}

static void texts(void **state)
{
	char t[8];
	assert_int_equal(s3_text_read(SPAN("<V><Status>Enabled</Status></V>"), "V/Status", t, sizeof t), OK);
	assert_string_equal(t, "Enabled");
	assert_int_equal(s3_text_read(SPAN("<V/>"), "V/Status", t, sizeof t), OK);
	assert_string_equal(t, "");
	assert_int_equal(s3_text_read(SPAN("<W><Status>x</Status></W>"), "V/Status", t, sizeof t), ERR_CORRUPT);
	assert_int_equal(s3_text_read(SPAN("<V><Status>Suspended</Status></V>"), "V/Status", t, sizeof t), ERR_LIMIT);
}

static int nothing(void *ctx, const char *path, struct span text)
{
	return OK;
}

/* A document of `n` times open, text, `n` times close. */
static int walk(size_t depth, size_t text)
{
	size_t size = depth * 7 + text;
	char *p = malloc(size + 1), *at = p;
	for (size_t i = 0; i < depth; i++)
		at += sprintf(at, "<a>");
	memset(at, 'x', text), at += text;
	for (size_t i = 0; i < depth; i++)
		at += sprintf(at, "</a>");
	int r = xml_leaves(span_from(p, size), nothing, NULL);
	free(p);
	return r;
}

static void bounds(void **state)
{
	assert_int_equal(walk(XML_DEPTH, XML_TEXT), OK);
	assert_int_equal(walk(XML_DEPTH + 1, 1), ERR_CORRUPT);
	assert_int_equal(walk(1, XML_TEXT + 1), ERR_CORRUPT);
	assert_int_equal(walk(100000, 1), ERR_CORRUPT);
	assert_int_equal(walk(2, 1 << 20), ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors), cmocka_unit_test(lists), cmocka_unit_test(uploads), cmocka_unit_test(texts),
		cmocka_unit_test(bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
