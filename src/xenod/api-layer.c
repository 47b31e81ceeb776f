/* src/xenod/api-layer.c - what a session has written, as a tar.
 *
 * xeno-taskd freezes the session, hands over a socket and writes the layer to it in packets
 * (rfc/0003, section 4); each is sent on as the peer takes them, so that no more of it is in memory
 * than waits for one peer. The socket is not read while the peer has enough to take: then it fills,
 * and whoever reads the layer waits. Closing it, for whatever reason, lets the session go on.
 *
 * The last packet says that all of it came, and its digest, which goes into a trailer. Without it
 * the connection ends in the middle of the answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/enc.h"
#include "base/log.h"
#include "crypto/base64.h"
#include "xenod/xenod.h"

#define LAYER_TYPE    "application/vnd.oci.image.layer.v1.tar"
#define WAITING_BYTES (128 * 1024) /* more is not read while the peer has this to take */
#define PACKETS_MAX   4            /* a turn of the loop */
#define READY_S       600          /* for the layer to be looked through, or its disk checked */
#define PACE_S        30           /* in which XENO_HTTP_PACE_MIN bytes a second must be taken */

struct layer {
    struct xenod *d;
    char session[XENO_SESSION_CHARS + 1];
    struct xeno_http_req *q; /* until the stream begins */
    struct xeno_http_stream *stream;
    int fd;
    sd_event_source *io, *pace;
    int64_t sent, sent_before; /* handed to the stream; at the last look */
    char packet[XENO_TASK_LAYER_PACKET];
};

static void layer_free(struct layer *l)
{
    xeno_task_client_forget(l->d->task, l);
    sd_event_source_disable_unref(l->io);
    sd_event_source_disable_unref(l->pace);
    if (l->fd >= 0)
        close(l->fd);
    free(l);
}

/* The peer left. */
static void on_gone(void *arg)
{
    struct layer *l = arg;

    xeno_log(LOG_NOTICE, "layer.left", "session=%s bytes=%lld", l->session, (long long)l->sent);
    layer_free(l);
}

static void cut(struct layer *l, const struct xeno_err *why)
{
    xeno_log_err(LOG_WARNING, "layer.cut", why, "session=%s bytes=%lld", l->session,
                 (long long)l->sent);
    xeno_http_stream_abort(l->stream);
    layer_free(l);
}

/* --- the last packet --- */

/* RFC 9530: "sha-256=:BASE64:". Returns false when `digest` is none. */
static bool digest_field(const char *digest, char ret[96])
{
    static const char prefix[] = "sha256:";
    xeno_autofree char *text = NULL;
    uint8_t sha[32];

    if (strncmp(digest, prefix, strlen(prefix)) != 0 || strlen(digest) != strlen(prefix) + 64 ||
        !xeno_unhex(digest + strlen(prefix), sha, sizeof sha))
        return false;
    text = xeno_base64(sha, sizeof sha);
    snprintf(ret, 96, "sha-256=:%s:", text);
    return true;
}

static int read_end(struct layer *l, size_t len, char ret[96], struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    const char *digest = NULL;
    struct xeno_json_at at;
    int64_t bytes = 0;
    int r = xeno_json_parse(l->packet + 1, len - 1, 4096, &j, err);

    if (r < 0)
        return r;
    at = xeno_json_top(j);
    r = xeno_json_str(&at, "digest", 1, 80, &digest, err);
    if (r >= 0)
        r = xeno_json_int(&at, "bytes", 0, INT64_MAX, &bytes, err);
    if (r < 0)
        return r;
    if (bytes != l->sent || !digest_field(digest, ret))
        return xeno_fail(err, -EPROTO, "task.commit",
                         "the task manager sent %lld bytes and says that it was %lld",
                         (long long)l->sent, (long long)bytes);
    return 0;
}

static void read_failure(struct layer *l, size_t len, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    const char *token = "task.commit", *text = "no reason given";
    struct xeno_json_at at;

    if (xeno_json_parse(l->packet + 1, len - 1, 65536, &j, NULL) == 0) {
        at = xeno_json_top(j);
        (void)xeno_json_str(&at, "token", 1, XENO_ERR_TOKEN_MAX - 1, &token, NULL);
        (void)xeno_json_str(&at, "text", 1, XENO_ERR_TEXT_MAX - 1, &text, NULL);
    }
    xeno_fail(err, -EIO, token, "%s", text);
}

/* Any packet but data. */
static void finish(struct layer *l, size_t len)
{
    struct xeno_err err = XENO_ERR_INIT;
    char field[96];

    if (l->packet[0] == XENO_TASK_LAYER_END && read_end(l, len, field, &err) == 0) {
        xeno_log(LOG_INFO, "layer.sent", "session=%s bytes=%lld", l->session, (long long)l->sent);
        xeno_http_stream_close_with(l->stream, "Repr-Digest", field);
        layer_free(l);
        return;
    }
    if (l->packet[0] == XENO_TASK_LAYER_ERROR)
        read_failure(l, len, &err);
    else if (err.code == 0)
        xeno_fail(&err, -EPROTO, "task.commit", "the task manager sent a packet of kind %d",
                  l->packet[0]);
    cut(l, &err);
}

/* --- data --- */

/* Returns: 1 when there may be more; 0 when there is none now, or the layer is gone. */
static int take_packet(struct layer *l)
{
    ssize_t n = recv(l->fd, l->packet, sizeof l->packet, MSG_DONTWAIT);
    struct xeno_err err = XENO_ERR_INIT;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        xeno_fail(&err, -ECANCELED, "task.commit",
                  "the session was asked for something else, or the task manager ended");
        cut(l, &err);
        return 0;
    }
    if (l->packet[0] != XENO_TASK_LAYER_DATA) {
        finish(l, (size_t)n);
        return 0;
    }
    l->sent += n - 1;
    return xeno_http_stream_write(l->stream, l->packet + 1, (size_t)n - 1); /* else on_gone() */
}

static int on_packets(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct layer *l = data;

    (void)fd;
    (void)events;
    for (int i = 0; i < PACKETS_MAX; i++) {
        if (xeno_http_stream_waiting(l->stream) >= WAITING_BYTES) {
            (void)sd_event_source_set_enabled(s, SD_EVENT_OFF); /* until on_taken() */
            return 0;
        }
        if (take_packet(l) == 0)
            return 0;
    }
    return 0;
}

static void on_taken(void *arg)
{
    struct layer *l = arg;

    (void)sd_event_source_set_enabled(l->io, SD_EVENT_ON);
}

/* The session stands still meanwhile: whoever takes next to nothing must not have it for ever. */
static int on_pace(sd_event_source *s, uint64_t usec, void *data)
{
    struct layer *l = data;
    int64_t taken = l->sent - (int64_t)xeno_http_stream_waiting(l->stream);
    struct xeno_err err = XENO_ERR_INIT;

    (void)usec;
    if (xeno_http_stream_waiting(l->stream) > 0 &&
        taken - l->sent_before < (int64_t)PACE_S * XENO_HTTP_PACE_MIN) {
        xeno_fail(&err, -ETIMEDOUT, "http.pace", "the peer took less than %d bytes a second",
                  XENO_HTTP_PACE_MIN);
        cut(l, &err);
        return 0;
    }
    l->sent_before = taken;
    (void)sd_event_source_set_time_relative(s, (uint64_t)PACE_S * 1000000);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- beginning --- */

static void add_digest(void *ctx, const char *digest)
{
    struct xeno_buf *b = ctx;

    xeno_buf_printf(b, "%s%s", b->len > 0 ? " " : "", digest);
}

/* What the client needs to know before it takes a byte: how much comes, and what it goes over. */
static int set_headers(struct layer *l, struct xeno_http_req *q, int64_t bytes,
                       struct xeno_err *err)
{
    xeno_autobuf over = XENO_BUF_INIT;
    char text[32];
    int r = xeno_host_written(l->d->host, NULL, l->session, add_digest, &over, err);

    if (r < 0)
        return r;
    snprintf(text, sizeof text, "%lld", (long long)bytes);
    xeno_http_set_header(q, "Xeno-Layer-Bytes", text);
    if (over.len > 0)
        xeno_http_set_header(q, "Xeno-Layer-Over", over.data);
    xeno_http_set_header(q, "Trailer", "Repr-Digest");
    return 0;
}

static int begin(struct layer *l, int64_t bytes, struct xeno_err *err)
{
    int r = set_headers(l, l->q, bytes, err);

    if (r >= 0)
        r = sd_event_add_io(l->d->loop, &l->io, l->fd, EPOLLIN, on_packets, l);
    if (r >= 0)
        r = sd_event_add_time_relative(l->d->loop, &l->pace, CLOCK_MONOTONIC,
                                       (uint64_t)PACE_S * 1000000, 1000000, on_pace, l);
    if (r < 0)
        return err->code < 0 ? r : xeno_fail_errno(err, r, "task.commit", "watch the layer");
    l->stream = xeno_http_reply_stream(xeno_take(&l->q), LAYER_TYPE, on_gone, l);
    xeno_http_stream_on_taken(l->stream, on_taken, l);
    return 0;
}

static void on_layer(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                     const struct xeno_err *err)
{
    struct layer *l = data;
    struct xeno_err why = XENO_ERR_INIT;
    int64_t bytes = 0;
    int r;

    if (err) {
        why = *err;
        r = err->code;
    } else if (nfds != 1) {
        r = xeno_fail(&why, -EPROTO, "task.descriptors", "the task manager sent no layer");
    } else {
        l->fd = xeno_take_fd(&fds[0]);
        r = xeno_json_int(ok, "bytes", 0, INT64_MAX, &bytes, &why);
        if (r >= 0)
            r = begin(l, bytes, &why);
    }
    if (r >= 0)
        return;
    xenod_refuse(l->q, &why);
    layer_free(l);
}

static void on_asker_gone(void *arg)
{
    layer_free(arg);
}

static void ignore(void *ctx, const char *digest)
{
    (void)ctx;
    (void)digest;
}

void xenod_get_layer(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    const char *session = xeno_http_param(q, "session");
    xeno_auto(xeno_task_request) ask = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct layer *l;

    if (xeno_host_written(d->host, xenod_who(d, q), session, ignore, NULL, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    l = xeno_new0(struct layer);
    l->d = d;
    l->q = q;
    l->fd = -1;
    snprintf(l->session, sizeof l->session, "%s", session);
    ask = xeno_task_request_new(XENO_TASK_COMMIT, session);
    if (xeno_task_client_ask(d->task, ask, xeno_s(READY_S), on_layer, l, &err) < 0) {
        xenod_refuse(q, &err);
        layer_free(l);
        return;
    }
    xeno_http_on_gone(q, on_asker_gone, l);
}
