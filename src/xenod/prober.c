/* src/xenod/prober.c - the group's loop: the XIS tells of others, who are checked and measured.
 *
 * One request to the XIS and one check are under way at once, and PARALLEL measurements. A round:
 *
 *     news of the members, then some by chance, then some near; then the group is renewed
 *
 * comes each probe-refresh, sooner while it still adds somebody; news alone come more often, since
 * coordinates move most while they are young.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "base/enc.h"
#include "base/log.h"
#include "http/metrics.h"
#include "xenod/probing-priv.h"
#include "xis/advert.h"

#define PARALLEL    4
#define CHECK_S     5
#define ASK_S       15
#define ANSWER_MAX  (8 << 20)
#define NEWS_YOUNG  1 /* of how many intervals members' adverts are read anew */
#define NEWS_OLD    10
#define YOUNG       200 /* samples */
#define NEAR_MS     20  /* where the search for near ones begins */
#define NEAR_MAX_MS 2560
#define TRACE_EVERY (3600 * XENO_NS_PER_S)
#define TRACE_APART (5 * XENO_NS_PER_S)
#define CORP_PORT   1024 /* from here on, and 443, an endpoint may be measured */

static xeno_time now_of(const struct xenod_probing *p)
{
    return xeno_mono(p->d->env);
}

static void plan(struct xenod_probing *p);

/* --- measuring members --- */

struct under_way {
    struct xenod_probing *p;
    char id[XENO_ID_CHARS + 1];
    struct xenod_measure *m;
    struct under_way *next;
};

static void way_free(struct under_way *w)
{
    struct under_way **at = &w->p->ways;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->p->way_count--;
    free(w);
}

static void on_measured(void *arg, const struct xenod_measured *got)
{
    struct under_way *w = arg;
    struct xenod_probing *p = w->p;
    struct xenod_member *m = xenod_group_find(p->group, w->id);

    way_free(w);
    p->measured += got->sent;
    p->silent += got->sent - got->got;
    if (m) {
        m->busy = false;
        xenod_group_result(p->group, m, got->got ? got->rtt_us[0] / 1000.0 : NAN, now_of(p));
    }
    plan(p);
}

static void measure(struct xenod_probing *p, struct xenod_member *m)
{
    struct under_way *w = xeno_new0(struct under_way);
    struct xeno_err err = XENO_ERR_INIT;

    w->p = p;
    w->next = p->ways;
    p->ways = w;
    p->way_count++;
    strcpy(w->id, m->id.s);
    m->busy = true;
    if (xenod_measure_start(&p->from, XENOD_MEASURE_TCP, &m->address, 1, on_measured, w, &w->m,
                            &err) == 0)
        return;
    xeno_log_err(LOG_WARNING, "probe.measure", &err, "server=%s", w->id);
    m->busy = false;
    way_free(w);
}

/* --- who it is --- */

/* Each address that the endpoint's name has, before it is connected to; the last is the one. */
static int guard(void *arg, const struct xeno_http_peer *peer, struct xeno_err *err)
{
    struct xenod_probing *p = arg;
    union xenod_address a;
    uint16_t port;

    if (!xenod_address_of(peer->address, &a))
        return xeno_fail(err, -EPERM, "probe.address", "%s has another kind of address",
                         peer->host);
    port = xenod_address_port(&a);
    if (port < CORP_PORT && port != 443)
        return xeno_fail(err, -EPERM, "probe.port",
                         "%s port %u: an endpoint is measured at 443, or from %d on", peer->host,
                         port, CORP_PORT);
    if (xenod_target_allowed(&a, p->d->opt.probe_allow, err) < 0)
        return -EPERM;
    p->checked_address = a;
    p->has_address = true;
    return 0;
}

static void on_checked(const struct xeno_http_answer *a, void *arg)
{
    struct xenod_probing *p = arg;
    struct xenod_member *m = xenod_group_find(p->group, p->checking);

    p->check = NULL;
    if (m) {
        m->busy = false;
        if (a->status != 0 && p->has_address) {
            m->address = p->checked_address;
            m->checked = true;
        } else if (m->checked) { /* it was there: perhaps it comes back */
            m->check_due = xeno_time_add(now_of(p), p->d->opt.probe_interval);
            xenod_group_result(p->group, m, NAN, now_of(p));
        } else {
            p->refused++;
            if (a->err)
                xeno_log_err(LOG_INFO, "probe.peer", a->err, "server=%s endpoint=%s", m->id.s,
                             m->endpoint);
            xenod_group_refuse(p->group, m->id.s, now_of(p));
        }
    }
    plan(p);
}

static void check(struct xenod_probing *p, struct xenod_member *m)
{
    xeno_autofree char *url = xeno_asprintf("%s/healthz", m->endpoint);
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .server_id = m->id.s,
                                 .deadline = xeno_s(CHECK_S),
                                 .max_body = 64 * 1024,
                                 .done = on_checked,
                                 .arg = p };

    strcpy(p->checking, m->id.s);
    p->has_address = false;
    m->busy = true;
    p->check = xeno_http_send(p->checker, &ask);
}

/* --- the XIS --- */

static void read_coord(const struct xeno_advert *a, struct xeno_coord *ret)
{
    char path[32];
    double samples = xeno_advert_number(a, "Coordinate/Samples", 0);

    for (int i = 0; i < XENO_COORD_DIM; i++) {
        snprintf(path, sizeof path, "Coordinate/X%d", i + 1);
        ret->x[i] = xeno_advert_number(a, path, NAN);
    }
    ret->height_ms = xeno_advert_number(a, "Coordinate/HeightMs", NAN);
    ret->error_ms = xeno_advert_number(a, "Coordinate/ErrorMs", NAN);
    ret->samples = samples >= 0 && samples < UINT32_MAX ? (uint32_t)samples : 0;
}

static bool of_our_corp(const struct xenod_probing *p, const struct xeno_advert *a)
{
    for (const struct xeno_leaf *l = xeno_advert_leaf(a, "Corp"); l;
         l = xeno_advert_leaf_next(a, l))
        if (strcmp(l->value, xeno_member_corp(p->d->member)->s) == 0)
            return true;
    return false;
}

/* One result: a signed document, and perhaps its delta. */
static void read_result(struct xenod_probing *p, const struct xeno_json_at *at)
{
    xeno_auto(xeno_advert) a = NULL;
    xeno_auto(xeno_advert) fresh = NULL;
    const char *jws, *delta = NULL;
    struct xeno_coord where;
    int r = xeno_json_str(at, "advert", 1, XENO_ADVERT_JWS_MAX, &jws, NULL);

    if (r == 0)
        r = xeno_json_str_opt(at, "delta", 1, XENO_ADVERT_JWS_MAX, &delta, NULL) < 0 ? -EINVAL : 0;
    if (r == 0)
        r = xeno_advert_open(jws, strlen(jws), &a, NULL);
    if (r == 0 && delta && xeno_advert_merge(a, delta, strlen(delta), &fresh, NULL) < 0)
        fresh = NULL;
    if (r < 0 || a->withdrawn || !of_our_corp(p, fresh ? fresh : a) ||
        xeno_advert_timely(fresh ? fresh : a, xeno_wall(p->d->env), NULL) < 0) {
        p->bad_adverts++;
        return;
    }
    read_coord(fresh ? fresh : a, &where);
    xenod_group_offer(p->group, &a->id, a->endpoint, &where, p->stage == STAGE_NEAR);
}

/* Returns: how many match in all; -1 when the answer is none. */
static int64_t read_answer(struct xenod_probing *p, const struct xeno_http_answer *a)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int64_t total;

    if (xeno_json_parse(a->body, a->len, ANSWER_MAX, &j, NULL) < 0)
        return -1;
    top = xeno_json_top(j);
    if (xeno_json_int(&top, "total", 0, INT64_MAX, &total, NULL) < 0 ||
        xeno_json_arr(&top, "results", 1000, &list, &n, NULL) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        read_result(p, &at);
    }
    return total;
}

static struct xeno_json *clause(const char *token, const char *key, struct xeno_json *value)
{
    struct xeno_json *c = xeno_json_object();

    xeno_json_set_str(c, "token", token);
    xeno_json_set(c, key, value);
    return c;
}

static struct xeno_json *where_members(struct xenod_probing *p)
{
    struct xeno_json *ids = xeno_json_array();

    for (size_t i = 0; i < xenod_group_count(p->group); i++)
        xeno_json_append_str(ids, xenod_group_at(p->group, i)->id.s);
    return clause("Id", "in", ids);
}

/* Ids are hashes: who comes after a random one is random. */
static struct xeno_json *where_chance(struct xenod_probing *p)
{
    uint8_t bytes[20];
    char id[XENO_ID_CHARS + 1];

    xeno_random(p->d->env, bytes, sizeof bytes);
    xeno_base32(bytes, sizeof bytes, id);
    return clause("Id", p->wrap ? "to" : "from", xeno_json_string(id));
}

/* A box around us. Whole numbers will do. */
static struct xeno_json *where_near(struct xenod_probing *p)
{
    const struct xeno_coord *at = xenod_group_where(p->group);
    struct xeno_json *all = xeno_json_array(), *and = xeno_json_object();

    for (int i = 0; i < XENO_COORD_DIM; i++) {
        struct xeno_json *c = xeno_json_object();
        char path[32];

        snprintf(path, sizeof path, "Coordinate/X%d", i + 1);
        xeno_json_set_str(c, "token", path);
        xeno_json_set_int(c, "min", (int64_t)floor(at->x[i]) - p->near_ms);
        xeno_json_set_int(c, "max", (int64_t)ceil(at->x[i]) + p->near_ms);
        xeno_json_append(all, c);
    }
    xeno_json_set(and, "and", all);
    return and;
}

static void ask_xis(struct xenod_probing *p);

static xeno_time jitter(const struct xenod_probing *p, int64_t ns)
{
    uint32_t n;

    xeno_random(p->d->env, &n, sizeof n);
    return xeno_time_add(now_of(p), xeno_ns(ns - ns / 4 + ns / 2 * (n % 1024) / 1024));
}

static void round_over(struct xenod_probing *p)
{
    int64_t most = p->d->opt.probe_refresh.ns, least = p->d->opt.probe_interval.ns;
    size_t added = xenod_group_end(p->group, now_of(p));

    p->round_ns = added || p->round_ns == 0 ? least
                  : p->round_ns < most / 2  ? 2 * p->round_ns
                                            : most;
    p->round_due = jitter(p, p->round_ns);
    if (added)
        xeno_log(LOG_INFO, "probe.group", "members=%zu new=%zu", xenod_group_count(p->group),
                 added);
}

static void news_later(struct xenod_probing *p)
{
    bool young = xenod_group_where(p->group)->samples < YOUNG;

    p->news_due = jitter(p, p->d->opt.probe_interval.ns * (young ? NEWS_YOUNG : NEWS_OLD));
}

/* What to ask next, once the answer to `stage` is in: `total` matched. */
static void next_stage(struct xenod_probing *p, int64_t total)
{
    int64_t size = p->d->opt.probe_group;

    if (p->stage == STAGE_NEWS && !p->in_round) {
        p->stage = STAGE_NONE;
    } else if (p->stage == STAGE_NEWS) {
        p->stage = STAGE_CHANCE;
        p->wrap = false;
    } else if (p->stage == STAGE_CHANCE && !p->wrap && total < size) {
        p->wrap = true; /* near the last of all ids: the rest is at the beginning */
    } else if (p->stage == STAGE_CHANCE && xeno_coord_useful(xenod_group_where(p->group))) {
        p->stage = STAGE_NEAR;
    } else if (p->stage == STAGE_NEAR && total < size && p->near_ms < NEAR_MAX_MS) {
        p->near_ms *= 2;
    } else {
        if (p->stage == STAGE_NEAR && total > 4 * size && p->near_ms > NEAR_MS)
            p->near_ms /= 2;
        p->stage = STAGE_NONE;
        p->in_round = false;
        round_over(p);
    }
    if (p->stage != STAGE_NONE)
        ask_xis(p);
}

static void on_xis(const struct xeno_http_answer *a, void *arg)
{
    struct xenod_probing *p = arg;
    int64_t total = a->status == 200 ? read_answer(p, a) : -1;

    p->call = NULL;
    if (total >= 0) {
        next_stage(p, total);
    } else { /* another one, the next time */
        if (a->err)
            xeno_log_err(LOG_INFO, "probe.xis", a->err, "url=%s", p->xis[p->xis_at]);
        p->xis_failed++;
        p->xis_at = (p->xis_at + 1) % p->xis_count;
        p->stage = STAGE_NONE;
        p->in_round = false;
        p->round_due = jitter(p, p->d->opt.probe_interval.ns);
    }
    plan(p);
}

static void ask_xis(struct xenod_probing *p)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    xeno_autofree char *url = xeno_asprintf("%s/v1/query", p->xis[p->xis_at]);
    xeno_autofree char *text = NULL;
    size_t len;
    struct xeno_http_ask ask = { .method = "POST",
                                 .url = url,
                                 .deadline = xeno_s(ASK_S),
                                 .max_body = ANSWER_MAX,
                                 .done = on_xis,
                                 .arg = p };

    xeno_json_set(body, "where",
                  p->stage == STAGE_NEWS     ? where_members(p)
                  : p->stage == STAGE_CHANCE ? where_chance(p)
                                             : where_near(p));
    xeno_json_set_int(body, "limit",
                      p->stage == STAGE_NEWS ? XENOD_GROUP_MAX : 2 * p->d->opt.probe_group);
    xeno_json_set_bool(body, "documents", true);
    text = xeno_json_format(body, false, &len);
    ask.body = text;
    ask.body_len = len;
    p->call = xeno_http_send(p->d->client, &ask);
}

static void begin_xis(struct xenod_probing *p, xeno_time now)
{
    if (p->call || (p->round_due.ns > now.ns && p->news_due.ns > now.ns))
        return;
    p->in_round = p->round_due.ns <= now.ns;
    if (p->in_round)
        xenod_group_begin(p->group);
    news_later(p);
    if (xenod_group_count(p->group) > 0) {
        p->stage = STAGE_NEWS;
    } else if (p->in_round) {
        p->stage = STAGE_CHANCE;
        p->wrap = false;
    } else {
        return;
    }
    ask_xis(p);
}

/* --- ways to landmarks --- */

static void on_traced(void *arg, const struct xenod_traced *got)
{
    struct xenod_probing *p = arg;
    struct landmark *l = &p->landmarks[p->tracing];

    p->trace = NULL;
    l->path = *got;
    p->traced++;
    plan(p);
}

static void trace_next(struct xenod_probing *p, xeno_time now)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (p->trace || p->trace_due.ns > now.ns)
        return;
    for (size_t i = 0; i < p->landmark_count; i++) {
        struct landmark *l = &p->landmarks[i];

        if (l->due.ns > now.ns)
            continue;
        l->due = jitter(p, TRACE_EVERY);
        p->trace_due = xeno_time_add(now, xeno_ns(TRACE_APART));
        p->tracing = i;
        if (xenod_trace_start(&p->from, &l->address, XENOD_TRACE_HOPS, on_traced, p, &p->trace,
                              &err) < 0)
            xeno_log_err(LOG_WARNING, "probe.trace", &err, "%s", "");
        return;
    }
}

/* --- time --- */

static xeno_time earlier(xeno_time a, xeno_time b)
{
    return a.ns < b.ns ? a : b;
}

static xeno_time next_of(const struct xenod_probing *p)
{
    xeno_time next = xeno_ns(INT64_MAX);

    if (p->group && !p->call)
        next = earlier(p->round_due, p->news_due);
    if (p->group)
        next = earlier(next, xenod_group_next(p->group));
    for (size_t i = 0; !p->trace && i < p->landmark_count; i++)
        next = earlier(next, p->landmarks[i].due.ns > p->trace_due.ns ? p->landmarks[i].due
                                                                      : p->trace_due);
    return next;
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
    struct xenod_probing *p = arg;
    xeno_time now = now_of(p);
    struct xenod_member *m;

    (void)s;
    (void)usec;
    if (p->group) {
        begin_xis(p, now);
        if (!p->check && (m = xenod_group_to_check(p->group, now)) != NULL)
            check(p, m);
        while (p->way_count < PARALLEL && (m = xenod_group_to_measure(p->group, now)) != NULL)
            measure(p, m);
        xenod_probing_keep(p, now);
    }
    trace_next(p, now);
    plan(p);
    return 0;
}

/* Wake when there is something to do; what waits for its turn only is looked at a little later. */
static void plan(struct xenod_probing *p)
{
    int64_t soonest = now_of(p).ns + 20 * XENO_NS_PER_MS, next = next_of(p).ns;

    if (next == INT64_MAX) {
        sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
        return;
    }
    if (next < soonest)
        next = soonest;
    sd_event_source_set_time(p->timer, (uint64_t)next / 1000 + 1);
    sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* --- open --- */

static int open_group(struct xenod_probing *p, struct xeno_err *err)
{
    struct xenod *d = p->d;
    /* Anonymous: a XenoServer that answers shows who it is, and need not know who asks. */
    struct xeno_http_client_opts opts = {
        .env = d->env, .ca_pem = xeno_member_ca_pem(d->member), .guard = guard, .guard_arg = p
    };

    int n = xenod_xis_urls(d->opt.xis, p->xis, err);

    p->xis_count = n > 0 ? (size_t)n : 0;
    if (n <= 0 || d->opt.probe_group == 0)
        return n < 0 ? n : 0;
    p->group = xenod_group_new(d->env, xeno_member_id(d->member), (size_t)d->opt.probe_group,
                               d->opt.probe_interval);
    xenod_probing_restore(p);
    p->near_ms = NEAR_MS;
    p->round_due = jitter(p, XENO_NS_PER_S);
    p->news_due = p->round_due;
    return xeno_http_client_new(d->loop, &opts, &p->checker, err);
}

static int open_sources(struct xenod_probing *p, struct xeno_err *err)
{
    union xenod_address a[2];
    int n = xenod_addresses_read(p->d->opt.probe_source, "probe-source", 2, a, err);

    for (int i = 0; i < n; i++)
        p->from.source[a[i].any.sa_family == AF_INET6] = a[i];
    return n < 0 ? n : 0;
}

static int open_landmarks(struct xenod_probing *p, struct xeno_err *err)
{
    union xenod_address a[XENOD_LANDMARKS];
    int n = xenod_addresses_read(p->d->opt.landmarks, "landmarks", XENOD_LANDMARKS, a, err);

    for (int i = 0; i < n; i++)
        p->landmarks[i] = (struct landmark){ .address = a[i], .due = jitter(p, XENO_NS_PER_S) };
    p->landmark_count = n > 0 ? (size_t)n : 0;
    return n < 0 ? n : 0;
}

int xenod_probing_open(struct xenod *d, struct xeno_err *err)
{
    struct xenod_probing *p = d->probing = xeno_new0(struct xenod_probing);
    int r;

    p->d = d;
    p->from.loop = d->loop;
    p->from.env = d->env;
    r = open_sources(p, err);
    if (r == 0)
        r = open_landmarks(p, err);
    if (r == 0)
        r = open_group(p, err);
    if (r == 0 && sd_event_add_time(d->loop, &p->timer, CLOCK_BOOTTIME, 0, 1000, on_time, p) < 0)
        r = xeno_fail(err, -EIO, "probe.open", "take a timer");
    if (r < 0)
        return r;
    p->desk = xenod_desk_new(p);
    plan(p);
    return 0;
}

void xenod_probing_free(struct xenod_probing *p)
{
    if (!p)
        return;
    xenod_desk_free(p->desk);
    if (p->call)
        xeno_http_cancel(p->call);
    if (p->check)
        xeno_http_cancel(p->check);
    while (p->ways) {
        xenod_measure_cancel(p->ways->m);
        way_free(p->ways);
    }
    xenod_trace_cancel(p->trace);
    xeno_http_client_free(p->checker);
    sd_event_source_disable_unref(p->timer);
    for (size_t i = 0; i < p->xis_count; i++)
        free(p->xis[i]);
    xenod_group_free(p->group);
    free(p);
}
