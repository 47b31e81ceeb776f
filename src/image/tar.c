/* src/image/tar.c - reading tar by libarchive. */
#include "image/tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK         (256 * 1024)
#define RATIO_FREE    (INT64_C(64) << 20) /* below this size a bomb is a squib */
#define LINK_MAX_TEXT 4095

struct xeno_tar {
    const struct xeno_tar_input *input;
    const struct xeno_unpack_limits *limits;
    struct archive *outer; /* decompression */
    struct archive *inner; /* tar */
    struct xeno_sha256 *hash;
    struct xeno_err err; /* why a callback failed; outranks what libarchive says of it */
    int64_t packed, unpacked, sum_sizes;
    bool drained;
    char in[CHUNK], out[CHUNK];
};

/* Names in pax headers are UTF-8, which libarchive hands out in the locale's charset: in the C
 * locale they would be lost. Set for the length of one call, for this thread only. */
static locale_t utf8_enter(void)
{
    static locale_t utf8;

    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    return utf8 ? uselocale(utf8) : (locale_t)0;
}

static void utf8_leave(locale_t old)
{
    if (old)
        uselocale(old);
}

static ssize_t fd_read(void *arg, void *buf, size_t max, struct xeno_err *err)
{
    ssize_t n;

    do {
        n = read(*(const int *)arg, buf, max);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return xeno_fail_errno(err, -errno, "image.read", "read the archive");
    return n;
}

struct xeno_tar_input xeno_tar_fd(const int *fd)
{
    return (struct xeno_tar_input){ .read = fd_read, .arg = (void *)(uintptr_t)fd };
}

static la_ssize_t outer_read(struct archive *a, void *arg, const void **ret)
{
    struct xeno_tar *t = arg;
    ssize_t n = t->input->read(t->input->arg, t->in, sizeof(t->in), &t->err);

    if (n < 0) {
        archive_set_error(a, EIO, "input");
        return -1;
    }
    t->packed += n;
    *ret = t->in;
    return n;
}

static int count(struct xeno_tar *t, size_t n)
{
    const struct xeno_unpack_limits *lim = t->limits;

    t->unpacked += (int64_t)n;
    if (t->unpacked > lim->total_bytes)
        return xeno_fail(&t->err, -EFBIG, "unpack.limit",
                         "the layer is larger than %lld bytes unpacked",
                         (long long)lim->total_bytes);
    if (t->unpacked > RATIO_FREE && t->unpacked / lim->ratio > t->packed)
        return xeno_fail(&t->err, -EFBIG, "unpack.limit",
                         "the layer grows more than %lld-fold when unpacked (%lld bytes from %lld)",
                         (long long)lim->ratio, (long long)t->unpacked, (long long)t->packed);
    return 0;
}

/* Bytes of the tar, for the inner reader: counted and hashed. */
static la_ssize_t inner_read(struct archive *a, void *arg, const void **ret)
{
    struct xeno_tar *t = arg;
    la_ssize_t n = t->drained ? 0 : archive_read_data(t->outer, t->out, sizeof(t->out));

    if (n < 0) {
        if (t->err.code == 0)
            xeno_fail(&t->err, -EBADMSG, "image.corrupt", "decompress: %s",
                      archive_error_string(t->outer));
        archive_set_error(a, EIO, "input");
        return -1;
    }
    if (n == 0)
        t->drained = true;
    if (count(t, (size_t)n) < 0) {
        archive_set_error(a, EIO, "limit");
        return -1;
    }
    xeno_sha256_add(t->hash, t->out, (size_t)n);
    *ret = t->out;
    return n;
}

static int fail_inner(struct xeno_tar *t, struct xeno_err *err)
{
    const char *why = archive_error_string(t->inner);

    if (t->err.code != 0)
        return xeno_fail(err, t->err.code, t->err.token, "%s", t->err.text);
    return xeno_fail(err, -EBADMSG, "image.corrupt", "not a sound tar archive: %s",
                     why ? why : "no reason given");
}

/* filters: bits of 1 << enum xeno_compression that may be there. */
static int open_outer(struct xeno_tar *t, unsigned filters, struct xeno_err *err)
{
    struct archive_entry *e;
    int r, have;

    t->outer = archive_read_new();
    if (!t->outer)
        return xeno_fail(err, -ENOMEM, "image.read", "no memory");
    if (filters & 1u << XENO_COMPRESS_GZIP)
        archive_read_support_filter_gzip(t->outer);
    if (filters & 1u << XENO_COMPRESS_ZSTD)
        archive_read_support_filter_zstd(t->outer);
    archive_read_support_format_raw(t->outer);
    archive_read_support_format_empty(t->outer);
    r = archive_read_open(t->outer, t, NULL, outer_read, NULL);
    if (r == ARCHIVE_OK)
        r = archive_read_next_header(t->outer, &e);
    if (t->err.code != 0)
        return xeno_fail(err, t->err.code, t->err.token, "%s", t->err.text);
    if (r != ARCHIVE_OK && r != ARCHIVE_EOF)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "decompress: %s",
                         archive_error_string(t->outer));
    /* libarchive would take gzip within gzip within gzip: a bomb of bombs. */
    have = archive_filter_count(t->outer);
    if (have > 2)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "compressed more than once");
    if (!(filters & 1u << XENO_COMPRESS_NONE) && have < 2 && r != ARCHIVE_EOF)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "not compressed in the way its media type says");
    t->drained = r == ARCHIVE_EOF;
    return 0;
}

static int open_inner(struct xeno_tar *t, struct xeno_err *err)
{
    t->inner = archive_read_new();
    if (!t->inner)
        return xeno_fail(err, -ENOMEM, "image.read", "no memory");
    archive_read_support_format_tar(t->inner);
    archive_read_support_format_empty(t->inner);
    if (archive_read_open(t->inner, t, NULL, inner_read, NULL) != ARCHIVE_OK)
        return fail_inner(t, err);
    return 0;
}

static int tar_open(const struct xeno_tar_input *input, unsigned compressions, bool raw,
                    const struct xeno_unpack_limits *limits, struct xeno_tar **ret,
                    struct xeno_err *err)
{
    xeno_auto(xeno_tar) t = xeno_new0(struct xeno_tar);
    locale_t old = utf8_enter();
    int r;

    t->input = input;
    t->limits = limits;
    t->hash = xeno_sha256_new();
    r = open_outer(t, compressions, err);
    if (r >= 0 && !raw)
        r = open_inner(t, err);
    utf8_leave(old);
    if (r < 0)
        return r;
    *ret = xeno_take(&t);
    return 0;
}

int xeno_tar_open(const struct xeno_tar_input *input, unsigned compressions,
                  const struct xeno_unpack_limits *limits, struct xeno_tar **ret,
                  struct xeno_err *err)
{
    return tar_open(input, compressions, false, limits, ret, err);
}

int xeno_tar_open_raw(const struct xeno_tar_input *input, unsigned compressions,
                      const struct xeno_unpack_limits *limits, struct xeno_tar **ret,
                      struct xeno_err *err)
{
    return tar_open(input, compressions, true, limits, ret, err);
}

int xeno_tar_bytes(struct xeno_tar *t, const void **ret, size_t *ret_len, struct xeno_err *err)
{
    la_ssize_t n = t->drained ? 0 : inner_read(t->outer, t, ret);

    if (n < 0)
        return xeno_fail(err, t->err.code, t->err.token, "%s", t->err.text);
    *ret_len = (size_t)n;
    return n > 0;
}

void xeno_tar_free(struct xeno_tar *t)
{
    if (!t)
        return;
    archive_read_free(t->inner);
    archive_read_free(t->outer);
    xeno_sha256_free(t->hash);
    free(t);
}

static enum xeno_tar_type type_of(struct archive_entry *e, const char **ret_kind)
{
    if (archive_entry_hardlink(e))
        return XENO_TAR_HARDLINK;
    switch (archive_entry_filetype(e)) {
    case AE_IFREG:
        return XENO_TAR_FILE;
    case AE_IFDIR:
        return XENO_TAR_DIR;
    case AE_IFLNK:
        return XENO_TAR_SYMLINK;
    case AE_IFIFO:
        return XENO_TAR_FIFO;
    case AE_IFCHR:
        *ret_kind = "a character device";
        return XENO_TAR_OTHER;
    case AE_IFBLK:
        *ret_kind = "a block device";
        return XENO_TAR_OTHER;
    case AE_IFSOCK:
        *ret_kind = "a socket";
        return XENO_TAR_OTHER;
    default:
        *ret_kind = "of an unknown type";
        return XENO_TAR_OTHER;
    }
}

/* libarchive writes each attribute in two forms (LIBARCHIVE.xattr, SCHILY.xattr), and hands out
 * both. */
static bool has_xattr(const struct xeno_tar_entry *e, const char *name)
{
    for (size_t i = 0; i < e->xattr_count; i++)
        if (strcmp(e->xattrs[i].name, name) == 0)
            return true;
    return false;
}

static int take_xattrs(struct xeno_tar *t, struct archive_entry *e, struct xeno_tar_entry *out,
                       struct xeno_err *err)
{
    int64_t bytes = 0;
    const char *name;
    const void *value;
    size_t len;

    archive_entry_xattr_reset(e);
    while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK) {
        if (name && has_xattr(out, name))
            continue;
        bytes += (int64_t)len + (name ? (int64_t)strlen(name) : 0);
        if (bytes > t->limits->xattr_bytes || out->xattr_count == XENO_TAR_XATTRS_MAX)
            return xeno_fail(err, -EFBIG, "unpack.limit",
                             "'%.200s' has more than %lld bytes or %d extended attributes",
                             out->name, (long long)t->limits->xattr_bytes, XENO_TAR_XATTRS_MAX);
        if (name)
            out->xattrs[out->xattr_count++] =
                (struct xeno_tar_xattr){ .name = name, .value = value, .len = len };
    }
    return 0;
}

static int take_entry(struct xeno_tar *t, struct archive_entry *e, struct xeno_tar_entry *out,
                      struct xeno_err *err)
{
    const struct xeno_unpack_limits *lim = t->limits;
    const char *link = NULL;

    memset(out, 0, sizeof(*out));
    out->name = archive_entry_pathname(e);
    if (!out->name)
        return xeno_fail(err, -EINVAL, "unpack.name", "a member has a name that is no text");
    out->type = type_of(e, &out->kind);
    if (out->type == XENO_TAR_HARDLINK)
        link = archive_entry_hardlink(e);
    else if (out->type == XENO_TAR_SYMLINK)
        link = archive_entry_symlink(e);
    if ((out->type == XENO_TAR_HARDLINK || out->type == XENO_TAR_SYMLINK) &&
        (!link || link[0] == '\0' || strlen(link) > LINK_MAX_TEXT))
        return xeno_fail(err, -EINVAL, "unpack.link",
                         "'%.200s' is a link to nothing, or to a name over %d bytes", out->name,
                         LINK_MAX_TEXT);
    out->link = link ? link : "";
    out->uid = archive_entry_uid(e);
    out->gid = archive_entry_gid(e);
    out->mode = archive_entry_perm(e) & 07777;
    out->mtime = (struct timespec){ .tv_sec = archive_entry_mtime(e),
                                    .tv_nsec = archive_entry_mtime_nsec(e) };
    out->size_bytes = out->type == XENO_TAR_FILE ? archive_entry_size(e) : 0;
    if (out->size_bytes < 0 || out->size_bytes > lim->file_bytes)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "'%.200s' is %lld bytes; one file may be %lld", out->name,
                         (long long)out->size_bytes, (long long)lim->file_bytes);
    /* A sparse file costs nothing in the tar; it counts as large as it says it is. */
    if (__builtin_add_overflow(t->sum_sizes, out->size_bytes, &t->sum_sizes) ||
        t->sum_sizes > lim->total_bytes)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "with '%.200s' the files of the layer are larger than %lld bytes",
                         out->name, (long long)lim->total_bytes);
    return take_xattrs(t, e, out, err);
}

int xeno_tar_next(struct xeno_tar *t, struct xeno_tar_entry *ret, struct xeno_err *err)
{
    locale_t old = utf8_enter();
    struct archive_entry *e;
    int r = archive_read_next_header(t->inner, &e);

    if (r == ARCHIVE_EOF) {
        r = 0;
    } else if (r != ARCHIVE_OK && r != ARCHIVE_WARN) {
        r = fail_inner(t, err);
    } else {
        r = take_entry(t, e, ret, err);
        if (r >= 0)
            r = 1;
    }
    utf8_leave(old);
    return r;
}

int xeno_tar_data(struct xeno_tar *t, const void **ret, size_t *ret_len, int64_t *ret_offset,
                  struct xeno_err *err)
{
    la_int64_t offset;
    int r = archive_read_data_block(t->inner, ret, ret_len, &offset);

    if (r == ARCHIVE_EOF)
        return 0;
    if (r != ARCHIVE_OK)
        return fail_inner(t, err);
    *ret_offset = offset;
    return 1;
}

int xeno_tar_end(struct xeno_tar *t, char ret_diff_id[XENO_DIGEST_TEXT], int64_t *ret_bytes,
                 struct xeno_err *err)
{
    const void *rest;
    uint8_t sha[32];

    while (!t->drained) {
        if (inner_read(t->outer, t, &rest) < 0)
            return xeno_fail(err, t->err.code, t->err.token, "%s", t->err.text);
    }
    xeno_sha256_end(t->hash, sha);
    xeno_digest_text(sha, ret_diff_id);
    *ret_bytes = t->unpacked;
    return 0;
}
