/* src/imaged/collect.c - the bound of the store: what nothing needs goes, longest unused first. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "imaged/imaged.h"

#define EVERY_S 600 /* look, though nothing was fetched */

/* Bytes in the store's blobs. */
static int64_t measure(const struct imaged *d)
{
    xeno_autofree char *path = imaged_path(d, "store/blobs/sha256");
    DIR *dir = opendir(path);
    struct dirent *e;
    struct stat st;
    int64_t sum = 0;

    while (dir && (e = readdir(dir)))
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            sum += st.st_size;
    if (dir)
        closedir(dir);
    return sum;
}

static bool too_much(struct imaged *d)
{
    return atomic_load(&d->store_bytes) > d->opt.store_bytes ||
           memory_images(d) > IMAGED_IMAGES_MAX;
}

static int collect_once(struct imaged *d, struct xeno_store *st, struct xeno_err *err)
{
    struct xeno_store_collected done = { .blobs = 0 };
    int r = xeno_store_collect(st, false, &done, err);

    if (r < 0)
        return r;
    atomic_fetch_add(&d->count.collected_bytes, done.bytes);
    atomic_store(&d->store_bytes, measure(d));
    if (done.blobs > 0)
        xeno_log(LOG_INFO, "store.collected", "blobs=%zu bytes=%" PRId64 " left=%" PRId64,
                 done.blobs, done.bytes, (int64_t)atomic_load(&d->store_bytes));
    return 0;
}

int job_collect(struct job *j, struct xeno_err *err)
{
    struct imaged *d = j->d;
    xeno_autofree char *path = imaged_path(d, "store");
    xeno_auto(xeno_store) st = NULL;
    char digest[XENO_DIGEST_TEXT];
    int r = xeno_store_open(path, XENO_STORE_WRITE, &st, err);

    atomic_store(&d->store_bytes, measure(d));
    if (r >= 0 && !d->collected) /* what a crash left, and nothing knows of */
        r = collect_once(d, st, err);
    while (r >= 0 && too_much(d) && memory_oldest(d, digest)) {
        r = xeno_store_remove(st, digest, err);
        memory_forget(d, digest);
        if (r >= 0 || r == -ENOENT)
            r = collect_once(d, st, err);
    }
    d->collected = true;
    memory_sweep(d);
    if (r < 0)
        xeno_log_err(LOG_WARNING, "store.uncollected", err, "dir=%s", d->opt.dir);
    return r < 0 ? r : 0;
}

static int disk_room(const struct imaged *d, int64_t size, struct xeno_err *err)
{
    struct statvfs fs;
    int64_t left;

    if (statvfs(d->opt.dir, &fs) < 0)
        return xeno_fail_errno(err, -errno, "agent.full", "look at the disk of '%s'", d->opt.dir);
    left = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize - d->opt.reserve_bytes;
    if (size > left)
        return xeno_fail(err, -ENOSPC, "agent.full",
                         "%" PRId64 " bytes are to be stored, the disk has %" PRId64
                         " beside its reserve",
                         size, left > 0 ? left : 0);
    return 0;
}

int collect_room(struct imaged *d, int64_t size, struct xeno_err *err)
{
    if (size > d->opt.store_bytes)
        return xeno_fail(err, -ENOSPC, "agent.full",
                         "the layer has %" PRId64 " bytes, the store at most %" PRId64, size,
                         d->opt.store_bytes);
    return disk_room(d, size, err);
}

int collect_image_room(struct imaged *d, struct xeno_err *err)
{
    if (memory_images(d) < 2 * IMAGED_IMAGES_MAX)
        return disk_room(d, 2 * XENO_MANIFEST_MAX_BYTES, err);
    return xeno_fail(err, -ENOSPC, "agent.full", "%d images are known, and none can go yet",
                     2 * IMAGED_IMAGES_MAX);
}

void collect_tick(struct imaged *d)
{
    int64_t fetched = atomic_load(&d->count.fetched_layers) + atomic_load(&d->count.resolved);
    int64_t now_s = xeno_mono(d->env).ns / XENO_NS_PER_S;

    if (d->collected && fetched == d->collect_seen && now_s < d->collect_next_s)
        return;
    d->collect_seen = fetched;
    d->collect_next_s = now_s + EVERY_S;
    work_submit(d, NULL, JOB_COLLECT, NULL);
}
