/* Emails: their blobs, and what is kept of them for clients; and what is remembered of deliveries. */
#include <stdlib.h>

#include "mime_summary.h"
#include "verify_private.h"

struct email_row {
	int64_t id, account, blob, size, created;
	int64_t blob_id, blob_size, blob_state, use; /* 0: no such row */
	int64_t head;                                /* of the account; -1: there is none */
	bool sound;                                  /* its summary */
};

struct email_page {
	int64_t after;
	struct email_row rows[VERIFY_PAGE];
	size_t n;
};

static int read_emails(struct meta_txn *t, void *arg)
{
	struct email_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_CHECK_EMAILS, "ii", p->after, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct mime_summary view;
		p->rows[p->n++] = (struct email_row){
			.id = meta_int(&r, 0), .account = meta_int(&r, 1), .blob = meta_int(&r, 2), .size = meta_int(&r, 3),
			.created = meta_int(&r, 4), .sound = mime_summary_open(meta_span(&r, 5), &view) == OK, .blob_id = meta_int(&r, 6),
			.blob_size = meta_int(&r, 7), .blob_state = meta_int(&r, 8), .use = meta_int(&r, 9), .head = meta_int(&r, 10),
		};
	}
	meta_done(&r);
	return e;
}

static void tell(struct verify *v, const struct email_row *k, const char *what)
{
	char name[VERIFY_NAME_MAX];
	trouble(v, "%s: email %lld (blob %lld): %s", verify_account_name(v, k->account, name), (long long)k->id,
	        (long long)k->blob, what);
}

static void verify_email(struct verify *v, const struct email_row *k)
{
	v->report.emails++;
	if (k->created <= 0 || k->created > k->head)
		tell(v, k, "its account is not there, or has not come to its change yet: " FIX_DATABASE);
	if (!verify_minted(v, k->id))
		tell(v, k, "its id was minted by no known start of a node, and may be minted again: " FIX_DATABASE);
	if (!k->sound)
		tell(v, k, "what is kept of it for clients cannot be read: " FIX_DATABASE);
	if (!k->blob_id)
		tell(v, k, "its blob has no row, so its text cannot be found: " FIX_DATABASE);
	else if (k->blob_size != k->size)
		tell(v, k, "its size is not its blob's: " FIX_DATABASE);
	else if (k->blob_state)
		tell(v, k, "its blob is condemned and will be removed: do not purge; " FIX_DATABASE);
	if (k->blob_id && !k->use)
		tell(v, k, "nothing says that it uses its blob, so a purge may take it: do not purge; " FIX_DATABASE);
}

int verify_emails(struct verify *v)
{
	struct email_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e;
	do {
		e = verify_failure(v, meta_read(meta_of(v), read_emails, p), "emails");
		for (size_t i = 0; !e && i < p->n; i++) {
			verify_email(v, &p->rows[i]);
			p->after = p->rows[i].id;
		}
	} while (!e && !verify_step(v, p->n) && p->n == VERIFY_PAGE);
	free(p);
	return e;
}

/* --- Deliveries --- */

struct delivery_row {
	int64_t blob, account, change, stamp, head, head_stamp, blob_id;
	unsigned char hash[32];
	size_t hash_n;
};

struct delivery_page {
	struct delivery_row after, rows[VERIFY_PAGE];
	size_t n;
};

static int read_deliveries(struct meta_txn *t, void *arg)
{
	struct delivery_page *p = arg;
	struct meta_rows r;
	const struct delivery_row *a = &p->after;
	p->n = 0;
	int e = meta_query(t, &r, META_CHECK_DELIVERIES, "iiiibi", a->blob, a->blob, a->account, a->account,
	                   span_from(a->hash, a->hash_n), (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct delivery_row *k = &p->rows[p->n++];
		struct span hash = span_sub(meta_span(&r, 2), 0, sizeof k->hash);
		*k = (struct delivery_row){ meta_int(&r, 0), meta_int(&r, 1), meta_int(&r, 3), meta_int(&r, 4), meta_int(&r, 5),
			                    meta_int(&r, 6), meta_int(&r, 7), "", hash.n };
		memcpy(k->hash, hash.p, hash.n);
	}
	meta_done(&r);
	return e;
}

static void verify_delivery(struct verify *v, const struct delivery_row *k)
{
	char name[VERIFY_NAME_MAX];
	if (k->head >= 0 && (k->change > k->head || k->stamp > k->head_stamp)) /* an account that was purged leaves what is remembered */
		trouble(v, "%s: a delivery is remembered of @%lld, which is still to come: " FIX_DATABASE,
		        verify_account_name(v, k->account, name), (long long)k->change);
	if (!k->blob_id)
		trouble(v, "%s: the delivery of @%lld is remembered by a blob that is not there, so a repeat would be stored again: "
		        FIX_REPORT, verify_account_name(v, k->account, name), (long long)k->change);
}

int verify_deliveries(struct verify *v)
{
	struct delivery_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e;
	do {
		e = verify_failure(v, meta_read(meta_of(v), read_deliveries, p), "deliveries");
		for (size_t i = 0; !e && i < p->n; i++)
			verify_delivery(v, &p->rows[i]);
		if (p->n)
			p->after = p->rows[p->n - 1];
	} while (!e && p->n == VERIFY_PAGE && !verify_step(v, 0));
	free(p);
	return e;
}
