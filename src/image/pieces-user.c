/* src/image/pieces-user.c - which mount has read what, and in which order. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"
#include "image/pieces-priv.h"

#define USER_MAX_BYTES (8 + (int64_t)SHA * 4000000) /* a layer has no more pieces */

static int check_name(const char *name, struct xeno_err *err)
{
    size_t len = strlen(name);

    if (len == 0 || len > XENO_PIECES_NAME_MAX || name[0] == '.' ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return xeno_fail(err, -EINVAL, "cache.name", "'%.140s' is no name of a mount or a record",
                         name);
    return 0;
}

int xeno_pieces_user_open(struct xeno_pieces *p, const char *name, struct xeno_pieces_user **ret,
                          struct xeno_err *err)
{
    xeno_autoclose int fd = -1;
    struct xeno_pieces_user *u;
    int r = check_name(name, err);

    if (r == 0)
        r = xeno_cache_flock(p->users, name, LOCK_EX | LOCK_NB, &fd, err);
    if (r == -EWOULDBLOCK)
        return xeno_fail(err, -EEXIST, "cache.user", "'%s' is mounted already", name);
    if (r < 0)
        return r;
    if (ftruncate(fd, 0) < 0 || fcntl(fd, F_SETFL, O_APPEND) < 0 || write(fd, RECORD_MAGIC, 8) != 8)
        return xeno_fail_errno(err, -errno, "cache.io", "write '%s/users/%s'", p->path, name);
    u = xeno_new0(struct xeno_pieces_user);
    u->p = p;
    u->fd = xeno_take_fd(&fd);
    strcpy(u->name, name);
    *ret = u;
    return 0;
}

void xeno_pieces_user_free(struct xeno_pieces_user *u)
{
    if (!u)
        return;
    unlinkat(u->p->users, u->name, 0);
    close(u->fd);
    free(u);
}

void xeno_pieces_used(struct xeno_pieces_user *u, const uint8_t sha[32], bool fetched)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_OMIT } };
    char path[PIECE_PATH];

    if (write(u->fd, sha, SHA) != SHA)
        return; /* a disk that is full: the rest of the file is read as far as it is whole */
    if (fetched)
        return;
    piece_path(sha, path);
    utimensat(u->p->pieces, path, times, AT_SYMLINK_NOFOLLOW);
}

/* --- records --- */

uint8_t *pieces_record_parse(const void *data, size_t len, size_t *ret_count)
{
    if (len < 8 + SHA || memcmp(data, RECORD_MAGIC, 8) != 0)
        return NULL;
    *ret_count = (len - 8) / SHA;
    return xeno_memdup((const char *)data + 8, *ret_count * SHA);
}

int xeno_pieces_record(struct xeno_pieces_user *u, const char *name, struct xeno_err *err)
{
    xeno_autofree char *data = NULL;
    size_t room = 8 + (size_t)SHA * XENO_PIECES_RECORD_MAX;
    ssize_t len;
    int r = check_name(name, err);

    if (r < 0)
        return r;
    data = xeno_alloc0(1, room);
    len = pread(u->fd, data, room, 0);
    if (len < 0)
        return xeno_fail_errno(err, -errno, "cache.io", "read '%s/users/%s'", u->p->path, u->name);
    if (len < 8 + SHA)
        return 0;
    return xeno_file_write(u->p->records, name, 0600, data, (size_t)len, err);
}

int xeno_pieces_recorded(struct xeno_pieces *p, const char *name, uint8_t **ret, size_t *ret_count,
                         struct xeno_err *err)
{
    xeno_autofree char *data = NULL;
    uint8_t *all;
    size_t len;
    int r = check_name(name, err);

    if (r == 0)
        r = xeno_file_read(p->records, name, 8 + (size_t)SHA * XENO_PIECES_RECORD_MAX, &data, &len,
                           err);
    all = r < 0 ? NULL : pieces_record_parse(data, len, ret_count);
    if (!all)
        return xeno_fail(err, -ENOENT, "cache.record", "there is no record '%s'", name);
    *ret = all;
    return 0;
}

/* --- pins --- */

/* One that can be locked belongs to no process any more. */
static void read_user(struct xeno_pieces *p, const char *name, uint8_t **all, size_t *count)
{
    xeno_autoclose int fd = openat(p->users, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    xeno_autofree uint8_t *shas = NULL;
    xeno_autofree char *data = NULL;
    size_t len, n = 0;

    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        unlinkat(p->users, name, 0);
        return;
    }
    if (xeno_read_all(fd, USER_MAX_BYTES, &data, &len) < 0)
        return;
    shas = pieces_record_parse(data, len, &n);
    if (!shas)
        return;
    *all = xeno_grow(*all, (*count + n) * SHA);
    memcpy(*all + *count * SHA, shas, n * SHA);
    *count += n;
}

void pins_read(struct xeno_pieces *p, struct pins *ret)
{
    int fd = openat(p->users, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    xeno_autofree uint8_t *all = NULL;
    struct dirent *e;
    struct pin *known;
    size_t count = 0;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.')
            read_user(p, e->d_name, &all, &count);
    if (d)
        closedir(d);
    ret->table = NULL;
    ret->all = xeno_new0_n(struct pin, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct pin *pin = &ret->all[i];

        HASH_FIND(hh, ret->table, all + i * SHA, SHA, known);
        if (known)
            continue;
        memcpy(pin->sha, all + i * SHA, SHA);
        HASH_ADD(hh, ret->table, sha, SHA, pin);
    }
}

void pins_release(struct pins *pins)
{
    HASH_CLEAR(hh, pins->table);
    free(pins->all);
}
