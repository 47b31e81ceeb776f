/* src/cowfs/stack.h - one writable directory over any number of read-only layers.
 *
 * The core of xeno-cowfs: what a front end (FUSE, NFS) asks for, in nodes and names. A stack is an
 * upper directory, a work directory on the same file system, and layers (cowfs/layer.h), topmost
 * first. What is looked up is the topmost object of that name; directories of one name are merged.
 * A file is copied to the upper, whole and once, when it is first written or its owner, mode, times
 * or attributes are changed ("taken over" below); holes stay holes.
 *
 * On disk there is nothing of ours but one attribute: upper, work and layers are those of the
 * kernel's overlayfs mounted with "userxattr", and either can serve what the other left.
 *   - Removed names are character devices 0:0 (whiteouts); user.overlay.opaque=y on a directory
 *     hides all below it. No redirects: renaming a directory that has parts in a layer gives
 *     -EXDEV, as overlayfs does, and mv(1) copies it then.
 *   - user.overlay.xenoino on an object of the upper is the inode number it had in its layer (16
 *     hex digits); user.overlay.impure=y on a directory says that some are in it (docs/decisions).
 *     user.overlay.xenoname is the number in its identity of a file that had several names in a
 *     layer, and user.overlay.xenotag what its maker told it with (both below).
 *     Attributes that begin with user.overlay. are neither shown nor can they be set.
 *
 * Promises:
 *   - An inode number is one of its object for as long as the stack is made of the same parts, over
 *     restarts and when the object is taken over. Two exceptions: a file with several hard links in
 *     a layer has a new number when it is taken over, since from then on it is a file of its own
 *     (as in overlayfs without "index"); a symbolic link, fifo, socket or device that was taken
 *     over keeps its number until the server ends and has another from then on.
 *   - A change of the name space is one rename or link in the upper: kill -9 at any moment leaves
 *     the old state or the new one, and litter in the work directory, removed at the next start.
 *   - Names never lead out of a layer: each step is one name below an open directory, and neither
 *     symbolic links nor mounts are passed (openat2). A link is given to the asker as text.
 *   - A listing is what was there when it was begun: no name twice, none lost that stayed.
 *
 * Rights are the front end's business: nothing is checked here. New objects belong to `who`, and
 * take the parent's group (set-group-id) and default ACL as in any file system.
 *
 * Not there: hard links kept over taking over. A directory
 * of more than XENO_COWFS_LIST_MAX_BYTES of names cannot be listed.
 *
 * Units:   sizes in bytes. Errors: a negative errno, as the system call of that name has it.
 * Context: any number of threads, but for open and free. Every node that a call returns carries one
 *          reference, to be given back with xeno_cowfs_forget().
 */
#ifndef XENO_COWFS_STACK_H
#define XENO_COWFS_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/mem.h"

#define XENO_COWFS_LAYERS_MAX     500
#define XENO_COWFS_LIST_MAX_BYTES (256 << 20)
#define XENO_COWFS_OWN_PREFIX     "user.overlay."

struct xeno_cowfs;
struct xeno_cowfs_node;
struct xeno_cowfs_layer;

/* Open a stack. Takes: the layers, also on failure (cowfs/layer.h); the array stays the caller's.
 *
 * upper, work: directories on one mount, neither within the other; work is for this stack alone.
 * Errors: -EBUSY cowfs.busy  another server works in `work`
 *         -EINVAL cowfs.work  upper and work are not on one file system, or not two directories
 *         -E2BIG cowfs.layers; and those of open(2) with cowfs.upper, cowfs.work
 */
int xeno_cowfs_open(const char *upper, const char *work, struct xeno_cowfs_layer **layers,
                    size_t count, struct xeno_cowfs **ret, struct xeno_err *err);
void xeno_cowfs_free(struct xeno_cowfs *c); /* with all nodes; no file may be open */
XENO_DEFINE_AUTO(xeno_cowfs, xeno_cowfs_free);

/* Call fn, in the thread of a call, before it copies a file to the upper, which takes as long as
 * the disk takes: so a front end that has one thread for quick calls can give the others to
 * another. Before the first call. */
void xeno_cowfs_when_waiting(struct xeno_cowfs *c, void (*fn)(void));

/* --- nodes --- */

/* The root, without a reference of its own: it is there until the stack is freed. */
struct xeno_cowfs_node *xeno_cowfs_root(struct xeno_cowfs *c);

/* Two names of one file (hard links in the upper) give one node. */
int xeno_cowfs_lookup(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                      struct xeno_cowfs_node **ret, struct stat *ret_st);
void xeno_cowfs_forget(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t references);
int xeno_cowfs_stat(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct stat *ret);
/* Text of a link, with a zero byte. Returns: its length. */
ssize_t xeno_cowfs_readlink(struct xeno_cowfs *c, struct xeno_cowfs_node *n, char *buf,
                            size_t size);
int xeno_cowfs_statvfs(struct xeno_cowfs *c, struct statvfs *ret);
/* The directory it is in, with a reference unless it is the root; the root's is the root.
 * Errors: -ESTALE for what has lost its name. */
int xeno_cowfs_parent(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                      struct xeno_cowfs_node **ret);

/* What no other object of the stack has, had or will have, over restarts and taking over, and
 * whatever it is called: for file handles. The number is the inode number, but of a file with
 * several names in a layer, each of which may become a file of its own: there it is of the name.
 * The one exception is that of inode numbers: symbolic links and the like that were taken over.
 * Inode numbers of the upper are used again: `born` tells who has it now, where the file system
 * knows when a file was made. */
struct xeno_cowfs_identity {
    uint64_t number;
    uint32_t born; /* 0: it comes from a layer */
};
/* Errors: -ESTALE as above. */
int xeno_cowfs_identity(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                        struct xeno_cowfs_identity *ret);

/* --- attributes --- */

struct xeno_cowfs_set {
    bool mode, uid, gid, size, times; /* which of those below */
    bool kill; /* set-id bits are cleared, as when somebody writes to it who is not privileged */
    mode_t st_mode;
    uid_t st_uid;
    gid_t st_gid;
    off_t st_size;
    struct timespec ts[2]; /* as in utimensat(2): UTIME_NOW, UTIME_OMIT */
};
struct xeno_cowfs_file;
/* file: open for writing, when the size is set by ftruncate(2); else NULL. */
int xeno_cowfs_set(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_file *file,
                   const struct xeno_cowfs_set *set, struct stat *ret);
/* As getxattr(2) and its kin: size 0 asks for the size. */
ssize_t xeno_cowfs_getxattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name,
                            void *buf, size_t size);
ssize_t xeno_cowfs_listxattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, char *buf,
                             size_t size);
int xeno_cowfs_setxattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name,
                        const void *value, size_t size, int flags);
int xeno_cowfs_removexattr(struct xeno_cowfs *c, struct xeno_cowfs_node *n, const char *name);

/* --- names --- */

struct xeno_cowfs_who {
    uid_t uid;
    gid_t gid;
    mode_t umask; /* of no effect where the parent has a default ACL */
};
struct xeno_cowfs_new {
    mode_t mode;        /* with its type */
    dev_t rdev;         /* of devices */
    const char *target; /* of symbolic links */
    struct xeno_cowfs_who who;
    bool nameless; /* a regular file for xeno_cowfs_link(), or for its maker alone: O_TMPFILE */
    const uint64_t *tag; /* of regular files: kept with it from its first moment; may be NULL */
};
/* ret_file: of a regular file, NULL or where it is to be opened for reading and writing. */
int xeno_cowfs_make(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name,
                    const struct xeno_cowfs_new *what, struct xeno_cowfs_node **ret,
                    struct stat *ret_st, struct xeno_cowfs_file **ret_file);
/* The tag that a file was made with. Errors: -ENODATA without. */
int xeno_cowfs_tag(struct xeno_cowfs *c, struct xeno_cowfs_node *n, uint64_t *ret);
int xeno_cowfs_unlink(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name);
int xeno_cowfs_rmdir(struct xeno_cowfs *c, struct xeno_cowfs_node *parent, const char *name);
int xeno_cowfs_link(struct xeno_cowfs *c, struct xeno_cowfs_node *n, struct xeno_cowfs_node *parent,
                    const char *name, struct stat *ret_st); /* adds a reference to n */
/* flags: RENAME_NOREPLACE or RENAME_EXCHANGE of renameat2(2), or 0. */
int xeno_cowfs_rename(struct xeno_cowfs *c, struct xeno_cowfs_node *from, const char *name,
                      struct xeno_cowfs_node *to, const char *to_name, unsigned flags);

/* --- contents --- */

/* flags: as of open(2); the access mode and O_TRUNC count. A file open for writing can also be
 * read, where the server may. The node stays while the file is open. */
int xeno_cowfs_file_open(struct xeno_cowfs *c, struct xeno_cowfs_node *n, int flags,
                         struct xeno_cowfs_file **ret);
void xeno_cowfs_file_close(struct xeno_cowfs *c, struct xeno_cowfs_file *f);
/* As pread(2), from any layer. Waits where a layer fetches; -EIO when what it was given is wrong.
 */
ssize_t xeno_cowfs_file_read(const struct xeno_cowfs_file *f, void *buf, size_t len, off_t off);
off_t xeno_cowfs_file_seek(const struct xeno_cowfs_file *f, off_t off, int whence); /* data, hole */
/* For pwrite(2), splice(2) and so on at any time while it is open: when the file is taken over, the
 * same number leads to the copy. Borrowed. Returns: -1 for a file of a layer that is read by
 * pieces, until it is taken over: only the two above work then. */
int xeno_cowfs_file_fd(const struct xeno_cowfs_file *f);
/* Clear the set-id bits of an open file of the upper, as above. Returns: 0 also when it has none.
 */
int xeno_cowfs_file_kill(const struct xeno_cowfs_file *f);
/* Has anybody the file open for writing? What he wrote may be in a front end's cache only. */
bool xeno_cowfs_file_written(struct xeno_cowfs *c, const struct xeno_cowfs_file *f);
int xeno_cowfs_sync_dir(struct xeno_cowfs *c, struct xeno_cowfs_node *n);

struct xeno_cowfs_entry {
    const char *name;
    uint64_t ino;
    uint8_t type; /* DT_REG, ... */
};
struct xeno_cowfs_list;
/* "." and ".." come first. Owns nothing of the stack: free it whenever. */
int xeno_cowfs_list_open(struct xeno_cowfs *c, struct xeno_cowfs_node *n,
                         struct xeno_cowfs_list **ret);
void xeno_cowfs_list_free(struct xeno_cowfs_list *l);
XENO_DEFINE_AUTO(xeno_cowfs_list, xeno_cowfs_list_free);
/* Since this was asked last, has something in directory n got another inode number, without a
 * change of names? For a front end that keeps listings. */
bool xeno_cowfs_list_renumbered(struct xeno_cowfs_node *n);
/* The entry at place `at`; false at the end. Borrowed from l. */
bool xeno_cowfs_list_at(const struct xeno_cowfs_list *l, size_t at, struct xeno_cowfs_entry *ret);

#endif
