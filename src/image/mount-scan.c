/* src/image/mount-scan.c - the names of a layer, and the text of its mount files. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "image/build-priv.h"
#include "image/chunked.h"
#include "image/job.h"
#include "image/mount-tree.h"
#include "image/tree.h"

#define PIECE_MAX (1 << 20) /* compressed; one of a mount file has 16 KiB at most otherwise */

static bool is_mount_file(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strcmp(slash ? slash + 1 : path, XENO_MOUNT_NAME) == 0;
}

/* --- by the table of contents --- */

static int read_toc(const struct xeno_mount_tree_opts *opts, void *place,
                    const struct xeno_layer *layer, struct xeno_toc **ret, struct xeno_err *err)
{
    const struct xeno_toc_place *at = &layer->toc;
    xeno_autofree char *data = NULL;
    int r;

    if (at->bytes > XENO_TOC_MAX_BYTES)
        return xeno_fail(err, -EFBIG, "unpack.limit", "the table of contents has %lld bytes",
                         (long long)at->bytes);
    data = xeno_try_alloc((size_t)at->bytes);
    if (!data)
        return xeno_fail(err, -ENOMEM, "image.toc", "no memory for the table of contents");
    r = opts->read(opts->arg, place, layer->digest, at->offset, data, (size_t)at->bytes, err);
    return r < 0 ? r : xeno_chunked_toc(at, data, layer->size_bytes, opts->limits, ret, err);
}

static int read_piece(const struct xeno_mount_tree_opts *opts, void *place, const char *layer,
                      const struct xeno_toc_chunk *c, char *out, struct xeno_err *err)
{
    xeno_autofree char *data = NULL;
    int r;

    if (c->zeros)
        return 0; /* `out` has them */
    if (c->blob_bytes > PIECE_MAX)
        return xeno_fail(err, -EFBIG, "mount.read", "its %lld bytes take %lld",
                         (long long)c->size_bytes, (long long)c->blob_bytes);
    data = xeno_alloc0(1, (size_t)c->blob_bytes);
    r = opts->read(opts->arg, place, layer, c->blob_offset, data, (size_t)c->blob_bytes, err);
    return r < 0 ? r : xeno_chunked_piece(c, data, out, err);
}

/* The file that a hard link is a name of; one that leads nowhere is itself. */
static const struct xeno_toc_file *linked(const struct xeno_toc *toc, const struct xeno_toc_file *f)
{
    for (size_t i = 0; f->type == XENO_TAR_HARDLINK && i < toc->count; i++)
        if (toc->files[i].type == XENO_TAR_FILE && strcmp(toc->files[i].name, f->link) == 0)
            return &toc->files[i];
    return f;
}

static int read_text(const struct xeno_mount_tree_opts *opts, void *place,
                     const struct xeno_layer *layer, const struct xeno_toc *toc,
                     const struct xeno_toc_file *f, char **ret, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    int r = 0;

    if (f->size_bytes > XENO_MOUNT_BYTES_MAX)
        return xeno_fail(err, -EFBIG, "mount.size", "it has %lld bytes; %d are the most",
                         (long long)f->size_bytes, XENO_MOUNT_BYTES_MAX);
    text = xeno_alloc0(1, (size_t)f->size_bytes + 1);
    for (size_t i = 0; r >= 0 && i < f->chunk_count; i++) {
        const struct xeno_toc_chunk *c = &toc->chunks[f->chunk + i];

        r = read_piece(opts, place, layer->digest, c, text + c->file_offset, err);
    }
    if (r < 0)
        return r;
    *ret = xeno_take(&text);
    return 0;
}

static int scan_toc(const struct xeno_mount_tree_opts *opts, void *place,
                    const struct xeno_layer *layer,
                    int (*fn)(void *arg, const struct xeno_mount_seen *s, struct xeno_err *err),
                    void *arg, struct xeno_err *err)
{
    xeno_auto(xeno_toc) toc = NULL;
    char path[PATH_MAX];
    int r = read_toc(opts, place, layer, &toc, err);

    for (size_t i = 0; r >= 0 && i < toc->count; i++) {
        const struct xeno_toc_file *f = &toc->files[i];
        struct xeno_mount_seen s = { .path = path, .type = f->type };
        xeno_autofree char *text = NULL;

        r = xeno_tree_name(f->name, opts->limits, path, err);
        if (r >= 0 && is_mount_file(path)) {
            f = linked(toc, f);
            s.type = f->type;
            s.len = (size_t)f->size_bytes;
            if (f->type == XENO_TAR_FILE)
                read_text(opts, place, layer, toc, f, &text, &s.why);
            s.text = text;
        }
        if (r >= 0)
            r = fn(arg, &s, err);
    }
    return r < 0 ? r : 0;
}

/* --- whole, by a child: each member a record of its head, its name with a zero, its text --- */

struct head {
    uint32_t type, path_len, len;
    int32_t too_large;
};

static int say_member(int out, struct xeno_tar *t, const struct xeno_tar_entry *e, const char *path,
                      struct xeno_err *err)
{
    bool wanted = e->type == XENO_TAR_FILE && is_mount_file(path);
    struct head h = { .type = (uint32_t)e->type,
                      .path_len = (uint32_t)strlen(path) + 1,
                      .too_large = wanted && e->size_bytes > XENO_MOUNT_BYTES_MAX };
    char text[XENO_MOUNT_BYTES_MAX] = "";
    const void *data;
    int64_t offset;
    size_t len;
    int r = 0;

    h.len = wanted && !h.too_large ? (uint32_t)e->size_bytes : 0;
    while (h.len > 0 && (r = xeno_tar_data(t, &data, &len, &offset, err)) > 0)
        if (offset >= 0 && offset + (int64_t)len <= h.len)
            memcpy(text + offset, data, len);
    if (r >= 0)
        r = xeno_job_say(out, &h, sizeof h);
    if (r >= 0)
        r = xeno_job_say(out, path, h.path_len);
    return r < 0 ? r : xeno_job_say(out, text, h.len);
}

static int work(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_auto(xeno_tar) t = NULL;
    struct xeno_tar_entry e;
    char path[PATH_MAX];
    int r = xeno_tar_open(input, job->compressions, job->limits, &t, err);

    while (r >= 0 && (r = xeno_tar_next(t, &e, err)) > 0) {
        if (++ret->entries > job->limits->entries)
            return xeno_fail(err, -EFBIG, "unpack.limit", "more than %lld members",
                             (long long)job->limits->entries);
        r = xeno_tree_name(e.name, job->limits, path, err);
        if (r >= 0)
            r = say_member(out, t, &e, path, err);
    }
    return r < 0 ? r : xeno_tar_end(t, ret->diff_id, &ret->tar_bytes, err);
}

struct listener {
    struct xeno_buf heard;
    int (*fn)(void *arg, const struct xeno_mount_seen *s, struct xeno_err *err);
    void *arg;
};

/* One record at the front. Returns: its length; 0 when it is not whole yet. The child may be an
 * intruder by now. */
static ssize_t hear_one(const char *data, size_t len, struct xeno_mount_seen *ret,
                        struct xeno_err *err)
{
    struct head h;

    if (len < sizeof h)
        return 0;
    memcpy(&h, data, sizeof h);
    if (h.type > XENO_TAR_OTHER || h.path_len < 2 || h.path_len > PATH_MAX ||
        h.len > XENO_MOUNT_BYTES_MAX)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker answers nonsense");
    if (len < sizeof h + h.path_len + h.len)
        return 0;
    if (memchr(data + sizeof h, '\0', h.path_len) != data + sizeof h + h.path_len - 1)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker answers nonsense");
    *ret = (struct xeno_mount_seen){ .path = data + sizeof h,
                                     .type = (enum xeno_tar_type)h.type,
                                     .text = data + sizeof h + h.path_len,
                                     .len = h.len };
    if (h.too_large)
        xeno_fail(&ret->why, -EFBIG, "mount.size", "it has more than %d bytes",
                  XENO_MOUNT_BYTES_MAX);
    return (ssize_t)(sizeof h + h.path_len + h.len);
}

static int hear(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct listener *l = arg;
    size_t at = 0;
    ssize_t n = 1;
    int r = 0;

    xeno_buf_add(&l->heard, data, len);
    while (r >= 0 && n > 0) {
        struct xeno_mount_seen s;

        n = hear_one(l->heard.data + at, l->heard.len - at, &s, err);
        r = n > 0 ? l->fn(l->arg, &s, err) : (int)n;
        at += n > 0 ? (size_t)n : 0;
    }
    xeno_buf_shift(&l->heard, at);
    return r < 0 ? r : 0;
}

static int scan_whole(const struct xeno_mount_tree_opts *opts, void *place,
                      const struct xeno_layer *layer,
                      int (*fn)(void *arg, const struct xeno_mount_seen *s, struct xeno_err *err),
                      void *arg, struct xeno_err *err)
{
    struct listener l = { .fn = fn, .arg = arg };
    struct xeno_job job = { .work = work,
                            .limits = opts->limits,
                            .compressions = XENO_TAR_IS(layer->compression),
                            .dirfd = -1,
                            .own = geteuid() != 0,
                            .phase = "read",
                            .sink = hear,
                            .arg = &l };
    struct xeno_unpacked done;
    xeno_autoclose int fd = -1;
    int r = opts->open(opts->arg, place, layer->digest, &fd, err);

    if (r >= 0)
        r = xeno_job_run(&job, fd, layer->digest, layer->size_bytes, &done, err);
    xeno_buf_release(&l.heard);
    return r;
}

int xeno_mount_scan(const struct xeno_mount_tree_opts *opts, void *place,
                    const struct xeno_layer *layer,
                    int (*fn)(void *arg, const struct xeno_mount_seen *s, struct xeno_err *err),
                    void *arg, struct xeno_err *err)
{
    return layer->toc.bytes > 0 ? scan_toc(opts, place, layer, fn, arg, err)
                                : scan_whole(opts, place, layer, fn, arg, err);
}
