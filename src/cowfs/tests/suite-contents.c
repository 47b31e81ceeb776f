/* src/cowfs/tests/suite-contents.c - cowfs-suite's operations on open files and contents. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

/* --- files --- */

int write_with(const char *path, int flags, const char *text)
{
    xeno_autoclose int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0644);
    ssize_t len = (ssize_t)strlen(text);

    return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -1;
}
static int flags_of(const char *s)
{
    int f = strstr(s, "rw") ? O_RDWR : strchr(s, 'w') ? O_WRONLY : O_RDONLY;

    f |= strchr(s, 'c') ? O_CREAT : 0;
    f |= strchr(s, 'x') ? O_EXCL : 0;
    f |= strchr(s, 't') ? O_TRUNC : 0;
    f |= strchr(s, 'a') ? O_APPEND : 0;
    f |= strchr(s, 'd') ? O_DIRECTORY : 0;
    f |= strchr(s, 'n') ? O_NOFOLLOW : 0;
    f |= strchr(s, 'T') ? O_TMPFILE : 0;
    f |= strchr(s, 'N') ? O_NOATIME : 0;
    f |= strchr(s, 'S') ? O_SYNC : 0;
    return f | O_NONBLOCK | O_CLOEXEC;
}

static int op_open(struct world *w, char **a, int n)
{
    int fd = open(a[0], flags_of(a[1]), n > 2 ? octal(a[2]) : 0644);

    (void)w;
    return fd < 0 ? -1 : close(fd);
}
static int op_fd(struct world *w, char **a, int n)
{
    int *fd = &w->fds[slot(a[0])];

    *fd = open(a[1], flags_of(a[2]), n > 3 ? octal(a[3]) : 0644);
    return *fd < 0 ? -1 : 0;
}
static int op_close(struct world *w, char **a, int n)
{
    int fd = w->fds[slot(a[0])];

    (void)n;
    w->fds[slot(a[0])] = -1;
    return close(fd);
}
static int op_fread(struct world *w, char **a, int n)
{
    return say_bytes(
        w, pread(w->fds[slot(a[0])], w->said, sizeof w->said - 1, n > 1 ? atol(a[1]) : 0));
}
static int op_fwrite(struct world *w, char **a, int n)
{
    ssize_t len = (ssize_t)strlen(a[1]);

    return pwrite(w->fds[slot(a[0])], a[1], (size_t)len, n > 2 ? atol(a[2]) : 0) == len ? 0 : -1;
}
static int op_ftruncate(struct world *w, char **a, int n)
{
    (void)n;
    return ftruncate(w->fds[slot(a[0])], atol(a[1]));
}
static int op_fsync(struct world *w, char **a, int n)
{
    (void)n;
    return fsync(w->fds[slot(a[0])]);
}
static int op_fchmod(struct world *w, char **a, int n)
{
    (void)n;
    return fchmod(w->fds[slot(a[0])], octal(a[1]));
}
static int op_read(struct world *w, char **a, int n)
{
    xeno_autoclose int fd = open(a[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    (void)n;
    return fd < 0 ? -1 : say_bytes(w, read(fd, w->said, sizeof w->said - 1));
}
static int op_write(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return write_with(a[0], 0, a[1]);
}
static int op_append(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return write_with(a[0], O_APPEND, a[1]);
}
static int op_put(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return write_with(a[0], O_CREAT | O_TRUNC, a[1]);
}
static int op_truncate(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return truncate(a[0], atol(a[1]));
}
/* store PATH BYTES: so many of them, and fsync(2) says whether they are there. */
static int op_store(struct world *w, char **a, int n)
{
    xeno_autoclose int fd = open(a[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    xeno_autofree char *bytes = xeno_alloc0(1, (size_t)atol(a[1]));

    (void)w;
    (void)n;
    return fd < 0 || write(fd, bytes, (size_t)atol(a[1])) < 0 || fsync(fd) < 0 ? -1 : 0;
}
/* At the descriptor's own place, which is the end with O_APPEND. */
static int op_fput(struct world *w, char **a, int n)
{
    ssize_t len = (ssize_t)strlen(a[1]);

    (void)n;
    return write(w->fds[slot(a[0])], a[1], (size_t)len) == len ? 0 : -1;
}
static int op_fchown(struct world *w, char **a, int n)
{
    (void)n;
    return fchown(w->fds[slot(a[0])], (uid_t)atoi(a[1]), (gid_t)atoi(a[2]));
}

const struct suite_op suite_contents[] = {
    { "open", op_open, 2 },           { "fd", op_fd, 3 },         { "close", op_close, 1 },
    { "fread", op_fread, 1 },         { "fwrite", op_fwrite, 2 }, { "fput", op_fput, 2 },
    { "ftruncate", op_ftruncate, 2 }, { "fsync", op_fsync, 1 },   { "fchmod", op_fchmod, 2 },
    { "fchown", op_fchown, 3 },       { "read", op_read, 1 },     { "write", op_write, 2 },
    { "append", op_append, 2 },       { "put", op_put, 2 },       { "store", op_store, 2 },
    { "truncate", op_truncate, 2 },   { NULL, NULL, 0 },
};
