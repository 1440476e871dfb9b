#include "arguments.h"

#include "fail.h"

/* How many words the verb's name takes off the front; 0 when they are others. */
static size_t match(const struct verb *v, const char *const *words, size_t n)
{
	struct span name = span_of(v->name);
	size_t taken = 0;
	while (name.n) {
		ssize_t blank = span_find(name, ' ');
		struct span word = blank < 0 ? name : span_sub(name, 0, (size_t)blank);
		if (taken == n || !span_eq(word, span_of(words[taken])))
			return 0;
		taken++;
		name = blank < 0 ? (struct span){ 0 } : span_sub(name, (size_t)blank + 1, name.n);
	}
	return taken;
}

const struct verb *verb_find(const struct verb *all, size_t count, const char *const *words, size_t n, size_t *taken)
{
	const struct verb *found = NULL;
	*taken = 0;
	for (size_t i = 0; i < count; i++) {
		size_t k = match(&all[i], words, n);
		if (k > *taken) {
			found = &all[i];
			*taken = k;
		}
	}
	return found;
}

/* Takes the next declared option off *list: its name, and what its value is called (empty: it takes none). */
static bool next_option(struct span *list, struct span *name, struct span *value)
{
	*list = span_trim(*list);
	if (list->n == 0)
		return false;
	ssize_t blank = span_find(*list, ' ');
	struct span one = blank < 0 ? *list : span_sub(*list, 0, (size_t)blank);
	*list = span_sub(*list, one.n, list->n);
	ssize_t equals = span_find(one, '=');
	*name = equals < 0 ? one : span_sub(one, 0, (size_t)equals);
	*value = equals < 0 ? (struct span){ 0 } : span_sub(one, (size_t)equals + 1, one.n);
	return true;
}

static bool declared(const struct verb *v, struct span wanted, bool *takes_value)
{
	struct span list = span_of(v->options), name, value;
	while (next_option(&list, &name, &value)) {
		if (!span_eq(name, wanted))
			continue;
		*takes_value = value.n > 0;
		return true;
	}
	return false;
}

/* words[0] is --name or --name=value; *used is how many words it took. */
static int parse_option(struct request *r, const struct verb *v, const char *const *words, size_t n, size_t *used)
{
	struct span word = span_of(words[0] + 2);
	ssize_t equals = span_find(word, '=');
	struct span name = equals < 0 ? word : span_sub(word, 0, (size_t)equals);
	const char *value = equals < 0 ? NULL : words[0] + 2 + equals + 1;
	bool takes_value = false;
	*used = 1;
	if (!value && span_eq(name, SPAN("json"))) {
		r->json = true;
		return OK;
	}
	if (!declared(v, name, &takes_value))
		return fail_with(ERR_INVALID, "%s has no option --%.*s", v->name, SPAN_ARG(name));
	if (!takes_value && value)
		return fail_with(ERR_INVALID, "--%.*s takes no value", SPAN_ARG(name));
	if (takes_value && !value) {
		if (n < 2)
			return fail_with(ERR_INVALID, "--%.*s wants a value", SPAN_ARG(name));
		value = words[1];
		*used = 2;
	}
	if (r->n_options == REQUEST_OPTIONS_MAX)
		return fail_with(ERR_INVALID, "too many options");
	r->options[r->n_options].name = name.p;
	r->options[r->n_options].name_n = name.n;
	r->options[r->n_options++].value = value;
	return OK;
}

int arguments_parse(struct request *r, const struct verb *v, const char *const *words, size_t n)
{
	bool only_arguments = false;
	r->verb = v;
	r->n_args = r->n_options = 0;
	for (size_t i = 0, used; i < n; i += used) {
		used = 1;
		if (!only_arguments && strcmp(words[i], "--") == 0) {
			only_arguments = true;
		} else if (!only_arguments && strncmp(words[i], "--", 2) == 0) {
			int e = parse_option(r, v, words + i, n - i, &used);
			if (e)
				return e;
		} else {
			r->args[r->n_args++] = words[i];
		}
	}
	if (r->n_args < v->min)
		return fail_with(ERR_INVALID, "%s wants %s", v->name, v->arguments);
	if (r->n_args > v->max)
		return fail_with(ERR_INVALID, "%s: \"%s\" is one argument too many", v->name, r->args[v->max]);
	return OK;
}

void verb_usage(struct buffer *b, const struct verb *v)
{
	struct span list = span_of(v->options), name, value;
	buffer_puts(b, v->name);
	if (*v->arguments)
		buffer_printf(b, " %s", v->arguments);
	while (next_option(&list, &name, &value)) {
		buffer_printf(b, " [--%.*s", SPAN_ARG(name));
		if (value.n)
			buffer_printf(b, " %.*s", SPAN_ARG(value));
		buffer_putc(b, ']');
	}
}

bool request_has(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->n_options; i++)
		if (span_eq(span_from(r->options[i].name, r->options[i].name_n), span_of(name)))
			return true;
	return false;
}

const char *request_option(const struct request *r, const char *name)
{
	const char *value = NULL;
	for (size_t i = 0; i < r->n_options; i++)
		if (span_eq(span_from(r->options[i].name, r->options[i].name_n), span_of(name)))
			value = r->options[i].value;
	return value;
}
