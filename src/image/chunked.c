/* src/image/chunked.c - write and read zstd:chunked blobs. */
#include "image/chunked.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <zstd.h>

#include "image/cdc.h"

#define LEVEL      6
#define SKIPPABLE  0x184D2A50u /* RFC 8878 3.1.2 */
#define FOOT_DATA  (XENO_CHUNKED_FOOT - 8)
#define TYPE_TABLE 1 /* the only kind of table there is */
#define MAGIC      "GNUlInUx"
#define OUT_BYTES  (128 * 1024)

struct xeno_chunked {
    struct xeno_pack_output output;
    struct xeno_toc *toc; /* NULL once a member could not be told */
    ZSTD_CCtx *zstd;
    int64_t at;     /* bytes of the blob written */
    bool head_open; /* a frame with heads is begun */
    int64_t left;   /* bytes of the current file's data still to come */
    int64_t done;   /* bytes of it that stand in frames */
    struct xeno_sha256 *hash;
    size_t held; /* bytes in piece[] */
    char piece[XENO_CDC_MAX];
    size_t out_size;
    char *out;
};

int xeno_chunked_new(const struct xeno_pack_output *output, struct xeno_chunked **ret,
                     struct xeno_err *err)
{
    xeno_auto(xeno_chunked) c = xeno_new0(struct xeno_chunked);

    c->output = *output;
    c->toc = xeno_toc_new();
    c->hash = xeno_sha256_new();
    c->zstd = ZSTD_createCCtx();
    if (!c->zstd)
        return xeno_fail(err, -ENOMEM, "image.write", "no memory to compress");
    ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, LEVEL);
    ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1);
    c->out_size = ZSTD_compressBound(XENO_CDC_MAX);
    c->out = xeno_alloc0(1, c->out_size);
    *ret = xeno_take(&c);
    return 0;
}

void xeno_chunked_free(struct xeno_chunked *c)
{
    if (!c)
        return;
    xeno_toc_free(c->toc);
    xeno_sha256_free(c->hash);
    ZSTD_freeCCtx(c->zstd);
    free(c->out);
    free(c);
}

static int put(struct xeno_chunked *c, const void *data, size_t len, struct xeno_err *err)
{
    c->at += (int64_t)len;
    return len > 0 ? c->output.write(c->output.arg, data, len, err) : 0;
}

/* Heads and padding: one frame up to the next file's data. */
static int add_head(struct xeno_chunked *c, const void *data, size_t len, ZSTD_EndDirective how,
                    struct xeno_err *err)
{
    ZSTD_inBuffer in = { .src = data, .size = len };
    size_t left;

    do {
        ZSTD_outBuffer out = { .dst = c->out, .size = c->out_size };
        int r;

        left = ZSTD_compressStream2(c->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return xeno_fail(err, -EIO, "image.write", "compress: %s", ZSTD_getErrorName(left));
        r = put(c, c->out, out.pos, err);
        if (r < 0)
            return r;
    } while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
    c->head_open = how != ZSTD_e_end;
    return 0;
}

static bool only_zeros(const char *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* One piece, in a frame of its own. */
static int add_piece(struct xeno_chunked *c, size_t len, struct xeno_err *err)
{
    struct xeno_toc_chunk piece = { .file_offset = c->done, .size_bytes = (int64_t)len };
    size_t n = ZSTD_compress2(c->zstd, c->out, c->out_size, c->piece, len);
    int r;

    if (ZSTD_isError(n))
        return xeno_fail(err, -EIO, "image.write", "compress: %s", ZSTD_getErrorName(n));
    piece.blob_offset = c->at;
    piece.blob_bytes = (int64_t)n;
    piece.zeros = only_zeros(c->piece, len);
    xeno_sha256_of(c->piece, len, piece.sha);
    r = put(c, c->out, n, err);
    if (r < 0)
        return r;
    if (c->toc)
        xeno_toc_add_chunk(c->toc, &piece);
    c->done += (int64_t)len;
    c->held -= len;
    memmove(c->piece, c->piece + len, c->held);
    return 0;
}

static int end_file(struct xeno_chunked *c)
{
    uint8_t sha[32];

    xeno_sha256_end(c->hash, sha);
    if (c->toc)
        xeno_toc_set_sha(c->toc, sha);
    return 0;
}

static int add_data(struct xeno_chunked *c, const char *data, size_t len, struct xeno_err *err)
{
    int r = 0;

    xeno_sha256_add(c->hash, data, len);
    c->left -= (int64_t)len;
    while (r >= 0 && len > 0) {
        size_t n = XENO_CDC_MAX - c->held < len ? XENO_CDC_MAX - c->held : len;

        memcpy(c->piece + c->held, data, n);
        c->held += n;
        data += n;
        len -= n;
        if (c->held == XENO_CDC_MAX)
            r = add_piece(c, xeno_cdc_cut(c->piece, c->held), err);
    }
    while (r >= 0 && c->left == 0 && c->held > 0)
        r = add_piece(c, xeno_cdc_cut(c->piece, c->held), err);
    return r >= 0 && c->left == 0 ? end_file(c) : r;
}

int xeno_chunked_add(struct xeno_chunked *c, const void *data, size_t len, struct xeno_err *err)
{
    const char *at = data;
    int r = 0;

    if (c->left > 0 && len > 0) {
        size_t n = c->left < (int64_t)len ? (size_t)c->left : len;

        r = add_data(c, at, n, err);
        at += n;
        len -= n;
    }
    return r >= 0 && len > 0 ? add_head(c, at, len, ZSTD_e_continue, err) : r;
}

int xeno_chunked_member(struct xeno_chunked *c, const struct xeno_tar_entry *e,
                        struct xeno_err *err)
{
    if (c->toc && !xeno_toc_add(c->toc, e)) {
        xeno_toc_free(c->toc);
        c->toc = NULL;
    }
    if (e->type != XENO_TAR_FILE || e->size_bytes == 0)
        return 0;
    c->left = e->size_bytes;
    c->done = 0;
    return c->head_open ? add_head(c, "", 0, ZSTD_e_end, err) : 0;
}

/* --- the end: a table and a foot --- */

static void set_le64(char *p, int64_t n)
{
    uint64_t le = htole64((uint64_t)n);

    memcpy(p, &le, sizeof(le));
}

static int64_t get_le64(const char *p)
{
    uint64_t le;

    memcpy(&le, p, sizeof(le));
    le = le64toh(le);
    return le > INT64_MAX ? -1 : (int64_t)le;
}

static int put_skippable(struct xeno_chunked *c, const void *data, size_t len, struct xeno_err *err)
{
    uint32_t head[2] = { htole32(SKIPPABLE), htole32((uint32_t)len) };
    int r = put(c, head, sizeof(head), err);

    return r < 0 ? r : put(c, data, len, err);
}

static int put_table(struct xeno_chunked *c, struct xeno_toc_place *place, struct xeno_err *err)
{
    char foot[FOOT_DATA] = { 0 };
    xeno_autofree char *text = NULL, *packed = NULL;
    size_t len, room, n;
    int r;

    text = xeno_toc_format(c->toc, &len);
    room = ZSTD_compressBound(len);
    packed = xeno_alloc0(1, room);
    n = ZSTD_compress2(c->zstd, packed, room, text, len);
    if (ZSTD_isError(n))
        return xeno_fail(err, -EIO, "image.write", "compress: %s", ZSTD_getErrorName(n));
    xeno_sha256_of(packed, n, place->sha);
    place->offset = c->at + 8;
    place->bytes = (int64_t)n;
    place->raw_bytes = (int64_t)len;
    r = put_skippable(c, packed, n, err);
    if (r < 0)
        return r;
    set_le64(foot, place->offset);
    set_le64(foot + 8, place->bytes);
    set_le64(foot + 16, place->raw_bytes);
    set_le64(foot + 24, TYPE_TABLE);
    memcpy(foot + FOOT_DATA - 8, MAGIC,
           8); /* what is between is for tar-split, which we have not */
    return put_skippable(c, foot, sizeof(foot), err);
}

int xeno_chunked_end(struct xeno_chunked *c, struct xeno_toc_place *ret, struct xeno_err *err)
{
    struct xeno_toc_place place = { .bytes = 0 };
    int r = 0;

    if (c->left > 0)
        return xeno_fail(err, -EINVAL, "image.write", "%lld bytes of the last file are missing",
                         (long long)c->left);
    if (c->head_open)
        r = add_head(c, "", 0, ZSTD_e_end, err);
    if (r >= 0 && c->toc && c->toc->count > 0)
        r = put_table(c, &place, err);
    if (r < 0)
        return r;
    *ret = place;
    return 0;
}

static int pack_write(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    return xeno_chunked_add(arg, data, len, err);
}

static int pack_member(void *arg, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    return xeno_chunked_member(arg, e, err);
}

struct xeno_pack_output xeno_pack_to_chunked(struct xeno_chunked *c)
{
    return (struct xeno_pack_output){ .write = pack_write, .member = pack_member, .arg = c };
}

/* --- reading --- */

bool xeno_chunked_foot(const void *foot, int64_t blob_bytes, struct xeno_toc_place *ret)
{
    const char *p = (const char *)foot + 8;
    struct xeno_toc_place place = { .offset = get_le64(p),
                                    .bytes = get_le64(p + 8),
                                    .raw_bytes = get_le64(p + 16) };
    uint32_t head[2];

    memcpy(head, foot, sizeof(head));
    if (le32toh(head[0]) != SKIPPABLE || le32toh(head[1]) != FOOT_DATA ||
        memcmp(p + FOOT_DATA - 8, MAGIC, 8) != 0 || get_le64(p + 24) != TYPE_TABLE)
        return false;
    if (place.offset <= 0 || place.bytes <= 0 || place.raw_bytes <= 0 ||
        place.offset > blob_bytes || place.bytes > blob_bytes - place.offset)
        return false;
    *ret = place;
    return true;
}

static int corrupt(const char *what, const char *why, struct xeno_err *err)
{
    return xeno_fail(err, -EBADMSG, "image.corrupt", "%s: %s", what, why);
}

/* Exactly out_len bytes, from frames that hold nothing more. */
static int expand(const void *data, int64_t len, void *out, int64_t out_len, const char *what,
                  struct xeno_err *err)
{
    size_t n = ZSTD_decompress(out, (size_t)out_len, data, (size_t)len);

    if (ZSTD_isError(n))
        return corrupt(what, ZSTD_getErrorName(n), err);
    return n == (size_t)out_len ? 0 : corrupt(what, "shorter than was said", err);
}

int xeno_chunked_toc(const struct xeno_toc_place *place, const void *data, int64_t blob_bytes,
                     const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                     struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    uint8_t sha[32];
    int r;

    xeno_sha256_of(data, (size_t)place->bytes, sha);
    if (memcmp(sha, place->sha, sizeof(sha)) != 0)
        return corrupt("table of contents", "not the one that the manifest names", err);
    if (place->raw_bytes > XENO_TOC_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "the table of contents has %lld bytes, at most %d are read",
                         (long long)place->raw_bytes, XENO_TOC_MAX_BYTES);
    text = xeno_try_alloc((size_t)place->raw_bytes);
    if (!text)
        return xeno_fail(err, -ENOMEM, "image.toc", "no memory for the table of contents");
    r = expand(data, place->bytes, text, place->raw_bytes, "table of contents", err);
    if (r < 0)
        return r;
    return xeno_toc_parse(text, (size_t)place->raw_bytes, blob_bytes, limits, ret, err);
}

int xeno_chunked_piece(const struct xeno_toc_chunk *piece, const void *data, void *out,
                       struct xeno_err *err)
{
    uint8_t sha[32];
    int r = expand(data, piece->blob_bytes, out, piece->size_bytes, "piece of a layer", err);

    if (r < 0)
        return r;
    xeno_sha256_of(out, (size_t)piece->size_bytes, sha);
    if (memcmp(sha, piece->sha, sizeof(sha)) != 0)
        return corrupt("piece of a layer", "not what the table of contents says", err);
    return 0;
}
