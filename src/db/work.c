/* src/db/work.c - the threads and queues of group commit. */
#include "db/work.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHECKERS_MAX 16

const struct xeno_work_limits xeno_work_limits_default = {
    .checkers = 0,
    .items = 4096,
    .bytes = 64 << 20,
    .group_weight = 4000, /* rows: some 50 ms of work, however slow the disk is */
};

struct queue {
    struct xeno_work_item *first, **last;
};

struct xeno_work {
    struct xeno_work_books books;
    struct xeno_work_limits limits;
    int fd;
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t to_check_more, to_apply_more;
    struct queue to_check, to_apply, done;
    struct xeno_work_stats stats;
    unsigned checking; /* pieces with a checker */
    bool stopping;
    unsigned checker_count;
    bool writer_runs;
    pthread_t checkers[CHECKERS_MAX], writer;
};

static void put(struct queue *q, struct xeno_work_item *item)
{
    item->next = NULL;
    *q->last = item;
    q->last = &item->next;
}

static struct xeno_work_item *take(struct queue *q)
{
    struct xeno_work_item *item = q->first;

    if (!item)
        return NULL;
    q->first = item->next;
    if (!q->first)
        q->last = &q->first;
    item->next = NULL;
    return item;
}

static void wake(struct xeno_work *w)
{
    (void)!eventfd_write(w->fd, 1);
}

/* --- checkers --- */

static void *checker_main(void *arg)
{
    struct xeno_work *w = arg;
    struct xeno_work_item *item;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (!(item = take(&w->to_check)) && !w->stopping)
            pthread_cond_wait(&w->to_check_more, &w->lock);
        if (!item)
            break;
        w->checking++;
        pthread_mutex_unlock(&w->lock);
        item->result = item->check(item);
        pthread_mutex_lock(&w->lock);
        w->checking--;
        if (item->result < 0 || !item->apply) {
            put(&w->done, item);
            wake(w);
        } else {
            put(&w->to_apply, item);
        }
        pthread_cond_signal(&w->to_apply_more); /* also when stopping: it counts `checking` */
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- the writer --- */

/* What waits, up to a group's weight: a list. */
static struct xeno_work_item *take_group(struct xeno_work *w)
{
    struct queue group = { NULL, &group.first };
    size_t weight = 0;

    while (w->to_apply.first && (!group.first || weight < w->limits.group_weight)) {
        struct xeno_work_item *item = take(&w->to_apply);

        weight += item->weight;
        put(&group, item);
    }
    return group.first;
}

/* Returns: false when the group was undone; its pieces have no result then. */
static bool apply_group(struct xeno_work *w, struct xeno_work_item *group, struct xeno_err *err)
{
    if (w->books.begin(w->books.user, err) < 0)
        return false;
    for (struct xeno_work_item *item = group; item; item = item->next) {
        memset(&item->err, 0, sizeof item->err);
        item->result = item->apply(item, w->books.user);
    }
    return w->books.commit(w->books.user, err) == 0;
}

/* Alone: whatever goes wrong is its own. */
static void apply_alone(struct xeno_work *w, struct xeno_work_item *item)
{
    struct xeno_work_item *next = item->next;
    struct xeno_err err = XENO_ERR_INIT;

    item->next = NULL;
    item->result = 0;
    if (!apply_group(w, item, &err) && item->result >= 0) {
        item->result = err.code;
        item->err = err;
    }
    item->next = next;
}

static void run_group(struct xeno_work *w, struct xeno_work_item *group,
                      struct xeno_work_stats *stats)
{
    struct xeno_err err = XENO_ERR_INIT;

    stats->groups++;
    if (group->next && apply_group(w, group, &err))
        return;
    stats->undone += group->next != NULL;
    for (struct xeno_work_item *item = group; item; item = item->next)
        apply_alone(w, item);
}

static void finish_group(struct xeno_work *w, struct xeno_work_item *group,
                         const struct xeno_work_stats *stats)
{
    while (group) {
        struct xeno_work_item *next = group->next;

        put(&w->done, group);
        w->stats.applied++;
        group = next;
    }
    w->stats.groups += stats->groups;
    w->stats.undone += stats->undone;
    wake(w);
}

static void *writer_main(void *arg)
{
    struct xeno_work *w = arg;
    struct xeno_work_item *group;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct xeno_work_stats stats = { 0 };

        while (!(group = take_group(w)) && !(w->stopping && !w->to_check.first && w->checking == 0))
            pthread_cond_wait(&w->to_apply_more, &w->lock);
        if (!group)
            break;
        pthread_mutex_unlock(&w->lock);
        run_group(w, group, &stats);
        if (w->books.after)
            w->books.after(w->books.user);
        pthread_mutex_lock(&w->lock);
        finish_group(w, group, &stats);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* --- from the loop --- */

bool xeno_work_submit(struct xeno_work *w, struct xeno_work_item *item)
{
    bool room;

    item->result = 0;
    memset(&item->err, 0, sizeof item->err);
    pthread_mutex_lock(&w->lock);
    room = !w->stopping && w->stats.waiting < w->limits.items &&
           w->stats.bytes + item->bytes <= w->limits.bytes;
    if (room) {
        w->stats.waiting++;
        w->stats.bytes += item->bytes;
        put(item->check ? &w->to_check : &w->to_apply, item);
        pthread_cond_signal(item->check ? &w->to_check_more : &w->to_apply_more);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

int xeno_work_fd(const struct xeno_work *w)
{
    return w->fd;
}

size_t xeno_work_collect(struct xeno_work *w)
{
    struct xeno_work_item *item, *next;
    size_t count = 0;
    eventfd_t n;

    (void)!eventfd_read(w->fd, &n);
    pthread_mutex_lock(&w->lock);
    item = w->done.first;
    w->done = (struct queue){ NULL, &w->done.first };
    for (struct xeno_work_item *i = item; i; i = i->next) {
        w->stats.waiting--;
        w->stats.bytes -= i->bytes;
    }
    pthread_mutex_unlock(&w->lock);
    for (; item; item = next, count++) {
        next = item->next;
        item->done(item);
    }
    return count;
}

struct xeno_work_stats xeno_work_stats(struct xeno_work *w)
{
    struct xeno_work_stats stats;

    pthread_mutex_lock(&w->lock);
    stats = w->stats;
    pthread_mutex_unlock(&w->lock);
    return stats;
}

/* --- start and end --- */

static unsigned default_checkers(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > 4 ? 4 : (unsigned)n;
}

/* The threads take no signals: those belong to the loop. */
static int start_threads(struct xeno_work *w)
{
    unsigned want = w->limits.checkers ? w->limits.checkers : default_checkers();
    sigset_t all, old;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&w->writer, NULL, writer_main, w);
    w->writer_runs = r == 0;
    while (r == 0 && w->checker_count < want && w->checker_count < CHECKERS_MAX) {
        r = pthread_create(&w->checkers[w->checker_count], NULL, checker_main, w);
        w->checker_count += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

int xeno_work_new(const struct xeno_work_books *books, const struct xeno_work_limits *limits,
                  struct xeno_work **ret, struct xeno_err *err)
{
    xeno_auto(xeno_work) w = xeno_new0(struct xeno_work);
    int r;

    w->books = *books;
    w->limits = *limits;
    w->to_check.last = &w->to_check.first;
    w->to_apply.last = &w->to_apply.first;
    w->done.last = &w->done.first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->to_check_more, NULL);
    pthread_cond_init(&w->to_apply_more, NULL);
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->fd < 0)
        return xeno_fail_errno(err, -errno, "work.start", "make an eventfd");
    r = start_threads(w);
    if (r < 0)
        return xeno_fail_errno(err, r, "work.start", "start a thread");
    *ret = xeno_take(&w);
    return 0;
}

void xeno_work_stop(struct xeno_work *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->to_check_more);
    pthread_cond_broadcast(&w->to_apply_more);
    pthread_mutex_unlock(&w->lock);
    for (; w->checker_count > 0; w->checker_count--)
        pthread_join(w->checkers[w->checker_count - 1], NULL);
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->to_apply_more);
    pthread_mutex_unlock(&w->lock);
    if (w->writer_runs)
        pthread_join(w->writer, NULL);
    w->writer_runs = false;
}

void xeno_work_free(struct xeno_work *w)
{
    if (!w)
        return;
    xeno_work_stop(w);
    pthread_cond_destroy(&w->to_check_more);
    pthread_cond_destroy(&w->to_apply_more);
    pthread_mutex_destroy(&w->lock);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}
