/* src/cowfs/tests/test-nfs-rights.c - who may do what with an export, what can be mounted, and what
 * is no call. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "nfs-world.h"

/* --- who --- */

static void strangers(void **state)
{
    createhow3 how = { .mode = UNCHECKED };
    SETATTR3args s = { .new_attributes = { .mode = { .set_it = TRUE } } };
    SETATTR3res t = { .status = NFS3_OK };
    ACCESS3res a = { .status = NFS3_OK };
    char bytes[2][NFS3_FHSIZE];
    struct world w;
    nfs_fh3 f, d;

    (void)state;
    start(&w);
    assert_int_equal(lookup(&w, &w.root, "f", bytes[0], &f), NFS3_OK);
    assert_int_equal(lookup(&w, &w.root, "d", bytes[1], &d), NFS3_OK);
    w.p.uid = w.p.gid = 424242;
    assert_int_equal(reads(&w, &f, "low"), NFS3_OK);
    assert_int_equal(writes(&w, &f, "no", UNSTABLE, NULL), NFS3ERR_ACCES);
    assert_int_equal(create(&w, &d, "no", &how, NULL, NULL), NFS3ERR_ACCES);
    assert_int_equal(make_dir(&w, &d, "no"), NFS3ERR_ACCES);
    assert_int_equal(remove_name(&w, &d, "a"), NFS3ERR_ACCES);
    assert_int_equal(rename_to(&w, &d, "a", &d, "b"), NFS3ERR_ACCES);
    s.object = f;
    CALL(&w, SETATTR, SETATTR, &s, &t);
    assert_int_equal(t.status, NFS3ERR_PERM);
    CALL(&w, ACCESS, ACCESS, (&(ACCESS3args){ d, 0x3f }), &a);
    assert_int_equal(a.ACCESS3res_u.resok.access, ACCESS3_READ | ACCESS3_LOOKUP);
    assert_int_equal(access("upper/d", F_OK), -1); /* nothing was done */
    stop(&w);
}

static nfsstat3 reads_as(uint32_t uid, uint32_t gid, const char *how)
{
    char bytes[NFS3_FHSIZE];
    nfsstat3 status;
    struct world w;
    nfs_fh3 f;

    start_on(&w, "upper", "work", how);
    assert_int_equal(lookup(&w, &w.root, "f", bytes, &f), NFS3_OK);
    w.p.uid = uid;
    w.p.gid = gid;
    status = reads(&w, &f, NULL);
    stop(&w);
    return status;
}

static void who_asks(void **state)
{
    xeno_autofree char *us = xeno_asprintf("%u:%u", geteuid(), getegid());
    struct xeno_nfs *s = NULL;
    struct xeno_nfs_opts opts = { .work = "work", .uids = "7", .clients = "127.0.0.1" };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(chmod("low/f", 0600), 0);
    assert_int_equal(reads_as(geteuid(), getegid(), "as-told"), NFS3_OK);
    assert_int_equal(reads_as(424242, 424242, "as-told"), NFS3ERR_ACCES);
    assert_int_equal(reads_as(0, 0, "as-told"), NFS3_OK);
    assert_int_equal(reads_as(0, 0, "no-root"), NFS3ERR_ACCES);
    assert_int_equal(reads_as(424242, 424242, us), NFS3_OK);
    assert_int_equal(chmod("low/f", 0640), 0);
    assert_int_equal(reads_as(424242, getegid(), "as-told"), NFS3_OK);
    if (getegid() == 0)
        assert_int_equal(reads_as(424242, 0, "no-root"), NFS3ERR_ACCES);
    assert_int_equal(xeno_nfs_new(NULL, &opts, &s, &err), -EINVAL);
    assert_string_equal(err.token, "nfs.uids");
    opts.uids = "no-root";
    opts.clients = "127.0.0.1,host";
    assert_int_equal(xeno_nfs_new(NULL, &opts, &s, &err), -EINVAL);
    assert_string_equal(err.token, "nfs.clients");
}

/* An entry of the ACL for one stranger, who is of the "others" by the mode alone. */
static void acls_count(void **state)
{
    static const uint8_t acl[] = {
        2,    0, 0, 0,                         /* version */
        1,    0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* the owner */
        2,    0, 0, 0, 0x32, 0x79, 0x06, 0,    /* 424242: nothing */
        4,    0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* the group */
        0x10, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, /* mask */
        0x20, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* others */
    };
    char bytes[NFS3_FHSIZE];
    struct world w;
    nfs_fh3 f;

    (void)state;
    assert_int_equal(setxattr("low/f", "system.posix_acl_access", acl, sizeof acl, 0), 0);
    start(&w);
    assert_int_equal(lookup(&w, &w.root, "f", bytes, &f), NFS3_OK);
    w.p.uid = w.p.gid = 424242;
    assert_int_equal(reads(&w, &f, NULL), NFS3ERR_ACCES);
    w.p.uid = w.p.gid = 424243;
    assert_int_equal(reads(&w, &f, "low"), NFS3_OK);
    stop(&w);
}

/* --- mounting --- */

static void mounts(void **state)
{
    char bytes[NFS3_FHSIZE];
    exports e = NULL;
    struct world w;
    nfs_fh3 d;

    (void)state;
    start(&w);
    d = mounted(&w, bytes, "/d//e/", MNT3_OK);
    assert_int_equal(lookup(&w, &d, "deep", bytes, &d), NFS3_OK);
    assert_int_equal(reads(&w, &d, "deep"), NFS3_OK);
    mounted(&w, bytes, "/nothing", MNT3ERR_NOENT);
    mounted(&w, bytes, "/f", MNT3ERR_NOTDIR);
    mounted(&w, bytes, "/../..", MNT3_OK); /* the root's parent is the root */
    assert_memory_equal(bytes, w.root_bytes, w.root.data.data_len);
    assert_int_equal(
        peer_call(&w.p, MOUNT_PROGRAM, MOUNTPROC3_EXPORT, NULL, NULL, (xdrproc_t)xdr_exports, &e),
        0);
    assert_string_equal(e->ex_dir, "/");
    assert_string_equal(e->ex_groups->gr_name, "127.0.0.1");
    xdr_free((xdrproc_t)xdr_exports, (char *)&e);
    stop(&w);
}

/* --- what is no call --- */

static int answer_of(struct world *w, const char *call, size_t len)
{
    xeno_autobuf reply = XENO_BUF_INIT;
    /* A copy of just that length, so that reading past its end is seen. */
    xeno_autofree char *copy = xeno_memdup(call, len ? len : 1);
    int r = xeno_nfs_answer(w->p.s, "127.0.0.1", copy, len, &reply);

    return r < 0 ? r : peer_decode(&reply, w->p.xid, NULL, NULL);
}

static void what_is_no_call(void **state)
{
    char call[512], changed[512];
    struct world w;
    size_t len;
    LOOKUP3args a = { .what = { .name = word("f") } };

    (void)state;
    start(&w);
    a.what.dir = w.root;
    len = peer_encode(&w.p, NFS_PROGRAM, NFSPROC3_LOOKUP, (xdrproc_t)xdr_LOOKUP3args, &a, call,
                      sizeof call);
    assert_true(len > 40);
    for (size_t cut = 0; cut < len; cut++) {
        int r = answer_of(&w, call, cut);

        assert_true(r == -EBADMSG || r == -200 - (int)GARBAGE_ARGS);
    }
#define CHANGED(at, value)                                                                         \
    (memcpy(changed, call, len), changed[(at)*4 + 3] = (char)(value), answer_of(&w, changed, len))
    assert_int_equal(CHANGED(1, 1), -EBADMSG); /* an answer */
    assert_int_equal(CHANGED(2, 3), -100 - (int)RPC_MISMATCH);
    assert_int_equal(CHANGED(3, 0), -200 - (int)PROG_UNAVAIL);
    assert_int_equal(CHANGED(4, 4), -200 - (int)PROG_MISMATCH);
    assert_int_equal(CHANGED(5, 22), -200 - (int)PROC_UNAVAIL);
    assert_int_equal(CHANGED(6, 6), -100 - (int)AUTH_ERROR); /* another kind of credential */
    assert_int_equal(CHANGED(7, 0xff), -EBADMSG);            /* longer than it may be */
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strangers), TEST(who_asks), TEST(acls_count), TEST(mounts), TEST(what_is_no_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
