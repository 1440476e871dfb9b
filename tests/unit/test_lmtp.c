/* The whole of LMTP over a service and a directory that are made up here: what is said, to what comes in. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "route.h"
#include "fail.h"
#include "lmtp.h"
#include "lmtp_private.h"
#include "log.h"
#include "message.h"
#include "settings.h"
#include "tls.h"

struct service {
	int new_result, finish_result, deliver_result;
	struct buffer told; /* what was delivered: "sender>rcpt[folder] ...:bytes|" */
	int live;           /* messages on their way in */
	uint64_t written;
};

struct incoming {
	struct service *s;
	struct buffer bytes;
};

int incoming_new(struct service *s, struct incoming **out)
{
	if (s->new_result)
		return s->new_result;
	*out = calloc(1, sizeof **out);
	(*out)->s = s;
	s->live++;
	return OK;
}

int incoming_write(struct incoming *in, struct span bytes)
{
	buffer_put_span(&in->bytes, bytes);
	in->s->written += bytes.n;
	return in->s->finish_result;
}

int incoming_finish(struct incoming *in)
{
	return in->s->finish_result;
}

void incoming_free(struct incoming **in)
{
	if (!*in)
		return;
	(*in)->s->live--;
	buffer_free(&(*in)->bytes);
	free(*in);
	*in = NULL;
}

/* Accounts 1 to 99 are fine; account 100 + n fails with error -n. */
int deliver(struct service *s, struct incoming *in, struct span sender, struct recipient *r, size_t n,
            const struct actor *a)
{
	assert_int_equal(a->session, 0xabc);
	assert_string_equal(a->client, "lmtp");
	if (s->deliver_result)
		return s->deliver_result;
	buffer_printf(&s->told, "%.*s>", SPAN_ARG(sender));
	for (size_t i = 0; i < n; i++) {
		r[i].result = r[i].account < 100 ? OK : -(int)(r[i].account - 100);
		buffer_printf(&s->told, "%.*s[%.*s]%lld ", SPAN_ARG(r[i].address), SPAN_ARG(r[i].folder), (long long)r[i].account);
	}
	buffer_putc(&s->told, ':');
	buffer_put_span(&s->told, buffer_span(&in->bytes));
	buffer_putc(&s->told, '|');
	return OK;
}

static int find_account(struct span address, struct account *out)
{
	static const struct { const char *name; int64_t id; } known[] = {
		{ "a@d", 1 }, { "b@d", 2 }, { "boss@d", 3 }, { "full@d", 108 }, { "quota@d", 107 }, { "gone@d", 101 }, { "limit@d", 106 },
		{ "conflict@d", 111 }, { "corrupt@d", 110 }, { "invalid@d", 103 }, { "stopped@d", 113 }, { "timeout@d", 112 },
	};
	if (span_eq(address, SPAN("down@d")))
		return fail_with(ERR_UNAVAILABLE, "no answer");
	for (size_t k = 0; k < COUNT(known); k++)
		if (span_ieq(address, span_of(known[k].name))) {
			out->id = known[k].id;
			return OK;
		}
	return ERR_NOT_FOUND;
}

/* "a+x@d" is a's folder x; "all@d" leads to three, "away@d" elsewhere too, "ring@d" in a circle; postmaster to 3. */
int route_find(struct identity *i, struct span address, struct route *out)
{
	static struct route_target targets[4];
	struct account account = { 0 };
	ssize_t plus = span_find(address, '+'), at = span_find(address, '@');
	char plain[100];
	*out = (struct route){ .list = targets, .n = 1 };
	if (span_eq(address, SPAN("all@d")) || span_eq(address, SPAN("away@d"))) {
		*out = (struct route){ .list = targets, .n = 3 };
		targets[0] = (struct route_target){ .account = 1, .detail = SPAN("") };
		targets[1] = (struct route_target){ .account = address.n == 6 ? 0 : 107, .detail = SPAN("") };
		targets[2] = (struct route_target){ .account = 2, .detail = SPAN("") };
		return OK;
	}
	if (span_eq(address, SPAN("ring@d")))
		return fail_with(ERR_CANNOT, "in a circle");
	if (span_istarts(address, SPAN("postmaster")))
		address = SPAN("boss@d");
	targets[0].detail = SPAN("");
	if (plus >= 0 && at > plus) {
		snprintf(plain, sizeof plain, "%.*s%.*s", (int)plus, address.p, (int)(address.n - (size_t)at), address.p + at);
		targets[0].detail = span_sub(address, (size_t)plus + 1, (size_t)(at - plus - 1));
		address = span_of(plain);
	}
	int rc = find_account(address, &account);
	targets[0].account = account.id;
	return rc;
}

void route_free(struct route *r)
{
}

int settings_of(struct identity *i, int64_t account, struct settings *out)
{
	*out = (struct settings){ .message_max = account == 2 ? 500 : 1000 };
	return OK;
}

static int64_t timeout_set;

void conn_consume(struct conn *c, size_t n)
{
	assert_true(n <= c->in.n);
	c->in = span_sub(c->in, n, c->in.n);
}

void conn_timeout(struct conn *c, int64_t us)
{
	timeout_set = us;
}

bool tls_ready(struct tls *t)
{
	return false;
}

int conn_start_tls(struct conn *c, struct tls *t)
{
	return ERR_UNAVAILABLE;
}

struct peer {
	struct service service;
	struct lmtp_node node;
	struct conn conn;
	struct buffer pending;
	enum conn_next next;
};

static void peer_open(struct peer *p)
{
	*p = (struct peer){ 0 };
	p->node = (struct lmtp_node){ .service = &p->service, .host = "h",
	                              .recipients_max = 100 };
	p->conn = (struct conn){ .protocol = &lmtp_protocol, .service = &p->node, .id = 0xabc, .peer = "test" };
	p->next = lmtp_protocol.open(&p->conn);
}

static void peer_close(struct peer *p)
{
	lmtp_protocol.close(&p->conn);
	assert_int_equal(p->service.live, 0);
	buffer_free(&p->conn.out);
	buffer_free(&p->service.told);
	buffer_free(&p->pending);
}

/* Says it in pieces of `piece` bytes, as the loop would hand them on. */
static void say(struct peer *p, struct span text, size_t piece)
{
	for (size_t at = 0; at < text.n && p->next == CONN_MORE; at += piece) {
		buffer_put_span(&p->pending, span_sub(text, at, piece));
		p->conn.in = buffer_span(&p->pending);
		p->next = lmtp_protocol.input(&p->conn);
		buffer_consume(&p->pending, p->pending.n - p->conn.in.n);
	}
}

/* The replies' codes: "220 250 ..."; a '-' line is left out. */
static const char *codes(struct peer *p)
{
	static struct buffer out;
	buffer_reset(&out);
	struct span in = buffer_span(&p->conn.out), line;
	while (smtp_line_next(&in, &line) == SMTP_LINE_OK) {
		assert_true(line.n >= 4);
		if (line.p[3] == '-')
			continue;
		bool enhanced = line.n > 9 && line.p[5] == '.' && line.p[7] == '.';
		buffer_printf(&out, "%s%.3s%s%.*s", out.n ? " " : "", line.p, enhanced ? "/" : "", enhanced ? 5 : 0, line.p + 4);
	}
	assert_int_equal(in.n, 0);
	buffer_putc(&out, 0);
	return out.p;
}

#define LHLO "LHLO x\r\n"
#define MAIL "MAIL FROM:<s@x>\r\n"
#define HELLO "220 250 "

static const struct talk {
	const char *says, *codes, *told;
} talks[] = {
	{ LHLO "QUIT\r\n", HELLO "221/2.0.0", "" },
	{ LHLO MAIL "RCPT TO:<a@d>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
	  HELLO "250/2.1.0 250/2.1.5 354 250/2.0.0 221/2.0.0", "s@x>a@d[]1 :hi\r\n|" },
	/* each recipient has a reply, in order, and only those that were accepted */
	{ LHLO MAIL "RCPT TO:<a@d>\r\nRCPT TO:<no@d>\r\nRCPT TO:<full@d>\r\nRCPT TO:<quota@d>\r\nRCPT TO:<down@d>\r\n"
	  "RCPT TO:<b@d>\r\nDATA\r\n.\r\n",
	  HELLO "250/2.1.0 250/2.1.5 550/5.1.1 250/2.1.5 250/2.1.5 451/4.3.0 250/2.1.5 354 250/2.0.0 452/4.3.1 552/5.2.2 250/2.0.0",
	  "s@x>a@d[]1 full@d[]108 quota@d[]107 b@d[]2 :|" },
	{ LHLO MAIL "RCPT TO:<gone@d>\r\nRCPT TO:<limit@d>\r\nRCPT TO:<conflict@d>\r\nRCPT TO:<corrupt@d>\r\n"
	  "RCPT TO:<invalid@d>\r\nRCPT TO:<stopped@d>\r\nRCPT TO:<timeout@d>\r\nDATA\r\n.\r\n",
	  HELLO "250/2.1.0 250/2.1.5 250/2.1.5 250/2.1.5 250/2.1.5 250/2.1.5 250/2.1.5 250/2.1.5 354 "
	  "550/5.1.1 552/5.3.4 451/4.3.0 451/4.3.0 554/5.6.0 451/4.3.2 451/4.3.0",
	  "s@x>gone@d[]101 limit@d[]106 conflict@d[]111 corrupt@d[]110 invalid@d[]103 stopped@d[]113 timeout@d[]112 :|" },
	/* addresses */
	{ LHLO "MAIL FROM:<>\r\nRCPT TO:<A+My/Folder@D>\r\nRCPT TO:<\"a+x y\"@d>\r\nRCPT TO:<\"a\"@d>\r\nDATA\r\n.\r\n",
	  HELLO "250/2.1.0 250/2.1.5 250/2.1.5 250/2.1.5 354 250/2.0.0 250/2.0.0 250/2.0.0",
	  ">A+My/Folder@D[My/Folder]1 \"a+x y\"@d[x y]1 \"a\"@d[]1 :|" },
	{ LHLO MAIL "RCPT TO:<postmaster>\r\nRCPT TO:<PostMaster@d>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n",
	  HELLO "250/2.1.0 250/2.1.5 250/2.1.5 550/5.1.1 354 250/2.0.0 250/2.0.0", "s@x>postmaster[]3 PostMaster@d[]3 :|" },
	{ LHLO "MAIL FROM:s@x\r\nMAIL FROM:<s x>\r\nMAIL TO:<s@x>\r\nMAIL\r\nMAIL FROM:<\xc3\xa4@x>\r\n"
	  "MAIL FROM:<\xff@x> SMTPUTF8\r\n",
	  HELLO "501/5.5.4 501/5.1.7 501/5.5.4 501/5.5.4 553/5.6.7 501/5.1.7", "" },
	{ LHLO MAIL "RCPT TO:a@d\r\nRCPT TO:<>\r\nRCPT TO:<a@@d>\r\nRCPT FROM:<a@d>\r\nRCPT TO:<a@d> NOTIFY=NEVER\r\n",
	  HELLO "250/2.1.0 501/5.5.4 501/5.1.3 501/5.1.3 501/5.5.4 555/5.5.4", "" },
	/* parameters */
	{ LHLO "MAIL FROM:<s@x> SIZE=1000 BODY=8BITMIME\r\n", HELLO "250/2.1.0", "" },
	{ LHLO "mail from:<s@x> body=7bit size=0\r\n", HELLO "250/2.1.0", "" },
	{ LHLO "MAIL FROM:<s@x> SIZE=1001\r\nMAIL FROM:<s@x> SIZE=x\r\nMAIL FROM:<s@x> SIZE\r\nMAIL FROM:<s@x> SIZE=1 SIZE=1\r\n",
	  HELLO "552/5.3.4 501/5.5.4 501/5.5.4 501/5.5.4", "" },
	{ LHLO "MAIL FROM:<s@x> BODY=BINARYMIME\r\nMAIL FROM:<s@x> SMTPUTF8=1\r\nMAIL FROM:<s@x> AUTH=<>\r\nMAIL FROM:<s@x> =\r\n",
	  HELLO "501/5.5.4 501/5.5.4 555/5.5.4 501/5.5.4", "" },
	/* sizes: each account has its own bound */
	{ LHLO "MAIL FROM:<s@x> SIZE=600\r\nRCPT TO:<a@d>\r\nRCPT TO:<b@d>\r\nRCPT TO:<all@d>\r\n",
	  HELLO "250/2.1.0 250/2.1.5 552/5.3.4 552/5.3.4", "" },
	/* SMTPUTF8 */
	{ LHLO "MAIL FROM:<\xc3\xa4@\xc3\xb6> SMTPUTF8\r\nRCPT TO:<\xc3\xa4@d>\r\nRCPT TO:<a+\xc3\xa4@d>\r\nDATA\r\n\xc3\xa4\r\n.\r\n",
	  HELLO "250/2.1.0 550/5.1.1 250/2.1.5 354 250/2.0.0", "\xc3\xa4@\xc3\xb6>a+\xc3\xa4@d[\xc3\xa4]1 :\xc3\xa4\r\n|" },
	{ LHLO MAIL "RCPT TO:<a+\xc3\xa4@d>\r\nRCPT TO:<a+\xc3@d>\r\n", HELLO "250/2.1.0 553/5.6.7 501/5.1.3", "" },
	/* aliases: one reply for each RCPT, the worst of its accounts */
	{ LHLO MAIL "RCPT TO:<all@d>\r\nRCPT TO:<away@d>\r\nRCPT TO:<ring@d>\r\nRCPT TO:<b@d>\r\nDATA\r\n.\r\n",
	  HELLO "250/2.1.0 250/2.1.5 451/4.3.5 451/4.4.6 250/2.1.5 354 552/5.2.2 250/2.0.0",
	  "s@x>all@d[]1 all@d[]107 all@d[]2 b@d[]2 :|" },
	/* BDAT */
	{ LHLO MAIL "RCPT TO:<a@d>\r\nRCPT TO:<b@d>\r\nBDAT 3\r\n.\r\nBDAT 2 LAST\r\nxyNOOP\r\n",
	  HELLO "250/2.1.0 250/2.1.5 250/2.1.5 250/2.0.0 250/2.0.0 250/2.0.0 250/2.0.0", "s@x>a@d[]1 b@d[]2 :.\r\nxy|" },
	{ LHLO MAIL "RCPT TO:<a@d>\r\nBDAT 0 LAST\r\n", HELLO "250/2.1.0 250/2.1.5 250/2.0.0", "s@x>a@d[]1 :|" },
	{ LHLO "BDAT 4 LAST\r\nQUIT" MAIL "BDAT 2\r\nhiRCPT TO:<a@d>\r\nBDAT 1 LAST\r\nz",
	  HELLO "503/5.5.1 250/2.1.0 503/5.5.1 250/2.1.5 250/2.0.0", "s@x>a@d[]1 :z|" },
	{ LHLO MAIL "RCPT TO:<a@d>\r\nBDAT 1\r\nxDATA\r\nRCPT TO:<b@d>\r\nRSET\r\nBDAT 1 LAST\r\nx",
	  HELLO "250/2.1.0 250/2.1.5 250/2.0.0 503/5.5.1 503/5.5.1 250/2.0.0 503/5.5.1", "" },
	/* order */
	{ "MAIL FROM:<a@b>\r\nRCPT TO:<a@d>\r\nDATA\r\n" LHLO "RCPT TO:<a@d>\r\nDATA\r\n" MAIL MAIL "DATA\r\n",
	  "220 503/5.5.1 503/5.5.1 503/5.5.1 250 503/5.5.1 503/5.5.1 250/2.1.0 503/5.5.1 503/5.5.1", "" },
	{ LHLO MAIL "RCPT TO:<a@d>\r\nRSET\r\nDATA\r\n" MAIL "RCPT TO:<b@d>\r\n" LHLO "DATA\r\n",
	  HELLO "250/2.1.0 250/2.1.5 250/2.0.0 503/5.5.1 250/2.1.0 250/2.1.5 250 503/5.5.1", "" },
	{ "HELO x\r\nEHLO x\r\nLHLO\r\nNOOP\r\nNOOP x\r\nVRFY a\r\nHELP\r\nRSET x\r\nWHAT\r\n\r\n \r\nQUIT x\r\nQUIT\r\n",
	  "220 500/5.5.1 500/5.5.1 501/5.5.4 250/2.0.0 250/2.0.0 252/2.5.0 214/2.0.0 501/5.5.4 500/5.5.2 500/5.5.2 500/5.5.2 "
	  "501/5.5.4 221/2.0.0", "" },
	{ "NOOP\nNO\rOP\r\nNOOP\r\n", "220 500/5.5.2 500/5.5.2 250/2.0.0", "" },
	/* bodies; one right after another, with what follows in the same write */
	{ LHLO MAIL "RCPT TO:<a@d>\r\nDATA\r\n..\r\n.x\r\na\n.\nb\r.\r\n.\r\n" MAIL "RCPT TO:<b@d>\r\nDATA\r\n2\r\n.\r\nNOOP\r\n",
	  HELLO "250/2.1.0 250/2.1.5 354 250/2.0.0 250/2.1.0 250/2.1.5 354 250/2.0.0 250/2.0.0",
	  "s@x>a@d[]1 :.\r\nx\r\na\n.\nb\r.\r\n|s@x>b@d[]2 :2\r\n|" },
};

static void conversations(void **state)
{
	for (size_t i = 0; i < COUNT(talks); i++)
		for (size_t piece = 1; piece < 1000; piece = piece < 8 ? piece + 1 : piece * 5) {
			struct peer p;
			peer_open(&p);
			say(&p, span_of(talks[i].says), piece);
			assert_string_equal(codes(&p), talks[i].codes);
			assert_true(span_eq(buffer_span(&p.service.told), span_of(talks[i].told)));
			assert_int_equal(p.next, strstr(talks[i].says, "QUIT\r\n") ? CONN_CLOSE : CONN_MORE);
			peer_close(&p);
		}
}

static void talk_ends(struct span says, size_t piece, const char *end)
{
	struct peer p;
	peer_open(&p);
	say(&p, says, piece);
	const char *got = codes(&p);
	assert_true(strlen(got) >= strlen(end));
	assert_string_equal(got + strlen(got) - strlen(end), end);
	assert_int_equal(p.service.told.n, 0);
	peer_close(&p);
}

static void refused_bodies(void **state)
{
	static const struct span nul = SPAN(LHLO MAIL "RCPT TO:<a@d>\r\nRCPT TO:<b@d>\r\nDATA\r\nx\0y\r\n.z\r\n.\r\nNOOP\r\n");
	struct buffer big = { 0 };
	buffer_puts(&big, LHLO MAIL "RCPT TO:<a@d>\r\nRCPT TO:<b@d>\r\nDATA\r\n");
	buffer_printf(&big, "%01000d\r\n.\r\nNOOP\r\n", 0);
	for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
		talk_ends(nul, piece, "354 554/5.6.0 554/5.6.0 250/2.0.0");
		talk_ends(buffer_span(&big), piece, "354 552/5.3.4 552/5.3.4 250/2.0.0");
	}
	buffer_free(&big);
}

static void failing_stores(void **state)
{
	static const struct span says = SPAN(LHLO MAIL "RCPT TO:<a@d>\r\nRCPT TO:<b@d>\r\nDATA\r\nx\r\n.\r\n");
	static const struct { struct service service; const char *end; } cases[] = {
		{ { .new_result = ERR_FULL }, "250/2.1.5 452/4.3.1 500/5.5.2 500/5.5.2" },
		{ { .finish_result = ERR_FULL }, "354 452/4.3.1 452/4.3.1" },
		{ { .deliver_result = ERR_UNAVAILABLE }, "354 451/4.3.0 451/4.3.0" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct peer p;
		peer_open(&p);
		p.service = cases[i].service;
		say(&p, says, 1000);
		const char *got = codes(&p);
		assert_string_equal(got + strlen(got) - strlen(cases[i].end), cases[i].end);
		peer_close(&p);
	}
}

static void limits(void **state)
{
	struct buffer b = { 0 };
	for (int i = 0; i < 22; i++)
		buffer_puts(&b, "WHAT\r\n");
	talk_ends(buffer_span(&b), 7, "500/5.5.2 421/4.7.0");
	buffer_reset(&b);
	for (int i = 0; i < LMTP_COMMANDS_MAX + 101; i++)
		buffer_puts(&b, "NOOP\r\n");
	talk_ends(buffer_span(&b), 65536, "250/2.0.0 421/4.7.0");
	buffer_reset(&b);
	buffer_printf(&b, "NOOP %04090d\r\nNOOP %04089d\r\nNOOP %09000d\r\nNOOP\r\n", 0, 0, 0);
	for (size_t piece = 1; piece < 70000; piece = piece * 13 + 1)
		talk_ends(buffer_span(&b), piece, "220 500/5.5.2 250/2.0.0 500/5.5.2 250/2.0.0");
	buffer_reset(&b);
	buffer_printf(&b, "%0*d", LMTP_SKIP_MAX + 5000, 0);
	talk_ends(buffer_span(&b), 65536, "220 421/4.7.0");
	buffer_reset(&b);
	buffer_puts(&b, LHLO MAIL);
	for (int i = 0; i < 101; i++)
		buffer_puts(&b, "RCPT TO:<a@d>\r\n");
	talk_ends(buffer_span(&b), 65536, "250/2.1.5 452/4.5.3");
	buffer_free(&b);
}

static void endings(void **state)
{
	struct peer p;
	peer_open(&p);
	assert_int_equal(timeout_set, LMTP_IDLE_US);
	say(&p, SPAN(LHLO MAIL "RCPT TO:<a@d>\r\nDATA\r\nhalf of it\r\n.\r"), 5);
	assert_int_equal(p.service.live, 1);
	assert_int_equal(lmtp_protocol.timeout(&p.conn), CONN_CLOSE);
	const char *got = codes(&p);
	assert_string_equal(got + strlen(got) - 9, "421/4.4.2");
	assert_int_equal(p.service.told.n, 0);
	peer_close(&p);

	peer_open(&p);
	lmtp_protocol.shutdown(&p.conn, "The server is going down");
	assert_string_equal(codes(&p), "220 421/4.3.2");
	peer_close(&p);
}

/* A client that sends part of a line now and then does not live on for ever by it. */
static void slow_commands(void **state)
{
	struct peer p;
	peer_open(&p);
	timeout_set = 0;
	say(&p, SPAN("NOO"), 1);
	assert_int_equal(timeout_set, 0);
	say(&p, SPAN("P\r\n"), 1);
	assert_int_equal(timeout_set, LMTP_IDLE_US);
	peer_close(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations), cmocka_unit_test(refused_bodies), cmocka_unit_test(failing_stores),
		cmocka_unit_test(limits), cmocka_unit_test(endings), cmocka_unit_test(slow_commands),
	};
	log_level_set(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
