/* src/imaged/work.c - jobs: who waits, which thread takes what next, and what is put off. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "base/log.h"
#include "imaged/imaged.h"

#define WAITING_MAX  8192
#define PUT_OFF_MS   250  /* a job whose registry is away looks again so often */
#define OLD_MS       3000 /* a name that stood for something before is not waited for longer */
#define THREAD_STACK (512 * 1024)
#define END_S        2

/* What each kind may take of the threads, in quarters; one at least. */
static const struct {
    int (*run)(struct job *j, struct xeno_err *err);
    unsigned quarters;
} kinds[JOB_KINDS] = {
    [JOB_RESOLVE] = { job_resolve, 2 },
    [JOB_FETCH] = { job_fetch, 1 },
    [JOB_READ] = { job_read, 3 },
    [JOB_COLLECT] = { job_collect, 0 },
};

struct work {
    struct imaged *d;
    pthread_mutex_t mutex; /* of the next, down to `ending` */
    pthread_cond_t changed;
    struct job *waiting, *running, *finished;
    unsigned by_kind[JOB_KINDS], threads, idle;
    size_t flight_bytes; /* of running and finished jobs */
    bool ending;
    /* the loop's */
    pthread_t *ids;
    struct job *put_off;
    size_t count; /* of all jobs */
    int wake;     /* eventfd: something is finished */
    sd_event_source *woken, *timer;
};

/* --- in the threads --- */

static unsigned of_host(const struct work *w, const struct job *j)
{
    unsigned n = 0;

    for (const struct job *o = j->host[0] ? w->running : NULL; o; o = o->next)
        n += o->kind == j->kind && strcmp(o->host, j->host) == 0;
    return n;
}

/* A session that asks for much leaves others their part. */
static unsigned of_asker(const struct work *w, const struct job *j)
{
    unsigned n = 0;

    for (const struct job *o = j->asker ? w->running : NULL; o; o = o->next)
        n += o->kind == j->kind && o->asker == j->asker;
    return n;
}

static unsigned most(const struct work *w, enum job_kind kind)
{
    unsigned n = (unsigned)w->d->opt.connections * kinds[kind].quarters / 4;

    return n > 0 ? n : 1;
}

/* The oldest job that may begin. */
static struct job *pick(const struct work *w)
{
    size_t unsent = peers_unsent(w->d);
    struct job *j;

    DL_FOREACH (w->waiting, j) {
        if (w->by_kind[j->kind] >= most(w, j->kind) ||
            of_host(w, j) >= (unsigned)w->d->opt.per_host ||
            (j->kind == JOB_READ && of_asker(w, j) >= (most(w, j->kind) + 1) / 2))
            continue;
        if (j->bytes > 0 && w->flight_bytes + unsent > 0 &&
            w->flight_bytes + unsent + j->bytes > (size_t)w->d->opt.flight_bytes)
            continue;
        return j;
    }
    return NULL;
}

static void finish(struct work *w, struct job *j)
{
    uint64_t one = 1;

    DL_DELETE(w->running, j);
    w->by_kind[j->kind]--;
    DL_APPEND(w->finished, j);
    if (write(w->wake, &one, sizeof one) < 0)
        xeno_log(LOG_ERR, "work.wake", "errno=%d", errno);
}

static void *thread(void *arg)
{
    struct work *w = arg;

    pthread_mutex_lock(&w->mutex);
    while (!w->ending) {
        struct job *j = pick(w);

        if (!j) {
            w->idle++;
            pthread_cond_wait(&w->changed, &w->mutex);
            w->idle--;
            continue;
        }
        DL_DELETE(w->waiting, j);
        DL_APPEND(w->running, j);
        w->by_kind[j->kind]++;
        w->flight_bytes += j->bytes;
        pthread_mutex_unlock(&w->mutex);
        j->err = (struct xeno_err)XENO_ERR_INIT;
        j->r = kinds[j->kind].run(j, &j->err);
        pthread_mutex_lock(&w->mutex);
        finish(w, j);
        pthread_cond_broadcast(&w->changed); /* others may begin now */
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* --- in the loop --- */

static void job_free(struct work *w, struct job *j)
{
    while (j->waiters) {
        struct waiter *wt = j->waiters;

        j->waiters = wt->next;
        free(wt);
    }
    w->count--;
    xeno_json_unref(j->ok);
    xeno_json_unref(j->old);
    xeno_agent_request_free(j->q);
    free(j->data);
    free(j->key);
    free(j);
}

static void one_more_thread(struct work *w)
{
    pthread_attr_t attr;
    sigset_t all, before;

    if (w->threads >= (unsigned)w->d->opt.connections)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (pthread_create(&w->ids[w->threads], &attr, thread, w) == 0)
        w->threads++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void enqueue(struct work *w, struct job *j)
{
    pthread_mutex_lock(&w->mutex);
    DL_APPEND(w->waiting, j);
    if (w->idle == 0)
        one_more_thread(w);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

/* Tell all who wait, the last one with the data itself. */
static void answer(struct job *j)
{
    while (j->waiters) {
        struct waiter *wt = j->waiters;

        j->waiters = wt->next;
        if (j->r < 0)
            peer_refuse(wt->peer, wt->id, &j->err);
        else
            peer_reply(wt->peer, wt->id, xeno_json_ref(j->ok), xeno_take(&j->data), j->len);
        free(wt);
    }
}

/* Have the timer go off soon. */
static void wake_soon(struct work *w)
{
    sd_event_source_set_time_relative(w->timer, PUT_OFF_MS * 1000 / 2);
    sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void put_off(struct work *w, struct job *j)
{
    uint32_t chance;

    xeno_random(w->d->env, &chance, sizeof chance);
    j->tries++;
    j->not_before = xeno_time_add(xeno_mono(w->d->env), xeno_ms(PUT_OFF_MS + chance % PUT_OFF_MS));
    DL_APPEND(w->put_off, j);
    wake_soon(w);
}

static void settle(struct work *w, struct job *j)
{
    bool again = j->r == -EAGAIN && j->waiters && xeno_mono(w->d->env).ns < j->end.ns;

    if (again) {
        put_off(w, j);
        return;
    }
    if (j->r == -EAGAIN && j->err.code == -EAGAIN)
        j->err.code = -EIO; /* what may pass has not */
    if (j->r < 0)
        atomic_fetch_add(&w->d->count.failed, 1);
    answer(j);
    job_free(w, j);
}

static int on_wake(sd_event_source *s, int fd, uint32_t events, void *data)
{
    struct work *w = data;
    struct job *done, *j, *next;
    uint64_t n;

    (void)s;
    (void)events;
    if (read(fd, &n, sizeof n) < 0)
        return 0;
    pthread_mutex_lock(&w->mutex);
    done = xeno_take(&w->finished);
    DL_FOREACH (done, j) {
        w->flight_bytes -= j->bytes;
    }
    pthread_mutex_unlock(&w->mutex);
    DL_FOREACH_SAFE (done, j, next) {
        DL_DELETE(done, j);
        settle(w, j);
    }
    pthread_mutex_lock(&w->mutex);
    pthread_cond_broadcast(&w->changed); /* there is room in memory */
    pthread_mutex_unlock(&w->mutex);
    return 0;
}

/* Whoever waits for a name that stood for something before, and that takes long, is told that; the
 * job goes on for who comes next. Returns: are there such that wait still? */
static bool tell_old(struct work *w, struct job *list, xeno_time now)
{
    bool more = false;
    struct job *j;

    DL_FOREACH (list, j) {
        if (!j->old || !j->waiters)
            continue;
        if (now.ns < j->old_at.ns) {
            more = true;
            continue;
        }
        xeno_log(LOG_WARNING, "resolve.old", "name=%s host=%s text=\"it does not answer\"",
                 j->q->name, j->host);
        atomic_fetch_add(&w->d->count.resolved_old, 1);
        while (j->waiters) {
            struct waiter *wt = j->waiters;

            j->waiters = wt->next;
            peer_reply(wt->peer, wt->id, xeno_json_ref(j->old), NULL, 0);
            free(wt);
        }
    }
    return more;
}

static bool tell_all_old(struct work *w, xeno_time now)
{
    bool more;

    pthread_mutex_lock(&w->mutex);
    more = tell_old(w, w->waiting, now);
    more |= tell_old(w, w->running, now);
    pthread_mutex_unlock(&w->mutex);
    return tell_old(w, w->put_off, now) || more;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *data)
{
    struct work *w = data;
    xeno_time now = xeno_mono(w->d->env);
    bool more = tell_all_old(w, now);
    struct job *j, *next;

    (void)s;
    (void)usec;
    DL_FOREACH_SAFE (w->put_off, j, next) {
        if (j->not_before.ns > now.ns && j->waiters)
            continue;
        DL_DELETE(w->put_off, j);
        if (j->waiters)
            enqueue(w, j);
        else
            job_free(w, j);
    }
    if (w->put_off || more)
        wake_soon(w);
    return 0;
}

/* --- asking --- */

/* What the same question has; NULL: nobody can join. */
static char *key_of(enum job_kind kind, const struct xeno_agent_request *q)
{
    switch (kind) {
    case JOB_RESOLVE:
        return xeno_asprintf("resolve %d %s", (int)q->kind, q->name);
    case JOB_FETCH:
        return xeno_asprintf("fetch %s", q->layer);
    case JOB_COLLECT:
        return xeno_strdup("collect");
    default:
        return NULL;
    }
}

static struct job *find(struct work *w, const char *key)
{
    struct job *const lists[] = { w->waiting, w->running, w->finished, w->put_off };
    struct job *j;

    for (size_t i = 0; key && i < XENO_LEN(lists); i++)
        DL_FOREACH (lists[i], j) {
            if (j->key && strcmp(j->key, key) == 0)
                return j;
        }
    return NULL;
}

static void add_waiter(struct job *j, struct peer *p, int64_t id)
{
    struct waiter *w;

    if (!p)
        return;
    w = xeno_new0(struct waiter);
    w->peer = p;
    w->id = id;
    w->next = j->waiters;
    j->waiters = w;
}

/* Which registry will be asked, as far as it is known beforehand. */
static void guess_host(struct imaged *d, struct job *j)
{
    struct xeno_registry_name name = { .host = "" };
    struct layer_view v = { .source_count = 0 };

    if (j->kind == JOB_RESOLVE)
        xeno_registry_name_parse(j->q->name, &name, NULL);
    else if (j->kind != JOB_COLLECT && memory_layer(d, j->q->layer, &v, NULL) == 0 &&
             v.source_count > 0)
        xeno_registry_name_parse(v.sources[0], &name, NULL);
    layer_view_release(&v);
    snprintf(j->host, sizeof j->host, "%s", name.host);
}

static bool join(struct work *w, struct peer *p, const char *key, int64_t id, xeno_time end)
{
    struct job *j;

    pthread_mutex_lock(&w->mutex);
    j = find(w, key);
    if (j) {
        add_waiter(j, p, id);
        if (j->old)
            wake_soon(w);
        if (j->end.ns < end.ns)
            j->end = end;
    }
    pthread_mutex_unlock(&w->mutex);
    return j != NULL;
}

void work_submit(struct imaged *d, struct peer *p, enum job_kind kind,
                 struct xeno_agent_request *q_taken)
{
    xeno_auto(xeno_agent_request) q = q_taken;
    xeno_autofree char *key = key_of(kind, q);
    struct work *w = d->work;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_time end = xeno_time_add(xeno_mono(d->env), q ? q->wait : xeno_ns(0));
    struct job *j;

    if (join(w, p, key, q ? q->id : 0, end))
        return;
    if (w->count >= WAITING_MAX && p) {
        xeno_fail(&err, -EAGAIN, "agent.busy", "%d requests wait already", WAITING_MAX);
        peer_refuse(p, q->id, &err);
        return;
    }
    j = xeno_new0(struct job);
    j->d = d;
    j->kind = kind;
    j->end = end;
    j->key = xeno_take(&key);
    j->asker = p ? peer_pid(p) : 0;
    j->q = xeno_take(&q);
    if (j->kind == JOB_READ)
        j->bytes = (size_t)(j->q->length + j->q->size_bytes);
    add_waiter(j, p, j->q ? j->q->id : 0);
    guess_host(d, j);
    if (j->kind == JOB_RESOLVE && (j->old = resolve_old(d, j->q)) != NULL) {
        j->old_at = xeno_time_add(xeno_mono(d->env), xeno_ms(OLD_MS));
        wake_soon(w);
    }
    w->count++;
    enqueue(w, j);
}

static void drop_waiters(struct job *list, const struct peer *p)
{
    struct job *j;

    DL_FOREACH (list, j) {
        for (struct waiter **at = &j->waiters; *at;) {
            struct waiter *wt = *at;

            if (wt->peer != p) {
                at = &wt->next;
                continue;
            }
            *at = wt->next;
            free(wt);
        }
    }
}

void work_forget_peer(struct imaged *d, struct peer *p)
{
    struct work *w = d->work;
    struct job *j, *next;

    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    drop_waiters(w->waiting, p);
    drop_waiters(w->running, p);
    drop_waiters(w->finished, p);
    DL_FOREACH_SAFE (w->waiting, j, next) {
        if (j->waiters || j->kind == JOB_COLLECT)
            continue;
        DL_DELETE(w->waiting, j);
        job_free(w, j);
    }
    pthread_mutex_unlock(&w->mutex);
    drop_waiters(w->put_off, p);
}

void work_room(struct imaged *d)
{
    if (!d->work)
        return;
    pthread_mutex_lock(&d->work->mutex);
    pthread_cond_broadcast(&d->work->changed);
    pthread_mutex_unlock(&d->work->mutex);
}

size_t work_waiting(const struct imaged *d)
{
    return d->work->count;
}

/* --- begin and end --- */

int work_open(struct imaged *d, struct xeno_err *err)
{
    struct work *w = xeno_new0(struct work);
    int r;

    d->work = w;
    w->d = d;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->ids = xeno_new0_n(pthread_t, (size_t)d->opt.connections);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake < 0)
        return xeno_fail_errno(err, -errno, "agent.loop", "make an eventfd");
    r = sd_event_add_io(d->loop, &w->woken, w->wake, EPOLLIN, on_wake, w);
    if (r >= 0)
        r = sd_event_add_time_relative(d->loop, &w->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, w);
    if (r < 0)
        return xeno_fail_errno(err, r, "agent.loop", "join the event loop");
    sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
    return 0;
}

/* Whoever is with a slow registry is not waited for: nothing is in memory that matters. */
static void end_threads(struct work *w)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_S;
    pthread_mutex_lock(&w->mutex);
    w->ending = true;
    pthread_cond_broadcast(&w->changed);
    while (w->running && pthread_cond_timedwait(&w->changed, &w->mutex, &until) == 0)
        continue;
    if (w->running)
        _exit(EXIT_SUCCESS);
    pthread_mutex_unlock(&w->mutex);
}

void work_close(struct imaged *d)
{
    struct work *w = d->work;
    struct job *j, *next;

    if (!w)
        return;
    end_threads(w);
    while (w->threads > 0)
        pthread_join(w->ids[--w->threads], NULL);
    DL_CONCAT(w->waiting, w->finished);
    DL_CONCAT(w->waiting, w->put_off);
    DL_FOREACH_SAFE (w->waiting, j, next) {
        job_free(w, j);
    }
    sd_event_source_disable_unref(w->woken);
    sd_event_source_disable_unref(w->timer);
    if (w->wake >= 0)
        close(w->wake);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w->ids);
    free(w);
    d->work = NULL;
}
