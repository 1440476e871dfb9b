/* mariadb://USER[:PASSWORD]@HOST[:PORT][,HOST[:PORT]...]/DATABASE[?KEY=VALUE&...]
 *
 * User, password, database and values are percent-decoded (RFC 3986); an IPv6 address stands in brackets. Without a password in
 * it there may be a password_file=FILE (its first line) or the environment variable PERDURA_META_PASSWORD. Nothing that is said
 * of a URL (fail_detail) repeats any of it but keys and hosts. */
#ifndef MARIADB_URL_H
#define MARIADB_URL_H

#include <stdbool.h>
#include <stddef.h>

enum { MARIADB_HOSTS = 16 };

struct mariadb_address {
	char host[256];
	unsigned port;
};

struct mariadb_url {
	char user[128], password[256], database[65];
	struct mariadb_address address[MARIADB_HOSTS];
	size_t hosts;
	unsigned connections;    /* connections=32: at most, to all hosts together */
	char password_file[512]; /* "" for none */
	char ca[512];            /* ca=FILE: TLS only, and the server's certificate is signed by one of these; "" for no TLS */
};

/* url is what follows "mariadb:". ERR_INVALID, and what is wrong. */
int mariadb_url_parse(const char *url, struct mariadb_url *out);
/* Fills in the password where the URL has none; dir: what a relative file name is below. */
int mariadb_url_password(struct mariadb_url *u, const char *dir);

#endif
