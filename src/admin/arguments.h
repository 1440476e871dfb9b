/* From the words of a command line to a verb, its arguments and its options. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include "verb.h"

/* The one of all that the first words name (the longest match), and how many words that took; NULL if none. */
const struct verb *verb_find(const struct verb *all, size_t count, const char *const *words, size_t n, size_t *taken);
/* Sorts the words after the verb's name into r->args (room for n, the caller's) and r->options. ERR_INVALID with a
   detail for the user. Words are not copied. */
int arguments_parse(struct request *r, const struct verb *v, const char *const *words, size_t n);
/* "account add ADDRESS... [--password-file FILE]" */
void verb_usage(struct buffer *b, const struct verb *v);

#endif
