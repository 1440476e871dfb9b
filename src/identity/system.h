/* Account 0, the system log: what is not mail is kept as items in its collections, so that history, recovery and the
   vault cover it too. The numbers are part of the store's format. */
#ifndef SYSTEM_H
#define SYSTEM_H

enum {
	SYSTEM_ACCOUNT = 0,
	SYSTEM_ACCOUNTS = 1,    /* uid: the account's id; name: its address, lower case; data: settings, "name=value" lines */
	SYSTEM_CREDENTIALS = 2, /* uid: the account's id; data: "scheme=verifier" lines (password.h) */
	SYSTEM_SNAPSHOTS = 3,   /* name: the snapshot's; date: the instant, us; data: "name=value" lines */
	SYSTEM_SETTINGS = 4,    /* cluster-wide settings (settings.h); name, data: value */
	SYSTEM_DOMAINS = 5,     /* name: the domain, lower case; data: settings, "name=value" lines */
	SYSTEM_ALIASES = 6,     /* name: the alias, lower case, or "@domain"; data: its targets, one a line */
	SYSTEM_APPS = 7,        /* name: the account's id, '/', the application password's name; data: app_password.h */
	SYSTEM_COLLECTIONS = 7,
};

#endif
