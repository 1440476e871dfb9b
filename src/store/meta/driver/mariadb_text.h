/* Statements with their parameters written in: the text protocol takes several in one way to the database. */
#ifndef MARIADB_TEXT_H
#define MARIADB_TEXT_H

#include "buffer.h"
#include "meta_driver.h"

/* Appends the statement with v in place of its question marks: integers printed, bytes quoted and escaped. The connection's
   character set must be binary, its sql_mode without NO_BACKSLASH_ESCAPES. */
void mariadb_text_put(struct buffer *out, enum meta_sql stmt, const struct meta_value *v, size_t n);
/* The same, of a statement that inserts one row: only that row, "(...)", to be put behind another one and a comma. False, and
   nothing is appended: it does something else. */
bool mariadb_text_put_row(struct buffer *out, enum meta_sql stmt, const struct meta_value *v, size_t n);
/* Which parameter (from 0) is the account whose rows the statement is about; -1 when it names none. */
int mariadb_text_account(const char *sql);

#endif
