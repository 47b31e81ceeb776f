/* src/base/io.h - whole reads, whole writes, and files that are replaced in one step. */
#ifndef XENO_BASE_IO_H
#define XENO_BASE_IO_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Read to the end of `fd`, at most `max` bytes.
 *
 * Returns: 0, and text (the caller's, followed by a zero byte) and its length.
 * Errors:  -EFBIG when there is more than max; else the errno of read(2).
 */
int xeno_read_all(int fd, size_t max, char **ret, size_t *ret_len);

/* Write every byte; retries on EINTR and short writes. Blocking descriptors only. */
int xeno_write_all(int fd, const void *data, size_t len);

/* Read a regular file (never a link, a device or a fifo) below `dirfd`.
 *
 * Errors: -ENOENT and others with token io.open or io.read, -EFBIG io.size.
 */
int xeno_file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
                   struct xeno_err *err);

/* Write a file so that a crash leaves the old one or the new one: temporary name, fsync, rename,
 * fsync of the folder. Errors: token io.write. */
int xeno_file_write(int dirfd, const char *path, mode_t mode, const void *data, size_t len,
                    struct xeno_err *err);

/* mkdir -p below `dirfd`; folders that exist are left as they are. Errors: token io.mkdir. */
int xeno_mkdirs(int dirfd, const char *path, mode_t mode, struct xeno_err *err);

/* flock(2) for one alone, waiting at most `wait_ms`. A daemon that was killed a moment ago may not
 * have let go yet: the kernel closes what is open last, and a child it had just forked has the lock
 * as well. Returns: 0. Errors: -EWOULDBLOCK when somebody else has it; others of flock(2). */
int xeno_lock(int fd, int wait_ms);
#define XENO_LOCK_RESTART_MS 3000 /* what a daemon waits for the one before it */

/* Remove `path` below `dirfd` and all below it, crossing no mount and following no link.
 * A missing path is success. Errors: token io.remove. */
int xeno_remove_tree(int dirfd, const char *path, struct xeno_err *err);

#endif
