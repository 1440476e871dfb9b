#include "mailbox_name.h"

#include "fail.h"
#include "utf7.h"
#include "utf8.h"

enum { INBOX_LEN = 5 };

bool mailbox_name_next(struct span *rest, struct span *component)
{
	if (rest->n == 0)
		return false;
	ssize_t end = span_find(*rest, '/');
	*component = span_sub(*rest, 0, end < 0 ? rest->n : (size_t)end);
	*rest = span_sub(*rest, component->n + 1, rest->n);
	return true;
}

static bool starts_with_inbox(struct span name)
{
	return span_istarts(name, SPAN("INBOX")) && (name.n == INBOX_LEN || name.p[INBOX_LEN] == '/');
}

bool mailbox_name_is_inbox(struct span name)
{
	return span_ieq(name, SPAN("INBOX"));
}

/* C0, DEL, C1 and the two line separators of Unicode: they would break lines, logs and terminals. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

static int check_characters(struct span name)
{
	uint32_t c;
	while (utf8_next(&name, &c)) {
		if (is_control(c))
			return fail_with(ERR_INVALID, "a mailbox name cannot hold control characters");
		if (c == '%' || c == '*')
			return fail_with(ERR_INVALID, "a mailbox name cannot hold %% or *");
	}
	return name.n ? fail_with(ERR_INVALID, "a mailbox name must be valid UTF-8") : OK;
}

static int check_component(struct span c)
{
	if (c.n == 0)
		return fail_with(ERR_INVALID, "a mailbox name cannot have an empty part");
	if (c.n > MAILBOX_COMPONENT_MAX)
		return fail_with(ERR_LIMIT, "a part of the mailbox name is over %d bytes", MAILBOX_COMPONENT_MAX);
	if (span_eq(c, SPAN(".")) || span_eq(c, SPAN("..")))
		return fail_with(ERR_INVALID, "a part of a mailbox name cannot be . or ..");
	return OK;
}

int mailbox_name_check(struct span name)
{
	if (name.n == 0)
		return fail_with(ERR_INVALID, "a mailbox name cannot be empty");
	if (name.n > MAILBOX_NAME_MAX)
		return fail_with(ERR_LIMIT, "the mailbox name is over %d bytes", MAILBOX_NAME_MAX);
	if (name.p[0] == '#')
		return fail_with(ERR_CANNOT, "mailbox names that begin with # are reserved");
	if (name.p[name.n - 1] == '/')
		return fail_with(ERR_INVALID, "a mailbox name cannot have an empty part");
	int rc = check_characters(name), depth = 0;
	struct span c;
	while (rc == OK && mailbox_name_next(&name, &c)) {
		rc = check_component(c);
		if (rc == OK && ++depth > MAILBOX_DEPTH_MAX)
			rc = fail_with(ERR_LIMIT, "the mailbox name has over %d parts", MAILBOX_DEPTH_MAX);
	}
	return rc;
}

int mailbox_name_normal(struct arena *a, struct span name, struct span *out)
{
	char *copy = arena_alloc(a, name.n + 1);
	if (!copy)
		return fail_with(ERR_LIMIT, "no room for a name");
	if (name.n)
		memcpy(copy, name.p, name.n);
	if (starts_with_inbox(name))
		memcpy(copy, "INBOX", INBOX_LEN);
	*out = span_from(copy, name.n);
	return OK;
}

int mailbox_name_decode(struct arena *a, struct span sent, bool utf8, struct span *out)
{
	if (!utf8)
		return utf7_decode(a, sent, out);
	if (!utf8_valid(sent))
		return fail_with(ERR_INVALID, "a mailbox name must be valid UTF-8");
	*out = sent;
	return OK;
}

int mailbox_name_read(struct arena *a, struct span sent, bool utf8, struct span *out)
{
	struct span name;
	int rc = mailbox_name_decode(a, sent, utf8, &name);
	if (rc != OK)
		return rc;
	if (name.n > 1 && name.p[name.n - 1] == '/')
		name.n--;
	return mailbox_name_normal(a, name, out);
}

static size_t last_slash(struct span name)
{
	const char *slash = name.n ? memrchr(name.p, '/', name.n) : NULL;
	return slash ? (size_t)(slash - name.p) : SIZE_MAX;
}

struct span mailbox_name_parent(struct span name)
{
	size_t at = last_slash(name);
	return span_sub(name, 0, at == SIZE_MAX ? 0 : at);
}

struct span mailbox_name_leaf(struct span name)
{
	size_t at = last_slash(name);
	return at == SIZE_MAX ? name : span_sub(name, at + 1, name.n);
}

bool mailbox_name_below(struct span name, struct span parent)
{
	return name.n > parent.n && name.p[parent.n] == '/' && span_eq(span_sub(name, 0, parent.n), parent);
}

static bool is_wild(char c)
{
	return c == '*' || c == '%';
}

int mailbox_pattern_init(struct mailbox_pattern *m, struct arena *a, struct span pattern)
{
	if (pattern.n > MAILBOX_NAME_MAX)
		return fail_with(ERR_LIMIT, "the pattern is over %d bytes", MAILBOX_NAME_MAX);
	char *p = arena_alloc(a, pattern.n + 1);
	bool *states = arena_alloc(a, 2 * (pattern.n + 1) * sizeof *states);
	if (!p || !states)
		return fail_with(ERR_LIMIT, "no room for a pattern");
	size_t n = 0;
	for (size_t i = 0; i < pattern.n; i++) {
		char c = pattern.p[i];
		if (!is_wild(c) || n == 0 || !is_wild(p[n - 1]))
			p[n++] = c;
		else if (c == '*')
			p[n - 1] = '*';
	}
	*m = (struct mailbox_pattern){ .p = p, .n = n, .now = states, .then = states + pattern.n + 1 };
	return OK;
}

/* A wildcard may stand for nothing: where it is reached, what follows is reached too. */
static bool reach(const struct mailbox_pattern *m, bool *states, size_t i)
{
	states[i] = true;
	if (i < m->n && is_wild(m->p[i]))
		states[i + 1] = true;
	return true;
}

/* From the places in the pattern reached before the byte c to those reached behind it; false when there are none. */
static bool step(struct mailbox_pattern *m, char c, bool fold)
{
	bool some = false;
	memset(m->then, 0, (m->n + 1) * sizeof *m->then);
	for (size_t i = 0; i < m->n; i++) {
		if (!m->now[i])
			continue;
		if (m->p[i] == '*' || (m->p[i] == '%' && c != '/'))
			some = reach(m, m->then, i);
		else if (m->p[i] == c || (fold && ascii_lower(m->p[i]) == ascii_lower(c)))
			some = reach(m, m->then, i + 1);
	}
	bool *was = m->now;
	m->now = m->then;
	m->then = was;
	return some;
}

bool mailbox_pattern_match(struct mailbox_pattern *m, struct span name)
{
	bool inbox = starts_with_inbox(name);
	memset(m->now, 0, (m->n + 1) * sizeof *m->now);
	reach(m, m->now, 0);
	for (size_t i = 0; i < name.n; i++)
		if (!step(m, name.p[i], inbox && i < INBOX_LEN))
			return false;
	return m->now[m->n];
}
