/* src/image/registry-fetch.c - parts of blobs: asked for, resumed where they broke.
 *
 * A job is queued, at work (`ask` set), or over. What a registry may do to it: give less than it
 * was asked for (the rest is asked for), give more or something else (refused), break off after a
 * few bytes again and again (RESUMES_MAX), trickle (http.pace, which is not resumed).
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#include "image/chunked.h"
#include "image/registry-priv.h"

#define RESUMES_MAX  8 /* in a row without RESUME_BYTES between them */
#define RESUME_BYTES (1 << 20)

struct xeno_registry_job {
    struct xeno_registry *r;
    struct xeno_registry_fetch f;
    char *digest;
    struct ask *ask; /* NULL: queued */
    int64_t got;     /* bytes that went to the sink */
    int64_t skip;    /* bytes of this answer that went there before */
    int64_t resumed_at;
    bool ranged; /* this request asked for a part */
    unsigned resumes;
    struct xeno_registry_job *prev, *next;
};

static void start_next(struct xeno_registry *r);

static void job_free(struct xeno_registry_job *j)
{
    struct xeno_registry *r = j->r;

    if (j->ask) {
        registry_ask_cancel(j->ask);
        r->running--;
    }
    DL_DELETE(r->jobs, j);
    free(j->digest);
    free(j);
}

void registry_jobs_drop(struct xeno_registry *r)
{
    struct xeno_registry_job *j, *next;

    DL_FOREACH_SAFE (r->jobs, j, next) {
        job_free(j);
    }
}

void xeno_registry_cancel(struct xeno_registry_job *job)
{
    struct xeno_registry *r;

    if (!job)
        return;
    r = job->r;
    job_free(job);
    start_next(r);
}

static void end(struct xeno_registry_job *j, const struct xeno_err *err)
{
    struct xeno_registry *r = j->r;
    struct xeno_registry_fetch f = j->f;
    struct xeno_err why = err ? *err : (struct xeno_err)XENO_ERR_INIT;

    if (err)
        xeno_context(&why, why.code, "blob %.19s", j->digest);
    r->running--;
    j->ask = NULL;
    job_free(j);
    f.done(err ? &why : NULL, f.arg);
    start_next(r);
}

/* --- one answer --- */

static int wrong_size(const struct xeno_registry_job *j, int64_t says, struct xeno_err *err)
{
    return xeno_fail(err, -EBADMSG, "image.corrupt",
                     "the registry says it has %" PRId64 " bytes, the manifest %" PRId64, says,
                     j->f.len);
}

/* All of it, though a part was asked for? Good enough when only the rest was wanted. */
static int head_whole(struct xeno_registry_job *j, const char *length, struct xeno_err *err)
{
    char *rest;
    int64_t says = length ? strtoll(length, &rest, 10) : -1;

    if (j->f.blob_bytes == 0)
        return xeno_fail(err, -EOPNOTSUPP, "oci.range",
                         "the registry has no ranges: it sends all where a part was asked for");
    if (says >= 0 && says != j->f.len)
        return wrong_size(j, says, err);
    j->skip = j->got;
    return 0;
}

static int on_head(const struct xeno_http_answer *a, void *arg, struct xeno_err *err)
{
    struct xeno_registry_job *j = arg;
    const char *range;
    int64_t first, last;

    j->skip = 0;
    if (a->status != 206)
        return head_whole(j, xeno_http_answer_header(a, "Content-Length"), err);
    range = xeno_http_answer_header(a, "Content-Range");
    if (!j->ranged || !registry_range_parse(range, &first, &last) ||
        first != j->f.offset + j->got || last >= j->f.offset + j->f.len)
        return xeno_fail(err, -EPROTO, "oci.answer",
                         "the registry sends the range '%.80s', asked for was %" PRId64 "-%" PRId64,
                         range ? range : "", j->f.offset + j->got, j->f.offset + j->f.len - 1);
    return 0;
}

static int on_sink(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct xeno_registry_job *j = arg;
    size_t over = j->skip < (int64_t)len ? (size_t)j->skip : len;
    int r;

    j->skip -= (int64_t)over;
    len -= over;
    if (len == 0)
        return 0;
    if ((int64_t)len > j->f.len - j->got)
        return xeno_fail(err, -EBADMSG, "image.corrupt",
                         "the registry sends more than the %" PRId64 " bytes asked for", j->f.len);
    r = j->f.sink((const char *)data + over, len, j->f.arg, err);
    if (r >= 0)
        j->got += (int64_t)len;
    return r;
}

static void start(struct xeno_registry_job *j);

/* Did it break off, so that asking for the rest makes sense? */
static bool resume(struct xeno_registry_job *j, const struct xeno_err *why)
{
    int64_t gained = j->got - j->resumed_at;

    if (why && !xeno_err_is(why, "http.transport"))
        return false;
    if (gained == 0)
        return false;
    if (gained >= RESUME_BYTES)
        j->resumes = 0;
    if (++j->resumes > RESUMES_MAX)
        return false;
    j->resumed_at = j->got;
    start(j);
    return true;
}

static void on_done(const struct xeno_http_answer *a, void *arg)
{
    struct xeno_registry_job *j = arg;
    struct xeno_err err = XENO_ERR_INIT;

    j->ask = NULL;
    if (!a->err && j->got == j->f.len) {
        end(j, NULL);
        return;
    }
    if (resume(j, a->err))
        return;
    if (a->err)
        err = *a->err;
    else
        xeno_fail(&err, -EBADMSG, "image.corrupt",
                  "the registry sends %" PRId64 " of %" PRId64 " bytes and no more", j->got,
                  j->f.len);
    end(j, &err);
}

static void start(struct xeno_registry_job *j)
{
    struct xeno_registry *r = j->r;
    int64_t from = j->f.offset + j->got;
    struct ask *a =
        registry_ask_new(r, "GET", xeno_asprintf("/v2/%s/blobs/%s", r->repo, j->digest));

    j->ranged = j->f.blob_bytes == 0 || j->got > 0;
    if (j->ranged)
        registry_ask_header(
            a, "Range",
            xeno_asprintf("bytes=%" PRId64 "-%" PRId64, from, j->f.offset + j->f.len - 1));
    a->head = on_head;
    a->sink = on_sink;
    a->done = on_done;
    a->arg = j;
    j->ask = a;
    registry_ask_send(a);
}

/* --- jobs --- */

static void start_next(struct xeno_registry *r)
{
    struct xeno_registry_job *j;

    DL_FOREACH (r->jobs, j) {
        if (r->running >= r->parallel)
            return;
        if (j->ask)
            continue;
        r->running++;
        start(j);
    }
}

struct xeno_registry_job *xeno_registry_fetch(struct xeno_registry *r,
                                              const struct xeno_registry_fetch *f)
{
    struct xeno_registry_job *j = xeno_new0(struct xeno_registry_job);

    j->r = r;
    j->f = *f;
    j->digest = xeno_strdup(f->digest);
    DL_APPEND(r->jobs, j);
    start_next(r);
    return j;
}

/* --- parts that are waited for --- */

struct reading {
    struct reads *all;
    struct xeno_registry_job *job;
    char *out;
    size_t at;
};
struct reads {
    size_t left;
    bool over;
    struct xeno_err err;
};

static int to_memory(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct reading *p = arg;

    (void)err;
    memcpy(p->out + p->at, data, len);
    p->at += len;
    return 0;
}

static void on_read(const struct xeno_err *err, void *arg)
{
    struct reading *p = arg;

    p->job = NULL;
    if (err && p->all->err.code == 0)
        p->all->err = *err;
    p->all->left--;
    p->all->over = p->all->left == 0 || p->all->err.code < 0;
}

static int read_list(struct xeno_registry *r, const char *digest, int64_t blob_bytes,
                     const struct xeno_registry_part *parts, size_t count, struct xeno_err *err)
{
    struct reads all = { .left = count, .over = count == 0 };
    xeno_autofree struct reading *list = xeno_new0_n(struct reading, count + 1);
    int n;

    for (size_t i = 0; i < count; i++) {
        list[i] = (struct reading){ .all = &all, .out = parts[i].out };
        list[i].job =
            xeno_registry_fetch(r, &(struct xeno_registry_fetch){ .digest = digest,
                                                                  .offset = parts[i].offset,
                                                                  .len = (int64_t)parts[i].len,
                                                                  .blob_bytes = blob_bytes,
                                                                  .sink = to_memory,
                                                                  .done = on_read,
                                                                  .arg = &list[i] });
    }
    n = registry_run(r, &all.over, err);
    for (size_t i = count; i-- > 0;) /* those that only wait first */
        xeno_registry_cancel(list[i].job);
    if (n == 0 && all.err.code < 0) {
        if (err)
            *err = all.err;
        return all.err.code;
    }
    return n;
}

int xeno_registry_read_parts(struct xeno_registry *r, const char *digest,
                             const struct xeno_registry_part *parts, size_t count,
                             struct xeno_err *err)
{
    return read_list(r, digest, 0, parts, count, err);
}

int xeno_registry_read(struct xeno_registry *r, const char *digest, int64_t offset, size_t len,
                       void *out, struct xeno_err *err)
{
    struct xeno_registry_part part = { .offset = offset, .len = len, .out = out };

    return read_list(r, digest, 0, &part, 1, err);
}

int xeno_registry_read_all(struct xeno_registry *r, const char *digest, size_t len, void *out,
                           struct xeno_err *err)
{
    struct xeno_registry_part part = { .len = len, .out = out };

    return read_list(r, digest, (int64_t)len, &part, 1, err);
}
