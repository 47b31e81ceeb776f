/* src/image/confine.h - a child process that can do nothing but work on what it was given.
 *
 * The child gets one stream to read from, one to answer on, and a folder or none. In it: user,
 * mount, network, ipc and uts namespaces of its own; root directory = the folder; only the
 * capabilities that setting owners takes (or, when it is only to read, that of reading what is
 * there); Landlock; a list of allowed system calls, none of which makes a process, a socket or
 * executable memory; limits on memory, CPU time and file size. It dies with its parent.
 */
#ifndef XENO_IMAGE_CONFINE_H
#define XENO_IMAGE_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct xeno_confine_opts {
    int dirfd;          /* the folder; -1: none, and no file can be opened at all */
    bool own;           /* the caller is not root: map its own ids only */
    bool reading;       /* the folder is only read: it keeps its owner, and nothing can be made */
    int64_t file_bytes; /* largest file */
};

struct xeno_confined {
    pid_t pid;
    int in;  /* a stream socket: what is written here the child reads; shut it down at the end */
    int out; /* what the child answers */
};

#define XENO_CONFINED_DIR 5 /* where the folder's descriptor is in the child */

/* Runs in the child, confined: reads `in`, may write to `out`, and returns its exit status. */
typedef int (*xeno_confine_fn)(int in, int out, void *arg);

/* Start `fn` confined. Root folder: chowned to XENO_SUBID_BASE, unless own or reading.
 *
 * Returns: 0 with the child running; the caller closes both ends and waits for pid.
 * Errors: -EPERM unpack.confine, and nothing runs.
 * Context: no other threads.
 */
int xeno_confine_start(const struct xeno_confine_opts *opts, xeno_confine_fn fn, void *arg,
                       struct xeno_confined *ret, struct xeno_err *err);

/* The last steps, in the process that is to be confined. */
enum xeno_confine_files { XENO_CONFINE_NO_FILES, XENO_CONFINE_READ, XENO_CONFINE_WRITE };
/* 0; -errno, -ENOSYS or -EOPNOTSUPP when there is none. dirfd -1: no files. */
int xeno_confine_landlock(int dirfd, enum xeno_confine_files files);
int xeno_confine_syscalls(enum xeno_confine_files files);

#endif
