#include "annotations.h"

#include "fail.h"
#include "folder.h"
#include "imap_quote.h"
#include "reply.h"
#include "settings.h"
#include "special_use.h"

static const struct span special_use = { METADATA_SPECIAL_USE, sizeof METADATA_SPECIAL_USE - 1 }, admin = { "/shared/admin", 13 };

bool is_special_use(const struct metadata_place *p, struct span entry)
{
	return p->folder && span_eq(entry, special_use);
}

/* ---- What is no item of an account */

static int add_special_use(struct command *c, const struct metadata_place *p, int64_t attributes, struct imap_metadata_value *out)
{
	struct buffer text = { 0 };
	special_use_put(&text, p->owner == p->viewer ? attributes : 0);
	struct span uses = span_trim(buffer_span(&text));
	*out = (struct imap_metadata_value){ special_use, uses.n ? arena_copy(&c->arena, uses) : uses };
	if (!uses.n)
		out->value = (struct span){ 0 };
	bool whole = buffer_ok(&text) && (!uses.n || out->value.p);
	buffer_free(&text);
	return whole ? OK : fail_with(ERR_LIMIT, "over a limit");
}

/* Whom to ask is the postmaster, where there is one. */
static int add_admin(struct command *c, struct imap_metadata_value *out)
{
	struct settings settings;
	int rc = settings_of(c->session->node->identity, c->session->account, &settings);
	if (rc)
		return rc;
	*out = (struct imap_metadata_value){ .name = admin };
	if (!settings.postmaster[0])
		return OK;
	struct buffer text = { 0 };
	buffer_printf(&text, "mailto:%s", settings.postmaster);
	out->value = arena_copy(&c->arena, buffer_span(&text));
	buffer_free(&text);
	return out->value.p ? OK : fail_with(ERR_LIMIT, "over a limit");
}

/* ---- Lines */

struct line {
	struct command *c;
	struct span name;
	const struct imap_metadata_query *q;
	bool open;
	size_t longest;
};

static void put_value(struct line *l, struct span entry, struct span value)
{
	struct buffer *out = l->c->out;
	if (value.n > l->q->max) {
		l->longest = value.n > l->longest ? value.n : l->longest;
		return;
	}
	if (!l->open) {
		buffer_puts(out, "* METADATA ");
		imap_put_mailbox(out, l->name, l->c->session->utf8);
		buffer_puts(out, " (");
	} else {
		buffer_putc(out, ' ');
	}
	l->open = true;
	imap_put_astring(out, entry);
	buffer_putc(out, ' ');
	imap_put_nstring8(out, value);
}

static bool is_there(const struct imap_metadata_value *list, size_t n, struct span name)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].value.p && span_eq(list[i].name, name))
			return true;
	return false;
}

static void put_line(struct line *l, const struct imap_metadata_value *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].value.p && imap_metadata_asks_for(l->q, list[i].name))
			put_value(l, list[i].name, list[i].value);
	for (size_t i = 0; l->q->depth == METADATA_DEPTH_0 && i < l->q->n; i++)
		if (!is_there(list, n, l->q->names[i]))
			put_value(l, l->q->names[i], (struct span){ 0 });
	if (l->open)
		buffer_puts(l->c->out, ")\r\n");
}

int put_metadata(struct command *c, struct span name, const struct metadata_place *p, int64_t attributes,
                 const struct imap_metadata_query *q, size_t *longest)
{
	struct line l = { .c = c, .name = name, .q = q, .longest = *longest };
	struct imap_metadata_value *list, more;
	struct arena memory = { 0 };
	size_t n;
	int rc = p->folder ? add_special_use(c, p, attributes, &more) : add_admin(c, &more);
	if (!rc)
		rc = metadata_read(c->session->node->service, p, &memory, &list, &n);
	if (!rc) {
		list[n++] = more; /* there is room for one */
		put_line(&l, list, n);
		*longest = l.longest;
	}
	arena_free(&memory);
	return rc;
}

/* ---- Replies */

enum imap_step reply_metadata(struct command *c, size_t longest)
{
	if (!longest)
		return reply_completed(c);
	reply_ok(c, "");
	buffer_printf(&c->reply, "[METADATA LONGENTRIES %zu] %s completed", longest, c->entry->word);
	return IMAP_DONE;
}

enum imap_step reply_metadata_size(struct command *c)
{
	reply_no(c, "");
	buffer_printf(&c->reply, "[METADATA MAXSIZE %d] That value is too large", METADATA_VALUE_MAX);
	return IMAP_DONE;
}
