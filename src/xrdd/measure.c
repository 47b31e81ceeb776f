/* src/xrdd/measure.c - asking XenoServers how far an address is, and which way. */
#include "xrdd/measure.h"

#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <uthash.h>

#include "base/log.h"
#include "http/client.h"
#include "json/json.h"
#include "rd/nearest.h"
#include "xrdd/probed.h"

#define SLOW_US    (500 * 1000)         /* after so long another one is asked, too */
#define FAILED_NS  (30 * XENO_NS_PER_S) /* when nobody could say anything */
#define OTHERS_MAX 2000 /* servers that may be asked besides those that are wanted */
#define KNOWN_MAX  XENO_NEAR_BUDGET
#define WAITS_MAX  256 /* questions that wait for one prefix */
#define COUNT      3   /* packets of one probe */

/* One XenoServer that was asked. */
struct known {
    struct target *target;
    struct xeno_id id;
    struct xeno_http_call *call; /* NULL: it answered */
    double rtt_ms;               /* NaN: nothing was heard */
    struct xeno_path *path;      /* NULL: none */
};

/* What is measured: a prefix, by round trips or by paths. */
struct target {
    char key[XRDD_PREFIX_TEXT]; /* "192.0.2.0", "p2001:db8::" */
    struct xrdd_measure *m;
    char host[INET6_ADDRSTRLEN]; /* the address that is probed for the prefix */
    unsigned port;               /* 0: any way */
    bool paths, running;
    xeno_time over; /* monotonic: it is measured again then */
    uint32_t *slots;
    size_t slot_count, known_count, wait_count;
    struct known known[KNOWN_MAX > XRDD_PATHS ? KNOWN_MAX : XRDD_PATHS];
    struct xrdd_wait *waits[WAITS_MAX];
    sd_event_source *timer;
    UT_hash_handle hh;
};

struct xrdd_wait {
    struct xrdd_measure *m;
    size_t pending;
    void (*done)(void *arg);
    void *arg;
    sd_event_source *timer; /* at the latest; at once, when the last has come */
};

struct xrdd_measure {
    struct xrdd_measure_opts opts;
    struct target *targets;
    int64_t minute, in_minute; /* probes since it began */
    struct xrdd_measured counts;
};

struct xrdd_measure *xrdd_measure_new(const struct xrdd_measure_opts *opts)
{
    struct xrdd_measure *m = xeno_new0(struct xrdd_measure);

    m->opts = *opts;
    return m;
}

/* --- addresses --- */

static struct target *find_target(struct xrdd_measure *m, const char *address, bool paths)
{
    char host[INET6_ADDRSTRLEN], key[XRDD_PREFIX_TEXT];
    struct target *t = NULL;
    unsigned port;

    if (xrdd_address_split(address, host, &port) && xrdd_prefix(host, paths, key))
        HASH_FIND_STR(m->targets, key, t);
    return t;
}

/* --- waiting --- */

static size_t heard(const struct target *t)
{
    size_t n = 0;

    for (size_t i = 0; t && i < t->known_count; i++)
        n += t->known[i].path || !isnan(t->known[i].rtt_ms);
    return n;
}

static void wait_free(struct xrdd_wait *w)
{
    struct target *t, *next;

    HASH_ITER (hh, w->m->targets, t, next) {
        for (size_t i = 0; i < t->wait_count; i++)
            if (t->waits[i] == w)
                t->waits[i--] = t->waits[--t->wait_count];
    }
    sd_event_source_disable_unref(w->timer);
    free(w);
}

void xrdd_measure_leave(struct xrdd_wait *w)
{
    if (w)
        wait_free(w);
}

static int on_wait(sd_event_source *s, uint64_t usec, void *user)
{
    struct xrdd_wait *w = user;
    void (*done)(void *arg) = w->done;
    void *arg = w->arg;

    (void)s;
    (void)usec;
    wait_free(w);
    done(arg);
    return 0;
}

/* One of the things it waits for is there; the last one ends it, from the loop. */
static void wait_less(struct xrdd_wait *w)
{
    if (--w->pending == 0)
        (void)sd_event_source_set_time_relative(w->timer, 0);
}

static void finished(struct target *t)
{
    t->running = false;
    t->over = xeno_time_add(xeno_mono(t->m->opts.env),
                            heard(t) > 0 ? t->m->opts.opt->probe_keep : xeno_ns(FAILED_NS));
    t->timer = sd_event_source_disable_unref(t->timer);
    free(xeno_take(&t->slots));
    t->slot_count = 0;
    while (t->wait_count > 0)
        wait_less(t->waits[--t->wait_count]);
}

/* --- asking one --- */

static void step(struct target *t);

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct known *k = arg;
    struct target *t = k->target;
    struct xeno_path path;

    k->call = NULL;
    if (a->status / 100 != 2) {
        t->m->counts.failed++;
        if (a->err)
            xeno_log_err(LOG_DEBUG, "probe.failed", a->err, "server=%s", k->id.s);
    } else if (!t->paths) {
        k->rtt_ms = xrdd_probed_ms(a->body, a->len);
    } else if (xrdd_probed_path(a->body, a->len, &path)) {
        k->path = xeno_memdup(&path, sizeof path);
    }
    step(t);
}

static bool may_ask(struct xrdd_measure *m)
{
    if (m->in_minute >= m->opts.opt->probes_per_minute) {
        m->counts.held_back++;
        return false;
    }
    m->in_minute++;
    m->counts.asked++;
    return true;
}

/* False: nobody more may be asked. */
static bool ask(struct target *t, uint32_t slot)
{
    const struct xeno_advert *a = xeno_rd_at(xrdd_world_rd(t->m->opts.world), slot);
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *url = NULL;
    xeno_autofree char *text = NULL;
    struct known *k = &t->known[t->known_count];
    struct xeno_http_ask q = { .method = "POST",
                               .deadline = t->m->opts.opt->probe_wait,
                               .max_body = XRDD_PROBED_MAX,
                               .done = on_answer,
                               .arg = k };

    if (!a || t->known_count == XENO_LEN(t->known) || !may_ask(t->m))
        return false;
    *k = (struct known){ .target = t, .id = a->id, .rtt_ms = NAN };
    t->known_count++;
    xeno_json_set_str(body, "address", t->host);
    if (!t->paths)
        xeno_json_set_int(body, "count", COUNT);
    if (t->port && !t->paths)
        xeno_json_set_int(body, "port", t->port);
    text = xeno_json_format(body, false, &q.body_len);
    url = xeno_asprintf("%s/v1/%s", a->endpoint, t->paths ? "traceroutes" : "probes");
    q.url = url;
    q.body = text;
    q.server_id = k->id.s;
    k->call = xeno_http_send(t->m->opts.client, &q);
    return true;
}

/* --- one after the other --- */

static bool was_asked(const struct target *t, const struct xeno_id *id)
{
    for (size_t i = 0; i < t->known_count; i++)
        if (strcmp(t->known[i].id.s, id->s) == 0)
            return true;
    return false;
}

static size_t under_way(const struct target *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->known_count; i++)
        n += t->known[i].call != NULL;
    return n;
}

/* Some of all servers, evenly, for who may be asked besides. The caller's. */
static uint32_t *others_of(const struct xeno_rd *rd, size_t *ret_count)
{
    size_t slots = xeno_rd_slots(rd), stride = slots / OTHERS_MAX + 1, n = 0;
    uint32_t *others = xeno_new0_n(uint32_t, OTHERS_MAX + 1);

    for (size_t i = 0; i < slots && n < OTHERS_MAX; i += stride)
        if (xeno_rd_at(rd, (uint32_t)i))
            others[n++] = (uint32_t)i;
    *ret_count = n;
    return others;
}

/* The search anew, with all that was heard: what it stands on changes meanwhile. */
static struct xeno_near *search(const struct target *t, const uint32_t *slots, size_t n,
                                unsigned budget)
{
    const struct xeno_rd *rd = xrdd_world_rd(t->m->opts.world);
    size_t other_count = 0;
    xeno_autofree uint32_t *others = budget > 0 ? others_of(rd, &other_count) : NULL;
    struct xeno_near *s = xeno_near_new(xeno_rd_map(rd), slots, n, others, other_count, budget, 1);

    for (size_t i = 0; i < t->known_count; i++) {
        uint32_t slot;

        if (!t->known[i].call && !isnan(t->known[i].rtt_ms) &&
            xeno_rd_slot(rd, &t->known[i].id, &slot))
            (void)xeno_near_result(s, slot, t->known[i].rtt_ms);
    }
    return s;
}

static bool next_for_round_trip(const struct target *t, uint32_t *ret)
{
    const struct xeno_rd *rd = xrdd_world_rd(t->m->opts.world);
    xeno_auto(xeno_near) s = NULL;

    if (t->known_count >= XENO_NEAR_BUDGET)
        return false;
    s = search(t, t->slots, t->slot_count, XENO_NEAR_BUDGET);
    while (xeno_near_next(s, ret)) {
        const struct xeno_advert *a = xeno_rd_at(rd, *ret);

        if (a && !was_asked(t, &a->id))
            return true;
    }
    return false;
}

static bool next_for_path(const struct target *t, uint32_t *ret)
{
    const struct xeno_rd *rd = xrdd_world_rd(t->m->opts.world);

    for (size_t i = 0; i < t->slot_count && t->known_count < XRDD_PATHS; i++) {
        const struct xeno_advert *a = xeno_rd_at(rd, t->slots[i]);

        *ret = t->slots[i];
        if (a && !was_asked(t, &a->id))
            return true;
    }
    return false;
}

/* Paths do not depend on each other; of round trips each says whom to ask next. */
static void step(struct target *t)
{
    size_t together = t->paths ? XRDD_PATHS : 1;
    uint32_t slot;

    while (t->running && under_way(t) < together &&
           (t->paths ? next_for_path(t, &slot) : next_for_round_trip(t, &slot)) && ask(t, slot))
        ;
    if (t->running && under_way(t) == 0)
        finished(t);
}

static int on_slow(sd_event_source *s, uint64_t usec, void *user)
{
    struct target *t = user;
    uint32_t slot;

    (void)usec;
    if (!t->paths && next_for_round_trip(t, &slot))
        (void)ask(t, slot);
    (void)sd_event_source_set_time_relative(s, SLOW_US);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- targets --- */

static void drop_calls(struct target *t)
{
    for (size_t i = 0; i < t->known_count; i++) {
        if (t->known[i].call)
            xeno_http_cancel(t->known[i].call);
        free(t->known[i].path);
    }
    t->known_count = 0;
}

static void target_free(struct target *t)
{
    HASH_DEL(t->m->targets, t);
    drop_calls(t);
    sd_event_source_disable_unref(t->timer);
    free(t->slots);
    free(t);
}

void xrdd_measure_free(struct xrdd_measure *m)
{
    struct target *t, *next;

    if (!m)
        return;
    HASH_ITER (hh, m->targets, t, next) {
        target_free(t);
    }
    free(m);
}

void xrdd_measure_tick(struct xrdd_measure *m)
{
    xeno_time now = xeno_mono(m->opts.env);
    int64_t minute = now.ns / (60 * XENO_NS_PER_S);
    struct target *t, *next;

    if (minute == m->minute)
        return;
    m->minute = minute;
    m->in_minute = 0;
    HASH_ITER (hh, m->targets, t, next) {
        if (!t->running && t->over.ns <= now.ns)
            target_free(t);
    }
}

/* May one more prefix be measured for them? */
static bool account_for(struct xrdd_measure *m, const struct xeno_id *who)
{
    bool may = xrdd_account(m->opts.accounts, who, XRDD_PREFIXES, m->opts.opt->probes_per_client);

    m->counts.held_back += !may;
    return may;
}

static struct target *make_target(struct xrdd_measure *m, const char *key)
{
    struct target *t = NULL;

    HASH_FIND_STR(m->targets, key, t);
    if (t || HASH_COUNT(m->targets) >= XRDD_TARGETS)
        return t;
    t = xeno_new0(struct target);
    t->m = m;
    snprintf(t->key, sizeof t->key, "%s", key);
    HASH_ADD_STR(m->targets, key, t);
    return t;
}

static void run(struct target *t, const struct xrdd_want *want, const char *host, unsigned port)
{
    drop_calls(t);
    snprintf(t->host, sizeof t->host, "%s", host);
    t->port = port;
    t->paths = want->paths;
    t->running = true;
    t->slots = xeno_memdup(want->slots, want->slot_count * sizeof *want->slots);
    t->slot_count = want->slot_count;
    t->m->counts.prefixes++;
    if (sd_event_add_time_relative(t->m->opts.loop, &t->timer, CLOCK_MONOTONIC, SLOW_US, 0, on_slow,
                                   t) < 0)
        t->timer = NULL;
    step(t);
}

/* Returns: the target when it is to be waited for. */
static struct target *want_one(struct xrdd_measure *m, const struct xeno_id *who,
                               const struct xrdd_want *want)
{
    char host[INET6_ADDRSTRLEN], key[XRDD_PREFIX_TEXT];
    xeno_time now = xeno_mono(m->opts.env);
    struct target *t = find_target(m, want->address, want->paths);
    unsigned port;

    if (t && (t->running || t->over.ns > now.ns))
        return t->running ? t : NULL;
    if (want->slot_count == 0 || !xrdd_address_split(want->address, host, &port) ||
        !xrdd_prefix(host, want->paths, key) || !account_for(m, who))
        return NULL;
    t = make_target(m, key);
    if (!t)
        return NULL;
    run(t, want, host, port);
    return t->running ? t : NULL;
}

struct xrdd_wait *xrdd_measure_begin(struct xrdd_measure *m, const struct xeno_id *who,
                                     const struct xrdd_want *wants, size_t n,
                                     void (*done)(void *arg), void *arg)
{
    struct xrdd_wait *w = xeno_new0(struct xrdd_wait);

    *w = (struct xrdd_wait){ .m = m, .done = done, .arg = arg };
    for (size_t i = 0; i < n; i++) {
        struct target *t = want_one(m, who, &wants[i]);

        if (t && t->wait_count < WAITS_MAX) {
            t->waits[t->wait_count++] = w;
            w->pending++;
        }
    }
    if (w->pending == 0 || sd_event_add_time_relative(m->opts.loop, &w->timer, CLOCK_MONOTONIC,
                                                      (uint64_t)m->opts.opt->probe_wait.ns / 1000,
                                                      0, on_wait, w) < 0) {
        wait_free(w);
        return NULL;
    }
    return w;
}

/* --- what is known --- */

int64_t xrdd_measure_known(struct xrdd_measure *m, const char *address)
{
    return (int64_t)(heard(find_target(m, address, false)) + heard(find_target(m, address, true)));
}

/* A XenoServer that was asked and said nothing, or heard nothing: where it claims to be is no
 * reason to believe that it is near. */
static bool in_vain(const struct target *t, uint32_t slot)
{
    const struct xeno_advert *a = xeno_rd_at(xrdd_world_rd(t->m->opts.world), slot);

    for (size_t i = 0; a && i < t->known_count; i++)
        if (strcmp(t->known[i].id.s, a->id.s) == 0)
            return isnan(t->known[i].rtt_ms);
    return false;
}

void xrdd_measure_estimate(struct xrdd_measure *m, const char *address, const uint32_t *slots,
                           size_t n, struct xeno_latency *ret)
{
    const struct target *t = find_target(m, address, false);
    xeno_auto(xeno_near) s = NULL;

    if (heard(t) == 0)
        return;
    s = search(t, slots, n, 0);
    xeno_near_estimates(s, slots, n, ret);
    for (size_t i = 0; i < n; i++)
        if (in_vain(t, slots[i]))
            ret[i] = (struct xeno_latency){ NAN, NAN, NAN, XENO_LATENCY_UNKNOWN };
}

bool xrdd_measure_path(struct xrdd_measure *m, const char *address, uint32_t slot,
                       struct xeno_path *ret)
{
    const struct target *t = find_target(m, address, true);
    const struct xeno_advert *a = xeno_rd_at(xrdd_world_rd(m->opts.world), slot);

    for (size_t i = 0; t && a && i < t->known_count; i++) {
        if (t->known[i].path && strcmp(t->known[i].id.s, a->id.s) == 0) {
            if (ret)
                *ret = *t->known[i].path;
            return true;
        }
    }
    return false;
}

struct xrdd_measured xrdd_measure_counts(const struct xrdd_measure *m)
{
    return m->counts;
}
