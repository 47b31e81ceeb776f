/* src/cowfs/fuse-file.c - FUSE requests about contents: of files and of directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

#include "cowfs/fuse-loop.h"
#include "cowfs/fuse-priv.h"
#include "cowfs/fuse-raw.h"

#define COPIED_MAX (64 << 10) /* bytes: a smaller answer is cheaper copied than spliced */

/* --- files --- */

static void opened(struct fuse_file_info *fi, struct xeno_cowfs_file *f)
{
    fi->fh = (uint64_t)(uintptr_t)f;
    fi->keep_cache = 1;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
               struct fuse_file_info *fi)
{
    struct xeno_cowfs *c = stack_of(req);
    struct xeno_cowfs_new what = new_object(req, S_IFREG | (mode & 07777));
    struct xeno_cowfs_file *f = NULL;
    struct xeno_cowfs_node *n = NULL;
    struct fuse_entry_param e;
    struct stat st;
    int r;

    what.nameless = fuse_raw_nameless();
    r = xeno_cowfs_make(c, node_of(req, parent), name, &what, &n, &st, &f);

    if (r < 0) {
        reply_result(req, r);
        return;
    }
    fill_entry(&e, n, &st);
    opened(fi, f);
    if (fuse_reply_create(req, &e, fi) < 0) {
        xeno_cowfs_file_close(c, f);
        xeno_cowfs_forget(c, n, 1);
    }
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct xeno_cowfs *c = stack_of(req);
    struct xeno_cowfs_file *f = NULL;
    int r = xeno_cowfs_file_open(c, node_of(req, ino), fi->flags, &f);

    if (r < 0) {
        reply_result(req, r);
        return;
    }
    opened(fi, f);
    if (fuse_reply_open(req, fi) < 0)
        xeno_cowfs_file_close(c, f);
}

static struct fuse_bufvec of_file(const struct fuse_file_info *fi, size_t size, off_t off)
{
    struct fuse_bufvec b = FUSE_BUFVEC_INIT(size);

    b.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    b.buf[0].fd = xeno_cowfs_file_fd(file_of(fi));
    b.buf[0].pos = off;
    return b;
}

/* What is in the page cache. Returns: its bytes, or -1 when it is not all there. */
static ssize_t read_now(int fd, void *buf, size_t size, off_t off)
{
    struct iovec iov = { buf, size };
    ssize_t n = preadv2(fd, &iov, 1, off, RWF_NOWAIT);
    struct stat st;

    if (n < 0 || (size_t)n == size)
        return n;
    return fstat(fd, &st) == 0 && off + n >= st.st_size ? n : -1;
}

/* Would a read wait for a disk? Not when both its ends are in the page cache, nor, as far as is
 * known, where the file system cannot tell. */
static bool would_wait(int fd, size_t size, off_t off)
{
    char c;

    errno = 0;
    return (read_now(fd, &c, 1, off) < 0 || read_now(fd, &c, 1, off + (off_t)size - 1) < 0) &&
           errno != EOPNOTSUPP;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    static __thread char small[COPIED_MAX];
    struct fuse_bufvec b = of_file(fi, size, off);
    xeno_autofree char *buf = NULL;
    int fd = b.buf[0].fd;
    ssize_t n = -1;

    (void)ino;
    if (fd >= 0 && size <= sizeof small)
        n = read_now(fd, small, size, off);
    if (n >= 0) {
        fuse_reply_buf(req, small, (size_t)n);
        return;
    }
    if (fd < 0 || would_wait(fd, size, off))
        fuse_may_wait();
    if (fd >= 0) {
        fuse_reply_data(req, &b, 0); /* copied: they are the pages of another file */
        return;
    }
    buf = xeno_try_alloc(size);
    n = buf ? xeno_cowfs_file_read(file_of(fi), buf, size, off) : -ENOMEM;
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else
        fuse_reply_buf(req, buf, (size_t)n);
}

void op_write_buf(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in, off_t off,
                  struct fuse_file_info *fi)
{
    struct fuse_bufvec out = of_file(fi, fuse_buf_size(in), off);
    ssize_t n;

    (void)ino;
    n = fuse_raw_kills() ? xeno_cowfs_file_kill(file_of(fi)) : 0;
    if (n == 0)
        n = fuse_buf_copy(&out, in, 0);
    if (n < 0)
        fuse_reply_err(req, (int)-n);
    else
        fuse_reply_write(req, (size_t)n);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    xeno_cowfs_file_close(stack_of(req), file_of(fi));
    fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    int fd = xeno_cowfs_file_fd(file_of(fi));

    (void)ino;
    fuse_may_wait();
    fuse_reply_err(req, fd >= 0 && (datasync ? fdatasync(fd) : fsync(fd)) < 0 ? errno : 0);
}

/* Where a request does not say whether its sender may leave set-id bits: root may. */
static int kill_of_others(fuse_req_t req, struct fuse_file_info *fi)
{
    return fuse_req_ctx(req)->uid == 0 ? 0 : xeno_cowfs_file_kill(file_of(fi));
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
                  struct fuse_file_info *fi)
{
    int r;

    (void)ino;
    fuse_may_wait();
    r = kill_of_others(req, fi);
    if (r == 0 && fallocate(xeno_cowfs_file_fd(file_of(fi)), mode, off, len) < 0)
        r = -errno;
    reply_result(req, r);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
    off_t at;

    /* Where data is, what is written but not here yet decides too. Who is told that this is not
     * known takes it all for data. */
    if (xeno_cowfs_file_written(stack_of(req), file_of(fi)) && fuse_flush_cached(ino) == -EAGAIN) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    at = xeno_cowfs_file_seek(file_of(fi), off, whence);
    if (at < 0)
        fuse_reply_err(req, (int)-at);
    else
        fuse_reply_lseek(req, at);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t in, off_t off_in, struct fuse_file_info *fi_in,
                        fuse_ino_t out, off_t off_out, struct fuse_file_info *fi_out, size_t len,
                        int flags)
{
    int from = xeno_cowfs_file_fd(file_of(fi_in));
    ssize_t n = -1;

    (void)in;
    (void)out;
    fuse_may_wait();
    errno = EOPNOTSUPP; /* then the kernel copies by reading */
    if (from >= 0 && kill_of_others(req, fi_out) == 0)
        n = copy_file_range(from, &off_in, xeno_cowfs_file_fd(file_of(fi_out)), &off_out, len,
                            (unsigned)flags);
    if (n < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_write(req, (size_t)n);
}

/* --- directories --- */

struct dir {
    struct xeno_cowfs_list *list; /* NULL: to be made by the next read */
};

static struct dir *dir_of(const struct fuse_file_info *fi)
{
    return (struct dir *)(uintptr_t)fi->fh;
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dir *d = xeno_new0(struct dir);

    fi->fh = (uint64_t)(uintptr_t)d;
    fi->cache_readdir = 1; /* by the kernel, which drops it when it changes the directory */
    fi->keep_cache = !xeno_cowfs_list_renumbered(node_of(req, ino));
    if (fuse_reply_open(req, fi) < 0)
        free(d);
}

/* From the beginning the directory is looked at again: rewinddir(3) wants that. */
static int refresh(fuse_req_t req, fuse_ino_t ino, struct dir *d, off_t off)
{
    struct xeno_cowfs_list *l = NULL;
    int r;

    if (off > 0 && d->list)
        return 0;
    r = xeno_cowfs_list_open(stack_of(req), node_of(req, ino), &l);
    if (r < 0)
        return r;
    xeno_cowfs_list_free(d->list);
    d->list = l;
    return 0;
}

/* Appends one entry, with what is known of it when `plus`. Returns: the room it takes, which may be
 * more than there is. */
static size_t add_entry(fuse_req_t req, fuse_ino_t ino, char *buf, size_t room,
                        const struct xeno_cowfs_entry *entry, off_t next, bool plus)
{
    struct fuse_entry_param e = { .attr = { .st_ino = entry->ino,
                                            .st_mode = (mode_t)DTTOIF(entry->type) } };
    struct xeno_cowfs *c = stack_of(req);
    struct xeno_cowfs_node *n = NULL;
    struct stat st;
    size_t need;

    if (!plus)
        return fuse_add_direntry(req, buf, room, entry->name, &e.attr, next);
    need = fuse_add_direntry_plus(req, NULL, 0, entry->name, &e, next);
    if (need > room)
        return need;
    /* The first two are "." and "..", which are not looked up. */
    if (next > 2 && xeno_cowfs_lookup(c, node_of(req, ino), entry->name, &n, &st) == 0)
        fill_entry(&e, n, &st);
    return fuse_add_direntry_plus(req, buf, room, entry->name, &e, next);
}

static void read_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                     struct fuse_file_info *fi, bool plus)
{
    struct dir *d = dir_of(fi);
    int r = refresh(req, ino, d, off);
    xeno_autofree char *buf = NULL;
    struct xeno_cowfs_entry e;
    size_t len = 0;

    if (r < 0) {
        reply_result(req, r);
        return;
    }
    buf = xeno_try_alloc(size);
    if (!buf) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    for (size_t at = (size_t)off; xeno_cowfs_list_at(d->list, at, &e); at++) {
        size_t need = add_entry(req, ino, buf + len, size - len, &e, (off_t)at + 1, plus);

        if (need > size - len)
            break;
        len += need;
    }
    fuse_reply_buf(req, buf, len);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
    read_dir(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    read_dir(req, ino, size, off, fi, true);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct dir *d = dir_of(fi);

    (void)ino;
    xeno_cowfs_list_free(d->list);
    free(d);
    fuse_reply_err(req, 0);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
    (void)datasync;
    (void)fi;
    fuse_may_wait();
    reply_result(req, xeno_cowfs_sync_dir(stack_of(req), node_of(req, ino)));
}
