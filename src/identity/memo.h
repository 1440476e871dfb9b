/* Answers out of the system log, remembered. One counts as long as nothing in the system log changed since before it was
   read (directory_changed); so a remembered answer is never older than the last change that was announced. */
#ifndef MEMO_H
#define MEMO_H

#include "span.h"

enum memo_kind { MEMO_ACCOUNT, MEMO_DOMAIN, MEMO_SETTINGS, MEMO_DOMAIN_SETTINGS };

struct memo;
struct memo *memo_new(void);
void memo_free(struct memo **m);

/* Before a look-up in the store; hand it to memo_put with what was found. */
uint64_t memo_now(const struct memo *m);
/* The value of n bytes that was put for this kind and key. */
bool memo_get(struct memo *m, enum memo_kind kind, struct span key, void *value, size_t n);
void memo_put(struct memo *m, uint64_t since, enum memo_kind kind, struct span key, const void *value, size_t n);
/* Everything so far is forgotten. */
void memo_forget(struct memo *m);

#endif
