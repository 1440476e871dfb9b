#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "lmtp_private.h"
#include "log.h"
#include "metric.h"
#include "route.h"
#include "settings.h"
#include "tls.h"

/* What must be so before a command runs; checked once, by lmtp_command(). */
enum {
	GREETED = 1,       /* after LHLO */
	TRANSACTION = 2,   /* after MAIL */
	NO_TRANSACTION = 4,
	NO_ARGS = 8,
	WHOLE = 16,        /* not between two BDAT */
};

struct command {
	struct span word;
	enum lmtp_step (*run)(struct lmtp_session *s, struct span args);
	unsigned flags;
};

static enum lmtp_step done(struct lmtp_session *s, const char *line)
{
	lmtp_reply(s, line);
	return LMTP_AGAIN;
}

static enum lmtp_step cmd_lhlo(struct lmtp_session *s, struct span args)
{
	if (!args.n)
		return lmtp_mistake(s, "501 5.5.4 LHLO wants the name of your host");
	struct settings cluster;
	int rc = settings_of(s->node->identity, 0, &cluster);
	if (rc)
		return done(s, lmtp_status(rc));
	lmtp_reset(s);
	s->greeted = true;
	s->message_max = (uint64_t)cluster.message_max;
	bool tls = !s->conn->tls && s->node->tls && tls_ready(s->node->tls);
	buffer_printf(&s->conn->out,
	              "250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n"
	              "%s250 SIZE %llu\r\n",
	              s->node->host, tls ? "250-STARTTLS\r\n" : "", (unsigned long long)s->message_max);
	return LMTP_AGAIN;
}

/* RFC 3207: all that was said before is forgotten. */
static enum lmtp_step cmd_starttls(struct lmtp_session *s, struct span args)
{
	if (s->conn->tls)
		return lmtp_mistake(s, "503 5.5.1 TLS is on already");
	if (conn_start_tls(s->conn, s->node->tls))
		return lmtp_mistake(s, "502 5.5.1 No TLS here");
	lmtp_reset(s);
	s->greeted = false;
	lmtp_reply(s, "220 2.0.0 Begin TLS now");
	return LMTP_TLS;
}

/* RFC 2033, 4.1: never a positive answer. */
static enum lmtp_step cmd_helo(struct lmtp_session *s, struct span args)
{
	return lmtp_mistake(s, "500 5.5.1 This is LMTP: say LHLO");
}

/* The parameters of MAIL; what is not there is left alone. NULL, or the line that refuses them. */
static const char *parse_mail_params(struct span args, uint64_t *size, bool *utf8)
{
	bool has_size = false, has_body = false;
	for (struct smtp_param p; args.n;) {
		if (smtp_param_take(&args, &p) != SMTP_OK)
			return "501 5.5.4 Wrong syntax of parameters";
		if (span_ieq(p.name, SPAN("SIZE"))) {
			if (has_size || !span_u64(p.value, UINT64_MAX, size))
				return "501 5.5.4 Wrong SIZE";
			has_size = true;
		} else if (span_ieq(p.name, SPAN("BODY"))) {
			if (has_body || (!span_ieq(p.value, SPAN("7BIT")) && !span_ieq(p.value, SPAN("8BITMIME"))))
				return "501 5.5.4 BODY is 7BIT or 8BITMIME";
			has_body = true;
		} else if (span_ieq(p.name, SPAN("SMTPUTF8"))) {
			if (*utf8 || p.has_value)
				return "501 5.5.4 SMTPUTF8 stands alone";
			*utf8 = true;
		} else
			return "555 5.5.4 Unknown parameter";
	}
	return NULL;
}

static const char needs_utf8[] = "553 5.6.7 An address with such letters needs SMTPUTF8";

static enum lmtp_step cmd_mail(struct lmtp_session *s, struct span args)
{
	struct smtp_path path;
	switch (smtp_path_take(&args, SPAN("FROM"), &path)) {
	case SMTP_OK: break;
	case SMTP_SYNTAX: return lmtp_mistake(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
	case SMTP_BAD_ADDRESS: return lmtp_mistake(s, "501 5.1.7 Wrong syntax of address");
	}
	uint64_t size = 0;
	bool utf8 = false;
	const char *refusal = parse_mail_params(args, &size, &utf8);
	if (!refusal && path.utf8 && !utf8)
		refusal = needs_utf8;
	if (refusal)
		return lmtp_mistake(s, refusal);
	if (size > s->message_max)
		return done(s, lmtp_too_big);
	s->sender = arena_copy(&s->arena, path.given);
	if (!s->sender.p)
		return done(s, lmtp_status(ERR_UNAVAILABLE));
	s->has_mail = true;
	s->utf8 = utf8;
	s->declared = size;
	return done(s, "250 2.1.0 OK");
}

/* The address as the directory knows it: without quotes and escapes. .p is NULL when there is no room. */
static struct span plain_address(struct lmtp_session *s, const struct smtp_path *path)
{
	char *out = arena_alloc(&s->arena, path->local.n + 1 + path->domain.n);
	if (!out)
		return (struct span){ 0 };
	size_t n = smtp_local_write(path->local, out);
	if (path->domain.n) {
		out[n++] = '@';
		memcpy(out + n, path->domain.p, path->domain.n);
		n += path->domain.n;
	}
	return span_from(out, n);
}

static void log_failed_lookup(const struct lmtp_session *s, struct span given, int error)
{
	char rcpt[256], detail[256];
	log_line(LOG_WARN, "lmtp-rcpt", "session=%lld rcpt=%s result=%s detail=%s", (long long)s->conn->id,
	         log_quote(rcpt, sizeof rcpt, given), fail_name(error),
	         log_quote(detail, sizeof detail, span_of(fail_detail())));
}

/* Room for one more element in an array. */
static bool grow(void **list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;
	size_t more = *cap ? *cap * 2 : 4;
	void *p = realloc(*list, more * size);
	if (!p)
		return false;
	*list = p;
	*cap = more;
	return true;
}

static const char too_many[] = "452 4.5.3 Too many recipients";

/* NULL, or why the account gets no message of the declared size. */
static const char *check_size(struct lmtp_session *s, int64_t account)
{
	struct settings settings;
	int rc = settings_of(s->node->identity, account, &settings);
	if (rc)
		return lmtp_status(rc);
	return s->declared > (uint64_t)settings.message_max ? lmtp_too_big : NULL;
}

/* NULL, or the reply. An alias that leads elsewhere too is for the transfer agent to follow; until it does, the mail
   waits there. */
static const char *add_target(struct lmtp_session *s, struct span given, const struct route_target *t)
{
	if (!t->account)
		return "451 4.3.5 The alias leads elsewhere too: virtual_alias_maps must follow it";
	const char *refusal = s->declared ? check_size(s, t->account) : NULL;
	if (refusal)
		return refusal;
	struct span detail = t->detail.n ? arena_copy(&s->arena, t->detail) : SPAN("");
	if (!detail.p || s->to_n == LMTP_ACCOUNTS_MAX || !grow((void **)&s->to, s->to_n, &s->to_cap, sizeof *s->to))
		return too_many;
	s->to[s->to_n++] = (struct recipient){ .account = t->account, .address = given, .folder = detail };
	return NULL;
}

/* All the accounts it leads to, or none. */
static const char *add_route(struct lmtp_session *s, struct span given, const struct route *r)
{
	size_t first = s->to_n;
	const char *refusal = NULL;
	for (size_t i = 0; !refusal && i < r->n; i++)
		refusal = add_target(s, given, &r->list[i]);
	if (refusal)
		s->to_n = first;
	else
		s->rcpt[s->rcpt_n++] = (struct lmtp_rcpt){ given, first, r->n };
	return refusal;
}

static enum lmtp_step add_recipient(struct lmtp_session *s, const struct smtp_path *path)
{
	struct route route;
	if (s->rcpt_n == s->node->recipients_max || !grow((void **)&s->rcpt, s->rcpt_n, &s->rcpt_cap, sizeof *s->rcpt))
		return done(s, too_many);
	struct span given = arena_copy(&s->arena, path->given), address = plain_address(s, path);
	if (!given.p || !address.p)
		return done(s, too_many);
	int rc = route_find(s->node->identity, address, &route);
	if (rc && rc != ERR_NOT_FOUND)
		log_failed_lookup(s, path->given, rc);
	if (rc)
		return done(s, rc == ERR_CANNOT ? "451 4.4.6 The alias leads nowhere: its aliases are in a circle, or too many"
		                                : lmtp_status(rc));
	const char *refusal = add_route(s, given, &route);
	route_free(&route);
	return done(s, refusal ? refusal : "250 2.1.5 OK");
}

static enum lmtp_step cmd_rcpt(struct lmtp_session *s, struct span args)
{
	struct smtp_path path;
	switch (smtp_path_take(&args, SPAN("TO"), &path)) {
	case SMTP_OK: break;
	case SMTP_SYNTAX: return lmtp_mistake(s, "501 5.5.4 Syntax: RCPT TO:<address>");
	case SMTP_BAD_ADDRESS: return lmtp_mistake(s, "501 5.1.3 Wrong syntax of address");
	}
	if (path.utf8 && !s->utf8)
		return lmtp_mistake(s, needs_utf8);
	if (!path.given.n)
		return lmtp_mistake(s, "501 5.1.3 A recipient has an address");
	if (path.given.n >= ADDRESS_MAX)
		return lmtp_mistake(s, "501 5.1.3 The address is too long");
	if (args.n)
		return lmtp_mistake(s, "555 5.5.4 Unknown parameter");
	return add_recipient(s, &path);
}

static enum lmtp_step cmd_data(struct lmtp_session *s, struct span args)
{
	if (!s->rcpt_n)
		return lmtp_mistake(s, "503 5.5.1 No valid recipients"); /* RFC 2033, 4.2 */
	return lmtp_data(s);
}

/* RFC 3030. What follows is no command, whatever is wrong with this one: without its length there is no going on. */
static enum lmtp_step cmd_bdat(struct lmtp_session *s, struct span args)
{
	struct smtp_chunk chunk;
	if (smtp_chunk_parse(args, &chunk) != SMTP_OK)
		return lmtp_goodbye(s, "501 5.5.4 Syntax: BDAT size [LAST]", "wrong-bdat");
	return lmtp_chunk(s, chunk, !s->has_mail ? "503 5.5.1 Say MAIL first" : !s->rcpt_n ? "503 5.5.1 No valid recipients" : NULL);
}

static enum lmtp_step cmd_rset(struct lmtp_session *s, struct span args)
{
	lmtp_reset(s);
	return done(s, "250 2.0.0 OK");
}

static enum lmtp_step cmd_noop(struct lmtp_session *s, struct span args)
{
	return done(s, "250 2.0.0 OK");
}

static enum lmtp_step cmd_vrfy(struct lmtp_session *s, struct span args)
{
	return done(s, "252 2.5.0 Send some mail, and you will see");
}

static enum lmtp_step cmd_help(struct lmtp_session *s, struct span args)
{
	return done(s, "214 2.0.0 LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT: see RFC 2033");
}

static enum lmtp_step cmd_quit(struct lmtp_session *s, struct span args)
{
	lmtp_reply(s, "221 2.0.0 Bye");
	return LMTP_CLOSE;
}

static const struct command commands[] = {
	{ SPAN("RCPT"), cmd_rcpt, GREETED | TRANSACTION | WHOLE },
	{ SPAN("MAIL"), cmd_mail, GREETED | NO_TRANSACTION },
	{ SPAN("DATA"), cmd_data, GREETED | TRANSACTION | NO_ARGS | WHOLE },
	{ SPAN("BDAT"), cmd_bdat, 0 },
	{ SPAN("QUIT"), cmd_quit, NO_ARGS },
	{ SPAN("LHLO"), cmd_lhlo, 0 },
	{ SPAN("STARTTLS"), cmd_starttls, GREETED | NO_ARGS },
	{ SPAN("RSET"), cmd_rset, NO_ARGS },
	{ SPAN("NOOP"), cmd_noop, 0 },
	{ SPAN("VRFY"), cmd_vrfy, 0 },
	{ SPAN("HELP"), cmd_help, 0 },
	{ SPAN("HELO"), cmd_helo, 0 },
	{ SPAN("EHLO"), cmd_helo, 0 },
};

static const struct command *find_command(struct span word)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (span_ieq(commands[i].word, word))
			return &commands[i];
	return NULL;
}

void lmtp_metrics(struct metrics *m)
{
	_Static_assert(sizeof commands / sizeof *commands <= METRIC_NAMED, "commands have places in the metrics");
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		metric_name(m, METRIC_LMTP_SECONDS, (unsigned)i, commands[i].word.p);
}

static enum lmtp_step run_command(struct lmtp_session *s, const struct command *c, struct span args)
{
	int64_t began = clock_mono();
	enum lmtp_step step = c->run(s, args);
	metric_observe(s->node->metrics, METRIC_LMTP_SECONDS, (unsigned)(c - commands), clock_mono() - began);
	return step;
}

/* NULL when the command may run now, or the line that refuses it. */
static const char *check_flags(const struct lmtp_session *s, const struct command *c, struct span args)
{
	if ((c->flags & GREETED) && !s->greeted)
		return "503 5.5.1 Say LHLO first";
	if ((c->flags & TRANSACTION) && !s->has_mail)
		return "503 5.5.1 Say MAIL first";
	if ((c->flags & NO_TRANSACTION) && s->has_mail)
		return "503 5.5.1 There is a MAIL already";
	if ((c->flags & WHOLE) && s->chunked)
		return "503 5.5.1 A message is on its way by BDAT";
	if ((c->flags & NO_ARGS) && args.n)
		return "501 5.5.4 That command stands alone";
	return NULL;
}

enum lmtp_step lmtp_command(struct lmtp_session *s, struct span line)
{
	struct smtp_command said = smtp_command_parse(line);
	const struct command *c = find_command(said.word);
	if (++s->commands > LMTP_COMMANDS_MAX + s->node->recipients_max)
		return lmtp_goodbye(s, "421 4.7.0 Too many commands", "commands");
	if (!c)
		return lmtp_mistake(s, "500 5.5.2 Unknown command");
	const char *refusal = check_flags(s, c, said.args);
	return refusal ? lmtp_mistake(s, refusal) : run_command(s, c, said.args);
}
