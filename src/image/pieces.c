/* src/image/pieces.c - find a piece here, or have it fetched, once. */
#include "image/pieces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <utlist.h>

#include "base/io.h"
#include "image/pieces-priv.h"

#define READ_BYTES    (256 << 10)
#define LOCK_PAUSE_MS 5
#define WORK_NAME     (XENO_HEX_CHARS + 40)

/* --- opening --- */

static int open_dir(struct xeno_pieces *p, const char *name, int *ret_fd, struct xeno_err *err)
{
    if (mkdirat(p->dirfd, name, 0700) < 0 && errno != EEXIST)
        return xeno_fail_errno(err, -errno, "cache.io", "make folder '%s/%s'", p->path, name);
    *ret_fd = openat(p->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "open '%s/%s'", p->path, name);
    return 0;
}

int xeno_pieces_open(const char *path, int64_t max_bytes, struct xeno_pieces **ret,
                     struct xeno_err *err)
{
    xeno_auto(xeno_pieces) p = xeno_new0(struct xeno_pieces);
    int r;

    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    p->dirfd = p->pieces = p->work = p->users = p->records = -1;
    p->max_bytes = max_bytes;
    p->lock_wait_ms = LOCK_WAIT_MS;
    p->path = xeno_strdup(path);
    r = xeno_mkdirs(AT_FDCWD, path, 0700, err);
    if (r < 0)
        return r;
    p->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->dirfd < 0 || fchmod(p->dirfd, 0700) < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "open the cache of pieces '%s'", path);
    r = open_dir(p, "pieces", &p->pieces, err);
    if (r >= 0)
        r = open_dir(p, "work", &p->work, err);
    if (r >= 0)
        r = open_dir(p, "users", &p->users, err);
    if (r >= 0)
        r = open_dir(p, "records", &p->records, err);
    if (r >= 0)
        r = pieces_share(p, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&p);
    return 0;
}

int pieces_lock(struct xeno_pieces *p, int dirfd, const char *name, int *ret_fd,
                struct xeno_err *err)
{
    struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000 };
    int r = -EWOULDBLOCK;

    for (int ms = 0; r == -EWOULDBLOCK && ms <= p->lock_wait_ms; ms += LOCK_PAUSE_MS) {
        if (ms > 0)
            nanosleep(&pause, NULL);
        r = xeno_cache_flock(dirfd, name, LOCK_EX | LOCK_NB, ret_fd, err);
    }
    return r;
}

static void held_free(struct xeno_pieces *p, struct held *h)
{
    HASH_DEL(p->held, h);
    close(h->fd);
    free(h);
}

void xeno_pieces_free(struct xeno_pieces *p)
{
    struct held *h, *next;

    if (!p)
        return;
    HASH_ITER (hh, p->held, h, next)
        held_free(p, h);
    if (p->shared)
        munmap(p->shared, sizeof *p->shared);
    xeno_cleanup_close_(&p->pieces);
    xeno_cleanup_close_(&p->work);
    xeno_cleanup_close_(&p->users);
    xeno_cleanup_close_(&p->records);
    xeno_cleanup_close_(&p->dirfd);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    free(p->path);
    free(p);
}

void xeno_pieces_counts(struct xeno_pieces *p, struct xeno_pieces_count *ret)
{
    pthread_mutex_lock(&p->mutex);
    *ret = p->count;
    pthread_mutex_unlock(&p->mutex);
    ret->used_bytes = atomic_load(&p->shared->bytes);
}

static const char hex_digits[] = "0123456789abcdef";

void piece_path(const uint8_t sha[SHA], char out[PIECE_PATH])
{
    char *to = out + 3;

    for (size_t i = 0; i < SHA; i++) {
        *to++ = hex_digits[sha[i] >> 4];
        *to++ = hex_digits[sha[i] & 15];
    }
    *to = '\0';
    out[0] = out[3];
    out[1] = out[4];
    out[2] = '/';
}

bool piece_sha(const char *hex, uint8_t sha[SHA])
{
    if (!xeno_hex_ok(hex))
        return false;
    for (size_t i = 0; i < SHA; i++)
        sha[i] = (uint8_t)((strchr(hex_digits, hex[2 * i]) - hex_digits) << 4 |
                           (strchr(hex_digits, hex[2 * i + 1]) - hex_digits));
    return true;
}

/* --- pieces that are open; the mutex is held --- */

static struct held *held_find(struct xeno_pieces *p, const uint8_t sha[SHA])
{
    struct held *h;

    HASH_FIND(hh, p->held, sha, SHA, h);
    if (h && h->refs++ == 0) {
        DL_DELETE(p->idle, h);
        p->idle_count--;
        p->idle_bytes -= h->size_bytes;
    }
    return h;
}

static struct held *held_add(struct xeno_pieces *p, const struct xeno_piece *piece, int fd)
{
    struct held *h = xeno_new0(struct held);

    memcpy(h->sha, piece->sha, SHA);
    h->fd = fd;
    h->refs = 1;
    h->size_bytes = piece->size_bytes;
    HASH_ADD(hh, p->held, sha, SHA, h);
    return h;
}

static void held_put(struct xeno_pieces *p, struct held *h)
{
    if (--h->refs > 0)
        return;
    DL_APPEND(p->idle, h);
    p->idle_count++;
    p->idle_bytes += h->size_bytes;
    while (p->idle_count > IDLE_MAX || p->idle_bytes > IDLE_BYTES) {
        h = p->idle;
        DL_DELETE(p->idle, h);
        p->idle_count--;
        p->idle_bytes -= h->size_bytes;
        held_free(p, h);
    }
}

/* --- one that is on disk --- */

static int read_at(int fd, void *buf, size_t len, int64_t offset)
{
    char *to = buf;

    while (len > 0) {
        ssize_t n = pread(fd, to, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        to += n;
        offset += n;
        len -= (size_t)n;
    }
    return 0;
}

static bool is_sound(int fd, const struct xeno_piece *piece)
{
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    xeno_autofree char *buf = NULL;
    uint8_t sha[SHA];
    struct stat st;
    size_t n;

    if (fstat(fd, &st) < 0 || st.st_size != piece->size_bytes)
        return false;
    buf = xeno_alloc0(1, READ_BYTES);
    for (int64_t at = 0; at < st.st_size; at += (int64_t)n) {
        n = st.st_size - at < READ_BYTES ? (size_t)(st.st_size - at) : READ_BYTES;
        if (read_at(fd, buf, n, at) < 0)
            return false;
        xeno_sha256_add(hash, buf, n);
    }
    xeno_sha256_end(hash, sha);
    return memcmp(sha, piece->sha, SHA) == 0;
}

/* Returns: a descriptor of the sound piece; -ENOENT when there is none (any more). */
static int open_sound(struct xeno_pieces *p, const struct xeno_piece *piece)
{
    char path[PIECE_PATH];
    struct stat st;
    int fd;

    piece_path(piece->sha, path);
    fd = openat(p->pieces, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
    if (fd < 0)
        return -ENOENT;
    if (is_sound(fd, piece)) {
        pthread_mutex_lock(&p->mutex);
        p->count.opened++;
        pthread_mutex_unlock(&p->mutex);
        return fd;
    }
    if (fstat(fd, &st) == 0 && unlinkat(p->pieces, path, 0) == 0)
        pieces_unreserve(p, st.st_size);
    close(fd);
    pthread_mutex_lock(&p->mutex);
    p->count.spoilt++;
    pthread_mutex_unlock(&p->mutex);
    return -ENOENT;
}

/* --- one that is not --- */

/* From a file in work, locked, to its place. On failure nothing is there and the reader has its
 * bytes all the same. */
static int keep(struct xeno_pieces *p, const struct xeno_piece *piece, const void *bytes, int fd,
                const char *name)
{
    char path[PIECE_PATH], folder[3];
    struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
    int r = pieces_reserve(p, piece->size_bytes, NULL);

    if (r < 0)
        return r;
    piece_path(piece->sha, path);
    snprintf(folder, sizeof folder, "%.2s", path);
    if (ftruncate(fd, 0) < 0 || ftruncate(fd, piece->size_bytes) < 0)
        r = -errno;
    if (r == 0)
        r = xeno_write_all(fd, bytes, (size_t)piece->size_bytes);
    /* Both times the same: nobody has read it in another mount. */
    if (r == 0 && futimens(fd, now) < 0)
        r = -errno;
    if (r == 0 && mkdirat(p->pieces, folder, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0 && renameat(p->work, name, p->pieces, path) < 0)
        r = -errno;
    if (r < 0)
        pieces_unreserve(p, piece->size_bytes);
    return r;
}

static int check_bytes(const struct xeno_piece *piece, const void *bytes, struct xeno_err *err)
{
    uint8_t sha[SHA];

    xeno_sha256_of(bytes, (size_t)piece->size_bytes, sha);
    if (memcmp(sha, piece->sha, SHA) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "what was fetched is not the piece");
    return 0;
}

/* So much memory is given to fetches. */
static void budget(struct xeno_pieces *p, int64_t bytes)
{
    pthread_mutex_lock(&p->mutex);
    while (p->fetching_bytes > 0 && p->fetching_bytes + bytes > FETCHING_MAX)
        pthread_cond_wait(&p->changed, &p->mutex);
    p->fetching_bytes += bytes;
    pthread_mutex_unlock(&p->mutex);
}

static void budget_end(struct xeno_pieces *p, int64_t bytes)
{
    pthread_mutex_lock(&p->mutex);
    p->fetching_bytes -= bytes;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

static int fetch_bytes(struct xeno_pieces *p, const struct xeno_piece *piece, void **ret,
                       struct xeno_err *err)
{
    xeno_autofree void *bytes = NULL;
    int r = 0;

    budget(p, piece->size_bytes);
    bytes = xeno_try_alloc((size_t)piece->size_bytes);
    if (!bytes)
        r = xeno_fail(err, -ENOMEM, "cache.io", "no memory for a piece of %lld bytes",
                      (long long)piece->size_bytes);
    if (r == 0)
        r = piece->fetch(piece->arg, bytes, err);
    budget_end(p, piece->size_bytes);
    if (r >= 0)
        r = check_bytes(piece, bytes, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&p->mutex);
    p->count.fetched++;
    p->count.fetched_bytes += (uint64_t)piece->size_bytes;
    pthread_mutex_unlock(&p->mutex);
    *ret = xeno_take(&bytes);
    return 0;
}

/* What came of it: a descriptor, or bytes that could not be kept. */
struct found {
    int fd;
    void *bytes;
    bool fetched;
};

/* The file in work is another process's for as long as that fetches the same piece; if that takes
 * too long we take one that nobody else has. */
static int lock_work(struct xeno_pieces *p, const char *hex, char name[WORK_NAME], int *ret_fd,
                     struct xeno_err *err)
{
    int r;

    snprintf(name, WORK_NAME, "%s", hex);
    r = pieces_lock(p, p->work, name, ret_fd, err);
    if (r != -EWOULDBLOCK)
        return r;
    snprintf(name, WORK_NAME, "%s.%ld.%u", hex, (long)getpid(), atomic_fetch_add(&p->serial, 1));
    return xeno_cache_flock(p->work, name, LOCK_EX | LOCK_NB, ret_fd, err);
}

static int fetch(struct xeno_pieces *p, const struct xeno_piece *piece, struct found *ret,
                 struct xeno_err *err)
{
    xeno_autoclose int work = -1;
    char path[PIECE_PATH], name[WORK_NAME];
    int r;

    piece_path(piece->sha, path);
    r = lock_work(p, path + 3, name, &work, err);
    if (r < 0)
        return r;
    ret->fd = open_sound(p, piece);
    if (ret->fd >= 0) {
        unlinkat(p->work, name, 0);
        return 0;
    }
    r = fetch_bytes(p, piece, &ret->bytes, err);
    if (r == 0)
        ret->fetched = true;
    if (r == 0 && keep(p, piece, ret->bytes, work, name) == 0) {
        flock(work, LOCK_UN);            /* or who waits for it would wait until it is closed */
        fcntl(work, F_SETFL, O_NOATIME); /* the time of access is ours to set */
        ret->fd = xeno_take_fd(&work);
        free(xeno_take(&ret->bytes));
        return 0;
    }
    unlinkat(p->work, name, 0);
    if (r == 0) {
        pthread_mutex_lock(&p->mutex);
        p->count.unkept++;
        pthread_mutex_unlock(&p->mutex);
    }
    return r;
}

static int find(struct xeno_pieces *p, const struct xeno_piece *piece, struct found *ret,
                struct xeno_err *err)
{
    ret->fd = open_sound(p, piece);
    return ret->fd >= 0 ? 0 : fetch(p, piece, ret, err);
}

/* --- one flight at a time; the mutex is held --- */

static struct flight *flight_begin(struct xeno_pieces *p, const uint8_t sha[SHA])
{
    struct flight *f = xeno_new0(struct flight);

    memcpy(f->sha, sha, SHA);
    HASH_ADD(hh, p->flights, sha, SHA, f);
    return f;
}

static void flight_end(struct xeno_pieces *p, struct flight *f, int result,
                       const struct xeno_err *err)
{
    HASH_DEL(p->flights, f);
    f->done = true;
    f->result = result;
    f->err = *err;
    pthread_cond_broadcast(&p->changed);
    if (f->waiting == 0)
        free(f);
}

/* Returns: what came of it. */
static int flight_wait(struct xeno_pieces *p, struct flight *f, struct xeno_err *err)
{
    int r;

    f->waiting++;
    while (!f->done)
        pthread_cond_wait(&p->changed, &p->mutex);
    r = f->result;
    if (r < 0 && err)
        *err = f->err;
    if (--f->waiting == 0)
        free(f);
    return r;
}

/* Who fetches ahead waits here, where nobody waits for him yet, and begins when no reader is at it.
 * Returns: 1 with *ret_flight, to be ended; 0 with *ret; or an error. */
static int join(struct xeno_pieces *p, const struct xeno_piece *piece, bool ahead,
                struct held **ret, struct flight **ret_flight, struct xeno_err *err)
{
    struct flight *f;
    int r = 0;

    while (r == 0) {
        while (ahead && p->urgent > 0)
            pthread_cond_wait(&p->changed, &p->mutex);
        *ret = held_find(p, piece->sha);
        if (*ret)
            return 0;
        HASH_FIND(hh, p->flights, piece->sha, SHA, f);
        if (!f) {
            *ret_flight = flight_begin(p, piece->sha);
            p->urgent += !ahead;
            return 1;
        }
        r = flight_wait(p, f, err);
    }
    return r;
}

/* Returns: 0 or 1 with *ret, to be given back, or with *ret_bytes, the caller's. */
static int get(struct xeno_pieces *p, const struct xeno_piece *piece, bool ahead, struct held **ret,
               void **ret_bytes, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    struct found found = { .fd = -1 };
    struct flight *f = NULL;
    int r;

    pthread_mutex_lock(&p->mutex);
    r = join(p, piece, ahead, ret, &f, err);
    pthread_mutex_unlock(&p->mutex);
    if (r <= 0)
        return r;
    r = find(p, piece, &found, &why);
    pthread_mutex_lock(&p->mutex);
    if (found.fd >= 0)
        *ret = held_add(p, piece, found.fd);
    p->urgent -= !ahead;
    flight_end(p, f, r, &why);
    pthread_mutex_unlock(&p->mutex);
    *ret_bytes = found.bytes;
    if (r < 0 && err)
        *err = why;
    return r < 0 ? r : found.fetched;
}

static void put(struct xeno_pieces *p, struct held *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&p->mutex);
    held_put(p, h);
    pthread_mutex_unlock(&p->mutex);
}

int xeno_pieces_read(struct xeno_pieces *p, const struct xeno_piece *piece, int64_t offset,
                     void *buf, size_t len, struct xeno_err *err)
{
    xeno_autofree void *bytes = NULL;
    struct held *h = NULL;
    int r = get(p, piece, false, &h, &bytes, err), n = 0;

    if (r < 0)
        return r;
    if (h)
        n = read_at(h->fd, buf, len, offset);
    else
        memcpy(buf, (const char *)bytes + offset, len);
    put(p, h);
    return n < 0 ? xeno_fail_errno(err, n, "cache.io", "read a piece in '%s'", p->path) : r;
}

int xeno_pieces_ahead(struct xeno_pieces *p, const struct xeno_piece *piece, bool behind,
                      struct xeno_err *err)
{
    xeno_autofree void *bytes = NULL;
    struct held *h = NULL;
    int r = get(p, piece, behind, &h, &bytes, err);

    put(p, h);
    return r;
}
