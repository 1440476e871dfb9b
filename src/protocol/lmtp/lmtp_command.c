#include <stdlib.h>

#include "clock.h"
#include "directory.h"
#include "fail.h"
#include "lmtp_private.h"
#include "log.h"
#include "metric.h"
#include "settings.h"
#include "tls.h"

/* What must be so before a command runs; checked once, by lmtp_command(). */
enum {
	GREETED = 1,       /* after LHLO */
	TRANSACTION = 2,   /* after MAIL */
	NO_TRANSACTION = 4,
	NO_ARGS = 8,
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
	              "250-%s\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n%s250 SIZE %llu\r\n",
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

/* The parameters of MAIL; size is left alone where there is none. NULL, or the line that refuses them. */
static const char *parse_mail_params(struct span args, uint64_t *size)
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
		} else
			return "555 5.5.4 Unknown parameter";
	}
	return NULL;
}

static enum lmtp_step cmd_mail(struct lmtp_session *s, struct span args)
{
	struct smtp_path path;
	switch (smtp_path_take(&args, SPAN("FROM"), &path)) {
	case SMTP_OK: break;
	case SMTP_SYNTAX: return lmtp_mistake(s, "501 5.5.4 Syntax: MAIL FROM:<address>");
	case SMTP_BAD_ADDRESS: return lmtp_mistake(s, "501 5.1.7 Wrong syntax of address");
	case SMTP_8BIT: return lmtp_mistake(s, "553 5.6.7 An address has ASCII letters only");
	}
	uint64_t size = 0;
	const char *refusal = parse_mail_params(args, &size);
	if (refusal)
		return lmtp_mistake(s, refusal);
	if (size > s->message_max)
		return done(s, lmtp_too_big);
	s->sender = arena_copy(&s->arena, path.given);
	if (!s->sender.p)
		return done(s, lmtp_status(ERR_UNAVAILABLE));
	s->has_mail = true;
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

/* Whoever account.postmaster names for that domain: a domain must have one (RFC 5321, 4.5.1). */
static int find_postmaster(struct lmtp_session *s, struct span domain, struct account *out, struct span *detail)
{
	char lower[ADDRESS_MAX];
	struct settings settings;
	int rc = domain.n && domain_complete(domain, lower) == OK
		? settings_of_domain(s->node->identity, span_of(lower), &settings)
		: settings_of(s->node->identity, 0, &settings);
	if (rc == OK && !*settings.postmaster)
		return ERR_NOT_FOUND;
	*detail = SPAN("");
	return rc ? rc : directory_find(s->node->identity, span_of(settings.postmaster), out);
}

static int find_account(struct lmtp_session *s, const struct smtp_path *path, struct span address, struct account *out,
                        struct span *detail)
{
	int rc = directory_find_recipient(s->node->identity, address, out, detail);
	bool postmaster = span_ieq(path->local, SPAN("postmaster"));
	return rc == ERR_NOT_FOUND && postmaster ? find_postmaster(s, path->domain, out, detail) : rc;
}

static void log_failed_lookup(const struct lmtp_session *s, struct span given, int error)
{
	char rcpt[256], detail[256];
	log_line(LOG_WARN, "lmtp-rcpt", "session=%lld rcpt=%s result=%s detail=%s", (long long)s->conn->id,
	         log_quote(rcpt, sizeof rcpt, given), fail_name(error),
	         log_quote(detail, sizeof detail, span_of(fail_detail())));
}

static bool room_for_recipient(struct lmtp_session *s)
{
	if (s->to_n == s->node->recipients_max)
		return false;
	if (s->to_n < s->to_cap)
		return true;
	size_t cap = s->to_cap ? s->to_cap * 2 : 4;
	struct recipient *to = realloc(s->to, cap * sizeof *to);
	if (!to)
		return false;
	s->to = to;
	s->to_cap = cap;
	return true;
}

static const char too_many[] = "452 4.5.3 Too many recipients";

static enum lmtp_step add_recipient(struct lmtp_session *s, const struct smtp_path *path)
{
	struct account account;
	struct span detail = { 0 };
	if (!room_for_recipient(s))
		return done(s, too_many);
	struct span given = arena_copy(&s->arena, path->given), address = plain_address(s, path);
	if (!given.p || !address.p)
		return done(s, too_many);
	int rc = find_account(s, path, address, &account, &detail);
	if (rc && rc != ERR_NOT_FOUND)
		log_failed_lookup(s, path->given, rc);
	if (rc)
		return done(s, lmtp_status(rc));
	s->to[s->to_n++] = (struct recipient){ .account = account.id, .address = given, .folder = detail };
	return done(s, "250 2.1.5 OK");
}

static enum lmtp_step cmd_rcpt(struct lmtp_session *s, struct span args)
{
	struct smtp_path path;
	switch (smtp_path_take(&args, SPAN("TO"), &path)) {
	case SMTP_OK: break;
	case SMTP_SYNTAX: return lmtp_mistake(s, "501 5.5.4 Syntax: RCPT TO:<address>");
	case SMTP_BAD_ADDRESS: return lmtp_mistake(s, "501 5.1.3 Wrong syntax of address");
	case SMTP_8BIT: return lmtp_mistake(s, "553 5.6.7 An address has ASCII letters only");
	}
	if (!path.given.n)
		return lmtp_mistake(s, "501 5.1.3 A recipient has an address");
	if (args.n)
		return lmtp_mistake(s, "555 5.5.4 Unknown parameter");
	return add_recipient(s, &path);
}

static enum lmtp_step cmd_data(struct lmtp_session *s, struct span args)
{
	if (!s->to_n)
		return lmtp_mistake(s, "503 5.5.1 No valid recipients"); /* RFC 2033, 4.2 */
	return lmtp_data(s);
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
	return done(s, "214 2.0.0 LHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT: see RFC 2033");
}

static enum lmtp_step cmd_quit(struct lmtp_session *s, struct span args)
{
	lmtp_reply(s, "221 2.0.0 Bye");
	return LMTP_CLOSE;
}

static const struct command commands[] = {
	{ SPAN("RCPT"), cmd_rcpt, GREETED | TRANSACTION },
	{ SPAN("MAIL"), cmd_mail, GREETED | NO_TRANSACTION },
	{ SPAN("DATA"), cmd_data, GREETED | TRANSACTION | NO_ARGS },
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
