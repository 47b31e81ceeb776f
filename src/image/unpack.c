/* src/image/unpack.c - the jobs done on layers: unpack, check, list, decompress. */
#include "image/unpack.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "image/job.h"
#include "image/tree.h"

#define RECORD_MAX (2 * PATH_MAX + 128)

static const struct xeno_unpack_limits defaults = XENO_UNPACK_LIMITS;

static int work_unpack(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                       struct xeno_unpacked *ret, struct xeno_err *err)
{
    (void)out;
    return xeno_tree_unpack(input, job->compressions, job->dirfd, job->own, job->limits, NULL, ret,
                            err);
}

/* Run `job` over a layer and compare what it found with what the image says. */
static int run(struct xeno_job *job, int blob_fd, const struct xeno_layer *layer,
               struct xeno_unpacked *ret, struct xeno_err *err)
{
    struct xeno_unpacked done;
    int r;

    if (!job->limits)
        job->limits = &defaults;
    job->compressions = XENO_TAR_IS(layer->compression);
    r = xeno_job_run(job, blob_fd, layer->digest, layer->size_bytes, &done, err);
    if (r < 0)
        return layer->digest[0] == '\0' ? r : xeno_context(err, r, "layer %.19s", layer->digest);
    if (layer->diff_id[0] != '\0' && strcmp(done.diff_id, "-") != 0 &&
        strcmp(layer->diff_id, done.diff_id) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "layer %.19s holds the tar %s, not %s as the image says", layer->digest,
                         done.diff_id, layer->diff_id);
    *ret = done;
    return 0;
}

int xeno_unpack_layer(int blob_fd, const struct xeno_layer *layer, int dirfd,
                      const struct xeno_unpack_opts *opts, struct xeno_unpacked *ret,
                      struct xeno_err *err)
{
    struct xeno_job job = { .work = work_unpack,
                            .limits = opts->limits,
                            .dirfd = dirfd,
                            .own = opts->own,
                            .phase = "unpack",
                            .progress = opts->progress };

    return run(&job, blob_fd, layer, ret, err);
}

int xeno_unpack_check(int blob_fd, const struct xeno_layer *layer,
                      const struct xeno_unpack_opts *opts, struct xeno_unpacked *ret,
                      struct xeno_err *err)
{
    struct xeno_job job = { .work = work_unpack,
                            .limits = opts->limits,
                            .dirfd = -1,
                            .own = geteuid() != 0,
                            .phase = "verify",
                            .progress = opts->progress };

    return run(&job, blob_fd, layer, ret, err);
}

/* --- listing: each member a record of three strings: numbers, name, link --- */

struct speaker {
    int out;
    char text[48 * 1024];
    size_t len;
};

static int flush(struct speaker *s, struct xeno_err *err)
{
    int r = xeno_job_say(s->out, s->text, s->len);

    s->len = 0;
    return r < 0 ? xeno_fail_errno(err, r, "image.write", "answer") : 0;
}

static int speak(void *arg, const char *path, const struct xeno_tar_entry *e, struct xeno_err *err)
{
    struct speaker *s = arg;
    size_t path_len = strlen(path) + 1, link_len = strlen(e->link) + 1;
    int r = 0;

    if (s->len + path_len + link_len + 128 > sizeof(s->text))
        r = flush(s, err);
    if (r < 0)
        return r;
    s->len += (size_t)sprintf(s->text + s->len, "%d %u %lld %lld %lld", (int)e->type, e->mode,
                              (long long)e->uid, (long long)e->gid, (long long)e->mtime.tv_sec) +
              1;
    memcpy(s->text + s->len, path, path_len);
    s->len += path_len;
    memcpy(s->text + s->len, e->link, link_len);
    s->len += link_len;
    return 0;
}

static int work_list(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                     struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_autofree struct speaker *s = xeno_new0(struct speaker);
    struct xeno_tree_hook hook = { .fn = speak, .arg = s };
    int r;

    s->out = out;
    r = xeno_tree_unpack(input, job->compressions, -1, job->own, job->limits, &hook, ret, err);
    return r < 0 ? r : flush(s, err);
}

struct listener {
    struct xeno_buf text;
    int (*fn)(void *arg, const struct xeno_listed *e, struct xeno_err *err);
    void *arg;
};

/* One record at the front of `text`. Returns: its length; 0 when it is not whole yet. */
static ssize_t read_record(const char *text, size_t len, struct xeno_listed *ret,
                           struct xeno_err *err)
{
    const char *path = memchr(text, '\0', len), *link, *end;
    long long uid, gid, mtime;
    unsigned mode, type;

    link = path ? memchr(path + 1, '\0', len - (size_t)(path + 1 - text)) : NULL;
    end = link ? memchr(link + 1, '\0', len - (size_t)(link + 1 - text)) : NULL;
    if (!end)
        return len > RECORD_MAX
                   ? xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker answers nonsense")
                   : 0;
    if (sscanf(text, "%u %u %lld %lld %lld", &type, &mode, &uid, &gid, &mtime) != 5 ||
        type > XENO_TAR_FIFO || mode > 07777)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker answers nonsense");
    *ret = (struct xeno_listed){ .type = (enum xeno_tar_type)type,
                                 .mode = mode,
                                 .uid = uid,
                                 .gid = gid,
                                 .mtime_s = mtime,
                                 .path = path + 1,
                                 .link = link + 1 };
    return end + 1 - text;
}

static int hear(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct listener *l = arg;
    size_t at = 0;

    xeno_buf_add(&l->text, data, len);
    while (at < l->text.len) {
        struct xeno_listed e;
        ssize_t n = read_record(l->text.data + at, l->text.len - at, &e, err);
        int r = n <= 0 ? (int)n : l->fn(l->arg, &e, err);

        if (r < 0)
            return r;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    xeno_buf_shift(&l->text, at);
    return 0;
}

int xeno_layer_list(int blob_fd, const struct xeno_layer *layer,
                    const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                    int (*fn)(void *arg, const struct xeno_listed *e, struct xeno_err *err),
                    void *arg, struct xeno_unpacked *ret, struct xeno_err *err)
{
    struct listener l = { .fn = fn, .arg = arg };
    struct xeno_job job = { .work = work_list,
                            .limits = limits,
                            .dirfd = -1,
                            .own = geteuid() != 0,
                            .phase = "read",
                            .progress = progress,
                            .sink = hear,
                            .arg = &l };
    int r = run(&job, blob_fd, layer, ret, err);

    xeno_buf_release(&l.text);
    return r;
}

/* --- decompressing --- */

static int work_bytes(const struct xeno_job *job, const struct xeno_tar_input *input, int out,
                      struct xeno_unpacked *ret, struct xeno_err *err)
{
    xeno_auto(xeno_tar) t = NULL;
    const void *data;
    size_t len;
    int r = xeno_tar_open_raw(input, job->compressions, job->limits, &t, err);

    while (r >= 0 && (r = xeno_tar_bytes(t, &data, &len, err)) > 0) {
        r = xeno_job_say(out, data, len);
        if (r < 0)
            return xeno_fail_errno(err, r, "image.write", "answer");
    }
    return r < 0 ? r : xeno_tar_end(t, ret->diff_id, &ret->tar_bytes, err);
}

int xeno_layer_bytes(int blob_fd, const struct xeno_layer *layer,
                     const struct xeno_unpack_limits *limits, const struct xeno_progress *progress,
                     int (*sink)(void *arg, const void *data, size_t len, struct xeno_err *err),
                     void *arg, struct xeno_err *err)
{
    struct xeno_job job = { .work = work_bytes,
                            .limits = limits,
                            .dirfd = -1,
                            .own = geteuid() != 0,
                            .phase = "convert",
                            .progress = progress,
                            .sink = sink,
                            .arg = arg };
    struct xeno_unpacked done;

    return run(&job, blob_fd, layer, &done, err);
}
