#include "plan_file.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static bool taken(const char *file, char *out, size_t size)
{
	return (size_t)snprintf(out, size, "%s.taken", file) < size;
}

bool plan_file_take(const char *file, char *text, size_t size)
{
	char name[PATH_MAX];
	if (!taken(file, name, sizeof name) || access(file, F_OK) || rename(file, name))
		return false;
	FILE *f = fopen(name, "re");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;
	text[n] = 0;
	if (f)
		fclose(f);
	return f != NULL;
}

void plan_file_struck(const char *file)
{
	char name[PATH_MAX];
	if (taken(file, name, sizeof name))
		unlink(name);
}
