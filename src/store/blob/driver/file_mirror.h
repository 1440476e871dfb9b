/* A copy of a folder of packs (file.c): what is sealed there and here is left alone, so that a second copy takes only what is
   new. */
#ifndef FILE_MIRROR_H
#define FILE_MIRROR_H

#include "file_copy.h"

/* No pack may be removed from `from` meanwhile; packs may grow and be added. */
int file_mirror(const char *from, const char *to, struct file_copy *c);
/* Packs that are gone from `from` go from `to` too. */
int file_mirror_prune(const char *from, const char *to);

#endif
