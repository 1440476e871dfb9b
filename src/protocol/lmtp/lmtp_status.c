#include "fail.h"
#include "lmtp_private.h"

const char lmtp_too_big[] = "552 5.3.4 The message is too big";
const char lmtp_has_nul[] = "554 5.6.0 The message holds NUL bytes";

static const struct {
	int error;
	const char *line;
} statuses[] = {
	{ OK, "250 2.0.0 Saved" },
	{ ERR_NOT_FOUND, "550 5.1.1 No such user here" },
	{ ERR_DENIED, "550 5.7.1 Not allowed" },
	{ ERR_INVALID, "554 5.6.0 The message cannot be stored" },
	{ ERR_LIMIT, "552 5.3.4 The message is over a limit" },
	{ ERR_QUOTA, "552 5.2.2 The mailbox is full" },
	{ ERR_FULL, "452 4.3.1 The disk is full, try again later" },
	{ ERR_STOPPED, "451 4.3.2 The server is going down, try again later" },
};

/* All others are for doubt (UNAVAILABLE, CONFLICT, CORRUPT, TIMEOUT): the sender keeps the message and tries again. */
static const char unavailable[] = "451 4.3.0 Not available, try again later";

const char *lmtp_status(int error)
{
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (statuses[i].error == error)
			return statuses[i].line;
	return unavailable;
}
