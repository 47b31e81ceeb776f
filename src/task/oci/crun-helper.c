/* src/task/oci/crun-helper.c - xeno-crun: crun as it is best run by us.
 *
 *     xeno-crun [--xeno-hide DIR] --xeno-run PROGRAM [ARGUMENT...]
 *     xeno-crun --xeno-true
 *
 * crun 1.8 refuses hosts on which controllers are split between version 1 and version 2. Without
 * the version 2 mount in sight, which is DIR, it takes them for version 1.
 *
 * crun starts itself a second time from a read-only copy, so that no container reaches the program
 * on disk through /proc/PID/exe. Here it is started from such a copy, a mount that has no place, to
 * begin with, and told so by the variable with which it would tell itself: one program less.
 *
 * conmon starts this as its runtime. The second form does nothing, successfully: it is the first
 * program that the probe runs in a container, which is why this file is linked statically.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define IS_A_COPY "_LIBCONTAINER_CLONED_BINARY"

static int fail(const char *what)
{
    fprintf(stderr, "xeno-crun: %s: %s\n", what, strerror(errno));
    return 125;
}

static int hide(const char *dir)
{
    if (unshare(CLONE_NEWNS) < 0)
        return fail("new mount namespace");
    /* Slave, not private: what the host unmounts meanwhile goes away here as well. */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return fail("make mounts follow the host's");
    return umount2(dir, MNT_DETACH) < 0 ? fail(dir) : 0;
}

/* Returns only when it cannot be done; then crun makes its copy itself. */
static void run_copy(char **argv)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
    int fd = open_tree(AT_FDCWD, argv[0], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr) < 0)
        return;
    setenv(IS_A_COPY, "1", 1);
    fexecve(fd, argv, environ);
    unsetenv(IS_A_COPY);
}

int main(int argc, char **argv)
{
    int at = argc > 3 && strcmp(argv[1], "--xeno-hide") == 0 ? 3 : 1, r;

    if (argc == 2 && strcmp(argv[1], "--xeno-true") == 0)
        return 0;
    if (argc < at + 2 || strcmp(argv[at], "--xeno-run") != 0) {
        fprintf(stderr, "usage: xeno-crun [--xeno-hide DIR] --xeno-run PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    r = at == 3 ? hide(argv[2]) : 0;
    if (r != 0)
        return r;
    run_copy(argv + at + 1);
    execv(argv[at + 1], argv + at + 1);
    return fail(argv[at + 1]);
}
