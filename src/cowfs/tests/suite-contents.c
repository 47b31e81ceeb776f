/* src/cowfs/tests/suite-contents.c - cowfs-suite's operations on open files, contents and locks. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
/* mapped SLOT TEXT: does a mapping of the open file, made before, see what comes? */
static int op_mread(struct world *w, char **a, int n)
{
    char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, w->fds[slot(a[0])], 0);

    (void)n;
    if (p == MAP_FAILED)
        return -1;
    snprintf(w->said, sizeof w->said, "%.*s", atoi(a[1]), p);
    return munmap(p, 4096);
}
static int op_fallocate(struct world *w, char **a, int n)
{
    int mode = strcmp(a[1], "punch") == 0  ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
               : strcmp(a[1], "keep") == 0 ? FALLOC_FL_KEEP_SIZE
                                           : 0;

    (void)n;
    return fallocate(w->fds[slot(a[0])], mode, atol(a[2]), atol(a[3]));
}
static int op_seek(struct world *w, char **a, int n)
{
    off_t at =
        lseek(w->fds[slot(a[0])], atol(a[2]), strcmp(a[1], "data") == 0 ? SEEK_DATA : SEEK_HOLE);

    (void)n;
    return at < 0 ? -1 : say(w, "%ld", (long)at);
}
static int op_copy(struct world *w, char **a, int n)
{
    xeno_autoclose int in = open(a[0], O_RDONLY | O_CLOEXEC);
    xeno_autoclose int out = open(a[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    (void)w;
    (void)n;
    return copy_file_range(in, NULL, out, NULL, 1 << 20, 0) < 0 ? -1 : 0;
}

/* --- locks --- */

static int lock_kind(const char *s)
{
    return (strcmp(s, "ex") == 0 ? LOCK_EX : strcmp(s, "sh") == 0 ? LOCK_SH : LOCK_UN) | LOCK_NB;
}
static int op_flock(struct world *w, char **a, int n)
{
    (void)n;
    return flock(w->fds[slot(a[0])], lock_kind(a[1]));
}
static int set_lock(int fd, const char *kind, const char *from, const char *len)
{
    struct flock l = { .l_type = (short)(*kind == 'w'   ? F_WRLCK
                                         : *kind == 'r' ? F_RDLCK
                                                        : F_UNLCK),
                       .l_start = atol(from),
                       .l_len = atol(len) };

    return fcntl(fd, F_SETLK, &l);
}
static int op_plock(struct world *w, char **a, int n)
{
    (void)n;
    return set_lock(w->fds[slot(a[0])], a[1], a[2], a[3]);
}
/* The same, asked by another process on its own descriptor. */
static int op_otherlock(struct world *w, char **a, int n)
{
    pid_t pid = fork();
    int status = 0;

    (void)w;
    (void)n;
    if (pid == 0) {
        int fd = open(a[0], O_RDWR | O_CLOEXEC);

        _exit(fd < 0 || set_lock(fd, a[1], a[2], a[3]) < 0 ? errno : 0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

const struct suite_op suite_contents[] = {
    { "open", op_open, 2 },           { "fd", op_fd, 3 },
    { "close", op_close, 1 },         { "fread", op_fread, 1 },
    { "fwrite", op_fwrite, 2 },       { "ftruncate", op_ftruncate, 2 },
    { "fsync", op_fsync, 1 },         { "fchmod", op_fchmod, 2 },
    { "read", op_read, 1 },           { "write", op_write, 2 },
    { "append", op_append, 2 },       { "put", op_put, 2 },
    { "truncate", op_truncate, 2 },   { "mwrite", op_mwrite, 3 },
    { "mread", op_mread, 2 },         { "fallocate", op_fallocate, 4 },
    { "seek", op_seek, 3 },           { "copy", op_copy, 2 },
    { "flock", op_flock, 2 },         { "plock", op_plock, 4 },
    { "otherlock", op_otherlock, 4 }, { NULL, NULL, 0 },
};
