#include "auth_line.h"

#include "fail.h"

bool auth_line_next(struct span *in, struct span *line)
{
	ssize_t end = span_find(*in, '\n');
	if (end < 0)
		return false;
	*line = span_sub(*in, 0, (size_t)end);
	*in = span_sub(*in, (size_t)end + 1, in->n);
	return true;
}

bool auth_field_next(struct span *line, struct span *field)
{
	if (!line->p)
		return false;
	ssize_t tab = span_find(*line, '\t');
	*field = span_sub(*line, 0, tab < 0 ? line->n : (size_t)tab);
	*line = tab < 0 ? (struct span){ 0 } : span_sub(*line, (size_t)tab + 1, line->n);
	return true;
}

static int take_id(struct span *args, uint32_t *id)
{
	struct span field;
	uint64_t v;
	if (!auth_field_next(args, &field) || !span_u64(field, UINT32_MAX, &v))
		return fail_with(ERR_INVALID, "an id is a number of 32 bits");
	*id = (uint32_t)v;
	return OK;
}

static bool is_value(struct span field, struct span name, struct span *value)
{
	if (field.n < name.n || memcmp(field.p, name.p, name.n))
		return false;
	*value = span_sub(field, name.n, field.n);
	return true;
}

static void take_parameter(struct span field, struct auth_ask *ask)
{
	struct span value;
	if (is_value(field, SPAN("service="), &value))
		ask->service = value;
	else if (is_value(field, SPAN("rip="), &value))
		ask->remote = value;
	else if (is_value(field, SPAN("transport="), &value))
		ask->secured = span_ieq(value, SPAN("TLS")) || span_ieq(value, SPAN("trusted"));
	else if (span_eq(field, SPAN("secured")) || is_value(field, SPAN("secured="), &value))
		ask->secured = true;
}

int auth_ask_parse(struct span args, struct auth_ask *out)
{
	struct auth_ask ask = { 0 };
	struct span field;
	int r = take_id(&args, &ask.id);
	if (r)
		return r;
	if (!auth_field_next(&args, &ask.mechanism) || ask.mechanism.n == 0)
		return fail_with(ERR_INVALID, "AUTH: no mechanism");
	while (!ask.has_response && auth_field_next(&args, &field)) { /* nothing counts behind resp= */
		ask.has_response = is_value(field, SPAN("resp="), &ask.response);
		take_parameter(field, &ask);
	}
	*out = ask;
	return OK;
}

int auth_cont_parse(struct span args, uint32_t *id, struct span *data)
{
	struct span field = { 0 };
	int r = take_id(&args, id);
	if (r)
		return r;
	auth_field_next(&args, &field);
	*data = field;
	return OK;
}

void auth_put_escaped(struct buffer *b, struct span text)
{
	static const char plain[] = "\0\1\t\r\n", coded[] = "01trn";
	for (size_t i = 0; i < text.n; i++) {
		const char *at = memchr(plain, text.p[i], sizeof plain - 1);
		if (at)
			buffer_putc(b, '\1');
		buffer_putc(b, at ? coded[at - plain] : text.p[i]);
	}
}
