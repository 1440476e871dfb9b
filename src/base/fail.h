/* How functions fail: they return OK (0) or an error code; results come through the last parameters and are
   untouched on failure. The code is what a client may learn, and each protocol turns it into its reply in one place.
   The detail (which file, which errno, which statement) is for the log and stays with the thread that failed. */
#ifndef FAIL_H
#define FAIL_H

enum error {
	OK = 0,
	ERR_NOT_FOUND = -1,   /* it is gone, or never was: the store answered */
	ERR_EXISTS = -2,      /* the name is taken */
	ERR_INVALID = -3,     /* the request makes no sense */
	ERR_DENIED = -4,      /* wrong password, no right */
	ERR_CANNOT = -5,      /* understood, and never allowed here (the past is read-only) */
	ERR_LIMIT = -6,       /* over a limit of size or number */
	ERR_QUOTA = -7,       /* over the user's quota */
	ERR_FULL = -8,        /* the disk is full */
	ERR_UNAVAILABLE = -9, /* a store does not answer: try again later */
	ERR_CORRUPT = -10,    /* a store answered wrongly */
	ERR_CONFLICT = -11,   /* somebody else changed it meanwhile: run again */
	ERR_TIMEOUT = -12,
	ERR_STOPPED = -13,    /* the node is going down */
};

/* Sets this thread's detail and returns code: `return fail_with(ERR_FULL, "%s: %s", path, strerror(errno));` */
int fail_with(enum error code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The code that an errno amounts to: ENOSPC and EDQUOT are ERR_FULL, the rest ERR_UNAVAILABLE. */
int fail_errno(const char *what, const char *path);
/* This thread's last detail; "" when there is none. Valid until the next fail_with() of the thread. */
const char *fail_detail(void);
/* Takes over a detail from another thread. */
void fail_set_detail(const char *detail);
/* One word for logs: "not-found", "full", ... */
const char *fail_name(int code);

#endif
