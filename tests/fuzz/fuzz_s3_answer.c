/* Whatever a server sends: bounded, no text without its end, and a page that goes on says where. */
#include <assert.h>

#include "fail.h"
#include "s3_answer.h"

static int on_object(void *ctx, const struct s3_listed *o)
{
	assert(o->key.n && o->key.n < S3_TOKEN && o->size >= 0);
	return ++*(int *)ctx > 100 ? ERR_LIMIT : OK;
}

static int on_upload(void *ctx, const struct s3_upload *u)
{
	assert(u->key.n && u->id.n);
	return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span xml = span_from(data, n);
	struct s3_error e;
	struct s3_page page;
	struct s3_uploads_page uploads;
	char text[20];
	int seen = 0;
	if (!s3_error_read(xml, &e))
		assert(strlen(e.code) < sizeof e.code && strlen(e.message) < sizeof e.message && !strchr(e.message, '\n'));
	if (!s3_list_read(xml, on_object, &seen, &page))
		assert(!page.more || *page.token);
	if (!s3_uploads_read(xml, on_upload, NULL, &uploads))
		assert(!uploads.more || *uploads.key);
	if (!s3_text_read(xml, "VersioningConfiguration/Status", text, sizeof text))
		assert(strlen(text) < sizeof text);
	return 0;
}
