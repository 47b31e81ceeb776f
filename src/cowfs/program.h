/* src/cowfs/program.h - what the files of the program xeno-cowfs share. */
#ifndef XENO_COWFS_PROGRAM_H
#define XENO_COWFS_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/units.h"
#include "cowfs/images.h"
#include "cowfs/stack.h"

struct options {
    char *lower, *upper, *work, *mount, *options;
    char *images, *image_store, *cache, *registry_ca, *registry_auth;
    char *nfs, *nfs_client, *nfs_uids, *stack, *imaged, *imaged_store;
    char *mount_registries, *mount_dirs;
    int64_t threads, cache_bytes, ahead_bytes, shift, fuse_fd;
    xeno_time patience;
    bool registry_plain, nfs_sync, foreground, mount_files;
    struct xeno_stack *parts; /* of stack, once it is read */
};

/* --- open.c --- */

/* The file that `stack` names, when it does. */
int read_parts(struct options *o, struct xeno_err *err);
/* Is any layer read by pieces? */
bool by_pieces(const struct options *o);
/* *ret_images NULL: there are none; else it has the layers' contents and is freed after the stack.
 * What sources do, and reads that fail, is logged. */
int open_stack(const struct options *o, struct xeno_cowfs **ret,
               struct xeno_cowfs_images **ret_images, struct xeno_err *err);
void log_counts(struct xeno_cowfs_images *images);

/* --- process.c --- */

void raise_files(void); /* each directory in use takes one, each open file too */
/* All but what serving takes. mounted: by us, so that we unmount. */
int drop_rights(bool mounted, struct xeno_err *err);
/* For who need not unmount, after that: the file system as far as the stack and the cache go, but
 * with images, of which registries have more files; and the system calls. */
int confine(const struct options *o, struct xeno_err *err);
/* Everything is opened in the process that serves, and who called waits until that is done.
 * Returns: 0 there, and where to say so; to the caller never. */
int to_background(int *ret_ready, struct xeno_err *err);
/* It is done: the caller is let go, and nothing of his is held. ready -1: nobody waits. */
int say_ready(int ready, struct xeno_err *err);

#endif
