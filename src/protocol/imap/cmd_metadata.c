/* GETMETADATA and SETMETADATA (RFC 5464): annotations of mailboxes, and of the server, where users keep only private ones. */
#include "annotations.h"
#include "fail.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"
#include "special_use.h"

/* What a command is about. */
struct target {
	struct span name; /* empty: the server */
	struct metadata_place at;
	int64_t attributes;
	unsigned rights;
};

/* Mailboxes of which the user may know something. */
static int find_mailbox(struct command *c, struct target *t)
{
	struct place p;
	int rc = name_is_past(t->name) ? fail_with(ERR_CANNOT, "annotations are those of today") : find_allowed(c, t->name, RIGHT_LOOKUP, &p);
	if (!rc && !(p.rights & RIGHTS_ANNOTATIONS))
		rc = fail_with(ERR_DENIED, "not allowed");
	if (rc)
		return rc;
	t->at.owner = p.account;
	t->rights = p.rights;
	return metadata_folder(c->session->node->service, p.account, p.path, &t->at.folder, &t->attributes);
}

static int find_annotated(struct command *c, struct span sent, struct target *t)
{
	*t = (struct target){ .at = { .owner = c->session->account, .viewer = c->session->account } };
	if (!sent.n)
		return OK;
	int rc = mailbox_arg(c, sent, &t->name);
	return rc ? rc : find_mailbox(c, t);
}

enum imap_step cmd_getmetadata(struct command *c)
{
	struct imap_metadata_query q;
	struct span sent;
	struct target t;
	size_t longest = 0;
	if (!imap_getmetadata_parse(&c->args, &sent, &q))
		return reply_bad_args(c);
	int rc = find_annotated(c, sent, &t);
	if (!rc)
		rc = put_metadata(c, t.name, &t.at, t.attributes, &q, &longest);
	return rc ? reply_failure(c, rc) : reply_metadata(c, longest);
}

/* ---- SETMETADATA */

struct setting {
	struct imap_metadata_value *values;
	size_t n;
	bool has_special;
	int64_t special;
};

static bool is_shared(struct span entry)
{
	return span_istarts(entry, SPAN("/shared/"));
}

static bool may_set(const struct target *t, const struct imap_metadata_value *v)
{
	return !is_shared(v->name) || t->rights & RIGHT_WRITE;
}

/* "\Sent \Drafts". */
static bool read_special_use(struct span text, int64_t *out)
{
	int64_t special = 0;
	for (text = span_trim(text); text.n; text = span_trim(text)) {
		ssize_t blank = span_find(text, ' ');
		struct span word = span_sub(text, 0, blank < 0 ? text.n : (size_t)blank);
		int64_t one = word.p[0] == '\\' ? special_use_find(span_sub(word, 1, word.n)) : 0;
		if (!one)
			return false;
		special |= one;
		text = span_sub(text, word.n, text.n);
	}
	*out = special;
	return true;
}

/* Takes it out of the values: it is an attribute of the mailbox. */
static bool take_special_use(const struct target *t, struct setting *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (!is_special_use(&t->at, s->values[i].name)) {
			s->values[kept++] = s->values[i];
			continue;
		}
		s->has_special = true;
		if (t->at.owner != t->at.viewer || !read_special_use(s->values[i].value, &s->special))
			return false;
	}
	s->n = kept;
	return true;
}

static enum imap_step set(struct command *c, const struct target *t, struct setting *s)
{
	struct actor actor = session_actor(c->session);
	for (size_t i = 0; i < s->n; i++) {
		if (s->values[i].value.n > METADATA_VALUE_MAX)
			return reply_metadata_size(c);
		if (!may_set(t, &s->values[i]))
			return reply_no(c, "[NOPERM] Not allowed");
	}
	if (!take_special_use(t, s))
		return reply_no(c, "[USEATTR] The mailbox cannot be for that use");
	int rc = metadata_change(c->session->node->service, &t->at, s->values, s->n, s->has_special ? &s->special : NULL, &actor);
	if (rc == ERR_LIMIT)
		return reply_no(c, "[METADATA TOOMANY] There are too many annotations");
	if (rc == ERR_DENIED)
		return reply_no(c, "[USEATTR] Another mailbox is for that use, or this one cannot be");
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step cmd_setmetadata(struct command *c)
{
	struct setting s = { 0 };
	struct span sent;
	struct target t;
	if (!imap_setmetadata_parse(&c->args, &sent, &s.values, &s.n))
		return reply_bad_args(c);
	int rc = find_annotated(c, sent, &t);
	return rc ? reply_failure(c, rc) : set(c, &t, &s);
}
