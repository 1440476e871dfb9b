#include "imap_rights.h"

#include "flags.h"

/* In the order in which they are written; those of several letters are the obsolete ones. */
static const struct { char letter; unsigned rights; } letters[] = {
	{ 'l', RIGHT_LOOKUP }, { 'r', RIGHT_READ }, { 's', RIGHT_SEEN }, { 'w', RIGHT_WRITE }, { 'i', RIGHT_INSERT },
	{ 'p', RIGHT_POST }, { 'k', RIGHT_CREATE }, { 'x', RIGHT_DELETE_MAILBOX }, { 't', RIGHT_DELETE }, { 'e', RIGHT_EXPUNGE },
	{ 'a', RIGHT_ADMIN }, { 'c', RIGHT_CREATE }, { 'd', RIGHT_EXPUNGE | RIGHT_DELETE | RIGHT_DELETE_MAILBOX },
};
enum { LETTERS = sizeof letters / sizeof *letters };

static unsigned find(char letter)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (letters[i].letter == letter)
			return (unsigned)i + 1;
	return 0;
}

uint64_t imap_rights_flags(unsigned rights)
{
	uint64_t others = ~(uint64_t)(FLAG_SEEN | FLAG_DELETED);
	return (rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (rights & RIGHT_DELETE ? FLAG_DELETED : 0) | (rights & RIGHT_WRITE ? others : 0);
}

bool imap_rights_parse(struct span text, unsigned *out)
{
	unsigned rights = 0, met = 0;
	for (size_t i = 0; i < text.n; i++) {
		unsigned at = find(text.p[i]);
		if (!at || met & 1u << at)
			return false;
		met |= 1u << at;
		rights |= letters[at - 1].rights;
	}
	*out = rights;
	return true;
}

void imap_rights_put(struct buffer *b, unsigned rights)
{
	for (size_t i = 0; i < LETTERS; i++)
		if (rights & letters[i].rights)
			buffer_putc(b, letters[i].letter);
}

bool imap_rights_change(struct span text, enum rights_op *op, unsigned *rights)
{
	char first = text.n ? text.p[0] : 0;
	*op = first == '+' ? RIGHTS_ADD : first == '-' ? RIGHTS_REMOVE : RIGHTS_SET;
	return imap_rights_parse(*op == RIGHTS_SET ? text : span_sub(text, 1, text.n), rights);
}
