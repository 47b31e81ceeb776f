/* src/cowfs/tests/suite-names.c - cowfs-suite's operations on names, attributes and who asks. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "suite.h"

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

/* --- who asks --- */

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
const struct suite_op suite_names[] = {
    { "fstat", op_fstat, 1 },
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
    { NULL, NULL, 0 },
};
