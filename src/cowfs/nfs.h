/* src/cowfs/nfs.h - serve a stack over NFS version 3 and MOUNT (RFC 1813), on one TCP port; the
 * wrapper of libtirpc.
 *
 * Clients are told the port (mount -o vers=3,tcp,nolock,port=N,mountport=N): no portmapper, no lock
 * manager. A stack is one export, "/"; a directory of it can be mounted by its path. Only the
 * addresses given are answered; others are refused when they connect, and that is logged.
 *
 * Promises:
 *   - A handle names one object for as long as there is one, over restarts (kill -9 too), renames
 *     and taking over; then it is stale. It holds the object's identity (cowfs/stack.h) and a keyed
 *     hash of it, with a key from the work directory (nfs-key): nobody makes one up, and one of
 *     another export is bad. Which object it is, is remembered for the last XENO_NFS_OBJECTS_MAX;
 *     where it is for XENO_NFS_PLACES_MAX; and found by reading the tree when neither helps, once
 *     after a restart. Meanwhile, and not too often, the client is told to ask again (JUKEBOX).
 *   - What is acknowledged is done, and on disk: changes of names and attributes (unless `lazy`),
 *     writes that asked for it, COMMIT. Other writes are in the upper, and lost with the machine,
 * not with the server; the write verifier is another one after each start and after a failed sync,
 * so that clients send again what was not committed.
 *   - CREATE EXCLUSIVE keeps its verifier with the file: sent again, also to the next server, it
 *     succeeds once more.
 *   - A request that is sent again, on any connection of the same client, is not done again: its
 *     answer is kept, of the last XENO_NFS_DUPLICATES_MAX that change something. This memory ends
 *     with the server.
 *   - Cookies of a listing are made of the names: they hold over changes and restarts.
 *   - "Before" and "after" of weak cache consistency are of the operation alone.
 *
 * Rights are checked here, as POSIX says them, with access ACLs: AUTH_SYS tells who asks, mapped as
 * `uids` says, and at most 16 groups. AUTH_NONE is nobody (65534). The owner of a file may read and
 * write it whatever its mode, since the client has checked that when it was opened.
 *
 * Everything from the network is bounded: connections, requests under way (one a thread), the size
 * and the fragments of a record, and the time in which a client takes an answer or ends a record.
 */
#ifndef XENO_COWFS_NFS_H
#define XENO_COWFS_NFS_H

#include "base/buf.h"
#include "cowfs/stack.h"

#define XENO_NFS_OBJECTS_MAX     65536
#define XENO_NFS_PLACES_MAX      (2 << 20)
#define XENO_NFS_DUPLICATES_MAX  1024
#define XENO_NFS_CLIENTS_MAX     16
#define XENO_NFS_CONNECTIONS_MAX 64 /* each with at most one record in memory */
#define XENO_NFS_RECORD_MAX      ((1 << 20) + 8192)
#define XENO_NFS_FRAGMENTS_MAX   64 /* of one record */
#define XENO_NFS_SLOW_S          60 /* without a byte, while a record or an answer is under way */

struct xeno_nfs;

struct xeno_nfs_opts {
    const char *work;    /* where the key is, or will be */
    const char *uids;    /* "as-told", "no-root" (0 is nobody), or "UID:GID" for all */
    const char *clients; /* addresses that may connect, with commas */
    bool lazy;           /* changes of names and attributes are not synced */
    int threads;         /* above zero */
};
/* Borrows: c, until it is freed.
 * Errors: -EINVAL nfs.uids, nfs.clients; those of the key's file with nfs.key. */
int xeno_nfs_new(struct xeno_cowfs *c, const struct xeno_nfs_opts *opts, struct xeno_nfs **ret,
                 struct xeno_err *err);
void xeno_nfs_free(struct xeno_nfs *s);
XENO_DEFINE_AUTO(xeno_nfs, xeno_nfs_free);

/* Listen on "ADDRESS:PORT" (IPv6 in brackets; port 0: any). Returns: 0 with the port.
 * Errors: -EINVAL nfs.address; those of bind(2) with nfs.listen. */
int xeno_nfs_listen(struct xeno_nfs *s, const char *where, int *ret_port, struct xeno_err *err);
/* Until SIGINT, SIGTERM or SIGHUP. Context: once, after listen; makes threads. */
int xeno_nfs_serve(struct xeno_nfs *s, struct xeno_err *err);

/* One call, a whole record without its mark, from a client by its address; the answer to reply.
 * Returns: 0; -EBADMSG for what is no call, which is not answered. Context: any thread. */
int xeno_nfs_answer(struct xeno_nfs *s, const char *client, const void *call, size_t len,
                    struct xeno_buf *reply);

#endif
