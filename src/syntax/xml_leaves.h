/* Small XML documents, as S3 servers answer: each element with its text, by its path. No DOCTYPE, so no entities but XML's own. */
#ifndef XML_LEAVES_H
#define XML_LEAVES_H

#include "span.h"

enum { XML_DEPTH = 12, XML_PATH = 256, XML_TEXT = 4096 };

/* At the end of each element, inner ones first. path: the names from the root on, "ListBucketResult/Contents/Key"; text: what it
   holds itself. Both valid during the call. Non-zero ends the walk with that. */
typedef int xml_leaf_fn(void *ctx, const char *path, struct span text);

/* ERR_CORRUPT: it is no XML, has a DOCTYPE, or is over a limit. */
int xml_leaves(struct span xml, xml_leaf_fn *fn, void *ctx);

#endif
