/* src/image/layer.c - compress and store the tar of a layer. */
#include "image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <zstd.h>

#include "image/chunked.h"

#define ZSTD_LEVEL  3
#define WORKERS_MAX 4

struct xeno_layer_writer {
    struct xeno_blob_writer *blob;
    struct xeno_sha256 *hash; /* of the tar: diff_id */
    enum xeno_compression compression;
    int64_t tar_bytes;
    ZSTD_CCtx *zstd;
    struct archive *gzip;
    struct xeno_chunked *chunked; /* instead of zstd, for what is packed here */
    struct xeno_err err;          /* why a callback failed */
    char *out;
    size_t out_size;
};

static int processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

    return n > WORKERS_MAX ? WORKERS_MAX : n;
}

static int open_zstd(struct xeno_layer_writer *w, struct xeno_err *err)
{
    w->zstd = ZSTD_createCCtx();
    if (!w->zstd)
        return xeno_fail(err, -ENOMEM, "image.write", "no memory to compress");
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    /* With one worker or more the output is the same whatever their number; a library built
     * without threads says no, and works alone. */
    ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_nbWorkers, processors());
    w->out_size = ZSTD_CStreamOutSize();
    w->out = xeno_alloc0(1, w->out_size);
    return 0;
}

static la_ssize_t gzip_write(struct archive *a, void *arg, const void *data, size_t len)
{
    struct xeno_layer_writer *w = arg;

    if (xeno_blob_add(w->blob, data, len, &w->err) < 0) {
        archive_set_error(a, EIO, "write");
        return -1;
    }
    return (la_ssize_t)len;
}

static int fail_gzip(struct xeno_layer_writer *w, struct xeno_err *err)
{
    if (w->err.code != 0)
        return xeno_fail(err, w->err.code, w->err.token, "%s", w->err.text);
    return xeno_fail(err, -EIO, "image.write", "compress: %s", archive_error_string(w->gzip));
}

static int open_gzip(struct xeno_layer_writer *w, struct xeno_err *err)
{
    struct archive_entry *e = archive_entry_new();
    int r;

    w->gzip = archive_write_new();
    if (!w->gzip || !e)
        return xeno_fail(err, -ENOMEM, "image.write", "no memory to compress");
    archive_write_add_filter_gzip(w->gzip);
    archive_write_set_format_raw(w->gzip);
    archive_write_set_options(w->gzip, "gzip:!timestamp");
    archive_write_set_bytes_per_block(w->gzip, 64 * 1024);
    archive_write_set_bytes_in_last_block(w->gzip, 1);
    archive_entry_set_filetype(e, AE_IFREG);
    r = archive_write_open(w->gzip, w, NULL, gzip_write, NULL);
    if (r == ARCHIVE_OK)
        r = archive_write_header(w->gzip, e);
    archive_entry_free(e);
    return r == ARCHIVE_OK ? 0 : fail_gzip(w, err);
}

int xeno_layer_new(struct xeno_store *st, enum xeno_compression c, struct xeno_layer_writer **ret,
                   struct xeno_err *err)
{
    xeno_auto(xeno_layer_writer) w = xeno_new0(struct xeno_layer_writer);
    int r;

    w->compression = c;
    w->hash = xeno_sha256_new();
    r = xeno_blob_new(st, &w->blob, err);
    if (r >= 0 && c == XENO_COMPRESS_ZSTD)
        r = open_zstd(w, err);
    if (r >= 0 && c == XENO_COMPRESS_GZIP)
        r = open_gzip(w, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&w);
    return 0;
}

static int add_zstd(struct xeno_layer_writer *w, const void *data, size_t len,
                    ZSTD_EndDirective how, struct xeno_err *err)
{
    ZSTD_inBuffer in = { .src = data, .size = len };
    size_t left;

    do {
        ZSTD_outBuffer out = { .dst = w->out, .size = w->out_size };
        int r;

        left = ZSTD_compressStream2(w->zstd, &out, &in, how);
        if (ZSTD_isError(left))
            return xeno_fail(err, -EIO, "image.write", "compress: %s", ZSTD_getErrorName(left));
        r = out.pos > 0 ? xeno_blob_add(w->blob, w->out, out.pos, err) : 0;
        if (r < 0)
            return r;
    } while (how == ZSTD_e_end ? left > 0 : in.pos < in.size);
    return 0;
}

static int add_gzip(struct xeno_layer_writer *w, const char *data, size_t len, struct xeno_err *err)
{
    while (len > 0) {
        la_ssize_t n = archive_write_data(w->gzip, data, len);

        if (n <= 0)
            return fail_gzip(w, err);
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

static int chunked_write(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct xeno_layer_writer *w = arg;

    return xeno_blob_add(w->blob, data, len, err);
}

static int pack_write(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    return xeno_layer_add(arg, data, len, err);
}

static int pack_member(void *arg, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    struct xeno_layer_writer *w = arg;

    return xeno_chunked_member(w->chunked, e, err);
}

int xeno_layer_pack(struct xeno_layer_writer *w, struct xeno_pack_output *ret, struct xeno_err *err)
{
    struct xeno_pack_output blob = { .write = chunked_write, .arg = w };
    int r = w->compression == XENO_COMPRESS_ZSTD ? xeno_chunked_new(&blob, &w->chunked, err) : 0;

    if (r < 0)
        return r;
    *ret = (struct xeno_pack_output){ .write = pack_write, .arg = w };
    if (w->chunked)
        ret->member = pack_member;
    return 0;
}

int xeno_layer_add(struct xeno_layer_writer *w, const void *data, size_t len, struct xeno_err *err)
{
    xeno_sha256_add(w->hash, data, len);
    w->tar_bytes += (int64_t)len;
    if (len == 0)
        return 0;
    if (w->chunked)
        return xeno_chunked_add(w->chunked, data, len, err);
    if (w->compression == XENO_COMPRESS_ZSTD)
        return add_zstd(w, data, len, ZSTD_e_continue, err);
    if (w->compression == XENO_COMPRESS_GZIP)
        return add_gzip(w, data, len, err);
    return xeno_blob_add(w->blob, data, len, err);
}

int xeno_layer_commit(struct xeno_layer_writer *w, struct xeno_layer *ret, int64_t *ret_tar_bytes,
                      struct xeno_err *err)
{
    struct xeno_layer layer = { .compression = w->compression };
    uint8_t sha[32];
    int r = 0;

    if (w->chunked)
        r = xeno_chunked_end(w->chunked, &layer.toc, err);
    else if (w->compression == XENO_COMPRESS_ZSTD)
        r = add_zstd(w, "", 0, ZSTD_e_end, err);
    if (w->compression == XENO_COMPRESS_GZIP && archive_write_close(w->gzip) != ARCHIVE_OK)
        r = fail_gzip(w, err);
    if (r >= 0)
        r = xeno_blob_commit(w->blob, NULL, layer.digest, &layer.size_bytes, err);
    if (r < 0)
        return r;
    xeno_sha256_end(w->hash, sha);
    xeno_digest_text(sha, layer.diff_id);
    *ret = layer;
    if (ret_tar_bytes)
        *ret_tar_bytes = w->tar_bytes;
    return 0;
}

int xeno_layer_toc(struct xeno_store *st, const struct xeno_layer *layer,
                   const struct xeno_unpack_limits *limits, struct xeno_toc **ret,
                   struct xeno_err *err)
{
    const struct xeno_toc_place *at = &layer->toc;
    xeno_autofree char *data = NULL;
    xeno_autoclose int fd = -1;
    int64_t size;
    int r;

    if (at->bytes == 0)
        return xeno_fail(err, -ENODATA, "image.toc", "layer %s has no table of contents",
                         layer->digest);
    if (at->bytes > XENO_TOC_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "unpack.limit",
                         "the table of contents takes %lld bytes, at most %d are read",
                         (long long)at->bytes, XENO_TOC_MAX_BYTES);
    r = xeno_store_open_blob(st, layer->digest, &fd, &size, err);
    if (r < 0)
        return r;
    data = xeno_try_alloc((size_t)at->bytes);
    if (!data)
        return xeno_fail(err, -ENOMEM, "image.toc", "no memory for the table of contents");
    if (pread(fd, data, (size_t)at->bytes, at->offset) != (ssize_t)at->bytes)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "blob %s ends within its table of contents", layer->digest);
    return xeno_chunked_toc(at, data, layer->size_bytes, limits, ret, err);
}

void xeno_layer_free(struct xeno_layer_writer *w)
{
    if (!w)
        return;
    if (w->gzip)
        archive_write_free(w->gzip); /* writes what it has buffered: before the blob goes */
    ZSTD_freeCCtx(w->zstd);
    xeno_chunked_free(w->chunked);
    xeno_blob_free(w->blob);
    xeno_sha256_free(w->hash);
    free(w->out);
    free(w);
}
