/* src/image/agent.c - ask the image manager and wait: a connection for each thread that does. */
#include "image/agent.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "image/agent-proto.h"
#include "rpc/message.h"

#define IDLE_MAX     4  /* connections kept */
#define ANSWER_S     60 /* beyond the patience: it waits itself, and for a slow registry */
#define FETCH_S      3600
#define TRY_FIRST_MS 20 /* between two tries to reach it */
#define TRY_MAX_MS   500

struct conn {
    struct xeno_frames *frames;
    struct conn *next;
};

struct xeno_agent {
    const struct xeno_env *env;
    struct sockaddr_un address;
    xeno_time patience;
    pthread_mutex_t mutex; /* of the rest */
    struct conn *idle;
    unsigned idle_count;
    int64_t next_id;
};

int xeno_agent_new(const struct xeno_agent_opts *opts, struct xeno_agent **ret,
                   struct xeno_err *err)
{
    struct xeno_agent *a;

    if (strlen(opts->socket) >= sizeof a->address.sun_path)
        return xeno_fail(err, -ENAMETOOLONG, "agent.socket",
                         "the socket's path has %zu bytes, the limit is %zu", strlen(opts->socket),
                         sizeof a->address.sun_path - 1);
    a = xeno_new0(struct xeno_agent);
    a->env = opts->env;
    a->address.sun_family = AF_UNIX;
    strcpy(a->address.sun_path, opts->socket); /* its length was checked */
    a->patience = opts->patience;
    if (a->patience.ns > XENO_AGENT_WAIT_MAX_S * XENO_NS_PER_S)
        a->patience = xeno_s(XENO_AGENT_WAIT_MAX_S);
    pthread_mutex_init(&a->mutex, NULL);
    *ret = a;
    return 0;
}

static void conn_free(struct conn *c)
{
    if (!c)
        return;
    xeno_frames_free(c->frames);
    free(c);
}

void xeno_agent_free(struct xeno_agent *a)
{
    if (!a)
        return;
    while (a->idle) {
        struct conn *c = a->idle;

        a->idle = c->next;
        conn_free(c);
    }
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

/* --- connections --- */

static int away(struct xeno_err *err, int code)
{
    return xeno_fail(err, -ENOTCONN, "agent.away", "the image manager is not there: %s",
                     strerror(code));
}

static int conn_open(struct xeno_agent *a, struct conn **ret, struct xeno_err *err)
{
    xeno_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "agent.socket", "make a socket");
    if (connect(fd, (struct sockaddr *)&a->address, sizeof a->address) < 0)
        return away(err, errno);
    *ret = xeno_new0(struct conn);
    (*ret)->frames = xeno_frames_new(xeno_take_fd(&fd), &XENO_AGENT_FRAMES);
    return 0;
}

/* Returns: 0; 1: one that was kept. */
static int conn_take(struct xeno_agent *a, struct conn **ret, int64_t *ret_id, struct xeno_err *err)
{
    struct conn *c;

    pthread_mutex_lock(&a->mutex);
    *ret_id = ++a->next_id;
    c = a->idle;
    if (c) {
        a->idle = c->next;
        a->idle_count--;
    }
    pthread_mutex_unlock(&a->mutex);
    *ret = c;
    return c ? 1 : conn_open(a, ret, err);
}

/* One on which nothing is under way. */
static void conn_put(struct xeno_agent *a, struct conn *c)
{
    pthread_mutex_lock(&a->mutex);
    if (a->idle_count < IDLE_MAX) {
        c->next = a->idle;
        a->idle = c;
        a->idle_count++;
        c = NULL;
    }
    pthread_mutex_unlock(&a->mutex);
    conn_free(c);
}

static void drop_idle(struct xeno_agent *a)
{
    struct conn *list, *next;

    pthread_mutex_lock(&a->mutex);
    list = xeno_take(&a->idle);
    a->idle_count = 0;
    pthread_mutex_unlock(&a->mutex);
    for (; list; list = next) {
        next = list->next;
        conn_free(list);
    }
}

/* --- one question --- */

struct question {
    struct xeno_agent *agent;
    struct xeno_agent_request *q;
    xeno_time end; /* no answer after that */
    struct conn *conn;
    bool kept; /* the connection is from before: it may be one to a daemon that is gone */
    struct xeno_json *answer;
    struct xeno_json_at ok; /* in it */
    void *buf;              /* of a read */
};

static int wait_for(const struct question *n, short events, struct xeno_err *err)
{
    struct pollfd p = { .fd = xeno_frames_fd(n->conn->frames), .events = events };
    int64_t left = (n->end.ns - xeno_mono(n->agent->env).ns) / XENO_NS_PER_MS;
    int r = left > 0 ? poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left) : 0;

    if (r > 0 || (r < 0 && errno == EINTR))
        return 0;
    return xeno_fail(err, -ETIMEDOUT, "agent.timeout", "the image manager does not answer");
}

static int send_question(struct question *n, struct xeno_err *err)
{
    struct xeno_frames *f = n->conn->frames;
    xeno_autofree char *text = NULL;
    size_t len;
    int r;

    text = xeno_agent_request_format(n->q, &len);
    r = xeno_frames_write(f, text, len, NULL, 0, err);
    while (r >= 0 && xeno_frames_pending(f)) {
        r = wait_for(n, POLLOUT, err);
        if (r >= 0)
            r = xeno_frames_flush(f, err);
    }
    return r;
}

static int receive_frame(struct question *n, char **ret, size_t *ret_len, struct xeno_err *err)
{
    int fds[XENO_FRAME_FDS_MAX], r = 0;
    size_t nfds = 0;

    while (r == 0) {
        r = xeno_frames_read(n->conn->frames, ret, ret_len, fds, &nfds, err);
        if (r == 0 && (r = wait_for(n, POLLIN, err)) < 0)
            return r;
    }
    for (size_t i = 0; i < nfds; i++)
        close(fds[i]);
    return r < 0 ? r : 0;
}

static int receive_bytes(struct question *n, struct xeno_err *err)
{
    int64_t length, have = 0;
    int r = xeno_json_int(&n->ok, "length", n->q->length, n->q->length, &length, err);

    while (r >= 0 && have < length) {
        r = xeno_frames_read_bytes(n->conn->frames, (char *)n->buf + have, (size_t)(length - have),
                                   err);
        if (r == 0)
            r = wait_for(n, POLLIN, err);
        else if (r > 0)
            have += r;
    }
    return r < 0 ? r : 0;
}

/* Returns: 0; 1: the image manager refuses, for what is in *ret_why. */
static int receive_answer(struct question *n, struct xeno_err *ret_why, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    struct xeno_json_at top;
    int64_t id;
    size_t len;
    int r = receive_frame(n, &text, &len, err);

    if (r < 0)
        return r;
    r = xeno_json_parse(text, len, XENO_AGENT_FRAME_MAX, &n->answer, err);
    if (r < 0)
        return r;
    top = xeno_json_top(n->answer);
    r = xeno_json_int(&top, "id", n->q->id, n->q->id, &id, err);
    if (r >= 0)
        r = xeno_rpc_reply_read(&top, &n->ok, ret_why, err);
    if (r == 0 && n->q->op == XENO_AGENT_READ)
        r = receive_bytes(n, err);
    return r;
}

/* Errors: -ENOTCONN: nobody is there (any more), so that it can be asked anew. */
static int ask_once(struct question *n, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    int r = conn_take(n->agent, &n->conn, &n->q->id, err);

    if (r < 0)
        return r;
    n->kept = r > 0;
    r = send_question(n, err);
    if (r >= 0)
        r = receive_answer(n, &why, err);
    if (r >= 0)
        conn_put(n->agent, xeno_take(&n->conn));
    conn_free(xeno_take(&n->conn));
    if (r == -ECONNRESET || r == -EPIPE) {
        drop_idle(n->agent);
        return away(err, -r);
    }
    if (r > 0)
        return xeno_fail(err, why.code, why.token, "%s", why.text);
    if (r == -EINVAL || r == -EFBIG)
        return xeno_context(err, -EPROTO, "the image manager's answer");
    return r;
}

static int check_digest(const char *digest, struct xeno_err *err)
{
    return xeno_digest_ok(digest)
               ? 0
               : xeno_fail(err, -EINVAL, "agent.digest", "'%.80s' is not a sha256 digest", digest);
}

static int check_digests(const char *const *digests, size_t count, struct xeno_err *err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = check_digest(digests[i], err);
    return r;
}

static void pause_ms(int64_t ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * XENO_NS_PER_MS };

    nanosleep(&t, NULL);
}

/* The answer is in n->ok; the caller frees n->answer. */
static int ask(struct question *n, xeno_time answer_in, struct xeno_err *err)
{
    const struct xeno_env *env = n->agent->env;
    xeno_time until = xeno_time_add(xeno_mono(env), n->agent->patience);
    int64_t wait_ms = TRY_FIRST_MS;

    n->q->wait = n->agent->patience;
    for (;;) {
        struct xeno_err why = XENO_ERR_INIT;
        int r;

        n->end = xeno_time_add(xeno_mono(env), answer_in);
        n->kept = false;
        r = ask_once(n, &why);
        if (r >= 0)
            return r;
        xeno_json_unref(xeno_take(&n->answer));
        if (r == -ENOTCONN && n->kept)
            continue; /* all of its time are dropped: the next one is new */
        if (r != -ENOTCONN || xeno_mono(env).ns + wait_ms * XENO_NS_PER_MS > until.ns) {
            if (err)
                *err = why;
            return r;
        }
        pause_ms(wait_ms);
        wait_ms = wait_ms * 2 < TRY_MAX_MS ? wait_ms * 2 : TRY_MAX_MS;
    }
}

static int ask_soon(struct question *n, struct xeno_err *err)
{
    return ask(n, xeno_time_add(n->agent->patience, xeno_s(ANSWER_S)), err);
}

/* --- the calls --- */

int xeno_agent_resolve(struct xeno_agent *a, const char *name, enum xeno_image_kind kind,
                       struct xeno_agent_image **ret, struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_RESOLVE);
    struct question n = { .agent = a, .q = q };
    int r;

    if (strlen(name) > XENO_AGENT_NAME_MAX || name[0] == '\0')
        return xeno_fail(err, -EINVAL, "agent.name", "a name has 1 to %d bytes",
                         XENO_AGENT_NAME_MAX);
    strcpy(q->name, name);
    q->kind = kind;
    r = ask_soon(&n, err);
    if (r >= 0)
        r = xeno_agent_image_read(&n.ok, ret, err);
    xeno_json_unref(n.answer);
    return r;
}

int xeno_agent_fetch(struct xeno_agent *a, const char *layer, struct xeno_agent_fetched *ret,
                     struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_FETCH);
    struct question n = { .agent = a, .q = q };
    int r;

    r = check_digest(layer, err);
    if (r < 0)
        return r;
    snprintf(q->layer, sizeof q->layer, "%s", layer);
    r = ask(&n, xeno_s(FETCH_S), err);
    if (r >= 0)
        r = xeno_agent_fetched_read(&n.ok, ret, err);
    xeno_json_unref(n.answer);
    return r;
}

int xeno_agent_read(struct xeno_agent *a, const char *layer, int64_t offset, void *buf, size_t len,
                    const struct xeno_source_want *want, struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_READ);
    struct question n = { .agent = a, .q = q, .buf = buf };
    int r;

    if (len == 0 || len > XENO_AGENT_READ_MAX)
        return xeno_fail(err, -EINVAL, "agent.range", "a read has 1 to %d bytes",
                         XENO_AGENT_READ_MAX);
    r = check_digest(layer, err);
    if (r < 0)
        return r;
    snprintf(q->layer, sizeof q->layer, "%s", layer);
    q->offset = offset;
    q->length = (int64_t)len;
    if (want) {
        q->has_sha = true;
        q->size_bytes = want->size_bytes;
        memcpy(q->sha, want->sha, sizeof q->sha);
    }
    r = ask_soon(&n, err);
    xeno_json_unref(n.answer);
    return r;
}

int xeno_agent_progress(struct xeno_agent *a, const char *const *layers, size_t count,
                        struct xeno_agent_progress *ret, struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_PROGRESS);
    struct question n = { .agent = a, .q = q };
    int r;

    if (count > XENO_AGENT_LAYERS_MAX)
        return xeno_fail(err, -EINVAL, "agent.layers", "at most %d layers at a time",
                         XENO_AGENT_LAYERS_MAX);
    r = check_digests(layers, count, err);
    if (r < 0)
        return r;
    xeno_agent_request_digests(q, layers, count);
    r = ask_soon(&n, err);
    if (r >= 0)
        r = xeno_agent_progress_read(&n.ok, ret, count, err);
    xeno_json_unref(n.answer);
    return r;
}

int xeno_agent_keep(struct xeno_agent *a, const char *const *images, size_t count,
                    struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_KEEP);
    struct question n = { .agent = a, .q = q };
    int r = check_digests(images, count, err);

    if (r < 0)
        return r;
    do {
        size_t part = count < XENO_AGENT_KEEP_MAX ? count : XENO_AGENT_KEEP_MAX;

        xeno_agent_request_digests(q, images, part);
        images += part;
        count -= part;
        q->more = count > 0;
        r = ask_soon(&n, err);
        xeno_json_unref(xeno_take(&n.answer));
    } while (r >= 0 && count > 0);
    return r;
}

int xeno_agent_status(struct xeno_agent *a, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_STATUS);
    struct question n = { .agent = a, .q = q };
    struct xeno_json_at top;
    int r = ask_soon(&n, err);

    if (r >= 0) {
        top = xeno_json_top(n.answer);
        *ret = xeno_json_member(top.j, "ok");
    }
    xeno_json_unref(n.answer);
    return r;
}

/* --- as a source --- */

struct agent_source {
    struct xeno_source base; /* first, so the two pointers are one */
    struct xeno_agent *agent;
};

/* Tables of contents may be larger than one answer, and are then read part by part: only the whole
 * has a digest. */
static int source_read(struct xeno_source *s, const char *digest, int64_t offset, void *buf,
                       size_t len, const struct xeno_source_want *want, struct xeno_err *err)
{
    struct xeno_agent *a = ((struct agent_source *)s)->agent;
    char *to = buf;
    int r = 0;

    if (len <= XENO_AGENT_READ_MAX)
        return xeno_agent_read(a, digest, offset, buf, len, want, err);
    for (size_t done = 0, n; r >= 0 && done < len; done += n) {
        n = len - done < XENO_AGENT_READ_MAX ? len - done : XENO_AGENT_READ_MAX;
        r = xeno_agent_read(a, digest, offset + (int64_t)done, to + done, n, NULL, err);
    }
    return r;
}

static void source_free(struct xeno_source *s)
{
    free((struct agent_source *)s);
}

static const struct xeno_source_ops agent_ops = { .read = source_read, .free = source_free };

int xeno_source_agent(struct xeno_agent *a, const char *name, struct xeno_source **ret,
                      struct xeno_err *err)
{
    struct agent_source *s = xeno_new0(struct agent_source);

    (void)err;
    s->base.ops = &agent_ops;
    s->base.name = xeno_strdup(name);
    s->agent = a;
    *ret = &s->base;
    return 0;
}
