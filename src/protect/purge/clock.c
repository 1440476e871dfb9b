/* Purge goes by the clock, so a clock that jumped must not make it take what should stay. What the clock and the machine's
 * uptime said at the last run is kept in the store; now both must have gone on alike. After a reboot nobody knows how long
 * the machine was off: then the clock may have gone on by a week. And it may not be behind what it has stamped already. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "purge_private.h"

#define SLACK_US (3600 * SECOND_US)
#define OFF_US (7 * 86400 * SECOND_US)
#define FACT SPAN("purge.clock")

struct reading {
	int64_t wall, up; /* us; up runs on while the machine sleeps */
	char boot[40];    /* id of this start of the machine */
};

static int64_t uptime(void)
{
	struct timespec t;
	clock_gettime(CLOCK_BOOTTIME, &t);
	return t.tv_sec * SECOND_US + t.tv_nsec / 1000;
}

static void read_boot(char out[40])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
	snprintf(out, 40, "unknown");
	if (!f)
		return;
	if (fscanf(f, "%39s", out) != 1)
		snprintf(out, 40, "unknown");
	fclose(f);
}

static void write_reading(const struct run *r, char out[100])
{
	char boot[40];
	read_boot(boot);
	snprintf(out, 100, "%" PRId64 " %" PRId64 " %s", r->now, uptime(), boot);
}

struct check {
	struct run *r;
	bool known;
	struct reading then;
	int64_t stamped;
};

static int read_fact(struct meta_txn *t, void *arg)
{
	struct check *c = arg;
	struct meta_rows r;
	char text[100];
	int e = meta_one(t, &r, META_HEAD_MAX_STAMP, "");
	if (e)
		return e;
	c->stamped = meta_int(&r, 0);
	meta_done(&r);
	e = meta_one(t, &r, META_FACT_GET, "s", FACT);
	c->known = false;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(meta_span(&r, 0)));
	meta_done(&r);
	c->known = sscanf(text, "%" SCNd64 " %" SCNd64 " %39s", &c->then.wall, &c->then.up, c->then.boot) == 3;
	return OK;
}

static int refuse(const char *what, int64_t by)
{
	return fail_with(ERR_DENIED, "the clock %s by %lld hours, and purge goes by it: set it right, or say that it is with"
	                 " perdura purge --clock-is-right", what, (long long)(by / SLACK_US));
}

static int judge(const struct check *c)
{
	char boot[40];
	int64_t now = c->r->now;
	if (now + SLACK_US < c->stamped)
		return refuse("is behind the last change of an account", c->stamped - now);
	if (!c->known)
		return OK;
	int64_t gone = now - c->then.wall, passed = uptime() - c->then.up;
	read_boot(boot);
	bool same = strcmp(boot, c->then.boot) == 0;
	if (gone < -SLACK_US || (same && gone < passed - SLACK_US))
		return refuse("has gone back since the last purge", (same ? passed : 0) - gone);
	if (gone > (same ? passed + SLACK_US : OFF_US))
		return refuse("has jumped forward since the last purge", gone - (same ? passed : 0));
	return OK;
}

int purge_clock_check(struct run *r)
{
	struct check c = { .r = r };
	int64_t off = atomic_load(&service_store(r->s)->clock_off);
	if (off)
		return fail_with(ERR_DENIED, "this node's clock is %lld ms off the database's, and purge goes by it: set it right",
		                 (long long)(off / 1000));
	int e = purge_read(r, read_fact, &c);
	return e || r->q->clock_is_right ? e : judge(&c);
}

static int write_fact(struct meta_txn *t, void *arg)
{
	char text[100];
	write_reading(arg, text);
	return meta_do(t, META_FACT_SET, "ss", FACT, span_of(text));
}

int purge_clock_note(struct run *r)
{
	return purge_step(r, write_fact, r);
}
