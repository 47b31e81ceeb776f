/* src/cowfs/tests/test-nfs-parts.c - NFS: rights, handles, places, requests that are sent again. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/io.h"
#include "cowfs/nfs-dup.h"
#include "cowfs/nfs-handle.h"
#include "cowfs/nfs-places.h"
#include "cowfs/nfs-rights.h"

/* --- rights --- */

/* An ACL as text: pairs of letter and permissions, "u7 1000:5 g4 100.6 m6 o0". */
static size_t acl_of(const char *text, uint8_t *out)
{
    xeno_autofree char *copy = xeno_strdup(text);
    char *rest = copy, *word;
    size_t len = 4;

    memcpy(out, (uint8_t[]){ 2, 0, 0, 0 }, 4);
    while ((word = strsep(&rest, " "))) {
        char kind = *word;
        unsigned id = UINT32_MAX, perm = (unsigned)(word[1] - '0');
        uint16_t tag = kind == 'u' ? 1 : kind == 'g' ? 4 : kind == 'm' ? 0x10 : 0x20;

        if (kind >= '0' && kind <= '9') {
            char sign = ':';

            sscanf(word, "%u%c%u", &id, &sign, &perm);
            tag = sign == ':' ? 2 : 8;
        }
        memcpy(out + len, &tag, 2);
        memcpy(out + len + 2, &(uint16_t){ (uint16_t)perm }, 2);
        memcpy(out + len + 4, &id, 4);
        len += 8;
    }
    return len;
}

static const struct {
    const char *name;
    mode_t mode;
    const char *acl;
    uid_t uid;
    gid_t gid, group; /* one more group; 0: none */
    unsigned want;
    bool may;
} rows[] = {
    { "the owner reads", 0400, NULL, 1000, 9, 0, MAY_READ, true },
    { "the owner has no more than his bits", 0077, NULL, 1000, 100, 0, MAY_READ, false },
    { "the group", 0040, NULL, 2000, 100, 0, MAY_READ, true },
    { "the group by another of his groups", 0040, NULL, 2000, 9, 100, MAY_READ, true },
    { "the group has no more than its bits", 0604, NULL, 2000, 100, 0, MAY_READ, false },
    { "others", 0002, NULL, 2000, 9, 0, MAY_WRITE, true },
    { "others not", 0770, NULL, 2000, 9, 0, MAY_EXEC, false },
    { "all of what is wanted", 0005, NULL, 2000, 9, 0, MAY_READ | MAY_WRITE, false },
    { "root reads", 0000, NULL, 0, 0, 0, MAY_READ | MAY_WRITE, true },
    { "root executes nothing that nobody may", 0666, NULL, 0, 0, 0, MAY_EXEC, false },
    { "root executes", 0001, NULL, 0, 0, 0, MAY_EXEC, true },
    { "root searches", S_IFDIR, NULL, 0, 0, 0, MAY_EXEC, true },
    { "a user of the ACL", 0640, "u6 2000:6 g0 m7 o0", 2000, 9, 0, MAY_WRITE, true },
    { "no more than the mask", 0640, "u6 2000:6 g0 m4 o0", 2000, 9, 0, MAY_WRITE, false },
    { "a user of the ACL is not others", 0606, "u6 2000:0 g0 m7 o6", 2000, 9, 0, MAY_READ, false },
    { "the owner is not masked", 0600, "u6 1000:0 g0 m0 o0", 1000, 9, 0, MAY_WRITE, true },
    { "a group of the ACL", 0600, "u6 g0 300.4 m7 o0", 2000, 9, 300, MAY_READ, true },
    { "one of several groups", 0600, "u6 g4 300.6 m7 o0", 2000, 100, 300, MAY_WRITE, true },
    { "no group has all", 0600, "u6 g4 300.2 m7 o7", 2000, 100, 300, MAY_READ | MAY_WRITE, false },
    { "in a group is not others", 0607, "u6 g0 m7 o7", 2000, 100, 0, MAY_READ, false },
    { "others of an ACL are not masked", 0604, "u6 g0 m0 o4", 2000, 9, 0, MAY_READ, true },
};

static void rights(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct stat st = { .st_mode = rows[i].mode & S_IFMT ? rows[i].mode : rows[i].mode | S_IFREG,
                           .st_uid = 1000,
                           .st_gid = 100 };
        struct xeno_nfs_cred who = { .uid = rows[i].uid,
                                     .gid = rows[i].gid,
                                     .groups = { rows[i].group },
                                     .count = rows[i].group != 0 };
        uint8_t acl[128];
        size_t len = rows[i].acl ? acl_of(rows[i].acl, acl) : 0;

        print_message("%s\n", rows[i].name);
        assert_int_equal(xeno_nfs_may(&who, &st, acl, len, rows[i].want), rows[i].may);
    }
}

static void acl_that_is_none(void **state)
{
    const struct stat st = { .st_mode = S_IFREG | 0777, .st_uid = 1000, .st_gid = 100 };
    const struct xeno_nfs_cred other = { .uid = 2000, .gid = 9 }, owner = { .uid = 1000 };
    uint8_t acl[128];
    size_t len = acl_of("u7 g7 m7 o7", acl);

    (void)state;
    assert_true(xeno_nfs_may(&other, &st, acl, len, MAY_READ));
    assert_false(xeno_nfs_may(&other, &st, acl, len - 1, MAY_READ));
    assert_false(xeno_nfs_may(&other, &st, acl, 3, MAY_READ));
    acl[0] = 3; /* another version */
    assert_false(xeno_nfs_may(&other, &st, acl, len, MAY_READ));
    assert_true(xeno_nfs_may(&owner, &st, acl, len, MAY_READ));
}

static void other_rights(void **state)
{
    const struct xeno_nfs_cred root = { .uid = 0 }, a = { .uid = 1000, .gid = 100 };
    const struct xeno_nfs_cred b = { .uid = 2000, .gid = 200, .groups = { 100 }, .count = 1 };
    struct stat dir = { .st_mode = S_IFDIR | 0777, .st_uid = 3000 };
    const struct stat of_a = { .st_mode = S_IFREG | 0644, .st_uid = 1000, .st_gid = 100 };

    (void)state;
    assert_true(xeno_nfs_may_remove(&b, &dir, &of_a));
    dir.st_mode |= S_ISVTX;
    assert_false(xeno_nfs_may_remove(&b, &dir, &of_a));
    assert_true(xeno_nfs_may_remove(&a, &dir, &of_a));
    assert_true(xeno_nfs_may_remove(&root, &dir, &of_a));
    dir.st_uid = 2000;
    assert_true(xeno_nfs_may_remove(&b, &dir, &of_a));

    assert_true(xeno_nfs_may_own(&root, &of_a, 5, 5));
    assert_false(xeno_nfs_may_own(&a, &of_a, 2000, (gid_t)-1));
    assert_true(xeno_nfs_may_own(&a, &of_a, 1000, 100));
    assert_false(xeno_nfs_may_own(&a, &of_a, (uid_t)-1, 200));
    assert_false(xeno_nfs_may_own(&b, &of_a, (uid_t)-1, 100));

    assert_int_equal(xeno_nfs_mode(&a, 200, 02755), 0755);
    assert_int_equal(xeno_nfs_mode(&b, 100, 02755), 02755);
    assert_int_equal(xeno_nfs_mode(&root, 200, 02755), 02755);
    assert_int_equal(xeno_nfs_mode_written(&a, S_IFREG | 06755), S_IFREG | 0755);
    assert_int_equal(xeno_nfs_mode_written(&a, S_IFREG | 06745), S_IFREG | 02745);
    assert_int_equal(xeno_nfs_mode_written(&root, S_IFREG | 06755), S_IFREG | 06755);
}

/* --- handles --- */

static void handles(void **state)
{
    struct xeno_cowfs_identity id = { .number = UINT64_C(0x8123456789abcdef), .born = 77 }, got;
    struct xeno_nfs_key key = { .mac = { 1 } }, other = { .mac = { 2 } };
    uint8_t h[XENO_NFS_HANDLE_BYTES];

    (void)state;
    xeno_nfs_handle_make(&key, &id, h);
    assert_int_equal(xeno_nfs_handle_read(&key, h, sizeof h, &got), 0);
    assert_true(got.number == id.number && got.born == id.born);
    assert_int_equal(xeno_nfs_handle_read(&other, h, sizeof h, &got), -EBADF);
    for (size_t i = 0; i < sizeof h * 8; i++) {
        h[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_int_equal(xeno_nfs_handle_read(&key, h, sizeof h, &got), -EBADF);
        h[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t len = 0; len < sizeof h; len++)
        assert_int_equal(xeno_nfs_handle_read(&key, h, len, &got), -EBADF);
}

static void the_key(void **state)
{
    char folder[] = "/var/tmp/xeno-test-nfs-key.XXXXXX";
    struct xeno_nfs_key a, b;
    xeno_autoclose int dir = -1;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(folder));
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(xeno_nfs_key_load(dir, &a, NULL), 0);
    assert_int_equal(xeno_nfs_key_load(dir, &b, NULL), 0);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(fstatat(dir, XENO_NFS_KEY_FILE, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(unlinkat(dir, XENO_NFS_KEY_FILE, 0), 0);
    assert_int_equal(xeno_nfs_key_load(dir, &b, NULL), 0);
    assert_memory_not_equal(&a, &b, sizeof a);
    assert_int_equal(xeno_file_write(dir, XENO_NFS_KEY_FILE, 0600, "short", 5, NULL), 0);
    assert_int_equal(xeno_nfs_key_load(dir, &b, NULL), -EINVAL);
    assert_int_equal(xeno_remove_tree(AT_FDCWD, folder, NULL), 0);
}

/* --- places --- */

static void places_like_an_array(void **state)
{
    enum { NUMBERS = 3000, STEPS = 60000 };
    struct xeno_nfs_places *p = xeno_nfs_places_new(NUMBERS / 2);
    static uint64_t model[NUMBERS + 1];
    struct xeno_env_test t;
    size_t count = 0;

    (void)state;
    memset(model, 0, sizeof model);
    xeno_env_test_init(&t, xeno_s(1), 20261121);
    for (int i = 0; i < STEPS; i++) {
        uint64_t n = xeno_env_test_next(&t) % NUMBERS + 1, in = xeno_env_test_next(&t) | 1, got;

        if (xeno_env_test_next(&t) % 3) {
            bool fits = model[n] || count < NUMBERS / 2;

            assert_int_equal(xeno_nfs_places_put(p, n, in), fits);
            count += fits && !model[n];
            model[n] = fits ? in : model[n];
        } else {
            xeno_nfs_places_drop(p, n);
            count -= model[n] != 0;
            model[n] = 0;
        }
        n = xeno_env_test_next(&t) % NUMBERS + 1;
        assert_int_equal(xeno_nfs_places_get(p, n, &got), model[n] != 0);
        assert_true(!model[n] || got == model[n]);
    }
    for (uint64_t n = 1; n <= NUMBERS; n++) {
        uint64_t got;

        assert_int_equal(xeno_nfs_places_get(p, n, &got), model[n] != 0);
        assert_true(!model[n] || got == model[n]);
    }
    xeno_nfs_places_clear(p);
    for (uint64_t n = 1; n <= NUMBERS; n++)
        assert_false(xeno_nfs_places_get(p, n, &model[0]));
    xeno_nfs_places_free(p);
}

/* --- requests that are sent again --- */

static struct xeno_nfs_dup_key dup_of(uint32_t xid)
{
    return (struct xeno_nfs_dup_key){ .client = 1, .bytes = 2, .xid = xid, .prog = 3 };
}

static bool is_new(struct xeno_nfs_dups *d, uint32_t xid, const char *answer)
{
    struct xeno_nfs_dup_key key = dup_of(xid);
    xeno_autobuf reply = XENO_BUF_INIT;
    bool new = xeno_nfs_dup_begin(d, &key, &reply);

    if (new)
        xeno_nfs_dup_end(d, &key, answer, answer ? strlen(answer) : 0);
    else
        assert_string_equal(reply.data, answer);
    return new;
}

static void duplicates(void **state)
{
    struct xeno_nfs_dups *d = xeno_nfs_dups_new(3);
    struct xeno_nfs_dup_key other = dup_of(1), busy = dup_of(9);
    static char large[XENO_NFS_DUP_BYTES + 2];
    xeno_autobuf reply = XENO_BUF_INIT;

    (void)state;
    assert_true(is_new(d, 1, "one"));
    assert_false(is_new(d, 1, "one"));
    other.client = 7;
    assert_true(xeno_nfs_dup_begin(d, &other, &reply)); /* of somebody else */
    xeno_nfs_dup_end(d, &other, "x", 1);
    assert_true(is_new(d, 2, "two"));
    assert_true(is_new(d, 3, "three")); /* the first is forgotten */
    assert_false(is_new(d, 3, "three"));
    assert_true(is_new(d, 1, "again"));
    assert_true(is_new(d, 4, NULL));
    assert_true(is_new(d, 4, "done now"));
    memset(large, 'x', sizeof large - 1);
    assert_true(is_new(d, 5, large));
    assert_true(is_new(d, 5, large)); /* too long to be kept */
    assert_true(xeno_nfs_dup_begin(d, &busy, &reply));
    for (uint32_t xid = 100; xid < 110; xid++)
        assert_true(is_new(d, xid, "y"));
    xeno_nfs_dup_end(d, &busy, "busy", 4);
    assert_false(is_new(d, 9, "busy")); /* what is under way is not forgotten */
    xeno_nfs_dups_free(d);
}

static struct xeno_nfs_dups *shared;
static bool done_twice;
static void *second(void *arg)
{
    done_twice = is_new(shared, 1, "slow");
    return arg;
}

static void a_duplicate_under_way_is_waited_for(void **state)
{
    struct xeno_nfs_dup_key key = dup_of(1);
    xeno_autobuf reply = XENO_BUF_INIT;
    pthread_t t;

    (void)state;
    shared = xeno_nfs_dups_new(4);
    assert_true(xeno_nfs_dup_begin(shared, &key, &reply));
    assert_int_equal(pthread_create(&t, NULL, second, NULL), 0);
    usleep(20000);
    xeno_nfs_dup_end(shared, &key, "slow", 4);
    pthread_join(t, NULL);
    assert_false(done_twice);
    xeno_nfs_dups_free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rights),       cmocka_unit_test(acl_that_is_none),
        cmocka_unit_test(other_rights), cmocka_unit_test(handles),
        cmocka_unit_test(the_key),      cmocka_unit_test(places_like_an_array),
        cmocka_unit_test(duplicates),   cmocka_unit_test(a_duplicate_under_way_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
