/* src/image/toc-read.c - read a table of contents that a stranger wrote. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/base64.h"
#include "image/toc-priv.h"
#include "json/json.h"

#define ENTRIES_MAX (4 << 20) /* members and pieces: more than the limits let through */
#define NAME_BYTES  4095
#define ID_MAX      INT64_C(0x7fffffff)

struct reader {
    struct xeno_toc *toc;
    const struct xeno_unpack_limits *limits;
    int64_t blob_bytes, all_bytes, names_bytes;
    int64_t end; /* in the blob: where the last piece of the last file ends */
    bool pieces; /* the last file said chunkSize, so pieces may follow */
};

static int bad(const struct xeno_json_at *at, const char *why, struct xeno_err *err)
{
    return xeno_fail(err, -EINVAL, "image.toc", "%s: %s", at->path, why);
}

/* --- the last file, closed when the next entry is no piece of it --- */

/* The size of every piece is known: is any too large to be fetched whole? */
static int check_sizes(const struct xeno_toc *t, const struct xeno_toc_file *f,
                       struct xeno_err *err)
{
    for (size_t i = 0; i < f->chunk_count; i++) {
        const struct xeno_toc_chunk *c = &t->chunks[f->chunk + i];

        if (!c->zeros && c->size_bytes > XENO_TOC_CHUNK_MAX)
            return xeno_fail(err, -EFBIG, "unpack.limit",
                             "a piece of '%.200s' has %lld bytes; one may have %d", f->name,
                             (long long)c->size_bytes, XENO_TOC_CHUNK_MAX);
        if (c->blob_bytes > 2 * (int64_t)XENO_TOC_CHUNK_MAX)
            return xeno_fail(err, -EFBIG, "unpack.limit",
                             "a piece of '%.200s' takes %lld bytes of the blob; one may take %lld",
                             f->name, (long long)c->blob_bytes, 2 * (long long)XENO_TOC_CHUNK_MAX);
    }
    return 0;
}

static int close_file(struct reader *rd, struct xeno_err *err)
{
    struct xeno_toc *t = rd->toc;
    struct xeno_toc_file *f = t->count > 0 ? &t->files[t->count - 1] : NULL;
    struct xeno_toc_chunk *last;
    int64_t left;

    if (!f || f->chunk_count == 0)
        return 0;
    last = &t->chunks[t->chunk_count - 1];
    left = f->size_bytes - last->file_offset;
    if (last->size_bytes == 0)
        last->size_bytes = left; /* the last piece need not say it */
    last->blob_bytes = rd->end - last->blob_offset;
    if (last->size_bytes != left || left <= 0 || last->blob_bytes <= 0)
        return xeno_fail(err, -EINVAL, "image.toc",
                         "the pieces of '%.200s' do not make up its %lld bytes", f->name,
                         (long long)f->size_bytes);
    return check_sizes(t, f, err);
}

/* --- pieces --- */

static int read_sha(const struct xeno_json_at *at, const char *key, uint8_t sha[32],
                    struct xeno_err *err)
{
    const char *text = "";
    int r = xeno_json_str(at, key, 1, 255, &text, err);

    if (r < 0)
        return r;
    return xeno_digest_parse(text, sha) ? 0 : bad(at, "not a sha256 digest", err);
}

/* Where the piece lies; its size may still be 0 (see close_file). */
static int read_chunk(struct reader *rd, const struct xeno_json_at *at, struct xeno_toc_chunk *c,
                      struct xeno_err *err)
{
    const char *type = "";
    int r = xeno_json_int(at, "offset", 1, rd->blob_bytes, &c->blob_offset, err);

    if (r >= 0)
        r = xeno_json_int_opt(at, "chunkOffset", 0, rd->limits->file_bytes, &c->file_offset, err);
    if (r >= 0)
        r = xeno_json_int_opt(at, "chunkSize", 0, rd->limits->file_bytes, &c->size_bytes, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, "chunkType", 0, 32, &type, err);
    if (r < 0)
        return r;
    c->zeros = strcmp(type, "zeros") == 0;
    if (type[0] != '\0' && !c->zeros)
        return bad(at, "a chunkType that is neither data nor zeros", err);
    return 0;
}

static int read_piece(struct reader *rd, const struct xeno_json_at *at, struct xeno_err *err)
{
    struct xeno_toc *t = rd->toc;
    struct xeno_toc_file *f = t->count > 0 ? &t->files[t->count - 1] : NULL;
    struct xeno_toc_chunk c = { .file_offset = 0 }, *before;
    const char *name = "";
    int r = xeno_json_str(at, "name", 1, NAME_BYTES, &name, err);

    if (r >= 0)
        r = read_chunk(rd, at, &c, err);
    if (r >= 0)
        r = read_sha(at, "chunkDigest", c.sha, err);
    if (r < 0)
        return r;
    if (!f || !rd->pieces || strcmp(f->name, name) != 0)
        return bad(at, "a piece that follows no piece of its file", err);
    if (t->chunk_count == XENO_TOC_CHUNKS_MAX)
        return xeno_fail(err, -EFBIG, "unpack.limit", "%s: more than %d pieces", at->path,
                         XENO_TOC_CHUNKS_MAX);
    before = &t->chunks[t->chunk_count - 1];
    before->blob_bytes = c.blob_offset - before->blob_offset;
    if (before->size_bytes == 0 || c.file_offset != before->file_offset + before->size_bytes ||
        before->blob_bytes <= 0 || c.blob_offset >= rd->end)
        return bad(at, "a piece that does not begin where the one before ends", err);
    xeno_toc_add_chunk(t, &c);
    return 0;
}

/* --- members --- */

/* "2026-11-21T10:33:00.25+01:00" (RFC 3339). */
static bool read_time(const char *text, struct timespec *ret)
{
    struct tm tm = { .tm_sec = 0 };
    const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    int hours = 0, minutes = 0, used = 0;
    char sign = '+';
    long nsec = 0;

    if (!p)
        return false;
    if (*p == '.') {
        long unit = 100000000;

        for (p++; *p >= '0' && *p <= '9' && unit > 0; p++, unit /= 10)
            nsec += (*p - '0') * unit;
    }
    if (strcmp(p, "Z") != 0 &&
        (sscanf(p, "%c%2d:%2d%n", &sign, &hours, &minutes, &used) != 3 || p[used] != '\0' ||
         (sign != '+' && sign != '-') || hours < 0 || hours > 23 || minutes < 0 || minutes > 59))
        return false;
    ret->tv_sec = timegm(&tm) - (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    ret->tv_nsec = nsec;
    return true;
}

static int read_xattrs(struct reader *rd, const struct xeno_json_at *at, struct xeno_toc_file *f,
                       struct xeno_err *err)
{
    struct xeno_json_at all;
    int64_t left = rd->limits->xattr_bytes;
    const char *key, *text;
    int r = xeno_json_obj_opt(at, "xattrs", &all, err);

    for (size_t i = 0; r == 0 && (key = xeno_json_key(&all, i)) != NULL; i++) {
        struct xeno_tar_xattr x = { .name = NULL };

        r = xeno_json_str(&all, key, 0, (size_t)rd->limits->xattr_bytes * 2, &text, err);
        if (r < 0)
            return r;
        left -= (int64_t)strlen(key);
        if (i == XENO_TAR_XATTRS_MAX || left < 0)
            return xeno_fail(err, -EFBIG, "unpack.limit",
                             "%s: more than %lld bytes or %d extended attributes", at->path,
                             (long long)rd->limits->xattr_bytes, XENO_TAR_XATTRS_MAX);
        x.value = xeno_unbase64(text, strlen(text), (size_t)left, &x.len);
        if (!x.value)
            return bad(&all, "not base64, or longer than a file's attributes may be", err);
        left -= (int64_t)x.len;
        x.name = xeno_strdup(key);
        f->xattrs = xeno_grow(f->xattrs, i + 1);
        f->xattrs[i] = x;
        f->xattr_count = i + 1;
    }
    return r < 0 ? r : 0;
}

static int read_type(const struct xeno_json_at *at, const char *type, struct xeno_toc_file *f,
                     struct xeno_err *err)
{
    for (enum xeno_tar_type i = XENO_TAR_FILE; i < XENO_TAR_OTHER; i++) {
        if (strcmp(type, xeno_toc_type_name(i)) == 0) {
            f->type = i;
            return 0;
        }
    }
    return xeno_fail(err, -EINVAL, "unpack.type", "%s: '%.40s' is nothing a layer may hold",
                     at->path, type);
}

static int read_names(struct reader *rd, const struct xeno_json_at *at, struct xeno_toc_file *f,
                      struct xeno_err *err)
{
    bool linked = f->type == XENO_TAR_SYMLINK || f->type == XENO_TAR_HARDLINK;
    const char *name = "", *link = "";
    int r = xeno_json_str(at, "name", 1, NAME_BYTES, &name, err);

    if (r >= 0)
        r = linked ? xeno_json_str(at, "linkName", 1, NAME_BYTES, &link, err) : 0;
    if (r < 0)
        return r;
    rd->names_bytes += (int64_t)(strlen(name) + strlen(link));
    if (rd->names_bytes > rd->limits->all_names_bytes)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "with '%.200s' the names of the layer are longer than %lld bytes", name,
                         (long long)rd->limits->all_names_bytes);
    f->name = xeno_strdup(name);
    f->link = xeno_strdup(link);
    return 0;
}

static int read_numbers(struct reader *rd, const struct xeno_json_at *at, struct xeno_toc_file *f,
                        struct xeno_err *err)
{
    const char *when = NULL;
    int64_t mode = 0;
    int r = xeno_json_int_opt(at, "mode", 0, 0xffffffff, &mode, err);

    if (r >= 0)
        r = xeno_json_int_opt(at, "uid", 0, ID_MAX, &f->uid, err);
    if (r >= 0)
        r = xeno_json_int_opt(at, "gid", 0, ID_MAX, &f->gid, err);
    if (r >= 0)
        r = xeno_json_str_opt(at, "modtime", 1, 64, &when, err);
    if (r >= 0 && f->type == XENO_TAR_FILE)
        r = xeno_json_int_opt(at, "size", 0, rd->limits->file_bytes, &f->size_bytes, err);
    if (r < 0)
        return r;
    f->mode = (unsigned)mode & 07777;
    if (when && !read_time(when, &f->mtime))
        return bad(at, "modtime is no time of RFC 3339", err);
    if (__builtin_add_overflow(rd->all_bytes, f->size_bytes, &rd->all_bytes) ||
        rd->all_bytes > rd->limits->total_bytes)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "with '%.200s' the files of the layer are larger than %lld bytes", f->name,
                         (long long)rd->limits->total_bytes);
    return 0;
}

/* The first piece of a file, or all of it. */
static int read_data(struct reader *rd, const struct xeno_json_at *at, struct xeno_err *err)
{
    struct xeno_toc_file *f = &rd->toc->files[rd->toc->count - 1];
    struct xeno_toc_chunk c = { .file_offset = 0 };
    int r = read_chunk(rd, at, &c, err);

    if (r >= 0)
        r = xeno_json_int(at, "endOffset", 1, rd->blob_bytes, &rd->end, err);
    if (r >= 0)
        r = read_sha(at, "digest", f->sha, err);
    rd->pieces = c.size_bytes > 0 && c.size_bytes < f->size_bytes;
    if (r >= 0 && rd->pieces)
        r = read_sha(at, "chunkDigest", c.sha, err);
    if (r < 0)
        return r;
    if (!rd->pieces)
        memcpy(c.sha, f->sha, sizeof(c.sha));
    if (c.file_offset != 0 || c.blob_offset >= rd->end)
        return bad(at, "the first piece of a file is not its beginning, or is empty", err);
    xeno_toc_add_chunk(rd->toc, &c);
    return 0;
}

static int read_member(struct reader *rd, const struct xeno_json_at *at, const char *type,
                       struct xeno_err *err)
{
    struct xeno_toc_file f = { .size_bytes = 0 };
    int r = close_file(rd, err);

    rd->pieces = false;
    if (r >= 0)
        r = read_type(at, type, &f, err);
    if (r >= 0 && (int64_t)rd->toc->count >= rd->limits->entries)
        r = xeno_fail(err, -EFBIG, "unpack.limit", "the layer has more than %lld members",
                      (long long)rd->limits->entries);
    if (r >= 0)
        r = read_names(rd, at, &f, err);
    if (r >= 0)
        r = read_numbers(rd, at, &f, err);
    if (r >= 0)
        r = read_xattrs(rd, at, &f, err);
    if (r < 0) {
        xeno_toc_file_release(&f);
        return r;
    }
    xeno_toc_push(rd->toc, &f);
    return f.size_bytes > 0 ? read_data(rd, at, err) : 0;
}

int xeno_toc_parse(const char *text, size_t len, int64_t blob_bytes,
                   const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                   struct xeno_err *err)
{
    xeno_auto(xeno_toc) toc = xeno_toc_new();
    struct reader rd = { .toc = toc, .limits = limits, .blob_bytes = blob_bytes };
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, entries;
    int64_t version = 0;
    size_t n = 0;
    int r = xeno_json_parse(text, len, XENO_TOC_MAX_BYTES, &doc, err);

    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_int(&top, "version", 1, 1, &version, err);
    if (r >= 0)
        r = xeno_json_arr(&top, "entries", ENTRIES_MAX, &entries, &n, err);
    for (size_t i = 0; r >= 0 && i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&entries, i);
        const char *type = "";

        r = xeno_json_str(&at, "type", 1, 32, &type, err);
        if (r >= 0)
            r = strcmp(type, "chunk") == 0 ? read_piece(&rd, &at, err)
                                           : read_member(&rd, &at, type, err);
    }
    if (r >= 0)
        r = close_file(&rd, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&toc);
    return 0;
}
