/* src/task/rootfs.c - the root file system of a session. */
#include "task/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "task/proc.h"
#include "task/serve.h"

#define POOL_MAX      16 /* sizes kept ready */
#define MKFS_WAIT_MS  60000
#define CHECK_WAIT_MS 600000
#define LOOP_TRIES    64
#define IDLE_TRIES    2000 /* ten seconds: longer than a runtime runs */
#define IDLE_NS       5000000

/* EXT4_IOC_RESIZE_FS of the kernel's ext4.h, which is not installed for programs. */
#define EXT4_RESIZE _IOW('f', 16, uint64_t)
#define BLOCK_BYTES 4096

/* Whoever serves what is mounted is not asked: it may be gone, or take its time. */
_Bool xeno_rootfs_mounted(const char *path)
{
    const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    struct statx sx;

    return statx(AT_FDCWD, path, flags, 0, &sx) == 0 && (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int make_dir(const char *path, uint32_t owner, mode_t mode, struct xeno_err *err)
{
    /* Whatever the umask is: a session's users must pass through its root. */
    if ((mkdir(path, mode) < 0 && errno != EEXIST) || chown(path, owner, owner) < 0 ||
        chmod(path, mode) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.mount", "make '%s'", path);
    return 0;
}

/* --- the image file --- */

/* Few sizes are in use at a time: the one unused for longest makes room. */
static void trim_pool(const char *pool)
{
    xeno_autofree char *oldest = NULL;
    struct stat st, old = { .st_atim = { .tv_sec = 0 } };
    DIR *dir = opendir(pool);
    struct dirent *e;
    int n = 0;

    while (dir && (e = readdir(dir))) {
        if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, 0) < 0)
            continue;
        n++;
        if (!oldest || st.st_mtim.tv_sec < old.st_mtim.tv_sec) {
            free(oldest);
            oldest = xeno_strdup(e->d_name);
            old = st;
        }
    }
    if (dir && n > POOL_MAX)
        unlinkat(dirfd(dir), oldest, 0);
    if (dir)
        closedir(dir);
}

static int mkfs(const char *path, int64_t bytes, struct xeno_err *err)
{
    xeno_autofree char *program = xeno_proc_find("mkfs.ext4");
    const char *const argv[] = { program,
                                 "-q",
                                 "-F",
                                 "-m",
                                 "0",
                                 "-b",
                                 "4096",
                                 "-O",
                                 "^has_journal",
                                 "-E",
                                 "lazy_itable_init=1,nodiscard",
                                 path,
                                 NULL };
    xeno_autoclose int fd = -1;

    if (!program)
        return xeno_fail(err, -ENOENT, "rootfs.image", "mkfs.ext4 is missing (package e2fsprogs)");
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, bytes) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.image", "make '%s'", path);
    return xeno_proc_check(argv, MKFS_WAIT_MS, err);
}

/* Copy a sparse file with its holes. */
static int copy_sparse(int from, int to, int64_t bytes)
{
    off_t at = 0;

    if (ftruncate(to, bytes) < 0)
        return -errno;
    while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
        off_t end = lseek(from, at, SEEK_HOLE), out = at;

        while (at < end) {
            ssize_t n = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);

            if (n <= 0)
                return n < 0 ? -errno : -EIO;
        }
    }
    return errno == ENXIO ? 0 : -errno;
}

/* A template that another process makes at the same moment is as good as ours. */
static int need_template(const char *pool, const char *path, int64_t bytes, struct xeno_err *err)
{
    xeno_autofree char *tmp = NULL;
    int r;

    if (access(path, F_OK) == 0)
        return 0;
    tmp = xeno_asprintf("%s/.%d.new", pool, (int)getpid());
    r = mkfs(tmp, bytes, err);
    if (r == 0 && rename(tmp, path) < 0)
        r = xeno_fail_errno(err, -errno, "rootfs.image", "make '%s'", path);
    if (r < 0)
        unlink(tmp);
    else
        trim_pool(pool);
    return r;
}

static int64_t whole_blocks(int64_t bytes)
{
    return bytes / BLOCK_BYTES * BLOCK_BYTES;
}

static int make_image(const char *pool, const char *path, int64_t bytes, struct xeno_err *err)
{
    xeno_autofree char *template = xeno_asprintf("%s/%lld.img", pool, (long long)bytes);
    xeno_autofree char *tmp = xeno_asprintf("%s.new", path);
    xeno_autoclose int from = -1, to = -1;
    int r;

    r = need_template(pool, template, bytes, err);
    if (r < 0)
        return r;
    from = open(template, O_RDONLY | O_CLOEXEC);
    to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    r = from < 0 || to < 0 ? -errno : copy_sparse(from, to, bytes);
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(tmp);
        return xeno_fail_errno(err, r, "rootfs.image", "make '%s'", path);
    }
    return 0;
}

/* One that was in use when the power went may be broken; -y because nobody is there to ask. */
static int check_image(const char *path, struct xeno_err *err)
{
    xeno_autofree char *program = xeno_proc_find("e2fsck");
    const char *const argv[] = { program, "-y", path, NULL };
    int r;

    if (!program)
        return xeno_fail(err, -ENOENT, "rootfs.check", "e2fsck is missing (package e2fsprogs)");
    r = xeno_proc_run(argv, CHECK_WAIT_MS, err);
    if (r > 2)
        return xeno_fail(err, -EIO, "rootfs.check", "'%s' cannot be repaired (e2fsck says %d)",
                         path, r);
    return r < 0 ? r : 0;
}

/* --- loop devices --- */

/* /dev may be a plain tmpfs in which nobody makes nodes for new devices. */
static int open_loop(int n)
{
    char path[32];
    int fd;

    snprintf(path, sizeof path, "/dev/loop%d", n);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        if (mknod(path, S_IFBLK | 0600, makedev(7, (unsigned)n)) < 0 && errno != EEXIST)
            return -errno;
        fd = open(path, O_RDWR | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

/* Is loop device `name` ("loop7") over the file? */
static bool loop_is_over(const char *name, const char *image)
{
    xeno_autofree char *path = xeno_asprintf("/sys/block/%s/loop/backing_file", name);
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[PATH_MAX + 1];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1); /* free ones have no such file */

    if (n <= 0)
        return false;
    text[n - (text[n - 1] == '\n')] = '\0';
    return strcmp(text, image) == 0;
}

static bool in_use(const char *image)
{
    DIR *dir = opendir("/sys/block");
    struct dirent *e;
    bool used = false;

    while (dir && !used && (e = readdir(dir)))
        used = strncmp(e->d_name, "loop", 4) == 0 && loop_is_over(e->d_name, image);
    if (dir)
        closedir(dir);
    return used;
}

/* Unmounted here is not yet unmounted: a runtime that started meanwhile for another session has all
 * mounts of that moment in a namespace of its own, and where the host's are not shared they stay
 * there until it is through. Till then the file system is alive, and writes what it has at its very
 * end: whoever checked, grew or mounted the image before would have it spoilt. */
static int wait_idle(const char *image, struct xeno_err *err)
{
    for (int tries = 0; in_use(image); tries++) {
        if (tries >= IDLE_TRIES)
            return xeno_fail(err, -EBUSY, "rootfs.busy",
                             "'%s' is still mounted somewhere, though not here: another program "
                             "keeps a copy of this host's mounts",
                             image);
        nanosleep(&(struct timespec){ .tv_nsec = IDLE_NS }, NULL);
    }
    return 0;
}

/* Returns: an open loop device over the image; it goes away with its last user. */
static int attach_loop(const char *image, bool writable, int *ret_number, struct xeno_err *err)
{
    xeno_autoclose int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    xeno_autoclose int file = open(image, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC);
    uint32_t flags = LO_FLAGS_AUTOCLEAR | (writable ? 0U : (uint32_t)LO_FLAGS_READ_ONLY);

    if (control < 0 || file < 0)
        return xeno_fail_errno(err, -errno, "rootfs.loop", "open '%s'",
                               control < 0 ? "/dev/loop-control" : image);
    for (int i = 0; i < LOOP_TRIES; i++) {
        struct loop_config config = { .fd = (uint32_t)file, .info = { .lo_flags = flags } };
        int n = ioctl(control, LOOP_CTL_GET_FREE);
        int fd = n < 0 ? -errno : open_loop(n);

        if (fd < 0)
            return xeno_fail_errno(err, fd, "rootfs.loop", "get a loop device");
        snprintf((char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", image);
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
            *ret_number = n;
            return fd;
        }
        close(fd);
        if (errno != EBUSY) /* somebody else took it: try the next */
            return xeno_fail_errno(err, -errno, "rootfs.loop", "set up /dev/loop%d", n);
    }
    return xeno_fail(err, -EBUSY, "rootfs.loop", "no loop device was free in %d tries", LOOP_TRIES);
}

static int mount_image(const char *image, const char *at, struct xeno_err *err)
{
    xeno_autoclose int loop = -1;
    char device[32];
    int n = 0;

    loop = attach_loop(image, true, &n, err);
    if (loop < 0)
        return loop;
    snprintf(device, sizeof device, "/dev/loop%d", n);
    if (mount(device, at, "ext4", MS_NOATIME | MS_NODEV | MS_NOSUID,
              "noinit_itable,errors=remount-ro") < 0)
        return xeno_fail_errno(err, -errno, "rootfs.mount", "mount '%s'", image);
    return 0;
}

/* --- made ahead --- */

/* The same mount as mount_image() makes, without a place. */
static int mount_nowhere(const char *image, bool writable, struct xeno_err *err)
{
    const unsigned attrs = MOUNT_ATTR_NOATIME | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
                           (writable ? 0U : (unsigned)MOUNT_ATTR_RDONLY);
    xeno_autoclose int fs = fsopen("ext4", FSOPEN_CLOEXEC);
    xeno_autoclose int loop = -1;
    char device[32];
    int n = 0, fd = -1;

    loop = attach_loop(image, writable, &n, err);
    if (loop < 0)
        return loop;
    snprintf(device, sizeof device, "/dev/loop%d", n);
    if (fs >= 0 && fsconfig(fs, FSCONFIG_SET_STRING, "source", device, 0) == 0 &&
        fsconfig(fs, FSCONFIG_SET_FLAG, "noinit_itable", NULL, 0) == 0 &&
        fsconfig(fs, FSCONFIG_SET_STRING, "errors", "remount-ro", 0) == 0 &&
        (writable || fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) == 0) &&
        fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        fd = fsmount(fs, FSMOUNT_CLOEXEC, attrs);
    return fd < 0 ? xeno_fail_errno(err, -errno, "rootfs.mount", "mount '%s'", image) : fd;
}

int xeno_rootfs_spare_make(const char *pool, const char *image, int64_t disk_bytes,
                           struct xeno_err *err)
{
    int r = make_image(pool, image, whole_blocks(disk_bytes), err);

    if (r == 0)
        r = mount_nowhere(image, true, err);
    if (r < 0)
        unlink(image);
    return r;
}

/* The name first: a mount whose file had no place in the session would be lost at its next stop.
 * Killed in between, the mount is gone with us, and the file is checked before it is used. */
static int take_spare(const struct xeno_rootfs_spare *spare, const char *image, const char *upper,
                      struct xeno_err *err)
{
    if (rename(spare->image, image) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.image", "take '%s'", spare->image);
    if (move_mount(spare->mount, "", AT_FDCWD, upper, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.mount", "put '%s' into its place", image);
    return 0;
}

/* --- the overlay --- */

/* Lowers are named relative to their folder, so that many fit into the one page of options. */
static int mount_overlay(const struct xeno_rootfs *s, const char *upper, const char *at,
                         struct xeno_err *err)
{
    xeno_autobuf options = { .max = 4090 };
    bool fits = xeno_buf_puts(&options, "userxattr,lowerdir=");

    for (size_t i = s->nlowers; i-- > 0;)
        fits = fits && xeno_buf_printf(&options, "%s%s", s->lowers[i], i > 0 ? ":" : "");
    fits = fits && xeno_buf_printf(&options, ",upperdir=%s/data,workdir=%s/work", upper, upper);
    if (!fits)
        return xeno_fail(err, -E2BIG, "rootfs.mount", "%zu layers do not fit into mount options",
                         s->nlowers);
    if (chdir(s->layers) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.mount", "enter '%s'", s->layers);
    if (mount("overlay", at, "overlay", MS_NODEV, options.data) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.mount", "mount the layers of '%s'", s->session);
    return 0;
}

static int mount_served(const struct xeno_rootfs *s, const char *data, const char *work,
                        const char *at, struct xeno_err *err)
{
    struct xeno_serve serve = *s->serve;

    serve.upper = data;
    serve.work = work;
    serve.at = at;
    return xeno_serve_start(&serve, err);
}

/* resize2fs wants a check that leaves nothing out before it touches anything. */
static int grow_image(const char *path, int64_t bytes, struct xeno_err *err)
{
    xeno_autofree char *fsck = xeno_proc_find("e2fsck");
    xeno_autofree char *resize = xeno_proc_find("resize2fs");
    const char *const check[] = { fsck, "-f", "-y", path, NULL };
    const char *const grow[] = { resize, path, NULL };
    int r;

    if (!fsck || !resize)
        return xeno_fail(err, -ENOENT, "rootfs.check",
                         "e2fsck or resize2fs is missing (package e2fsprogs)");
    if (truncate(path, bytes) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.image", "let '%s' grow", path);
    r = xeno_proc_run(check, CHECK_WAIT_MS, err);
    if (r >= 0)
        r = xeno_proc_check(grow, CHECK_WAIT_MS, err);
    return r;
}

/* An image of an earlier stay: sound, and as big as is wanted now. */
static int reuse_image(const char *path, int64_t bytes, struct xeno_err *err)
{
    struct stat st;
    int r = wait_idle(path, err);

    if (r == 0)
        r = check_image(path, err);
    if (r == 0 && stat(path, &st) < 0)
        r = xeno_fail_errno(err, -errno, "rootfs.image", "look at '%s'", path);
    if (r < 0 || st.st_size == whole_blocks(bytes))
        return r;
    if (st.st_size > whole_blocks(bytes))
        return xeno_fail(err, -EINVAL, "rootfs.shrink",
                         "the writable layer has %lld bytes and cannot shrink",
                         (long long)st.st_size);
    return grow_image(path, whole_blocks(bytes), err);
}

static int need_upper(const struct xeno_rootfs *s, const char *image, const char *upper,
                      struct xeno_err *err)
{
    int r = make_dir(upper, 0, 0700, err);

    if (r < 0 || xeno_rootfs_mounted(upper))
        return r;
    if (access(image, F_OK) == 0)
        r = reuse_image(image, s->disk_bytes, err);
    else if (s->spare)
        return take_spare(s->spare, image, upper, err);
    else
        r = make_image(s->pool, image, whole_blocks(s->disk_bytes), err);
    return r < 0 ? r : mount_image(image, upper, err);
}

int xeno_rootfs_build(const struct xeno_rootfs *s, struct xeno_err *err)
{
    xeno_autofree char *image = xeno_asprintf("%s/upper.img", s->session);
    xeno_autofree char *upper = xeno_asprintf("%s/upper", s->session);
    xeno_autofree char *data = xeno_asprintf("%s/data", upper);
    xeno_autofree char *work = xeno_asprintf("%s/work", upper);
    xeno_autofree char *root = xeno_asprintf("%s/rootfs", s->session);
    int r;

    r = need_upper(s, image, upper, err);
    if (r == 0)
        r = make_dir(root, s->owner, 0755, err);
    if (r < 0 || xeno_rootfs_mounted(root))
        return r;
    r = make_dir(data, s->owner, 0755, err);
    if (r == 0)
        r = make_dir(work, s->owner, 0755, err);
    if (r < 0)
        return r;
    return s->serve ? mount_served(s, data, work, root, err) : mount_overlay(s, upper, root, err);
}

/* --- reading it --- */

int xeno_rootfs_open_upper(const char *session, int *ret_dir, int *ret_mount, struct xeno_err *err)
{
    xeno_autofree char *image = xeno_asprintf("%s/upper.img", session);
    xeno_autofree char *upper = xeno_asprintf("%s/upper", session);
    xeno_autoclose int mounted = -1, dir = -1;
    int r;

    if (xeno_rootfs_mounted(upper)) {
        dir = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } else {
        if (access(image, F_OK) < 0)
            return xeno_fail(err, -ENOENT, "rootfs.image", "there is no writable layer '%s'",
                             image);
        r = wait_idle(image, err);
        if (r == 0)
            r = check_image(image, err);
        if (r == 0)
            r = mounted = mount_nowhere(image, false, err);
        if (r < 0)
            return r;
        dir = fcntl(mounted, F_DUPFD_CLOEXEC, 3);
    }
    *ret_dir = dir < 0 ? -1 : openat(dir, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_dir < 0)
        return xeno_fail_errno(err, -errno, "rootfs.image", "open the writable layer of '%s'",
                               session);
    *ret_mount = xeno_take_fd(&mounted);
    return 0;
}

/* --- afterwards --- */

int xeno_rootfs_grow(const char *session, int64_t disk_bytes, struct xeno_err *err)
{
    xeno_autofree char *image = xeno_asprintf("%s/upper.img", session);
    xeno_autofree char *upper = xeno_asprintf("%s/upper", session);
    xeno_autoclose int dir = -1, loop = -1;
    int64_t bytes = whole_blocks(disk_bytes);
    uint64_t blocks = (uint64_t)bytes / BLOCK_BYTES;
    struct stat st, mounted;
    int r;

    if (stat(image, &st) < 0 || stat(upper, &mounted) < 0)
        return xeno_fail_errno(err, -errno, "rootfs.image", "look at '%s'", image);
    if (bytes == st.st_size)
        return 0;
    if (bytes < st.st_size)
        return xeno_fail(err, -EINVAL, "rootfs.shrink",
                         "the writable layer has %lld bytes and cannot shrink",
                         (long long)st.st_size);
    loop = open_loop((int)minor(mounted.st_dev));
    dir = open(upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (loop >= 0 && dir >= 0 && truncate(image, bytes) == 0 &&
        ioctl(loop, LOOP_SET_CAPACITY) == 0 && ioctl(dir, EXT4_RESIZE, &blocks) == 0)
        return 0;
    r = -errno;
    if (truncate(image, st.st_size) == 0 && loop >= 0)
        ioctl(loop, LOOP_SET_CAPACITY);
    if (r == -EPERM)
        return xeno_fail(err, r, "rootfs.grow",
                         "this kernel lets nobody here grow a disk that is in use (the capability "
                         "CAP_SYS_RESOURCE is missing): suspend the session and restore it with "
                         "more");
    return xeno_fail_errno(err, r, "rootfs.image", "let '%s' grow", image);
}

/* A runtime that has just ended may still hold a mount for a moment. */
static int unmount(const char *path, bool now, struct xeno_err *err)
{
    for (int tries = 0; umount2(path, now ? MNT_DETACH : UMOUNT_NOFOLLOW) < 0; tries++) {
        if (errno == EINVAL || errno == ENOENT)
            return 0;
        if (errno != EBUSY || tries >= 200)
            return xeno_fail_errno(err, -errno, "rootfs.mount", "unmount '%s'", path);
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    }
    return 0;
}

static int release(const char *session, bool now, struct xeno_err *err)
{
    xeno_autofree char *upper = xeno_asprintf("%s/upper", session);
    xeno_autofree char *root = xeno_asprintf("%s/rootfs", session);
    int r = unmount(root, now, err);

    return r < 0 ? r : unmount(upper, now, err);
}

int xeno_rootfs_release(const char *session, struct xeno_err *err)
{
    return release(session, false, err);
}

int xeno_rootfs_destroy(const char *session, struct xeno_err *err)
{
    xeno_autofree char *image = xeno_asprintf("%s/upper.img", session);
    int r = release(session, true, err);

    if (r < 0)
        return r;
    if (unlink(image) < 0 && errno != ENOENT)
        return xeno_fail_errno(err, -errno, "rootfs.image", "delete '%s'", image);
    return 0;
}

int64_t xeno_rootfs_used(const char *session)
{
    xeno_autofree char *image = xeno_asprintf("%s/upper.img", session);
    xeno_autofree char *upper = xeno_asprintf("%s/upper", session);
    struct statvfs fs;
    struct stat st;

    if (xeno_rootfs_mounted(upper) && statvfs(upper, &fs) == 0)
        return (int64_t)(fs.f_blocks - fs.f_bfree) * (int64_t)fs.f_frsize;
    return stat(image, &st) == 0 ? (int64_t)st.st_blocks * 512 : 0;
}
