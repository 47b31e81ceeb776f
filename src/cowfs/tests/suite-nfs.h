/* src/cowfs/tests/suite-nfs.h - the calls of cowfs-suite as libnfs makes them, in place of the
 * system's.
 *
 * Paths are the export's; the port is $XENO_NFS_PORT. What NFS version 3 or libnfs has no request
 * for is named in `suite_missing`, and fails with EOPNOTSUPP. Who asks is in AUTH_SYS.
 */
#ifndef XENO_COWFS_TESTS_SUITE_NFS_H
#define XENO_COWFS_TESTS_SUITE_NFS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <nfsc/libnfs.h>
#include <nfsc/libnfs-zdr.h>

#include "base/mem.h"

extern struct nfs_context *suite_nfs; /* of the export, since the first chdir */
extern mode_t suite_umask;            /* what is made is made without these bits */

int suite_result(int r);
int suite_lacks(const char *what);
struct nfsfh *suite_file(int fd);
int suite_chdir(const char *path);
int suite_seteuid(uid_t uid);
int suite_setegid(gid_t gid);
int suite_setgroups(size_t n, const gid_t *groups);
mode_t suite_set_umask(mode_t mask);
int suite_stat(const char *path, struct stat *st);
int suite_open(const char *path, int flags, ...);
int suite_close(int fd);
void suite_autoclose(int *fd);
ssize_t suite_pread(int fd, void *buf, size_t len, off_t at);
ssize_t suite_pwrite(int fd, const void *buf, size_t len, off_t at);
ssize_t suite_read(int fd, void *buf, size_t len);
ssize_t suite_write(int fd, const void *buf, size_t len);
int suite_fstat(int fd, struct stat *st);
int suite_mknod(const char *path, mode_t mode, dev_t dev);
int suite_renameat2(int a, const char *from, int b, const char *to, unsigned flags);
int suite_linkat(int a, const char *from, int b, const char *to, int flags);
ssize_t suite_readlink(const char *path, char *buf, size_t size);
DIR *suite_opendir(const char *path);
struct dirent *suite_readdir(DIR *dir);
int suite_closedir(DIR *dir);
int suite_fstatat(int dir, const char *name, struct stat *st, int flags);
int suite_utimensat(int a, const char *path, const struct timespec ts[2], int flags);
int suite_faccessat(int a, const char *path, int mode, int flags);

#define open(...)                suite_open(__VA_ARGS__)
#define close(fd)                suite_close(fd)
#define pread(fd, b, n, at)      suite_pread(fd, b, n, at)
#define pwrite(fd, b, n, at)     suite_pwrite(fd, b, n, at)
#define read(fd, b, n)           suite_read(fd, b, n)
#define write(fd, b, n)          suite_write(fd, b, n)
#define ftruncate(fd, n)         suite_result(nfs_ftruncate(suite_nfs, suite_file(fd), (uint64_t)(n)))
#define truncate(p, n)           suite_result(nfs_truncate(suite_nfs, p, (uint64_t)(n)))
#define fsync(fd)                suite_result(nfs_fsync(suite_nfs, suite_file(fd)))
#define fchmod(fd, m)            suite_result(nfs_fchmod(suite_nfs, suite_file(fd), (int)(m)))
#define fchown(fd, u, g)         suite_result(nfs_fchown(suite_nfs, suite_file(fd), (int)(u), (int)(g)))
#define mmap(...)                (suite_lacks("mappings"), MAP_FAILED)
#define fallocate(...)           suite_lacks("allocation")
#define lseek(...)               suite_lacks("asking for holes")
#define copy_file_range(...)     suite_lacks("copies by the server")
#define unlink(p)                suite_result(nfs_unlink(suite_nfs, p))
#define rmdir(p)                 suite_result(nfs_rmdir(suite_nfs, p))
#define mkdir(p, m)              suite_result(nfs_mkdir2(suite_nfs, p, (int)((m) & ~suite_umask)))
#define renameat2(a, f, b, t, x) suite_renameat2(a, f, b, t, x)
#define linkat(a, f, b, t, x)    suite_linkat(a, f, b, t, x)
#define symlink(t, p)            suite_result(nfs_symlink(suite_nfs, t, p))
#define readlink(p, b, n)        suite_readlink(p, b, n)
#define mknod(p, m, d)           suite_mknod(p, m, d)
#define opendir(p)               suite_opendir(p)
#define readdir(d)               suite_readdir(d)
#define rewinddir(d)             suite_lacks("places in a listing (libnfs)")
#define telldir(d)               suite_lacks("places in a listing (libnfs)")
#define seekdir(d, at)           ((void)(at))
#define closedir(d)              suite_closedir(d)
#define dirfd(d)                 0
#define fstatat(a, p, st, f)     suite_fstatat(a, p, st, f)
#define lstat(p, st)             suite_stat(p, st)
#define fstat(fd, st)            suite_fstat(fd, st)
#define chmod(p, m)              suite_result(nfs_chmod(suite_nfs, p, (int)(m)))
#define chown(p, u, g)           suite_result(nfs_chown(suite_nfs, p, (int)(u), (int)(g)))
#define lchown(p, u, g)          suite_result(nfs_lchown(suite_nfs, p, (int)(u), (int)(g)))
#define utimensat(a, p, ts, f)   suite_utimensat(a, p, ts, f)
#define faccessat(a, p, m, f)    suite_faccessat(a, p, m, f)
#define lsetxattr(...)           suite_lacks("extended attributes")
#define setxattr(...)            suite_lacks("extended attributes")
#define lgetxattr(...)           suite_lacks("extended attributes")
#define llistxattr(...)          suite_lacks("extended attributes")
#define lremovexattr(...)        suite_lacks("extended attributes")
#define fsetxattr(...)           suite_lacks("extended attributes")
#define fgetxattr(...)           suite_lacks("extended attributes")
#define flock(fd, kind)          ((void)(kind), suite_lacks("locks"))
#define fcntl(...)               suite_lacks("locks")
#define fork()                   suite_lacks("locks")
#define seteuid(u)               suite_seteuid(u)
#define setegid(g)               suite_setegid(g)
#define setgroups(n, g)          suite_setgroups(n, g)
#define umask(m)                 suite_set_umask(m)
#define chdir(p)                 suite_chdir(p)
#undef xeno_autoclose
#define xeno_autoclose __attribute__((cleanup(suite_autoclose)))

#endif
