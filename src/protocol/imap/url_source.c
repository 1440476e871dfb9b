#include "url_source.h"

#include <stdlib.h>

#include "entries.h"
#include "fail.h"
#include "fetch_section.h"
#include "imap_catenate.h"
#include "names.h"
#include "mailbox_place.h"

struct url_source {
	struct arena memory;
	struct imap_url url;
	struct view *view, *opened; /* opened: by this; else it is the session's */
	struct ahead ahead;
	struct section_source source;
	struct section_run run;
	struct buffer fields;
	struct span made; /* not yet given */
	uint64_t size;
};

static int open_view(struct command *c, struct url_source *s)
{
	struct imap_session *session = c->session;
	struct span name;
	struct place p;
	if (!s->url.mailbox.p) {
		s->view = session->view;
		return s->view ? view_allowed(s->view) : fail_with(ERR_INVALID, "it names no mailbox, and none is selected");
	}
	int rc = mailbox_utf8(c, s->url.mailbox, &name);
	if (!rc)
		rc = find_allowed(c, name, RIGHT_READ, &p);
	if (!rc)
		rc = view_open_others(session->node->service, p.account, p.viewer, p.path, VIEW_READ_ONLY, &s->opened);
	s->view = s->opened;
	return rc;
}

static int find_entry(struct url_source *s, struct entry **out)
{
	const struct view_info *info = view_info(s->view);
	struct imap_range range = { s->url.uid, s->url.uid };
	struct imap_set uids = { .ranges = &range, .n = 1 };
	struct entries walk = { .view = s->view, .uids = &uids, .depth = VIEW_PLACES };
	size_t n = 0;
	if (s->url.uidvalidity && s->url.uidvalidity != info->folder.uidvalidity)
		return fail_with(ERR_NOT_FOUND, "the mailbox has another UIDVALIDITY");
	int rc = view_number(s->view, s->url.uid) ? entries_next(&walk, &s->memory, out, &n) : OK;
	return rc || n ? rc : fail_with(ERR_NOT_FOUND, "there is no message of that UID");
}

static int open_section(struct service *service, struct url_source *s)
{
	struct entry *e;
	int rc = find_entry(s, &e);
	if (rc)
		return rc;
	s->source = (struct section_source){ .service = service, .entry = e, .n = 1, .ahead = &s->ahead, .whole = true };
	rc = mime_summary_open(e->summary, &s->source.summary);
	if (!rc)
		rc = section_open(&s->source, &s->url.what, &s->fields, &s->made, &s->run);
	s->size = s->made.n + s->run.left;
	return rc == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "the message has no such part") : rc;
}

int url_source_open(struct command *c, struct span url, struct url_source **out)
{
	const char *why;
	struct url_source *s = calloc(1, sizeof *s);
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int rc = imap_url_parse(url, &c->arena, &s->url, &why) ? open_view(c, s) : fail_with(ERR_INVALID, "%s", why);
	if (!rc)
		rc = open_section(c->session->node->service, s);
	if (rc)
		url_source_close(&s);
	*out = s;
	return rc;
}

uint64_t url_source_size(const struct url_source *s)
{
	return s->size;
}

int url_source_read(struct url_source *s, struct span *bytes)
{
	*bytes = s->made;
	s->made = (struct span){ 0 };
	return bytes->n || !s->run.left ? OK : section_read(&s->source, &s->run, bytes);
}

void url_source_close(struct url_source **s)
{
	struct url_source *u = *s;
	if (!u)
		return;
	section_source_close(&u->source);
	ahead_drop(&u->ahead);
	view_close(&u->opened);
	buffer_free(&u->fields);
	arena_free(&u->memory);
	free(u);
	*s = NULL;
}
