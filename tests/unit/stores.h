/* Which pair of stores the tests stand on: SQLite and a folder, or what the environment says (scripts/check-stores):
 *
 *   PERDURA_TEST_META  mariadb://USER:PASSWORD@HOST:PORT/PREFIX  each test gets a database PREFIX_... of its own
 *   PERDURA_TEST_BLOB  s3://BUCKET/PREFIX?endpoint=...           each test gets a prefix below it; others are taken as they are
 *
 * A test that ends removes its database (test_stores_remove). What one leaves that died, and all bodies, are removed by whoever
 * set the variables: all that begins with the prefix. */
#ifndef STORES_H
#define STORES_H

#include <stdbool.h>
#include <stdint.h>

/* Is PERDURA_TEST_META set? What looks into the SQLite file skips then. */
bool test_meta_shared(void);
/* Is PERDURA_TEST_BLOB set? What looks into pack files skips then. */
bool test_blob_shared(void);

/* URLs for the test that stands in this folder: the same for the same folder, whose name is unlike any other's. At the first
   call the database is made. They live until the thread's next call. */
const char *test_meta_url(const char *dir);
const char *test_blob_url(const char *dir);

/* At the end, all stores closed: the folder with all that is in it, and its database. */
void test_stores_remove(const char *dir);
/* The database alone, if there is one. */
void test_meta_drop(const char *dir);

/* Statements behind the store's back: the first column of the first row, or how many rows they changed. They end the test when
   they fail. */
int64_t test_meta_sql(const char *dir, const char *sql);
/* The folder `to` was copied from another, whose store is closed: so is the database, if it is not in there. What an earlier
   copy of the same name left in it goes. */
void test_meta_copied(const char *from, const char *to);

#endif
