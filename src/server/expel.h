/* Ends the sessions of accounts that are removed, and of application passwords that are revoked: here at once, those that another
   node ends when its notice or the poll comes. A thread of its own, which sleeps until one of the two collections of the system log
   changes; idle sessions know nothing of it. */
#ifndef EXPEL_H
#define EXPEL_H

struct expel;
struct identity;
struct loop;
struct service;

int expel_start(struct service *s, struct identity *i, struct loop *l, struct expel **out);
/* Takes the pointer's address, sets it NULL, accepts NULL. */
void expel_stop(struct expel **x);

#endif
