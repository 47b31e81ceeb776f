/* src/image/pack.c - writing tar by libarchive. */
#include "image/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK (128 * 1024)

struct xeno_pack {
    struct xeno_pack_output output;
    struct archive *a;
    struct archive_entry *e;
    struct xeno_err err; /* why the callback failed */
    bool dead;           /* nothing more is to come out */
    locale_t utf8;       /* names are UTF-8 in pax headers, whatever the caller's locale */
    char chunk[CHUNK];
};

static la_ssize_t on_write(struct archive *a, void *arg, const void *data, size_t len)
{
    struct xeno_pack *p = arg;

    if (!p->dead && p->output.write(p->output.arg, data, len, &p->err) < 0) {
        archive_set_error(a, EIO, "output");
        return -1;
    }
    return (la_ssize_t)len;
}

static int fail(struct xeno_pack *p, const char *name, struct xeno_err *err)
{
    const char *why = archive_error_string(p->a);

    if (p->err.code != 0)
        return xeno_fail(err, p->err.code, p->err.token, "%s", p->err.text);
    return xeno_fail(err, -EIO, "image.write", "pack '%.200s': %s", name, why ? why : "unknown");
}

int xeno_pack_new(const struct xeno_pack_output *output, struct xeno_pack **ret,
                  struct xeno_err *err)
{
    xeno_auto(xeno_pack) p = xeno_new0(struct xeno_pack);

    p->output = *output;
    p->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    p->a = archive_write_new();
    p->e = archive_entry_new();
    if (!p->a || !p->e)
        return xeno_fail(err, -ENOMEM, "image.write", "no memory");
    /* A pax header only where plain ustar cannot say it. */
    archive_write_set_format_pax_restricted(p->a);
    /* Without a buffer of its own, whoever is told of members knows where their data begin. */
    archive_write_set_bytes_per_block(p->a, output->member ? 0 : CHUNK);
    archive_write_set_bytes_in_last_block(p->a, 1);
    if (archive_write_open(p->a, p, NULL, on_write, NULL) != ARCHIVE_OK)
        return fail(p, "", err);
    *ret = xeno_take(&p);
    return 0;
}

void xeno_pack_free(struct xeno_pack *p)
{
    if (!p)
        return;
    /* Freeing writes what is buffered, and a trailer, of an archive that was not finished: into the
     * void. (archive_write_fail() would spare that, and leaks the buffer.) */
    p->dead = true;
    archive_write_free(p->a);
    archive_entry_free(p->e);
    if (p->utf8)
        freelocale(p->utf8);
    free(p);
}

static mode_t file_type(enum xeno_tar_type type)
{
    switch (type) {
    case XENO_TAR_DIR:
        return AE_IFDIR;
    case XENO_TAR_SYMLINK:
        return AE_IFLNK;
    case XENO_TAR_FIFO:
        return AE_IFIFO;
    default:
        return AE_IFREG;
    }
}

/* What the tar says of its time: the archive writes a fraction for some members only, so none has
 * one, or table and tar would differ. */
static int tell_member(struct xeno_pack *p, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    struct xeno_tar_entry said = *e;

    said.mtime.tv_nsec = 0;
    return p->output.member(p->output.arg, &said, err);
}

int xeno_pack_add(struct xeno_pack *p, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    locale_t old = p->utf8 ? uselocale(p->utf8) : (locale_t)0;
    int r;

    archive_entry_clear(p->e);
    archive_entry_set_pathname(p->e, e->name);
    archive_entry_set_filetype(p->e, file_type(e->type));
    archive_entry_set_perm(p->e, (mode_t)e->mode);
    archive_entry_set_uid(p->e, e->uid);
    archive_entry_set_gid(p->e, e->gid);
    archive_entry_set_mtime(p->e, e->mtime.tv_sec, 0);
    archive_entry_set_size(p->e, e->type == XENO_TAR_FILE ? e->size_bytes : 0);
    if (e->type == XENO_TAR_SYMLINK)
        archive_entry_set_symlink(p->e, e->link);
    if (e->type == XENO_TAR_HARDLINK)
        archive_entry_set_hardlink(p->e, e->link);
    for (size_t i = 0; i < e->xattr_count; i++)
        archive_entry_xattr_add_entry(p->e, e->xattrs[i].name, e->xattrs[i].value,
                                      e->xattrs[i].len);
    for (size_t i = 0; e->sparse && i < e->extent_count; i++)
        archive_entry_sparse_add_entry(p->e, e->extents[i].offset, e->extents[i].len);
    if (e->sparse && e->extent_count == 0) /* nothing but a hole */
        archive_entry_sparse_add_entry(p->e, e->size_bytes, 0);
    r = archive_write_header(p->a, p->e);
    if (old)
        uselocale(old);
    if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
        return fail(p, e->name, err);
    return p->output.member ? tell_member(p, e, err) : 0;
}

int xeno_pack_data(struct xeno_pack *p, const void *data, size_t len, struct xeno_err *err)
{
    const char *at = data;

    while (len > 0) {
        la_ssize_t n = archive_write_data(p->a, at, len);

        if (n <= 0)
            return fail(p, "data", err);
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

int xeno_pack_file(struct xeno_pack *p, int fd, int64_t size_bytes, const char *name,
                   struct xeno_err *err)
{
    int64_t left = size_bytes;

    while (left > 0) {
        ssize_t n = read(fd, p->chunk, left < CHUNK ? (size_t)left : CHUNK);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.source", "read '%.200s'", name);
        if (n == 0)
            return xeno_fail(err, -ESTALE, "image.changed", "'%.200s' was cut while it was read",
                             name);
        r = xeno_pack_data(p, p->chunk, (size_t)n, err);
        if (r < 0)
            return r;
        left -= n;
    }
    return 0;
}

int xeno_pack_end(struct xeno_pack *p, struct xeno_err *err)
{
    return archive_write_close(p->a) == ARCHIVE_OK ? 0 : fail(p, "the end", err);
}
