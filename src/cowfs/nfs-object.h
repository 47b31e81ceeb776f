/* src/cowfs/nfs-object.h - the objects that handles lead to.
 *
 * A bounded number of them is remembered with their nodes, and for more of them in which directory
 * they were last seen. Who is asked for and not remembered is looked for there; and when that is
 * not known either, the whole tree is read, which tells it of all there are. What is known is kept
 * true by telling of every change, so that once is enough.
 *
 * An object that was returned is pinned until it is put: neither forgotten nor are its files
 * closed. Context: any thread.
 */
#ifndef XENO_COWFS_NFS_OBJECT_H
#define XENO_COWFS_NFS_OBJECT_H

#include <stdbool.h>
#include <uthash.h>

#include "cowfs/nfs-handle.h"
#include "cowfs/stack.h"

struct xeno_nfs_objects;

struct xeno_nfs_object {
    struct xeno_cowfs_identity id;
    uint8_t handle[XENO_NFS_HANDLE_BYTES];
    struct xeno_cowfs_node *node;
    /* of the table alone: */
    struct xeno_cowfs_file *file[2]; /* for reading; for writing */
    unsigned pins;
    bool known; /* is in the table */
    UT_hash_handle by_number, by_node;
    struct xeno_nfs_object *prev, *next; /* longest unused first */
    struct xeno_nfs_object *prev_open, *next_open;
};

/* objects, places, files: at most so many. Borrows c and key. */
struct xeno_nfs_objects *xeno_nfs_objects_new(struct xeno_cowfs *c, const struct xeno_nfs_key *key,
                                              size_t objects, size_t places, size_t files);
void xeno_nfs_objects_free(struct xeno_nfs_objects *o);

/* Errors: -EBADF no handle of ours; -ESTALE; -EAGAIN it may be there: ask again later. */
int xeno_nfs_object_find(struct xeno_nfs_objects *o, const void *handle, size_t len,
                         struct xeno_nfs_object **ret);
/* Of a node that was found in the directory `in` (NULL: it is the root). Takes: the reference. */
int xeno_nfs_object_of(struct xeno_nfs_objects *o, struct xeno_cowfs_node *n,
                       const struct xeno_nfs_object *in, struct xeno_nfs_object **ret);
/* A name below a directory; st as xeno_cowfs_lookup() says it. */
int xeno_nfs_object_lookup(struct xeno_nfs_objects *o, const struct xeno_nfs_object *dir,
                           const char *name, struct xeno_nfs_object **ret, struct stat *ret_st);
void xeno_nfs_object_put(struct xeno_nfs_objects *o, struct xeno_nfs_object *b);

/* Open it, or use what is open. Borrowed from b while it is pinned. */
int xeno_nfs_object_file(struct xeno_nfs_objects *o, struct xeno_nfs_object *b, bool write,
                         struct xeno_cowfs_file **ret);

/* --- changes --- */

/* It has come to the directory `to`; a directory with all below it. */
void xeno_nfs_object_moved(struct xeno_nfs_objects *o, const struct xeno_nfs_object *b,
                           const struct xeno_nfs_object *to, bool is_dir);
/* It has lost a name; left: of how many others. Without any its handle is stale. */
void xeno_nfs_object_removed(struct xeno_nfs_objects *o, struct xeno_nfs_object *b, size_t left);

/* How often the tree was read. */
unsigned xeno_nfs_objects_scans(struct xeno_nfs_objects *o);

#endif
