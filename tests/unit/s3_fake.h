/* A small S3 server for tests, in threads of this process, that can be told to lie. */
#ifndef S3_FAKE_H
#define S3_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct s3_fake;

enum s3_lie {
	S3_HONEST,
	S3_SHORT_BODY,   /* less than Content-Length says, then the end */
	S3_SHORT_RANGE,  /* less than was asked for, Content-Range says more */
	S3_NO_RANGE,     /* all of the object, 200 */
	S3_ERROR_IN_200,
	S3_SLOW_DOWN,    /* 503 */
	S3_INTERNAL,     /* 500 without a word */
	S3_SILENT,       /* no answer */
	S3_LATE,         /* 40 ms, as without TCP_NODELAY */
	S3_LOST_ANSWER,  /* done, but the connection ends */
	S3_HANG_UP,      /* not done, and the connection ends */
	S3_OTHER_CLOCK,  /* 20 minutes ahead */
	S3_OLD_CLOCK,    /* two days behind */
	S3_REDIRECT,
	S3_NO_BUCKET,
	S3_DENIED,
	S3_WRONG_KEY,
	S3_WRONG_SECRET,
	S3_OTHER_REGION,
	S3_VERSIONED,
	S3_UNCONDITIONAL, /* does not know If-None-Match */
	S3_STALE_LIST,    /* without what came last */
	S3_GARBAGE,       /* no HTTP */
	S3_HTML_404,      /* some proxy's */
	S3_FULL,
	S3_BAD_XML,
};

/* Listens on a free port of the loopback. */
struct s3_fake *s3_fake_start(void);
void s3_fake_stop(struct s3_fake *f);
int s3_fake_port(const struct s3_fake *f);
/* The next `times` requests of this method ("": any) are lied to, after `skip` honest ones; times < 0: all. */
void s3_fake_lie(struct s3_fake *f, enum s3_lie lie, const char *method, int skip, int times);
/* Not to be reached, and then again, at the same port. */
void s3_fake_pause(struct s3_fake *f, bool paused);

int s3_fake_requests(struct s3_fake *f);    /* so far */
int s3_fake_connections(struct s3_fake *f); /* so far */
int s3_fake_objects(struct s3_fake *f);
int s3_fake_uploads(struct s3_fake *f);     /* neither completed nor aborted */
int s3_fake_most_at_once(struct s3_fake *f); /* requests at a time */
/* All objects, also into the other one, which serves nobody yet. */
void s3_fake_copy(struct s3_fake *from, struct s3_fake *to);
/* Flips a bit in the middle of every object. */
void s3_fake_damage(struct s3_fake *f);

#endif
