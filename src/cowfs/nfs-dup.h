/* src/cowfs/nfs-dup.h - requests that are sent again: what was answered is answered again.
 *
 * A request is known by its client's address, its transaction id, program, version and procedure,
 * and a hash of its bytes; not by the connection, which may be another. Bounded: the oldest that is
 * not under way is forgotten. Context: any thread.
 */
#ifndef XENO_COWFS_NFS_DUP_H
#define XENO_COWFS_NFS_DUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define XENO_NFS_DUP_BYTES 1024 /* the longest answer that is kept */

struct xeno_nfs_dups;

struct xeno_nfs_dup_key {
    uint64_t client, bytes; /* hashes: of the address, of the request */
    uint32_t xid, prog, vers, proc;
};

struct xeno_nfs_dups *xeno_nfs_dups_new(size_t max);
void xeno_nfs_dups_free(struct xeno_nfs_dups *d);

/* Begin a request. Returns: true when it is new and has to be done, then xeno_nfs_dup_end() is
 * called; false when it was done before, with the answer in reply. One that is under way at this
 * moment is waited for. */
bool xeno_nfs_dup_begin(struct xeno_nfs_dups *d, const struct xeno_nfs_dup_key *key,
                        struct xeno_buf *reply);
/* data NULL: there is no answer to be kept; it would be done again. */
void xeno_nfs_dup_end(struct xeno_nfs_dups *d, const struct xeno_nfs_dup_key *key, const void *data,
                      size_t len);

#endif
