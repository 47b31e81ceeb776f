/* src/taskd/rouse.c - so that a container that starts need not wait for the kernel.
 *
 * Whoever moves a process between cgroups takes a lock that makes every fork on the machine wait.
 * For the forks' sake the kernel first waits for an RCU grace period, 5 to 13 ms here, unless
 * somebody has taken that lock within the last one. The runtime moves each container's first
 * process, and this waiting was a third of a start. So a small process of ours takes the lock when
 * a session's groups have been made (not before: making them would wait behind it), and again until
 * its container must be there: it waits while the sandbox is being built, and the runtime finds the
 * lock awake. (The
 * mount option favordynmods does the same for good and for the whole machine; that is its owner's
 * to choose.)
 *
 * The process has no rights, one descriptor into which it writes "0" (move me to where I am), and
 * one from which it reads wishes; it ends with the daemon. Without it everything works, slower.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "taskd/taskd.h"

#define AWAKE_MS 42 /* from the request to the runtime's move, on a busy machine */
#define AGAIN_MS 3  /* less than a grace period */

/* Wait for a wish, at most `ms` (-1: for ever). Returns: 1 one came, 0 none did, -1 the daemon has
 * gone. */
static int next_wish(int wishes, int ms)
{
    struct pollfd p = { .fd = wishes, .events = POLLIN };
    char buf[64];
    int r = poll(&p, 1, ms);

    if (r < 0 && errno != EINTR)
        return -1;
    if (r <= 0)
        return 0;
    return read(wishes, buf, sizeof buf) > 0 ? 1 : -1;
}

static void keep_awake(int wishes, int door) __attribute__((noreturn));
static void keep_awake(int wishes, int door)
{
    int left = 0, r;

    while ((r = next_wish(wishes, left > 0 ? AGAIN_MS : -1)) >= 0) {
        left = r > 0 ? AWAKE_MS : left - AGAIN_MS;
        if (left > 0 && write(door, "0", 1) < 0)
            _exit(EXIT_FAILURE);
    }
    _exit(EXIT_SUCCESS);
}

static void become_rouser(int wishes, int door) __attribute__((noreturn));
static void become_rouser(int wishes, int door)
{
    prctl(PR_SET_NAME, "xeno-rouser");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(wishes, 0);
    dup2(door, 1);
    close_range(2, ~0U, 0);
    capng_clear(CAPNG_SELECT_BOTH);
    /* Once at the start, to be out of the unit's own group: when the daemon is started again,
     * systemd finds no process left over there. */
    if (capng_apply(CAPNG_SELECT_BOTH) != 0 || write(1, "0", 1) < 0)
        _exit(EXIT_FAILURE);
    keep_awake(0, 1);
}

void rouse_open(struct taskd *d)
{
    xeno_autoclose int door = d->host.cgroups ? xeno_cgroups_door(d->host.cgroups) : -1;
    int pair[2];
    pid_t pid;

    if (door < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return;
    pid = fork();
    if (pid == 0)
        become_rouser(pair[1], door);
    close(pair[1]);
    if (pid < 0) {
        xeno_log(LOG_WARNING, "rouse.start", "error=%s", strerror(errno));
        close(pair[0]);
        return;
    }
    d->host.rouser = pair[0];
}

void rouse_close(struct taskd *d)
{
    if (d->host.rouser > 0)
        close(d->host.rouser);
    d->host.rouser = -1;
}
