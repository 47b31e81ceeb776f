/* src/cowfs/fuse-loop.h - which thread reads the next request; for the files of the front end.
 *
 * One thread at a time reads requests, and as long as nothing takes long it serves them itself: a
 * second one that took turns with it would be woken on another processor for each request, which
 * costs more than most requests do, and finds its buffers in no cache. It lets another thread read,
 * which is made when there is none, when it is about to wait for a disk, a network or a lock that
 * is kept for long (whoever serves a request says so with fuse_may_wait()); where there are more
 * than two processors, also when a further request is there already. And nobody waits long for what
 * took longer than was expected: a thread that watches gives the reading to another when one
 * request is served for some milliseconds. It sleeps when no requests come.
 *
 * libfuse's own loop has all its threads wait in the kernel, which wakes the one that has waited
 * longest.
 */
#ifndef XENO_COWFS_FUSE_LOOP_H
#define XENO_COWFS_FUSE_LOOP_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "base/err.h"

/* Serve with at most `threads`, until the session's end; signals that end it are the caller's to
 * set (fuse_set_signal_handlers). Errors: token cowfs.serve. */
int fuse_loop(struct fuse_session *session, int threads, struct xeno_err *err);

/* The calling thread may wait now. Again, and in a thread that is not of a loop: no effect. */
void fuse_may_wait(void);

/* Have the kernel write what it has cached of a file, and forget the file's contents. The writes
 * are requests, which other threads serve meanwhile: in a thread that serves a request which
 * changes nothing. Errors: -EAGAIN as many threads as there may be but one are at this already. */
int fuse_flush_cached(fuse_ino_t ino);

#endif
