/* src/image/repack.c - a tar becomes a zstd:chunked layer, in a child without rights.
 *
 * The members are the same, their heads are written anew: where a member's data begin is only known
 * for sure of a tar that was written here. So the tar inside gets a diff_id of its own; what
 * somebody else has published under a digest is converted byte by byte instead (finish.c).
 */
#include <errno.h>
#include <unistd.h>

#include "image/build-priv.h"
#include "image/chunked.h"
#include "image/job.h"

struct child {
    int out;
    struct xeno_sha256 *hash; /* of the new tar */
    int64_t tar_bytes;
    struct xeno_pack_output chunked;
};

static int say(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    const struct child *c = arg;
    int r = xeno_job_say(c->out, data, len);

    return r < 0 ? xeno_fail_errno(err, r, "image.write", "answer") : 0;
}

static int pack_write(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct child *c = arg;

    xeno_sha256_add(c->hash, data, len);
    c->tar_bytes += (int64_t)len;
    return c->chunked.write(c->chunked.arg, data, len, err);
}

static int pack_member(void *arg, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    struct child *c = arg;

    return c->chunked.member(c->chunked.arg, e, err);
}

/* The data of one member, holes as zeros. */
static int pack_data(struct xeno_tar *t, struct xeno_pack *p, int64_t size, struct xeno_err *err)
{
    static const char zeros[16384];
    int64_t at = 0, offset = size;
    const void *data;
    size_t len;
    int r = 1;

    while (r > 0 && at < size) {
        r = xeno_tar_data(t, &data, &len, &offset, err);
        if (r == 0) {
            offset = size; /* what is missing at the end is a hole */
            len = 0;
        }
        while (r >= 0 && at < offset) {
            size_t n = offset - at < (int64_t)sizeof(zeros) ? (size_t)(offset - at) : sizeof(zeros);

            r = xeno_pack_data(p, zeros, n, err) < 0 ? -EIO : r;
            at += (int64_t)n;
        }
        if (r > 0) {
            r = xeno_pack_data(p, data, len, err) < 0 ? -EIO : r;
            at += (int64_t)len;
        }
    }
    return r < 0 ? r : 0;
}

static int pack_all(struct xeno_tar *t, struct xeno_pack *p, struct xeno_unpacked *ret,
                    struct xeno_err *err)
{
    struct xeno_tar_entry e;
    int r;

    while ((r = xeno_tar_next(t, &e, err)) > 0) {
        if (e.type == XENO_TAR_OTHER)
            return xeno_fail(err, -EINVAL, "unpack.type", "'%.200s' is %s", e.name, e.kind);
        r = xeno_pack_add(p, &e, err);
        if (r >= 0)
            r = pack_data(t, p, e.size_bytes, err);
        if (r < 0)
            return r;
        ret->entries++;
    }
    return r < 0 ? r : xeno_pack_end(p, err);
}

static int work(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    struct child c = { .out = out, .hash = hash };
    struct xeno_pack_output blob = { .write = say, .arg = &c };
    struct xeno_pack_output tar = { .write = pack_write, .member = pack_member, .arg = &c };
    xeno_auto(xeno_chunked) chunked = NULL;
    xeno_auto(xeno_pack) p = NULL;
    xeno_auto(xeno_tar) t = NULL;
    struct xeno_toc_place place;
    uint8_t sha[32];
    int r = xeno_tar_open(input, job->compressions, job->limits, &t, err);

    if (r >= 0)
        r = xeno_chunked_new(&blob, &chunked, err);
    if (r < 0)
        return r;
    c.chunked = xeno_pack_to_chunked(chunked);
    r = xeno_pack_new(&tar, &p, err);
    if (r >= 0)
        r = pack_all(t, p, ret, err);
    if (r >= 0)
        r = xeno_chunked_end(chunked, &place, err);
    if (r < 0)
        return r;
    xeno_sha256_end(hash, sha);
    xeno_digest_text(sha, ret->diff_id);
    ret->tar_bytes = c.tar_bytes;
    return 0;
}

/* --- in the parent --- */

static int sink(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    return xeno_blob_add(arg, data, len, err);
}

/* What the child said of the table is not asked: it stands in the blob. */
static int find_table(struct xeno_store *st, struct xeno_layer *layer, struct xeno_err *err)
{
    char foot[XENO_CHUNKED_FOOT];
    xeno_autofree char *data = NULL;
    struct xeno_toc_place place;
    xeno_autoclose int fd = -1;
    int64_t size;
    int r = xeno_store_open_blob(st, layer->digest, &fd, &size, err);

    if (r < 0)
        return r;
    if (size < XENO_CHUNKED_FOOT ||
        pread(fd, foot, sizeof(foot), size - XENO_CHUNKED_FOOT) != XENO_CHUNKED_FOOT ||
        !xeno_chunked_foot(foot, size, &place) || place.bytes > XENO_TOC_MAX_BYTES)
        return 0;
    data = xeno_try_alloc((size_t)place.bytes);
    if (!data || pread(fd, data, (size_t)place.bytes, place.offset) != (ssize_t)place.bytes)
        return xeno_fail(err, -EIO, "image.read", "read the table of layer %s", layer->digest);
    xeno_sha256_of(data, (size_t)place.bytes, place.sha);
    layer->toc = place;
    return 0;
}

int xeno_layer_repack(struct xeno_store *to, int fd, const struct xeno_layer *from,
                      const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                      struct xeno_layer *ret, struct xeno_err *err)
{
    struct xeno_layer layer = { .compression = XENO_COMPRESS_ZSTD };
    xeno_auto(xeno_blob_writer) w = NULL;
    struct xeno_job job = {
        .work = work,
        .limits = limits ? limits : &xeno_unpack_defaults,
        .compressions = XENO_TAR_IS(from->compression),
        .dirfd = -1,
        .own = geteuid() != 0,
        .phase = "pack",
        .progress = progress,
        .sink = sink,
    };
    struct xeno_unpacked done;
    int r = xeno_blob_new(to, &w, err);

    if (r < 0)
        return r;
    job.arg = w;
    r = xeno_job_run(&job, fd, from->digest, from->size_bytes, &done, err);
    if (r >= 0)
        r = xeno_blob_commit(w, NULL, layer.digest, &layer.size_bytes, err);
    if (r >= 0)
        r = find_table(to, &layer, err);
    if (r < 0)
        return r;
    *ret = layer; /* diff_id: by xeno_layer_check(), in another child */
    return 0;
}
