/* src/image/mount-file.h - read a `.mount` file: what is laid over a directory (RFC 12).
 *
 * One reference a line, topmost first; lines that are empty or begin with '#' mean nothing. What
 * is read here a stranger wrote: a file is refused whole, with the number of the line. Whether a
 * reference leads anywhere is for who resolves it.
 *
 * Pure. Context: any.
 */
#ifndef XENO_IMAGE_MOUNT_FILE_H
#define XENO_IMAGE_MOUNT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_MOUNT_NAME      ".mount"
#define XENO_MOUNT_BYTES_MAX 16384 /* of a file */
#define XENO_MOUNT_REFS_MAX  32    /* in a file */
#define XENO_MOUNT_REF_MAX   1023  /* letters of one */
#define XENO_MOUNT_DEPTH     8     /* file systems mounted within each other */

enum xeno_mount_scheme {
    XENO_MOUNT_TEMPLATE, /* template://NAME, template://sha256:HEX: of an image store */
    XENO_MOUNT_OVERLAY,  /* overlay://... likewise */
    XENO_MOUNT_OCI,      /* oci://HOST/REPO[:TAG][@sha256:HEX]: of a registry */
    XENO_MOUNT_DIR       /* file:///DIRECTORY of the host */
};

struct xeno_mount_ref {
    enum xeno_mount_scheme scheme;
    char *text; /* all of it, with its scheme */
    bool fixed; /* it has a digest: what it names is always the same */
};
struct xeno_mount_file {
    size_t count; /* 0: nothing is laid over */
    struct xeno_mount_ref refs[XENO_MOUNT_REFS_MAX];
};

/* One reference. Takes nothing of `text`; ret->text is the caller's.
 * Errors: -EINVAL mount.ref, with what is wrong. */
int xeno_mount_ref_parse(const char *text, size_t len, struct xeno_mount_ref *ret,
                         struct xeno_err *err);

/* Errors: -EINVAL mount.ref; -EFBIG mount.size (the file, or references in it); -EEXIST
 * mount.twice. */
int xeno_mount_file_parse(const char *text, size_t len, struct xeno_mount_file **ret,
                          struct xeno_err *err);
void xeno_mount_file_free(struct xeno_mount_file *f);
XENO_DEFINE_AUTO(xeno_mount_file, xeno_mount_file_free);

#endif
