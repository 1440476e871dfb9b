#include "file_mirror.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable_file.h"
#include "fail.h"
#include "record.h"

enum { FILE_MODE = 0640, DIR_MODE = 0750 };

struct place {
	char from[PATH_MAX], to[PATH_MAX];
};

static int place_below(const struct place *p, const char *name, struct place *out)
{
	int from = snprintf(out->from, PATH_MAX, "%s/%s", p->from, name);
	int to = snprintf(out->to, PATH_MAX, "%s/%s", p->to, name);
	return from < PATH_MAX && to < PATH_MAX ? OK : fail_with(ERR_INVALID, "path too long: %.200s...", p->to);
}

/* ---- A file */

static bool has_seal(int fd, int64_t size, unsigned char seal[PACK_SEAL])
{
	return size >= PACK_HEADER + PACK_SEAL && pread(fd, seal, PACK_SEAL, size - PACK_SEAL) == PACK_SEAL &&
	       memcmp(seal, "PERDSEAL", 8) == 0;
}

/* A seal names its pack and its place, and nothing comes after it: two files that end in the same one are the same. */
static bool is_there(const char *to, int fd, int64_t size)
{
	unsigned char here[PACK_SEAL], there[PACK_SEAL];
	struct stat st;
	int copy = open(to, O_RDONLY | O_CLOEXEC);
	bool same = copy >= 0 && !fstat(copy, &st) && st.st_size == size && has_seal(fd, size, here) &&
	            has_seal(copy, size, there) && memcmp(here, there, PACK_SEAL) == 0;
	if (copy >= 0)
		close(copy);
	return same;
}

static int copy_open_file(const struct place *p, int fd, struct file_copy *c)
{
	char part[PATH_MAX + 8];
	struct stat st;
	if (fstat(fd, &st))
		return fail_errno("stat", p->from);
	if (is_there(p->to, fd, st.st_size))
		return c->step ? c->step(c->ctx, (uint64_t)st.st_size) : OK;
	snprintf(part, sizeof part, "%s.part", p->to);
	int r = file_copy(c, fd, st.st_size, part, FILE_MODE);
	return r || !rename(part, p->to) ? r : fail_errno("rename", part);
}

static int copy_file(const struct place *p, struct file_copy *c)
{
	int fd = open(p->from, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno("open", p->from);
	int r = copy_open_file(p, fd, c);
	close(fd);
	return r;
}

/* ---- Folders: of nodes, in each of its starts, in each of its packs */

typedef int name_fn(const struct place *p, const char *name, struct file_copy *c);

static int each_name(const struct place *p, const char *dir, name_fn *fn, struct file_copy *c)
{
	struct dirent **names;
	struct place below;
	int r = OK, n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return fail_errno("list", dir);
	for (int i = 0; i < n; i++) {
		if (!r && names[i]->d_name[0] != '.')
			r = place_below(p, names[i]->d_name, &below);
		if (!r && names[i]->d_name[0] != '.')
			r = fn(&below, names[i]->d_name, c);
		free(names[i]);
	}
	free(names);
	return r;
}

static bool ends_in(const char *name, const char *suffix)
{
	size_t n = strlen(name), k = strlen(suffix);
	return n > k && strcmp(name + n - k, suffix) == 0;
}

static bool is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int copy_pack(const struct place *p, const char *name, struct file_copy *c)
{
	return ends_in(name, ".pack") ? copy_file(p, c) : OK;
}

static int drop_gone(const struct place *p, const char *name, struct file_copy *c)
{
	if (!ends_in(name, ".part") && (!ends_in(name, ".pack") || !access(p->from, F_OK)))
		return OK;
	return unlink(p->to) ? fail_errno("unlink", p->to) : OK;
}

/* The mark that all packs are sealed comes after them. */
static int mirror_epoch(const struct place *p, const char *name, struct file_copy *c)
{
	struct place mark;
	if (strspn(name, "0123456789abcdef") != 8 || name[8] || !is_dir(p->from))
		return OK;
	int r = durable_mkdir(p->to, DIR_MODE);
	if (!r)
		r = place_below(p, "sealed", &mark);
	bool sealed = !r && !access(mark.from, F_OK);
	if (!r)
		r = each_name(p, p->from, copy_pack, c);
	if (!r && sealed)
		r = durable_file_write(mark.to, SPAN(""), FILE_MODE);
	return r ? r : durable_dir_sync(p->to);
}

static int prune_epoch(const struct place *p, const char *name, struct file_copy *c)
{
	if (strspn(name, "0123456789abcdef") != 8 || name[8] || !is_dir(p->to))
		return OK;
	int r = each_name(p, p->to, drop_gone, c);
	return r ? r : durable_dir_sync(p->to);
}

static int prune_home(const struct place *p, const char *name, struct file_copy *c)
{
	return is_dir(p->to) ? each_name(p, p->to, prune_epoch, c) : OK;
}

static int mirror_home(const struct place *p, const char *name, struct file_copy *c)
{
	struct place number;
	int r = place_below(p, "number", &number);
	if (r || access(number.from, F_OK))
		return r;
	r = durable_mkdir(p->to, DIR_MODE);
	if (!r)
		r = copy_file(&number, c);
	if (!r)
		r = each_name(p, p->from, mirror_epoch, c);
	return r ? r : durable_dir_sync(p->to);
}

static int place_top(const char *from, const char *to, struct place *out)
{
	return snprintf(out->from, PATH_MAX, "%s", from) < PATH_MAX && snprintf(out->to, PATH_MAX, "%s", to) < PATH_MAX
		? OK : fail_with(ERR_INVALID, "path too long: %.200s...", to);
}

int file_mirror(const char *from, const char *to, struct file_copy *c)
{
	struct place top;
	int r = place_top(from, to, &top);
	if (!r)
		r = durable_mkdir(to, DIR_MODE);
	return r ? r : each_name(&top, from, mirror_home, c);
}

int file_mirror_prune(const char *from, const char *to)
{
	struct place top;
	int r = place_top(from, to, &top);
	return r ? r : each_name(&top, to, prune_home, NULL);
}
