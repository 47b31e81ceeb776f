/* src/cowfs/fuse-raw.h - what the kernel's protocol says and libfuse 3.14 has no words for.
 *
 * FUSE_HANDLE_KILLPRIV_V2: the server clears the set-id bits of what is written. Without it the
 * kernel asks for "security.capability" before each write(2), cached or not, which then waits for
 * one request; with it, once for a file. FUSE_TMPFILE: a file without a name. libfuse's own reply
 * to INIT cannot say it, and a request's wish to have the bits cleared does not come through
 * libfuse: so the reply is written by us, and requests are looked at before libfuse takes them
 * apart (linux/fuse.h).
 */
#ifndef XENO_COWFS_FUSE_RAW_H
#define XENO_COWFS_FUSE_RAW_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdbool.h>

/* After fuse_session_mount(), before the first request. Returns: 0 or a negative errno. */
int fuse_raw_use(struct fuse_session *session);

/* A request that this thread is about to have libfuse process. */
void fuse_raw_look(const struct fuse_buf *request);

/* Shall the request that this thread serves clear set-id bits? Only of writes and of changes of
 * size; allocations and copies say nothing, and nothing is known of who asks but his uid. */
bool fuse_raw_kills(void);

/* Shall what it creates have no name? For libfuse, which does not know O_TMPFILE, it creates. */
bool fuse_raw_nameless(void);

#endif
