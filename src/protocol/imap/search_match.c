#include "search_match.h"

#include "calendar.h"
#include "clock.h"
#include "fail.h"
#include "flags.h"
#include "names.h"
#include "search.h"
#include "text_fold.h"

static int fold_text(struct imap_search *key, struct arena *a)
{
	struct buffer folded = { 0 };
	text_fold(key->text, &folded);
	struct span copy = arena_copy(a, buffer_span(&folded));
	bool ok = buffer_ok(&folded) && copy.p;
	buffer_free(&folded);
	if (!ok)
		return fail_with(ERR_LIMIT, "the search is too large");
	key->text = copy;
	return OK;
}

static int prepare_one(struct imap_search *key, const struct view *v, const struct imap_set *saved, struct arena *a)
{
	switch (key->op) {
	case SEARCH_SET:
		imap_set_resolve(&key->set, view_count(v));
		return OK;
	case SEARCH_UID:
		imap_set_resolve(&key->set, view_uid(v, view_count(v)));
		return OK;
	case SEARCH_RESULT:
		key->op = SEARCH_UID;
		key->set = *saved;
		return OK;
	case SEARCH_HEADER: case SEARCH_BODY: case SEARCH_TEXT:
		return fold_text(key, a);
	default:
		return OK;
	}
}

int search_prepare(struct imap_search *key, const struct view *v, const struct imap_set *saved, struct arena *a)
{
	int rc = prepare_one(key, v, saved, a);
	for (struct imap_search *k = key->child; !rc && k; k = k->next)
		rc = search_prepare(k, v, saved, a);
	return rc;
}

static enum search_round round_of(const struct imap_search *key)
{
	switch (key->op) {
	case SEARCH_ALL: case SEARCH_AND: case SEARCH_OR: case SEARCH_NOT:
	case SEARCH_SET: case SEARCH_UID: case SEARCH_RECENT:
		return ROUND_NUMBER;
	case SEARCH_HEADER: case SEARCH_BODY: case SEARCH_TEXT:
		return ROUND_MESSAGE;
	case SEARCH_SENT:
		return ROUND_SUMMARY;
	default:
		return ROUND_ENTRY;
	}
}

enum search_round search_last_round(const struct imap_search *key)
{
	enum search_round last = round_of(key);
	for (const struct imap_search *k = key->child; k; k = k->next) {
		enum search_round r = search_last_round(k);
		if (r > last)
			last = r;
	}
	return last;
}

static int64_t day_of(int64_t us)
{
	int64_t day = DAY_SECONDS * SECOND_US;
	return us >= 0 ? us / day : -((-us + day - 1) / day);
}

static bool between(const struct imap_search *key, int64_t day)
{
	return key->from <= day && day < key->to;
}

/* The day as the sender's clock showed it. */
static bool sent_between(const struct imap_search *key, const struct mime_summary *s)
{
	return s->has_date && between(key, day_of((s->date.seconds + s->date.zone * 60) * SECOND_US));
}

static int text_found(const struct imap_search *key, struct search_subject *m, bool *done, bool *found)
{
	int rc = m->text ? OK : text_search_open(m->service, &m->entry, key->text, key->op == SEARCH_TEXT, &m->text);
	while (!rc && !*done && clock_mono() < m->until)
		rc = text_search_step(m->text, done, found);
	if (!rc && !*done)
		text_search_pause(m->text);
	else
		text_search_close(&m->text);
	return rc;
}

/* What the bytes of the message must answer. */
static enum search_answer ask_message(const struct imap_search *key, struct search_subject *m)
{
	bool done = false, found = false;
	if (m->failure)
		return SEARCH_NO;
	if (m->asked < m->answered)
		return m->answers[m->asked++] ? SEARCH_YES : SEARCH_NO;
	if (m->paused || clock_mono() >= m->until) {
		m->paused = true;
		return SEARCH_LATER;
	}
	if (key->op == SEARCH_HEADER) {
		m->failure = search_header(m->service, &m->entry, key->name, key->text, &found);
		done = true;
	} else {
		m->failure = text_found(key, m, &done, &found);
	}
	if (m->failure)
		return SEARCH_NO;
	m->paused = !done;
	if (!done)
		return SEARCH_LATER;
	m->answers[m->answered++] = found;
	m->asked++;
	return found ? SEARCH_YES : SEARCH_NO;
}

static enum search_answer match_header(const struct imap_search *key, struct search_subject *m)
{
	bool found = false;
	if (m->round == ROUND_MESSAGE)
		return ask_message(key, m);
	if (!mime_summary_has_fields(&m->summary, &key->name, 1))
		return SEARCH_LATER;
	if (!m->failure)
		m->failure = search_header(m->service, &m->entry, key->name, key->text, &found);
	return found && !m->failure ? SEARCH_YES : SEARCH_NO;
}

static enum search_answer match_and(const struct imap_search *key, struct search_subject *m)
{
	enum search_answer all = SEARCH_YES;
	for (const struct imap_search *k = key->child; k; k = k->next) {
		enum search_answer one = search_match(k, m);
		if (one == SEARCH_NO)
			return SEARCH_NO;
		if (one == SEARCH_LATER)
			all = SEARCH_LATER;
	}
	return all;
}

static enum search_answer match_or(const struct imap_search *key, struct search_subject *m)
{
	enum search_answer any = SEARCH_NO;
	for (const struct imap_search *k = key->child; k; k = k->next) {
		enum search_answer one = search_match(k, m);
		if (one == SEARCH_YES)
			return SEARCH_YES;
		if (one == SEARCH_LATER)
			any = SEARCH_LATER;
	}
	return any;
}

static enum search_answer match_not(const struct imap_search *key, struct search_subject *m)
{
	enum search_answer one = search_match(key->child, m);
	return one == SEARCH_LATER ? one : one == SEARCH_YES ? SEARCH_NO : SEARCH_YES;
}

static int64_t ago(int64_t now, uint64_t seconds)
{
	return seconds < INT64_MAX / 2 / SECOND_US ? now - (int64_t)seconds * SECOND_US : INT64_MIN;
}

static bool is_emailid(struct span text, int64_t email)
{
	struct buffer id = { 0 };
	put_emailid(&id, email);
	bool same = span_eq(text, buffer_span(&id));
	buffer_free(&id);
	return same;
}

/* Keys that need the entry alone. There are no threads: nothing matches a THREADID (RFC 8474, 5.2). */
static bool match_entry(const struct imap_search *key, const struct search_subject *m)
{
	const struct entry *e = &m->entry;
	switch (key->op) {
	case SEARCH_FLAG:
		return e->flags & key->number;
	case SEARCH_KEYWORD:
		return keywords_contains(e->keywords, key->text);
	case SEARCH_INTERNAL:
		return between(key, day_of(e->date));
	case SEARCH_SAVED_ON:
		return between(key, day_of(e->saved));
	case SEARCH_LARGER:
		return e->size > key->number;
	case SEARCH_SMALLER:
		return e->size < key->number;
	case SEARCH_YOUNGER:
		return e->date >= ago(m->now, key->number);
	case SEARCH_MODSEQ:
		return (uint64_t)e->change >= key->number;
	case SEARCH_EMAILID:
		return is_emailid(key->text, e->email);
	case SEARCH_OLDER:
		return e->date <= ago(m->now, key->number);
	default:
		return false;
	}
}

static enum search_answer match_one(const struct imap_search *key, struct search_subject *m)
{
	switch (key->op) {
	case SEARCH_ALL:
		return SEARCH_YES;
	case SEARCH_SET:
		return imap_set_contains(&key->set, m->number) ? SEARCH_YES : SEARCH_NO;
	case SEARCH_UID:
		return imap_set_contains(&key->set, m->uid) ? SEARCH_YES : SEARCH_NO;
	case SEARCH_RECENT:
		return m->uid >= view_info(m->view)->recent_from ? SEARCH_YES : SEARCH_NO;
	case SEARCH_SENT:
		return sent_between(key, &m->summary) ? SEARCH_YES : SEARCH_NO;
	case SEARCH_HEADER:
		return match_header(key, m);
	case SEARCH_BODY: case SEARCH_TEXT:
		return ask_message(key, m);
	default:
		return match_entry(key, m) ? SEARCH_YES : SEARCH_NO;
	}
}

enum search_answer search_match(const struct imap_search *key, struct search_subject *m)
{
	switch (key->op) {
	case SEARCH_AND:
		return match_and(key, m);
	case SEARCH_OR:
		return match_or(key, m);
	case SEARCH_NOT:
		return match_not(key, m);
	case SEARCH_HEADER: /* the summary may know */
		return m->round < ROUND_SUMMARY ? SEARCH_LATER : match_one(key, m);
	default:
		return m->round < round_of(key) ? SEARCH_LATER : match_one(key, m);
	}
}

enum search_answer search_match_message(const struct imap_search *key, struct search_subject *m, int64_t until)
{
	m->round = ROUND_MESSAGE;
	m->until = until;
	m->paused = false;
	m->asked = 0;
	return search_match(key, m);
}

void search_subject_end(struct search_subject *m)
{
	text_search_close(&m->text);
}
