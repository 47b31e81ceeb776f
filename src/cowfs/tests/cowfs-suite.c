/* src/cowfs/tests/cowfs-suite.c - runs a table of file system cases against what is mounted.
 *
 *     cowfs-suite CASES prepare BOTTOM MIDDLE   make the layers: one folder a case, all alike
 *     cowfs-suite CASES run MOUNT               one line a case: "ok NAME" or "not NAME: why"
 *     cowfs-suite-nfs CASES run ""              the same over NFS (suite-nfs.h); "none NAME: what"
 *                                               where the protocol has no such request
 *
 * The table is a text of cases, "= NAME" and a line for each step: an operation, its arguments and
 * "-> what is wanted" (an errno's name, a text; nothing: it succeeds). The operations are the rows
 * of `ops` below; what stands in a case's folder is in `things`. As root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/mem.h"

#ifdef SUITE_OVER_NFS
#include "suite-nfs.h"
#else
static const char *suite_missing; /* what cannot be asked for: nothing, of a mount */
#endif

#define ARGS_MAX 8
#define SLOTS    8
#define TEXT_MAX 8192

/* --- the world of a case --- */

struct world {
    int fds[SLOTS];
    ino_t inos[SLOTS];
    char said[TEXT_MAX]; /* what an operation answered */
};
typedef int (*op_fn)(struct world *w, char **a, int n);

static mode_t octal(const char *s)
{
    return (mode_t)strtoul(s, NULL, 8);
}
static int slot(const char *s)
{
    return atoi(s) % SLOTS;
}
static int say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int say(struct world *w, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->said, sizeof w->said, fmt, ap);
    va_end(ap);
    return 0;
}

/* --- files --- */

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
static int say_bytes(struct world *w, ssize_t n)
{
    if (n < 0)
        return -1;
    while (n > 0 && w->said[n - 1] == '\n')
        n--;
    w->said[n] = '\0';
    return 0;
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
static int write_with(const char *path, int flags, const char *text)
{
    xeno_autoclose int fd = open(path, flags | O_WRONLY | O_CLOEXEC, 0644);
    ssize_t len = (ssize_t)strlen(text);

    return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -1;
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

/* --- names --- */

static int op_unlink(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return unlink(a[0]);
}
static int op_rmdir(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return rmdir(a[0]);
}
static int op_mkdir(struct world *w, char **a, int n)
{
    (void)w;
    return mkdir(a[0], n > 1 ? octal(a[1]) : 0755);
}
static int op_rename(struct world *w, char **a, int n)
{
    unsigned flags = n < 3                            ? 0
                     : strcmp(a[2], "noreplace") == 0 ? RENAME_NOREPLACE
                     : strcmp(a[2], "exchange") == 0  ? RENAME_EXCHANGE
                     : strcmp(a[2], "whiteout") == 0  ? RENAME_WHITEOUT
                                                      : RENAME_NOREPLACE | RENAME_EXCHANGE;

    (void)w;
    return renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1], flags);
}
static int op_link(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return linkat(AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}
static int op_flink(struct world *w, char **a, int n)
{
    char path[64];

    (void)n;
    snprintf(path, sizeof path, "/proc/self/fd/%d", w->fds[slot(a[0])]);
    return linkat(AT_FDCWD, path, AT_FDCWD, a[1], AT_SYMLINK_FOLLOW);
}
static int op_symlink(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return symlink(a[0], a[1]);
}
static int op_readlink(struct world *w, char **a, int n)
{
    (void)n;
    return say_bytes(w, readlink(a[0], w->said, sizeof w->said - 1));
}
static int op_mknod(struct world *w, char **a, int n)
{
    mode_t type = a[1][0] == 'p'   ? S_IFIFO
                  : a[1][0] == 'c' ? S_IFCHR
                  : a[1][0] == 'b' ? S_IFBLK
                  : a[1][0] == 's' ? S_IFSOCK
                                   : S_IFREG;

    (void)w;
    return mknod(a[0], type | octal(a[2]),
                 n > 4 ? makedev((unsigned)atoi(a[3]), (unsigned)atoi(a[4])) : 0);
}
static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}
static int op_ls(struct world *w, char **a, int n)
{
    char *names[512];
    size_t count = 0, len = 0;
    DIR *d = opendir(a[0]);
    struct dirent *e;

    (void)n;
    if (!d)
        return -1;
    while ((e = readdir(d)) && count < XENO_LEN(names))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            names[count++] = xeno_strdup(e->d_name);
    closedir(d);
    qsort(names, count, sizeof *names, by_name);
    w->said[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        len +=
            (size_t)snprintf(w->said + len, sizeof w->said - len, "%s%s", i ? " " : "", names[i]);
        free(names[i]);
    }
    return 0;
}
/* Names come and go while a directory is read: no name twice, none lost that stayed. */
static int op_steady(struct world *w, char **a, int n)
{
    enum { STAY = 600 };
    unsigned char seen[STAY] = { 0 };
    char path[256];
    struct dirent *e;
    DIR *d;
    int got = 0, k;

    (void)n;
    for (int i = 0; i < STAY; i++) {
        snprintf(path, sizeof path, "%s/stay%d", a[0], i);
        if (mknod(path, S_IFREG | 0644, 0) < 0)
            return -1;
    }
    d = opendir(a[0]);
    if (!d)
        return -1;
    while ((e = readdir(d))) {
        snprintf(path, sizeof path, "%s/come%d", a[0], got);
        mknod(path, S_IFREG | 0644, 0);
        if (got % 3 == 0)
            unlink(path);
        got++;
        if (sscanf(e->d_name, "stay%d", &k) == 1 && k >= 0 && k < STAY)
            seen[k]++;
    }
    closedir(d);
    for (int i = 0; i < STAY; i++)
        if (seen[i] != 1)
            return say(w, "stay%d was seen %d times", i, seen[i]);
    return say(w, "steady");
}

/* --- attributes --- */

static int op_stat(struct world *w, char **a, int n)
{
    struct stat st;
    const char *what = n > 1 ? a[1] : "none";

    if (lstat(a[0], &st) < 0)
        return -1;
    if (strcmp(what, "mode") == 0)
        return say(w, "%04o", st.st_mode & 07777);
    if (strcmp(what, "type") == 0)
        return say(w, "%s",
                   S_ISREG(st.st_mode)    ? "file"
                   : S_ISDIR(st.st_mode)  ? "dir"
                   : S_ISLNK(st.st_mode)  ? "link"
                   : S_ISFIFO(st.st_mode) ? "fifo"
                   : S_ISSOCK(st.st_mode) ? "socket"
                                          : "device");
    if (strcmp(what, "owner") == 0)
        return say(w, "%u:%u", st.st_uid, st.st_gid);
    if (strcmp(what, "size") == 0)
        return say(w, "%ld", (long)st.st_size);
    if (strcmp(what, "nlink") == 0)
        return say(w, "%lu", (unsigned long)st.st_nlink);
    if (strcmp(what, "mtime") == 0)
        return say(w, "%ld.%09ld", (long)st.st_mtime, st.st_mtim.tv_nsec);
    if (strcmp(what, "rdev") == 0)
        return say(w, "%u:%u", major(st.st_rdev), minor(st.st_rdev));
    if (strcmp(what, "sparse") == 0)
        return say(w, "%s", st.st_blocks * 512 < st.st_size ? "yes" : "no");
    return 0;
}
static int op_fstat(struct world *w, char **a, int n)
{
    struct stat st;

    if (fstat(w->fds[slot(a[0])], &st) < 0)
        return -1;
    return say(w, "%ld",
               n > 1 && strcmp(a[1], "nlink") == 0 ? (long)st.st_nlink : (long)st.st_size);
}
static int op_ino(struct world *w, char **a, int n)
{
    struct stat st;

    (void)n;
    if (lstat(a[1], &st) < 0)
        return -1;
    w->inos[slot(a[0])] = st.st_ino;
    return 0;
}
static int op_sameino(struct world *w, char **a, int n)
{
    struct stat st;

    (void)n;
    if (lstat(a[1], &st) < 0)
        return -1;
    return say(w, "%s", st.st_ino == w->inos[slot(a[0])] ? "yes" : "no");
}
/* What readdir(3) says of each name is what lstat(2) says. */
static int op_dino(struct world *w, char **a, int n)
{
    DIR *d = opendir(a[0]);
    struct dirent *e;
    struct stat st;
    int r = 0;

    (void)n;
    if (!d)
        return -1;
    while ((e = readdir(d)) && r == 0)
        if (strcmp(e->d_name, "..") != 0 &&
            fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino != e->d_ino)
            r = say(w, "%s differs", e->d_name) + 1;
    closedir(d);
    return r == 0 ? say(w, "same") : 0;
}
static int op_chmod(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return chmod(a[0], octal(a[1]));
}
static int op_chown(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return chown(a[0], (uid_t)atoi(a[1]), (gid_t)atoi(a[2]));
}
static int op_lchown(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return lchown(a[0], (uid_t)atoi(a[1]), (gid_t)atoi(a[2]));
}
static int op_utime(struct world *w, char **a, int n)
{
    struct timespec ts[2] = { { .tv_sec = atol(a[1]), .tv_nsec = 5 },
                              { .tv_sec = atol(a[1]), .tv_nsec = 5 } };

    (void)w;
    if (strcmp(a[1], "now") == 0)
        return utimensat(AT_FDCWD, a[0], NULL, AT_SYMLINK_NOFOLLOW);
    if (n > 2)
        ts[0].tv_nsec = UTIME_OMIT;
    return utimensat(AT_FDCWD, a[0], ts, AT_SYMLINK_NOFOLLOW);
}
static int op_access(struct world *w, char **a, int n)
{
    int m = (strchr(a[1], 'r') ? R_OK : 0) | (strchr(a[1], 'w') ? W_OK : 0) |
            (strchr(a[1], 'x') ? X_OK : 0);

    (void)w;
    (void)n;
    return faccessat(AT_FDCWD, a[0], m, AT_EACCESS);
}
static int op_setx(struct world *w, char **a, int n)
{
    int flags = n < 4 ? 0 : strcmp(a[3], "create") == 0 ? XATTR_CREATE : XATTR_REPLACE;

    (void)w;
    return lsetxattr(a[0], a[1], a[2], strlen(a[2]), flags);
}
static int op_getx(struct world *w, char **a, int n)
{
    size_t room = n > 2 ? (size_t)atoi(a[2]) : sizeof w->said - 1;

    return say_bytes(w, lgetxattr(a[0], a[1], w->said, room));
}
static int op_listx(struct world *w, char **a, int n)
{
    char list[4096];
    ssize_t len = llistxattr(a[0], list, sizeof list);
    size_t at = 0;

    (void)n;
    w->said[0] = '\0';
    for (char *p = list; p < list + len; p += strlen(p) + 1)
        at += (size_t)snprintf(w->said + at, sizeof w->said - at, "%s%s", at ? " " : "", p);
    return len < 0 ? -1 : 0;
}
static int op_rmx(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    return lremovexattr(a[0], a[1]);
}
/* acl PATH access|default UID PERMS: what mode 0640 says, and these of one more user. */
static int op_acl(struct world *w, char **a, int n)
{
    uint16_t perms = (uint16_t)atoi(a[3]);
    struct {
        uint32_t version;
        struct {
            uint16_t tag, perm;
            uint32_t id;
        } e[5];
    } acl = { 2,
              { { 0x01, 6, UINT32_MAX },
                { 0x02, perms, (uint32_t)atoi(a[2]) },
                { 0x04, 4, UINT32_MAX },
                { 0x10, 7, UINT32_MAX },
                { 0x20, 0, UINT32_MAX } } };
    char name[64];

    (void)w;
    (void)n;
    snprintf(name, sizeof name, "system.posix_acl_%s", a[1]);
    return setxattr(a[0], name, &acl, sizeof acl, 0);
}

/* --- who asks, and locks --- */

static int op_as(struct world *w, char **a, int n)
{
    gid_t groups[4] = { 0 };
    size_t count = 0;

    (void)w;
    if (seteuid(0) < 0)
        return -1;
    for (int i = 2; i < n && count < XENO_LEN(groups); i++)
        groups[count++] = (gid_t)atoi(a[i]);
    if (setgroups(count, groups) < 0 || setegid((gid_t)atoi(a[1])) < 0)
        return -1;
    return seteuid((uid_t)atoi(a[0]));
}
static int op_umask(struct world *w, char **a, int n)
{
    (void)w;
    (void)n;
    umask(octal(a[0]));
    return 0;
}
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

static const struct {
    const char *name;
    op_fn fn;
    int args; /* at least */
} ops[] = {
    { "open", op_open, 2 },
    { "fd", op_fd, 3 },
    { "close", op_close, 1 },
    { "fread", op_fread, 1 },
    { "fwrite", op_fwrite, 2 },
    { "ftruncate", op_ftruncate, 2 },
    { "fsync", op_fsync, 1 },
    { "fchmod", op_fchmod, 2 },
    { "fstat", op_fstat, 1 },
    { "read", op_read, 1 },
    { "write", op_write, 2 },
    { "append", op_append, 2 },
    { "put", op_put, 2 },
    { "truncate", op_truncate, 2 },
    { "mwrite", op_mwrite, 3 },
    { "mread", op_mread, 2 },
    { "fallocate", op_fallocate, 4 },
    { "seek", op_seek, 3 },
    { "copy", op_copy, 2 },
    { "unlink", op_unlink, 1 },
    { "rmdir", op_rmdir, 1 },
    { "mkdir", op_mkdir, 1 },
    { "rename", op_rename, 2 },
    { "link", op_link, 2 },
    { "flink", op_flink, 2 },
    { "symlink", op_symlink, 2 },
    { "readlink", op_readlink, 1 },
    { "mknod", op_mknod, 3 },
    { "ls", op_ls, 1 },
    { "steady", op_steady, 1 },
    { "stat", op_stat, 1 },
    { "ino", op_ino, 2 },
    { "sameino", op_sameino, 2 },
    { "dino", op_dino, 1 },
    { "chmod", op_chmod, 2 },
    { "chown", op_chown, 3 },
    { "lchown", op_lchown, 3 },
    { "utime", op_utime, 2 },
    { "access", op_access, 2 },
    { "setx", op_setx, 3 },
    { "getx", op_getx, 2 },
    { "listx", op_listx, 1 },
    { "rmx", op_rmx, 2 },
    { "acl", op_acl, 4 },
    { "as", op_as, 2 },
    { "umask", op_umask, 1 },
    { "flock", op_flock, 2 },
    { "plock", op_plock, 4 },
    { "otherlock", op_otherlock, 4 },
};

/* --- what is in a case's folder --- */

static const struct thing {
    char layer; /* b: bottom, m: middle */
    const char *path;
    mode_t mode;
    uid_t uid;
    const char *text; /* of files; where links lead; what hard links are of */
} things[] = {
    { 'b', "file", S_IFREG | 0644, 0, "lower" },
    { 'b', "mine", S_IFREG | 0644, 1000, "mine" },
    { 'b', "ro", S_IFREG | 0444, 1000, "ro" },
    { 'b', "secret", S_IFREG | 0600, 0, "secret" },
    { 'b', "suid", S_IFREG | 06755, 1000, "suid" },
    { 'b', "exec", S_IFREG | 0755, 0, "exec" },
    { 'b', "link", S_IFLNK, 0, "file" },
    { 'b', "dangling", S_IFLNK, 0, "nowhere" },
    { 'b', "loop", S_IFLNK, 0, "loop" },
    { 'b', "dirlink", S_IFLNK, 0, "dir" },
    { 'b', "fifo", S_IFIFO | 0644, 0, NULL },
    { 'b', "hard1", S_IFREG | 0644, 0, "hard" },
    { 'b', "hard2", 0, 0, "hard1" },
    { 'b', "dir", S_IFDIR | 0755, 0, NULL },
    { 'b', "dir/a", S_IFREG | 0644, 0, "a" },
    { 'b', "dir/b", S_IFREG | 0644, 0, "b" },
    { 'b', "dir/sub", S_IFDIR | 0755, 0, NULL },
    { 'b', "dir/sub/deep", S_IFREG | 0644, 0, "deep" },
    { 'b', "empty", S_IFDIR | 0755, 0, NULL },
    { 'b', "sticky", S_IFDIR | 01777, 0, NULL },
    { 'b', "sticky/of1000", S_IFREG | 0644, 1000, "x" },
    { 'b', "sgid", S_IFDIR | 02777, 100, NULL },
    { 'b', "locked", S_IFDIR | 0700, 0, NULL },
    { 'b', "locked/in", S_IFREG | 0666, 0, "in" },
    { 'b', "home", S_IFDIR | 0755, 1000, NULL },
    { 'b', "home/f", S_IFREG | 0644, 1000, "home" },
    { 'b', "over", S_IFREG | 0644, 0, "bottom" },
    { 'b', "gone", S_IFREG | 0644, 0, "gone" },
    { 'b', "opq", S_IFDIR | 0755, 0, NULL },
    { 'b', "opq/old", S_IFREG | 0644, 0, "old" },
    { 'b', "merged", S_IFDIR | 0755, 0, NULL },
    { 'b', "merged/bottom", S_IFREG | 0644, 0, "bottom" },
    { 'b', "merged/both", S_IFREG | 0644, 0, "bottom" },
    { 'b', "turned", S_IFDIR | 0755, 0, NULL },
    { 'b', "turned/x", S_IFREG | 0644, 0, "x" },
    { 'm', "over", S_IFREG | 0640, 0, "middle" },
    { 'm', "gone", S_IFCHR, 0, NULL },
    { 'm', "opq", S_IFDIR | 0755, 0, NULL },
    { 'm', "opq/new", S_IFREG | 0644, 0, "new" },
    { 'm', "merged", S_IFDIR | 0755, 0, NULL },
    { 'm', "merged/middle", S_IFREG | 0644, 0, "middle" },
    { 'm', "merged/both", S_IFREG | 0644, 0, "middle" },
    { 'm', "turned", S_IFREG | 0644, 0, "file now" },
};

static int make_thing(const struct thing *t)
{
    bool link = S_ISLNK(t->mode);

    if (t->mode == 0)
        return linkat(AT_FDCWD, t->text, AT_FDCWD, t->path, 0);
    if ((link               ? symlink(t->text, t->path)
         : S_ISDIR(t->mode) ? mkdir(t->path, 0755)
         : S_ISREG(t->mode) ? write_with(t->path, O_CREAT | O_EXCL, t->text)
                            : mknod(t->path, t->mode, 0)) < 0)
        return -1;
    if (lchown(t->path, t->uid, t->uid) < 0)
        return -1;
    return link || S_ISCHR(t->mode) ? 0 : chmod(t->path, t->mode & 07777);
}

static int make_folder(const char *layer, char which, int number)
{
    char path[32];

    snprintf(path, sizeof path, "%03d", number);
    if (chdir(layer) < 0 || mkdir(path, 0777) < 0 || chmod(path, 0777) < 0 || chdir(path) < 0)
        return -1;
    for (size_t i = 0; i < XENO_LEN(things); i++)
        if (things[i].layer == which && make_thing(&things[i]) < 0) {
            perror(things[i].path);
            return -1;
        }
    if (which == 'm')
        return setxattr("opq", "user.overlay.opaque", "y", 1, 0);
    if (write_with("x", O_CREAT, "x") < 0 || setxattr("x", "user.k", "v", 1, 0) < 0)
        return -1;
    return write_with("sparse", O_CREAT, "head") < 0 ? -1 : truncate("sparse", 8 << 20);
}

/* --- the table --- */

static const char *errno_name(int e)
{
    const char *s = strerrorname_np(e);

    return strcmp(s, "ENOTSUP") == 0 ? "EOPNOTSUPP" : s;
}

/* "@255": a name of so many letters. */
static char *expand(char *word)
{
    size_t len = *word == '@' ? strtoul(word + 1, NULL, 10) : 0;
    char *s;

    if (len == 0)
        return xeno_strdup(word);
    s = xeno_alloc0(1, len + 1);
    memset(s, 'n', len);
    for (size_t i = 200; len > 255 + 1 && i < len; i += 200)
        s[i] = '/';
    return s;
}

/* Returns: false with the reason in `why`. */
static bool step(struct world *w, char *line, char *why, size_t size)
{
    char *want = strstr(line, "->"), *args[ARGS_MAX] = { NULL }, *word, *rest = NULL;
    const char *got;
    int n = -1, r = -2;
    size_t i;

    if (want) {
        *want = '\0';
        want += 2;
        want += strspn(want, " ");
    }
    word = strtok_r(line, " ", &rest);
    for (i = 0; i < XENO_LEN(ops) && strcmp(ops[i].name, word) != 0; i++)
        continue;
    for (char *a; n < ARGS_MAX - 1 && (a = strtok_r(NULL, " ", &rest));)
        args[++n] = expand(a);
    w->said[0] = '\0';
    errno = 0;
    if (i < XENO_LEN(ops) && n + 1 >= ops[i].args)
        r = ops[i].fn(w, args, n + 1);
    got = r < 0 ? errno_name(errno) : w->said;
    if (r == -2)
        got = "(no such operation, or too few arguments)";
    snprintf(why, size, "%s %.80s: got '%s', want '%s'", word, n >= 0 ? args[0] : "", got,
             want ? want : "success");
    for (; n >= 0; n--)
        free(args[n]);
    return want ? strcmp(got, want) == 0 : r >= 0;
}

static void begin(struct world *w, const char *root, int number)
{
    char path[4096];

    for (int i = 0; i < SLOTS; i++)
        w->fds[i] = -1;
    if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0)
        exit(2);
    umask(022);
    snprintf(path, sizeof path, "%s/%03d", root, number);
    if (chdir(path) < 0) {
        perror(path);
        exit(2);
    }
}

static void end(struct world *w)
{
    for (int i = 0; i < SLOTS; i++)
        if (w->fds[i] >= 0)
            close(w->fds[i]);
    if (seteuid(0) < 0)
        exit(2);
}

static int run(FILE *f, const char *root)
{
    static struct world w;
    char line[1024], name[256] = "", why[TEXT_MAX + 1024] = "";
    bool good = true, first = true;
    int number = 0;

    for (;;) {
        bool more = fgets(line, sizeof line, f) != NULL;

        if (!first && (!more || *line == '=')) {
            end(&w);
            if (suite_missing)
                printf("none %s: %s\n", name, suite_missing);
            else
                printf("%s %s%s%s\n", good ? "ok" : "not", name, good ? "" : ": ", good ? "" : why);
        }
        if (!more)
            return 0;
        line[strcspn(line, "\n")] = '\0';
        if (*line == '=') {
            snprintf(name, sizeof name, "%.200s", line + 2);
            good = true;
            first = false;
            suite_missing = NULL;
            begin(&w, root, number++);
        } else if (*line != '\0' && *line != '#' && good) {
            good = step(&w, line, why, sizeof why);
        }
    }
}

static int prepare(FILE *f, const char *bottom, const char *middle)
{
    char line[1024];
    int number = 0;

    umask(0);
    while (fgets(line, sizeof line, f)) {
        if (*line != '=')
            continue;
        if (make_folder(bottom, 'b', number) < 0 || make_folder(middle, 'm', number) < 0) {
            perror("prepare");
            return 1;
        }
        number++;
    }
    return 0;
}

int main(int argc, char **argv)
{
    FILE *f = argc > 3 ? fopen(argv[1], "re") : NULL;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (f && argc == 5 && strcmp(argv[2], "prepare") == 0)
        return prepare(f, argv[3], argv[4]);
    if (f && argc == 4 && strcmp(argv[2], "run") == 0)
        return run(f, argv[3]);
    fprintf(stderr, "cowfs-suite CASES prepare BOTTOM MIDDLE | CASES run MOUNT; absolute paths\n");
    return 2;
}
