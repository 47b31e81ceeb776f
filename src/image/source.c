/* src/image/source.c - who is asked, who is not for a while, and who is waited for. */
#include "image/source.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define AWAY_FIRST_MS 500
#define AWAY_MAX_MS   60000
#define LIAR_MS       (5 * 60000)
#define LIES_MAX      3     /* one bad sector is no liar */
#define PROBE_MS      30000 /* how long one that is away is another thread's to ask */

/* Wrong bytes that a source gave. */
struct lie {
    uint8_t sha[32]; /* of the blob */
    int64_t offset;
    xeno_time until;
};
struct place {
    struct xeno_source *source;
    unsigned away;   /* how often, one after the other */
    xeno_time until; /* not to be asked before */
    struct lie lies[LIES_MAX];
    struct place *next;
};

struct xeno_sources {
    struct xeno_sources_opts opts;
    pthread_mutex_t mutex; /* of the places */
    struct place *places;
    atomic_int_fast64_t bytes;
};

struct xeno_sources *xeno_sources_new(const struct xeno_sources_opts *opts)
{
    struct xeno_sources *s = xeno_new0(struct xeno_sources);

    s->opts = *opts;
    pthread_mutex_init(&s->mutex, NULL);
    return s;
}

void xeno_sources_free(struct xeno_sources *s)
{
    struct place *p, *next;

    if (!s)
        return;
    for (p = s->places; p; p = next) {
        next = p->next;
        free(p->source->name);
        p->source->ops->free(p->source);
        free(p);
    }
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

void xeno_sources_add(struct xeno_sources *s, struct xeno_source *one)
{
    struct place **at = &s->places;

    while (*at)
        at = &(*at)->next;
    *at = xeno_new0(struct place);
    (*at)->source = one;
}

int64_t xeno_sources_bytes(const struct xeno_sources *s)
{
    return atomic_load(&s->bytes);
}

/* --- who is asked --- */

struct ask {
    const char *digest;
    uint8_t sha[32]; /* the digest */
    int64_t offset;
    void *buf;
    size_t len;
    const struct xeno_source_want *want;
    int (*check)(void *arg, const void *data, struct xeno_err *err);
    void *arg;
};

static void tell(struct xeno_sources *s, enum xeno_source_state state, const struct place *p,
                 const struct ask *a, const struct xeno_err *err)
{
    struct xeno_source_event e = { .state = state,
                                   .source = p->source->name,
                                   .digest = a->digest,
                                   .offset = a->offset,
                                   .err = err };

    if (s->opts.event)
        s->opts.event(s->opts.arg, &e);
}

/* Doubled each time, within a quarter of it. */
static xeno_time back_off(const struct xeno_env *env, unsigned times)
{
    int64_t ms = AWAY_FIRST_MS;
    uint32_t chance;

    while (--times > 0 && ms < AWAY_MAX_MS)
        ms *= 2;
    if (ms > AWAY_MAX_MS)
        ms = AWAY_MAX_MS;
    xeno_random(env, &chance, sizeof chance);
    return xeno_ms(ms - ms / 4 + (int64_t)(chance % (uint32_t)(ms / 2)));
}

/* Has it lied of these bytes of late, or too often? */
static bool has_lied(const struct place *p, const struct ask *a, xeno_time now)
{
    unsigned all = 0;

    for (size_t i = 0; i < LIES_MAX; i++) {
        const struct lie *l = &p->lies[i];

        if (l->until.ns <= now.ns)
            continue;
        all++;
        if (l->offset == a->offset && memcmp(l->sha, a->sha, sizeof l->sha) == 0)
            return true;
    }
    return all == LIES_MAX;
}

static void note_lie(struct place *p, const struct ask *a, xeno_time now)
{
    struct lie *l = &p->lies[0];

    for (size_t i = 1; i < LIES_MAX; i++)
        if (p->lies[i].until.ns < l->until.ns)
            l = &p->lies[i];
    l->offset = a->offset;
    l->until = xeno_time_add(now, xeno_ms(LIAR_MS));
    memcpy(l->sha, a->sha, sizeof l->sha);
}

/* May it be asked now? One that was away is asked by one thread, and the others wait for that. */
static bool take_turn(struct xeno_sources *s, struct place *p, const struct ask *a)
{
    xeno_time now = xeno_mono(s->opts.env);
    bool yes;

    pthread_mutex_lock(&s->mutex);
    yes = p->until.ns <= now.ns && !has_lied(p, a, now);
    if (yes && p->away > 0)
        p->until = xeno_time_add(now, xeno_ms(PROBE_MS));
    pthread_mutex_unlock(&s->mutex);
    return yes;
}

static void answered(struct xeno_sources *s, struct place *p, const struct ask *a)
{
    bool was_away;

    pthread_mutex_lock(&s->mutex);
    was_away = p->away > 0;
    p->away = 0;
    p->until = xeno_ns(0);
    pthread_mutex_unlock(&s->mutex);
    if (was_away)
        tell(s, XENO_SOURCE_BACK, p, a, NULL);
}

static void failed(struct xeno_sources *s, struct place *p, bool lied, const struct ask *a,
                   const struct xeno_err *err)
{
    xeno_time now = xeno_mono(s->opts.env);
    bool first;

    pthread_mutex_lock(&s->mutex);
    first = lied || p->away == 0;
    if (lied) {
        p->away = 0;
        p->until = xeno_ns(0);
        note_lie(p, a, now);
    } else {
        p->away++;
        p->until = xeno_time_add(now, back_off(s->opts.env, p->away));
    }
    pthread_mutex_unlock(&s->mutex);
    if (first)
        tell(s, lied ? XENO_SOURCE_LIES : XENO_SOURCE_AWAY, p, a, err);
}

/* --- asking --- */

/* Returns: 0; -ENOENT: it has no such blob; -EBADMSG: wrong bytes; else it is not to be asked for a
 * while. */
static int ask_one(struct xeno_sources *s, struct place *p, const struct ask *a,
                   struct xeno_err *err)
{
    struct xeno_err why = XENO_ERR_INIT;
    bool lied = false;
    int r = p->source->ops->read(p->source, a->digest, a->offset, a->buf, a->len, a->want, &why);

    if (r == 0) {
        atomic_fetch_add(&s->bytes, (int64_t)a->len);
        r = a->check(a->arg, a->buf, &why);
        lied = r < 0;
    }
    if (r == 0 || r == -ENOENT || (r == -EBADMSG && !lied))
        answered(s, p, a);
    else
        failed(s, p, lied, a, &why);
    if (r < 0 && err) {
        *err = why;
        xeno_context(err, r, "%s", p->source->name);
    }
    return r;
}

/* All that may be asked, in order. Returns: 0; 1: some are away, and *ret_until is when the first
 * of them may be asked; or the error of the last. */
static int ask_all(struct xeno_sources *s, const struct ask *a, xeno_time *ret_until,
                   struct xeno_err *err)
{
    int r = xeno_fail(err, -EIO, "source.none", "nobody is left who may be asked for blob %s",
                      a->digest);

    for (struct place *p = s->places; p; p = p->next) {
        if (!take_turn(s, p, a))
            continue;
        r = ask_one(s, p, a, err);
        if (r == 0)
            return 0;
    }
    *ret_until = xeno_ns(INT64_MAX);
    pthread_mutex_lock(&s->mutex);
    for (struct place *p = s->places; p; p = p->next)
        if (p->away > 0 && p->until.ns < ret_until->ns)
            *ret_until = p->until;
    pthread_mutex_unlock(&s->mutex);
    return ret_until->ns < INT64_MAX ? 1 : r;
}

static void wait_for(struct xeno_sources *s, xeno_time length)
{
    struct timespec ts = { .tv_sec = length.ns / XENO_NS_PER_S,
                           .tv_nsec = length.ns % XENO_NS_PER_S };

    if (s->opts.wait)
        s->opts.wait(s->opts.arg, length);
    else
        nanosleep(&ts, NULL);
}

int xeno_sources_read(struct xeno_sources *s, const char *digest, int64_t offset, void *buf,
                      size_t len, const struct xeno_source_want *want,
                      int (*check)(void *arg, const void *data, struct xeno_err *err), void *arg,
                      struct xeno_err *err)
{
    struct ask a = { .digest = digest,
                     .offset = offset,
                     .buf = buf,
                     .len = len,
                     .want = want,
                     .check = check,
                     .arg = arg };
    xeno_time end = xeno_time_add(xeno_mono(s->opts.env), s->opts.patience), until;

    if (!xeno_digest_parse(digest, a.sha))
        return xeno_fail(err, -EINVAL, "image.digest", "'%.80s' is not a sha256 digest", digest);
    for (;;) {
        int r = ask_all(s, &a, &until, err);
        xeno_time now = xeno_mono(s->opts.env);
        int64_t left;

        if (r <= 0)
            return r;
        if (now.ns >= end.ns)
            return xeno_fail(err, -EIO, "source.away",
                             "blob %s: no source answers, the wait is over", digest);
        /* Not longer than a second, since one that another thread asks may be back any moment. */
        left = until.ns > now.ns ? until.ns - now.ns : 0;
        if (left > end.ns - now.ns)
            left = end.ns - now.ns;
        wait_for(s, xeno_ns(left > XENO_NS_PER_S ? XENO_NS_PER_S : left));
    }
}

/* --- what is read --- */

struct piece_check {
    const struct xeno_toc_chunk *piece;
    void *out;
};

static int check_piece(void *arg, const void *data, struct xeno_err *err)
{
    const struct piece_check *c = arg;

    return xeno_chunked_piece(c->piece, data, c->out, err);
}

int xeno_sources_piece(struct xeno_sources *s, const char *digest,
                       const struct xeno_toc_chunk *piece, void *out, struct xeno_err *err)
{
    const struct xeno_source_want want = { .sha = piece->sha, .size_bytes = piece->size_bytes };
    struct piece_check c = { .piece = piece, .out = out };
    xeno_autofree void *buf = xeno_try_alloc((size_t)piece->blob_bytes);

    if (!buf)
        return xeno_fail(err, -ENOMEM, "source.memory", "no memory for a piece");
    return xeno_sources_read(s, digest, piece->blob_offset, buf, (size_t)piece->blob_bytes, &want,
                             check_piece, &c, err);
}

struct part_check {
    const uint8_t *sha;
    size_t len;
};

static int check_part(void *arg, const void *data, struct xeno_err *err)
{
    const struct part_check *c = arg;
    uint8_t sha[32];

    xeno_sha256_of(data, c->len, sha);
    if (memcmp(sha, c->sha, sizeof sha) != 0)
        return xeno_fail(err, -EBADMSG, "image.corrupt", "not the bytes of that digest");
    return 0;
}

int xeno_sources_part(struct xeno_sources *s, const char *digest, int64_t offset, size_t len,
                      const uint8_t sha[32], void *out, struct xeno_err *err)
{
    const struct xeno_source_want want = { .sha = sha };
    struct part_check c = { .sha = sha, .len = len };

    return xeno_sources_read(s, digest, offset, out, len, &want, check_part, &c, err);
}
