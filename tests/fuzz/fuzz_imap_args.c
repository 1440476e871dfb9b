/* Arguments of all kinds, the first byte choosing which comes first. */
#include "imap_catenate.h"

static void take_parts(struct imap_args *a)
{
	struct imap_part p = { 0 };
	struct imap_url url;
	const char *why;
	while (imap_part_next(a, &p) && p.kind != PART_END)
		if (p.kind == PART_URL && !p.comes)
			imap_url_parse(p.url, a->arena, &url, &why);
}

static void take(struct imap_args *a, int kind)
{
	struct span s;
	struct imap_flags flags;
	struct imap_append append;
	bool more;
	uint64_t v64;
	uint32_t v;
	int64_t us;
	switch (kind) {
	case 0: imap_astring(a, &s); break;
	case 1: imap_nstring(a, &s); break;
	case 2: imap_list_mailbox(a, &s); break;
	case 3: imap_flag_list(a, &flags); break;
	case 4: imap_flags_bare(a, &flags); break;
	case 5:
		if (imap_append_message(a, &append))
			append.catenate ? take_parts(a) : (void)imap_append_next(a, &append, &more);
		break;
	case 6: imap_date_time(a, &us); break;
	case 7: imap_date(a, &us); break;
	case 8: imap_nz_number(a, &v); break;
	case 9: imap_number64(a, &v64); break;
	case 10:
		if (imap_list_open(a))
			while (imap_list_next(a) && imap_astring(a, &s))
				;
		break;
	default: imap_tag(a, &s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	imap_args_init(&a, span_from(data + 1, n - 1), &arena);
	a.utf8 = data[0] >= 128;
	for (int i = 0; i < 4 && !a.bad; i++) {
		take(&a, (data[0] + i * 7) % 12);
		imap_sp(&a);
	}
	arena_free(&arena);
	return 0;
}
