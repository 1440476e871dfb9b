/* How a test tells a store of a running process when to fail: a file that it puts in place whole. The store that takes it calls it
   FILE.taken, and removes that when the failure has come, so that the test sees whether it was reached. For the drivers called
   "failing", which run in tests alone. */
#ifndef PLAN_FILE_H
#define PLAN_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* The text of a new plan, with a NUL; false: there is none. */
bool plan_file_take(const char *file, char *text, size_t size);
void plan_file_struck(const char *file);

#endif
