/* src/cowfs/tests/test-nfs.c - an export asked by calls, without a network: what handles lead to,
 * also after a restart, what is done once, who may what, and what is no call. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "base/io.h"
#include "cowfs/layer.h"
#include "cowfs/nfs-object.h"
#include "nfs-peer.h"

static char folder[64];

/* --- the world --- */

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int setup(void **state)
{
    static const char *const folders[] = { "low",  "low/d",  "low/d/e", "upper",
                                           "work", "upper2", "work2" };

    (void)state;
    strcpy(folder, "/var/tmp/xeno-test-nfs.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < XENO_LEN(folders); i++)
        assert_int_equal(mkdir(folders[i], 0755), 0);
    put("low/f", "low");
    put("low/d/a", "a");
    put("low/d/e/deep", "deep");
    put("low/one", "twins");
    assert_int_equal(link("low/one", "low/two"), 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(chdir("/"), 0);
    return xeno_remove_tree(AT_FDCWD, folder, NULL);
}

struct world {
    struct xeno_cowfs *c;
    struct peer p;
    nfs_fh3 root;
    char root_bytes[NFS3_FHSIZE];
};

static void keep_handle(char bytes[NFS3_FHSIZE], nfs_fh3 *h, const char *data, u_int len)
{
    assert_true(len <= NFS3_FHSIZE);
    memcpy(bytes, data, len);
    h->data.data_val = bytes;
    h->data.data_len = len;
}

static nfs_fh3 mounted(struct world *w, char bytes[NFS3_FHSIZE], const char *path, mountstat3 want)
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

static const char *uids = "as-told";

static void start_on(struct world *w, const char *upper, const char *work)
{
    struct xeno_nfs_opts opts = {
        .work = work, .uids = uids, .clients = "127.0.0.1", .threads = 1
    };
    struct xeno_cowfs_layer *layer;
    static uint32_t xid = 1;

    assert_int_equal(xeno_cowfs_layer_dir("low", &layer, NULL), 0);
    assert_int_equal(xeno_cowfs_open(upper, work, &layer, 1, &w->c, NULL), 0);
    w->p = (struct peer){ .client = "127.0.0.1", .uid = geteuid(), .gid = getegid(), .xid = xid };
    xid += 100000;
    assert_int_equal(xeno_nfs_new(w->c, &opts, &w->p.s, NULL), 0);
    w->root = mounted(w, w->root_bytes, "/", MNT3_OK);
}

static void start(struct world *w)
{
    start_on(w, "upper", "work");
}

static void stop(struct world *w)
{
    xeno_nfs_free(w->p.s);
    xeno_cowfs_free(w->c);
}

/* CALL(w, GETATTR, GETATTR, &args, &res) */
#define CALL(w, name, result, args, res)                                                           \
    assert_int_equal(peer_call(&(w)->p, NFS_PROGRAM, NFSPROC3_##name,                              \
                               (xdrproc_t)xdr_##name##3args, args, (xdrproc_t)xdr_##result##3res,  \
                               res),                                                               \
                     0)
#define xdr_MKDIR3res  xdr_CREATE3res
#define xdr_RMDIR3args xdr_REMOVE3args

static char *word(const char *s)
{
    return (char *)(uintptr_t)s;
}

static nfsstat3 lookup(struct world *w, const nfs_fh3 *dir, const char *name,
                       char bytes[NFS3_FHSIZE], nfs_fh3 *ret)
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

static nfsstat3 getattr(struct world *w, const nfs_fh3 *h, fattr3 *ret)
{
    GETATTR3args a = { *h };
    GETATTR3res r = { .status = NFS3_OK };

    CALL(w, GETATTR, GETATTR, &a, &r);
    if (r.status == NFS3_OK && ret)
        *ret = r.GETATTR3res_u.resok.obj_attributes;
    return r.status;
}

static nfsstat3 reads(struct world *w, const nfs_fh3 *h, const char *want)
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

static nfsstat3 writes(struct world *w, const nfs_fh3 *h, const char *text, stable_how how,
                       WRITE3resok *ret)
{
    WRITE3args a = { *h, 0, (uint32_t)strlen(text), how, { (u_int)strlen(text), word(text) } };
    WRITE3res r = { .status = NFS3_OK };

    CALL(w, WRITE, WRITE, &a, &r);
    if (r.status == NFS3_OK && ret)
        *ret = r.WRITE3res_u.resok;
    return r.status;
}

static nfsstat3 create(struct world *w, const nfs_fh3 *dir, const char *name, createhow3 *how,
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

static nfsstat3 make_dir(struct world *w, const nfs_fh3 *dir, const char *name)
{
    MKDIR3args a = { .where = { *dir, word(name) } };
    CREATE3res r = { .status = NFS3_OK };
    nfsstat3 status;

    CALL(w, MKDIR, MKDIR, &a, &r);
    status = r.status;
    xdr_free((xdrproc_t)xdr_CREATE3res, (char *)&r);
    return status;
}

static nfsstat3 remove_name(struct world *w, const nfs_fh3 *dir, const char *name)
{
    REMOVE3args a = { { *dir, word(name) } };
    REMOVE3res r = { .status = NFS3_OK };

    CALL(w, REMOVE, REMOVE, &a, &r);
    return r.status;
}

static nfsstat3 rename_to(struct world *w, const nfs_fh3 *dir, const char *name, const nfs_fh3 *to,
                          const char *to_name)
{
    RENAME3args a = { { *dir, word(name) }, { *to, word(to_name) } };
    RENAME3res r = { .status = NFS3_OK };

    CALL(w, RENAME, RENAME, &a, &r);
    return r.status;
}

static void restart(struct world *w)
{
    stop(w);
    start(w);
}

/* --- handles --- */

static void a_handle_stays(void **state)
{
    char bytes[3][NFS3_FHSIZE], again[NFS3_FHSIZE];
    createhow3 how = { .mode = UNCHECKED };
    nfs_fh3 d, f, made, same;
    struct world w;
    fattr3 before, after;

    (void)state;
    start(&w);
    assert_int_equal(lookup(&w, &w.root, "d", bytes[0], &d), NFS3_OK);
    assert_int_equal(lookup(&w, &d, "a", bytes[1], &f), NFS3_OK);
    assert_int_equal(create(&w, &d, "made", &how, bytes[2], &made), NFS3_OK);
    assert_int_equal(getattr(&w, &f, &before), NFS3_OK);
    restart(&w);
    assert_int_equal(reads(&w, &f, "a"), NFS3_OK);
    assert_int_equal(reads(&w, &made, ""), NFS3_OK);
    assert_int_equal(writes(&w, &f, "b", FILE_SYNC, NULL), NFS3_OK); /* it is taken over */
    restart(&w);
    assert_int_equal(reads(&w, &f, "b"), NFS3_OK);
    assert_int_equal(getattr(&w, &f, &after), NFS3_OK);
    assert_int_equal(before.fileid, after.fileid);
    assert_int_equal(before.fsid, after.fsid);
    /* Renamed, to another directory; and asked for before anything else is. */
    assert_int_equal(rename_to(&w, &d, "a", &w.root, "moved"), NFS3_OK);
    assert_int_equal(rename_to(&w, &d, "made", &w.root, "moved too"), NFS3_OK);
    assert_int_equal(reads(&w, &f, "b"), NFS3_OK);
    restart(&w);
    assert_int_equal(reads(&w, &f, "b"), NFS3_OK);
    assert_int_equal(reads(&w, &made, ""), NFS3_OK);
    assert_int_equal(lookup(&w, &w.root, "moved", again, &same), NFS3_OK);
    assert_memory_equal(same.data.data_val, f.data.data_val, f.data.data_len);
    /* Gone. */
    assert_int_equal(remove_name(&w, &w.root, "moved"), NFS3_OK);
    assert_int_equal(getattr(&w, &f, NULL), NFS3ERR_STALE);
    restart(&w);
    assert_int_equal(getattr(&w, &f, NULL), NFS3ERR_STALE);
    assert_int_equal(reads(&w, &made, ""), NFS3_OK);
    stop(&w);
}

static void a_directory_moves_with_what_is_in_it(void **state)
{
    char bytes[4][NFS3_FHSIZE];
    createhow3 how = { .mode = UNCHECKED };
    nfs_fh3 a, b, f, d;
    struct world w;

    (void)state;
    start(&w);
    assert_int_equal(make_dir(&w, &w.root, "a"), NFS3_OK);
    assert_int_equal(lookup(&w, &w.root, "a", bytes[0], &a), NFS3_OK);
    assert_int_equal(make_dir(&w, &a, "b"), NFS3_OK);
    assert_int_equal(lookup(&w, &a, "b", bytes[1], &b), NFS3_OK);
    assert_int_equal(create(&w, &b, "f", &how, bytes[2], &f), NFS3_OK);
    assert_int_equal(lookup(&w, &w.root, "d", bytes[3], &d), NFS3_OK);
    assert_int_equal(rename_to(&w, &a, "b", &b, "below itself"), NFS3ERR_INVAL);
    assert_int_equal(rename_to(&w, &w.root, "a", &d, "x"), NFS3_OK);
    assert_int_equal(writes(&w, &f, "x", UNSTABLE, NULL), NFS3_OK);
    restart(&w);
    assert_int_equal(reads(&w, &f, "x"), NFS3_OK);
    assert_int_equal(rename_to(&w, &d, "x", &w.root, "y"), NFS3_OK);
    assert_int_equal(reads(&w, &f, "x"), NFS3_OK);
    assert_int_equal(lookup(&w, &b, "..", bytes[1], &b), NFS3_OK);
    assert_memory_equal(bytes[1], bytes[0], a.data.data_len);
    stop(&w);
}

static void names_of_one_file_in_a_layer(void **state)
{
    char bytes[2][NFS3_FHSIZE];
    nfs_fh3 one, two;
    struct world w;
    fattr3 a, b, c;

    (void)state;
    start(&w);
    assert_int_equal(lookup(&w, &w.root, "one", bytes[0], &one), NFS3_OK);
    assert_int_equal(lookup(&w, &w.root, "two", bytes[1], &two), NFS3_OK);
    assert_int_equal(getattr(&w, &one, &a), NFS3_OK);
    assert_int_equal(getattr(&w, &two, &b), NFS3_OK);
    assert_int_not_equal(a.fileid, b.fileid); /* else a client would take them for one */
    assert_int_equal(writes(&w, &one, "TWINS", UNSTABLE, NULL), NFS3_OK);
    assert_int_equal(reads(&w, &two, "twins"), NFS3_OK);
    restart(&w);
    assert_int_equal(reads(&w, &two, "twins"), NFS3_OK);
    assert_int_equal(reads(&w, &one, "TWINS"), NFS3_OK);
    assert_int_equal(getattr(&w, &one, &c), NFS3_OK);
    assert_int_equal(a.fileid, c.fileid);
    assert_int_equal(rename_to(&w, &w.root, "one", &w.root, "uno"), NFS3_OK);
    restart(&w);
    assert_int_equal(reads(&w, &one, "TWINS"), NFS3_OK);
    assert_int_equal(remove_name(&w, &w.root, "two"), NFS3_OK);
    assert_int_equal(reads(&w, &two, NULL), NFS3ERR_STALE);
    stop(&w);
}

/* Names of a file of the upper: a handle stays when any of them goes. */
static void a_name_goes_the_object_stays(void **state)
{
    char bytes[NFS3_FHSIZE];
    createhow3 how = { .mode = UNCHECKED };
    LINK3res r = { .status = NFS3ERR_IO };
    struct world w;
    nfs_fh3 f;

    (void)state;
    start(&w);
    assert_int_equal(create(&w, &w.root, "first", &how, bytes, &f), NFS3_OK);
    CALL(&w, LINK, LINK, (&(LINK3args){ f, { w.root, word("second") } }), &r);
    assert_int_equal(r.status, NFS3_OK);
    assert_int_equal(remove_name(&w, &w.root, "first"), NFS3_OK);
    assert_int_equal(writes(&w, &f, "still", UNSTABLE, NULL), NFS3_OK);
    restart(&w);
    assert_int_equal(reads(&w, &f, "still"), NFS3_OK);
    assert_int_equal(remove_name(&w, &w.root, "second"), NFS3_OK);
    assert_int_equal(reads(&w, &f, NULL), NFS3ERR_STALE);
    stop(&w);
}

/* The upper gives an inode's number to the next file: the old handle is not of that. */
static void a_number_used_again(void **state)
{
    char bytes[2][NFS3_FHSIZE];
    createhow3 how = { .mode = UNCHECKED };
    nfs_fh3 old, new;
    struct world w;
    fattr3 was, is;
    bool again = false;

    (void)state;
    start(&w);
    for (int i = 0; i < 50 && !again; i++) {
        assert_int_equal(create(&w, &w.root, "f1", &how, bytes[0], &old), NFS3_OK);
        assert_int_equal(getattr(&w, &old, &was), NFS3_OK);
        assert_int_equal(remove_name(&w, &w.root, "f1"), NFS3_OK);
        assert_int_equal(create(&w, &w.root, "f2", &how, bytes[1], &new), NFS3_OK);
        assert_int_equal(getattr(&w, &new, &is), NFS3_OK);
        again = was.fileid == is.fileid;
        assert_int_equal(getattr(&w, &old, NULL), NFS3ERR_STALE);
        if (!again)
            assert_int_equal(remove_name(&w, &w.root, "f2"), NFS3_OK);
    }
    restart(&w);
    assert_int_equal(getattr(&w, &old, NULL), NFS3ERR_STALE);
    print_message(again ? "the number was used again\n" : "this file system did not do it\n");
    stop(&w);
}

static void handles_of_others(void **state)
{
    char bytes[2][NFS3_FHSIZE], forged[NFS3_FHSIZE] = { 1 };
    struct world w, other;
    nfs_fh3 f, g;
    READDIR3args a;
    READDIR3res r = { .status = NFS3_OK };

    (void)state;
    start(&w);
    start_on(&other, "upper2", "work2");
    assert_int_equal(lookup(&w, &w.root, "f", bytes[0], &f), NFS3_OK);
    assert_int_equal(lookup(&other, &other.root, "f", bytes[1], &g), NFS3_OK);
    assert_int_equal(getattr(&other, &f, NULL), NFS3ERR_BADHANDLE);
    assert_int_equal(getattr(&w, &g, NULL), NFS3ERR_BADHANDLE);
    for (u_int len = 0; len <= NFS3_FHSIZE; len++)
        assert_int_equal(getattr(&w, &(nfs_fh3){ { len, forged } }, NULL), NFS3ERR_BADHANDLE);
    a = (READDIR3args){ .dir = g, .count = 4096 };
    CALL(&w, READDIR, READDIR, &a, &r);
    assert_int_equal(r.status, NFS3ERR_BADHANDLE);
    stop(&w);
    stop(&other);
}

/* --- once --- */

static void exclusive_is_once_and_for_all(void **state)
{
    createhow3 how = { .mode = EXCLUSIVE, .createhow3_u = { .verf = "1234567" } };
    createhow3 other = { .mode = EXCLUSIVE, .createhow3_u = { .verf = "7654321" } };
    char bytes[2][NFS3_FHSIZE];
    struct world w;
    nfs_fh3 f, g;

    (void)state;
    start(&w);
    assert_int_equal(create(&w, &w.root, "x", &how, bytes[0], &f), NFS3_OK);
    assert_int_equal(create(&w, &w.root, "x", &how, bytes[1], &g), NFS3_OK);
    assert_memory_equal(bytes[0], bytes[1], f.data.data_len);
    assert_int_equal(create(&w, &w.root, "x", &other, NULL, NULL), NFS3ERR_EXIST);
    assert_int_equal(create(&w, &w.root, "f", &how, NULL, NULL), NFS3ERR_EXIST);
    restart(&w);
    assert_int_equal(create(&w, &w.root, "x", &how, bytes[1], &g), NFS3_OK);
    assert_memory_equal(bytes[0], bytes[1], f.data.data_len);
    assert_int_equal(create(&w, &w.root, "x", &other, NULL, NULL), NFS3ERR_EXIST);
    stop(&w);
}

static void a_request_sent_again(void **state)
{
    struct world w;
    uint32_t xid;

    (void)state;
    start(&w);
    xid = w.p.xid;
    assert_int_equal(make_dir(&w, &w.root, "once"), NFS3_OK);
    w.p.xid = xid;
    assert_int_equal(make_dir(&w, &w.root, "once"), NFS3_OK);
    assert_int_equal(make_dir(&w, &w.root, "once"), NFS3ERR_EXIST); /* another request */
    w.p.xid = xid;
    assert_int_equal(make_dir(&w, &w.root, "other"), NFS3_OK); /* the number alone does not count */
    w.p.xid = xid;
    w.p.client = "127.0.0.2";
    assert_int_equal(make_dir(&w, &w.root, "once"), NFS3ERR_EXIST);
    stop(&w);
}

static void the_write_verifier(void **state)
{
    WRITE3resok first, second;
    COMMIT3res r = { .status = NFS3_OK };
    char bytes[NFS3_FHSIZE];
    struct world w;
    nfs_fh3 f;

    (void)state;
    start(&w);
    assert_int_equal(lookup(&w, &w.root, "f", bytes, &f), NFS3_OK);
    assert_int_equal(writes(&w, &f, "1", UNSTABLE, &first), NFS3_OK);
    assert_int_equal(first.committed, UNSTABLE);
    assert_int_equal(writes(&w, &f, "2", FILE_SYNC, &second), NFS3_OK);
    assert_int_equal(second.committed, FILE_SYNC);
    assert_memory_equal(first.verf, second.verf, NFS3_WRITEVERFSIZE);
    CALL(&w, COMMIT, COMMIT, (&(COMMIT3args){ f, 0, 0 }), &r);
    assert_int_equal(r.status, NFS3_OK);
    assert_memory_equal(first.verf, r.COMMIT3res_u.resok.verf, NFS3_WRITEVERFSIZE);
    restart(&w);
    CALL(&w, COMMIT, COMMIT, (&(COMMIT3args){ f, 0, 0 }), &r);
    assert_int_equal(r.status, NFS3_OK);
    assert_memory_not_equal(first.verf, r.COMMIT3res_u.resok.verf, NFS3_WRITEVERFSIZE);
    stop(&w);
}

/* --- listings --- */

enum { STAY = 300 };

/* Some more names after *cookie. Returns: NFS3_OK with *eof; seen counts those that stay. */
static nfsstat3 list_some(struct world *w, uint64_t *cookie, cookieverf3 verf, bool *eof, int *seen)
{
    READDIRPLUS3args a = { .dir = w->root, .cookie = *cookie, .dircount = 700, .maxcount = 1500 };
    READDIRPLUS3res r = { .status = NFS3_OK };
    READDIRPLUS3resok *ok = &r.READDIRPLUS3res_u.resok;
    nfsstat3 status;
    int k;

    memcpy(a.cookieverf, verf, sizeof a.cookieverf);
    CALL(w, READDIRPLUS, READDIRPLUS, &a, &r);
    status = r.status;
    for (entryplus3 *e = status == NFS3_OK ? ok->reply.entries : NULL; e; e = e->nextentry) {
        if (sscanf(e->name, "stay%d", &k) == 1)
            seen[k]++;
        assert_true(e->cookie > *cookie);
        *cookie = e->cookie;
        if (*e->name == '.')
            continue;
        assert_true(e->name_handle.handle_follows);
        assert_int_equal(e->fileid, e->name_attributes.post_op_attr_u.attributes.fileid);
    }
    if (status == NFS3_OK) {
        memcpy(verf, ok->cookieverf, sizeof a.cookieverf);
        *eof = ok->reply.eof;
    }
    xdr_free((xdrproc_t)xdr_READDIRPLUS3res, (char *)&r);
    return status;
}

static void cookies_hold(void **state)
{
    int seen[STAY] = { 0 };
    cookieverf3 verf = { 0 };
    uint64_t cookie = 0;
    struct world w;
    bool eof = false;
    char name[32];

    (void)state;
    start(&w);
    for (int i = 0; i < STAY; i++) {
        snprintf(name, sizeof name, "upper/stay%d", i);
        put(name, "");
    }
    for (int i = 0; !eof; i++) {
        assert_true(i < STAY);
        assert_int_equal(list_some(&w, &cookie, verf, &eof, seen), NFS3_OK);
        snprintf(name, sizeof name, "come%d", i);
        assert_int_equal(make_dir(&w, &w.root, name), NFS3_OK);
        if (i % 5 == 2)
            restart(&w);
    }
    for (int i = 0; i < STAY; i++)
        assert_int_equal(seen[i], 1);
    verf[0] ^= 1;
    assert_int_equal(list_some(&w, &cookie, verf, &eof, seen), NFS3ERR_BAD_COOKIE);
    stop(&w);
}

/* --- attributes and rights --- */

static void before_and_after(void **state)
{
    CREATE3args a = { .where = { .name = word("new") } };
    SETATTR3args s = { .guard = { .check = TRUE } };
    CREATE3res r = { .status = NFS3_OK };
    SETATTR3res t = { .status = NFS3_OK };
    struct world w;
    fattr3 was, is;
    wcc_data *wcc = &r.CREATE3res_u.resok.dir_wcc;

    (void)state;
    start(&w);
    assert_int_equal(make_dir(&w, &w.root, "first"), NFS3_OK); /* the root is in the upper now */
    assert_int_equal(getattr(&w, &w.root, &was), NFS3_OK);
    a.where.dir = w.root;
    CALL(&w, CREATE, CREATE, &a, &r);
    assert_int_equal(getattr(&w, &w.root, &is), NFS3_OK);
    assert_true(wcc->before.attributes_follow && wcc->after.attributes_follow);
    assert_memory_equal(&wcc->before.pre_op_attr_u.attributes.mtime, &was.mtime, sizeof was.mtime);
    assert_memory_equal(&wcc->after.post_op_attr_u.attributes, &is, sizeof is);

    s.object = r.CREATE3res_u.resok.obj.post_op_fh3_u.handle;
    s.new_attributes.mode.set_it = TRUE;
    s.new_attributes.mode.set_mode3_u.mode = 0640;
    CALL(&w, SETATTR, SETATTR, &s, &t);
    assert_int_equal(t.status, NFS3ERR_NOT_SYNC);
    s.guard.sattrguard3_u.obj_ctime =
        r.CREATE3res_u.resok.obj_attributes.post_op_attr_u.attributes.ctime;
    CALL(&w, SETATTR, SETATTR, &s, &t);
    assert_int_equal(t.status, NFS3_OK);
    assert_int_equal(getattr(&w, &s.object, &is), NFS3_OK);
    assert_int_equal(is.mode, 0640);
    xdr_free((xdrproc_t)xdr_CREATE3res, (char *)&r);
    stop(&w);
}

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

    uids = how;
    start(&w);
    uids = "as-told";
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

/* --- many, and many at once --- */

/* With room for few, all are found again, or it is said that they may be. */
static void few_are_remembered(void **state)
{
    enum { MANY = 120 };
    static const size_t places[] = { 1000, 30 };
    uint8_t handles[MANY][XENO_NFS_HANDLE_BYTES];
    struct xeno_nfs_key key = { .mac = { 1 } };
    struct xeno_nfs_object *b, *root;
    struct xeno_cowfs_layer *layer;
    struct xeno_cowfs *c;
    struct stat st;
    char name[32];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "low/d/many%d", i);
        put(name, "");
    }
    for (size_t k = 0; k < XENO_LEN(places); k++) {
        struct xeno_nfs_objects *o;
        struct xeno_nfs_object *d;

        assert_int_equal(xeno_cowfs_layer_dir("low", &layer, NULL), 0);
        assert_int_equal(xeno_cowfs_open("upper", "work", &layer, 1, &c, NULL), 0);
        o = xeno_nfs_objects_new(c, &key, 8, places[k], 2);
        assert_int_equal(xeno_nfs_object_of(o, xeno_cowfs_root(c), NULL, &root), 0);
        assert_int_equal(xeno_nfs_object_lookup(o, root, "d", &d, &st), 0);
        for (int i = 0; i < MANY; i++) {
            struct xeno_cowfs_file *f;

            snprintf(name, sizeof name, "many%d", i);
            assert_int_equal(xeno_nfs_object_lookup(o, d, name, &b, &st), 0);
            assert_int_equal(xeno_nfs_object_file(o, b, false, &f), 0);
            memcpy(handles[i], b->handle, sizeof handles[i]);
            xeno_nfs_object_put(o, b);
        }
        xeno_nfs_object_put(o, d);
        for (int i = 0; i < MANY; i++) {
            int r = xeno_nfs_object_find(o, handles[i], sizeof handles[i], &b);

            if (places[k] >= MANY)
                assert_int_equal(r, 0);
            else /* the tree has more than the table takes */
                assert_true(r == 0 || r == -EAGAIN || r == -ESTALE);
            if (r == 0) {
                assert_memory_equal(b->handle, handles[i], sizeof handles[i]);
                xeno_nfs_object_put(o, b);
            }
        }
        assert_int_equal(xeno_nfs_objects_scans(o) > 0, places[k] < MANY);
        xeno_nfs_object_put(o, root);
        xeno_nfs_objects_free(o);
        xeno_cowfs_free(c);
    }
}

static void *many_at_once(void *arg)
{
    struct world w = *(struct world *)arg; /* a client of its own */
    createhow3 how = { .mode = UNCHECKED };
    char bytes[3][NFS3_FHSIZE], name[16], other[16];
    uint64_t seed = (uint64_t)(uintptr_t)&w;
    nfs_fh3 d, f, g;

    w.p.xid = (uint32_t)seed;
    assert_int_equal(lookup(&w, &w.root, "d", bytes[0], &d), NFS3_OK);
    for (int i = 0; i < 400; i++) {
        cookieverf3 verf = { 0 };
        uint64_t cookie = 0;
        int seen[STAY] = { 0 };
        bool eof;

        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        snprintf(name, sizeof name, "x%d", (int)(seed >> 40 & 7));
        snprintf(other, sizeof other, "x%d", (int)(seed >> 50 & 7));
        switch (seed >> 60) {
        case 0 ... 3:
            if (create(&w, &w.root, name, &how, bytes[1], &f) == NFS3_OK)
                writes(&w, &f, "some text", UNSTABLE, NULL);
            break;
        case 4 ... 5:
            remove_name(&w, &w.root, name);
            break;
        case 6 ... 7:
            rename_to(&w, &w.root, name, seed >> 59 & 1 ? &w.root : &d, other);
            break;
        case 8 ... 9:
            rename_to(&w, &d, name, &w.root, other);
            break;
        case 10:
            list_some(&w, &cookie, verf, &eof, seen);
            break;
        case 11:
            make_dir(&w, &w.root, name);
            break;
        default:
            if (lookup(&w, &w.root, name, bytes[2], &g) == NFS3_OK)
                reads(&w, &g, NULL);
        }
    }
    return arg;
}

static void threads(void **state)
{
    pthread_t t[4];
    struct world w;
    char bytes[NFS3_FHSIZE];
    nfs_fh3 f;

    (void)state;
    start(&w);
    for (size_t i = 0; i < XENO_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, many_at_once, &w), 0);
    for (size_t i = 0; i < XENO_LEN(t); i++)
        assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_int_equal(lookup(&w, &w.root, "f", bytes, &f), NFS3_OK);
    assert_int_equal(reads(&w, &f, "low"), NFS3_OK);
    stop(&w);
}

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
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_handle_stays),
        TEST(a_directory_moves_with_what_is_in_it),
        TEST(names_of_one_file_in_a_layer),
        TEST(a_name_goes_the_object_stays),
        TEST(a_number_used_again),
        TEST(handles_of_others),
        TEST(exclusive_is_once_and_for_all),
        TEST(a_request_sent_again),
        TEST(the_write_verifier),
        TEST(cookies_hold),
        TEST(before_and_after),
        TEST(strangers),
        TEST(who_asks),
        TEST(acls_count),
        TEST(few_are_remembered),
        TEST(threads),
        TEST(mounts),
        TEST(what_is_no_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
