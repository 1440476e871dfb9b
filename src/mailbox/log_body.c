#include "log_body.h"

#include "fail.h"
#include "varint.h"

static void close_range(struct log_uids *u)
{
	varint_put(&u->ranges, u->first >= u->prev ? (u->first - u->prev) << 1 : (u->prev - u->first) << 1 | 1);
	varint_put(&u->ranges, u->last - u->first);
	u->prev = u->last;
	u->count++;
}

void log_uids_add(struct log_uids *u, uint32_t uid)
{
	if (u->first && uid == u->last + 1) {
		u->last = uid;
		return;
	}
	if (u->first)
		close_range(u);
	u->first = u->last = uid;
}

void log_uids_close(struct log_uids *u, struct buffer *body, enum log_op op, int64_t collection, int64_t from)
{
	if (u->first) {
		close_range(u);
		varint_put(body, op);
		varint_put(body, (uint64_t)collection);
		if (op == LOG_ADD)
			varint_put(body, (uint64_t)from);
		varint_put(body, u->count);
		varint_put_span(body, buffer_span(&u->ranges));
		body->failed = body->failed || !buffer_ok(&u->ranges);
	}
	buffer_free(&u->ranges);
	*u = (struct log_uids){ 0 };
}

void log_names(struct buffer *body, enum log_op op, int64_t collection, struct span a, struct span b)
{
	varint_put(body, op);
	varint_put(body, (uint64_t)collection);
	varint_put_span(body, a);
	if (op == LOG_FOLDER_RENAME || op == LOG_ENVELOPE)
		varint_put_span(body, b);
}

static bool read_uids(struct span *body, struct log_operation *out)
{
	uint64_t from = 0;
	if (out->op == LOG_ADD && !varint_get(body, &from))
		return false;
	out->from = (int64_t)from;
	return varint_get(body, &out->ranges) && varint_get_span(body, &out->uids);
}

static bool read_names(struct span *body, struct log_operation *out)
{
	if (!varint_get_span(body, &out->a))
		return false;
	return (out->op != LOG_FOLDER_RENAME && out->op != LOG_ENVELOPE) || varint_get_span(body, &out->b);
}

int log_next(struct span *body, struct log_operation *out)
{
	uint64_t op, collection;
	if (body->n == 0)
		return 0;
	if (!varint_get(body, &op) || !varint_get(body, &collection) || op < LOG_ADD || op > LOG_ITEM_END)
		return fail_with(ERR_CORRUPT, "journal body is damaged");
	*out = (struct log_operation){ .op = (enum log_op)op, .collection = (int64_t)collection };
	if (!(op <= LOG_END ? read_uids(body, out) : read_names(body, out)))
		return fail_with(ERR_CORRUPT, "journal body is damaged");
	return 1;
}

bool log_next_range(struct log_operation *op, uint64_t *at, uint32_t *first, uint32_t *last)
{
	uint64_t gap, more;
	if (!varint_get(&op->uids, &gap) || !varint_get(&op->uids, &more))
		return false;
	uint64_t start = gap & 1 ? *at - (gap >> 1) : *at + (gap >> 1);
	if (start == 0 || start > UINT32_MAX || more > UINT32_MAX - start)
		return false;
	*first = (uint32_t)start;
	*last = (uint32_t)(start + more);
	*at = *last;
	return true;
}

uint64_t log_count(const struct log_operation *op)
{
	struct log_operation copy = *op;
	uint64_t at = 0, n = 0;
	uint32_t first, last;
	while (log_next_range(&copy, &at, &first, &last))
		n += (uint64_t)last - first + 1;
	return n;
}
