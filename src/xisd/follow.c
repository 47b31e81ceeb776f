/* src/xisd/follow.c - follows a database that other nodes write to. */
#include "xisd/follow.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "xis/kept.h"
#include "xisd/owed.h"
#include "xisd/peer.h"
#include "xisd/store.h"

#define CHANNEL "xis"
#define PAGE    512
#define POLL_MS 2000

struct found {
    struct xeno_advert *a;
    char carrier[XENO_ID_CHARS + 1];
    int64_t seq;
};

struct xisd_follower {
    struct xisd *d;
    struct xeno_db *db;             /* the thread's, as are the next ones */
    struct xeno_xis_reader *reader; /* of what is in the index already */
    int64_t last; /* number and id of the newest row that was read; and when its lease is over */
    int64_t last_over_ms;
    char last_id[XENO_ID_CHARS + 1];
    struct xisd_clock clock; /* as it was before the last page */
    bool tables;             /* are there */
    bool lost;               /* the database was away: it may have been put back */
    int64_t rows;            /* read until everything had been, once */
    xeno_time begun;

    pthread_t thread;
    bool runs;
    int to_loop, to_thread; /* eventfds: a page is there, or `away` changed; go on, or stop */
    sd_event_source *source;
    struct found found[PAGE]; /* the thread's, or while `ready` the loop's */
    size_t count;
    pthread_mutex_t lock; /* of everything below */
    bool ready, away, stopping;
    bool whole, anew; /* whole: the last row has been read; anew: under other numbers */
    int64_t through;
    char epoch[XISD_EPOCH + 1];
};

static void wake(int fd)
{
    (void)!eventfd_write(fd, 1);
}

static void drain(int fd)
{
    eventfd_t n;

    (void)!eventfd_read(fd, &n);
}

/* --- on the thread --- */

/* In the index, with its number. */
static bool is_known(struct xisd_follower *f, const struct xisd_row *row)
{
    struct xeno_xis_entry e = { .version = 0 };
    bool known;

    xeno_xis_enter(f->reader);
    known = xeno_xis_get(f->reader, row->id, &e) &&
            (e.version > row->version || (e.version == row->version && e.kept == row->seq));
    xeno_xis_leave(f->reader);
    return known;
}

/* Its signatures were checked by the node that wrote it. What cannot be read is passed over. */
static int on_row(void *arg, const struct xisd_row *row, struct xeno_err *err)
{
    struct xisd_follower *f = arg;
    struct found *at = &f->found[f->count];
    struct xeno_err why = XENO_ERR_INIT;

    (void)err;
    f->last = row->seq;
    snprintf(f->last_id, sizeof f->last_id, "%s", row->id);
    f->last_over_ms = row->expires_ms;
    if (is_known(f, row))
        return 0;
    if (xisd_row_open(f->d, row, &at->a, &why) < 0) {
        xeno_log_err(LOG_WARNING, "follow.advert", &why, "id=%s version=%" PRId64, row->id,
                     row->version);
        return 0;
    }
    memset(at->carrier, 0, sizeof at->carrier);
    memcpy(at->carrier, row->carrier, strnlen(row->carrier, XENO_ID_CHARS));
    at->seq = row->seq;
    f->count++;
    return 0;
}

static bool go_on(struct xisd_follower *f)
{
    bool stop;

    pthread_mutex_lock(&f->lock);
    stop = f->stopping;
    pthread_mutex_unlock(&f->lock);
    return !stop;
}

/* Give the page, other numbers or the end of all rows to the loop, and wait until it is in the
 * index. */
static void hand_over(struct xisd_follower *f, bool anew, bool whole)
{
    bool ready;

    pthread_mutex_lock(&f->lock);
    ready = f->count > 0 || anew || (whole && (!f->whole || f->through < f->clock.seq));
    f->ready = ready;
    f->anew = anew;
    f->whole = whole;
    if (anew)
        memcpy(f->epoch, f->clock.epoch, sizeof f->epoch);
    f->through = !whole ? f->last : f->last > f->clock.seq ? f->last : f->clock.seq;
    pthread_mutex_unlock(&f->lock);
    while (ready) {
        eventfd_t n;

        wake(f->to_loop);
        (void)!eventfd_read(f->to_thread, &n); /* blocks */
        pthread_mutex_lock(&f->lock);
        ready = f->ready && !f->stopping;
        pthread_mutex_unlock(&f->lock);
    }
}

/* Was it put back to an older state? Then it gives numbers again that it gave before, and the row
 * that we read last is not there. (A row that is over may have been deleted.) */
static int was_put_back(struct xisd_follower *f, bool *ret, struct xeno_err *err)
{
    int64_t now_ms = xeno_wall(f->d->env).ns / XENO_NS_PER_MS;
    bool has = true;
    int r = 0;

    if (f->lost && f->last > 0 && f->last_over_ms > now_ms)
        r = xisd_store_has(f->db, f->last_id, f->last, &has, err);
    *ret = f->clock.seq < f->last || !has;
    f->lost = f->lost && r < 0;
    return r;
}

/* The tables, and where their numbers are: those of another epoch are read from the first on. */
static int look(struct xisd_follower *f, struct xeno_err *err)
{
    struct xisd_clock clock = { .seq = 0 };
    bool back = false;
    int r = f->tables ? 0 : xisd_store_open(f->db, err);

    f->tables = r == 0;
    if (r == 0)
        r = xisd_books_clock(f->d, f->db, &clock, err);
    if (r < 0)
        return r;
    f->clock.seq = clock.seq;
    if (strcmp(f->clock.epoch, clock.epoch) == 0 || f->last == 0)
        r = was_put_back(f, &back, err);
    if (r == 0 && back)
        r = xisd_books_name(f->d, f->db, clock.epoch, err);
    if (r == 0 && back)
        r = xisd_store_clock(f->db, &clock, err);
    if (r < 0 || strcmp(f->clock.epoch, clock.epoch) == 0)
        return r;
    f->clock = clock;
    f->last = 0;
    hand_over(f, true, false);
    return 0;
}

static void tell_away(struct xisd_follower *f, const struct xeno_err *err)
{
    bool changed;

    pthread_mutex_lock(&f->lock);
    changed = f->away != (err != NULL);
    f->away = err != NULL;
    pthread_mutex_unlock(&f->lock);
    if (!changed)
        return;
    if (err)
        xeno_log_err(LOG_WARNING, "follow.away", err, "seq=%" PRId64, f->last);
    else
        xeno_log(LOG_NOTICE, "follow.back", "seq=%" PRId64, f->last);
    wake(f->to_loop);
}

static void *thread_main(void *arg)
{
    struct xisd_follower *f = arg;

    while (go_on(f)) {
        struct xeno_err err = XENO_ERR_INIT;
        int r = look(f, &err);

        if (r == 0)
            r = xisd_store_read(f->db, f->last, PAGE, on_row, f, &err);
        f->rows += r > 0 ? r : 0;
        hand_over(f, false, r >= 0 && r < PAGE);
        if (r < 0)
            f->lost = true;
        tell_away(f, r < 0 ? &err : NULL);
        if (r < PAGE)
            (void)xeno_db_wait(f->db, CHANNEL, f->to_thread, POLL_MS, NULL);
    }
    return NULL;
}

/* --- on the loop --- */

/* It counts for its carrier, who had room for it where it was taken. What is over by now takes the
 * place of an older version, whose lease may go on. */
static void put(struct xisd *d, struct found *f)
{
    const struct xeno_xis_carrier c = { .id = f->carrier, .bounds = XENO_XIS_UNBOUNDED };
    const struct xeno_replica_item it = { .id = f->a->id,
                                          .version = f->a->version,
                                          .expires = f->a->expires };
    bool over = it.expires.ns <= xeno_wall(d->env).ns;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xeno_kept_put(d->xis, xeno_take(&f->a), over ? NULL : &c, f->seq, &err);

    if (r == 0) {
        xisd_peers_note(d, &it);
    } else if (r == -EEXIST) {
        xeno_kept_number(d->xis, it.id.s, it.version, f->seq);
    } else {
        xeno_log_err(LOG_WARNING, "follow.put", &err, "id=%s", it.id.s);
    }
}

static void all_is_read(struct xisd_follower *f)
{
    struct xisd *d = f->d;

    if (!d->feed_whole)
        xeno_log(LOG_NOTICE, "load", "rows=%" PRId64 " ms=%" PRId64, f->rows,
                 (xeno_mono(d->env).ns - f->begun.ns) / XENO_NS_PER_MS);
    if (!d->feed_whole)
        xisd_owed_begin(d);
    d->feed_whole = true;
    d->loading = false;
}

/* Shown to readers as one. */
static void put_page(struct xisd_follower *f)
{
    struct xisd *d = f->d;

    if (f->anew) {
        xeno_log(LOG_NOTICE, "follow.epoch", "epoch=%s", f->epoch);
        xeno_kept_restart(d->xis);
        memcpy(d->epoch, f->epoch, sizeof d->epoch);
        d->feed_whole = false;
    }
    xeno_xis_bulk_begin(d->xis);
    for (size_t i = 0; i < f->count; i++)
        put(d, &f->found[i]);
    xeno_xis_bulk_end(d->xis);
    f->count = 0;
    xeno_kept_through(d->xis, f->anew ? 0 : f->through);
    if (f->whole)
        all_is_read(f);
    xisd_changed(d);
}

static int on_page(sd_event_source *s, int fd, uint32_t events, void *user)
{
    struct xisd_follower *f = user;

    (void)s;
    (void)events;
    drain(fd);
    pthread_mutex_lock(&f->lock);
    if (f->d->database_away && !f->away) {
        f->d->books_fail = false;
        xisd_owed_begin(f->d);
    }
    f->d->database_away = f->away;
    if (f->ready) {
        put_page(f);
        f->ready = false;
        wake(f->to_thread); /* it waits for that, and for nothing else */
    }
    pthread_mutex_unlock(&f->lock);
    return 0;
}

/* --- start and end --- */

int xisd_follow_open(struct xisd *d, struct xeno_err *err)
{
    struct xisd_follower *f;
    int r;

    if (!xeno_db_is_shared(d->books))
        return 0;
    f = d->follower = xeno_new0(struct xisd_follower);
    f->d = d;
    f->to_loop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->to_thread = eventfd(0, EFD_CLOEXEC);
    pthread_mutex_init(&f->lock, NULL);
    if (f->to_loop < 0 || f->to_thread < 0)
        return xeno_fail_errno(err, -errno, "xis.follow", "make an eventfd");
    r = xisd_books_dial(d, &f->db, err);
    return r < 0 ? r : 0;
}

int xisd_follow_start(struct xisd *d, struct xeno_err *err)
{
    struct xisd_follower *f = d->follower;
    int r;

    if (!f)
        return 0;
    f->begun = xeno_mono(d->env);
    f->reader = xeno_xis_reader_new(d->xis);
    r = sd_event_add_io(d->loop, &f->source, f->to_loop, EPOLLIN, on_page, f);
    if (r >= 0)
        r = -pthread_create(&f->thread, NULL, thread_main, f);
    f->runs = r == 0;
    return r < 0 ? xeno_fail_errno(err, r, "xis.follow", "start a thread") : 0;
}

void xisd_follow_free(struct xisd *d)
{
    struct xisd_follower *f = xeno_take(&d->follower);

    if (!f)
        return;
    if (f->runs) {
        pthread_mutex_lock(&f->lock);
        f->stopping = true;
        pthread_mutex_unlock(&f->lock);
        wake(f->to_thread);
        pthread_join(f->thread, NULL);
    }
    for (size_t i = 0; i < f->count; i++)
        xeno_advert_free(f->found[i].a);
    sd_event_source_disable_unref(f->source);
    xeno_xis_reader_free(f->reader);
    xeno_db_free(f->db);
    pthread_mutex_destroy(&f->lock);
    if (f->to_loop >= 0)
        close(f->to_loop);
    if (f->to_thread >= 0)
        close(f->to_thread);
    free(f);
}

int xisd_follow_tell(struct xisd *d, struct xeno_err *err)
{
    return d->follower ? xeno_db_notify(d->books, CHANNEL, err) : 0;
}
