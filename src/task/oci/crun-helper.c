/* src/task/oci/crun-helper.c - xeno-crun: an OCI runtime that cannot see a cgroup version 2 mount.
 *
 *     xeno-crun --xeno-hide DIR --xeno-run PROGRAM [ARGUMENT...]
 *     xeno-crun --xeno-true
 *
 * crun 1.8 refuses hosts on which controllers are split between version 1 and version 2. Without
 * the version 2 mount in sight it takes them for version 1. conmon starts this as its runtime. The
 * second form does nothing, successfully: it is the first program that the probe runs in a
 * container, which is why this file is linked statically.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static int fail(const char *what)
{
    fprintf(stderr, "xeno-crun: %s: %s\n", what, strerror(errno));
    return 125;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--xeno-true") == 0)
        return 0;
    if (argc < 5 || strcmp(argv[1], "--xeno-hide") != 0 || strcmp(argv[3], "--xeno-run") != 0) {
        fprintf(stderr, "usage: xeno-crun --xeno-hide DIR --xeno-run PROGRAM [ARGUMENT...]\n");
        return 125;
    }
    if (unshare(CLONE_NEWNS) < 0)
        return fail("new mount namespace");
    /* Slave, not private: what the host unmounts meanwhile goes away here as well. */
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return fail("make mounts follow the host's");
    if (umount2(argv[2], MNT_DETACH) < 0)
        return fail(argv[2]);
    execv(argv[4], argv + 4);
    return fail(argv[4]);
}
