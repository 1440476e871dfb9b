#include "match.h"

#include "clock.h"
#include "fail.h"
#include "flags.h"
#include "mailbox_name.h"
#include "mime_summary.h"
#include "search.h"
#include "text_fold.h"

static int prepare_term(struct match *m, size_t i, int64_t now)
{
	/* terms are the arena's: resolving ages once here keeps the answer the same for all messages */
	struct query_term *t = (struct query_term *)(uintptr_t)&m->query.terms[i];
	struct buffer b = { 0 };
	if ((t->kind == QUERY_BEFORE || t->kind == QUERY_AFTER) && t->when.kind == WHEN_AGE) {
		t->when.us = now - t->when.us;
		t->when.kind = WHEN_INSTANT;
	}
	text_fold(t->text, &b);
	m->folded[i] = arena_copy(&m->arena, buffer_span(&b));
	buffer_free(&b);
	return m->folded[i].p ? OK : fail_with(ERR_LIMIT, "the query is too long");
}

int match_open(struct match *m, struct span query, int64_t now)
{
	*m = (struct match){ 0 };
	struct span text = arena_copy(&m->arena, query);
	int e = text.p ? query_parse(&m->arena, text, &m->query) : fail_with(ERR_LIMIT, "the query is too long");
	if (!e && m->query.n) {
		m->folded = arena_alloc(&m->arena, m->query.n * sizeof *m->folded);
		e = m->folded ? OK : fail_with(ERR_LIMIT, "the query is too long");
	}
	for (size_t i = 0; !e && i < m->query.n; i++)
		e = prepare_term(m, i, now);
	if (e)
		match_close(m);
	return e;
}

void match_close(struct match *m)
{
	arena_free(&m->arena);
	*m = (struct match){ 0 };
}

bool match_all(const struct match *m)
{
	return m->query.n == 0;
}

static int has_attachment(const struct entry *e, bool *yes)
{
	struct mime_summary v;
	int err = mime_summary_open(e->summary, &v);
	*yes = !err && v.has_attachment;
	return err;
}

static int in_folder(struct span folder, struct span name, bool *yes)
{
	*yes = span_ieq(folder, name) || mailbox_name_below(folder, name);
	return OK;
}

static int term_holds(struct match *m, size_t i, struct service *s, const struct entry *e, struct span folder, bool *yes)
{
	const struct query_term *t = &m->query.terms[i];
	struct span text = m->folded[i];
	*yes = false;
	switch (t->kind) {
	case QUERY_TEXT: return search_text(s, e, text, true, yes);
	case QUERY_BODY: return search_text(s, e, text, false, yes);
	case QUERY_FROM: return search_header(s, e, SPAN("From"), text, yes);
	case QUERY_TO: return search_header(s, e, SPAN("To"), text, yes);
	case QUERY_CC: return search_header(s, e, SPAN("Cc"), text, yes);
	case QUERY_SUBJECT: return search_header(s, e, SPAN("Subject"), text, yes);
	case QUERY_FOLDER: return in_folder(folder, t->text, yes);
	case QUERY_BEFORE: *yes = e->date < t->when.us; return OK;
	case QUERY_AFTER: *yes = e->date >= t->when.us; return OK;
	case QUERY_LARGER: *yes = e->size > t->number; return OK;
	case QUERY_SMALLER: *yes = e->size < t->number; return OK;
	case QUERY_ATTACHMENT: return has_attachment(e, yes);
	case QUERY_SEEN: *yes = e->flags & FLAG_SEEN; return OK;
	case QUERY_FLAGGED: *yes = e->flags & FLAG_FLAGGED; return OK;
	}
	return OK;
}

static bool is_cheap(enum query_kind kind)
{
	return kind != QUERY_TEXT && kind != QUERY_BODY;
}

int match_entry(struct match *m, struct service *s, const struct entry *e, struct span folder, bool *yes)
{
	*yes = true;
	for (int cheap = 1; cheap >= 0; cheap--) /* bodies are read only for what the rest lets through */
		for (size_t i = 0; i < m->query.n; i++) {
			bool holds;
			if (is_cheap(m->query.terms[i].kind) != cheap)
				continue;
			int err = term_holds(m, i, s, e, folder, &holds);
			if (err)
				return err;
			if (holds == m->query.terms[i].negated) {
				*yes = false;
				return OK;
			}
		}
	return OK;
}
