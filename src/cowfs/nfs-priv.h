/* src/cowfs/nfs-priv.h - what the files of the NFS front end share. */
#ifndef XENO_COWFS_NFS_PRIV_H
#define XENO_COWFS_NFS_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "cowfs/nfs-dup.h"
#include "cowfs/nfs-handle.h"
#include "cowfs/nfs-object.h"
#include "cowfs/nfs-rights.h"
#include "cowfs/nfs.h"
#include "nfsproto.h" /* made by rpcgen from nfsproto.x */

#define STRIPES 64

enum nfs_uids { AS_TOLD, NO_ROOT, ALL_ONE };

struct nfs_lists;
struct nfs_mounts;

struct xeno_nfs {
    struct xeno_cowfs *c;
    struct xeno_nfs_key key;
    struct xeno_nfs_objects *objects;
    struct xeno_nfs_dups *dups;
    struct nfs_lists *lists;
    struct nfs_mounts *mounts;
    enum nfs_uids uids;
    uid_t uid; /* of ALL_ONE */
    gid_t gid;
    char *clients[XENO_NFS_CLIENTS_MAX]; /* addresses, as getnameinfo(3) writes them */
    size_t clients_count;
    int threads, listener;
    bool lazy;
    uint64_t fsid;
    atomic_uint_fast64_t verifier; /* of writes */
    /* Of the object's number: one change at a time, so that before and after are its own. */
    pthread_mutex_t stripes[STRIPES];
};

/* One call while it is served. */
struct call {
    struct xeno_nfs *s;
    const char *client; /* address */
    struct xeno_nfs_cred who;
    void **memory; /* until it is answered */
    size_t memory_count;
    size_t room; /* that the results take, when that is more than usual */
    struct xeno_buf *reply;
    size_t data_len; /* that ends the results, and is in its place in reply */
};
/* Until the call is answered: something small, zeroed. */
void *call_alloc(struct call *c, size_t size);
/* Where the data of READ goes: what was read is not copied. Then data_len says how much it is, and
 * the results, with attributes, have none. NULL when there is no memory. */
char *call_data(struct call *c, size_t size);

/* --- nfs-serve.c --- */

/* The request that this thread answers may take long from here on: others read on. Of no effect
 * elsewhere, and again. */
void nfs_may_wait(void);

/* --- nfs-rpc.c: what a program consists of --- */

struct nfs_proc {
    const char *name;
    xdrproc_t args, res; /* NULL: void */
    size_t args_size, res_size;
    void (*fn)(struct call *c, void *args, void *res); /* res is zeroed */
    bool changes;                                      /* it is not done twice */
};
extern const struct nfs_proc nfs_procs[];
extern const size_t nfs_procs_count;
extern const struct nfs_proc mount_procs[];
extern const size_t mount_procs_count;

/* --- nfs-attr.c --- */

nfsstat3 status_of(int r);
/* Pinned, also where a later look at it fails: put it whenever it is set. */
nfsstat3 find_object(struct call *c, const nfs_fh3 *h, struct xeno_nfs_object **ret);
/* What it is now. Stale when its last name is gone. */
nfsstat3 stat_object(struct call *c, struct xeno_nfs_object *b, struct stat *ret);
nfsstat3 find_stat(struct call *c, const nfs_fh3 *h, struct xeno_nfs_object **ret,
                   struct stat *ret_st);
nfsstat3 find_dir(struct call *c, const nfs_fh3 *h, struct xeno_nfs_object **ret,
                  struct stat *ret_st);
void put_object(struct call *c, struct xeno_nfs_object *b);

void fill_attr(struct call *c, const struct xeno_nfs_object *b, const struct stat *st, fattr3 *ret);
void fill_post(struct call *c, const struct xeno_nfs_object *b, const struct stat *st,
               post_op_attr *ret);
/* As it is now. */
void post_attr(struct call *c, struct xeno_nfs_object *b, post_op_attr *ret);
void fill_before(const struct stat *st, wcc_data *ret);
/* Borrowed by the answer, which is the call's: copied. */
void fill_handle(struct call *c, const struct xeno_nfs_object *b, nfs_fh3 *ret);

/* One change at a time; b may be a, or NULL. */
void lock_objects(struct call *c, const struct xeno_nfs_object *a, const struct xeno_nfs_object *b);
void unlock_objects(struct call *c, const struct xeno_nfs_object *a,
                    const struct xeno_nfs_object *b);

/* With the ACL of the object. Returns: NFS3_OK or NFS3ERR_ACCES. */
nfsstat3 check_rights(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                      unsigned want);
/* The attributes that were asked for, by who may. create: by who made it just now. */
nfsstat3 set_attributes(struct call *c, struct xeno_nfs_object *b, const struct stat *st,
                        const sattr3 *want, bool create);
/* To the disk, unless that is not wanted; of a directory its names. A failure makes the write
 * verifier another. */
nfsstat3 sync_object(struct call *c, struct xeno_nfs_object *b, const struct stat *st);
nfsstat3 sync_failed(struct call *c, int r);

void do_getattr(struct call *c, void *args, void *res);
void do_setattr(struct call *c, void *args, void *res);
void do_access(struct call *c, void *args, void *res);
void do_fsstat(struct call *c, void *args, void *res);
void do_fsinfo(struct call *c, void *args, void *res);
void do_pathconf(struct call *c, void *args, void *res);

/* --- nfs-name.c, nfs-make.c --- */

/* What cannot be the name of anything. */
nfsstat3 check_new_name(const char *name);
/* `name` below dir, also "." and "..", with the right to look. Pinned. */
nfsstat3 look_up(struct call *c, struct xeno_nfs_object *dir, const struct stat *dir_st,
                 const char *name, struct xeno_nfs_object **ret, struct stat *ret_st);

void do_lookup(struct call *c, void *args, void *res);
void do_readlink(struct call *c, void *args, void *res);
void do_create(struct call *c, void *args, void *res);
void do_mkdir(struct call *c, void *args, void *res);
void do_symlink(struct call *c, void *args, void *res);
void do_mknod(struct call *c, void *args, void *res);
void do_remove(struct call *c, void *args, void *res);
void do_rmdir(struct call *c, void *args, void *res);
void do_rename(struct call *c, void *args, void *res);
void do_link(struct call *c, void *args, void *res);

/* --- nfs-data.c --- */

void do_read(struct call *c, void *args, void *res);
void do_write(struct call *c, void *args, void *res);
void do_commit(struct call *c, void *args, void *res);

/* --- nfs-list.c --- */

struct nfs_lists *lists_new(void);
void lists_free(struct nfs_lists *l);
void do_readdir(struct call *c, void *args, void *res);
void do_readdirplus(struct call *c, void *args, void *res);

/* --- nfs-mount.c --- */

struct nfs_mounts *mounts_new(void);
void mounts_free(struct nfs_mounts *m);

#endif
