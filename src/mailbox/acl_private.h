/* Rights within a transaction. */
#ifndef ACL_PRIVATE_H
#define ACL_PRIVATE_H

#include "acl.h"
#include "change.h"

/* To a folder by its id. */
int acl_rights_to(struct meta_txn *t, int64_t owner, int64_t folder, int64_t viewer, unsigned *out);
/* Asked for within the change that acts: since the session asked, the right may be gone, or the name be that of another folder.
   ERR_DENIED, or ERR_NOT_FOUND where the actor may know nothing of it. */
int acl_allow(struct change *c, int64_t folder, unsigned needed);
/* A folder that this change has made gets the entries of its parent. */
int acl_inherit(struct change *c, int64_t parent, int64_t folder);

#endif
