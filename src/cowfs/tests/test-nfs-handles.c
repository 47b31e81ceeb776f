/* src/cowfs/tests/test-nfs-handles.c - what file handles lead to, also after a restart, after a
 * rename, and when few objects are remembered. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cowfs/layer.h"
#include "cowfs/mount.h"
#include "cowfs/nfs-object.h"
#include "nfs-world.h"

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

/* --- of what is mounted --- */

static struct xeno_cowfs_layer *shared;
static bool away;

static int find(void *arg, const struct xeno_mount_ref *ref, const char *pin,
                struct xeno_cowfs_found *ret, struct xeno_err *err)
{
    (void)arg;
    (void)pin;
    if (away)
        return xeno_fail(err, -ENOTCONN, "test.away", "nobody answers");
    snprintf(ret->name, sizeof ret->name, "%s", ref->text);
    ret->layers[0] = shared;
    ret->ids[0] = 1;
    ret->count = 1;
    return 0;
}

/* Handles lead to what is mounted after a restart too, and what cannot be mounted then is not said
 * to be gone. */
static void what_is_mounted(void **state)
{
    const struct xeno_cowfs_finder finder = { .find = find };
    char bytes[2][NFS3_FHSIZE];
    fattr3 before, after;
    struct world w;
    nfs_fh3 d, f;

    (void)state;
    assert_int_equal(mkdir("other", 0755), 0);
    put("other/there", "mounted");
    put("low/d/.mount", "file:///other\n");
    assert_int_equal(xeno_cowfs_layer_dir("other", &shared, NULL), 0);
    world_finder = &finder;
    start(&w);
    assert_int_equal(lookup(&w, &w.root, "d", bytes[0], &d), NFS3_OK);
    assert_int_equal(lookup(&w, &d, "there", bytes[1], &f), NFS3_OK);
    assert_int_equal(getattr(&w, &f, &before), NFS3_OK);
    restart(&w);
    assert_int_equal(getattr(&w, &f, &after), NFS3_OK);
    assert_int_equal(before.fileid, after.fileid);
    assert_int_equal(reads(&w, &f, "mounted"), NFS3_OK);
    away = true;
    restart(&w);
    assert_int_equal(getattr(&w, &f, NULL), NFS3ERR_IO);
    assert_int_equal(getattr(&w, &d, NULL), NFS3_OK);
    away = false;
    restart(&w);
    assert_int_equal(reads(&w, &f, "mounted"), NFS3_OK);
    stop(&w);
    world_finder = NULL;
    shared->ops->free(shared);
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
    start_on(&other, "upper2", "work2", "as-told");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_handle_stays),
        TEST(what_is_mounted),
        TEST(a_directory_moves_with_what_is_in_it),
        TEST(names_of_one_file_in_a_layer),
        TEST(a_name_goes_the_object_stays),
        TEST(a_number_used_again),
        TEST(handles_of_others),
        TEST(few_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
