/* src/xisd/load.c - what the database has comes into the index; what is over leaves both. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/enc.h"
#include "base/log.h"
#include "xis/kept.h"
#include "xisd/store.h"
#include "xisd/update.h"

#define PAGE        4096
#define AGE_AT_ONCE 256
/* Rows that are over keep older versions out for as long as a lease of those could go on. */
#define KEEP_MS       ((XENO_ADVERT_LEASE_S + 2 * XENO_ADVERT_SKEW_S) * INT64_C(1000))
#define SWEEP_ROWS    1000
#define SWEEP_EVERY_S 60

int xisd_books_dial(const struct xisd *d, struct xeno_db **ret, struct xeno_err *err)
{
    xeno_autofree char *inside = xeno_asprintf("sqlite:%s/xis.db", d->opt.dir);
    const char *url = d->opt.database && *d->opt.database ? d->opt.database : inside;

    return xeno_db_open_later(url, ret, err);
}

int xisd_books_name(const struct xisd *d, struct xeno_db *db, const char *old, struct xeno_err *err)
{
    uint8_t bytes[XISD_EPOCH / 8 * 5];
    char name[XISD_EPOCH + 1];

    xeno_random(d->env, bytes, sizeof bytes);
    xeno_base32(bytes, sizeof bytes, name);
    return xisd_store_rename(db, old, name, err);
}

int xisd_books_clock(const struct xisd *d, struct xeno_db *db, struct xisd_clock *ret,
                     struct xeno_err *err)
{
    int r = xisd_store_clock(db, ret, err);

    if (r < 0 || ret->epoch[0] != '\0')
        return r;
    r = xisd_books_name(d, db, "", err);
    return r < 0 ? r : xisd_store_clock(db, ret, err); /* another node may have been faster */
}

int xisd_books_open(struct xisd *d, struct xeno_err *err)
{
    struct xisd_clock clock = { .seq = 0 };
    int r = xisd_books_dial(d, &d->books, err);

    if (r < 0)
        return r;
    r = xisd_store_open(d->books, err);
    if (r == 0)
        r = xisd_books_clock(d, d->books, &clock, err);
    if (r == -ENOTCONN && xeno_db_is_shared(d->books)) {
        d->database_away = true;
        return 0;
    }
    memcpy(d->epoch, clock.epoch, sizeof d->epoch);
    return r;
}

/* --- at the start --- */

struct load {
    struct xisd *d;
    int64_t last, taken, passed_over; /* last: the number of the newest row */
    int64_t now_ms;
};

int xisd_row_open(const struct xisd *d, const struct xisd_row *row, struct xeno_advert **ret,
                  struct xeno_err *err)
{
    xeno_auto(xeno_advert) whole = NULL;
    int r = d->opt.verify ? xeno_advert_open(row->jws, row->jws_len, &whole, err)
                          : xeno_advert_reopen(row->jws, row->jws_len, &whole, err);

    if (r < 0 || !row->delta) {
        *ret = xeno_take(&whole);
        return r;
    }
    return d->opt.verify ? xeno_advert_merge(whole, row->delta, row->delta_len, ret, err)
                         : xeno_advert_remerge(whole, row->delta, row->delta_len, ret, err);
}

/* It counts for its carrier, who had room for it when it came. What is over is remembered. */
static int put_row(struct load *l, const struct xisd_row *row, struct xeno_err *err)
{
    const struct xeno_xis_carrier c = { .id = row->carrier, .bounds = XENO_XIS_UNBOUNDED };
    bool over = row->expires_ms <= l->now_ms;
    struct xeno_advert *a = NULL;
    int r = xisd_row_open(l->d, row, &a, err);

    return r < 0 ? r : xeno_kept_put(l->d->xis, a, over ? NULL : &c, row->seq, err);
}

static int on_row(void *arg, const struct xisd_row *row, struct xeno_err *err)
{
    struct load *l = arg;
    struct xeno_err why = XENO_ERR_INIT;

    (void)err;
    l->last = row->seq;
    if (put_row(l, row, &why) == 0) {
        l->taken++;
        return 0;
    }
    /* One that cannot be read is no reason not to serve the others. */
    l->passed_over++;
    xeno_log_err(LOG_WARNING, "load.advert", &why, "id=%s version=%" PRId64, row->id, row->version);
    return 0;
}

static int load_all(struct xisd *d, struct xeno_err *err)
{
    struct load l = { .d = d, .now_ms = xeno_wall(d->env).ns / XENO_NS_PER_MS };
    xeno_time from = xeno_mono(d->env);
    struct xisd_clock clock = { .seq = 0 };
    int r = xisd_store_clock(d->books, &clock, err);

    xeno_xis_bulk_begin(d->xis);
    do {
        r = r < 0 ? r : xisd_store_read(d->books, l.last, PAGE, on_row, &l, err);
    } while (r == PAGE);
    xeno_xis_bulk_end(d->xis);
    if (r < 0)
        return r;
    xeno_kept_through(d->xis, clock.seq);
    d->feed_whole = true;
    xeno_log(LOG_NOTICE, "load", "adverts=%" PRId64 " passed_over=%" PRId64 " ms=%" PRId64, l.taken,
             l.passed_over, (xeno_mono(d->env).ns - from.ns) / XENO_NS_PER_MS);
    return 0;
}

int xisd_load(struct xisd *d, struct xeno_err *err)
{
    const struct xeno_xis_limits limits = { .ids = (size_t)d->opt.adverts,
                                            .carrier_watches = (size_t)d->opt.watches };

    d->xis = xeno_xis_new(d->env, &limits);
    d->reader = xeno_xis_reader_new(d->xis);
    d->loading = d->follower != NULL;
    return d->loading ? 0 : load_all(d, err);
}

/* --- what is over --- */

struct sweep {
    struct xeno_work_item item; /* first: the two pointers are one */
    struct xisd *d;
    int64_t before_ms;
    int deleted;
};

static int sweep_apply(struct xeno_work_item *item, void *user)
{
    struct sweep *s = (struct sweep *)item;
    struct xisd *d = user;

    s->deleted = xisd_store_sweep(d->books, s->before_ms, SWEEP_ROWS, &item->err);
    return s->deleted < 0 ? s->deleted : 0;
}

static void sweep_done(struct xeno_work_item *item)
{
    struct sweep *s = (struct sweep *)item;
    struct xisd *d = s->d;

    d->sweeping = false;
    if (item->result < 0)
        xeno_log_err(LOG_WARNING, "sweep", &item->err, "again_s=%d", SWEEP_EVERY_S);
    else if (s->deleted == SWEEP_ROWS)
        d->sweep_after = xeno_ns(0);
    free(s);
}

static void sweep(struct xisd *d)
{
    xeno_time now = xeno_mono(d->env);
    struct sweep *s;

    if (d->sweeping || now.ns < d->sweep_after.ns)
        return;
    s = xeno_new0(struct sweep);
    s->item = (struct xeno_work_item){
        .apply = sweep_apply, .done = sweep_done, .bytes = sizeof *s, .weight = 1
    };
    s->d = d;
    s->before_ms = xeno_wall(d->env).ns / XENO_NS_PER_MS - KEEP_MS;
    d->sweep_after = xeno_time_add(now, xeno_s(SWEEP_EVERY_S));
    d->sweeping = xeno_work_submit(d->work, &s->item);
    if (!d->sweeping)
        free(s);
}

/* Many that end together are let go in pieces, between which others are answered. */
void xisd_age(struct xisd *d)
{
    size_t n = xeno_xis_age(d->xis, xeno_wall(d->env), AGE_AT_ONCE);

    if (n > 0)
        xisd_changed(d);
    if (n == AGE_AT_ONCE)
        (void)sd_event_source_set_enabled(d->ages, SD_EVENT_ONESHOT);
    sweep(d);
}
