/* src/task/client.c - the asking side of the task protocol. */
#include "task/client.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uthash.h>

#include "task/frame.h"

#define RETRY_MIN_US  UINT64_C(100000)
#define RETRY_MAX_US  UINT64_C(2000000)
#define FRAMES_A_TURN 64

/* A request that waits for its answer. */
struct open_request {
    int64_t id;
    const void *owner;        /* whom to forget it for */
    void (*drop)(void *data); /* frees data when nobody will be told; NULL: not ours */
    struct xeno_task_client *client;
    xeno_task_done *done;
    void *data;
    sd_event_source *timer;
    UT_hash_handle hh;
};

struct xeno_task_client {
    sd_event *loop;
    struct sockaddr_un address;
    struct xeno_task_client_hooks hooks;
    struct xeno_task_frames *frames; /* NULL: no connection */
    sd_event_source *io, *retry;
    uint64_t retry_us;
    int64_t next_id;
    struct open_request *open; /* by id */
    size_t nopen;
    int busy;    /* within calls back to the owner */
    bool ending; /* freed by one of them: goes when busy is zero */
};

static int try_connect(struct xeno_task_client *c);

/* --- open requests --- */

static void drop_request(struct open_request *o)
{
    struct xeno_task_client *c = o->client;

    HASH_DEL(c->open, o);
    c->nopen--;
    sd_event_source_disable_unref(o->timer);
    if (o->drop)
        o->drop(o->data);
    free(o);
}

/* Tell the asker and forget; the client may be gone after. */
static void finish(struct open_request *o, const struct xeno_json_at *ok, int *fds, size_t nfds,
                   const struct xeno_err *err)
{
    xeno_task_done *done = o->done;
    void *data = o->data;

    o->drop = NULL;
    drop_request(o);
    done(data, ok, fds, nfds, err);
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *data)
{
    struct open_request *o = data;
    struct xeno_err err = XENO_ERR_INIT;

    (void)s;
    (void)usec;
    xeno_fail(&err, -ETIMEDOUT, "task.timeout", "the task manager did not answer in time");
    finish(o, NULL, NULL, 0, &err);
    return 0;
}

/* --- the connection --- */

static int on_retry(sd_event_source *s, uint64_t usec, void *data)
{
    struct xeno_task_client *c = data;

    (void)s;
    (void)usec;
    c->retry = sd_event_source_disable_unref(c->retry);
    return try_connect(c);
}

static void plan_retry(struct xeno_task_client *c)
{
    sd_event_add_time_relative(c->loop, &c->retry, CLOCK_MONOTONIC, c->retry_us, 1000, on_retry, c);
    c->retry_us = c->retry_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : c->retry_us * 2;
}

static void drop_all(struct xeno_task_client *c)
{
    while (c->open)
        drop_request(c->open);
    c->io = sd_event_source_disable_unref(c->io);
    c->retry = sd_event_source_disable_unref(c->retry);
    xeno_task_frames_free(xeno_take(&c->frames));
}

/* A callback may free the client: it then lasts until the last leave(). */
static void enter(struct xeno_task_client *c)
{
    c->busy++;
}

static void leave(struct xeno_task_client *c)
{
    if (--c->busy > 0 || !c->ending)
        return;
    sd_event_unref(c->loop);
    free(c);
}

/* Every open request fails, then the owner hears of it. */
static void lost(struct xeno_task_client *c, const struct xeno_err *why)
{
    struct xeno_err err = XENO_ERR_INIT;

    c->io = sd_event_source_disable_unref(c->io);
    xeno_task_frames_free(xeno_take(&c->frames));
    c->retry_us = RETRY_MIN_US;
    plan_retry(c);
    xeno_fail(&err, -ENOTCONN, "task.away", "the connection to the task manager was lost: %s",
              why->text);
    while (c->open)
        finish(c->open, NULL, NULL, 0, &err);
    if (!c->ending && c->hooks.state)
        c->hooks.state(c->hooks.data, false);
}

static int dispatch_reply(struct xeno_task_client *c, const struct xeno_json_at *top, int64_t id,
                          int *fds, size_t nfds, struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at ok, error;
    struct open_request *o;
    const char *token, *text;
    int64_t code;
    int r;

    HASH_FIND(hh, c->open, &id, sizeof id, o);
    if (!o)
        return 0; /* it came after its time */
    r = xeno_json_obj_opt(top, "ok", &ok, err);
    if (r < 0)
        return r;
    if (r == 0) {
        finish(o, &ok, fds, nfds, NULL);
        return 0;
    }
    r = xeno_json_obj(top, "error", &error, err);
    if (r == 0)
        r = xeno_json_str(&error, "token", 1, XENO_ERR_TOKEN_MAX - 1, &token, err);
    if (r == 0)
        r = xeno_json_str(&error, "text", 0, XENO_TASK_FRAME_MAX, &text, err);
    if (r == 0)
        r = xeno_json_int(&error, "errno", 1, 4095, &code, err);
    if (r < 0)
        return r;
    xeno_fail(&why, (int)-code, token, "%s", text);
    finish(o, NULL, NULL, 0, &why);
    return 0;
}

/* One message. The client may be gone after. */
static int dispatch(struct xeno_task_client *c, const char *text, size_t len, int *fds, size_t nfds,
                    struct xeno_err *err)
{
    xeno_auto(xeno_json) root = NULL;
    struct xeno_task_event event;
    struct xeno_json_at top;
    int64_t id;
    int r;

    r = xeno_json_parse(text, len, XENO_TASK_FRAME_MAX, &root, err);
    if (r < 0)
        return r;
    top = xeno_json_top(root);
    r = xeno_json_int_opt(&top, "id", 0, INT64_MAX, &id, err);
    if (r < 0)
        return r;
    if (r == 0)
        return dispatch_reply(c, &top, id, fds, nfds, err);
    r = xeno_task_event_read(&top, &event, err);
    if (r == 0 && c->hooks.event)
        c->hooks.event(c->hooks.data, &event);
    return r;
}

/* Returns: 1 when there may be more, 0 when there is none, or a failure that ends the connection.
 */
static int read_one(struct xeno_task_client *c, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    int fds[XENO_TASK_FDS_MAX] = { -1, -1, -1, -1 };
    size_t len, nfds = 0;
    int r;

    r = xeno_task_frames_read(c->frames, &text, &len, fds, &nfds, err);
    if (r <= 0)
        return r;
    r = dispatch(c, text, len, fds, nfds, err);
    for (size_t i = 0; i < nfds; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return r < 0 ? r : 1;
}

static void watch(struct xeno_task_client *c)
{
    sd_event_source_set_io_events(c->io, xeno_task_frames_pending(c->frames) ? EPOLLIN | EPOLLOUT
                                                                             : EPOLLIN);
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct xeno_task_client *c = data;
    struct xeno_err err = XENO_ERR_INIT;
    int r = 1;

    (void)s;
    (void)fd;
    enter(c);
    if (events & EPOLLOUT)
        r = xeno_task_frames_flush(c->frames, &err) < 0 ? -1 : 1;
    for (int i = 0; r > 0 && i < FRAMES_A_TURN && !c->ending; i++)
        r = read_one(c, &err);
    if (r < 0 && !c->ending)
        lost(c, &err);
    else if (!c->ending)
        watch(c);
    leave(c);
    return 0;
}

static int try_connect(struct xeno_task_client *c)
{
    xeno_autoclose int fd = -1;

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Blocks for as long as the other side's queue is full: it is short and we are its only peer.
     */
    if (fd < 0 || connect(fd, (struct sockaddr *)&c->address, sizeof c->address) < 0) {
        plan_retry(c);
        return 0;
    }
    c->frames = xeno_task_frames_new(xeno_take_fd(&fd));
    c->retry_us = RETRY_MIN_US;
    sd_event_add_io(c->loop, &c->io, xeno_task_frames_fd(c->frames), EPOLLIN, on_io, c);
    enter(c);
    if (c->hooks.state)
        c->hooks.state(c->hooks.data, true);
    leave(c);
    return 0;
}

/* --- the interface --- */

int xeno_task_client_new(sd_event *loop, const char *socket_path,
                         const struct xeno_task_client_hooks *hooks, struct xeno_task_client **ret,
                         struct xeno_err *err)
{
    struct xeno_task_client *c;

    if (strlen(socket_path) >= sizeof c->address.sun_path)
        return xeno_fail(err, -ENAMETOOLONG, "task.socket",
                         "the socket's path has %zu bytes, the limit is %zu", strlen(socket_path),
                         sizeof c->address.sun_path - 1);
    c = xeno_new0(struct xeno_task_client);
    c->loop = sd_event_ref(loop);
    c->address.sun_family = AF_UNIX;
    strcpy(c->address.sun_path, socket_path);
    if (hooks)
        c->hooks = *hooks;
    /* The first try comes from the loop, so that no callback is told from within this call. */
    c->retry_us = 1;
    plan_retry(c);
    c->retry_us = RETRY_MIN_US;
    *ret = c;
    return 0;
}

void xeno_task_client_free(struct xeno_task_client *c)
{
    if (!c)
        return;
    drop_all(c);
    c->ending = true;
    enter(c);
    leave(c);
}

bool xeno_task_client_up(const struct xeno_task_client *c)
{
    return c->frames != NULL;
}

static int ask(struct xeno_task_client *c, struct xeno_task_request *q, xeno_time timeout,
               const struct open_request *form, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    struct open_request *o;
    size_t len;
    int r;

    if (!c->frames)
        return xeno_fail(err, -ENOTCONN, "task.away", "the task manager is not there");
    if (c->nopen >= XENO_TASK_OPEN_MAX)
        return xeno_fail(err, -ENOBUFS, "task.slow", "%d requests wait for their answer",
                         XENO_TASK_OPEN_MAX);
    q->id = ++c->next_id;
    r = xeno_task_request_format(q, &text, &len, err);
    if (r == 0)
        r = xeno_task_frames_write(c->frames, text, len, NULL, 0, err);
    if (r == -EPIPE || r == -ECONNRESET)
        return xeno_fail(err, -ENOTCONN, "task.away", "the task manager has just gone");
    if (r < 0)
        return r; /* a broken connection is found by the loop, which then tells the others */
    o = xeno_memdup(form, sizeof *form);
    o->id = q->id;
    o->client = c;
    HASH_ADD(hh, c->open, id, sizeof o->id, o);
    c->nopen++;
    sd_event_add_time_relative(c->loop, &o->timer, CLOCK_MONOTONIC,
                               timeout.ns > 0 ? (uint64_t)timeout.ns / 1000 : 60000000, 0,
                               on_timeout, o);
    watch(c);
    return 0;
}

int xeno_task_client_ask(struct xeno_task_client *c, struct xeno_task_request *q, xeno_time timeout,
                         xeno_task_done *done, void *data, struct xeno_err *err)
{
    return ask(c, q, timeout, &(struct open_request){ .owner = data, .done = done, .data = data },
               err);
}

void xeno_task_client_forget(struct xeno_task_client *c, const void *data)
{
    struct open_request *o, *next;

    HASH_ITER (hh, c->open, o, next) {
        if (o->owner == data)
            drop_request(o);
    }
}

/* --- page by page --- */

/* A question of which the pages are put together. */
struct pages {
    struct xeno_task_client *client;
    enum xeno_task_op op;
    xeno_time timeout;
    xeno_task_usage_done *usage;
    xeno_task_list_done *list;
    void *data;
    size_t n;
    struct xeno_task_usage *usages;
    struct xeno_task_session_info *sessions;
};

static void pages_free(void *data)
{
    struct pages *p = data;

    free(p->usages);
    free(p->sessions);
    free(p);
}

static void pages_done(struct pages *p, const struct xeno_err *err)
{
    if (p->usage)
        p->usage(p->data, p->usages, err ? 0 : p->n, err);
    else
        p->list(p->data, p->sessions, err ? 0 : p->n, err);
    pages_free(p);
}

static int read_page(struct pages *p, const struct xeno_json_at *ok, struct xeno_err *err)
{
    struct xeno_json_at arr;
    size_t n;
    int r;

    r = xeno_json_arr(ok, "sessions", XENO_TASK_FRAME_MAX, &arr, &n, err);
    if (r < 0)
        return r;
    if (p->usage)
        p->usages = xeno_grow(p->usages, p->n + n + 1);
    else
        p->sessions = xeno_grow(p->sessions, p->n + n + 1);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&arr, i);

        r = p->usage ? xeno_task_usage_read(&item, &p->usages[p->n], err)
                     : xeno_task_session_read(&item, &p->sessions[p->n], err);
        p->n += r == 0;
    }
    return r;
}

static int ask_page(struct pages *p, const char *after, struct xeno_err *err);

static void on_page(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                    const struct xeno_err *why)
{
    struct pages *p = data;
    struct xeno_err err = XENO_ERR_INIT;
    const char *next = NULL;
    int r;

    (void)fds;
    (void)nfds;
    if (why) {
        pages_done(p, why);
        return;
    }
    r = read_page(p, ok, &err);
    if (r == 0)
        r = xeno_json_str_opt(ok, "next", 1, XENO_TASK_SESSION_LEN, &next, &err);
    if (r == 0)
        r = ask_page(p, next, &err);
    else if (r == 1) {
        pages_done(p, NULL);
        return;
    }
    if (r < 0)
        pages_done(p, &err);
}

static int ask_page(struct pages *p, const char *after, struct xeno_err *err)
{
    xeno_auto(xeno_task_request) q = xeno_task_request_new(p->op, NULL);

    if (after)
        strcpy(q->after, after);
    return ask(
        p->client, q, p->timeout,
        &(struct open_request){ .owner = p->data, .done = on_page, .data = p, .drop = pages_free },
        err);
}

static int ask_pages(const struct pages *form, struct xeno_err *err)
{
    struct pages *p = xeno_memdup(form, sizeof *form);
    int r = ask_page(p, NULL, err);

    if (r < 0)
        pages_free(p);
    return r;
}

int xeno_task_client_usage(struct xeno_task_client *c, xeno_time timeout,
                           xeno_task_usage_done *done, void *data, struct xeno_err *err)
{
    return ask_pages(
        &(struct pages){
            .client = c, .op = XENO_TASK_USAGE, .timeout = timeout, .usage = done, .data = data },
        err);
}

int xeno_task_client_list(struct xeno_task_client *c, xeno_time timeout, xeno_task_list_done *done,
                          void *data, struct xeno_err *err)
{
    return ask_pages(
        &(struct pages){
            .client = c, .op = XENO_TASK_LIST, .timeout = timeout, .list = done, .data = data },
        err);
}
