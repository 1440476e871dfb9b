/* Who may do what in whose folders (RFC 4314).
 *
 * A folder's list is one item of the owner's collection of rights, which there is from the first SETACL on: its name is the folder's
 * id, its data the entries. So rights have a history like all else, follow a folder through renaming, and come back with one that was
 * deleted. A user is kept as the id of an account, which is never given to another. The owner may always do everything; nobody else
 * may do anything that no entry grants. A new folder begins with the list of its parent. */
#ifndef ACL_H
#define ACL_H

#include "arena.h"
#include "imap_rights.h"
#include "service.h"

enum {
	ACL_ANYONE = 0, /* instead of an account */
	ACL_ENTRIES_MAX = 1000,
	ACL_OWNERS_MAX = 1000, /* accounts whose folders somebody may be shown */
};

struct acl_entry {
	int64_t who;
	bool negative; /* takes the rights away, whatever grants them */
	unsigned rights;
};

struct acl {
	struct acl_entry *list;
	size_t n;
};

/* What the entries give to that account, which is not the owner. */
unsigned acl_rights(const struct acl *a, int64_t viewer);

struct acl_found {
	bool exists;     /* the folder */
	unsigned rights; /* to it; 0 where it is not there */
	unsigned above;  /* to the nearest folder above it that is there; 0: none is */
};
/* What `viewer` may do with the owner's folder of that path. */
int acl_find(struct service *s, int64_t owner, struct span path, int64_t viewer, struct acl_found *out);
/* The entries, in the arena. ERR_NOT_FOUND: no such folder. */
int acl_read(struct service *s, int64_t owner, struct span path, struct arena *arena, struct acl *out);
/* Changes the rights of one entry; without any it ends. ERR_NOT_FOUND: no such folder. ERR_LIMIT: too many entries. */
int acl_change(struct service *s, int64_t owner, struct span path, enum rights_op op, struct acl_entry what,
               const struct actor *a);

/* Accounts that may have something for `viewer` to see, ascending, at most ACL_OWNERS_MAX; some may have taken it back since. */
int acl_owners(struct service *s, int64_t viewer, struct arena *arena, int64_t **out, size_t *n);
/* Every folder of the owner to which `viewer` has any right, by id. */
struct acl_folder {
	int64_t folder;
	unsigned rights;
};
int acl_folders(struct service *s, int64_t owner, int64_t viewer, struct arena *arena, struct acl_folder **out, size_t *n);

#endif
