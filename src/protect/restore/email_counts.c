#include "email_counts.h"

#include <stdlib.h>

#include "fail.h"

static struct email_count *slot_of(const struct email_counts *c, int64_t email)
{
	size_t i = (uint64_t)email * 0x9E3779B97F4A7C15u >> 20 & (c->cap - 1);
	while (c->slots[i].email && c->slots[i].email != email)
		i = (i + 1) & (c->cap - 1);
	return &c->slots[i];
}

static int grow(struct email_counts *c)
{
	struct email_counts next = { .cap = c->cap ? c->cap * 2 : 1024, .used = c->used };
	next.slots = calloc(next.cap, sizeof *next.slots);
	if (!next.slots)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < c->cap; i++)
		if (c->slots[i].email)
			*slot_of(&next, c->slots[i].email) = c->slots[i];
	free(c->slots);
	*c = next;
	return OK;
}

int email_counts_add(struct email_counts *c, int64_t email)
{
	if (c->used * 2 >= c->cap && grow(c))
		return ERR_UNAVAILABLE;
	struct email_count *k = slot_of(c, email);
	c->used += k->email == 0;
	k->email = email;
	k->n++;
	return OK;
}

bool email_counts_take(struct email_counts *c, int64_t email)
{
	struct email_count *k = c->cap ? slot_of(c, email) : NULL;
	if (!k || !k->n)
		return false;
	k->n--;
	return true;
}

void email_counts_free(struct email_counts *c)
{
	free(c->slots);
	*c = (struct email_counts){ 0 };
}
