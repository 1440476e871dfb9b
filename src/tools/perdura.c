/* perdura: the command. It hands its words to the node and prints what comes back; what concerns the user's own files and
   terminal (passwords, mail to import, questions) it does itself. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arguments.h"
#include "ask_password.h"
#include "client.h"
#include "config.h"
#include "export_target.h"
#include "fail.h"
#include "import_source.h"
#include "upgrade.h"

enum { PIECE = 256 * 1024 }; /* of a message on its way */

static const struct verb all[] = {
#define VERB(name, handler, ...) { name, NULL, __VA_ARGS__ },
#include "verbs.def"
#undef VERB
};
enum { VERBS = sizeof all / sizeof *all };

struct command {
	const char *dir, *config;
	const char **settings; /* of --set */
	size_t n_settings;
	bool json, help;
	const char *const *words; /* the verb and what follows */
	size_t n;
	struct request request; /* the words, parsed: to know the files and options that are ours */
	struct client client;
	uint64_t total; /* bytes to import */
	bool trouble;   /* some file could not be read */
	struct export_target *to;
};

static int complain(int status, const char *what)
{
	fprintf(stderr, "perdura: %s\n", what);
	return status;
}

/* ---- Help and usage */

static int print_help(void)
{
	struct buffer b = { 0 };
	buffer_puts(&b, "usage: perdura [--data DIR] [--json] COMMAND ...\n\n"
		"Talks to the node that runs on DIR (/var/lib/perdura). Commands:\n\n");
	for (size_t i = 0; i < VERBS; i++) {
		buffer_puts(&b, "  ");
		verb_usage(&b, &all[i]);
		buffer_printf(&b, "\n      %s\n", all[i].help);
	}
	buffer_puts(&b, "\nExit status: 0 done; 1 refused or failed; 2 wrong usage; 75 try again later.\n");
	fwrite(b.p, 1, b.n, stdout);
	buffer_free(&b);
	return EXIT_DONE;
}

static int print_verb(const struct verb *v)
{
	struct buffer b = { 0 };
	verb_usage(&b, v);
	printf("usage: perdura [--data DIR] [--json] %.*s\n      %s\n", (int)b.n, b.p, v->help);
	buffer_free(&b);
	return EXIT_DONE;
}

static int wrong_usage(const struct verb *v)
{
	struct buffer b = { 0 };
	complain(EXIT_USAGE, fail_detail());
	verb_usage(&b, v);
	fprintf(stderr, "usage: perdura %.*s\n", (int)b.n, b.p);
	buffer_free(&b);
	return EXIT_USAGE;
}

/* ---- What needs no node */

static void print_line(void *ctx, struct span line)
{
	fwrite(line.p, 1, line.n, stdout);
	putchar('\n');
}

static int without_node(struct command *c)
{
	struct config config;
	bool json = c->request.json || c->json;
	int status;
	if (config_load(c->dir, c->config, c->settings, c->n_settings, &config))
		return complain(EXIT_FAILED, fail_detail());
	if (c->request.verb->flags & VERB_LOCAL)
		status = upgrade_run(c->dir, &config, request_has(&c->request, "init"), json);
	else if (config_list(&config, c->request.args, c->request.n_args, json, print_line, NULL))
		status = complain(EXIT_FAILED, fail_detail());
	else
		status = EXIT_DONE;
	config_free(&config);
	return status;
}

/* ---- What goes to the node */

static void put_option(struct json_writer *j, const char *name, const char *value)
{
	if (!value)
		return;
	json_put_text(j, span_of(name));
	json_put_text(j, span_of(value));
}

/* The words as they were given; those of an export that goes on ask for the change it began with. */
static void put_words(struct command *c, struct json_writer *j)
{
	const char *resume = c->to ? export_resume(c->to) : NULL;
	if (resume) {
		json_put_text(j, span_of(c->request.verb->name));
		put_option(j, "--at", resume);
		put_option(j, "--folder", request_option(&c->request, "folder"));
		for (size_t i = 0; i < c->request.n_args; i++)
			json_put_text(j, span_of(c->request.args[i]));
		return;
	}
	for (size_t i = 0; i < c->n; i++)
		json_put_text(j, span_of(c->words[i]));
}

static int send_request(struct command *c)
{
	char folder[PATH_MAX];
	struct buffer b = { 0 };
	struct json_writer j = { .out = &b };
	json_put_open(&j, '{');
	json_put_key(&j, "args");
	json_put_open(&j, '[');
	put_words(c, &j);
	json_put_close(&j, ']');
	json_put_key(&j, "json");
	json_put_bool(&j, c->json || c->request.json);
	json_put_key(&j, "terminal");
	json_put_bool(&j, c->client.bar.terminal);
	if (getcwd(folder, sizeof folder)) {
		json_put_key(&j, "folder");
		json_put_text(&j, span_of(folder));
	}
	json_put_close(&j, '}');
	int r = b.n <= FRAME_MAX ? client_send(&c->client, FRAME_REQUEST, buffer_span(&b)) :
	                           fail_with(ERR_LIMIT, "too many words for one command");
	buffer_free(&b);
	return r;
}

static int send_message(void *ctx, const struct import_item *item, struct span bytes)
{
	struct command *c = ctx;
	struct buffer head = { 0 };
	import_item_put(&head, item);
	int r = client_send(&c->client, FRAME_ITEM, buffer_span(&head));
	buffer_free(&head);
	for (size_t at = 0; at < bytes.n && !r; at += PIECE)
		r = client_send(&c->client, FRAME_DATA, span_sub(bytes, at, PIECE));
	return r;
}

static void say_trouble(void *ctx, const char *path, const char *what)
{
	struct command *c = ctx;
	bar_clear(&c->client.bar);
	fprintf(stderr, "perdura: %s: %s\n", path, what);
	c->trouble = true;
}

static void show_read(void *ctx, uint64_t bytes)
{
	struct command *c = ctx;
	bar_show(&c->client.bar, bytes, c->total, SPAN("read"));
}

static int send_items(struct command *c)
{
	const struct import_sink sink = { send_message, say_trouble, show_read, c };
	int r = OK;
	for (size_t i = 1; i < c->request.n_args && c->client.bar.terminal; i++)
		c->total += import_size(c->request.args[i]);
	for (size_t i = 1; i < c->request.n_args && !r; i++)
		r = import_walk(c->request.args[i], &sink);
	return r;
}

static int send_all(struct command *c, struct span password)
{
	int r = send_request(c);
	if (!r && c->request.verb->flags & VERB_PASSWORD)
		r = client_send(&c->client, FRAME_DATA, password);
	if (!r && c->request.verb->flags & VERB_ITEMS)
		r = send_items(c);
	if (!r && c->request.verb->flags & (VERB_PASSWORD | VERB_ITEMS))
		r = client_send(&c->client, FRAME_END, (struct span){ 0 });
	return r;
}

static int talk(struct command *c, struct span password)
{
	int r = send_all(c, password);
	if (!r)
		r = client_finish(&c->client);
	int status = c->client.status;
	client_close(&c->client);
	if (status < 0)
		return complain(r == ERR_STOPPED ? EXIT_RETRY : EXIT_FAILED, fail_detail());
	return status == EXIT_DONE && (c->trouble || fflush(stdout)) ? EXIT_FAILED : status;
}

static int no_node(struct command *c, int r)
{
	client_close(&c->client);
	if (r == ERR_NOT_FOUND && c->request.verb->flags & VERB_OFFLINE)
		return without_node(c);
	if (r != ERR_NOT_FOUND)
		return complain(EXIT_FAILED, fail_detail());
	fprintf(stderr, "perdura: no node runs on %s; start one with: perdurad --data %s\n", c->dir, c->dir);
	return EXIT_RETRY;
}

static int run_export(struct command *c)
{
	const struct export_options o = { c->request.args[1], request_option(&c->request, "format"),
		request_option(&c->request, "at"), request_option(&c->request, "folder") };
	if (export_open(&o, &c->to)) {
		client_close(&c->client);
		return complain(EXIT_FAILED, fail_detail());
	}
	c->client.to = c->to;
	int status = talk(c, (struct span){ 0 });
	export_close(&c->to);
	return status;
}

static int run(struct command *c)
{
	char path[PATH_MAX];
	struct buffer password = { 0 };
	bool terminal = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
	if (snprintf(path, sizeof path, "%s/admin.sock", c->dir) >= (int)sizeof path)
		return complain(EXIT_FAILED, "the name of the data folder is too long");
	int r = client_open(&c->client, path, terminal);
	if (r)
		return no_node(c, r);
	if (c->request.verb->flags & VERB_EXPORT)
		return run_export(c);
	if (c->request.verb->flags & VERB_PASSWORD && ask_password(request_option(&c->request, "password-file"), &password)) {
		client_close(&c->client);
		buffer_free(&password);
		return complain(EXIT_FAILED, fail_detail());
	}
	int status = talk(c, buffer_span(&password));
	if (password.p)
		explicit_bzero(password.p, password.cap);
	buffer_free(&password);
	return status;
}

/* ---- The command line: our options, then the verb's words */

static const char *option(char **argv, int *i, const char *name)
{
	size_t n = strlen(name);
	const char *word = argv[*i];
	if (strncmp(word, name, n))
		return NULL;
	if (word[n] == '=')
		return word + n + 1;
	return word[n] == 0 && argv[*i + 1] ? argv[++*i] : NULL;
}

static int parse(int argc, char **argv, struct command *c)
{
	int i = 1;
	const char *v;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if ((v = option(argv, &i, "--data")))
			c->dir = v;
		else if ((v = option(argv, &i, "--config")))
			c->config = v;
		else if ((v = option(argv, &i, "--set")))
			c->settings[c->n_settings++] = v;
		else if (strcmp(argv[i], "--json") == 0)
			c->json = true;
		else if (strcmp(argv[i], "--help") == 0)
			c->help = true;
		else
			return complain(EXIT_USAGE, "unknown option, or one without its value; see perdura --help");
	}
	c->words = (const char *const *)argv + i;
	c->n = (size_t)(argc - i);
	for (; i < argc; i++)
		c->help = c->help || strcmp(argv[i], "--help") == 0;
	return EXIT_DONE;
}

/* --set may also stand behind a verb that has it. */
static void take_settings(struct command *c)
{
	for (size_t i = 0; i < c->request.n_options; i++)
		if (span_eq(span_from(c->request.options[i].name, c->request.options[i].name_n), SPAN("set")))
			c->settings[c->n_settings++] = c->request.options[i].value;
}

static int run_words(struct command *c)
{
	size_t taken;
	const struct verb *v = verb_find(all, VERBS, c->words, c->n, &taken);
	if (c->help)
		return v ? print_verb(v) : print_help();
	if (!v)
		return complain(EXIT_USAGE, c->n ? "there is no such command; see perdura --help" :
			"which command? See perdura --help");
	if (arguments_parse(&c->request, v, c->words + taken, c->n - taken))
		return wrong_usage(v);
	take_settings(c);
	return v->flags & VERB_LOCAL ? without_node(c) : run(c);
}

int main(int argc, char **argv)
{
	struct command c = { .dir = "/var/lib/perdura", .client.fd = -1 };
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("perdura %s\n", PERDURA_VERSION) < 0;
	c.settings = calloc(2 * (size_t)argc, sizeof *c.settings);
	if (!c.settings)
		return complain(EXIT_RETRY, "no memory");
	c.request.args = c.settings + argc;
	int status = parse(argc, argv, &c);
	if (status == EXIT_DONE)
		status = run_words(&c);
	free(c.settings);
	return status;
}
