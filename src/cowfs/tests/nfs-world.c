/* src/cowfs/tests/nfs-world.c - an export for tests, and one call of each kind to it. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "cowfs/layer.h"
#include "cowfs/mount.h"
#include "nfs-world.h"
#include "scratch.h"

const struct xeno_cowfs_finder *world_finder;

int world_make(void **state)
{
    static const char *const folders[] = { "low",  "low/d",  "low/d/e", "upper",
                                           "work", "upper2", "work2" };

    (void)state;
    scratch_make("test-nfs", folders, XENO_LEN(folders));
    put("low/f", "low");
    put("low/d/a", "a");
    put("low/d/e/deep", "deep");
    put("low/one", "twins");
    assert_int_equal(link("low/one", "low/two"), 0);
    return 0;
}

static void keep_handle(char bytes[NFS3_FHSIZE], nfs_fh3 *h, const char *data, u_int len)
{
    assert_true(len <= NFS3_FHSIZE);
    memcpy(bytes, data, len);
    h->data.data_val = bytes;
    h->data.data_len = len;
}

nfs_fh3 mounted(struct world *w, char bytes[NFS3_FHSIZE], const char *path, mountstat3 want)
{
    mountres3 res = { .fhs_status = MNT3_OK };
    char *p = (char *)(uintptr_t)path;
    nfs_fh3 h = { .data = { .data_len = 0 } };

    assert_int_equal(peer_call(&w->p, MOUNT_PROGRAM, MOUNTPROC3_MNT, (xdrproc_t)xdr_dirpath, &p,
                               (xdrproc_t)xdr_mountres3, &res),
                     0);
    assert_int_equal(res.fhs_status, want);
    if (want == MNT3_OK)
        keep_handle(bytes, &h, res.mountres3_u.mountinfo.fhandle.fhandle3_val,
                    res.mountres3_u.mountinfo.fhandle.fhandle3_len);
    xdr_free((xdrproc_t)xdr_mountres3, (char *)&res);
    return h;
}

void start_on(struct world *w, const char *upper, const char *work, const char *uids)
{
    struct xeno_nfs_opts opts = {
        .work = work, .uids = uids, .clients = "127.0.0.1", .threads = 1
    };
    struct xeno_cowfs_layer *layer;
    static uint32_t xid = 1;

    assert_int_equal(xeno_cowfs_layer_dir("low", &layer, NULL), 0);
    assert_int_equal(xeno_cowfs_open(upper, work, &layer, 1, &w->c, NULL), 0);
    if (world_finder)
        assert_int_equal(xeno_cowfs_mounts(w->c, world_finder, NULL), 0);
    w->p = (struct peer){ .client = "127.0.0.1", .uid = geteuid(), .gid = getegid(), .xid = xid };
    xid += 100000;
    assert_int_equal(xeno_nfs_new(w->c, &opts, &w->p.s, NULL), 0);
    w->root = mounted(w, w->root_bytes, "/", MNT3_OK);
}

void start(struct world *w)
{
    start_on(w, "upper", "work", "as-told");
}

void stop(struct world *w)
{
    xeno_nfs_free(w->p.s);
    xeno_cowfs_free(w->c);
}

char *word(const char *s)
{
    return (char *)(uintptr_t)s;
}

nfsstat3 lookup(struct world *w, const nfs_fh3 *dir, const char *name, char bytes[NFS3_FHSIZE],
                nfs_fh3 *ret)
{
    LOOKUP3args a = { .what = { *dir, word(name) } };
    LOOKUP3res r = { .status = NFS3_OK };
    nfsstat3 status;

    CALL(w, LOOKUP, LOOKUP, &a, &r);
    status = r.status;
    if (status == NFS3_OK)
        keep_handle(bytes, ret, r.LOOKUP3res_u.resok.object.data.data_val,
                    r.LOOKUP3res_u.resok.object.data.data_len);
    xdr_free((xdrproc_t)xdr_LOOKUP3res, (char *)&r);
    return status;
}

nfsstat3 getattr(struct world *w, const nfs_fh3 *h, fattr3 *ret)
{
    GETATTR3args a = { *h };
    GETATTR3res r = { .status = NFS3_OK };

    CALL(w, GETATTR, GETATTR, &a, &r);
    if (r.status == NFS3_OK && ret)
        *ret = r.GETATTR3res_u.resok.obj_attributes;
    return r.status;
}

nfsstat3 reads(struct world *w, const nfs_fh3 *h, const char *want)
{
    READ3args a = { *h, 0, 100 };
    READ3res r = { .status = NFS3_OK };
    nfsstat3 status;

    CALL(w, READ, READ, &a, &r);
    status = r.status;
    if (status == NFS3_OK && want) {
        assert_int_equal(r.READ3res_u.resok.count, strlen(want));
        assert_memory_equal(r.READ3res_u.resok.data.data_val, want, strlen(want));
        assert_true(r.READ3res_u.resok.eof);
    }
    xdr_free((xdrproc_t)xdr_READ3res, (char *)&r);
    return status;
}

nfsstat3 writes(struct world *w, const nfs_fh3 *h, const char *text, stable_how how,
                WRITE3resok *ret)
{
    WRITE3args a = { *h, 0, (uint32_t)strlen(text), how, { (u_int)strlen(text), word(text) } };
    WRITE3res r = { .status = NFS3_OK };

    CALL(w, WRITE, WRITE, &a, &r);
    if (r.status == NFS3_OK && ret)
        *ret = r.WRITE3res_u.resok;
    return r.status;
}

nfsstat3 create(struct world *w, const nfs_fh3 *dir, const char *name, createhow3 *how,
                char bytes[NFS3_FHSIZE], nfs_fh3 *ret)
{
    CREATE3args a = { { *dir, word(name) }, *how };
    CREATE3res r = { .status = NFS3_OK };
    nfsstat3 status;

    CALL(w, CREATE, CREATE, &a, &r);
    status = r.status;
    if (status == NFS3_OK && ret) {
        assert_true(r.CREATE3res_u.resok.obj.handle_follows);
        keep_handle(bytes, ret, r.CREATE3res_u.resok.obj.post_op_fh3_u.handle.data.data_val,
                    r.CREATE3res_u.resok.obj.post_op_fh3_u.handle.data.data_len);
    }
    xdr_free((xdrproc_t)xdr_CREATE3res, (char *)&r);
    return status;
}

nfsstat3 make_dir(struct world *w, const nfs_fh3 *dir, const char *name)
{
    MKDIR3args a = { .where = { *dir, word(name) } };
    CREATE3res r = { .status = NFS3_OK };
    nfsstat3 status;

    CALL(w, MKDIR, MKDIR, &a, &r);
    status = r.status;
    xdr_free((xdrproc_t)xdr_CREATE3res, (char *)&r);
    return status;
}

nfsstat3 remove_name(struct world *w, const nfs_fh3 *dir, const char *name)
{
    REMOVE3args a = { { *dir, word(name) } };
    REMOVE3res r = { .status = NFS3_OK };

    CALL(w, REMOVE, REMOVE, &a, &r);
    return r.status;
}

nfsstat3 rename_to(struct world *w, const nfs_fh3 *dir, const char *name, const nfs_fh3 *to,
                   const char *to_name)
{
    RENAME3args a = { { *dir, word(name) }, { *to, word(to_name) } };
    RENAME3res r = { .status = NFS3_OK };

    CALL(w, RENAME, RENAME, &a, &r);
    return r.status;
}

void restart(struct world *w)
{
    stop(w);
    start(w);
}
