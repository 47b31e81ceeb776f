/* src/xenod/api-logs.c - what a task wrote, and goes on writing.
 *
 * xeno-taskd hands over the log file, open for reading; it is sent in pieces as fast as the peer
 * takes them. Following looks for more at once, every 2 ms after something came, and more and more
 * rarely, at last ten times a second, while nothing does (a look is two system calls); it ends when
 * the task has ended and its log is read to the end. The log of a task that is not started yet can
 * be followed too: the request waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "xenod/logs.h"
#include "xenod/xenod.h"

#define POLL_FIRST_US 200 /* the first byte is the one that is waited for */
#define POLL_MIN_US   (2 * 1000)
#define POLL_MAX_US   (100 * 1000)
#define CHUNK_BYTES   (64 * 1024)
#define WAITING_BYTES (128 * 1024) /* more is not read while the peer has this to take */
#define TAIL_BYTES    (1 << 20)    /* how far back ?tail looks */
#define TAIL_MAX      100000
#define QUIET_US      (200 * 1000) /* after the task's end: conmon may still be writing */

struct log {
    struct xenod_watch watch; /* first: the two pointers are one */
    struct xenod *d;
    char task[XENO_TASK_NAME_MAX + 1];
    struct xeno_http_req *q; /* until the stream begins */
    struct xeno_http_stream *stream;
    struct xenod_log_reader reader;
    sd_event_source *timer;
    int fd;
    int64_t at;
    int64_t tail; /* -1: from the beginning */
    bool follow, ended;
    bool asked;       /* the task manager for the file; before, the task is waited for */
    uint64_t poll_us; /* until the next look */
    uint64_t quiet_us;
};

static void log_free(struct log *l)
{
    xeno_task_client_forget(l->d->task, l);
    xenod_watch_remove(l->d, &l->watch);
    sd_event_source_disable_unref(l->timer);
    xenod_log_release(&l->reader);
    if (l->fd >= 0)
        close(l->fd);
    free(l);
}

static void on_gone(void *arg)
{
    log_free(arg);
}

static void on_task_event(struct xenod_watch *w, const struct xeno_task_event *ev)
{
    struct log *l = (struct log *)w;

    l->ended |= ev->kind == XENO_TASK_EVENT_EXIT && strcmp(ev->task, l->task) == 0;
}

static void ask_for_file(struct log *l);

/* Is it about this task? Its name is a member of the event's object. */
static bool about_task(const struct log *l, const struct xeno_host_event *ev)
{
    char member[XENO_TASK_NAME_MAX + 16];

    snprintf(member, sizeof member, "\"task\":\"%s\"", l->task);
    return strstr(ev->data, member) != NULL;
}

/* A session that ends or is suspended takes its tasks with it, without an event for each. */
static void on_host_event(struct xenod_watch *w, const struct xeno_host_event *ev)
{
    struct log *l = (struct log *)w;

    if ((strcmp(ev->type, "task.failed") == 0 || strcmp(ev->type, "task.exit") == 0) &&
        about_task(l, ev))
        l->ended = true;
    l->ended |=
        strcmp(ev->type, "session.state") == 0 &&
        (strstr(ev->data, "\"state\":\"ended\"") || strstr(ev->data, "\"state\":\"suspended\""));
    if (!l->asked && (l->ended || (strcmp(ev->type, "task.started") == 0 && about_task(l, ev))))
        ask_for_file(l);
}

/* --- sending --- */

/* Returns: bytes read, 0 at the end of the file, negative for a failure. */
static ssize_t send_some(struct log *l)
{
    xeno_autobuf out = XENO_BUF_INIT;
    char chunk[CHUNK_BYTES];
    ssize_t n = pread(l->fd, chunk, sizeof chunk, l->at);

    if (n <= 0)
        return n;
    l->at += n;
    xenod_log_feed(&l->reader, chunk, (size_t)n, &out);
    if (out.len > 0 && !xeno_http_stream_write(l->stream, out.data, out.len))
        return -1; /* on_gone() follows */
    return n;
}

static bool at_end(struct log *l)
{
    if (!l->follow)
        return true;
    if (l->ended)
        l->quiet_us += l->poll_us;
    return l->ended && l->quiet_us > QUIET_US;
}

/* Returns false when the log is gone. */
static bool pump(struct log *l)
{
    int64_t before = l->at;
    struct stat st;
    ssize_t n = 1;

    if (fstat(l->fd, &st) == 0 && st.st_size < l->at)
        l->at = 0; /* it was begun anew */
    while (n > 0 && xeno_http_stream_waiting(l->stream) < WAITING_BYTES)
        n = send_some(l);
    if (l->at != before) {
        l->quiet_us = 0;
        l->poll_us = POLL_MIN_US;
    }
    if (n == 0 && at_end(l)) {
        xeno_http_stream_close(l->stream);
        log_free(l);
        return false;
    }
    return true;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *data)
{
    struct log *l = data;

    (void)usec;
    if (!pump(l))
        return 0;
    (void)sd_event_source_set_time_relative(s, l->poll_us);
    l->poll_us = l->poll_us * 3 / 2 < POLL_MAX_US ? l->poll_us * 3 / 2 : POLL_MAX_US;
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void go_to_tail(struct log *l)
{
    xeno_autofree char *text = NULL;
    struct stat st;
    int64_t from;
    ssize_t n;

    if (l->tail < 0 || fstat(l->fd, &st) < 0)
        return;
    from = st.st_size > TAIL_BYTES ? st.st_size - TAIL_BYTES : 0;
    text = xeno_try_alloc(TAIL_BYTES);
    n = text ? pread(l->fd, text, TAIL_BYTES, from) : -1;
    if (n > 0)
        l->at = from + (int64_t)xenod_log_tail(text, (size_t)n, (size_t)l->tail);
}

static void begin(struct log *l)
{
    struct xeno_http_req *q = xeno_take(&l->q);

    go_to_tail(l);
    l->stream = xeno_http_reply_stream(q, "text/plain; charset=utf-8", on_gone, l);
    if (sd_event_add_time_relative(l->d->loop, &l->timer, CLOCK_MONOTONIC, 0, POLL_FIRST_US / 2,
                                   on_timer, l) < 0) {
        xeno_http_stream_close(l->stream);
        log_free(l);
    }
}

/* --- asking --- */

static void on_log(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                   const struct xeno_err *err)
{
    struct log *l = data;
    struct xeno_err why = XENO_ERR_INIT;

    (void)ok;
    if (!err && nfds == 1) {
        l->fd = xeno_take_fd(&fds[0]);
        begin(l);
        return;
    }
    if (!err) {
        xeno_fail(&why, -EPROTO, "task.descriptors", "the task manager sent no log");
        err = &why;
    }
    xenod_refuse(l->q, err);
    log_free(l);
}

static void ask_for_file(struct log *l)
{
    xeno_auto(xeno_task_request) ask = xeno_task_request_new(XENO_TASK_LOGS, l->watch.session);
    struct xeno_err err = XENO_ERR_INIT;

    l->asked = true;
    snprintf(ask->task, sizeof ask->task, "%s", l->task);
    if (xeno_task_client_ask(l->d->task, ask, xeno_s(15), on_log, l, &err) < 0) {
        xenod_refuse(l->q, &err);
        log_free(l);
    }
}

/* The request was dropped before its answer. */
static void on_asker_gone(void *arg)
{
    log_free(arg);
}

/* The state of a task as its session shows it; "" when there is none. */
static void task_state(struct xenod *d, const struct xeno_id *who, const char *session,
                       const char *task, char ret[16])
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at, list;
    size_t count = 0;

    ret[0] = '\0';
    if (xeno_host_tasks_json(d->host, who, session, &j, NULL) < 0)
        return;
    at = xeno_json_top(j);
    if (xeno_json_arr(&at, "tasks", 4096, &list, &count, NULL) < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);
        const char *name = "", *state = "";

        if (xeno_json_str(&item, "task", 1, 64, &name, NULL) == 0 && strcmp(name, task) == 0 &&
            xeno_json_str(&item, "state", 1, 15, &state, NULL) == 0)
            snprintf(ret, 16, "%s", state);
    }
}

static unsigned wanted(const struct xeno_http_req *q)
{
    const char *stream = xeno_http_query(q, "stream");
    unsigned want = XENOD_LOG_STDOUT | XENOD_LOG_STDERR;

    if (stream && strcmp(stream, "stdout") == 0)
        want = XENOD_LOG_STDOUT;
    if (stream && strcmp(stream, "stderr") == 0)
        want = XENOD_LOG_STDERR;
    return want | (xenod_query_flag(q, "timestamps") ? XENOD_LOG_TIMES : 0);
}

static struct log *log_new(struct xenod *d, struct xeno_http_req *q, int64_t tail)
{
    const char *session = xeno_http_param(q, "session"), *task = xeno_http_param(q, "task");
    struct log *l = xeno_new0(struct log);
    char state[16];

    *l = (struct log){ .d = d, .q = q, .fd = -1, .tail = tail, .poll_us = POLL_FIRST_US };
    l->watch.task_event = on_task_event;
    l->watch.host_event = on_host_event;
    snprintf(l->watch.session, sizeof l->watch.session, "%s", session);
    snprintf(l->task, sizeof l->task, "%s", task);
    l->reader.want = wanted(q);
    l->follow = xenod_query_flag(q, "follow");
    task_state(d, xenod_who(d, q), session, task, state);
    l->ended = strcmp(state, "exited") == 0 || strcmp(state, "failed") == 0;
    l->asked = !l->follow || strcmp(state, "pending") != 0;
    xenod_watch_add(d, &l->watch);
    return l;
}

void xenod_get_logs(struct xeno_http_req *q, void *user)
{
    struct xenod *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    struct log *l;
    int64_t tail;

    if (!xenod_query_int(q, "tail", 0, TAIL_MAX, -1, &tail))
        return;
    if (xeno_host_check(d->host, xenod_who(d, q), xeno_http_param(q, "session"),
                        xeno_http_param(q, "task"), false, &err) < 0) {
        xenod_refuse(q, &err);
        return;
    }
    l = log_new(d, q, tail);
    xeno_http_on_gone(q, on_asker_gone, l);
    if (l->asked)
        ask_for_file(l);
}
