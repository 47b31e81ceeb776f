/* src/cowfs/beneath.h - one step down from an open directory; for the files of src/cowfs only. */
#ifndef XENO_COWFS_BENEATH_H
#define XENO_COWFS_BENEATH_H

#include <limits.h>
#include <sys/types.h>

/* openat2(2) that follows nothing and passes no mount, close-on-exec. Returns: a descriptor or a
 * negative errno. */
int xeno_cowfs_beneath(int dir, const char *name, int flags, mode_t mode);

/* A path for calls that take no descriptor: the last name is not followed by those that begin with
 * "l"; name "": the descriptor itself, which needs the others. */
#define XENO_COWFS_PROC_PATH (32 + NAME_MAX)
const char *xeno_cowfs_proc_path(int fd, const char *name, char buf[XENO_COWFS_PROC_PATH]);

#endif
