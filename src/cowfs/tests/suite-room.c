/* src/cowfs/tests/suite-room.c - cowfs-suite's operations on holes, reserved room and mappings. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

/* --- room --- */

static int op_fallocate(struct world *w, char **a, int n)
{
    static const struct {
        const char *name;
        int mode;
    } modes[] = {
        { "none", 0 },
        { "keep", FALLOC_FL_KEEP_SIZE },
        { "punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
        { "zero", FALLOC_FL_ZERO_RANGE },
        { "zerokeep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
        { "collapse", FALLOC_FL_COLLAPSE_RANGE },
        { "insert", FALLOC_FL_INSERT_RANGE },
        { "wrong", FALLOC_FL_PUNCH_HOLE },
    };

    (void)n;
    for (size_t i = 0; i < XENO_LEN(modes); i++)
        if (strcmp(a[1], modes[i].name) == 0)
            return fallocate(w->fds[slot(a[0])], modes[i].mode, atol(a[2]), atol(a[3]));
    errno = ENOSYS;
    return -1;
}
/* All the room that the disk has, for the open file, which does not grow. */
static int op_fill(struct world *w, char **a, int n)
{
    off_t at = 0;

    (void)n;
    for (off_t want = 64 << 20; want >= 4096; want /= 2)
        while (fallocate(w->fds[slot(a[0])], FALLOC_FL_KEEP_SIZE, at, want) == 0)
            at += want;
    return errno == ENOSPC ? 0 : -1;
}
static int op_seek(struct world *w, char **a, int n)
{
    int whence = strcmp(a[1], "data") == 0   ? SEEK_DATA
                 : strcmp(a[1], "hole") == 0 ? SEEK_HOLE
                 : strcmp(a[1], "end") == 0  ? SEEK_END
                                             : SEEK_SET;
    off_t at = lseek(w->fds[slot(a[0])], atol(a[2]), whence);

    (void)n;
    return at < 0 ? -1 : say(w, "%ld", (long)at);
}
/* zeros SLOT OFFSET LENGTH: is that what is there? */
static int op_zeros(struct world *w, char **a, int n)
{
    char buf[4096];
    ssize_t want = atol(a[2]);
    ssize_t got = pread(w->fds[slot(a[0])], buf, (size_t)want % sizeof buf, atol(a[1]));

    (void)n;
    if (got < 0)
        return -1;
    for (ssize_t i = 0; i < got; i++)
        if (buf[i] != '\0')
            return say(w, "no");
    return say(w, got == want ? "yes" : "fewer");
}
static int op_copy(struct world *w, char **a, int n)
{
    xeno_autoclose int in = open(a[0], O_RDONLY | O_CLOEXEC);
    xeno_autoclose int out = open(a[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    (void)w;
    (void)n;
    return copy_file_range(in, NULL, out, NULL, 1 << 20, 0) < 0 ? -1 : 0;
}

/* --- mappings --- */

static int op_mwrite(struct world *w, char **a, int n)
{
    xeno_autoclose int fd = open(a[0], O_RDWR | O_CLOEXEC);
    char *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    (void)w;
    (void)n;
    if (p == MAP_FAILED)
        return -1;
    memcpy(p + atol(a[1]), a[2], strlen(a[2]));
    return munmap(p, 4096);
}
static int op_mread(struct world *w, char **a, int n)
{
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, w->fds[slot(a[0])], 0);

    (void)n;
    if (p == MAP_FAILED)
        return -1;
    snprintf(w->said, sizeof w->said, "%.*s", atoi(a[1]), p);
    return munmap(p, 4096);
}
/* map SLOT FD r|rw|p: from now on, shared, or private for p. */
static int op_map(struct world *w, char **a, int n)
{
    void **m = &w->maps[slot(a[0])];

    (void)n;
    *m = mmap(NULL, MAP_BYTES, *a[2] == 'r' && a[2][1] == '\0' ? PROT_READ : PROT_READ | PROT_WRITE,
              *a[2] == 'p' ? MAP_PRIVATE : MAP_SHARED, w->fds[slot(a[1])], 0);
    if (*m != MAP_FAILED)
        return 0;
    *m = NULL;
    return -1;
}
static int op_mget(struct world *w, char **a, int n)
{
    (void)n;
    return say(w, "%.*s", atoi(a[2]), (char *)w->maps[slot(a[0])] + atol(a[1]));
}
static int op_mput(struct world *w, char **a, int n)
{
    (void)n;
    memcpy((char *)w->maps[slot(a[0])] + atol(a[1]), a[2], strlen(a[2]));
    return 0;
}
static int op_msync(struct world *w, char **a, int n)
{
    (void)n;
    return msync(w->maps[slot(a[0])], MAP_BYTES, MS_SYNC);
}
/* mdies SLOT OFFSET: which signal does one get for it? */
static int op_mdies(struct world *w, char **a, int n)
{
    pid_t pid = fork();
    int status = 0;

    (void)n;
    signal(SIGBUS, SIG_DFL); /* no sanitizer's */
    if (pid == 0)
        _exit(*(volatile char *)((char *)w->maps[slot(a[0])] + atol(a[1])) & 0);
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    return say(w, "%s", WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : "none");
}

const struct suite_op suite_room[] = {
    { "fallocate", op_fallocate, 4 },
    { "fill", op_fill, 1 },
    { "seek", op_seek, 3 },
    { "zeros", op_zeros, 3 },
    { "copy", op_copy, 2 },
    { "mwrite", op_mwrite, 3 },
    { "mread", op_mread, 2 },
    { "map", op_map, 3 },
    { "mget", op_mget, 3 },
    { "mput", op_mput, 3 },
    { "msync", op_msync, 1 },
    { "mdies", op_mdies, 2 },
    { NULL, NULL, 0 },
};
