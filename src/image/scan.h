/* src/image/scan.h - folders of this machine, as the members of a layer.
 *
 * A scan is a sorted list of names in the layer, each with the file it comes from. Folders are
 * walked without following links. Sockets and devices are counted and left out; a file whose name
 * reads as a whiteout is refused, since it would vanish.
 */
#ifndef XENO_IMAGE_SCAN_H
#define XENO_IMAGE_SCAN_H

#include "image/pack.h"

enum xeno_scan_kind { XENO_SCAN_SOURCE, XENO_SCAN_FOLDER, XENO_SCAN_WHITEOUT };

struct xeno_scan_item {
    enum xeno_scan_kind kind;
    char *path;   /* in the layer: plain form, "." for the root; owned */
    char *source; /* XENO_SCAN_SOURCE: where it is on this machine; owned */
    bool dir;
    bool fixed; /* mode, owner and time below are to be used, not those of the source */
    unsigned mode;
    int64_t uid, gid, mtime_s;
    int64_t size_bytes;
};

struct xeno_scan {
    size_t count;
    struct xeno_scan_item *items;
    size_t skipped;
    int64_t total_bytes;
    bool keep_owner, keep_times; /* else 0:0, else 1970 */
    bool keep_xattrs;
};

void xeno_scan_release(struct xeno_scan *s);

/* Add `source`, a folder with all below or one file, as `target` (plain form).
 * Errors: -ENOENT image.source, -EINVAL unpack.name, -E2BIG unpack.limit; those of
 * xeno_mount_file_parse() for a mount file that is none. */
int xeno_scan_add(struct xeno_scan *s, const char *source, const char *target,
                  const struct xeno_unpack_limits *limits, struct xeno_err *err);
void xeno_scan_add_item(struct xeno_scan *s, const struct xeno_scan_item *item); /* takes strings */

/* Sort; folders named twice become one, the first; else -EEXIST overlay.twice. */
int xeno_scan_sort(struct xeno_scan *s, struct xeno_err *err);

/* Write all of it. */
int xeno_scan_pack(struct xeno_scan *s, struct xeno_pack *p, const struct xeno_progress *progress,
                   struct xeno_err *err);

#endif
