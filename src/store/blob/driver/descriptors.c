#include "descriptors.h"

#include <string.h>
#include <unistd.h>

void descriptors_init(struct descriptors *d)
{
	memset(d, 0, sizeof *d);
	pthread_mutex_init(&d->lock, NULL);
}

void descriptors_free(struct descriptors *d)
{
	for (int i = 0; i < DESCRIPTORS; i++)
		if (d->place[i].pack)
			close(d->place[i].fd);
	pthread_mutex_destroy(&d->lock);
}

static struct descriptor *find(struct descriptors *d, int64_t pack)
{
	for (int i = 0; i < DESCRIPTORS; i++)
		if (d->place[i].pack == pack && !d->place[i].dropped)
			return &d->place[i];
	return NULL;
}

int descriptors_take(struct descriptors *d, int64_t pack)
{
	pthread_mutex_lock(&d->lock);
	struct descriptor *p = find(d, pack);
	int fd = p ? p->fd : -1;
	if (p) {
		p->users++;
		p->used = ++d->calls;
	}
	pthread_mutex_unlock(&d->lock);
	return fd;
}

/* The free place, or the one that was idle longest; NULL when all are held. */
static struct descriptor *victim(struct descriptors *d)
{
	struct descriptor *oldest = NULL;
	for (int i = 0; i < DESCRIPTORS; i++) {
		struct descriptor *p = &d->place[i];
		if (!p->users && (!oldest || p->used < oldest->used))
			oldest = p;
	}
	return oldest;
}

void descriptors_add(struct descriptors *d, int64_t pack, int fd)
{
	int old = -1;
	pthread_mutex_lock(&d->lock);
	struct descriptor *p = find(d, pack) ? NULL : victim(d);
	if (p) {
		old = p->pack ? p->fd : -1;
		*p = (struct descriptor){ .pack = pack, .fd = fd, .users = 1, .used = ++d->calls };
	}
	pthread_mutex_unlock(&d->lock);
	if (old >= 0)
		close(old);
}

/* The place that fd, held by somebody, has in the cache; NULL when it is outside. */
static struct descriptor *held(struct descriptors *d, int64_t pack, int fd)
{
	for (int i = 0; i < DESCRIPTORS; i++)
		if (d->place[i].pack == pack && d->place[i].fd == fd)
			return &d->place[i];
	return NULL;
}

void descriptors_release(struct descriptors *d, int64_t pack, int fd)
{
	pthread_mutex_lock(&d->lock);
	struct descriptor *p = held(d, pack, fd);
	bool over = !p || (!--p->users && p->dropped);
	if (p && over)
		*p = (struct descriptor){ 0 };
	pthread_mutex_unlock(&d->lock);
	if (over)
		close(fd);
}

void descriptors_drop(struct descriptors *d, int64_t pack)
{
	int fd = -1;
	pthread_mutex_lock(&d->lock);
	struct descriptor *p = find(d, pack);
	if (p && p->users) {
		p->dropped = true;
	} else if (p) {
		fd = p->fd;
		*p = (struct descriptor){ 0 };
	}
	pthread_mutex_unlock(&d->lock);
	if (fd >= 0)
		close(fd);
}
