/* src/cowfs/tests/nfs-world.h - an export for tests, without a network: a layer with some files,
 * an upper, and one call of each kind to it. All that is not expected fails the test. */
#ifndef XENO_COWFS_TESTS_NFS_WORLD_H
#define XENO_COWFS_TESTS_NFS_WORLD_H

#include "nfs-peer.h"
#include "scratch.h"

struct world {
    struct xeno_cowfs *c;
    struct peer p;
    nfs_fh3 root;
    char root_bytes[NFS3_FHSIZE];
};

/* The folder with low, upper, work, upper2 and work2; low has f, d/a, d/e/deep, and the names
 * one and two of a file. */
int world_make(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_make, scratch_remove)

/* Of mount files in low; NULL: such mean nothing. */
extern const struct xeno_cowfs_finder *world_finder;

/* Serves low under that upper; with uids as xeno_nfs_opts has them. start() takes upper, work
 * and "as-told". */
void start_on(struct world *w, const char *upper, const char *work, const char *uids);
void start(struct world *w);
void stop(struct world *w);

/* As after an end of the program. */
void restart(struct world *w);

/* A call whose answer is decoded into res: CALL(w, GETATTR, GETATTR, &args, &res) */
#define CALL(w, name, result, args, res)                                                           \
    assert_int_equal(peer_call(&(w)->p, NFS_PROGRAM, NFSPROC3_##name,                              \
                               (xdrproc_t)xdr_##name##3args, args, (xdrproc_t)xdr_##result##3res,  \
                               res),                                                               \
                     0)
#define xdr_MKDIR3res  xdr_CREATE3res
#define xdr_RMDIR3args xdr_REMOVE3args

char *word(const char *s);

/* The handle of a mounted path, which lies in bytes. */
nfs_fh3 mounted(struct world *w, char bytes[NFS3_FHSIZE], const char *path, mountstat3 want);

/* These return what was answered; handles lie in bytes. */
nfsstat3 lookup(struct world *w, const nfs_fh3 *dir, const char *name, char bytes[NFS3_FHSIZE],
                nfs_fh3 *ret);
nfsstat3 getattr(struct world *w, const nfs_fh3 *h, fattr3 *ret);
nfsstat3 create(struct world *w, const nfs_fh3 *dir, const char *name, createhow3 *how,
                char bytes[NFS3_FHSIZE], nfs_fh3 *ret);
nfsstat3 make_dir(struct world *w, const nfs_fh3 *dir, const char *name);
nfsstat3 remove_name(struct world *w, const nfs_fh3 *dir, const char *name);
nfsstat3 rename_to(struct world *w, const nfs_fh3 *dir, const char *name, const nfs_fh3 *to,
                   const char *to_name);

/* The file has just the text want (NULL: whatever it is). */
nfsstat3 reads(struct world *w, const nfs_fh3 *h, const char *want);

/* At the file's start. */
nfsstat3 writes(struct world *w, const nfs_fh3 *h, const char *text, stable_how how,
                WRITE3resok *ret);

#endif
