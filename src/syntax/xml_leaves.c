#include "xml_leaves.h"

#include <limits.h>

#include <expat.h>

#include "fail.h"

struct walk {
	XML_Parser parser;
	xml_leaf_fn *fn;
	void *ctx;
	int result;
	char path[XML_PATH];
	size_t path_n, depth;
	char text[XML_TEXT];
	size_t text_n;
};

static void stop(struct walk *w, int result)
{
	w->result = result;
	XML_StopParser(w->parser, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct walk *w = ctx;
	size_t n = strlen(name);
	if (w->result)
		return;
	if (++w->depth > XML_DEPTH || n + 1 >= sizeof w->path - w->path_n) {
		stop(w, fail_with(ERR_CORRUPT, "XML too deep"));
		return;
	}
	if (w->path_n)
		w->path[w->path_n++] = '/';
	memcpy(w->path + w->path_n, name, n + 1);
	w->path_n += n;
	w->text_n = 0;
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct walk *w = ctx;
	if (w->result)
		return;
	int r = w->fn(w->ctx, w->path, span_from(w->text, w->text_n));
	if (r) {
		stop(w, r);
		return;
	}
	w->depth--;
	w->path_n -= strlen(name);
	w->path_n -= w->path_n > 0; /* the slash */
	w->path[w->path_n] = 0;
	w->text_n = 0;
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int n)
{
	struct walk *w = ctx;
	if (w->result)
		return;
	if ((size_t)n > sizeof w->text - w->text_n) {
		stop(w, fail_with(ERR_CORRUPT, "XML with too long a text"));
		return;
	}
	memcpy(w->text + w->text_n, text, (size_t)n);
	w->text_n += (size_t)n;
}

static void XMLCALL on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid, const XML_Char *pubid, int subset)
{
	stop(ctx, fail_with(ERR_CORRUPT, "XML with a DOCTYPE"));
}

int xml_leaves(struct span xml, xml_leaf_fn *fn, void *ctx)
{
	struct walk w = { .parser = XML_ParserCreate(NULL), .fn = fn, .ctx = ctx };
	if (!w.parser)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	XML_SetUserData(w.parser, &w);
	XML_SetElementHandler(w.parser, on_start, on_end);
	XML_SetCharacterDataHandler(w.parser, on_text);
	XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
	bool ok = xml.n <= INT_MAX && XML_Parse(w.parser, xml.p, (int)xml.n, 1) == XML_STATUS_OK;
	if (!ok && !w.result)
		w.result = fail_with(ERR_CORRUPT, "no XML: %s", XML_ErrorString(XML_GetErrorCode(w.parser)));
	XML_ParserFree(w.parser);
	return w.result;
}
