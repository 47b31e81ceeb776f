/* src/image/cache.h - layers, unpacked once and shared by all sessions of the host (RFC 0005).
 *
 *   DIR/layers/HEX/   the tree of layer sha256:HEX, fit to be a lower directory of overlayfs
 *   DIR/meta/HEX      what is known of it (JSON); its time of change is the layer's last use
 *   DIR/pins/SESSION  the layers a session needs, one HEX a line (INSTANCE-ID: caches are shared)
 *   DIR/work/...      trees being unpacked or removed: litter after a crash
 *   DIR/locks/HEX     held by whoever unpacks that layer;  DIR/lock: pins against collector
 *
 * A layer is named by the digest of its blob, not of the tar inside: so a blob that broke the
 * unpacker could spoil nothing but its own entry. It appears in layers/ by one rename, whole and
 * synced. Pins are plain files, so they outlive kill -9 of every daemon.
 *
 * DIR is mode 0700 and its caller's: the trees hold set-user-id programs of uids that own every
 * layer. Inside, owners are shifted to XENO_SUBID_BASE + id (image/unpack.h), whiteouts are 0:0
 * character devices and opaque directories carry user.overlay.opaque=y: mount with "userxattr".
 *
 * Context: one thread per struct; several processes may use one DIR.
 */
#ifndef XENO_IMAGE_CACHE_H
#define XENO_IMAGE_CACHE_H

#include "image/store.h"
#include "image/unpack.h"

struct xeno_cache;

/* Opens DIR, made when missing. Fast: fit for a daemon's start. */
int xeno_cache_open(const char *path, struct xeno_cache **ret, struct xeno_err *err);
void xeno_cache_free(struct xeno_cache *c);
XENO_DEFINE_AUTO(xeno_cache, xeno_cache_free);

/* DIR/layers, open: fchdir() there before mount(2) and name lowers by bare HEX, so that some 60
 * layers fit in the one page of mount options. Borrowed. */
int xeno_cache_layers_fd(const struct xeno_cache *c);

/* Pin layers ("sha256:HEX", bottom first) for a session, replacing its older pins; says whether
 * anything must be unpacked first. Microseconds, no fsync: fit for a daemon's loop.
 *
 * Returns: 0 when all layers are there; 1 when some are missing: then run xeno_cache_fill().
 * Errors:  -EINVAL cache.session, image.digest; -E2BIG image.layers; cache.io.
 */
int xeno_cache_pin(struct xeno_cache *c, const char *session, const char *const *digests,
                   size_t count, struct xeno_err *err);

/* Unpack those layers that are missing. Takes as long as it takes: call it in a forked child (it
 * opens what it needs, starts one child of its own at a time and keeps nothing open after).
 * Killing the caller with SIGKILL at any time leaves no tree in layers/ that is not whole.
 * Two callers that want one layer: one unpacks, the other waits for it.
 *
 * Errors: those of xeno_store_layer() and xeno_unpack_layer(); cache.io.
 */
int xeno_cache_fill(struct xeno_cache *c, struct xeno_store *st, const char *const *digests,
                    size_t count, const struct xeno_progress *progress, struct xeno_err *err);

/* Pin and fill in one go. ret_paths, when not NULL: `count` absolute folder names, bottom first,
 * the caller's, to be freed with xeno_cache_paths_free(). */
int xeno_cache_ensure(struct xeno_cache *c, struct xeno_store *st, const char *session,
                      const char *const *digests, size_t count,
                      const struct xeno_progress *progress, char ***ret_paths,
                      struct xeno_err *err);
void xeno_cache_paths_free(char **paths, size_t count);

/* The folder of a layer, whether it is there or not; the caller's. */
char *xeno_cache_path(const struct xeno_cache *c, const char *digest);

/* Does the layer hold what may be a mount file (image/mount-file.h), so that the kernel's overlayfs
 * would show another tree than xeno-cowfs? Returns: 0 or 1. A layer that was unpacked by a version
 * that did not look holds none. Errors: -ENOENT cache.layer: it is not there. */
int xeno_cache_mounts(struct xeno_cache *c, const char *digest, struct xeno_err *err);

/* The session needs its layers no more; again: no effect. Nothing is removed yet. */
int xeno_cache_unpin(struct xeno_cache *c, const char *session, struct xeno_err *err);

/* Who has pins; names are the caller's (xeno_cache_paths_free). To drop pins of dead sessions. */
int xeno_cache_pinned(struct xeno_cache *c, char ***ret_sessions, size_t *ret_count,
                      struct xeno_err *err);

struct xeno_cache_use {
    size_t layers, pinned; /* in the cache; of those, needed by a session */
    int64_t bytes;         /* of all, as blocks on disk */
    size_t removed;        /* by this call of collect */
    int64_t removed_bytes;
};
/* Remove layers without a pin, longest unused first, until at most max_bytes are in use (0: all
 * that have no pin), and the litter of crashes. Removing takes time: for a forked child. */
int xeno_cache_collect(struct xeno_cache *c, int64_t max_bytes, struct xeno_cache_use *ret,
                       struct xeno_err *err);
int xeno_cache_usage(struct xeno_cache *c, struct xeno_cache_use *ret, struct xeno_err *err);

#endif
