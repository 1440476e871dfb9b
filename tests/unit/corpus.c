#include "corpus.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "buffer.h"

typedef void visit_fn(const char *name, struct span message);

static void read_file(const char *path, struct buffer *out)
{
	FILE *f = fopen(path, "rb");
	char piece[65536];
	size_t n;
	if (!f)
		abort();
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		buffer_put(out, piece, n);
	fclose(f);
}

/* Each LF that has no CR before it gets one. */
static void put_crlf(struct span s, struct buffer *out)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			buffer_putc(out, '\r');
		buffer_putc(out, s.p[i]);
	}
}

static void visit_both(const char *name, struct span message, visit_fn *visit)
{
	struct buffer crlf = { 0 };
	visit(name, message);
	put_crlf(message, &crlf);
	if (crlf.n != message.n)
		visit(name, buffer_span(&crlf));
	buffer_free(&crlf);
}

/* A message of an mbox starts behind its "From " line, which stands at the beginning or behind an empty line. */
static void visit_mbox(const char *path, struct span all, visit_fn *visit)
{
	size_t start = 0;
	unsigned count = 0;
	char name[4200];
	for (size_t at = 0; at < all.n; at++) {
		bool end = at + 1 == all.n;
		bool from = at + 7 < all.n && memcmp(all.p + at, "\n\nFrom ", 7) == 0;
		if (!end && !from)
			continue;
		struct span message = span_sub(all, start, at + 1 - start);
		ssize_t line = span_find(message, '\n');
		snprintf(name, sizeof name, "%s:%u", path, ++count);
		visit_both(name, span_sub(message, (size_t)line + 1, SIZE_MAX), visit);
		start = at + 2;
	}
}

static void visit_path(const char *path, visit_fn *visit)
{
	struct buffer all = { 0 };
	size_t n = strlen(path);
	read_file(path, &all);
	if (n > 5 && strcmp(path + n - 5, ".mbox") == 0)
		visit_mbox(path, buffer_span(&all), visit);
	else
		visit_both(path, buffer_span(&all), visit);
	buffer_free(&all);
}

static bool visit_folder(const char *path, visit_fn *visit)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[4096];
	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    (size_t)snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= sizeof below)
			continue;
		if (entry->d_type == DT_DIR)
			visit_folder(below, visit);
		else
			visit_path(below, visit);
	}
	closedir(dir);
	return true;
}

bool corpus_each(visit_fn *visit)
{
	const char *root = getenv("PERDURA_CORPUS"), *source = getenv("PERDURA_SOURCE");
	char path[4000], folder[4096];
	snprintf(path, sizeof path, "%s", root ? root : "");
	if (!root)
		snprintf(path, sizeof path, "%s/../shared/corpus", source ? source : ".");
	snprintf(folder, sizeof folder, "%s/mime", path);
	if (!visit_folder(folder, visit))
		return false;
	snprintf(folder, sizeof folder, "%s/mbox", path);
	visit_folder(folder, visit);
	return true;
}
