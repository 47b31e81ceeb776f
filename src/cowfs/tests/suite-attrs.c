/* src/cowfs/tests/suite-attrs.c - cowfs-suite's operations on attributes, times and who asks. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "suite.h"

/* --- attributes --- */

static int say_stat(struct world *w, const struct stat *st, const char *what)
{
    if (strcmp(what, "mode") == 0)
        return say(w, "%04o", st->st_mode & 07777);
    if (strcmp(what, "type") == 0)
        return say(w, "%s",
                   S_ISREG(st->st_mode)    ? "file"
                   : S_ISDIR(st->st_mode)  ? "dir"
                   : S_ISLNK(st->st_mode)  ? "link"
                   : S_ISFIFO(st->st_mode) ? "fifo"
                   : S_ISSOCK(st->st_mode) ? "socket"
                                           : "device");
    if (strcmp(what, "owner") == 0)
        return say(w, "%u:%u", st->st_uid, st->st_gid);
    if (strcmp(what, "size") == 0)
        return say(w, "%ld", (long)st->st_size);
    if (strcmp(what, "nlink") == 0)
        return say(w, "%lu", (unsigned long)st->st_nlink);
    if (strcmp(what, "mtime") == 0)
        return say(w, "%ld.%09ld", (long)st->st_mtime, st->st_mtim.tv_nsec);
    if (strcmp(what, "rdev") == 0)
        return say(w, "%u:%u", major(st->st_rdev), minor(st->st_rdev));
    if (strcmp(what, "sparse") == 0)
        return say(w, "%s", st->st_blocks * 512 < st->st_size ? "yes" : "no");
    return 0;
}
/* Of a name, or of an open file for "%SLOT". */
static int stat_of(struct world *w, const char *path, struct stat *ret)
{
    return *path == '%' ? fstat(w->fds[slot(path + 1)], ret) : lstat(path, ret);
}
static int op_stat(struct world *w, char **a, int n)
{
    struct stat st;

    return stat_of(w, a[0], &st) < 0 ? -1 : say_stat(w, &st, n > 1 ? a[1] : "none");
}
static int op_fstat(struct world *w, char **a, int n)
{
    struct stat st;

    return fstat(w->fds[slot(a[0])], &st) < 0 ? -1 : say_stat(w, &st, n > 1 ? a[1] : "size");
}
static bool later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}
/* mark SLOT PATH: its times; what changes it after this has later ones. */
static int op_mark(struct world *w, char **a, int n)
{
    struct timespec *mark = w->marks[slot(a[0])], now;
    struct stat st;

    (void)n;
    if (stat_of(w, a[1], &st) < 0)
        return -1;
    mark[0] = st.st_mtim;
    mark[1] = st.st_ctim;
    for (int i = 0; i < 100; i++) {
        clock_gettime(CLOCK_REALTIME_COARSE, &now); /* which times are taken from */
        if (later(&now, &mark[1]))
            return 0;
        usleep(1000);
    }
    errno = ETIME;
    return -1;
}
/* moved SLOT PATH [mtime]: which of its times are others now, or whether that one is? */
static int op_moved(struct world *w, char **a, int n)
{
    const struct timespec *mark = w->marks[slot(a[0])];
    struct stat st;
    bool m, c;

    if (stat_of(w, a[1], &st) < 0)
        return -1;
    m = st.st_mtim.tv_sec != mark[0].tv_sec || st.st_mtim.tv_nsec != mark[0].tv_nsec;
    c = n < 3 && (st.st_ctim.tv_sec != mark[1].tv_sec || st.st_ctim.tv_nsec != mark[1].tv_nsec);
    return say(w, "%s%s%s", m ? "mtime" : "", m && c ? " " : "", c ? "ctime" : "");
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
    int flags = n < 4                          ? 0
                : strcmp(a[3], "create") == 0  ? XATTR_CREATE
                : strcmp(a[3], "replace") == 0 ? XATTR_REPLACE
                                               : XATTR_CREATE | XATTR_REPLACE | 4;

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
    if (len < 0)
        return -1;
    w->said[0] = '\0';
    for (char *p = list; p < list + len; p += strlen(p) + 1)
        at += (size_t)snprintf(w->said + at, sizeof w->said - at, "%s%s", at ? " " : "", p);
    return 0;
}
static int op_fsetx(struct world *w, char **a, int n)
{
    (void)n;
    return fsetxattr(w->fds[slot(a[0])], a[1], a[2], strlen(a[2]), 0);
}
static int op_fgetx(struct world *w, char **a, int n)
{
    (void)n;
    return say_bytes(w, fgetxattr(w->fds[slot(a[0])], a[1], w->said, sizeof w->said - 1));
}
/* bigx PATH NAME BYTES: an attribute of so many. */
static int op_bigx(struct world *w, char **a, int n)
{
    xeno_autofree char *value = xeno_alloc0(1, (size_t)atol(a[2]) + 1);

    (void)w;
    (void)n;
    memset(value, 'v', (size_t)atol(a[2]));
    return lsetxattr(a[0], a[1], value, (size_t)atol(a[2]), 0);
}
/* A capability, which whoever executes it has. */
static int op_capx(struct world *w, char **a, int n)
{
    const uint32_t cap[5] = { 0x02000001, 1 << 13 }; /* revision 2, effective: CAP_NET_RAW */

    (void)w;
    (void)n;
    return lsetxattr(a[0], "security.capability", cap, sizeof cap, 0);
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
const struct suite_op suite_attrs[] = {
    { "stat", op_stat, 1 },   { "fstat", op_fstat, 1 },   { "mark", op_mark, 2 },
    { "moved", op_moved, 2 }, { "ino", op_ino, 2 },       { "sameino", op_sameino, 2 },
    { "chmod", op_chmod, 2 }, { "chown", op_chown, 3 },   { "lchown", op_lchown, 3 },
    { "utime", op_utime, 2 }, { "access", op_access, 2 }, { "setx", op_setx, 3 },
    { "getx", op_getx, 2 },   { "listx", op_listx, 1 },   { "rmx", op_rmx, 2 },
    { "fsetx", op_fsetx, 3 }, { "fgetx", op_fgetx, 2 },   { "bigx", op_bigx, 3 },
    { "capx", op_capx, 1 },   { "acl", op_acl, 4 },       { "as", op_as, 2 },
    { "umask", op_umask, 1 }, { NULL, NULL, 0 },
};
