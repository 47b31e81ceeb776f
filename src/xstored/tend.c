/* src/xstored/tend.c - what is done without being asked: what is over goes, what is damaged is
 * found.
 *
 * Each tick: uploads and idle links that are over are dropped, objects without links removed, a
 * bounded number at a time. After the start, all objects are compared with the metadata once, and
 * what a crash left is removed. All the time, objects are read again, piece by piece at the
 * configured rate: one that does not have its digest any more is put aside and not served until it
 * is pushed again or fetched from elsewhere (mend.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "xstored/job.h"
#include "xstored/upload.h"

#define TICK_ROWS   64
#define SCRUB_US    UINT64_C(100000)
#define SWEEP_ROWS  500
#define PIECE_MAX   (1 << 20)
#define PIECES_A_S  8 /* of the scrub rate, when that allows it */
#define TEND_WEIGHT 512
#define KEEP_S      60

struct xstored_scrub {
    sd_event_source *timer;
    char digest[XENO_DIGEST_TEXT]; /* the one at work, or the last one */
    int fd;                        /* -1: between two */
    int64_t size, at;
    struct xeno_sha256 *sha;
    xeno_time began; /* monotonic: of this pass */
    xeno_time kept;  /* monotonic: when it was last written how far the pass has come */
    xeno_time asked; /* monotonic: of the object elsewhere that is read */
    bool reading;    /* a helper has it */
    bool failed;     /* it cannot be read */
};

/* --- what is over --- */

static void start_over(struct xstored *d);

struct over {
    int expired, removed;
    char digests[TICK_ROWS][XENO_DIGEST_TEXT];
};

static int act_over(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct over *o = j->args;
    int64_t before = j->now_ms - j->d->opt.grace.ns / XENO_NS_PER_MS;
    int64_t heads = j->now_ms - j->d->opt.history.ns / XENO_NS_PER_MS;
    int r = xstored_meta_forget_heads(db, heads, j->now_ms, TICK_ROWS, err);

    if (r >= 0)
        r = xstored_meta_expire(db, before, TICK_ROWS, err);
    o->expired = r;
    o->removed = 0;
    while (r >= 0 && o->removed < TICK_ROWS) {
        char *digest = o->digests[o->removed];

        r = xstored_meta_collect(db, digest, err);
        if (r <= 0)
            break;
        r = j->d->objects->back->remove(j->d->objects, digest, err);
        o->removed++;
    }
    return r < 0 ? r : 0;
}

static int purge(struct job *j, struct xeno_err *err)
{
    const struct over *o = j->args;

    (void)err;
    for (int i = 0; i < o->removed; i++)
        j->d->objects->back->purge(j->d->objects, o->digests[i]);
    return 0;
}

/* What is not purged now, for want of a place in the queue, is after the next start. */
static void start_purge(struct xstored *d, const struct over *o)
{
    struct job *j = job_new(d, NULL, NULL, xeno_memdup(o, sizeof *o), free);

    j->prepare = purge;
    job_submit(j);
}

static void finish_over(struct job *j)
{
    const struct over *o = j->args;

    j->d->tending = false;
    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "tend", &j->item.err, "again=soon");
    else
        j->d->counts.collected += o->removed;
    if (o->removed > 0)
        start_purge(j->d, o);
    if (j->item.result >= 0 && (o->expired == TICK_ROWS || o->removed == TICK_ROWS))
        start_over(j->d); /* there is more */
}

static void start_over(struct xstored *d)
{
    struct job *j;

    if (d->tending)
        return;
    d->tending = true;
    j = job_new(d, NULL, act_over, xeno_new0(struct over), free);
    j->finish = finish_over;
    j->item.weight = TEND_WEIGHT;
    job_submit(j);
}

/* --- what a crash left --- */

struct sweep {
    int64_t cursor;
    int seen, removed;
    char names[SWEEP_ROWS][XENO_DIGEST_TEXT];
};

static int list_sweep(struct job *j, struct xeno_err *err)
{
    struct sweep *s = j->args;

    s->cursor = j->d->sweep_cursor;
    s->seen = j->d->objects->back->each(j->d->objects, &s->cursor, s->names, SWEEP_ROWS, err);
    return s->seen < 0 ? s->seen : 0;
}

static int act_sweep(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct sweep *s = j->args;
    int r = 0;

    s->removed = 0;
    for (int i = 0; r >= 0 && i < s->seen; i++) {
        r = xstored_meta_known(db, s->names[i], err);
        if (r != 0)
            continue;
        r = j->d->objects->back->remove(j->d->objects, s->names[i], err);
        j->d->objects->back->purge(j->d->objects, s->names[i]);
        s->removed++;
    }
    return r < 0 ? r : 0;
}

static void finish_sweep(struct job *j)
{
    const struct sweep *s = j->args;
    struct xstored *d = j->d;

    d->sweeping = false;
    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "sweep", &j->item.err, "again=soon");
    else
        d->sweep_cursor = s->seen == 0 ? -1 : s->cursor;
    if (s->removed)
        xeno_log(LOG_NOTICE, "sweep", "removed=%d", s->removed);
}

static void start_sweep(struct xstored *d)
{
    struct job *j;

    if (d->sweeping || d->sweep_cursor < 0)
        return;
    d->sweeping = true;
    j = job_new(d, NULL, act_sweep, xeno_new0(struct sweep), free);
    j->prepare = list_sweep;
    j->finish = finish_sweep;
    j->item.weight = TEND_WEIGHT;
    job_submit(j);
}

/* --- what is left to do elsewhere --- */

static int tidy(struct job *j, struct xeno_err *err)
{
    return j->d->objects->back->tidy(j->d->objects, err);
}

static void finish_tidy(struct job *j)
{
    struct xstored *d = j->d;

    d->tidying = false;
    if (j->item.result >= 0)
        return;
    xeno_log_err(LOG_WARNING, "tidy", &j->item.err, "again=later");
    d->tidy_after = xeno_time_add(xeno_mono(d->env), d->opt.s3_patience);
}

static void start_tidy(struct xstored *d)
{
    struct job *j;

    if (!d->objects->back->tidy || d->tidying || xeno_mono(d->env).ns < d->tidy_after.ns)
        return;
    d->tidying = true;
    j = job_new(d, NULL, NULL, NULL, NULL);
    j->prepare = tidy;
    j->finish = finish_tidy;
    job_submit(j);
}

/* --- damage --- */

struct damage {
    char digest[XENO_DIGEST_TEXT];
    int fd; /* -1: it is not there */
    int moved;
};

static void free_damage(void *arg)
{
    struct damage *g = arg;

    if (g->fd >= 0)
        close(g->fd);
    free(g);
}

/* Unless it has been replaced since. */
static int act_damage(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    struct damage *g = j->args;
    xeno_autoclose int fd = -1;
    int64_t size;

    if (g->fd < 0) {
        int r = j->d->objects->back->find(j->d->objects, g->digest, &fd, &size, NULL);

        if (r == 0 || r == -EAGAIN)
            return 0;
        return xstored_meta_damaged(db, g->digest, err);
    }
    g->moved = j->d->objects->back->quarantine(j->d->objects, g->digest, g->fd, err);
    return g->moved > 0 ? xstored_meta_damaged(db, g->digest, err) : g->moved;
}

static void finish_damage(struct job *j)
{
    const struct damage *g = j->args;

    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "quarantine", &j->item.err, "object=%s", g->digest);
    else
        j->d->counts.quarantined += g->moved > 0;
    xstored_mend_now(j->d);
}

void xstored_damaged(struct xstored *d, const char *digest, int fd, const char *why)
{
    struct damage *g = xeno_new0(struct damage);
    struct job *j = job_new(d, NULL, act_damage, g, free_damage);

    xeno_log(LOG_ERR, "object.damaged", "object=%s text=\"%s\" quarantined=yes", digest, why);
    snprintf(g->digest, sizeof g->digest, "%s", digest);
    g->fd = fd;
    j->finish = finish_damage;
    job_submit(j);
}

/* --- scrub --- */

static size_t piece_bytes(const struct xstored *d)
{
    int64_t n = d->opt.scrub_bytes / PIECES_A_S;

    return n < 4096 ? 4096 : n > PIECE_MAX ? PIECE_MAX : (size_t)n;
}

static void again(struct xstored_scrub *s, int64_t us)
{
    sd_event_source_set_time_relative(s->timer, us > 0 ? (uint64_t)us : 0);
    sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int read_piece(struct job *j, struct xeno_err *err)
{
    struct xstored_scrub *s = j->d->scrub;
    size_t size = piece_bytes(j->d);
    xeno_autofree char *buf = xeno_alloc0(1, size);
    ssize_t n;

    (void)err;
    do
        n = pread(s->fd, buf, size, s->at);
    while (n < 0 && errno == EINTR);
    s->failed = n < 0 || (n == 0 && s->at < s->size);
    if (n > 0) {
        xeno_sha256_add(s->sha, buf, (size_t)n);
        s->at += n;
    }
    return 0;
}

/* All of it was read, or cannot be. */
static void judge(struct xstored *d, struct xstored_scrub *s)
{
    char have[XENO_DIGEST_TEXT];
    uint8_t sum[32];

    xeno_sha256_end(s->sha, sum);
    xeno_digest_text(sum, have);
    if (s->failed)
        xstored_damaged(d, s->digest, xeno_take_fd(&s->fd), "it cannot be read");
    else if (strcmp(have, s->digest) != 0)
        xstored_damaged(d, s->digest, xeno_take_fd(&s->fd), "its content is not right");
    if (s->fd >= 0)
        close(xeno_take_fd(&s->fd));
}

static void finish_piece(struct job *j)
{
    struct xstored_scrub *s = j->d->scrub;

    s->reading = false;
    if (j->item.result == 0 && (s->failed || s->at >= s->size))
        judge(j->d, s);
    again(s, (int64_t)(piece_bytes(j->d) * INT64_C(1000000) / (uint64_t)j->d->opt.scrub_bytes));
}

static int act_keep(struct job *j, struct xeno_db *db, struct xeno_err *err)
{
    return xstored_meta_scrubbed_to(db, j->args, err);
}

static void finish_keep(struct job *j)
{
    if (j->item.result < 0)
        xeno_log_err(LOG_ERR, "scrub", &j->item.err, "%s", "");
}

/* A large store takes longer than the daemon lives: now and then how far it came is written down.
 */
static void keep_place(struct xstored *d, struct xstored_scrub *s, bool please)
{
    xeno_time now = xeno_mono(d->env);
    struct job *j;

    if (!please && now.ns - s->kept.ns < KEEP_S * XENO_NS_PER_S)
        return;
    s->kept = now;
    j = job_new(d, NULL, act_keep, xeno_strdup(s->digest), free);
    j->finish = finish_keep;
    job_submit(j);
}

/* --- elsewhere --- */

static int verify(struct job *j, struct xeno_err *err)
{
    const struct xstored_scrub *s = j->d->scrub;

    return j->d->objects->back->verify(j->d->objects, s->digest, s->size, j->d->opt.scrub_bytes,
                                       err);
}

/* What nobody could read is looked at in the next pass. */
static void finish_verify(struct job *j)
{
    struct xstored *d = j->d;
    struct xstored_scrub *s = d->scrub;
    int64_t bytes = s->size > 4096 ? s->size : 4096, rest;

    s->reading = false;
    rest = bytes / d->opt.scrub_bytes * 1000000 +
           bytes % d->opt.scrub_bytes * 1000000 / d->opt.scrub_bytes -
           (xeno_mono(d->env).ns - s->asked.ns) / 1000;
    if (j->item.result > 0) {
        xeno_log(LOG_WARNING, "object.healed", "object=%s text=\"sent again from a copy\"",
                 s->digest);
    } else if (j->item.result == -EBADMSG || j->item.result == -ENOENT) {
        xstored_damaged(d, s->digest, -1, j->item.err.text);
    } else if (j->item.result < 0) {
        xeno_log_err(LOG_WARNING, "scrub", &j->item.err, "object=%s again=later", s->digest);
        rest = d->opt.s3_patience.ns / 1000;
    }
    again(s, rest > 1000 ? rest : 1000);
}

static void start_verify(struct xstored *d, struct xstored_scrub *s)
{
    struct job *j = job_new(d, NULL, NULL, NULL, NULL);

    s->reading = true;
    s->asked = xeno_mono(d->env);
    d->counts.scrubbed_bytes += s->size;
    j->prepare = verify;
    j->finish = finish_verify;
    job_submit(j);
}

/* --- the next one --- */

/* Open the next object. Returns: false when the pass is over. */
static bool next_object(struct xstored *d, struct xstored_scrub *s)
{
    struct xeno_err err = XENO_ERR_INIT;
    int64_t size = 0, there = 0;
    int r;

    keep_place(d, s, false);
    r = xstored_meta_next(d->view, s->digest, s->digest, &size, &err);
    if (r < 0)
        xeno_log_err(LOG_ERR, "scrub", &err, "%s", "");
    if (r <= 0)
        return false;
    s->size = size;
    if (d->objects->back->verify) {
        start_verify(d, s);
        return true;
    }
    r = d->objects->back->find(d->objects, s->digest, &s->fd, &there, &err);
    if (r < 0 || there != size) {
        xstored_damaged(d, s->digest, xeno_take_fd(&s->fd), "its size is not right");
        return true;
    }
    s->at = 0;
    return true;
}

static void end_pass(struct xstored *d, struct xstored_scrub *s)
{
    int64_t rest = s->began.ns + d->opt.scrub_every.ns - xeno_mono(d->env).ns;

    s->digest[0] = '\0';
    keep_place(d, s, true);
    s->began = xeno_time_add(xeno_mono(d->env), xeno_ns(rest > 0 ? rest : 0));
    again(s, rest > XENO_NS_PER_S ? rest / 1000 : 1000000);
}

static int on_scrub(sd_event_source *src, uint64_t usec, void *user)
{
    struct xstored *d = user;
    struct xstored_scrub *s = d->scrub;
    struct job *j;

    (void)src;
    (void)usec;
    if (s->reading)
        return 0;
    if (s->fd < 0 && !next_object(d, s)) {
        end_pass(d, s);
        return 0;
    }
    if (s->reading)
        return 0;
    if (s->fd < 0) { /* it was damaged: on to the next */
        again(s, 1000);
        return 0;
    }
    s->reading = true;
    d->counts.scrubbed_bytes +=
        (int64_t)piece_bytes(d) < s->size - s->at ? (int64_t)piece_bytes(d) : s->size - s->at;
    j = job_new(d, NULL, NULL, NULL, NULL);
    j->prepare = read_piece;
    j->finish = finish_piece;
    job_submit(j);
    return 0;
}

/* --- the clock --- */

void xstored_tend_now(struct xstored *d)
{
    xstored_uploads_expire(d);
    start_over(d);
}

void xstored_tend_tick(struct xstored *d)
{
    xstored_tend_now(d);
    start_sweep(d);
    start_tidy(d);
    xstored_mend_tick(d);
}

int xstored_tend_start(struct xstored *d, struct xeno_err *err)
{
    struct xstored_scrub *s = xeno_new0(struct xstored_scrub);
    int r;

    d->scrub = s;
    s->fd = -1;
    s->sha = xeno_sha256_new();
    s->began = s->kept = xeno_mono(d->env);
    r = xstored_meta_scrubbed(d->view, s->digest, err);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(d->loop, &s->timer, CLOCK_BOOTTIME, SCRUB_US, 0, on_scrub, d);
    return r < 0 ? xeno_fail_errno(err, r, "store.loop", "set up the timer") : 0;
}

void xstored_tend_stop(struct xstored *d)
{
    struct xstored_scrub *s = xeno_take(&d->scrub);

    if (!s)
        return;
    sd_event_source_disable_unref(s->timer);
    xeno_sha256_free(s->sha);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}
