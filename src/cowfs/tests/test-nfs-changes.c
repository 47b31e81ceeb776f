/* src/cowfs/tests/test-nfs-changes.c - changes of an export: what is done once, what a client
 * learns of them, listings meanwhile, and many at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "nfs-world.h"

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

/* --- before and after --- */

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

/* --- many at once --- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exclusive_is_once_and_for_all),
        TEST(a_request_sent_again),
        TEST(the_write_verifier),
        TEST(cookies_hold),
        TEST(before_and_after),
        TEST(threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
