/* src/cowfs/toc-tree.h - a table of contents as a tree to look names up in; for layer-toc.c only.
 *
 * Objects are numbered in the order of the table, the root being 0, hard links one object. The
 * names of a directory stand together, sorted.
 */
#ifndef XENO_COWFS_TOC_TREE_H
#define XENO_COWFS_TOC_TREE_H

#include <sys/stat.h>

#include "image/toc.h"

struct object {
    int64_t size; /* of a file */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t at;     /* of a directory in names[]; of a file in pieces[]; of a link in text */
    uint32_t count;  /* of a directory or a file, there */
    uint32_t xattrs; /* in text; 0: none */
    uint16_t mode;   /* with its type */
    uint16_t uid, gid;
    uint16_t nlink; /* 65535: that many or more */
};
struct name {
    uint32_t text, object;
};
struct piece {
    int64_t file_offset, blob_offset;
    uint32_t blob_bytes, size; /* both 0 of one of zeros, which may be larger */
    uint8_t sha[32];
};

struct toc_tree {
    struct object *objects;
    struct name *names;
    struct piece *pieces;
    char *text; /* names, targets of links, attributes */
    size_t object_count, name_count, piece_count, text_len;
    bool mounts; /* one of the names may be a mount file (image/mount-file.h) */
};

struct toc_tree_opts {
    uint32_t shift;
    bool own;
};
/* Judges, and on success fills *ret. Errors: image/unpack.h. */
int toc_tree_make(const struct xeno_toc *toc, const struct toc_tree_opts *opts,
                  const struct xeno_unpack_limits *limits, struct toc_tree *ret,
                  struct xeno_err *err);
void toc_tree_release(struct toc_tree *t);

/* The object `name` of directory `dir`, or -ENOENT, -ENOTDIR. */
int toc_tree_find(const struct toc_tree *t, uint32_t dir, const char *name);

/* Attributes of an object, one after the other: pass *at = NULL first. False at the end. */
struct toc_xattr {
    const char *name;
    const void *value;
    uint32_t len;
};
bool toc_tree_xattr(const struct toc_tree *t, const struct object *o, const char **at,
                    struct toc_xattr *ret);

#endif
