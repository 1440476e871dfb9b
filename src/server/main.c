/* perdurad: one node in the foreground. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"
#include "log.h"
#include "node.h"
#include "notify.h"

enum {
	ARENAS = 4,          /* of malloc: one for each thread would multiply what is kept but free */
	HEAP_STEP = 1 << 20, /* bytes */
};

static const char help[] =
	"usage: perdurad [--data DIR] [--config FILE] [--set NAME=VALUE]...\n"
	"\n"
	"Runs a mail server node in the foreground until SIGTERM or SIGINT; SIGHUP reads the settings again.\n"
	"\n"
	"  --data DIR        where everything is kept (/var/lib/perdura); made if it is not there\n"
	"  --config FILE     settings, \"name = value\" lines (DIR/perdura.conf)\n"
	"  --set NAME=VALUE  one setting; \"perdura config\" lists them all\n"
	"  --version, --help\n"
	"\n"
	"What it listens on stands in DIR/run/ports once it serves. Talk to it with \"perdura --data DIR\".\n";

/* Takes --name VALUE or --name=VALUE at argv[*i]; NULL if it is not that. */
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

static int usage(const char *word)
{
	fprintf(stderr, "perdurad: \"%s\" is no option, or lacks its value; see perdurad --help\n", word);
	return EXIT_USAGE;
}

static int parse(int argc, char **argv, struct node_options *o, const char **settings)
{
	const char *v;
	for (int i = 1; i < argc; i++) {
		int at = i;
		if ((v = option(argv, &i, "--data")))
			o->dir = v;
		else if ((v = option(argv, &i, "--config")))
			o->config = v;
		else if ((v = option(argv, &i, "--set")))
			settings[o->n++] = v;
		else
			return usage(argv[at]);
	}
	return *o->dir ? EXIT_DONE : usage("--data");
}

static void raise_descriptor_limit(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/* Descriptors 0 to 2 must be taken, or a store's file could become "standard error". */
static void hold_standard_descriptors(void)
{
	struct stat st;
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &st) && errno == EBADF && !freopen("/dev/null", "r+", fd == 0 ? stdin : fd == 1 ? stdout : stderr))
			abort();
}

static int serve(const struct node_options *o, const sigset_t *signals)
{
	struct node node;
	int signal;
	struct buffer rest = { 0 };
	char why[512];
	if (node_start(o, &node)) {
		fprintf(stderr, "perdurad: %s\n", fail_detail());
		return EXIT_FAILED;
	}
	notify_manager("READY=1");
	while (sigwait(signals, &signal) == 0 && signal == SIGHUP) {
		notify_reloading();
		node_reload(&node, &rest);
		notify_manager("READY=1");
	}
	notify_manager("STOPPING=1");
	buffer_free(&rest);
	if (node_stop(&node)) {
		log_line(LOG_WARN, "stop", "ending-now=1 detail=%s", log_quote(why, sizeof why, span_of(fail_detail())));
		_exit(EXIT_DONE);
	}
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct node_options o = { .dir = "/var/lib/perdura" };
	sigset_t signals;
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("perdurad %s\n", PERDURA_VERSION) < 0;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return fputs(help, stdout) < 0;
	const char **settings = calloc((size_t)argc, sizeof *settings);
	if (!settings)
		return EXIT_FAILED;
	o.settings = settings;
	int status = parse(argc, argv, &o, settings);
	if (status == EXIT_DONE) {
		hold_standard_descriptors();
		mallopt(M_ARENA_MAX, ARENAS);
		mallopt(M_TOP_PAD, HEAP_STEP); /* heaps grow and shrink in steps, not with every message */
		mallopt(M_TRIM_THRESHOLD, 4 * HEAP_STEP);
		signal(SIGPIPE, SIG_IGN);
		sigemptyset(&signals);
		sigaddset(&signals, SIGTERM);
		sigaddset(&signals, SIGINT);
		sigaddset(&signals, SIGHUP);
		pthread_sigmask(SIG_BLOCK, &signals, NULL);
		raise_descriptor_limit();
		status = serve(&o, &signals);
	}
	free(settings);
	return status;
}
