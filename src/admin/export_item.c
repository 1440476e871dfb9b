#include "export_item.h"

#include "varint.h"

void export_item_put(struct buffer *b, const struct export_item *i)
{
	varint_put(b, (uint64_t)i->kind);
	varint_put_span(b, i->text);
	varint_put(b, (uint64_t)i->number);
	varint_put(b, (uint64_t)i->date);
	varint_put(b, i->size);
}

bool export_item_parse(struct span s, struct export_item *out)
{
	uint64_t kind, number, date;
	struct export_item i = { 0 };
	if (!varint_get(&s, &kind) || kind < EXPORT_BEGIN || kind > EXPORT_END || !varint_get_span(&s, &i.text) ||
	    !varint_get(&s, &number) || !varint_get(&s, &date) || !varint_get(&s, &i.size))
		return false;
	i.kind = (enum export_kind)kind;
	i.number = (int64_t)number;
	i.date = (int64_t)date;
	*out = i;
	return true;
}
