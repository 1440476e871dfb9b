/* Secrets that the nodes of a store share: random, in the store (facts), each made by the first that asks for it. */
#ifndef SECRET_H
#define SECRET_H

struct meta;

enum { SECRET = 32 }; /* bytes */

/* name: of the fact. */
int secret_get(struct meta *m, const char *name, unsigned char out[SECRET]);

#endif
