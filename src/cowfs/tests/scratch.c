/* src/cowfs/tests/scratch.c - a folder of its own for each test. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "scratch.h"

static char folder[64];

void scratch_make(const char *name, const char *const *folders, size_t n)
{
    assert_true(snprintf(folder, sizeof folder, "/var/tmp/xeno-%s.XXXXXX", name) <
                (int)sizeof folder);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(mkdir(folders[i], 0755), 0);
}

int scratch_remove(void **state)
{
    (void)state;
    assert_int_equal(chdir("/"), 0);
    return xeno_remove_tree(AT_FDCWD, folder, NULL);
}

void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}
