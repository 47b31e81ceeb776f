/* src/image/pieces-evict.c - how much is there, and what goes when it is too much. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/pieces-priv.h"

#define SHARED_MAGIC "xenouse1"
#define BOOT_ID      "/proc/sys/kernel/random/boot_id"

/* --- the number that all processes share --- */

static void boot_id(char out[40])
{
    xeno_autoclose int fd = open(BOOT_ID, O_RDONLY | O_CLOEXEC);

    memset(out, 0, 40);
    if (fd >= 0 && read(fd, out, 39) < 0)
        out[0] = '\0';
}

int pieces_share(struct xeno_pieces *p, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    char boot[40];
    void *at;
    int r = pieces_lock(p, p->dirfd, "used", &fd, err);

    if (r < 0)
        return r;
    if (ftruncate(fd, BLOCK_BYTES) < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "size '%s/used'", p->path);
    at = mmap(NULL, sizeof *p->shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return xeno_fail_errno(err, -errno, "cache.io", "map '%s/used'", p->path);
    p->shared = at;
    boot_id(boot);
    if (memcmp(p->shared->magic, SHARED_MAGIC, 8) != 0 ||
        memcmp(p->shared->boot, boot, sizeof boot) != 0) {
        atomic_store(&p->shared->bytes, SHARED_UNKNOWN);
        memcpy(p->shared->boot, boot, sizeof boot);
        memcpy(p->shared->magic, SHARED_MAGIC, 8);
    }
    flock(fd, LOCK_UN); /* the mapping keeps it open */
    return 0;
}

void pieces_unreserve(struct xeno_pieces *p, int64_t size_bytes)
{
    atomic_fetch_sub(&p->shared->bytes, piece_room(size_bytes));
}

/* --- what is there --- */

struct one {
    uint8_t sha[SHA];
    int64_t room;
    struct timespec used;
    bool again, pinned; /* read in a second mount; by one that lives */
};
struct all {
    struct one *items;
    size_t count;
    int64_t bytes, fresh; /* of all; of those neither read again nor pinned */
};

typedef void (*each_fn)(struct all *all, const char *name, const struct stat *st);

static void each(int parent, const char *folder, each_fn fn, struct all *all)
{
    int fd = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;
    struct stat st;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            fn(all, e->d_name, &st);
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
}

static void add_piece(struct all *all, const char *name, const struct stat *st)
{
    struct one o = { .room = piece_room(st->st_size), .used = st->st_atim };

    if (!piece_sha(name, o.sha))
        return;
    o.again =
        st->st_atim.tv_sec != st->st_mtim.tv_sec || st->st_atim.tv_nsec != st->st_mtim.tv_nsec;
    if ((all->count & (all->count - 1)) == 0)
        all->items = xeno_grow(all->items, all->count == 0 ? 1 : all->count * 2);
    all->items[all->count++] = o;
    all->bytes += o.room;
}

static void add_work(struct all *all, const char *name, const struct stat *st)
{
    (void)name;
    all->bytes += piece_room(st->st_size);
}

static void scan(struct xeno_pieces *p, struct all *all)
{
    char folder[3];

    for (unsigned i = 0; i < 256; i++) {
        snprintf(folder, sizeof folder, "%02x", i);
        each(p->pieces, folder, add_piece, all);
    }
    each(p->work, ".", add_work, all);
}

/* What a dead process left in work: nobody holds its lock. */
static void tidy(struct xeno_pieces *p)
{
    int fd = openat(p->work, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    while (d && (e = readdir(d))) {
        xeno_autoclose int lock = -1;

        if (e->d_name[0] == '.')
            continue;
        lock = openat(p->work, e->d_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        /* Who opened it between finds another file of the name, or none, and begins again. */
        if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0)
            unlinkat(p->work, e->d_name, 0);
    }
    if (d)
        closedir(d);
}

/* --- what goes --- */

static int compare(const void *a, const void *b)
{
    const struct one *x = a, *y = b;

    if (x->pinned != y->pinned)
        return x->pinned - y->pinned;
    if (x->again != y->again)
        return x->again - y->again;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static void evict_one(struct xeno_pieces *p, struct all *all, const struct one *o)
{
    char path[PIECE_PATH];

    piece_path(o->sha, path);
    if (unlinkat(p->pieces, path, 0) < 0)
        return;
    all->bytes -= o->room;
    if (!o->again && !o->pinned)
        all->fresh -= o->room;
    pthread_mutex_lock(&p->mutex);
    p->count.evicted++;
    p->count.evicted_bytes += (uint64_t)o->room;
    pthread_mutex_unlock(&p->mutex);
}

/* In the order of the table, down to `goal`; of the fresh ones a tenth of the bound is spared in a
 * first round, so that what just came is there for a second mount. */
static void evict_to(struct xeno_pieces *p, struct all *all, int64_t goal)
{
    size_t spared = 0, i = 0;

    for (; i < all->count && all->bytes > goal; i++) {
        struct one *o = &all->items[i];

        if (o->pinned)
            break;
        if (!o->again && all->fresh <= p->max_bytes / 10)
            all->items[spared++] = *o;
        else
            evict_one(p, all, o);
    }
    for (size_t k = 0; k < spared && all->bytes > goal; k++)
        evict_one(p, all, &all->items[k]);
    for (; i < all->count && all->bytes > goal; i++)
        evict_one(p, all, &all->items[i]);
}

/* `need` is counted in the shared number already, and nowhere on disk. */
static int evict(struct xeno_pieces *p, int64_t need, struct xeno_err *err)
{
    xeno_autoclose int lock = -1;
    struct pins pins = { .table = NULL };
    struct all all = { .count = 0 };
    int r = pieces_lock(p, p->dirfd, "lock", &lock, err);

    if (r < 0)
        return r;
    if (atomic_load(&p->shared->bytes) <= p->max_bytes)
        return 0; /* somebody else was at it */
    tidy(p);
    scan(p, &all);
    if (all.bytes + need > p->max_bytes) {
        pins_read(p, &pins);
        for (size_t i = 0; i < all.count; i++) {
            struct one *o = &all.items[i];
            struct pin *pin;

            HASH_FIND(hh, pins.table, o->sha, SHA, pin);
            o->pinned = pin != NULL;
            all.fresh += o->pinned || o->again ? 0 : o->room;
        }
        qsort(all.items, all.count, sizeof *all.items, compare);
        evict_to(p, &all, p->max_bytes - p->max_bytes / 10 - need);
    }
    atomic_store(&p->shared->bytes, all.bytes + need);
    pins_release(&pins);
    free(all.items);
    return 0;
}

int pieces_reserve(struct xeno_pieces *p, int64_t size_bytes, struct xeno_err *err)
{
    int64_t need = piece_room(size_bytes);
    int r;

    if (need > p->max_bytes - p->max_bytes / 10)
        return xeno_fail(err, -EFBIG, "cache.full",
                         "a piece of %lld bytes; the cache may have %lld", (long long)size_bytes,
                         (long long)p->max_bytes);
    if (atomic_fetch_add(&p->shared->bytes, need) + need <= p->max_bytes)
        return 0;
    r = evict(p, need, err);
    if (r < 0)
        pieces_unreserve(p, size_bytes);
    return r;
}
