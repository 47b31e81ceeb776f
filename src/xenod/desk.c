/* src/xenod/desk.c - what is measured for others, each target once for all who ask (RFC 0018). */
#include "xenod/desk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "http/metrics.h"
#include "http/public.h"
#include "xenod/probing-priv.h"

#define KEPT_MAX    4096
#define RUNNING_MAX 32
#define WAITING_MAX 256
#define KEPT_NS     (60 * XENO_NS_PER_S)
#define KEPT_WAY_NS (600 * XENO_NS_PER_S)
#define KEY_TEXT    80

/* A target, measured or being measured. */
struct result {
    struct xenod_desk *k;
    char key[KEY_TEXT];
    struct xenod_answer_to of;
    bool running;
    struct xenod_measure *measure;
    struct xenod_trace *trace;
    struct xenod_desk_wait *waits;
    UT_hash_handle hh; /* in order of their beginning: the oldest first */
};

struct xenod_desk_wait {
    struct result *r; /* NULL: it is being told */
    xenod_desk_told *told;
    void *arg;
    struct xenod_desk_wait *prev, *next;
};

struct xenod_desk {
    struct xenod_probing *p;
    struct xenod_asked *asked;
    struct result *results;
    size_t running, waiting;
    bool no_icmp; /* this kernel lets us send none */
    uint64_t asks, shared, made, refused;
};

struct xenod_desk *xenod_desk_new(struct xenod_probing *p)
{
    struct xenod_desk *k = xeno_new0(struct xenod_desk);

    k->p = p;
    k->asked = xenod_asked_new();
    return k;
}

static void wait_free(struct xenod_desk *k, struct xenod_desk_wait *w)
{
    k->waiting--;
    free(w);
}

static void result_free(struct result *r)
{
    struct xenod_desk_wait *w, *next;

    HASH_DEL(r->k->results, r);
    r->k->running -= r->running;
    xenod_measure_cancel(r->measure);
    xenod_trace_cancel(r->trace);
    DL_FOREACH_SAFE (r->waits, w, next) {
        DL_DELETE(r->waits, w);
        wait_free(r->k, w);
    }
    free(r);
}

void xenod_desk_free(struct xenod_desk *k)
{
    struct result *r, *next;

    if (!k)
        return;
    HASH_ITER (hh, k->results, r, next)
        result_free(r);
    xenod_asked_free(k->asked);
    free(k);
}

void xenod_desk_leave(struct xenod_desk_wait *w)
{
    struct xenod_desk *k;

    if (!w || !w->r)
        return;
    k = w->r->k;
    DL_DELETE(w->r->waits, w);
    wait_free(k, w);
}

/* --- telling --- */

static xeno_time now_of(const struct xenod_desk *k)
{
    return xeno_mono(k->p->d->env);
}

static void tell_all(struct result *r)
{
    struct xenod_answer_to of;
    struct xenod_desk *k = r->k;

    r->running = false;
    r->measure = NULL;
    r->trace = NULL;
    r->of.at = now_of(k);
    k->running--;
    of = r->of;
    while (r->waits) { /* one who is told may end others, but no result while it has waits */
        struct xenod_desk_wait *w = r->waits;
        xenod_desk_told *told = w->told;
        void *arg = w->arg;

        DL_DELETE(r->waits, w);
        wait_free(k, w);
        told(arg, &of, 0);
    }
}

static void on_measured(void *arg, const struct xenod_measured *m);

/* ICMP where the kernel lets us; TCP where it does not, or when nothing answered. */
static int start(struct result *r, struct xeno_err *err)
{
    struct xenod_desk *k = r->k;
    struct xeno_err why = XENO_ERR_INIT;
    int e = 0;

    if (r->of.icmp && !k->no_icmp) {
        e = xenod_measure_start(&k->p->from, XENOD_MEASURE_ICMP, &r->of.address, r->of.count,
                                on_measured, r, &r->measure, &why);
        if (e == 0)
            return 0;
        k->no_icmp = e == -EACCES;
    }
    if (!r->of.tcp && !k->no_icmp)
        return xeno_fail(err, e, why.token, "%s", why.text);
    if (!r->of.tcp)
        return xeno_fail(err, -EOPNOTSUPP, "probe.kind",
                         "this XenoServer's kernel lets it send no ICMP echo: ask for tcp");
    r->of.icmp = false;
    return xenod_measure_start(&k->p->from, XENOD_MEASURE_TCP, &r->of.address, r->of.count,
                               on_measured, r, &r->measure, err);
}

static void on_measured(void *arg, const struct xenod_measured *m)
{
    struct result *r = arg;

    r->measure = NULL;
    r->of.measured = *m;
    if (m->got == 0 && r->of.icmp && r->of.tcp) {
        r->of.icmp = false;
        if (start(r, NULL) == 0)
            return;
    }
    tell_all(r);
}

static void on_traced(void *arg, const struct xenod_traced *t)
{
    struct result *r = arg;

    r->trace = NULL;
    r->of.traced = *t;
    tell_all(r);
}

/* --- asking --- */

static void key_of(const struct xenod_answer_to *of, char key[KEY_TEXT])
{
    char text[XENOD_ADDRESS_TEXT];

    xenod_address_text(&of->address, text);
    if (of->way)
        snprintf(key, KEY_TEXT, "way %u %s", of->count, text);
    else
        snprintf(key, KEY_TEXT, "%s%s %d %s", of->icmp ? "icmp" : "", of->tcp ? "tcp" : "",
                 of->tcp ? xenod_address_port(&of->address) : 0, text);
}

static bool is_fresh(const struct xenod_desk *k, const struct result *r)
{
    return r->running || r->of.at.ns + (r->of.way ? KEPT_WAY_NS : KEPT_NS) > now_of(k).ns;
}

/* Room for one more: what is no longer fresh goes, and then the oldest. */
static void make_room(struct xenod_desk *k)
{
    struct result *r, *next;

    if (HASH_COUNT(k->results) < KEPT_MAX)
        return;
    HASH_ITER (hh, k->results, r, next)
        if (!is_fresh(k, r))
            result_free(r);
    HASH_ITER (hh, k->results, r, next)
        if (HASH_COUNT(k->results) >= KEPT_MAX && !r->running)
            result_free(r);
}

static int begin(struct xenod_desk *k, const struct xenod_answer_to *of, const char *key,
                 const char *who, struct result **ret, struct xeno_err *err)
{
    char network[XENOD_ADDRESS_TEXT];
    struct result *r;
    int e;

    if (k->running >= RUNNING_MAX)
        return xeno_fail(err, -EAGAIN, "probe.busy", "%d measurements are under way: come again",
                         RUNNING_MAX);
    /* The operator's own networks are his affair. */
    e = xenod_asked_admit(
        k->asked, now_of(k), who,
        xeno_http_public(&of->address.any) ? xenod_address_network(&of->address, network) : NULL,
        of->way ? XENOD_ASKED_TRACE : 1, (unsigned)k->p->d->opt.probe_rate, err);
    if (e < 0)
        return e;
    make_room(k);
    r = xeno_new0(struct result);
    r->k = k;
    r->of = *of;
    r->running = true;
    strcpy(r->key, key); /* as large */
    k->running++;
    HASH_ADD_STR(k->results, key, r);
    e = of->way
            ? xenod_trace_start(&k->p->from, &of->address, of->count, on_traced, r, &r->trace, err)
            : start(r, err);
    if (e < 0) {
        result_free(r);
        return e;
    }
    xeno_log(LOG_INFO, "probe.asked", "peer=%s target=\"%s\"", who, key);
    k->made++;
    *ret = r;
    return 0;
}

int xenod_desk_ask(struct xenod_desk *k, const struct xenod_answer_to *of, const char *who,
                   xenod_desk_told *told, void *arg, struct xenod_desk_wait **ret,
                   struct xeno_err *err)
{
    struct xenod_desk_wait *w;
    char key[KEY_TEXT];
    struct result *r;
    int e;

    k->asks++;
    key_of(of, key);
    HASH_FIND_STR(k->results, key, r);
    if (r && !is_fresh(k, r)) {
        result_free(r);
        r = NULL;
    }
    if (r && !r->running) {
        k->shared++;
        told(arg, &r->of, (now_of(k).ns - r->of.at.ns) / XENO_NS_PER_MS);
        return 0;
    }
    if (k->waiting >= WAITING_MAX)
        e = xeno_fail(err, -EAGAIN, "probe.busy", "%d wait for a measurement: come again",
                      WAITING_MAX);
    else if (r)
        e = 0, k->shared++;
    else
        e = begin(k, of, key, who, &r, err);
    if (e < 0) {
        k->refused++;
        return e;
    }
    w = xeno_new0(struct xenod_desk_wait);
    w->r = r;
    w->told = told;
    w->arg = arg;
    k->waiting++;
    DL_APPEND(r->waits, w);
    *ret = w;
    return 1;
}

void xenod_desk_metrics(const struct xenod_desk *k, struct xeno_buf *out)
{
    static const char name[] = "xenod_asked_probes_total";

    xeno_metric(out, name, "counter", "Measurements that others asked for.");
    xeno_metric_int(out, name, "what", "asked", (int64_t)k->asks);
    xeno_metric_int(out, name, "what", "made", (int64_t)k->made);
    xeno_metric_int(out, name, "what", "shared", (int64_t)k->shared);
    xeno_metric_int(out, name, "what", "refused", (int64_t)k->refused);
    xeno_metric(out, "xenod_asked_probes_running", "gauge", "Of them, those under way.");
    xeno_metric_int(out, "xenod_asked_probes_running", NULL, NULL, (int64_t)k->running);
}
