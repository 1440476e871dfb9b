#include "mariadb_conn.h"

#include <errmsg.h>
#include <fcntl.h>
#include <limits.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"

enum {
	WAIT_MS = 1000,         /* for the first bytes of an answer, by ourselves */
	WAIT_BYTES = 16 * 1024, /* no more are waited for at once: a socket has room for some */
};

static const struct known {
	unsigned error;
	enum mariadb_fault fault;
	int code;
	const char *advice; /* or NULL */
} known[] = {
	{ ER_LOCK_DEADLOCK, FAULT_CONFLICT, ERR_CONFLICT, NULL },
	{ ER_SP_DOES_NOT_EXIST, FAULT_CONFLICT, ERR_CONFLICT, NULL }, /* the savepoint of a transaction that is gone */
	{ ER_CHECKREAD, FAULT_CONFLICT, ERR_CONFLICT, NULL },
	{ ER_LOCK_WAIT_TIMEOUT, FAULT_LOCK_WAIT, ERR_CONFLICT, NULL },
	{ ER_UNKNOWN_COM_ERROR, FAULT_NOT_READY, ERR_CONFLICT, "it has no connection to the majority of the cluster" },
	{ ER_SERVER_SHUTDOWN, FAULT_NOT_READY, ERR_CONFLICT, NULL },
	{ ER_CON_COUNT_ERROR, FAULT_NOT_READY, ERR_CONFLICT, "raise its max_connections, or lower connections= in meta.url" },
	{ ER_TOO_MANY_USER_CONNECTIONS, FAULT_NOT_READY, ERR_CONFLICT, "raise its max_user_connections, or lower connections= in meta.url" },
	{ ER_USER_LIMIT_REACHED, FAULT_NOT_READY, ERR_CONFLICT, "raise its MAX_USER_CONNECTIONS, or lower connections= in meta.url" },
	{ ER_QUERY_INTERRUPTED, FAULT_LOST, ERR_CONFLICT, NULL },
	{ ER_CONNECTION_KILLED, FAULT_LOST, ERR_CONFLICT, NULL },
	{ CR_CONNECTION_ERROR, FAULT_LOST, ERR_CONFLICT, "see that it runs, and that meta.url has its host and port" },
	{ CR_CONN_HOST_ERROR, FAULT_LOST, ERR_CONFLICT, "see that it runs, and that meta.url has its host and port" },
	{ CR_UNKNOWN_HOST, FAULT_LOST, ERR_CONFLICT, "check the name in meta.url, and that this machine can resolve it" },
	{ CR_SERVER_GONE_ERROR, FAULT_LOST, ERR_CONFLICT, NULL },
	{ CR_SERVER_LOST, FAULT_LOST, ERR_CONFLICT, NULL },
	{ CR_SERVER_LOST_EXTENDED, FAULT_LOST, ERR_CONFLICT, NULL },
	{ CR_MALFORMED_PACKET, FAULT_LOST, ERR_CONFLICT, NULL },
	{ CR_COMMANDS_OUT_OF_SYNC, FAULT_LOST, ERR_CONFLICT, NULL },
	{ ER_DUP_ENTRY, FAULT_OTHER, ERR_EXISTS, NULL },
	{ ER_DUP_ENTRY_WITH_KEY_NAME, FAULT_OTHER, ERR_EXISTS, NULL },
	{ ER_DISK_FULL, FAULT_OTHER, ERR_FULL, NULL },
	{ ER_RECORD_FILE_FULL, FAULT_OTHER, ERR_FULL, NULL },
	{ ER_OPTION_PREVENTS_STATEMENT, FAULT_OTHER, ERR_UNAVAILABLE, "it takes no changes (read_only)" },
	{ ER_READ_ONLY_MODE, FAULT_OTHER, ERR_UNAVAILABLE, "it takes no changes (read_only)" },
	{ ER_ACCESS_DENIED_ERROR, FAULT_OTHER, ERR_INVALID,
		"check user and password in meta.url (or password_file, or PERDURA_META_PASSWORD)" },
	{ ER_ACCESS_DENIED_NO_PASSWORD_ERROR, FAULT_OTHER, ERR_INVALID,
		"check user and password in meta.url (or password_file, or PERDURA_META_PASSWORD)" },
	{ ER_DBACCESS_DENIED_ERROR, FAULT_OTHER, ERR_INVALID, "GRANT ALL ON the database TO this user" },
	{ ER_TABLEACCESS_DENIED_ERROR, FAULT_OTHER, ERR_UNAVAILABLE, "GRANT SELECT, INSERT, UPDATE, DELETE ON the database TO this user" },
	{ ER_BAD_DB_ERROR, FAULT_OTHER, ERR_INVALID, "CREATE DATABASE it, then run perdura upgrade --init" },
	{ ER_NO_SUCH_TABLE, FAULT_OTHER, ERR_UNAVAILABLE, "run perdura upgrade --init" },
	{ ER_NET_PACKET_TOO_LARGE, FAULT_OTHER, ERR_LIMIT, "raise its max_allowed_packet" },
	{ CR_NET_PACKET_TOO_LARGE, FAULT_OTHER, ERR_LIMIT, "raise its max_allowed_packet" },
	{ ER_DATA_TOO_LONG, FAULT_OTHER, ERR_LIMIT, NULL },
	{ ER_TOO_BIG_ROWSIZE, FAULT_OTHER, ERR_LIMIT, NULL },
	{ ER_NOT_KEYFILE, FAULT_OTHER, ERR_CORRUPT, NULL },
	{ ER_CRASHED_ON_USAGE, FAULT_OTHER, ERR_CORRUPT, NULL },
	{ ER_INDEX_CORRUPT, FAULT_OTHER, ERR_CORRUPT, NULL },
};

/* What else the client library fails with (no memory for an answer, say) leaves answers unread: of no use any more. */
static const struct known unread = { 0, FAULT_LOST, ERR_CONFLICT, NULL };

static const struct known *look_up(unsigned error)
{
	bool own = (error >= CR_MIN_ERROR && error <= CR_MAX_ERROR) || (error >= CER_MIN_ERROR && error <= CER_MAX_ERROR);
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].error == error)
			return &known[i];
	return own ? &unread : NULL;
}

enum mariadb_fault mariadb_fault(unsigned error)
{
	const struct known *k = look_up(error);
	return k ? k->fault : error ? FAULT_OTHER : FAULT_NONE;
}

bool mariadb_is_full(unsigned error)
{
	return error == ER_CON_COUNT_ERROR || error == ER_TOO_MANY_USER_CONNECTIONS || error == ER_USER_LIMIT_REACHED;
}

/* A storage engine hands the system's number on in words. */
static bool says_full(unsigned error, const char *text)
{
	return (error == ER_GET_ERRNO || error == ER_ERROR_ON_WRITE) && (strstr(text, "28") || strstr(text, "122"));
}

int mariadb_code(unsigned error, const char *text)
{
	const struct known *k = look_up(error);
	return k ? k->code : says_full(error, text) ? ERR_FULL : ERR_UNAVAILABLE;
}

int mariadb_failure(const struct mariadb_conn *c, const char *what)
{
	const struct known *k = look_up(c->error);
	const char *host = c->db && c->db->host ? c->db->host : "?", *text = c->db ? mysql_error(c->db) : "not connected";
	return fail_with(mariadb_code(c->error, text), "mariadb %s:%u: %.80s: %s (%u)%s%s", host, c->db ? c->db->port : 0, what, text,
		c->error, k && k->advice ? ": " : "", k && k->advice ? k->advice : "");
}

/* --- Connecting --- */

/* Every connection begins with this. Escapes in strings are sure, a value that does not fit is an error, and rows that we hold
   are free again soon after we are gone. */
static void opening(const struct mariadb_patience *p, char *out, size_t n)
{
	snprintf(out, n,
		"SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', " MARIADB_FOR_READING ","
		" wsrep_sync_wait=%d,"
		" innodb_lock_wait_timeout=%d, lock_wait_timeout=%d, wait_timeout=%d, idle_transaction_timeout=%d, net_write_timeout=%d",
		p->current, MARIADB_LOCK_S, MARIADB_LOCK_S, 2 * MARIADB_IDLE_S, MARIADB_STALL_S, MARIADB_ANSWER_S);
}

static void set_options(MYSQL *db, const struct mariadb_url *u, const struct mariadb_patience *p)
{
	char sql[400];
	unsigned long packet = 1024ul * 1024 * 1024; /* the server's bound is the one that counts */
	my_bool no = 0, yes = 1;
	opening(p, sql, sizeof sql);
	mysql_options(db, MYSQL_SET_CHARSET_NAME, "binary");
	mysql_options(db, MYSQL_INIT_COMMAND, sql);
	mysql_options(db, MYSQL_OPT_CONNECT_TIMEOUT, &p->connect);
	mysql_options(db, MYSQL_OPT_READ_TIMEOUT, &p->answer);
	mysql_options(db, MYSQL_OPT_WRITE_TIMEOUT, &p->answer);
	mysql_options(db, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	mysql_options(db, MYSQL_OPT_LOCAL_INFILE, &no);
	/* From 3.4 on the library insists on TLS unless it is told not to verify. */
	mysql_options(db, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, *u->ca ? &yes : &no);
	if (*u->ca) {
		mysql_options(db, MYSQL_OPT_SSL_CA, u->ca);
		mysql_options(db, MYSQL_OPT_SSL_ENFORCE, &yes);
	}
}

int mariadb_conn_open(const struct mariadb_url *u, size_t host, const struct mariadb_patience *p, struct mariadb_conn *out)
{
	const struct mariadb_address *a = &u->address[host];
	struct mariadb_conn c = { .db = mysql_init(NULL), .host = host, .socket = -1, .born = clock_mono() };
	*out = (struct mariadb_conn){ 0 };
	if (!c.db)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	set_options(c.db, u, p);
	/* Rows that an update finds are counted, also where it changes nothing: as SQLite does. */
	if (!mysql_real_connect(c.db, a->host, u->user, u->password, u->database, a->port, NULL,
			CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS)) {
		c.error = mysql_errno(c.db);
		const struct known *k = look_up(c.error);
		int r = fail_with(mariadb_code(c.error, mysql_error(c.db)), "mariadb %s:%u: %s (%u)%s%s", a->host, a->port,
			mysql_error(c.db), c.error, k && k->advice ? ": " : "", k && k->advice ? k->advice : "");
		mysql_close(c.db);
		out->error = c.error;
		return r;
	}
	c.socket = fcntl(mysql_get_socket(c.db), F_DUPFD_CLOEXEC, 0);
	*out = c;
	return OK;
}

void mariadb_conn_close(struct mariadb_conn *c)
{
	if (!c->db)
		return;
	mysql_close(c->db);
	c->db = NULL;
	if (c->socket >= 0)
		close(c->socket);
}

void mariadb_conn_cut(const struct mariadb_conn *c)
{
	if (c->socket >= 0)
		shutdown(c->socket, SHUT_RDWR);
}

/* --- Statements --- */

/* The result that mysql_real_query or mysql_next_result made current. */
static bool take_answer(struct mariadb_conn *c, struct mariadb_answer *a)
{
	a->rows = mysql_store_result(c->db);
	if (!a->rows && mysql_field_count(c->db))
		return false;
	a->changed = (int64_t)mysql_affected_rows(c->db);
	return true;
}

bool mariadb_settle(struct mariadb_conn *c)
{
	bool owed = c->owed;
	c->owed = false;
	return !owed || !mysql_read_query_result(c->db);
}

size_t mariadb_least_bytes(MYSQL_RES *rows)
{
	enum { HEAD = 4, COLUMN = HEAD + 4 + 5 + 13 }; /* "def", five names with their lengths, what is fixed */
	size_t n = HEAD + 1 + HEAD + 5;
	for (unsigned i = 0; i < mysql_num_fields(rows); i++) {
		const MYSQL_FIELD *f = mysql_fetch_field_direct(rows, i);
		n += COLUMN + f->db_length + f->table_length + f->org_table_length + f->name_length + f->org_name_length;
	}
	return n;
}

static bool readable(const struct mariadb_conn *c, size_t bytes, int ms)
{
	int low = bytes < INT_MAX ? (int)bytes : INT_MAX;
	setsockopt(c->socket, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
	return poll(&(struct pollfd){ .fd = c->socket, .events = POLLIN }, 1, ms);
}

/* Until all of it is there, or nothing more seems to come. The library waits for what is missing. Over TLS other bytes come. */
static void wait_for(const struct mariadb_conn *c, size_t least)
{
	static const int ms[] = { 4, 16, 64 };
	if (least <= MARIADB_OK_BYTES || least > WAIT_BYTES || mysql_get_ssl_cipher(c->db) || !readable(c, 1, WAIT_MS))
		return;
	for (size_t i = 0; i < sizeof ms / sizeof *ms && !readable(c, least, ms[i]); i++)
		;
	setsockopt(c->socket, SOL_SOCKET, SO_RCVLOWAT, &(int){ 1 }, sizeof(int));
}

bool mariadb_batch(struct mariadb_conn *c, struct span sql, size_t n, size_t least, struct mariadb_answer *answer, size_t *done)
{
	*done = 0;
	c->error = 0;
	bool good = !mysql_send_query(c->db, sql.p, sql.n);
	if (good) {
		wait_for(c, least);
		good = !mysql_read_query_result(c->db);
	}
	while (good && take_answer(c, &answer[*done])) {
		if (++*done == n)
			return true;
		good = mysql_next_result(c->db) == 0;
	}
	c->error = mysql_errno(c->db);
	if (!c->error)
		c->error = CR_MALFORMED_PACKET; /* fewer answers than statements */
	return false;
}

void mariadb_send(struct mariadb_conn *c, const char *sql)
{
	c->owed = true;
	if (mysql_send_query(c->db, sql, strlen(sql)))
		c->error = mysql_errno(c->db);
}
