/* src/cowfs/tests/suite-nfs.c - the calls of cowfs-suite as libnfs makes them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "suite.h"

#define SUITE_FD   1000 /* the first of ours */
#define SUITE_OPEN 64

struct nfs_context *suite_nfs;
static struct nfsfh *suite_files[SUITE_OPEN];
mode_t suite_umask;
static uint32_t suite_uid, suite_gid, suite_groups[16], suite_count;

struct suite_dir {
    struct nfsdir *dir;
    char path[4400];
};
static struct suite_dir *suite_dir; /* the one that is open */

int suite_result(int r)
{
    if (r >= 0)
        return r;
    errno = -r;
    return -1;
}
int suite_lacks(const char *what)
{
    suite_missing = what;
    errno = EOPNOTSUPP;
    return -1;
}
struct nfsfh *suite_file(int fd)
{
    return fd >= SUITE_FD && fd < SUITE_FD + SUITE_OPEN ? suite_files[fd - SUITE_FD] : NULL;
}

/* --- who asks, and where --- */

int suite_chdir(const char *path)
{
    char text[256];
    struct nfs_url *url;

    if (!suite_nfs) {
        const char *port = getenv("XENO_NFS_PORT");

        suite_nfs = nfs_init_context();
        snprintf(text, sizeof text,
                 "nfs://127.0.0.1//?version=3&dircache=0&nfsport=%.8s&mountport=%.8s", port, port);
        url = nfs_parse_url_dir(suite_nfs, text);
        if (!url || nfs_mount(suite_nfs, url->server, url->path) < 0) {
            fprintf(stderr, "%s\n", nfs_get_error(suite_nfs));
            exit(2);
        }
        nfs_destroy_url(url);
    }
    nfs_set_auth(suite_nfs, libnfs_authunix_create("suite", 0, 0, 0, NULL));
    return suite_result(nfs_chdir(suite_nfs, path));
}
static int suite_identity(void)
{
    if (suite_nfs)
        nfs_set_auth(suite_nfs, libnfs_authunix_create("suite", suite_uid, suite_gid, suite_count,
                                                       suite_groups));
    return 0;
}
int suite_seteuid(uid_t uid)
{
    suite_uid = uid;
    return suite_identity();
}
int suite_setegid(gid_t gid)
{
    suite_gid = gid;
    return suite_identity();
}
int suite_setgroups(size_t n, const gid_t *groups)
{
    for (suite_count = 0; suite_count < n && suite_count < XENO_LEN(suite_groups); suite_count++)
        suite_groups[suite_count] = groups[suite_count];
    return suite_identity();
}
mode_t suite_set_umask(mode_t mask)
{
    suite_umask = mask;
    return 0;
}

/* --- files --- */

static int stat_result(int r, const struct nfs_stat_64 *s, struct stat *st)
{
    if (r < 0)
        return suite_result(r);
    memset(st, 0, sizeof *st);
    st->st_ino = s->nfs_ino;
    st->st_mode = (mode_t)s->nfs_mode;
    st->st_nlink = s->nfs_nlink;
    st->st_uid = (uid_t)s->nfs_uid;
    st->st_gid = (gid_t)s->nfs_gid;
    st->st_rdev = s->nfs_rdev;
    st->st_size = (off_t)s->nfs_size;
    st->st_blocks = (blkcnt_t)(s->nfs_used / 512);
    st->st_mtim.tv_sec = (time_t)s->nfs_mtime;
    st->st_mtim.tv_nsec = (long)s->nfs_mtime_nsec;
    st->st_ctim.tv_sec = (time_t)s->nfs_ctime;
    st->st_ctim.tv_nsec = (long)s->nfs_ctime_nsec;
    return 0;
}
int suite_stat(const char *path, struct stat *st)
{
    struct nfs_stat_64 s = { 0 };

    return stat_result(nfs_lstat64(suite_nfs, path, &s), &s, st);
}
int suite_open(const char *path, int flags, ...)
{
    va_list ap;
    mode_t mode;
    struct stat st;
    int i = 0, r;

    va_start(ap, flags);
    mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        return suite_lacks("files without a name");
    if (flags & O_NOATIME)
        return suite_lacks("access times that do not move");
    /* What the kernel sees to for other clients. */
    if ((flags & (O_DIRECTORY | O_NOFOLLOW)) && suite_stat(path, &st) == 0) {
        if ((flags & O_NOFOLLOW) && S_ISLNK(st.st_mode))
            return suite_result(-ELOOP);
        if ((flags & O_DIRECTORY) && !S_ISDIR(st.st_mode))
            return suite_result(-ENOTDIR);
    }
    while (i < SUITE_OPEN && suite_files[i])
        i++;
    flags &= O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND;
    r = nfs_open2(suite_nfs, path, flags, (int)(mode & ~suite_umask), &suite_files[i]);
    if (r < 0)
        suite_files[i] = NULL;
    return r < 0 ? suite_result(r) : SUITE_FD + i;
}
int suite_close(int fd)
{
    struct nfsfh *f = suite_file(fd);

    if (!f)
        return suite_result(-EBADF);
    suite_files[fd - SUITE_FD] = NULL;
    return suite_result(nfs_close(suite_nfs, f));
}
void suite_autoclose(int *fd)
{
    int e = errno;

    if (*fd >= 0)
        suite_close(*fd);
    errno = e;
}
ssize_t suite_pread(int fd, void *buf, size_t len, off_t at)
{
    return suite_file(fd)
               ? suite_result(nfs_pread(suite_nfs, suite_file(fd), (uint64_t)at, len, buf))
               : suite_result(-EBADF);
}
ssize_t suite_pwrite(int fd, const void *buf, size_t len, off_t at)
{
    return suite_file(fd)
               ? suite_result(nfs_pwrite(suite_nfs, suite_file(fd), (uint64_t)at, len, buf))
               : suite_result(-EBADF);
}
ssize_t suite_read(int fd, void *buf, size_t len)
{
    return suite_result(nfs_read(suite_nfs, suite_file(fd), len, buf));
}
ssize_t suite_write(int fd, const void *buf, size_t len)
{
    return suite_result(nfs_write(suite_nfs, suite_file(fd), len, buf));
}
int suite_fstat(int fd, struct stat *st)
{
    struct nfs_stat_64 s = { 0 };

    return stat_result(suite_file(fd) ? nfs_fstat64(suite_nfs, suite_file(fd), &s) : -EBADF, &s,
                       st);
}
int suite_mknod(const char *path, mode_t mode, dev_t dev)
{
    int fd;

    if (!S_ISREG(mode))
        return suite_result(nfs_mknod(suite_nfs, path, (int)(mode & ~suite_umask), (int)dev));
    fd = suite_open(path, O_WRONLY | O_CREAT | O_EXCL, mode & 07777);
    return fd < 0 ? -1 : suite_close(fd);
}

/* --- names --- */

int suite_renameat2(int a, const char *from, int b, const char *to, unsigned flags)
{
    (void)a;
    (void)b;
    return flags ? suite_lacks("rename with flags") : suite_result(nfs_rename(suite_nfs, from, to));
}
int suite_linkat(int a, const char *from, int b, const char *to, int flags)
{
    (void)a;
    (void)b;
    return flags ? suite_lacks("links of open files") : suite_result(nfs_link(suite_nfs, from, to));
}
ssize_t suite_readlink(const char *path, char *buf, size_t size)
{
    int r = nfs_readlink(suite_nfs, path, buf, (int)size);

    return r < 0 ? suite_result(r) : (ssize_t)strlen(buf);
}
DIR *suite_opendir(const char *path)
{
    struct suite_dir *d = xeno_new0(struct suite_dir);
    int r = nfs_opendir(suite_nfs, path, &d->dir);

    if (r < 0) {
        free(d);
        suite_result(r);
        return NULL;
    }
    snprintf(d->path, sizeof d->path, "%s", path);
    suite_dir = d;
    return (DIR *)d;
}
struct dirent *suite_readdir(DIR *dir)
{
    static struct dirent e;
    struct nfsdirent *got = nfs_readdir(suite_nfs, ((struct suite_dir *)dir)->dir);

    if (!got)
        return NULL;
    e.d_ino = got->inode;
    e.d_type = (unsigned char)IFTODT(got->mode);
    snprintf(e.d_name, sizeof e.d_name, "%s", got->name);
    return &e;
}
int suite_closedir(DIR *dir)
{
    struct suite_dir *d = (struct suite_dir *)dir;

    nfs_closedir(suite_nfs, d->dir);
    free(d);
    suite_dir = NULL;
    return 0;
}
int suite_fstatat(int dir, const char *name, struct stat *st, int flags)
{
    char path[4700];

    (void)dir;
    (void)flags;
    snprintf(path, sizeof path, "%s/%s", suite_dir->path, name);
    return suite_stat(path, st);
}

/* --- attributes --- */

int suite_utimensat(int a, const char *path, const struct timespec ts[2], int flags)
{
    (void)a;
    (void)path;
    (void)flags;
    (void)ts;
    return suite_lacks("times in nanoseconds, or of the server (libnfs)");
}
int suite_faccessat(int a, const char *path, int mode, int flags)
{
    (void)a;
    (void)flags;
    return suite_result(nfs_access(suite_nfs, path, mode));
}
