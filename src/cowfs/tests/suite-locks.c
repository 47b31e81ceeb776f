/* src/cowfs/tests/suite-locks.c - cowfs-suite's operations on locks. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

static int lock_kind(const char *s)
{
    return (strcmp(s, "ex") == 0 ? LOCK_EX : strcmp(s, "sh") == 0 ? LOCK_SH : LOCK_UN) | LOCK_NB;
}
static int op_flock(struct world *w, char **a, int n)
{
    (void)n;
    return flock(w->fds[slot(a[0])], lock_kind(a[1]));
}
static int set_lock(int fd, int how, const char *kind, const char *from, const char *len)
{
    struct flock l = { .l_type = (short)(*kind == 'w'   ? F_WRLCK
                                         : *kind == 'r' ? F_RDLCK
                                                        : F_UNLCK),
                       .l_start = atol(from),
                       .l_len = atol(len) };

    return fcntl(fd, how, &l);
}
static int op_plock(struct world *w, char **a, int n)
{
    (void)n;
    return set_lock(w->fds[slot(a[0])], F_SETLK, a[1], a[2], a[3]);
}
/* Of the open file, whoever has it, instead of the process. */
static int op_olock(struct world *w, char **a, int n)
{
    (void)n;
    return set_lock(w->fds[slot(a[0])], F_OFD_SETLK, a[1], a[2], a[3]);
}
/* A lock of a process, asked by another process on its own descriptor. */
static int op_otherlock(struct world *w, char **a, int n)
{
    pid_t pid = fork();
    int status = 0;

    (void)w;
    (void)n;
    if (pid == 0) {
        int fd = open(a[0], O_RDWR | O_CLOEXEC);

        _exit(fd < 0 || set_lock(fd, F_SETLK, a[1], a[2], a[3]) < 0 ? errno : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

const struct suite_op suite_locks[] = {
    { "flock", op_flock, 2 },         { "plock", op_plock, 4 }, { "olock", op_olock, 4 },
    { "otherlock", op_otherlock, 4 }, { NULL, NULL, 0 },
};
