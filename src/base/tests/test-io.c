/* src/base/tests/test-io.c */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"

static char dir[] = "/tmp/xeno-test-io.XXXXXX";
static int dfd = -1;

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dfd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    close(dfd);
    return xeno_remove_tree(AT_FDCWD, dir, NULL);
}

static void writes_and_reads_back(void **state)
{
    xeno_autofree char *text = NULL;
    struct stat st;
    size_t len;

    (void)state;
    assert_int_equal(xeno_file_write(dfd, "f", 0640, "one", 3, NULL), 0);
    assert_int_equal(xeno_file_write(dfd, "f", 0600, "two2", 4, NULL), 0);
    assert_int_equal(fstatat(dfd, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(xeno_file_read(dfd, "f", 4, &text, &len, NULL), 0);
    assert_int_equal(len, 4);
    assert_string_equal(text, "two2");
}

static void refuses_links_size_and_missing(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;
    size_t len = 7;

    (void)state;
    assert_int_equal(xeno_file_write(dfd, "big", 0600, "12345", 5, NULL), 0);
    assert_int_equal(xeno_file_read(dfd, "big", 4, &text, &len, &err), -EFBIG);
    assert_true(xeno_err_is(&err, "io.size"));
    assert_int_equal(symlinkat("big", dfd, "link"), 0);
    assert_int_equal(xeno_file_read(dfd, "link", 100, &text, &len, &err), -ELOOP);
    assert_int_equal(mkfifoat(dfd, "fifo", 0600), 0);
    assert_int_equal(xeno_file_read(dfd, "fifo", 100, &text, &len, &err), -EINVAL);
    assert_int_equal(xeno_file_read(dfd, "none", 100, &text, &len, &err), -ENOENT);
    assert_null(text);
    assert_int_equal(len, 7);
}

static void removes_a_tree_but_not_what_links_point_to(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(xeno_mkdirs(dfd, "a/b/c", 0755, NULL), 0);
    assert_int_equal(xeno_mkdirs(dfd, "a/b/c", 0755, NULL), 0);
    assert_int_equal(xeno_mkdirs(dfd, "keep", 0755, NULL), 0);
    assert_int_equal(xeno_file_write(dfd, "keep/f", 0600, "x", 1, NULL), 0);
    assert_int_equal(symlinkat("../../keep", dfd, "a/b/out"), 0);
    assert_int_equal(xeno_remove_tree(dfd, "a", NULL), 0);
    assert_int_equal(xeno_remove_tree(dfd, "a", NULL), 0);
    assert_int_equal(fstatat(dfd, "a", &st, 0), -1);
    assert_int_equal(fstatat(dfd, "keep/f", &st, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_back),
        cmocka_unit_test(refuses_links_size_and_missing),
        cmocka_unit_test(removes_a_tree_but_not_what_links_point_to),
    };
    return cmocka_run_group_tests_name("io", tests, setup, teardown);
}
