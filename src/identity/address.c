#include "address.h"

#include "fail.h"
#include "utf8.h"

static bool is_letter(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static bool is_local(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && (!s.p[i] || !strchr(".!#$%&'*+-/=?^_`{|}~", s.p[i])))
			return false;
	return s.n && utf8_valid(s);
}

/* [127.0.0.1] */
static bool is_literal(struct span s)
{
	for (size_t i = 1; i + 1 < s.n; i++)
		if (!is_letter(s.p[i]) && s.p[i] != '.' && s.p[i] != ':')
			return false;
	return s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
}

static bool is_domain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && (!s.p[i] || !strchr("-_.", s.p[i])))
			return is_literal(s);
	return s.n && s.p[0] != '.' && s.p[s.n - 1] != '.' && !memmem(s.p, s.n, "..", 2) && utf8_valid(s);
}

static struct span before_at(struct span s)
{
	const char *at = s.n ? memrchr(s.p, '@', s.n) : NULL;
	return at ? span_sub(s, 0, (size_t)(at - s.p)) : s;
}

static char *put_lower(char *out, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		*out++ = ascii_lower(s.p[i]);
	return out;
}

int address_complete(struct span address, struct span domain, char out[ADDRESS_MAX])
{
	struct span local = before_at(address);
	if (local.n < address.n)
		domain = span_sub(address, local.n + 1, address.n);
	if (local.n == 0 || domain.n == 0)
		return fail_with(ERR_INVALID, "an address needs a name and a domain");
	if (local.n > ADDRESS_LOCAL_MAX || domain.n >= ADDRESS_MAX || local.n + 1 + domain.n >= ADDRESS_MAX)
		return fail_with(ERR_INVALID, "an address has at most %d bytes, %d of them before the @", ADDRESS_MAX - 1,
		                 ADDRESS_LOCAL_MAX);
	if (!is_local(local) || !is_domain(domain))
		return fail_with(ERR_INVALID, "an address has no blanks and quotes, and one @");
	char *end = put_lower(out, local);
	*end++ = '@';
	*put_lower(end, domain) = 0;
	return OK;
}

int domain_complete(struct span domain, char out[ADDRESS_MAX])
{
	if (domain.n > 255 || !is_domain(domain))
		return fail_with(ERR_INVALID, "%.*s is no domain", SPAN_ARG(domain));
	*put_lower(out, domain) = 0;
	return OK;
}

void address_split(struct span s, struct address_parts *out)
{
	struct span local = before_at(s), none = { "", 0 };
	struct span tail = local.n ? span_sub(local, 1, local.n) : local;
	ssize_t plus = span_find(tail, '+');
	*out = (struct address_parts){ .local = local, .detail = none };
	if (local.n < s.n)
		out->domain = span_sub(s, local.n + 1, s.n);
	if (plus >= 0) {
		out->has_detail = true;
		out->local = span_sub(local, 0, (size_t)plus + 1);
		out->detail = span_sub(tail, (size_t)plus + 1, tail.n);
	}
}
