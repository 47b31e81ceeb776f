/* src/cowfs/nfs-handle.h - file handles as bytes: an identity that only the server can have
 * written.
 *
 * Layout, 32 bytes: version, three zero bytes, `born` and `number` of the identity (cowfs/stack.h)
 * in big-endian order, then a keyed hash of these 16 bytes. The key is made once, in the work
 * directory, and so an export's own.
 */
#ifndef XENO_COWFS_NFS_HANDLE_H
#define XENO_COWFS_NFS_HANDLE_H

#include <stdint.h>

#include "base/err.h"
#include "cowfs/stack.h"
#include "crypto/mac.h"

#define XENO_NFS_HANDLE_BYTES 32
#define XENO_NFS_KEY_FILE     "nfs-key"

struct xeno_nfs_key {
    uint8_t mac[XENO_MAC_KEY_BYTES];
    uint8_t names[XENO_SHORT_KEY_BYTES]; /* of cookies */
};

/* Read the key in the directory, or make it. Errors: token nfs.key. */
int xeno_nfs_key_load(int dirfd, struct xeno_nfs_key *ret, struct xeno_err *err);

void xeno_nfs_handle_make(const struct xeno_nfs_key *key, const struct xeno_cowfs_identity *id,
                          uint8_t out[XENO_NFS_HANDLE_BYTES]);
/* Errors: -EBADF for what was not made with this key. */
int xeno_nfs_handle_read(const struct xeno_nfs_key *key, const void *data, size_t len,
                         struct xeno_cowfs_identity *ret);

/* The cookie of a name in a listing: above XENO_NFS_COOKIE_FIRST, which "." and ".." have below,
 * and positive where it is taken for a signed number. */
#define XENO_NFS_COOKIE_FIRST 16
uint64_t xeno_nfs_cookie(const struct xeno_nfs_key *key, const char *name);

#endif
