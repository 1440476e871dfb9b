#include "s3_answer.h"

#include <stdio.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "xml_leaves.h"

/* Of a server we know nothing about, and meant for a log line. */
static void put_printable(char *out, size_t n, struct span s)
{
	size_t i;
	s = span_trim(s);
	for (i = 0; i < s.n && i + 1 < n; i++)
		out[i] = s.p[i] >= ' ' && s.p[i] < 127 && s.p[i] != '"' ? s.p[i] : '?';
	out[i] = 0;
}

static int put_whole(char *out, size_t n, struct span s)
{
	if (s.n >= n || memchr(s.p, 0, s.n))
		return fail_with(ERR_CORRUPT, "S3: a text of %zu bytes", s.n);
	memcpy(out, s.p, s.n);
	out[s.n] = 0;
	return OK;
}

struct error_walk {
	struct s3_error *out;
	bool is_error;
};

/* The root is <Error>, or <ErrorResponse><Error>. */
static int error_leaf(void *ctx, const char *path, struct span text)
{
	struct error_walk *w = ctx;
	const char *at = strncmp(path, "ErrorResponse/", 14) ? path : path + 14;
	if (!strcmp(at, "Error"))
		w->is_error = true;
	else if (!strcmp(at, "Error/Code"))
		put_printable(w->out->code, sizeof w->out->code, text);
	else if (!strcmp(at, "Error/Message"))
		put_printable(w->out->message, sizeof w->out->message, text);
	else if (!strcmp(at, "Error/Region"))
		put_printable(w->out->region, sizeof w->out->region, text);
	else if (!strcmp(at, "Error/Endpoint"))
		put_printable(w->out->endpoint, sizeof w->out->endpoint, text);
	return OK;
}

int s3_error_read(struct span xml, struct s3_error *out)
{
	struct s3_error e = { "" };
	struct error_walk w = { .out = &e };
	int r = xml_leaves(xml, error_leaf, &w);
	if (r)
		return r;
	if (!w.is_error)
		return fail_with(ERR_NOT_FOUND, "S3: no error");
	*out = e;
	return OK;
}

/* 2013-05-24T00:00:00.000Z */
static int read_time(struct span text, int64_t *out)
{
	char t[40];
	struct tm tm = { 0 };
	if (put_whole(t, sizeof t, text))
		return ERR_CORRUPT;
	const char *rest = strptime(t, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || (*rest != '.' && *rest != 'Z'))
		return fail_with(ERR_CORRUPT, "S3: no time");
	*out = timegm(&tm) * SECOND_US;
	return OK;
}

struct list_walk {
	struct s3_page *out;
	int (*fn)(void *ctx, const struct s3_listed *o);
	void *ctx;
	struct s3_listed now;
	char key[S3_TOKEN];
	bool is_list, truncated;
};

static int list_end(struct list_walk *w)
{
	w->now.key = span_of(w->key);
	if (!*w->key || w->now.size < 0 || w->now.changed < 0)
		return fail_with(ERR_CORRUPT, "S3: a list's entry without key, size or time");
	int r = w->fn(w->ctx, &w->now);
	*w->key = 0;
	w->now.size = w->now.changed = -1;
	return r;
}

static int list_leaf(void *ctx, const char *path, struct span text)
{
	struct list_walk *w = ctx;
	uint64_t v;
	if (!strcmp(path, "ListBucketResult"))
		return w->is_list = true, OK;
	if (strncmp(path, "ListBucketResult/", 17))
		return OK;
	path += 17;
	if (!strcmp(path, "Contents/Key"))
		return put_whole(w->key, sizeof w->key, text);
	if (!strcmp(path, "Contents/LastModified"))
		return read_time(text, &w->now.changed);
	if (!strcmp(path, "Contents/Size")) {
		if (!span_u64(span_trim(text), INT64_MAX, &v))
			return fail_with(ERR_CORRUPT, "S3: no size");
		w->now.size = (int64_t)v;
	}
	if (!strcmp(path, "Contents"))
		return list_end(w);
	if (!strcmp(path, "IsTruncated"))
		w->truncated = span_ieq(span_trim(text), SPAN("true"));
	return strcmp(path, "NextContinuationToken") ? OK : put_whole(w->out->token, sizeof w->out->token, text);
}

int s3_list_read(struct span xml, int (*fn)(void *ctx, const struct s3_listed *o), void *ctx, struct s3_page *out)
{
	struct s3_page page = { 0 };
	struct list_walk w = { .out = &page, .fn = fn, .ctx = ctx, .now = { .size = -1, .changed = -1 } };
	int r = xml_leaves(xml, list_leaf, &w);
	if (r)
		return r;
	/* An end that is no end would make objects look gone. */
	if (!w.is_list || (w.truncated && !*page.token))
		return fail_with(ERR_CORRUPT, "S3: no list of objects");
	page.more = w.truncated;
	*out = page;
	return OK;
}

struct uploads_walk {
	struct s3_uploads_page *out;
	int (*fn)(void *ctx, const struct s3_upload *u);
	void *ctx;
	struct s3_upload now;
	char key[S3_TOKEN], id[S3_TOKEN];
	bool is_list, truncated;
};

static int uploads_end(struct uploads_walk *w)
{
	w->now.key = span_of(w->key);
	w->now.id = span_of(w->id);
	if (!*w->key || !*w->id || w->now.begun < 0)
		return fail_with(ERR_CORRUPT, "S3: an upload without key, id or time");
	int r = w->fn(w->ctx, &w->now);
	*w->key = *w->id = 0;
	w->now.begun = -1;
	return r;
}

static int uploads_leaf(void *ctx, const char *path, struct span text)
{
	struct uploads_walk *w = ctx;
	if (!strcmp(path, "ListMultipartUploadsResult"))
		return w->is_list = true, OK;
	if (strncmp(path, "ListMultipartUploadsResult/", 27))
		return OK;
	path += 27;
	if (!strcmp(path, "Upload/Key"))
		return put_whole(w->key, sizeof w->key, text);
	if (!strcmp(path, "Upload/UploadId"))
		return put_whole(w->id, sizeof w->id, text);
	if (!strcmp(path, "Upload/Initiated"))
		return read_time(text, &w->now.begun);
	if (!strcmp(path, "Upload"))
		return uploads_end(w);
	if (!strcmp(path, "NextKeyMarker"))
		return put_whole(w->out->key, sizeof w->out->key, text);
	if (!strcmp(path, "NextUploadIdMarker"))
		return put_whole(w->out->id, sizeof w->out->id, text);
	if (!strcmp(path, "IsTruncated"))
		w->truncated = span_ieq(span_trim(text), SPAN("true"));
	return OK;
}

int s3_uploads_read(struct span xml, int (*fn)(void *ctx, const struct s3_upload *u), void *ctx, struct s3_uploads_page *out)
{
	struct s3_uploads_page page = { 0 };
	struct uploads_walk w = { .out = &page, .fn = fn, .ctx = ctx, .now.begun = -1 };
	int r = xml_leaves(xml, uploads_leaf, &w);
	if (r)
		return r;
	if (!w.is_list || (w.truncated && !*page.key))
		return fail_with(ERR_CORRUPT, "S3: no list of uploads");
	page.more = w.truncated;
	*out = page;
	return OK;
}

struct text_walk {
	const char *path;
	char *out;
	size_t n;
	bool root;
};

static int text_leaf(void *ctx, const char *path, struct span text)
{
	struct text_walk *w = ctx;
	size_t root = strcspn(w->path, "/");
	if (!strcmp(path, w->path)) {
		if (text.n >= w->n || (text.n && memchr(text.p, 0, text.n)))
			return fail_with(ERR_LIMIT, "S3: %s is too long", path);
		memcpy(w->out, text.p, text.n);
		w->out[text.n] = 0;
	}
	w->root |= !strncmp(path, w->path, root) && !path[root];
	return OK;
}

int s3_text_read(struct span xml, const char *path, char *out, size_t n)
{
	struct text_walk w = { path, out, n, false };
	*out = 0;
	int r = xml_leaves(xml, text_leaf, &w);
	return r || w.root ? r : fail_with(ERR_CORRUPT, "S3: the answer is no %.*s", (int)strcspn(path, "/"), path);
}
