/* Files that are there after the power failed. */
#ifndef DURABLE_FILE_H
#define DURABLE_FILE_H

#include "span.h"

/* Write all of data to path: temporary file beside it, fsync, rename over path, fsync of the folder. */
int durable_file_write(const char *path, struct span data, unsigned mode);
/* fsync of a folder, so that names made or removed in it stay so. */
int durable_dir_sync(const char *path);
/* mkdir -p; each new folder is synced into its parent. */
int durable_mkdir(const char *path, unsigned mode);
/* All n bytes at offset, or a failure; EINTR and short writes are retried. */
int file_write_at(int fd, const void *p, size_t n, int64_t offset, const char *path);
/* Exactly n bytes at offset; ERR_CORRUPT when the file ends before. */
int file_read_at(int fd, void *p, size_t n, int64_t offset, const char *path);

#endif
