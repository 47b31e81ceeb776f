/* src/cowfs/process.c - the process that serves: its rights, its descriptors, its background. */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cowfs/program.h"
#include "sandbox/sandbox.h"

/* What is left: making files of any owner and kind, with any attribute that a session can set; and
 * CAP_SYS_ADMIN for unmounting at the end, and for the attributes that only it may set, unless who
 * mounted keeps that to himself. Where we are not root there is nothing to drop. */
int drop_rights(bool mounted, struct xeno_err *err)
{
    static const unsigned kept[] = { CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                     CAP_FSETID, CAP_MKNOD,        CAP_SETFCAP };

    if (geteuid() != 0)
        return 0; /* and fusermount3, which unmounts for us, must be able to gain some */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    capng_clear(CAPNG_SELECT_BOTH);
    for (size_t i = 0; i < XENO_LEN(kept); i++)
        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, kept[i]);
    if (mounted)
        capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
                     CAP_SYS_ADMIN);
    if (capng_apply(CAPNG_SELECT_BOTH) != 0)
        return xeno_fail(err, -EPERM, "cowfs.rights", "cannot give up capabilities");
    return 0;
}

#define MAX_READABLE (2 * XENO_COWFS_LAYERS_MAX)

static bool asks_registries(const struct options *o)
{
    return o->images || (o->mount_files && o->mount_registries);
}

int confine(const struct options *o, struct xeno_err *err)
{
    const char *const folders[] = { o->upper, o->work, o->cache, NULL };
    const char *readable[MAX_READABLE + 3] = { NULL };
    xeno_autofree char *copy = xeno_strdup(o->lower ? o->lower : ""), *copy_dirs = NULL;
    char *rest = copy;
    size_t n = 0;

    while (n < MAX_READABLE && rest)
        readable[n++] = strsep(&rest, ":");
    for (size_t i = 0; o->parts && i < o->parts->count && n < MAX_READABLE; i++)
        if (o->parts->parts[i].dir)
            readable[n++] = o->parts->parts[i].dir;
    copy_dirs = xeno_strdup(o->mount_dirs ? o->mount_dirs : "");
    rest = copy_dirs;
    while (n < MAX_READABLE && rest && *rest)
        readable[n++] = strsep(&rest, ":");
    if (o->imaged_store)
        readable[n++] = o->imaged_store;
    readable[n] = o->image_store;
    return xeno_sandbox_enter_with("cowfs", asks_registries(o) ? NULL : folders, readable, err);
}

void raise_files(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
}

/* --- the background --- */

int to_background(int *ret_ready, struct xeno_err *err)
{
    int ends[2];
    char said;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return xeno_fail_errno(err, -errno, "cowfs.serve", "go to the background");
    pid = fork();
    if (pid < 0)
        return xeno_fail_errno(err, -errno, "cowfs.serve", "go to the background");
    if (pid > 0) {
        close(ends[1]);
        _exit(read(ends[0], &said, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[0]);
    setsid();
    *ret_ready = ends[1];
    return 0;
}

int say_ready(int ready, struct xeno_err *err)
{
    xeno_autoclose int null = ready < 0 ? -1 : open("/dev/null", O_RDWR | O_CLOEXEC);

    if (ready < 0)
        return 0;
    if (null < 0 || chdir("/") < 0)
        return xeno_fail_errno(err, -errno, "cowfs.serve", "go to the background");
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    if (write(ready, "!", 1) != 1)
        return xeno_fail_errno(err, -errno, "cowfs.serve", "go to the background");
    close(ready);
    return 0;
}
