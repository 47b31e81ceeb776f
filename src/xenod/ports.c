/* src/xenod/ports.c - what the host sends leaves from here, after what it knows is durable. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <utlist.h>

#include "base/log.h"
#include "json/json.h"
#include "xenod/inuse.h"
#include "xenod/xenod.h"

#define ANSWER_MAX_BYTES (4 << 20)
/* What the write-ahead log may grow by before it is folded in. With less nothing new is begun; what
 * runs is still charged. */
#define JOURNAL_ROOM_BYTES (INT64_C(8) << 20)

struct xenod_message {
    uint64_t tag;
    struct xeno_task_request *task; /* either */
    struct xeno_host_corp_op corp;  /* or: all its texts are owned */
    struct xenod_message *prev, *next;
};

/* Handed to the task manager's client or the HTTP client until it calls back. */
struct xenod_answer {
    struct xenod *d;
    uint64_t tag;
    struct xeno_err failure;   /* of a request that could not even be asked */
    sd_event_source *deferred; /* tells it from the loop */
    struct xenod_answer *prev, *next;
};

static struct xenod_answer *answer_new(struct xenod *d, uint64_t tag)
{
    struct xenod_answer *a = xeno_new0(struct xenod_answer);

    a->d = d;
    a->tag = tag;
    DL_APPEND(d->answers, a);
    return a;
}

static void answer_free(struct xenod_answer *a)
{
    DL_DELETE(a->d->answers, a);
    sd_event_source_disable_unref(a->deferred);
    free(a);
}

/* --- task manager --- */

static void on_task_answer(void *data, const struct xeno_json_at *ok, int *fds, size_t nfds,
                           const struct xeno_err *err)
{
    struct xenod_answer *a = data;

    (void)fds;
    (void)nfds;
    xeno_host_task_done(a->d->host, a->tag, ok, err);
    answer_free(a);
}

static void tell_list(struct xenod_answer *a, struct xeno_json *sessions,
                      const struct xeno_err *err)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    struct xeno_json_at at = xeno_json_top(body);

    xeno_json_set(body, "sessions", sessions);
    xeno_host_task_done(a->d->host, a->tag, err ? NULL : &at, err);
    answer_free(a);
}

static void on_usage(void *data, const struct xeno_task_usage *items, size_t n,
                     const struct xeno_err *err)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; !err && i < n; i++)
        xeno_json_append(list, xeno_task_usage_json(&items[i]));
    tell_list(data, list, err);
}

static void on_list(void *data, const struct xeno_task_session_info *items, size_t n,
                    const struct xeno_err *err)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; !err && i < n; i++)
        xeno_json_append(list, xeno_task_session_json(&items[i]));
    tell_list(data, list, err);
}

/* A list of thousands of sessions comes in pages, which are the client's business. */
static int ask_task(struct xenod *d, struct xeno_task_request *q, struct xenod_answer *a)
{
    if (q->op == XENO_TASK_USAGE)
        return xeno_task_client_usage(d->task, xeno_s(0), on_usage, a, &a->failure);
    if (q->op == XENO_TASK_LIST)
        return xeno_task_client_list(d->task, xeno_s(0), on_list, a, &a->failure);
    return xeno_task_client_ask(d->task, q, xeno_s(0), on_task_answer, a, &a->failure);
}

/* The host must not be called from inside its own call. */
static int on_deferred(sd_event_source *s, void *data)
{
    struct xenod_answer *a = data;

    (void)s;
    xeno_host_task_done(a->d->host, a->tag, NULL, &a->failure);
    answer_free(a);
    return 0;
}

static void send_task(struct xenod *d, uint64_t tag, struct xeno_task_request *q)
{
    struct xenod_answer *a = answer_new(d, tag);

    if (ask_task(d, q, a) == 0)
        return;
    if (sd_event_add_defer(d->loop, &a->deferred, on_deferred, a) < 0)
        answer_free(a); /* the host gives up waiting by itself */
}

/* --- XenoCorp --- */

static void on_corp_answer(const struct xeno_http_answer *a, void *arg)
{
    struct xenod_answer *w = arg;
    struct xenod *d = w->d;
    xeno_auto(xeno_json) body = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    const struct xeno_err *failure = a->err;

    xeno_member_corp_heard(d->member, a->status != 0);
    if (!failure && xeno_json_parse(a->body, a->len, ANSWER_MAX_BYTES, &body, &err) < 0)
        failure = &err;
    if (failure)
        xeno_log_err(LOG_NOTICE, "corp.answer", failure, "status=%d", a->status);
    xeno_host_corp_done(d->host, w->tag, body, xeno_member_corp_refused(a), failure);
    if (xeno_host_log_doubt(d->host, &err))
        xeno_log_err(LOG_CRIT, "corp.log", &err, "%s", "see=status");
    answer_free(w);
}

static void send_corp(struct xenod *d, uint64_t tag, const struct xeno_host_corp_op *op)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", d->opt.corp_url, op->path);
    struct xeno_http_ask ask = { .method = op->body ? "POST" : "GET",
                                 .url = url,
                                 .server_id = xeno_member_corp(d->member)->s,
                                 .type = op->content_type,
                                 .body = op->body,
                                 .body_len = op->body_len,
                                 .idempotency_key = op->key,
                                 .deadline = xeno_s(15),
                                 .max_body = ANSWER_MAX_BYTES,
                                 .done = on_corp_answer,
                                 .arg = answer_new(d, tag) };

    xeno_http_send(d->client, &ask);
}

/* --- until the commit --- */

static char **copy_words(char *const *words)
{
    size_t n = 0;
    char **copy;

    if (!words)
        return NULL;
    while (words[n])
        n++;
    copy = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = xeno_strdup(words[i]);
    return copy;
}

static struct xeno_task_request *copy_request(const struct xeno_task_request *q)
{
    struct xeno_task_request *copy = xeno_memdup(q, sizeof *q);

    copy->program.argv = copy_words(q->program.argv);
    copy->program.env = copy_words(q->program.env);
    copy->program.cwd = xeno_strdup(q->program.cwd);
    copy->program.user = xeno_strdup(q->program.user);
    return copy;
}

static void message_free(struct xenod_message *m)
{
    xeno_task_request_free(m->task);
    free((char *)m->corp.path);
    free((char *)m->corp.content_type);
    free((char *)m->corp.key);
    free((char *)m->corp.body);
    free(m);
}

static struct xenod_message *queue(struct xenod *d, uint64_t tag)
{
    struct xenod_message *m = xeno_new0(struct xenod_message);

    m->tag = tag;
    DL_APPEND(d->out, m);
    return m;
}

static void port_task(void *ctx, uint64_t tag, struct xeno_task_request *q)
{
    struct xenod *d = ctx;

    if (d->depth == 0)
        send_task(d, tag, q);
    else
        queue(d, tag)->task = copy_request(q);
}

static void port_corp(void *ctx, uint64_t tag, const struct xeno_host_corp_op *op)
{
    struct xenod *d = ctx;

    if (d->depth == 0) {
        send_corp(d, tag, op);
        return;
    }
    queue(d, tag)->corp = (struct xeno_host_corp_op){
        .path = xeno_strdup(op->path),
        .content_type = xeno_strdup(op->content_type),
        .key = xeno_strdup(op->key),
        .body = op->body ? xeno_memdup(op->body, op->body_len) : NULL,
        .body_len = op->body_len,
    };
}

static void port_event(void *ctx, const struct xeno_host_event *ev)
{
    struct xenod *d = ctx;

    xeno_log(LOG_INFO, ev->type, "session=%s data=%s", ev->session, ev->data);
    xenod_watch_host(d, ev);
}

const struct xeno_host_ports xenod_ports = {
    .task = port_task,
    .corp = port_corp,
    .event = port_event,
    .image = xenod_image_port,
    .port_in_use = xenod_port_in_use,
};

static void send_all(struct xenod *d)
{
    struct xenod_message *m;

    while ((m = d->out) != NULL) {
        DL_DELETE(d->out, m);
        if (m->task)
            send_task(d, m->tag, m->task);
        else
            send_corp(d, m->tag, &m->corp);
        message_free(m);
    }
}

/* The journal and the memory would no longer agree. Starting again makes them. */
static void give_up(const struct xeno_err *err)
{
    xeno_log_err(LOG_CRIT, "journal.lost", err, "%s", "");
    _exit(EXIT_FAILURE);
}

bool xenod_has_room(const struct xenod *d)
{
    struct statvfs fs;

    return fstatvfs(d->dirfd, &fs) < 0 ||
           (int64_t)fs.f_bavail * (int64_t)fs.f_frsize >= JOURNAL_ROOM_BYTES;
}

void xenod_begin(struct xenod *d)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_db_begin(d->db, &err) < 0)
        give_up(&err);
    d->depth++;
}

int xenod_begin_new(struct xenod *d, struct xeno_err *err)
{
    if (!xenod_has_room(d))
        return xeno_fail(err, -ENOSPC, "journal.full",
                         "the disk of this host's journal is full; try again later");
    xenod_begin(d);
    return 0;
}

void xenod_end(struct xenod *d)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_db_commit(d->db, &err) < 0)
        give_up(&err);
    if (--d->depth == 0)
        send_all(d);
}

void xenod_cancel(struct xenod *d)
{
    xeno_db_rollback(d->db);
    if (--d->depth == 0)
        send_all(d); /* what was refused sent nothing; a clock that moved on in between may have */
}

void xenod_ports_release(struct xenod *d)
{
    struct xenod_message *m, *next_m;
    struct xenod_answer *a, *next_a;

    DL_FOREACH_SAFE (d->out, m, next_m) {
        DL_DELETE(d->out, m);
        message_free(m);
    }
    DL_FOREACH_SAFE (d->answers, a, next_a)
        answer_free(a);
}
