/* src/base/io.c - whole reads, whole writes, and files that are replaced in one step. */
#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/mem.h"

#define LOCK_STEP_MS 20

int xeno_read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
    xeno_autobuf b = XENO_BUF_INIT;
    char chunk[16384];

    b.max = max;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        if (!xeno_buf_add(&b, chunk, (size_t)n))
            return -EFBIG;
    }
    *ret = xeno_buf_take(&b, ret_len);
    return 0;
}

int xeno_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int xeno_file_read(int dirfd, const char *path, size_t max, char **ret, size_t *ret_len,
                   struct xeno_err *err)
{
    xeno_autoclose int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    size_t len;
    int r;

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "io.open", "open '%s'", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return xeno_fail(err, -EINVAL, "io.open", "'%s' is not a regular file", path);
    r = xeno_read_all(fd, max, ret, ret_len ? ret_len : &len);
    if (r == -EFBIG)
        return xeno_fail(err, r, "io.size", "'%s' is larger than %zu bytes", path, max);
    if (r < 0)
        return xeno_fail_errno(err, r, "io.read", "read '%s'", path);
    return 0;
}

static int sync_parent(int dirfd, const char *path)
{
    xeno_autofree char *copy = xeno_strdup(path);
    xeno_autoclose int fd = openat(dirfd, dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

int xeno_file_write(int dirfd, const char *path, mode_t mode, const void *data, size_t len,
                    struct xeno_err *err)
{
    xeno_autofree char *tmp = xeno_asprintf("%s.tmp%ld", path, (long)getpid());
    xeno_autoclose int fd = -1;
    int r;

    (void)unlinkat(dirfd, tmp, 0);
    fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "io.write", "create '%s'", tmp);
    r = fchmod(fd, mode) < 0 ? -errno : 0; /* whatever the umask says */
    if (r == 0)
        r = xeno_write_all(fd, data, len);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(dirfd, tmp, 0);
        return xeno_fail_errno(err, r, "io.write", "write '%s'", path);
    }
    r = sync_parent(dirfd, path);
    if (r < 0)
        return xeno_fail_errno(err, r, "io.write", "sync the folder of '%s'", path);
    return 0;
}

int xeno_mkdirs(int dirfd, const char *path, mode_t mode, struct xeno_err *err)
{
    xeno_autofree char *copy = xeno_strdup(path);

    for (char *p = copy + 1;; p++) {
        char saved = *p;

        if (saved != '/' && saved != '\0')
            continue;
        *p = '\0';
        if (mkdirat(dirfd, copy, mode) < 0 && errno != EEXIST)
            return xeno_fail_errno(err, -errno, "io.mkdir", "make folder '%s'", copy);
        *p = saved;
        if (saved == '\0')
            return 0;
    }
}

static int remove_at(int dirfd, const char *name, dev_t dev);

static int remove_children(int fd, dev_t dev)
{
    DIR *d = fdopendir(fd); /* owns fd now */
    struct dirent *e;
    int r = 0;

    if (!d) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = remove_at(fd, e->d_name, dev);
    }
    closedir(d);
    return r;
}

/* dev: the file system to stay on, 0 for whichever `name` is on. */
static int remove_at(int dirfd, const char *name, dev_t dev)
{
    struct stat st;
    int fd, r;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode))
        return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
    if (dev != 0 && st.st_dev != dev)
        return -EXDEV;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = remove_children(fd, st.st_dev);
    if (r < 0)
        return r;
    return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int xeno_remove_tree(int dirfd, const char *path, struct xeno_err *err)
{
    int r = remove_at(dirfd, path, 0);

    if (r < 0)
        return xeno_fail_errno(err, r, "io.remove", "remove '%s'", path);
    return 0;
}

int xeno_lock(int fd, int wait_ms)
{
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += LOCK_STEP_MS) {
        if (errno != EINTR && (errno != EWOULDBLOCK || waited_ms >= wait_ms))
            return -errno;
        nanosleep(&(struct timespec){ .tv_nsec = LOCK_STEP_MS * 1000000 }, NULL);
    }
    return 0;
}
