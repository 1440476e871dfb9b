#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "durable_file.h"
#include "fail.h"
#include "json_write.h"
#include "listener.h"
#include "quantity.h"

#define CONFIG_FILE_MAX (1 << 20)

enum option_type { TYPE_text, TYPE_listen, TYPE_number, TYPE_size, TYPE_duration, TYPE_choice };

struct option {
	enum option_type type;
	const char *name;
	size_t offset;
	const char *fallback; /* the default */
	int64_t least, most;  /* of the number; of the length of a text */
	const char *unit;     /* or the choices */
	const char *help;
	bool live;            /* a running node can change it */
};

static const struct option options[] = {
#define OPTION(type, name, field, ...) { TYPE_##type, name, offsetof(struct config, field), __VA_ARGS__, false },
#define LIVE(type, name, field, ...) { TYPE_##type, name, offsetof(struct config, field), __VA_ARGS__, true },
#include "options.def"
#undef LIVE
#undef OPTION
};
enum { OPTIONS = sizeof options / sizeof *options };

static bool is_text(const struct option *o)
{
	return o->type == TYPE_text || o->type == TYPE_listen;
}

static char **text_of(const struct config *c, const struct option *o)
{
	return (char **)(uintptr_t)((const char *)c + o->offset);
}

static int64_t *number_of(const struct config *c, const struct option *o)
{
	return (int64_t *)(uintptr_t)((const char *)c + o->offset);
}

/* ---- From text to values */

static enum quantity quantity_of(const struct option *o)
{
	return o->type == TYPE_size ? QUANTITY_SIZE : o->type == TYPE_duration ? QUANTITY_DURATION : QUANTITY_NUMBER;
}

static bool parse_choice(const struct option *o, struct span s, int64_t *out)
{
	struct span rest = span_of(o->unit);
	for (int64_t i = 0; rest.n; i++) {
		ssize_t blank = span_find(rest, ' ');
		struct span one = blank < 0 ? rest : span_sub(rest, 0, (size_t)blank);
		if (span_eq(one, s)) {
			*out = i;
			return true;
		}
		rest = span_sub(rest, one.n + 1, rest.n);
	}
	return false;
}

/* The n-th of the choices. */
static struct span choice_name(const struct option *o, int64_t n)
{
	struct span rest = span_of(o->unit);
	for (;; n--) {
		ssize_t blank = span_find(rest, ' ');
		if (n == 0)
			return blank < 0 ? rest : span_sub(rest, 0, (size_t)blank);
		rest = span_sub(rest, (size_t)blank + 1, rest.n);
	}
}

static void put_number(struct buffer *b, const struct option *o, int64_t v)
{
	quantity_write(quantity_of(o), v, b);
}

static int bad_number(const struct option *o, struct span s)
{
	struct buffer b = { 0 };
	put_number(&b, o, o->least);
	buffer_puts(&b, " to ");
	put_number(&b, o, o->most);
	int r = fail_with(ERR_INVALID, "%s = %.*s: wants a %s from %.*s", o->name, SPAN_ARG(s),
		quantity_name(quantity_of(o)), (int)b.n, b.p);
	buffer_free(&b);
	return r;
}

static int set_text(struct config *c, const struct option *o, struct span s)
{
	struct listen_list list;
	if ((int64_t)s.n < o->least || (int64_t)s.n > o->most || (s.n && memchr(s.p, 0, s.n)))
		return fail_with(ERR_INVALID, "%s: wants a text of %lld to %lld bytes", o->name, (long long)o->least,
			(long long)o->most);
	if (o->type == TYPE_listen && listen_parse(s, &list)) {
		char why[256];
		snprintf(why, sizeof why, "%s", fail_detail());
		return fail_with(ERR_INVALID, "%s: %s", o->name, why);
	}
	free(*text_of(c, o));
	*text_of(c, o) = span_dup(s);
	return OK;
}

static int set_value(struct config *c, const struct option *o, struct span s)
{
	int64_t v;
	if (is_text(o))
		return set_text(c, o, s);
	if (o->type == TYPE_choice) {
		if (!parse_choice(o, s, &v))
			return fail_with(ERR_INVALID, "%s = %.*s: wants one of: %s", o->name, SPAN_ARG(s), o->unit);
	} else if (!quantity_parse(quantity_of(o), s, &v) || v < o->least || v > o->most) {
		return bad_number(o, s);
	}
	*number_of(c, o) = v;
	return OK;
}

static const struct option *find_option(struct span name)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (span_eq(span_of(options[i].name), name))
			return &options[i];
	return NULL;
}

static int set_setting(struct config *c, struct span setting)
{
	ssize_t equals = span_find(setting, '=');
	if (equals < 0)
		return fail_with(ERR_INVALID, "\"%.*s\": wants name=value", SPAN_ARG(setting));
	struct span name = span_trim(span_sub(setting, 0, (size_t)equals));
	const struct option *o = find_option(name);
	if (!o)
		return fail_with(ERR_INVALID, "there is no option \"%.*s\"; \"perdura config\" lists them all", SPAN_ARG(name));
	return set_value(c, o, span_trim(span_sub(setting, (size_t)equals + 1, setting.n)));
}

static void set_defaults(struct config *c)
{
	*c = (struct config){ 0 };
	for (size_t i = 0; i < OPTIONS; i++)
		set_value(c, &options[i], span_of(options[i].fallback));
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (is_text(&options[i]))
			free(*text_of(c, &options[i]));
	*c = (struct config){ 0 };
}

/* ---- The file */

static int set_line(struct config *c, const char *path, size_t number, struct span line)
{
	char why[400];
	line = span_trim(line);
	if (line.n == 0 || line.p[0] == '#' || set_setting(c, line) == OK)
		return OK;
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with(ERR_INVALID, "%s:%zu: %s", path, number, why);
}

static int set_lines(struct config *c, const char *path, struct span text)
{
	int r = OK;
	for (size_t number = 1; text.n && !r; number++) {
		ssize_t end = span_find(text, '\n');
		struct span line = end < 0 ? text : span_sub(text, 0, (size_t)end);
		r = set_line(c, path, number, line);
		text = span_sub(text, line.n + 1, text.n);
	}
	return r;
}

static int read_text(int fd, const char *path, struct buffer *b)
{
	struct stat st;
	if (fstat(fd, &st))
		return fail_errno("stat", path);
	if (!S_ISREG(st.st_mode) || st.st_size > CONFIG_FILE_MAX)
		return fail_with(ERR_INVALID, "%s: is no file of at most %d bytes", path, CONFIG_FILE_MAX);
	char *to = buffer_reserve(b, (size_t)st.st_size + 1);
	if (!to)
		return fail_with(ERR_LIMIT, "%s: no memory", path);
	b->n = (size_t)st.st_size;
	return file_read_at(fd, to, b->n, 0, path);
}

static int read_file(struct config *c, const char *path)
{
	struct buffer b = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? fail_with(ERR_NOT_FOUND, "%s: no such file", path) : fail_errno("open", path);
	int r = read_text(fd, path, &b);
	close(fd);
	if (!r)
		r = set_lines(c, path, buffer_span(&b));
	buffer_free(&b);
	return r;
}

int config_load(const char *dir, const char *file, const char *const *settings, size_t n, struct config *out)
{
	char path[PATH_MAX];
	struct config c;
	if (snprintf(path, sizeof path, "%s/perdura.conf", dir) >= (int)sizeof path)
		return fail_with(ERR_INVALID, "%s: name too long", dir);
	set_defaults(&c);
	int r = read_file(&c, file ? file : path);
	if (r == ERR_NOT_FOUND && !file)
		r = OK;
	for (size_t i = 0; i < n && !r; i++)
		r = set_setting(&c, span_of(settings[i]));
	if (r)
		config_free(&c);
	else
		*out = c;
	return r;
}

/* ---- Changes while the node runs */

static bool same(const struct config *a, const struct config *b, const struct option *o)
{
	return is_text(o) ? strcmp(*text_of(a, o), *text_of(b, o)) == 0 : *number_of(a, o) == *number_of(b, o);
}

static void take(struct config *c, const struct config *fresh, const struct option *o)
{
	if (is_text(o)) {
		free(*text_of(c, o));
		*text_of(c, o) = span_dup(span_of(*text_of(fresh, o)));
	} else {
		*number_of(c, o) = *number_of(fresh, o);
	}
}

void config_reload(struct config *c, const struct config *fresh, struct buffer *rest)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (options[i].live)
			take(c, fresh, &options[i]);
		else if (!same(c, fresh, &options[i]))
			buffer_printf(rest, "%s%s", rest->n ? "," : "", options[i].name);
	}
}

/* ---- The list */

/* What SCHEME://USER:PASSWORD@HOST/... has for a password is not shown. */
static void put_text(struct buffer *b, const char *s)
{
	const char *user = strstr(s, "://");
	size_t n = user ? strcspn(user + 3, "/?") : 0;
	const char *at = n ? memrchr(user + 3, '@', n) : NULL;
	const char *colon = at ? memchr(user + 3, ':', (size_t)(at - user - 3)) : NULL;
	if (colon) {
		buffer_put(b, s, (size_t)(colon + 1 - s));
		buffer_puts(b, "***");
		s = at;
	}
	buffer_puts(b, s);
}

static void put_value(struct buffer *b, const struct config *c, const struct option *o)
{
	if (is_text(o))
		put_text(b, *text_of(c, o));
	else if (o->type == TYPE_choice)
		buffer_put_span(b, choice_name(o, *number_of(c, o)));
	else
		put_number(b, o, *number_of(c, o));
}

static void put_bounds(struct buffer *b, const struct option *o)
{
	if (o->type == TYPE_choice) {
		buffer_printf(b, "one of: %s", o->unit);
	} else if (is_text(o)) {
		buffer_printf(b, "%lld to %lld bytes", (long long)o->least, (long long)o->most);
	} else {
		put_number(b, o, o->least);
		buffer_puts(b, " to ");
		put_number(b, o, o->most);
		if (o->type == TYPE_number && *o->unit)
			buffer_printf(b, " %s", o->unit);
	}
}

static void put_plain(struct buffer *b, const struct config *c, const struct option *o)
{
	buffer_printf(b, "%s = ", o->name);
	put_value(b, c, o);
	buffer_printf(b, "\n    %s\n    default %s; ", o->help, *o->fallback ? o->fallback : "empty");
	put_bounds(b, o);
	buffer_puts(b, o->live ? "; reload takes it" : "; from the next start on");
}

static void put_json(struct json_writer *j, const struct config *c, const struct option *o)
{
	static const char *const types[] = { "text", "listen", "number", "size", "duration", "choice" };
	struct buffer b = { 0 };
	json_put_open(j, '{');
	json_put_key(j, "name");
	json_put_text(j, span_of(o->name));
	json_put_key(j, "type");
	json_put_text(j, span_of(types[o->type]));
	json_put_key(j, "value");
	put_value(&b, c, o);
	json_put_text(j, buffer_span(&b));
	json_put_key(j, "default");
	json_put_text(j, span_of(o->fallback));
	json_put_key(j, "bounds");
	buffer_reset(&b);
	put_bounds(&b, o);
	json_put_text(j, buffer_span(&b));
	json_put_key(j, "reload");
	json_put_bool(j, o->live);
	json_put_key(j, "help");
	json_put_text(j, span_of(o->help));
	json_put_close(j, '}');
	buffer_free(&b);
}

static bool wanted(const struct option *o, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], o->name) == 0)
			return true;
	return n == 0;
}

int config_list(const struct config *c, const char *const *names, size_t n, bool json,
                void (*line)(void *ctx, struct span line), void *ctx)
{
	struct buffer b = { 0 };
	struct json_writer j = { .out = &b };
	for (size_t i = 0; i < n; i++)
		if (!find_option(span_of(names[i])))
			return fail_with(ERR_NOT_FOUND, "there is no option \"%s\"; \"perdura config\" lists them all", names[i]);
	if (json)
		json_put_open(&j, '[');
	for (size_t i = 0; i < OPTIONS; i++) {
		if (!wanted(&options[i], names, n))
			continue;
		if (json) {
			put_json(&j, c, &options[i]);
			continue;
		}
		buffer_reset(&b);
		put_plain(&b, c, &options[i]);
		line(ctx, buffer_span(&b));
	}
	if (json) {
		json_put_close(&j, ']');
		line(ctx, buffer_span(&b));
	}
	buffer_free(&b);
	return OK;
}
