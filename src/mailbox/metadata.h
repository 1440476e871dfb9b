/* Annotations of folders and of the server (RFC 5464): named values that clients keep.
 *
 * Each is an item of its account's collection of metadata, which there is from the first on; its name says of what it is: the folder's
 * id and the entry, "12/shared/comment". So annotations have a history like all else, follow a folder through renaming, and come back
 * with one that was deleted. What is private to somebody else than the folder's owner lies in his own account: "12@7/private/comment" is
 * of folder 12 of account 7. Folder 0 is the server; what users keep there is their own. */
#ifndef METADATA_H
#define METADATA_H

#include "arena.h"
#include "imap_metadata.h"
#include "service.h"

enum {
	METADATA_VALUE_MAX = 16384,         /* bytes of a value */
	METADATA_ENTRIES_MAX = 100,         /* of one folder that are shared, likewise a user's private ones of it */
	METADATA_FOLDER_BYTES_MAX = 65536,  /* the same, of values */
	METADATA_ACCOUNT_MAX = 10000,       /* entries in one account */
};
/* No item, but the attributes of a folder (RFC 6154). */
#define METADATA_SPECIAL_USE "/private/specialuse"
#define METADATA_ACCOUNT_BYTES_MAX (INT64_C(16) << 20)

/* Whose annotations of what. */
struct metadata_place {
	int64_t owner, viewer; /* accounts; the same for one's own folders and for the server's */
	int64_t folder;        /* 0: the server */
};

/* The id of a folder that is there, and its attributes. ERR_NOT_FOUND. */
int metadata_folder(struct service *s, int64_t owner, struct span path, int64_t *folder, int64_t *attributes);
/* All that the viewer may see of it, sorted by name within shared and private, in the arena; with room for one more. */
int metadata_read(struct service *s, const struct metadata_place *p, struct arena *arena, struct imap_metadata_value **out, size_t *n);
/* Sets and ends entries, all of them or none. ERR_LIMIT: too many, or together too large; no value is larger than
   METADATA_VALUE_MAX. ERR_NOT_FOUND: the folder is gone. special (may be NULL): its use from now on, attributes out of
   FOLDER_SPECIAL; ERR_DENIED: another folder has it. */
int metadata_change(struct service *s, const struct metadata_place *p, const struct imap_metadata_value *values, size_t n,
                    const int64_t *special, const struct actor *a);

/* Of which folder an item's name says something, and what: "12/shared/comment". owner 0: of the account's own. False: it is no name of
   an annotation. */
bool metadata_item(struct span name, int64_t *owner, int64_t *folder, struct span *entry);

#endif
