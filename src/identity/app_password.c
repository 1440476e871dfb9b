#include "app_password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/random.h>

#include "fail.h"
#include "strict_base64.h"
#include "utf8.h"

enum { GROUP = 4 };

static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, section 6 */

static const struct { struct span name; enum login_protocol bit; } protocols[] = {
	{ { "imap", 4 }, LOGIN_IMAP }, { { "smtp", 4 }, LOGIN_SMTP },
};
enum { PROTOCOLS = sizeof protocols / sizeof *protocols };

/* ---- Protocols */

enum login_protocol login_protocol(struct span name)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (span_ieq(name, protocols[i].name))
			return protocols[i].bit;
	return LOGIN_OTHER;
}

int login_protocols_read(struct span list, unsigned *out)
{
	unsigned bits = 0;
	while (list.n) {
		ssize_t comma = span_find(list, ',');
		struct span one = span_sub(list, 0, comma < 0 ? list.n : (size_t)comma);
		enum login_protocol bit = login_protocol(span_trim(one));
		if (bit == LOGIN_OTHER)
			return fail_with(ERR_INVALID, "'%.*s' is no protocol: imap and smtp are", SPAN_ARG(one));
		bits |= bit;
		list = span_sub(list, one.n + (comma >= 0), list.n);
	}
	*out = bits;
	return OK;
}

void login_protocols_each(unsigned bits, void (*fn)(void *ctx, struct span name), void *ctx)
{
	for (size_t i = 0; i < PROTOCOLS; i++)
		if (bits & protocols[i].bit)
			fn(ctx, protocols[i].name);
}

/* ---- Names */

int app_name_check(struct span name)
{
	bool control = false;
	for (size_t i = 0; i < name.n; i++)
		control |= (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f;
	if (name.n == 0 || name.n > APP_NAME_MAX || control || !utf8_valid(name) || span_trim(name).n != name.n)
		return fail_with(ERR_INVALID, "the name of an application password is 1 to %d bytes, in one line, without blanks at its ends",
		                 APP_NAME_MAX);
	return OK;
}

struct span app_key(int64_t account, struct span name, char out[APP_KEY_MAX])
{
	int n = snprintf(out, APP_KEY_MAX, "%lld/%.*s", (long long)account, SPAN_ARG(name));
	return span_from(out, (size_t)n < APP_KEY_MAX ? (size_t)n : APP_KEY_MAX - 1);
}

/* '0' comes after '/'. */
struct span app_key_end(int64_t account, char out[APP_KEY_MAX])
{
	return span_from(out, (size_t)snprintf(out, APP_KEY_MAX, "%lld0", (long long)account));
}

struct span app_key_name(struct span key)
{
	ssize_t slash = span_find(key, '/');
	return span_sub(key, (size_t)(slash + 1), key.n);
}

/* ---- Secrets */

static bool hash_letters(const char letters[APP_LETTERS], unsigned char hash[APP_HASH])
{
	return EVP_Digest(letters, APP_LETTERS, hash, NULL, EVP_sha256(), NULL) == 1;
}

int app_password_make(char text[APP_TEXT], unsigned char hash[APP_HASH])
{
	char letters[APP_LETTERS];
	size_t n = 0;
	if (getrandom(letters, sizeof letters, 0) != (ssize_t)sizeof letters)
		return fail_errno("getrandom", "");
	for (size_t i = 0; i < APP_LETTERS; i++) {
		letters[i] = base32[letters[i] & 31];
		if (i && i % GROUP == 0)
			text[n++] = '-';
		text[n++] = letters[i];
	}
	text[n] = 0;
	bool made = hash_letters(letters, hash);
	OPENSSL_cleanse(letters, sizeof letters);
	return made ? OK : fail_with(ERR_UNAVAILABLE, "application password: no memory");
}

static bool take_letters(struct span given, char letters[APP_LETTERS])
{
	size_t n = 0;
	for (size_t i = 0; i < given.n; i++) {
		char c = ascii_lower(given.p[i]);
		if (c == ' ' || c == '-')
			continue;
		if (n == APP_LETTERS || !((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7')))
			return false;
		letters[n++] = c;
	}
	return n == APP_LETTERS;
}

bool app_password_hash(struct span given, unsigned char hash[APP_HASH])
{
	char letters[APP_LETTERS];
	bool is_one = take_letters(given, letters) && hash_letters(letters, hash);
	OPENSSL_cleanse(letters, sizeof letters);
	return is_one;
}

/* ---- What is kept: "sha256=BASE64\nprotocols=imap,smtp\n" */

static void put_name(void *ctx, struct span name)
{
	struct buffer *b = ctx;
	if (b->n && b->p[b->n - 1] != '=')
		buffer_putc(b, ',');
	buffer_put_span(b, name);
}

void app_password_put(const struct app_password *a, struct buffer *out)
{
	buffer_puts(out, "sha256=");
	base64_strict_put(out, span_from(a->hash, APP_HASH));
	buffer_puts(out, "\nprotocols=");
	login_protocols_each(a->protocols, put_name, out);
	buffer_putc(out, '\n');
}

/* Takes the line of that name off *data. */
static bool take_line(struct span *data, struct span name, struct span *value)
{
	ssize_t end = span_find(*data, '\n');
	if (end < 0 || !span_istarts(*data, name))
		return false;
	*value = span_sub(*data, name.n, (size_t)end - name.n);
	*data = span_sub(*data, (size_t)end + 1, data->n);
	return true;
}

bool app_password_get(struct span data, struct app_password *out)
{
	struct span hash, list;
	size_t n;
	return take_line(&data, SPAN("sha256="), &hash) && take_line(&data, SPAN("protocols="), &list) &&
		base64_strict_get(hash, (char *)out->hash, APP_HASH, &n) == OK && n == APP_HASH &&
		login_protocols_read(list, &out->protocols) == OK;
}
