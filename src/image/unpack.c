/* src/image/unpack.c - feed a blob to the confined child and hear what came of it. */
#include "image/unpack.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/io.h"
#include "image/confine.h"
#include "image/tree.h"

#define CHUNK      (128 * 1024)
#define REPORT_MAX 2048
#define STALL_MS   120000 /* the child has moved nothing for so long: it hangs */

/* --- in the child --- */

struct work {
    enum xeno_compression compression;
    int dirfd;
    bool own;
    struct xeno_unpack_limits limits;
};

static int work_run(int in, int out, void *arg)
{
    const struct work *w = arg;
    struct xeno_tar_input input = xeno_tar_fd(&in);
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_unpacked done;
    char text[REPORT_MAX];
    int n, r;

    r = xeno_tree_unpack(&input, w->compression, w->dirfd, w->own, &w->limits, &done, &err);
    if (r >= 0)
        n = snprintf(text, sizeof(text), "ok %s %lld %lld %lld", done.diff_id,
                     (long long)done.entries, (long long)done.tar_bytes,
                     (long long)done.disk_bytes);
    else
        n = snprintf(text, sizeof(text), "no %d %s %s", r, err.token, err.text);
    if (n >= (int)sizeof(text))
        n = (int)sizeof(text) - 1;
    return xeno_write_all(out, text, (size_t)n) < 0 ? 1 : 0;
}

/* --- in the parent --- */

struct feed {
    struct xeno_confined child;
    const struct xeno_layer *layer;
    const struct xeno_progress *progress;
    struct xeno_sha256 *hash;
    int64_t done;
    bool deaf; /* the child reads no more: it has found something, or died */
    char report[REPORT_MAX + 1];
    size_t report_len;
};

/* Take what the child says, when `events` say there is something. */
static void listen_to(struct feed *f, short events)
{
    ssize_t n;

    if (!(events & (POLLIN | POLLHUP | POLLERR)))
        return;
    n = recv(f->child.out, f->report + f->report_len, REPORT_MAX - f->report_len, MSG_DONTWAIT);
    if (n > 0)
        f->report_len += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        f->deaf = true;
    if (f->report_len > 0)
        f->deaf = true;
}

static int feed_chunk(struct feed *f, const char *data, size_t len, struct xeno_err *err)
{
    while (len > 0 && !f->deaf) {
        struct pollfd p[2] = { { .fd = f->child.in, .events = POLLOUT },
                               { .fd = f->child.out, .events = POLLIN } };
        ssize_t n;
        int r = poll(p, 2, STALL_MS);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return xeno_fail(err, -ETIMEDOUT, "unpack.confine", "the unpacker does not go on");
        listen_to(f, p[1].revents);
        if (f->deaf || !p[0].revents)
            continue;
        n = send(f->child.in, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            f->deaf = true;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* All of the blob is hashed, also what the child no longer wants: a spoilt blob is the better
 * explanation of whatever the child found. */
static int feed_all(struct feed *f, int blob_fd, struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = "unpack",
                                   .text = f->layer->digest,
                                   .total_bytes = f->layer->size_bytes };
    xeno_autofree char *chunk = xeno_alloc0(1, CHUNK);

    for (;;) {
        ssize_t n = read(blob_fd, chunk, CHUNK);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.read", "read the layer");
        if (n == 0)
            break;
        f->done += n;
        if (f->done > f->layer->size_bytes)
            break;
        xeno_sha256_add(f->hash, chunk, (size_t)n);
        r = feed_chunk(f, chunk, (size_t)n, err);
        if (r < 0)
            return r;
        at.done_bytes = f->done;
        if (f->progress && f->progress->fn && !f->progress->fn(f->progress->arg, &at))
            return xeno_fail(err, -ECANCELED, "image.cancelled", "stopped");
        at.text = NULL;
    }
    shutdown(f->child.in, SHUT_WR);
    return 0;
}

static int check_blob(struct feed *f, struct xeno_err *err)
{
    char have[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    if (f->done != f->layer->size_bytes)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s is %s %lld bytes",
                         f->layer->digest,
                         f->done < f->layer->size_bytes ? "shorter than" : "longer than",
                         (long long)f->layer->size_bytes);
    xeno_sha256_end(f->hash, sha);
    xeno_digest_text(sha, have);
    if (strcmp(have, f->layer->digest) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "blob %s has the content of %s",
                         f->layer->digest, have);
    return 0;
}

/* The rest of the report, until the child is done. */
static int hear_out(struct feed *f, struct xeno_err *err)
{
    while (f->report_len < REPORT_MAX) {
        struct pollfd p = { .fd = f->child.out, .events = POLLIN };
        ssize_t n;
        int r = poll(&p, 1, STALL_MS);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return xeno_fail(err, -ETIMEDOUT, "unpack.confine", "the unpacker does not go on");
        n = recv(f->child.out, f->report + f->report_len, REPORT_MAX - f->report_len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        f->report_len += (size_t)n;
    }
    f->report[f->report_len] = '\0';
    return 0;
}

/* The child may be an intruder by now: its words are read as text, with bounds, and an error it
 * reports stays an error. What it says of diff_id holds for its own blob only (image/cache.h). */
static int read_report(struct feed *f, int status, struct xeno_unpacked *ret, struct xeno_err *err)
{
    long long entries, tar_bytes, disk_bytes;
    char digest[XENO_DIGEST_TEXT], token[XENO_ERR_TOKEN_MAX];
    int code, at = 0;

    if (sscanf(f->report, "ok %71s %lld %lld %lld", digest, &entries, &tar_bytes, &disk_bytes) ==
            4 &&
        xeno_digest_ok(digest) && entries >= 0 && tar_bytes >= 0 && disk_bytes >= 0 &&
        WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *ret = (struct xeno_unpacked){ .entries = entries,
                                       .tar_bytes = tar_bytes,
                                       .disk_bytes = disk_bytes };
        memcpy(ret->diff_id, digest, sizeof(digest));
        return 0;
    }
    if (sscanf(f->report, "no %d %47s %n", &code, token, &at) == 2 && at > 0 && code < 0 &&
        code > -4096) {
        for (char *p = f->report + at; *p != '\0'; p++)
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                *p = '?'; /* names in archives may hold what moves a terminal's cursor */
        return xeno_fail(err, code, token, "%s", f->report + at);
    }
    if (WIFSIGNALED(status))
        return xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker was ended by signal %d",
                         WTERMSIG(status));
    return xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker failed without a reason");
}

static int wait_child(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int unpack(int blob_fd, const struct xeno_layer *layer, int dirfd,
                  const struct xeno_unpack_opts *opts, struct xeno_unpacked *ret,
                  struct xeno_err *err)
{
    static const struct xeno_unpack_limits defaults = XENO_UNPACK_LIMITS;
    struct work w = { .compression = layer->compression, .dirfd = dirfd, .own = opts->own };
    struct feed f = { .layer = layer, .progress = opts->progress };
    struct xeno_confine_opts co = { .dirfd = dirfd, .own = opts->own };
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    struct xeno_unpacked done;
    int status, r;

    w.limits = opts->limits ? *opts->limits : defaults;
    w.dirfd = dirfd >= 0 ? 5 : -1; /* where confinement puts it */
    co.file_bytes = w.limits.file_bytes;
    f.hash = hash;
    r = xeno_confine_start(&co, work_run, &w, &f.child, err);
    if (r < 0)
        return r;
    r = feed_all(&f, blob_fd, err);
    if (r >= 0)
        r = check_blob(&f, err);
    if (r >= 0)
        r = hear_out(&f, err);
    if (r < 0)
        kill(f.child.pid, SIGKILL);
    status = wait_child(f.child.pid);
    close(f.child.in);
    close(f.child.out);
    if (r >= 0)
        r = read_report(&f, status, &done, err);
    if (r < 0)
        return xeno_context(err, r, "layer %.19s", layer->digest);
    if (layer->diff_id[0] != '\0' && strcmp(layer->diff_id, done.diff_id) != 0)
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
    return unpack(blob_fd, layer, dirfd, opts, ret, err);
}

int xeno_unpack_check(int blob_fd, const struct xeno_layer *layer,
                      const struct xeno_unpack_opts *opts, struct xeno_unpacked *ret,
                      struct xeno_err *err)
{
    struct xeno_unpack_opts judge = *opts;

    judge.own = geteuid() != 0;
    return unpack(blob_fd, layer, -1, &judge, ret, err);
}
