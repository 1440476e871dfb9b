/* The folder that a node keeps everything in. */
#ifndef DATA_DIR_H
#define DATA_DIR_H

/* Makes dir (0700) and dir/run, and takes dir/lock, so that no second node can run on it: ERR_EXISTS. The lock is held as
   long as *lock is open, and by no process that the node starts. What an earlier node left in dir/run/ports is gone before
   dir/lock has this process's number. */
int data_dir_open(const char *dir, int *lock);

#endif
