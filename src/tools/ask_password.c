#include "ask_password.h"

#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "fail.h"

enum { PASSWORD_MAX = 4096 };

static int read_line(FILE *f, const char *name, struct buffer *out)
{
	int c;
	while ((c = getc(f)) != EOF && c != '\n')
		buffer_putc(out, (char)c);
	if (out->n && out->p[out->n - 1] == '\r')
		out->n--;
	if (!buffer_ok(out))
		return fail_with(ERR_LIMIT, "%s: a password has at most %d bytes", name, PASSWORD_MAX);
	return out->n ? OK : fail_with(ERR_NOT_FOUND, "%s: no password; give one line on standard input or --password-file FILE",
		name);
}

static int read_terminal(struct buffer *out)
{
	struct termios shown, hidden;
	tcgetattr(STDIN_FILENO, &shown);
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden); /* before we ask: it throws away what was typed too early */
	fputs("Password: ", stderr);
	int r = read_line(stdin, "standard input", out);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	fputc('\n', stderr);
	return r;
}

int ask_password(const char *file, struct buffer *out)
{
	out->limit = PASSWORD_MAX;
	if (!file)
		return isatty(STDIN_FILENO) ? read_terminal(out) : read_line(stdin, "standard input", out);
	FILE *f = fopen(file, "re");
	if (!f)
		return fail_errno("open", file);
	int r = read_line(f, file, out);
	fclose(f);
	return r;
}
