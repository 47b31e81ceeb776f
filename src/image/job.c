/* src/image/job.c - feed the confined child, take its frames, read its report. */
#include "image/job.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/io.h"

#define CHUNK      (128 * 1024)
#define FRAME_MAX  (64 * 1024)
#define REPORT_MAX 2048
#define STALL_MS   120000 /* the child has moved nothing for so long: it hangs */

/* A frame is a letter ('d' data, 'r' report), its length in four bytes, and that many bytes. */
#define FRAME_HEAD 5

/* --- in the child --- */

static int say(int out, char kind, const void *data, size_t len)
{
    char head[FRAME_HEAD] = { kind };
    uint32_t n = htonl((uint32_t)len);
    int r;

    memcpy(head + 1, &n, sizeof(n));
    r = xeno_write_all(out, head, sizeof(head));
    return r < 0 ? r : xeno_write_all(out, data, len);
}

int xeno_job_say(int out, const void *data, size_t len)
{
    int r = 0;

    for (const char *p = data; r >= 0 && len > 0;) {
        size_t n = len < FRAME_MAX ? len : FRAME_MAX;

        r = say(out, 'd', p, n);
        p += n;
        len -= n;
    }
    return r;
}

static int child_run(int in, int out, void *arg)
{
    const struct xeno_job *job = arg;
    struct xeno_tar_input input = xeno_tar_fd(&in);
    struct xeno_unpacked done = { .diff_id = "-" };
    struct xeno_err err = XENO_ERR_INIT;
    char text[REPORT_MAX];
    int n, r = job->work(job, &input, out, &done, &err);

    if (r >= 0)
        n = snprintf(text, sizeof(text), "ok %s %lld %lld %lld %d", done.diff_id,
                     (long long)done.entries, (long long)done.tar_bytes, (long long)done.disk_bytes,
                     done.mounts);
    else
        n = snprintf(text, sizeof(text), "no %d %s %s", r, err.token, err.text);
    if (n >= (int)sizeof(text))
        n = (int)sizeof(text) - 1;
    return say(out, 'r', text, (size_t)n) < 0 ? 1 : 0;
}

/* --- in the parent --- */

struct feed {
    const struct xeno_job *job;
    struct xeno_confined child;
    struct xeno_sha256 *hash;
    struct xeno_buf answer; /* of the child, not yet taken apart */
    char report[REPORT_MAX + 1];
    int64_t done, size;
    bool deaf;   /* the child reads no more: it has found something, or died */
    bool silent; /* it has said its last */
};

static int take_frames(struct feed *f, struct xeno_err *err)
{
    size_t at = 0;

    while (f->answer.len - at >= FRAME_HEAD) {
        const char *head = f->answer.data + at;
        uint32_t n;
        int r = 0;

        memcpy(&n, head + 1, sizeof(n));
        n = ntohl(n);
        if (n > FRAME_MAX || (head[0] == 'r' && n > REPORT_MAX))
            return xeno_fail(err, -EBADMSG, "image.corrupt", "the unpacker answers nonsense");
        if (f->answer.len - at < FRAME_HEAD + n)
            break;
        if (head[0] == 'r') {
            memcpy(f->report, head + FRAME_HEAD, n);
            f->report[n] = '\0';
        } else if (head[0] == 'd' && f->job->sink) {
            r = f->job->sink(f->job->arg, head + FRAME_HEAD, n, err);
        }
        if (r < 0)
            return r;
        at += FRAME_HEAD + n;
    }
    xeno_buf_shift(&f->answer, at);
    return 0;
}

/* Take what the child says, when `events` say there is something. */
static int listen_to(struct feed *f, short events, struct xeno_err *err)
{
    char chunk[FRAME_MAX];
    ssize_t n;

    if (!(events & (POLLIN | POLLHUP | POLLERR)))
        return 0;
    n = recv(f->child.out, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        f->deaf = f->silent = true;
        return 0;
    }
    xeno_buf_add(&f->answer, chunk, (size_t)n);
    return take_frames(f, err);
}

static int stalled(struct xeno_err *err)
{
    return xeno_fail(err, -ETIMEDOUT, "unpack.confine", "the unpacker does not go on");
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
            return stalled(err);
        r = listen_to(f, p[1].revents, err);
        if (r < 0)
            return r;
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

/* All of the input is hashed, also what the child no longer wants: a spoilt blob is the better
 * explanation of whatever the child found. */
static int feed_all(struct feed *f, int fd, const char *digest, struct xeno_err *err)
{
    struct xeno_progress_at at = { .phase = f->job->phase,
                                   .text = digest,
                                   .total_bytes = f->size > 0 ? f->size : 0 };
    const struct xeno_progress *progress = f->job->progress;
    xeno_autofree char *chunk = xeno_alloc0(1, CHUNK);

    while (f->size < 0 || f->done <= f->size) {
        ssize_t n = read(fd, chunk, CHUNK);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return xeno_fail_errno(err, -errno, "image.read", "read the layer");
        if (n == 0)
            break;
        f->done += n;
        xeno_sha256_add(f->hash, chunk, (size_t)n);
        r = feed_chunk(f, chunk, (size_t)n, err);
        if (r < 0)
            return r;
        at.done_bytes = f->done;
        if (progress && progress->fn && !progress->fn(progress->arg, &at))
            return xeno_fail(err, -ECANCELED, "image.cancelled", "stopped");
        at.text = NULL;
    }
    shutdown(f->child.in, SHUT_WR);
    return 0;
}

static int check_input(struct feed *f, const char *digest, struct xeno_err *err)
{
    char have[XENO_DIGEST_TEXT];
    uint8_t sha[32];

    if (f->size >= 0 && f->done != f->size)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "it is %s than %lld bytes",
                         f->done < f->size ? "shorter" : "longer", (long long)f->size);
    if (!digest || digest[0] == '\0')
        return 0;
    xeno_sha256_end(f->hash, sha);
    xeno_digest_text(sha, have);
    if (strcmp(have, digest) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "it has the content of %s", have);
    return 0;
}

static int hear_out(struct feed *f, struct xeno_err *err)
{
    while (!f->silent) {
        struct pollfd p = { .fd = f->child.out, .events = POLLIN };
        int r = poll(&p, 1, STALL_MS);

        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return stalled(err);
        r = listen_to(f, p.revents, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The child may be an intruder by now: its words are read as text, with bounds, and an error it
 * reports stays an error. What it says of diff_id holds for its own blob only (image/cache.h). */
static int read_report(struct feed *f, int status, struct xeno_unpacked *ret, struct xeno_err *err)
{
    long long entries, tar_bytes, disk_bytes;
    char digest[XENO_DIGEST_TEXT], token[XENO_ERR_TOKEN_MAX];
    int code, at = 0, mounts;

    if (sscanf(f->report, "ok %71s %lld %lld %lld %d", digest, &entries, &tar_bytes, &disk_bytes,
               &mounts) == 5 &&
        (xeno_digest_ok(digest) || strcmp(digest, "-") == 0) && entries >= 0 && tar_bytes >= 0 &&
        disk_bytes >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        *ret = (struct xeno_unpacked){ .entries = entries,
                                       .tar_bytes = tar_bytes,
                                       .disk_bytes = disk_bytes,
                                       .mounts = mounts != 0 };
        snprintf(ret->diff_id, sizeof(ret->diff_id), "%s", digest);
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

int xeno_job_run(const struct xeno_job *job, int fd, const char *digest, int64_t size,
                 struct xeno_unpacked *ret, struct xeno_err *err)
{
    struct xeno_confine_opts co = { .dirfd = job->dirfd,
                                    .own = job->own,
                                    .reading = job->reading,
                                    .file_bytes = job->limits->file_bytes };
    struct xeno_job inside = *job;
    xeno_auto(xeno_sha256) hash = xeno_sha256_new();
    struct feed f = { .job = job, .hash = hash, .size = size };
    int status, r;

    inside.dirfd = job->dirfd >= 0 ? XENO_CONFINED_DIR : -1;
    r = xeno_confine_start(&co, child_run, &inside, &f.child, err);
    if (r < 0)
        return r;
    r = feed_all(&f, fd, digest, err);
    if (r >= 0)
        r = check_input(&f, digest, err);
    if (r >= 0)
        r = hear_out(&f, err);
    if (r < 0)
        kill(f.child.pid, SIGKILL);
    status = wait_child(f.child.pid);
    close(f.child.in);
    close(f.child.out);
    xeno_buf_release(&f.answer);
    return r < 0 ? r : read_report(&f, status, ret, err);
}
