#include "imap_search.h"

#include "imap_chars.h"

/* What a key takes behind its name. */
enum argument { NONE, TEXT, FIELD, DAY, NUMBER, SECONDS, SET, KEYWORD, MODSEQ, OBJECT, ONE_KEY, TWO_KEYS };
/* Which side of the day a DAY key means. */
enum side { BEFORE, ON, SINCE };

static const struct key {
	struct span word;
	enum imap_search_op op;
	enum argument argument;
	bool negated;
	uint64_t flag;
	enum side side;
	struct span field;
} keys[] = {
	{ { "ALL", 3 }, SEARCH_ALL, NONE },
	{ { "ANSWERED", 8 }, SEARCH_FLAG, NONE, false, FLAG_ANSWERED },
	{ { "UNANSWERED", 10 }, SEARCH_FLAG, NONE, true, FLAG_ANSWERED },
	{ { "DELETED", 7 }, SEARCH_FLAG, NONE, false, FLAG_DELETED },
	{ { "UNDELETED", 9 }, SEARCH_FLAG, NONE, true, FLAG_DELETED },
	{ { "DRAFT", 5 }, SEARCH_FLAG, NONE, false, FLAG_DRAFT },
	{ { "UNDRAFT", 7 }, SEARCH_FLAG, NONE, true, FLAG_DRAFT },
	{ { "FLAGGED", 7 }, SEARCH_FLAG, NONE, false, FLAG_FLAGGED },
	{ { "UNFLAGGED", 9 }, SEARCH_FLAG, NONE, true, FLAG_FLAGGED },
	{ { "SEEN", 4 }, SEARCH_FLAG, NONE, false, FLAG_SEEN },
	{ { "UNSEEN", 6 }, SEARCH_FLAG, NONE, true, FLAG_SEEN },
	{ { "RECENT", 6 }, SEARCH_RECENT, NONE },
	{ { "OLD", 3 }, SEARCH_RECENT, NONE, true },
	{ { "NEW", 3 }, SEARCH_AND, NONE },
	{ { "KEYWORD", 7 }, SEARCH_KEYWORD, KEYWORD },
	{ { "UNKEYWORD", 9 }, SEARCH_KEYWORD, KEYWORD, true },
	{ { "FROM", 4 }, SEARCH_HEADER, TEXT, .field = { "From", 4 } },
	{ { "TO", 2 }, SEARCH_HEADER, TEXT, .field = { "To", 2 } },
	{ { "CC", 2 }, SEARCH_HEADER, TEXT, .field = { "Cc", 2 } },
	{ { "BCC", 3 }, SEARCH_HEADER, TEXT, .field = { "Bcc", 3 } },
	{ { "SUBJECT", 7 }, SEARCH_HEADER, TEXT, .field = { "Subject", 7 } },
	{ { "HEADER", 6 }, SEARCH_HEADER, FIELD },
	{ { "BODY", 4 }, SEARCH_BODY, TEXT },
	{ { "TEXT", 4 }, SEARCH_TEXT, TEXT },
	{ { "BEFORE", 6 }, SEARCH_INTERNAL, DAY, .side = BEFORE },
	{ { "ON", 2 }, SEARCH_INTERNAL, DAY, .side = ON },
	{ { "SINCE", 5 }, SEARCH_INTERNAL, DAY, .side = SINCE },
	{ { "SENTBEFORE", 10 }, SEARCH_SENT, DAY, .side = BEFORE },
	{ { "SENTON", 6 }, SEARCH_SENT, DAY, .side = ON },
	{ { "SENTSINCE", 9 }, SEARCH_SENT, DAY, .side = SINCE },
	{ { "LARGER", 6 }, SEARCH_LARGER, NUMBER },
	{ { "SMALLER", 7 }, SEARCH_SMALLER, NUMBER },
	{ { "SAVEDBEFORE", 11 }, SEARCH_SAVED_ON, DAY, .side = BEFORE },
	{ { "SAVEDON", 7 }, SEARCH_SAVED_ON, DAY, .side = ON },
	{ { "SAVEDSINCE", 10 }, SEARCH_SAVED_ON, DAY, .side = SINCE },
	{ { "SAVEDATESUPPORTED", 17 }, SEARCH_ALL, NONE },
	{ { "YOUNGER", 7 }, SEARCH_YOUNGER, SECONDS },
	{ { "OLDER", 5 }, SEARCH_OLDER, SECONDS },
	{ { "UID", 3 }, SEARCH_UID, SET },
	{ { "MODSEQ", 6 }, SEARCH_MODSEQ, MODSEQ },
	{ { "EMAILID", 7 }, SEARCH_EMAILID, OBJECT },
	{ { "THREADID", 8 }, SEARCH_THREADID, OBJECT },
	{ { "NOT", 3 }, SEARCH_NOT, ONE_KEY },
	{ { "OR", 2 }, SEARCH_OR, TWO_KEYS },
};

struct parser {
	struct imap_args *a;
	size_t keys;
	int depth;
	bool modseq, numbers, saved, ages, last;
};

static bool parse_key(struct parser *p, struct imap_search **out);

static struct imap_search *new_node(struct parser *p, enum imap_search_op op)
{
	if (++p->keys > SEARCH_KEYS_MAX) {
		imap_bad(p->a, "too many search keys");
		return NULL;
	}
	struct imap_search *s = arena_alloc(p->a->arena, sizeof *s);
	if (s)
		s->op = op;
	else
		imap_bad(p->a, "the command is too large");
	return s;
}

static struct imap_search *new_not(struct parser *p, struct imap_search *child)
{
	struct imap_search *s = new_node(p, SEARCH_NOT);
	if (s)
		s->child = child;
	return s;
}

/* NEW is RECENT UNSEEN. */
static bool fill_new(struct parser *p, struct imap_search *s)
{
	struct imap_search *recent = new_node(p, SEARCH_RECENT), *seen = new_node(p, SEARCH_FLAG);
	if (!recent || !seen)
		return false;
	seen->number = FLAG_SEEN;
	s->child = recent;
	recent->next = new_not(p, seen);
	return recent->next != NULL;
}

static bool take_keyword(struct parser *p, struct imap_search *s)
{
	if (!imap_atom(p->a, &s->text))
		return false;
	if (flag_parse(s->text, &s->number) != 0)
		return imap_bad(p->a, "not a keyword");
	if (s->number)
		s->op = SEARCH_FLAG;
	return true;
}

static bool take_day(struct parser *p, enum side side, struct imap_search *s)
{
	int64_t day;
	if (!imap_date(p->a, &day))
		return false;
	s->from = side == BEFORE ? INT64_MIN : day;
	s->to = side == BEFORE ? day : side == ON ? day + 1 : INT64_MAX;
	return true;
}

/* MODSEQ ["/flags/\\Seen" shared] 620: changes are not told apart by flag, so the entry's name is passed over, as
   RFC 7162 allows. */
static bool take_modseq(struct parser *p, struct imap_search *s)
{
	struct span entry, type;
	p->modseq = true;
	if (imap_peek(p->a, '"') &&
	    (!imap_string(p->a, &entry) || !imap_sp(p->a) || !imap_atom(p->a, &type) || !imap_sp(p->a)))
		return false;
	return imap_number64(p->a, &s->number);
}

static bool take_uid_set(struct parser *p, struct imap_search *s)
{
	if (!imap_set(p->a, &s->set))
		return false;
	for (size_t i = 0; i < s->set.n; i++)
		p->last = p->last || !s->set.ranges[i].first || !s->set.ranges[i].last;
	return true;
}

static bool take_age(struct parser *p, struct imap_search *s)
{
	p->ages = true;
	return imap_number64(p->a, &s->number) && (s->number > 0 || imap_bad(p->a, "an age in seconds expected"));
}

static bool take_uids(struct parser *p, struct imap_search *s)
{
	if (!imap_take(p->a, '$'))
		return take_uid_set(p, s);
	s->op = SEARCH_RESULT;
	p->saved = true;
	return true;
}

static bool take_children(struct parser *p, struct imap_search *s, int n)
{
	struct imap_search **to = &s->child;
	for (; n > 0; n--, to = &(*to)->next)
		if ((to != &s->child && !imap_sp(p->a)) || !parse_key(p, to))
			return false;
	return true;
}

static bool take_argument(struct parser *p, const struct key *k, struct imap_search *s)
{
	struct imap_args *a = p->a;
	switch (k->argument) {
	case NONE:
		return k->op != SEARCH_AND || fill_new(p, s);
	case TEXT:
		return imap_astring(a, &s->text);
	case FIELD:
		return imap_astring(a, &s->name) && imap_sp(a) && imap_astring(a, &s->text);
	case DAY:
		return take_day(p, k->side, s);
	case NUMBER:
		return imap_number64(a, &s->number);
	case SECONDS:
		return take_age(p, s);
	case SET:
		return take_uids(p, s);
	case KEYWORD:
		return take_keyword(p, s);
	case MODSEQ:
		return take_modseq(p, s);
	case OBJECT:
		return imap_astring(a, &s->text);
	case ONE_KEY:
		return take_children(p, s, 1);
	case TWO_KEYS:
		return take_children(p, s, 2);
	}
	return false;
}

static bool parse_named(struct parser *p, const struct key *k, struct imap_search **out)
{
	struct imap_search *s = new_node(p, k->op);
	if (!s)
		return false;
	s->number = k->flag;
	s->name = k->field;
	if (k->argument != NONE && !imap_sp(p->a))
		return false;
	if (!take_argument(p, k, s))
		return false;
	*out = k->negated ? new_not(p, s) : s;
	return *out != NULL;
}

/* Keys side by side, up to the ')' or the end of the command. */
static bool parse_all(struct parser *p, char end, struct imap_search **out)
{
	struct imap_search *s = new_node(p, SEARCH_AND);
	if (!s)
		return false;
	for (struct imap_search **to = &s->child;; to = &(*to)->next) {
		if (!parse_key(p, to))
			return false;
		if (end ? imap_take(p->a, end) : span_trim(p->a->rest).n == 0)
			break;
		if (!imap_sp(p->a))
			return false;
	}
	*out = s->child->next ? s : s->child;
	return true;
}

static bool parse_set(struct parser *p, struct imap_search **out)
{
	struct imap_search *s = new_node(p, SEARCH_SET);
	p->numbers = true;
	if (!s || !imap_set(p->a, &s->set))
		return false;
	*out = s;
	return true;
}

static bool parse_one(struct parser *p, struct imap_search **out)
{
	if (imap_take(p->a, '$'))
		return p->saved = true, (*out = new_node(p, SEARCH_RESULT)) != NULL;
	if (imap_take(p->a, '('))
		return parse_all(p, ')', out);
	if (imap_peek(p->a, '*') || (p->a->rest.n && imap_is_digit(p->a->rest.p[0])))
		return parse_set(p, out);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (imap_take_word(p->a, keys[i].word))
			return parse_named(p, &keys[i], out);
	return imap_bad(p->a, "no such search key");
}

static bool parse_key(struct parser *p, struct imap_search **out)
{
	if (p->depth == SEARCH_DEPTH_MAX)
		return imap_bad(p->a, "search keys are nested too deep");
	p->depth++;
	bool ok = parse_one(p, out);
	p->depth--;
	return ok;
}

static const char *const return_names[] = { "MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL" };

static bool take_return(struct imap_args *a, struct imap_search_returns *r)
{
	struct span word;
	size_t i = 0, n = sizeof return_names / sizeof *return_names;
	if (!imap_atom(a, &word))
		return false;
	if (span_ieq(word, SPAN("CONTEXT"))) /* it will be asked again: nothing is made of that */
		return true;
	if (span_ieq(word, SPAN("UPDATE")))
		return r->update = true;
	while (i < n && !span_ieq(word, span_of(return_names[i])))
		i++;
	if (i == n)
		return imap_bad(a, "MIN, MAX, ALL, COUNT, SAVE, PARTIAL, CONTEXT or UPDATE expected");
	if (1u << i == SEARCH_RETURN_PARTIAL) {
		if (r->what & SEARCH_RETURN_PARTIAL)
			return imap_bad(a, "PARTIAL can be asked for once");
		if (!imap_sp(a) || !imap_partial(a, &r->partial))
			return false;
	}
	r->what |= 1u << i;
	return true;
}

bool imap_search_returns(struct imap_args *a, struct imap_search_returns *out)
{
	struct imap_search_returns r = { 0 };
	if (!imap_take_word(a, SPAN("RETURN")))
		return true;
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!take_return(a, &r))
			return false;
	if ((r.what & SEARCH_RETURN_PARTIAL) && (r.what & SEARCH_RETURN_ALL)) /* RFC 9394, 3.1 */
		return imap_bad(a, "PARTIAL or ALL, not both");
	if (r.what == 0)
		r.what = SEARCH_RETURN_ALL;
	*out = r;
	return imap_sp(a);
}

bool imap_search_keys(struct imap_args *a, struct imap_search_query *out)
{
	struct parser p = { .a = a };
	struct imap_search *root;
	if (!parse_all(&p, 0, &root) || !imap_end(a))
		return false;
	out->root = root;
	out->modseq = p.modseq;
	out->numbers = p.numbers;
	out->saved = p.saved;
	out->ages = p.ages;
	out->last = p.last;
	return true;
}

bool imap_search_parse(struct imap_args *a, struct imap_search_query *out)
{
	struct imap_search_query q = { 0 };
	if (!imap_search_returns(a, &q.returns))
		return false;
	if (imap_take_word(a, SPAN("CHARSET")) && (!imap_sp(a) || !imap_astring(a, &q.charset) || !imap_sp(a)))
		return false;
	if (!imap_search_keys(a, &q))
		return false;
	*out = q;
	return true;
}
