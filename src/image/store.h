/* src/image/store.h - images on this host: one OCI image layout directory (image-spec v1; RFC 5).
 *
 * oci-layout, index.json, blobs/sha256/HEX: what skopeo, umoci and podman call "oci:DIR". Content
 * is named by its SHA-256 and checked against it each time it is read. A blob is written under
 * .tmp/, synced and renamed; index.json is replaced in one step. So a crash leaves litter at most,
 * which xeno_store_collect() removes, never half a blob.
 *
 * Several processes may write at once. `.lock` is held shared by whoever adds blobs until the index
 * names them, and alone by the collector; `.index.lock` is held while index.json is replaced.
 * Readers take no lock and need only read permission: the store is readable by all, since images
 * are no secrets, and xenod resolves names in it without rights.
 *
 * A name is the annotation org.opencontainers.image.ref.name of a manifest in index.json. When a
 * name moves to another image the old one stays, without a name, until xeno_store_collect() is
 * told to drop such images.
 *
 * Context: one thread per struct; blocking file I/O.
 */
#ifndef XENO_IMAGE_STORE_H
#define XENO_IMAGE_STORE_H

#include <stdbool.h>

#include "image/manifest.h"
#include "image/progress.h"

struct xeno_store;

#define XENO_STORE_READ   0 /* must exist; only reading works */
#define XENO_STORE_WRITE  1 /* must exist */
#define XENO_STORE_CREATE 2 /* made when missing, mode 0755 */

/* Errors: -ENOENT image.store (no such directory), -EINVAL image.store (a directory that is no
 *         image layout, or of a version unknown to us). */
int xeno_store_open(const char *path, int mode, struct xeno_store **ret, struct xeno_err *err);
void xeno_store_free(struct xeno_store *st);
XENO_DEFINE_AUTO(xeno_store, xeno_store_free);
const char *xeno_store_path(const struct xeno_store *st);

/* --- names and images --- */

/* The name of this machine's architecture, as OCI and Debian spell it: "amd64", "arm64". */
const char *xeno_image_host_arch(void);

/* Find an image. `ref` is "template://NAME", "overlay://NAME", NAME or "sha256:HEX" (of a manifest
 * that index.json reaches). NAME without a colon also finds NAME:latest. A scheme must fit the
 * image's kind. Of an image for several machines, the one for `arch` (NULL: this machine) is taken.
 * Manifest and config are read and verified; layer blobs are only looked at (present, size).
 *
 * Returns: 0 and the image, the caller's.
 * Errors:  -ENOENT image.unknown    no such name or digest
 *          -ENOENT image.blob       a blob is missing
 *          -EINVAL image.ref        not a reference
 *          -EINVAL image.kind       overlay:// names a template, or the reverse
 *          -EINVAL image.arch       not made for `arch`
 *          -EBADMSG image.corrupt   content does not have its digest or size
 *          and those of manifest.h
 */
int xeno_store_resolve(struct xeno_store *st, const char *ref, const char *arch,
                       struct xeno_image **ret, struct xeno_err *err);

/* The image whose manifest is blob `digest`, from manifest and config alone: layers may be missing,
 * as in the store of the image manager (image/agent.h). Errors: as above, without those of layers.
 */
int xeno_store_load(struct xeno_store *st, const char *digest, struct xeno_image **ret,
                    struct xeno_err *err);

/* A template and overlays over it, bottom first, as one image: all layers in order; environment
 * joined, the later value of a variable wins; Cmd, WorkingDir and User of the topmost that has one.
 * `template_ref` may be NULL when there is at least one overlay. Its digest is "".
 * Errors: as above, and -E2BIG image.layers: more than XENO_LAYERS_MAX together. */
int xeno_store_stack(struct xeno_store *st, const char *template_ref, const char *const *overlays,
                     size_t overlay_count, struct xeno_image **ret, struct xeno_err *err);

/* Put `top` over what `im` has so far, as xeno_store_stack() does: for images of several stores,
 * begun with xeno_image_new(). Errors: -E2BIG image.layers. */
int xeno_image_over(struct xeno_image *im, const struct xeno_image *top, struct xeno_err *err);

struct xeno_store_entry {
    char name[XENO_IMAGE_NAME_MAX + 1]; /* "" when it has none */
    struct xeno_image *image;           /* NULL: broken, and `problem` says how */
    char digest[XENO_DIGEST_TEXT];
    char problem[256];
};
struct xeno_store_list {
    size_t count;
    struct xeno_store_entry *items; /* in order of the name; those without a name last */
};
void xeno_store_list_free(struct xeno_store_list *list);
XENO_DEFINE_AUTO(xeno_store_list, xeno_store_list_free);

/* All images; one that cannot be read is listed as broken and does not fail the call. */
int xeno_store_list(struct xeno_store *st, struct xeno_store_list **ret, struct xeno_err *err);

/* Give the image `ref` the name `name` (as well); a name in use moves.
 * Errors: as resolve; -EINVAL image.name. */
int xeno_store_tag(struct xeno_store *st, const char *ref, const char *name, struct xeno_err *err);

/* Take a name away, or with "sha256:HEX" all entries of that manifest. Blobs stay until collected.
 * Errors: -ENOENT image.unknown, -EINVAL image.ref. */
int xeno_store_remove(struct xeno_store *st, const char *ref, struct xeno_err *err);

struct xeno_store_collected {
    size_t blobs, images; /* blobs removed; nameless images dropped before */
    int64_t bytes;
};
/* Remove blobs that no image needs, and what crashes left. `unnamed`: first drop images that have
 * no name. Waits for writers at work. An index.json that cannot be read removes nothing. */
int xeno_store_collect(struct xeno_store *st, bool unnamed, struct xeno_store_collected *ret,
                       struct xeno_err *err);

/* Read and check every blob that an image needs: sizes, digests. Errors: -EBADMSG image.corrupt. */
int xeno_store_verify(struct xeno_store *st, const char *ref, const struct xeno_progress *progress,
                      struct xeno_err *err);

/* --- blobs: for the parts of src/image --- */

/* Keep the collector away while blobs are added and not yet named. Nests; drop as often. */
int xeno_store_hold(struct xeno_store *st, struct xeno_err *err);
void xeno_store_drop(struct xeno_store *st);

/* A small blob, verified. Errors: -ENOENT image.blob, -EBADMSG image.corrupt, -EFBIG image.blob. */
int xeno_store_read(struct xeno_store *st, const char *digest, size_t max, char **ret,
                    size_t *ret_len, struct xeno_err *err);
/* A blob to read from, NOT verified: whoever reads it hashes what it reads. */
int xeno_store_open_blob(struct xeno_store *st, const char *digest, int *ret_fd, int64_t *ret_size,
                         struct xeno_err *err);
bool xeno_store_has(struct xeno_store *st, const char *digest);

/* A small blob from memory. */
int xeno_store_put(struct xeno_store *st, const void *data, size_t len,
                   char ret_digest[XENO_DIGEST_TEXT], struct xeno_err *err);

/* A large blob piece by piece. Commit gives its digest; freeing an uncommitted one removes it. */
struct xeno_blob_writer;
int xeno_blob_new(struct xeno_store *st, struct xeno_blob_writer **ret, struct xeno_err *err);
int xeno_blob_add(struct xeno_blob_writer *w, const void *data, size_t len, struct xeno_err *err);
/* want: the digest it must have, or NULL. Errors: -EBADMSG image.corrupt. */
int xeno_blob_commit(struct xeno_blob_writer *w, const char *want,
                     char ret_digest[XENO_DIGEST_TEXT], int64_t *ret_size, struct xeno_err *err);
void xeno_blob_free(struct xeno_blob_writer *w);
XENO_DEFINE_AUTO(xeno_blob_writer, xeno_blob_free);

/* Store `im` (its layers are blobs already): config, manifest, and, unless name is NULL, the name.
 * Fills im->config and im->digest. */
int xeno_store_commit(struct xeno_store *st, struct xeno_image *im, const char *name,
                      struct xeno_err *err);
/* Put the manifest that is blob `digest` into index.json under `name` (NULL or "": none). */
int xeno_store_add(struct xeno_store *st, const char *digest, int64_t size, const char *name,
                   struct xeno_err *err);

/* What the images of the store say of layer `digest`: its size, compression and, one after the
 * other, the diff_ids claimed for it (i = 0, 1, ...). Errors: -ENOENT image.layer. */
int xeno_store_layer(struct xeno_store *st, const char *digest, size_t i, struct xeno_layer *ret,
                     struct xeno_err *err);

#endif
