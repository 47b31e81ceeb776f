/* src/cowfs/mount-priv.h - what the files that act on mount files share. */
#ifndef XENO_COWFS_MOUNT_PRIV_H
#define XENO_COWFS_MOUNT_PRIV_H

#include "cowfs/core.h"

/* --- pins.c: what references without a digest led to --- */

struct pins;

/* From the file `mounts` in `dir`, a descriptor that stays the caller's and is written to later.
 * Errors: cowfs/mount.h. */
int pins_open(int dir, struct pins **ret, struct xeno_err *err);
void pins_free(struct pins *p);
XENO_DEFINE_AUTO(pins, pins_free);
/* The digest, the caller's; NULL when there is none. Any thread. */
char *pins_get(struct pins *p, const char *ref);
/* Note it, on the disk when this returns. Returns: 0; 1 when another one is noted, which stays.
 * Errors: -EFBIG mount.limit, io.write. Any thread. */
int pins_put(struct pins *p, const char *ref, const char *digest, struct xeno_err *err);

/* --- plan.c: what a directory will be made of --- */

struct item {
    int layer; /* of the stack; -1: to be mounted */
    bool root; /* its root is here */
    struct xeno_cowfs_layer *l;
    uint64_t id;
    struct fs *fs;
};
struct plan {
    struct item items[XENO_COWFS_LAYERS_MAX];
    size_t count;
    bool cut;         /* an opaque directory hides all that would come below */
    struct fs *fresh; /* those that are to be mounted */
    size_t fresh_count;
};

/* What was mounted, and what is needed for more. */
struct mounts {
    struct xeno_cowfs_finder finder;
    struct pins *pins;
    pthread_mutex_t acting[COPY_LOCKS]; /* one of them while a directory's mount file is acted on */
    struct fs base, *all;               /* `tree` written to change, as the next two */
    size_t count;
    struct place *places;
};

/* A mount file, found and open. */
struct mount_at {
    struct contents in;
    size_t size;
    struct fs *fs; /* of the layer that has it */
    size_t item;   /* which one that is */
};
/* Look for one in a directory of a layer. Quick: nothing is fetched.
 * Returns: 1 with it open (size and in); 0: none; -ENODATA: something hides those below.
 * Errors: -EINVAL mount.kind, -EFBIG mount.size; others of the layer with mount.read. */
int mount_look(struct xeno_cowfs_layer *l, int dir, struct mount_at *ret, struct xeno_err *err);
/* Put what it names behind the items of the plan, and what that names. Takes as long as it takes;
 * closes the file. ret_ref: the reference that failed, the caller's; NULL: the file itself. */
int mount_plan(struct mounts *m, struct plan *p, struct mount_at *at, char **ret_ref,
               struct xeno_err *err);
int plan_add(struct plan *p, const struct item *item, struct xeno_err *err);
void plan_free(struct plan *p);
XENO_DEFINE_AUTO(plan, plan_free);

#endif
