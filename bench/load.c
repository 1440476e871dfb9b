/* A load for a mail server: clients that deliver by LMTP, or read and change mail by IMAP, each on a connection and a
 * thread of its own and each waiting for an answer before it goes on.
 *
 *     bench/load lmtp HOST:PORT [name=value...]      bench/load imap HOST:PORT [name=value...]
 *     bench/load mbox [name=value...] >FILE
 *
 * conns=8 clients and users=8 accounts, u0000@bench.example and so on with password=pass (domain= for another domain);
 * messages=2000 to deliver, or secs=N: for so long or until SIGTERM; bytes=8192, their median size (the mean is 2.8 times
 * that: a few are large); first=0, the number of the first one (the same number is the same message); user=NAME and
 * folder=NAME: deliver there only; pause=0, ms that a client rests between two things.
 *
 * Prints a line for each kind of thing done: name, times, failures, p50, p99 and longest in us; then the seconds it took and
 * the message bytes sent. Any server will do that speaks the two protocols. mbox writes the messages themselves. */
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"

enum { CLIENTS_MAX = 4096, MESSAGE_MAX = 1 << 20, INPUT_MAX = 1 << 16, PAGE = 50 };

enum deed { DELIVER, LOGIN, SELECT, LIST_PAGE, READ_BODY, SET_FLAG, POLL, APPEND, DELETE, SEARCH, DEEDS };

static const char *const deed_name[DEEDS] = { "deliver", "login", "select", "list page", "read body", "set flag", "poll", "append",
	"delete", "search" };

struct options {
	bool lmtp;
	struct sockaddr_in to;
	long conns, users, messages, secs, bytes, pause, first;
	const char *user, *password, *domain, *folder;
};

struct load {
	struct options o;
	atomic_long next; /* the number of the next message */
	atomic_bool stop;
};

struct times {
	uint32_t *us;
	size_t n, cap;
	long failed;
};

struct client {
	struct load *load;
	pthread_t thread;
	long id;
	uint64_t random;
	int fd;
	char in[INPUT_MAX];
	size_t in_at, in_n;
	struct buffer out, text;
	long exists; /* messages in the folder selected */
	uint64_t sent;
	struct times times[DEEDS];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t draw(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x;
}

static void note(struct client *c, enum deed d, int64_t since, bool well)
{
	struct times *t = &c->times[d];
	int64_t us = clock_mono() - since;
	if (!well) {
		t->failed++;
		return;
	}
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 1024;
		t->us = realloc(t->us, t->cap * sizeof *t->us);
		if (!t->us)
			die("memory");
	}
	t->us[t->n++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

/* Mail that is made of a number alone. */

static const char *const words[] = { "the", "harbour", "light", "of", "and", "meeting", "tower", "we", "will", "storm", "to", "rope", "is",
	"a", "lamp", "invoice", "from", "keeper", "night", "in", "fog", "boat", "please", "report", "until", "wall", "on", "tern", "for", "sea",
	"with", "letter" };

static void put_words(struct buffer *b, uint64_t *x, size_t until)
{
	while (b->n + 80 < until) {
		uint64_t r = draw(x);
		for (int i = 0; i < 12; i++, r >>= 5) {
			buffer_puts(b, words[r & 31]);
			buffer_putc(b, ' ');
		}
		buffer_printf(b, "%03x\r\n", (unsigned)r & 0xfff);
	}
}

static void put_base64(struct buffer *b, uint64_t *x, size_t until)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	while (b->n + 78 < until) {
		char *line = buffer_reserve(b, 78);
		for (int i = 0; i < 76; i++)
			line[i] = digits[draw(x) >> 20 & 63];
		line[76] = '\r', line[77] = '\n';
		b->n += 78;
	}
}

/* Log-normal about the median, as mail is; never over a MiB. */
static size_t choose_size(uint64_t *x, long median)
{
	double sum = -6; /* of twelve: near enough to normal */
	for (int i = 0; i < 12; i++)
		sum += (double)(draw(x) >> 11) / 9007199254740992.0;
	double size = (double)median * exp(1.44 * sum);
	return size < 400 ? 400 : size > MESSAGE_MAX ? MESSAGE_MAX : (size_t)size;
}

static void compose(struct buffer *b, long number, long median)
{
	uint64_t x = (uint64_t)(number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	draw(&x);
	size_t size = choose_size(&x, median);
	buffer_reset(b);
	buffer_printf(b, "Received: from mx.example.org (mx.example.org [192.0.2.1]) by mail.example.org with ESMTP id %ld\r\n"
		"From: Anna Example <anna%ld@example.org>\r\nTo: <list@example.org>\r\nSubject: %s %s, number %ld\r\n"
		"Date: Fri, 20 Nov 2026 10:%02ld:%02ld +0000\r\nMessage-ID: <%ld.bench@example.org>\r\nMIME-Version: 1.0\r\n",
		number, number % 97, words[number % 32], words[number / 32 % 32], number, number / 60 % 60, number % 60, number);
	if (size < 40000) {
		buffer_puts(b, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
		put_words(b, &x, size);
		return;
	}
	buffer_puts(b, "Content-Type: multipart/mixed; boundary=\"=-b\"\r\n\r\n--=-b\r\nContent-Type: text/plain\r\n\r\n");
	put_words(b, &x, b->n + 2000);
	buffer_puts(b, "\r\n--=-b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment; filename=\"chart.bin\"\r\n\r\n");
	put_base64(b, &x, size);
	buffer_puts(b, "\r\n--=-b--\r\n");
}

/* The connection. */

static bool dial(struct client *c)
{
	int one = 1;
	struct timeval patience = { .tv_sec = 60 };
	c->in_at = c->in_n = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return connect(c->fd, (struct sockaddr *)&c->load->o.to, sizeof c->load->o.to) == 0;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* Sends what stands in c->out. */
static bool flush(struct client *c)
{
	for (size_t at = 0; at < c->out.n;) {
		ssize_t n = send(c->fd, c->out.p + at, c->out.n - at, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	buffer_reset(&c->out);
	return true;
}

static bool refill(struct client *c)
{
	if (c->in_at) {
		memmove(c->in, c->in + c->in_at, c->in_n - c->in_at);
		c->in_n -= c->in_at, c->in_at = 0;
	}
	if (c->in_n == sizeof c->in)
		return false;
	ssize_t n = recv(c->fd, c->in + c->in_n, sizeof c->in - c->in_n, 0);
	if (n <= 0)
		return false;
	c->in_n += (size_t)n;
	return true;
}

/* The next line without its end; it lives until the next call. */
static bool read_line(struct client *c, struct span *out)
{
	size_t seen = 0;
	for (;;) {
		char *at = c->in + c->in_at;
		size_t n = c->in_n - c->in_at;
		char *end = memchr(at + seen, '\n', n - seen);
		if (end) {
			*out = span_trim((struct span){ at, (size_t)(end - at) });
			c->in_at += (size_t)(end - at) + 1;
			return true;
		}
		seen = n;
		if (!refill(c))
			return false;
	}
}

static bool skip_bytes(struct client *c, uint64_t n)
{
	for (;;) {
		size_t have = c->in_n - c->in_at;
		if (have >= n) {
			c->in_at += n;
			return true;
		}
		n -= have;
		c->in_at = c->in_n = 0;
		if (!refill(c))
			return false;
	}
}

/* LMTP. */

/* All lines of a reply; true if it is one of the wanted class ('2', '3'). */
static bool reply_is(struct client *c, char class)
{
	struct span line;
	do {
		if (!read_line(c, &line))
			return false;
	} while (line.n > 3 && line.p[3] == '-');
	return line.n >= 3 && line.p[0] == class;
}

static bool lmtp_open(struct client *c)
{
	if (!dial(c) || !reply_is(c, '2'))
		return false;
	buffer_puts(&c->out, "LHLO bench.example\r\n");
	return flush(c) && reply_is(c, '2');
}

static void put_user(struct client *c, long user)
{
	buffer_printf(&c->out, "u%04ld", user);
}

static bool deliver(struct client *c, long number)
{
	const struct options *o = &c->load->o;
	buffer_puts(&c->out, "MAIL FROM:<anna@example.org>\r\nRCPT TO:<");
	if (o->user)
		buffer_puts(&c->out, o->user);
	else
		put_user(c, number % o->users);
	buffer_printf(&c->out, "%s%s@%s>\r\nDATA\r\n", *o->folder ? "+" : "", o->folder, o->domain);
	if (!flush(c) || !reply_is(c, '2') || !reply_is(c, '2') || !reply_is(c, '3'))
		return false;
	buffer_put_span(&c->out, buffer_span(&c->text));
	buffer_puts(&c->out, ".\r\n");
	return flush(c) && reply_is(c, '2');
}

static void lmtp_turn(struct client *c)
{
	const struct options *o = &c->load->o;
	long i = atomic_fetch_add(&c->load->next, 1);
	if (!o->secs && i >= o->messages) {
		atomic_store(&c->load->stop, true);
		return;
	}
	compose(&c->text, o->first + i, o->bytes);
	int64_t since = clock_mono();
	bool well = deliver(c, o->first + i);
	note(c, DELIVER, since, well);
	if (well)
		c->sent += c->text.n;
	else
		hang_up(c);
}

/* IMAP. */

/* What an untagged line says about the size of the folder. */
static void learn(struct client *c, struct span line)
{
	unsigned long n;
	char word[16];
	char text[64];
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(line));
	if (sscanf(text, "* %lu %15s", &n, word) != 2)
		return;
	if (!strcmp(word, "EXISTS"))
		c->exists = (long)n;
	else if (!strcmp(word, "EXPUNGE"))
		c->exists--;
}

/* Everything up to the tagged answer. */
static bool answer(struct client *c)
{
	struct span line;
	while (read_line(c, &line)) {
		char *brace;
		if (line.n > 2 && line.p[line.n - 1] == '}' && (brace = memrchr(line.p, '{', line.n))) {
			learn(c, line);
			if (!skip_bytes(c, strtoull(brace + 1, NULL, 10)))
				return false;
			continue;
		}
		if (span_istarts(line, SPAN("* ")))
			learn(c, line);
		else if (span_istarts(line, SPAN("a ")))
			return span_istarts(line, SPAN("a OK"));
	}
	return false;
}

static bool command(struct client *c)
{
	return flush(c) && answer(c);
}

static bool select_inbox(struct client *c)
{
	c->exists = 0;
	buffer_puts(&c->out, "a SELECT INBOX\r\n");
	return command(c);
}

static bool imap_open(struct client *c)
{
	const struct options *o = &c->load->o;
	struct span line;
	if (!dial(c) || !read_line(c, &line))
		return false;
	buffer_puts(&c->out, "a LOGIN ");
	put_user(c, c->id % o->users);
	buffer_printf(&c->out, "@%s %s\r\n", o->domain, o->password);
	int64_t since = clock_mono();
	bool well = command(c);
	note(c, LOGIN, since, well);
	return well && select_inbox(c);
}

static bool append(struct client *c)
{
	long i = atomic_fetch_add(&c->load->next, 1);
	compose(&c->text, c->load->o.first + i, c->load->o.bytes);
	buffer_printf(&c->out, "a APPEND INBOX {%zu+}\r\n", c->text.n);
	buffer_put_span(&c->out, buffer_span(&c->text));
	buffer_puts(&c->out, "\r\n");
	c->sent += c->text.n;
	return command(c);
}

/* The oldest message goes: a mailbox that gets mail stays about as large as it is. */
static bool delete(struct client *c)
{
	buffer_puts(&c->out, "a STORE 1 +FLAGS.SILENT (\\Deleted)\r\n");
	if (!command(c))
		return false;
	buffer_puts(&c->out, "a EXPUNGE\r\n");
	return command(c);
}

static bool act(struct client *c, enum deed d)
{
	long some = c->exists > 0 ? 1 + (long)(draw(&c->random) % (uint64_t)c->exists) : 1;
	switch (d) {
	case SELECT:
		return select_inbox(c);
	case LIST_PAGE:
		buffer_printf(&c->out, "a FETCH %ld:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)\r\n",
			c->exists > PAGE ? c->exists - PAGE + 1 : 1);
		return command(c);
	case READ_BODY:
		buffer_printf(&c->out, "a FETCH %ld (BODY.PEEK[])\r\n", some);
		return command(c);
	case SET_FLAG:
		buffer_printf(&c->out, "a STORE %ld %cFLAGS (\\Seen)\r\n", some, draw(&c->random) & 1024 ? '+' : '-');
		return command(c);
	case APPEND:
		return append(c);
	case DELETE:
		return delete(c);
	case SEARCH:
		buffer_puts(&c->out, "a SEARCH SUBJECT storm\r\n");
		return command(c);
	default:
		buffer_puts(&c->out, "a NOOP\r\n");
		return command(c);
	}
}

/* Per hundred. */
static enum deed choose(struct client *c)
{
	static const struct { enum deed deed; unsigned share; } mix[] = { { LIST_PAGE, 20 }, { READ_BODY, 28 }, { SET_FLAG, 20 },
		{ POLL, 14 }, { SELECT, 6 }, { APPEND, 5 }, { DELETE, 5 }, { SEARCH, 2 } };
	unsigned r = (unsigned)((draw(&c->random) >> 16) % 100), i = 0;
	while (r >= mix[i].share)
		r -= mix[i++].share;
	bool needs_mail = mix[i].deed == LIST_PAGE || mix[i].deed == READ_BODY || mix[i].deed == SET_FLAG || mix[i].deed == DELETE;
	return needs_mail && c->exists == 0 ? APPEND : mix[i].deed;
}

static void imap_turn(struct client *c)
{
	enum deed d = choose(c);
	int64_t since = clock_mono();
	bool well = act(c, d);
	note(c, d, since, well);
	if (!well)
		hang_up(c);
}

/* The clients. */

static void rest(long ms)
{
	if (ms)
		usleep((useconds_t)ms * 1000);
}

static void *work(void *arg)
{
	struct client *c = arg;
	const struct options *o = &c->load->o;
	while (!atomic_load(&c->load->stop)) {
		if (c->fd < 0 && !(o->lmtp ? lmtp_open(c) : imap_open(c))) {
			c->times[o->lmtp ? DELIVER : LOGIN].failed++;
			hang_up(c);
			buffer_reset(&c->out);
			rest(100);
			continue;
		}
		o->lmtp ? lmtp_turn(c) : imap_turn(c);
		rest(o->pause);
	}
	hang_up(c);
	return NULL;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* One kind of thing, all clients together. */
static void report_deed(struct client *clients, long n, enum deed d)
{
	struct times all = { 0 };
	for (long i = 0; i < n; i++) {
		all.n += clients[i].times[d].n;
		all.failed += clients[i].times[d].failed;
	}
	if (!all.n && !all.failed)
		return;
	all.us = calloc(all.n + 1, sizeof *all.us);
	if (!all.us)
		die("memory");
	size_t at = 0;
	for (long i = 0; i < n; i++) {
		struct times *t = &clients[i].times[d];
		if (t->n)
			memcpy(all.us + at, t->us, t->n * sizeof *t->us);
		at += t->n;
	}
	qsort(all.us, all.n, sizeof *all.us, compare);
	printf("%s\t%zu\t%ld\t%u\t%u\t%u\n", deed_name[d], all.n, all.failed, all.us[all.n / 2], all.us[all.n * 99 / 100],
		all.n ? all.us[all.n - 1] : 0);
	free(all.us);
}

static void run(struct load *l)
{
	sigset_t ends;
	struct client *clients = calloc((size_t)l->o.conns, sizeof *clients);
	if (!clients)
		die("memory");
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM), sigaddset(&ends, SIGINT);
	if (l->o.secs)
		pthread_sigmask(SIG_BLOCK, &ends, NULL);
	int64_t since = clock_mono();
	for (long i = 0; i < l->o.conns; i++) {
		clients[i] = (struct client){ .load = l, .id = i, .random = (uint64_t)(i + 1) * 2654435761, .fd = -1 };
		if (pthread_create(&clients[i].thread, NULL, work, &clients[i]))
			die("thread");
	}
	if (l->o.secs) {
		sigtimedwait(&ends, NULL, &(struct timespec){ .tv_sec = l->o.secs });
		atomic_store(&l->stop, true);
	}
	uint64_t sent = 0;
	for (long i = 0; i < l->o.conns; i++) {
		pthread_join(clients[i].thread, NULL);
		sent += clients[i].sent;
	}
	double seconds = (double)(clock_mono() - since) / 1e6;
	for (enum deed d = 0; d < DEEDS; d++)
		report_deed(clients, l->o.conns, d);
	printf("total\t%.3f\t%llu\n", seconds, (unsigned long long)sent);
}

/* As Postfix would write it, but with CRLF; no line of ours begins with "From ". */
static void write_mbox(const struct options *o)
{
	struct buffer text = { 0 };
	for (long i = 0; i < o->messages; i++) {
		compose(&text, o->first + i, o->bytes);
		printf("From anna@example.org Fri Nov 20 10:%02ld:%02ld 2026\r\n", i / 60 % 60, i % 60);
		fwrite(text.p, 1, text.n, stdout);
		fputs("\r\n", stdout);
	}
	buffer_free(&text);
	if (fflush(stdout))
		die("write");
}

static int usage(void)
{
	fputs("usage: load lmtp|imap HOST:PORT [conns=N] [users=N] [messages=N | secs=N] [bytes=N] [user=NAME] [password=TEXT]"
		" [domain=NAME] [folder=NAME] [pause=MS] [first=N]\n       load mbox [messages=N] [bytes=N] [first=N]\n", stderr);
	return 2;
}

static bool take_option(struct options *o, const char *arg)
{
	const struct { const char *name; long *number; long max; const char **text; } all[] = {
		{ "conns=", &o->conns, CLIENTS_MAX, NULL }, { "users=", &o->users, 1000000, NULL },
		{ "messages=", &o->messages, INT32_MAX, NULL }, { "secs=", &o->secs, 1000000, NULL },
		{ "bytes=", &o->bytes, MESSAGE_MAX, NULL }, { "pause=", &o->pause, 1000, NULL },
		{ "first=", &o->first, INT32_MAX, NULL }, { "user=", NULL, 0, &o->user }, { "password=", NULL, 0, &o->password },
		{ "domain=", NULL, 0, &o->domain }, { "folder=", NULL, 0, &o->folder } };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		size_t n = strlen(all[i].name);
		uint64_t value;
		if (strncmp(arg, all[i].name, n))
			continue;
		if (all[i].text)
			*all[i].text = arg + n;
		else if (!span_u64(span_of(arg + n), (uint64_t)all[i].max, &value))
			return false;
		else
			*all[i].number = (long)value;
		return true;
	}
	return false;
}

static bool take_address(struct options *o, const char *arg)
{
	char host[64];
	unsigned port;
	if (sscanf(arg, "%63[0-9.]:%u", host, &port) != 2 || port > 65535)
		return false;
	o->to.sin_family = AF_INET;
	o->to.sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &o->to.sin_addr) == 1;
}

int main(int argc, char **argv)
{
	struct load l = { .o = { .conns = 8, .users = 8, .messages = 2000, .bytes = 8192, .password = "pass",
		.domain = "bench.example", .folder = "" } };
	const char *what = argc > 1 ? argv[1] : "";
	bool mbox = !strcmp(what, "mbox");
	l.o.lmtp = !strcmp(what, "lmtp");
	if (!mbox && ((!l.o.lmtp && strcmp(what, "imap")) || argc < 3 || !take_address(&l.o, argv[2])))
		return usage();
	for (int i = mbox ? 2 : 3; i < argc; i++)
		if (!take_option(&l.o, argv[i]))
			return usage();
	if (!l.o.conns || !l.o.users)
		return usage();
	if (!l.o.lmtp && !l.o.secs)
		l.o.secs = 10;
	if (mbox)
		write_mbox(&l.o);
	else
		run(&l);
	return 0;
}
