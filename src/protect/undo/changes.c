#include "changes.h"

#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "store.h"

enum { PAGE = 5000, RANGE_MAX = 500000000 };

struct load {
	struct changes *c;
	int64_t account, changeset, next, seen;
	struct span client;
	size_t got;
};

static struct span next_word(struct span *text)
{
	while (text->n && *text->p == ' ')
		*text = span_sub(*text, 1, text->n);
	size_t n = 0;
	while (n < text->n && text->p[n] != ' ')
		n++;
	struct span word = span_sub(*text, 0, n);
	*text = span_sub(*text, n, text->n);
	return word;
}

/* Does this journal row belong to client: its session as history writes it, or all words of its client and address
   ("lmtp", "imap Thunderbird", "Thunderbird")? */
static bool made_by(struct span client, struct span row_client, int64_t session)
{
	char hex[24];
	struct span word, other;
	snprintf(hex, sizeof hex, "%llx", (unsigned long long)session);
	if (span_ieq(client, span_of(hex)))
		return true;
	while ((word = next_word(&client)).n) {
		struct span rest = row_client;
		do
			other = next_word(&rest);
		while (other.n && !span_ieq(word, other));
		if (!other.n)
			return false;
	}
	return true;
}

static bool is_wanted(const struct load *l, enum change_kind kind, struct span client, int64_t session)
{
	if (kind == CHANGE_ACCOUNT_ADD)
		return false;
	return l->client.n ? made_by(l->client, client, session) : kind != CHANGE_DELIVER;
}

static void take(struct load *l, int64_t change)
{
	uint64_t at = (uint64_t)(change - l->c->first);
	l->c->bits[at / 8] |= (unsigned char)(1 << at % 8);
	l->c->n++;
}

static int read_page(struct meta_txn *t, void *arg)
{
	struct load *l = arg;
	struct meta_rows r;
	int64_t last = l->next;
	l->got = 0;
	int e = meta_query(t, &r, META_JOURNAL_WHO, "iii", l->account, l->next, (int64_t)PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		int64_t change = meta_int(&r, 0);
		l->got++;
		last = change + 1;
		if (change <= l->seen) /* this page is read again */
			continue;
		l->seen = change;
		if (change <= l->c->last && is_wanted(l, (enum change_kind)meta_int(&r, 2), meta_span(&r, 3), meta_int(&r, 4)))
			take(l, change);
		if (change > l->c->head && meta_int(&r, 1) == l->changeset)
			changes_add_ours(l->c, change);
	}
	meta_done(&r);
	l->next = last;
	return e;
}

int changes_read(struct service *s, int64_t account, struct span client, int64_t changeset, struct changes *c)
{
	struct load l = { .c = c, .account = account, .changeset = changeset, .next = c->first, .seen = c->first - 1,
		          .client = client };
	int e = c->last - c->first < RANGE_MAX ? OK : fail_with(ERR_LIMIT, "the range is too long: undo it in parts");
	if (!e)
		c->bits = calloc((size_t)(c->last - c->first) / 8 + 1, 1);
	if (!e && !c->bits)
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	do {
		if (!e)
			e = meta_read(service_store(s)->meta, read_page, &l);
		if (l.next > c->last && l.next <= c->head)
			l.next = c->head + 1; /* between the range and the undo itself nothing matters */
	} while (!e && l.got == PAGE);
	if (!e && !buffer_ok(&c->ours))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	return e;
}

void changes_add_ours(struct changes *c, int64_t change)
{
	buffer_put(&c->ours, &change, sizeof change);
}

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

enum changes_source changes_source(const struct changes *c, int64_t change)
{
	size_t n = c->ours.n / sizeof change;
	if (change >= c->first && change <= c->last) {
		uint64_t at = (uint64_t)(change - c->first);
		return c->bits[at / 8] >> at % 8 & 1 ? CHANGES_UNDONE : CHANGES_OTHERS;
	}
	return change > c->head && n && bsearch(&change, c->ours.p, n, sizeof change, by_number) ? CHANGES_OURS : CHANGES_OTHERS;
}

void changes_free(struct changes *c)
{
	free(c->bits);
	buffer_free(&c->ours);
	*c = (struct changes){ 0 };
}
