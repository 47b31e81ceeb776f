/* src/cowfs/change.h - how names go and come; for the files of src/cowfs only. `tree` is written
 * throughout. */
#ifndef XENO_COWFS_CHANGE_H
#define XENO_COWFS_CHANGE_H

#include "cowfs/core.h"

/* A file that is written, or a directory that is mounted, while it is renamed, linked or removed is
 * at most so often in the way. */
#define TRIES 16

/* Is there something of that name below the upper that a whiteout must hide? 1, 0 or an error. */
int below(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, const char *name);

/* What the upper itself has of that name. Returns: one of these or an error. */
enum { NOTHING, WHITEOUT, DIRECTORY, OTHER };
int upper_holds(struct xeno_cowfs *c, struct xeno_cowfs_node *dir, const char *name);

/* Has the directory no name that can be seen? Returns: 0; 1 when the lock was let go meanwhile, and
 * all is to be looked at again. Errors: -ENOTEMPTY. */
int check_empty(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                const struct probe *p);
/* A directory of the upper that is empty to the eye becomes empty on disk. */
int clear_whiteouts(struct xeno_cowfs *c, int parent, const char *name);

/* An object that is about to lose a name: whoever has it open keeps it. */
struct doomed {
    struct xeno_cowfs_node *n; /* NULL: nobody has it */
    int fd;                    /* its layer's handle */
};
#define DOOMED_INIT                                                                                \
    {                                                                                              \
        .fd = -1                                                                                   \
    }
int doom(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
         const struct probe *p, struct doomed *ret);
void doom_end(struct xeno_cowfs *c, struct doomed *d, bool gone);

/* With a reference of its own; takes what is `in`, also when there is no descriptor left (-EMFILE,
 * only for what a layer reads). */
int add_file(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct contents *in, bool writes,
             struct xeno_cowfs_file **ret);

#endif
