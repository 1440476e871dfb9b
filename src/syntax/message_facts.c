#include "message_facts.h"

#include "clock.h"

static struct span *place_of(struct message_facts *f, enum mime_field_id id)
{
	switch (id) {
	case FIELD_SUBJECT:
		return &f->subject;
	case FIELD_FROM:
		return &f->from;
	case FIELD_TO:
		return &f->to;
	case FIELD_CC:
		return &f->cc;
	case FIELD_MESSAGE_ID:
		return &f->id;
	case FIELD_REFERENCES:
		return &f->references;
	case FIELD_IN_REPLY_TO:
		return &f->in_reply_to;
	default:
		return NULL;
	}
}

void message_facts(const struct mime_summary *s, int64_t internal, struct message_facts *out)
{
	struct message_facts facts = { .sent = s->has_date ? s->date.seconds : internal / SECOND_US };
	struct span rest = s->fields;
	struct mime_field f;
	while (mime_header_next(&rest, &f)) {
		struct span *place = place_of(&facts, mime_field_id(f.name));
		if (place && !place->p)
			*place = f.value;
	}
	*out = facts;
}
