#include "special_use.h"

#include "folder.h"

static const struct {
	int64_t attribute;
	const char *name;
} uses[] = {
	{ FOLDER_DRAFTS, "Drafts" }, { FOLDER_SENT, "Sent" }, { FOLDER_JUNK, "Junk" }, { FOLDER_TRASH, "Trash" },
	{ FOLDER_ARCHIVE, "Archive" },
};
enum { USES = sizeof uses / sizeof *uses };

int64_t special_use_find(struct span name)
{
	for (size_t i = 0; i < USES; i++)
		if (span_ieq(name, span_of(uses[i].name)))
			return uses[i].attribute;
	return 0;
}

void special_use_put(struct buffer *b, int64_t attributes)
{
	for (size_t i = 0; i < USES; i++)
		if (attributes & uses[i].attribute)
			buffer_printf(b, " \\%s", uses[i].name);
}
