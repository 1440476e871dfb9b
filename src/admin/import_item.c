#include "import_item.h"

#include "varint.h"

void import_item_put(struct buffer *b, const struct import_item *i)
{
	varint_put_span(b, i->folder);
	varint_put_span(b, i->flags);
	varint_put(b, (uint64_t)i->date);
	varint_put(b, i->size);
}

bool import_item_parse(struct span s, struct import_item *out)
{
	uint64_t date;
	struct import_item i = { 0 };
	if (!varint_get_span(&s, &i.folder) || !varint_get_span(&s, &i.flags) || !varint_get(&s, &date) ||
	    !varint_get(&s, &i.size))
		return false;
	i.date = (int64_t)date;
	*out = i;
	return true;
}
