#include "address.h"

#include "fail.h"

static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
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
	if (local.n >= ADDRESS_MAX || domain.n >= ADDRESS_MAX || local.n + 1 + domain.n >= ADDRESS_MAX)
		return fail_with(ERR_INVALID, "an address has at most %d bytes", ADDRESS_MAX - 1);
	if (!is_printable(local) || !is_printable(domain) || span_find(local, '@') >= 0)
		return fail_with(ERR_INVALID, "an address has printable ASCII letters only, and one @");
	char *end = put_lower(out, local);
	*end++ = '@';
	*put_lower(end, domain) = 0;
	return OK;
}

static bool is_domain_letter(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

int domain_complete(struct span domain, char out[ADDRESS_MAX])
{
	size_t n = 0;
	while (n < domain.n && is_domain_letter(domain.p[n]))
		n++;
	if (n == 0 || n < domain.n || n > 255 || domain.p[0] == '.' || domain.p[n - 1] == '.' || memmem(domain.p, n, "..", 2))
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
