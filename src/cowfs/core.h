/* src/cowfs/core.h - the inside of a stack; for the files of src/cowfs only.
 *
 * Locks, in the order in which they are taken:
 *   copy[]  one of them while a file is copied to the upper, so that it is copied once
 *   tree    what is where: read to use names and places of nodes, written to change them. No call
 *           that writes takes long: contents are copied before it is taken.
 *   table   the two hash tables, references, lists of open files; held for moments
 * A node's place (parent, name, layer, parts, gone) changes under `tree` written. Descriptors of
 * parts are opened by whoever needs them under `tree` read, and closed under `tree` written.
 *
 * A node has one name it is found by: `parent` and `name`. A file of the upper with several names
 * has any one of them, and is found by its inode for the others. When that name goes the node is
 * `gone`: a directory keeps its descriptor, anything else is reached by `fd` until it is forgotten.
 */
#ifndef XENO_COWFS_CORE_H
#define XENO_COWFS_CORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uthash.h>

#include "cowfs/beneath.h"
#include "cowfs/layer.h"
#include "cowfs/mount.h"
#include "cowfs/stack.h"

#define UPPER          0 /* the layer that can be written */
#define INO_ATTR       XENO_COWFS_OWN_PREFIX "xenoino"
#define NAME_ATTR      XENO_COWFS_OWN_PREFIX "xenoname"
#define TAG_ATTR       XENO_COWFS_OWN_PREFIX "xenotag"
#define INO_DIGITS     16
#define COPY_LOCKS     64
#define XATTR_LIST_MAX 65536 /* the kernel's own limit */

struct part {
    int layer;
    bool root;     /* the layer's own root is here: else a part of the directory above has it */
    atomic_int fd; /* the layer's handle; -1: not open */
};

/* A file system: the stack as it was opened, or one that is mounted somewhere in it. */
struct fs {
    struct fs *in; /* the one whose mount file named it; NULL: the stack */
    int depth;
    char *name; /* cowfs/mount.h; "" of the stack */
    struct fs *next;
};

/* What a directory is made of once its mount file was acted on, by the directory's number. */
struct place {
    uint64_t ino;
    int *
        layers; /* topmost first, without the upper; those that are there with their root < 0: ~n */
    int count;
    UT_hash_handle hh;
};

enum { NO_MOUNTS, MOUNTS_PENDING };

/* What a regular file is read through: a descriptor, or its layer. */
struct contents {
    int fd; /* -1: `data` */
    struct xeno_cowfs_layer *layer;
    struct xeno_cowfs_data *data;
};

struct xeno_cowfs_file {
    bool writes;
    int fd;               /* while `lazy` only a number kept free, so that taking over has one */
    atomic_bool lazy;     /* read through `from`, as long as it is not taken over */
    struct contents from; /* its fd is the one above */
    struct xeno_cowfs_node *node;
    struct xeno_cowfs_file *prev, *next;
};

struct xeno_cowfs_node {
    mode_t type; /* S_IFREG, ... */
    uint64_t ino;
    struct xeno_cowfs_node *parent; /* NULL: the root */
    char *key;                      /* of the table of names: the parent's address, then the name */
    bool gone;
    int layer; /* where it is; of a directory where its topmost part is */
    int fd;    /* gone, and no directory: the layer's handle of it; else -1 */
    struct part *parts;
    int parts_count;
    atomic_bool impure, used;
    atomic_int mounts;        /* PENDING: a directory with a mount file that was not acted on */
    atomic_long mounts_tried; /* second in which that failed; 0: never */
    atomic_bool renumbered;   /* a directory: something in it has another number */
    uint64_t upper_ino;       /* in the table of inodes when not 0 */
    uint64_t refs;
    struct xeno_cowfs_file *files;
    int writers; /* of these */
    UT_hash_handle by_name, by_ino;
    struct xeno_cowfs_node *prev, *next; /* in the list of all */
};

struct xeno_cowfs {
    pthread_mutex_t copy[COPY_LOCKS];
    pthread_rwlock_t tree;
    pthread_mutex_t table;
    /* Of layers, the upper first; those mounted come behind, under `tree` written, and there is
     * room for all that may. */
    struct xeno_cowfs_layer **layers;
    int count, own;        /* all; those of the stack as it was opened, which are ours to free */
    dev_t *devs;           /* of those, each once */
    int *dev_of;           /* index in devs */
    uint64_t *salt;        /* of one that is mounted: what its numbers are made with */
    struct fs **fs;        /* which it belongs to */
    struct mounts *mounts; /* NULL: mount files mean nothing */
    int work, lock;
    void (*waits)(void);         /* NULL: nobody wants to know */
    atomic_uint_fast64_t serial; /* of names in work */
    struct xeno_cowfs_node *root, *names, *inos, *nodes;
    atomic_int open_dirs;
    int open_dirs_max;
};

/* Where an object is, for calls that take a directory and a name (perhaps ""). */
struct at {
    int layer, dir;
    const char *name;
};

/* What a name is found to be. */
struct probe {
    struct stat st; /* of the topmost */
    uint64_t ino;
    bool mounts;                             /* a directory that may hold a mount file */
    int count;                               /* parts of a directory; 1 otherwise */
    short layers[XENO_COWFS_LAYERS_MAX + 1]; /* top first */
};

static inline const char *node_name(const struct xeno_cowfs_node *n)
{
    return n->key + sizeof(void *);
}
static inline bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* --- node.c; `tree` read or written, but for node_unref --- */

/* skip_upper: what would be there without the upper. Errors: -ENOENT. */
int probe_name(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
               bool skip_upper, struct probe *ret);
/* The node of what was probed, made when it is not there, with a reference. */
struct xeno_cowfs_node *node_get(struct xeno_cowfs *c, struct xeno_cowfs_node *parent,
                                 const char *name, const struct probe *p);
/* The node whose name this is, or of the upper's inode; NULL: none. With a reference. */
struct xeno_cowfs_node *node_find(struct xeno_cowfs *c, struct xeno_cowfs_node *parent,
                                  const char *name, const struct probe *p);
void node_unref(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t refs);
void node_free(struct xeno_cowfs *c, struct xeno_cowfs_node *n); /* out of the tables already */
bool node_is_at(const struct xeno_cowfs_node *n, const struct xeno_cowfs_node *parent,
                const char *name);
/* `tree` written: */
void node_move(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_node *parent,
               const char *name);
void node_drop_name(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int fd); /* takes fd */
void node_is_upper(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t upper_ino);

int node_at(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct at *ret);
/* The handle of part i. */
int part_fd(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int i);
/* The upper's descriptor of a directory that is there. */
int upper_fd(struct xeno_cowfs *c, struct xeno_cowfs_node *n);
int node_stat(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct stat *ret);
void stat_as_node(const struct xeno_cowfs_node *n, struct stat *st);
uint64_t ino_of(const struct xeno_cowfs *c, int layer, const struct stat *st);
/* A number that an object of the upper carries as an attribute. Errors: -ENODATA. */
int number_kept(struct xeno_cowfs *c, int dir, const char *name, const char *attr, uint64_t *ret);
/* The number that an object of the upper was given when it was taken over; 0: none. */
uint64_t ino_kept(struct xeno_cowfs *c, int dir, const char *name);
bool is_opaque(struct xeno_cowfs *c, int layer, int dir, const char *name);
int check_name(const char *name);
/* Close what was not used of late, when too much is open. No lock held. */
void trim(struct xeno_cowfs *c);

/* --- mount.c --- */

/* Before anything in `dir` is used: act on its mount file. No lock held. Errors: -EIO. */
int use_dir(struct xeno_cowfs *c, struct xeno_cowfs_node *dir);
/* `tree` read, `table` held: make a node of a directory whose mount file was acted on before what
 * it became by that. */
void use_known(struct xeno_cowfs *c, struct xeno_cowfs_node *dir);
void stack_mounts_free(struct xeno_cowfs *c);

/* --- file.c --- */

/* The file at a place found under `tree`. */
int contents_open(struct xeno_cowfs *c, const struct at *at, int flags, struct contents *ret);
ssize_t contents_read(const struct contents *in, void *buf, size_t len, off_t off);
off_t contents_seek(const struct contents *in, off_t off, int whence);
void contents_close(struct contents *in); /* again: no effect */

/* --- identity.c; `tree` read or written --- */

/* Many bits of one number from several: begin with the seed, mix, spread. */
#define HASH_SEED UINT64_C(0xcbf29ce484222325)
uint64_t hash_mix(uint64_t h, const void *data, size_t len);
uint64_t hash_spread(uint64_t h);
/* Of a file with several names in a layer: the number of this one. */
uint64_t name_number(const struct xeno_cowfs_node *n);

/* --- up.c --- */

/* Take over; keep: bytes of the contents that are wanted, -1: all. No lock held. */
int take_over(struct xeno_cowfs *c, struct xeno_cowfs_node *n, off_t keep);
/* The same for a directory and those above it; `tree` written. */
int take_over_dir(struct xeno_cowfs *c, struct xeno_cowfs_node *n);
/* A fresh name in work. */
#define WORK_NAME 24
const char *work_name(struct xeno_cowfs *c, char buf[WORK_NAME]);
int set_mark(int dir, const char *name, const char *attr, const char *value);
/* fd: of the object when it is open, else -1. */
int set_number(int dir, const char *name, int fd, const char *attr, uint64_t n);
/* `dir`, taken over, holds an object with a number kept. */
int mark_impure(struct xeno_cowfs *c, struct xeno_cowfs_node *dir);

/* --- list.c; `tree` read or written --- */

int list_merged(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_list **ret);
size_t list_count(const struct xeno_cowfs_list *l); /* with "." and ".." */

#endif
