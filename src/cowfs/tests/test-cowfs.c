/* src/cowfs/tests/test-cowfs.c - a stack without a mount: what is hidden, kept, refused, left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "cowfs/layer.h"
#include "cowfs/stack.h"
#include "scratch.h"

static struct xeno_cowfs *open_stack(void)
{
    struct xeno_cowfs_layer *layers[2];
    struct xeno_cowfs *c = NULL;

    assert_int_equal(xeno_cowfs_layer_dir("top", &layers[0], NULL), 0);
    assert_int_equal(xeno_cowfs_layer_dir("low", &layers[1], NULL), 0);
    assert_int_equal(xeno_cowfs_open("upper", "work", layers, 2, &c, NULL), 0);
    return c;
}

static int setup(void **state)
{
    static const char *const folders[] = { "low",   "top",   "upper", "work",
                                           "low/d", "top/d", "low/o", "top/o" };

    (void)state;
    scratch_make("test-cowfs", folders, XENO_LEN(folders));
    put("low/f", "low");
    put("low/hidden", "low");
    put("low/d/a", "low");
    put("low/o/old", "low");
    put("top/d/a", "top");
    put("top/d/b", "top");
    put("top/o/new", "top");
    assert_int_equal(mknod("top/hidden", S_IFCHR, 0), 0);
    assert_int_equal(setxattr("top/o", "user.overlay.opaque", "y", 1, 0), 0);
    assert_int_equal(symlink("/etc", "top/out"), 0);
    assert_int_equal(symlink("../..", "low/d/up"), 0);
    return 0;
}

/* By a path of names; 0 with the node, or an error. */
static int walk(struct xeno_cowfs *c, const char *path, struct xeno_cowfs_node **ret,
                struct stat *st)
{
    struct xeno_cowfs_node *n = xeno_cowfs_root(c), *next = NULL;
    char copy[256], *rest = copy, *name;
    int r = 0;

    snprintf(copy, sizeof copy, "%s", path);
    while (r == 0 && (name = strsep(&rest, "/"))) {
        r = xeno_cowfs_lookup(c, n, name, &next, st);
        xeno_cowfs_forget(c, n, 1); /* of the root: no effect */
        n = next;
    }
    if (r == 0)
        *ret = n;
    return r;
}

static const struct {
    const char *path;
    int want;
    off_t size;
} rows[] = {
    { "f", 0, 3 },           { "hidden", -ENOENT, 0 },
    { "d/a", 0, 3 },         { "d/b", 0, 3 },
    { "o/old", -ENOENT, 0 }, { "o/new", 0, 3 },
    { "out", 0, 4 },         { "out/passwd", -ENOENT, 0 },
    { "d/up", 0, 5 },        { "d/up/f", -ENOENT, 0 },
    { "..", -EINVAL, 0 },    { ".", -EINVAL, 0 },
    { "", -EINVAL, 0 },      { "f/x", -ENOENT, 0 },
};

/* Links are objects, never ways. */
static void what_is_seen(void **state)
{
    xeno_auto(xeno_cowfs) c = open_stack();

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_cowfs_node *n = NULL;
        struct stat st;

        print_message("%s\n", rows[i].path);
        assert_int_equal(walk(c, rows[i].path, &n, &st), rows[i].want);
        assert_true(rows[i].want < 0 || st.st_size == rows[i].size);
        if (n)
            xeno_cowfs_forget(c, n, 1);
    }
}

static void slashes_are_refused(void **state)
{
    xeno_auto(xeno_cowfs) c = open_stack();
    struct xeno_cowfs_node *n = NULL;
    struct stat st;

    (void)state;
    assert_int_equal(xeno_cowfs_lookup(c, xeno_cowfs_root(c), "d/a", &n, &st), -EINVAL);
    assert_int_equal(xeno_cowfs_unlink(c, xeno_cowfs_root(c), "../low/f"), -EINVAL);
    assert_int_equal(xeno_cowfs_rename(c, xeno_cowfs_root(c), "f", xeno_cowfs_root(c), "../x", 0),
                     -EINVAL);
    assert_int_equal(access("low/f", F_OK), 0);
    assert_null(n);
}

/* A number belongs to its object: written, renamed, and after a restart. */
static void numbers_stay(void **state)
{
    struct xeno_cowfs *c = open_stack();
    struct xeno_cowfs_file *f = NULL;
    struct xeno_cowfs_node *n = NULL;
    struct stat before, after;
    char attrs[256];

    (void)state;
    assert_int_equal(walk(c, "f", &n, &before), 0);
    assert_int_equal(xeno_cowfs_file_open(c, n, O_WRONLY, &f), 0);
    assert_int_equal(pwrite(xeno_cowfs_file_fd(f), "UP", 2, 0), 2);
    xeno_cowfs_file_close(c, f);
    assert_int_equal(xeno_cowfs_rename(c, xeno_cowfs_root(c), "f", xeno_cowfs_root(c), "g", 0), 0);
    assert_int_equal(xeno_cowfs_stat(c, n, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(xeno_cowfs_listxattr(c, n, attrs, sizeof attrs), 0);
    assert_int_equal(xeno_cowfs_setxattr(c, n, "user.overlay.opaque", "y", 1, 0), -EPERM);
    xeno_cowfs_forget(c, n, 1);
    xeno_cowfs_free(c);

    c = open_stack();
    assert_int_equal(walk(c, "f", &n, &after), -ENOENT);
    assert_int_equal(walk(c, "g", &n, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(stat("upper/g", &after), 0);
    assert_int_not_equal(after.st_ino, before.st_ino); /* or the test would say nothing */
    xeno_cowfs_forget(c, n, 1);
    xeno_cowfs_free(c);
}

/* Whoever reads a file in its layer reads the copy once there is one. */
static void readers_follow(void **state)
{
    xeno_auto(xeno_cowfs) c = open_stack();
    struct xeno_cowfs_file *reader = NULL, *writer = NULL;
    struct xeno_cowfs_node *n = NULL;
    struct stat st;
    char buf[8] = "";

    (void)state;
    assert_int_equal(walk(c, "f", &n, &st), 0);
    assert_int_equal(xeno_cowfs_file_open(c, n, O_RDONLY, &reader), 0);
    assert_int_equal(xeno_cowfs_file_open(c, n, O_RDWR, &writer), 0);
    assert_int_equal(pwrite(xeno_cowfs_file_fd(writer), "HIGH", 4, 0), 4);
    assert_int_equal(pread(xeno_cowfs_file_fd(reader), buf, sizeof buf, 0), 4);
    assert_string_equal(buf, "HIGH");
    xeno_cowfs_file_close(c, reader);
    xeno_cowfs_file_close(c, writer);
    xeno_cowfs_forget(c, n, 1);
}

static void work_is_for_one(void **state)
{
    struct xeno_cowfs *c = open_stack(), *other = NULL;
    struct xeno_cowfs_layer *layer = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_cowfs_layer_dir("low", &layer, NULL), 0);
    assert_int_equal(xeno_cowfs_open("upper", "work", &layer, 1, &other, &err), -EBUSY);
    assert_true(xeno_err_is(&err, "cowfs.busy"));
    xeno_cowfs_free(c);
    assert_int_equal(xeno_cowfs_layer_dir("low", &layer, NULL), 0);
    assert_int_equal(xeno_cowfs_open("upper", "upper", &layer, 1, &other, &err), -EINVAL);
    assert_null(other);
    put("work/xeno/litter", "x"); /* as a crash leaves it */
    c = open_stack();
    assert_int_equal(access("work/xeno/litter", F_OK), -1);
    xeno_cowfs_free(c);
}

/* More directories than may be open at a time: each can still be reached, and again. */
static void descriptors_are_bounded(void **state)
{
    struct rlimit old, few = { 0 };
    struct xeno_cowfs_node *nodes[200] = { NULL };
    struct xeno_cowfs *c;
    struct stat st;
    char path[64];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(nodes); i++) {
        snprintf(path, sizeof path, "low/d%zu", i);
        assert_int_equal(mkdir(path, 0755), 0);
        snprintf(path, sizeof path, "low/d%zu/f", i);
        put(path, "x");
    }
    getrlimit(RLIMIT_NOFILE, &old);
    few = old;
    few.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    c = open_stack();
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < XENO_LEN(nodes); i++) {
            struct xeno_cowfs_node *f = NULL;

            snprintf(path, sizeof path, "d%zu", i);
            if (round == 0)
                assert_int_equal(walk(c, path, &nodes[i], &st), 0);
            assert_int_equal(xeno_cowfs_lookup(c, nodes[i], "f", &f, &st), 0);
            xeno_cowfs_forget(c, f, 1);
        }
    for (size_t i = 0; i < XENO_LEN(nodes); i++)
        xeno_cowfs_forget(c, nodes[i], 1);
    xeno_cowfs_free(c);
    setrlimit(RLIMIT_NOFILE, &old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_seen, setup, scratch_remove),
        cmocka_unit_test_setup_teardown(slashes_are_refused, setup, scratch_remove),
        cmocka_unit_test_setup_teardown(numbers_stay, setup, scratch_remove),
        cmocka_unit_test_setup_teardown(readers_follow, setup, scratch_remove),
        cmocka_unit_test_setup_teardown(work_is_for_one, setup, scratch_remove),
        cmocka_unit_test_setup_teardown(descriptors_are_bounded, setup, scratch_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
