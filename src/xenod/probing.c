/* src/xenod/probing.c - what was measured, for adverts and metrics. */
#include "xenod/probing.h"

#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "http/metrics.h"
#include "xenod/probing-priv.h"

#define NUMBER_TEXT 32
#define KEEP_EVERY  (600 * XENO_NS_PER_S)

static const char kept_name[] = "coordinate";

static const char *number(double n, char buf[NUMBER_TEXT])
{
    snprintf(buf, NUMBER_TEXT, "%.3f", n);
    return buf;
}

static void publish_where(const struct xenod_probing *p,
                          void (*add)(void *arg, const char *path, const char *text), void *arg)
{
    const struct xeno_coord *at = xenod_group_where(p->group);
    char path[32], text[NUMBER_TEXT];

    for (int i = 0; i < XENO_COORD_DIM; i++) {
        snprintf(path, sizeof path, "Coordinate/X%d", i + 1);
        add(arg, path, number(at->x[i], text));
    }
    add(arg, "Coordinate/HeightMs", number(at->height_ms, text));
    add(arg, "Coordinate/ErrorMs", number(at->error_ms, text));
    snprintf(text, sizeof text, "%u", at->samples);
    add(arg, "Coordinate/Samples", text);
}

static void publish_peers(const struct xenod_probing *p,
                          void (*add)(void *arg, const char *path, const char *text), void *arg)
{
    for (size_t i = 0; i < xenod_group_count(p->group); i++) {
        const struct xenod_member *m = xenod_group_at(p->group, i);
        double ms = xenod_group_rtt(p->group, m);
        char text[NUMBER_TEXT];

        if (isnan(ms))
            continue;
        add(arg, "Measured/Peer/Id", m->id.s);
        add(arg, "Measured/Peer/RttMs", number(ms, text));
        snprintf(text, sizeof text, "%d", xenod_group_loss_percent(m));
        add(arg, "Measured/Peer/LossPercent", text);
    }
}

/* As many hops as a leaf of an advert can hold. */
static void hops_text(const struct xenod_traced *t, char buf[256])
{
    size_t len = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < t->count && len < 256 - XENOD_ADDRESS_TEXT - 1; i++)
        len += (size_t)snprintf(buf + len, 256 - len, "%s%s", i ? " " : "",
                                t->hops[i].address[0] ? t->hops[i].address : "*");
}

static void publish_paths(const struct xenod_probing *p,
                          void (*add)(void *arg, const char *path, const char *text), void *arg)
{
    for (size_t i = 0; i < p->landmark_count; i++) {
        const struct landmark *l = &p->landmarks[i];
        char text[XENOD_ADDRESS_TEXT], hops[256];

        if (l->path.count == 0)
            continue;
        hops_text(&l->path, hops);
        add(arg, "Path/To", xenod_address_text(&l->address, text));
        add(arg, "Path/Hops", hops);
    }
}

void xenod_probing_publish(const struct xenod_probing *p,
                           void (*add)(void *arg, const char *path, const char *text), void *arg)
{
    if (!p)
        return;
    if (p->group) {
        publish_where(p, add, arg);
        publish_peers(p, add, arg);
    }
    publish_paths(p, add, arg);
}

void xenod_probing_restore(struct xenod_probing *p)
{
    xeno_autofree char *text = xenod_keep_get(p->d, kept_name);

    if (text && !xenod_group_restore(p->group, text, xeno_wall(p->d->env)))
        xeno_log(LOG_DEBUG, "probe.restore", "coordinate=old");
    p->keep_due = xeno_time_add(xeno_mono(p->d->env), xeno_ns(KEEP_EVERY / 10));
}

void xenod_probing_keep(struct xenod_probing *p, xeno_time now)
{
    char text[XENOD_GROUP_KEPT_TEXT];

    if (p->keep_due.ns > now.ns)
        return;
    p->keep_due = xeno_time_add(now, xeno_ns(KEEP_EVERY));
    if (xenod_group_keep(p->group, xeno_wall(p->d->env), text))
        xenod_keep_put(p->d, kept_name, text);
}

static void counter(struct xeno_buf *out, const char *name, const char *help, uint64_t n)
{
    xeno_metric(out, name, "counter", help);
    xeno_metric_int(out, name, NULL, NULL, (int64_t)n);
}

static void gauge(struct xeno_buf *out, const char *name, const char *help, int64_t micro)
{
    xeno_metric(out, name, "gauge", help);
    xeno_metric_micro(out, name, NULL, NULL, micro);
}

void xenod_probing_metrics(const struct xenod_probing *p, struct xeno_buf *out)
{
    if (!p)
        return;
    xeno_metric(out, "xenod_probe_peers", "gauge", "XenoServers in the group that is measured.");
    xeno_metric_int(out, "xenod_probe_peers", NULL, NULL,
                    p->group ? (int64_t)xenod_group_count(p->group) : 0);
    counter(out, "xenod_probes_total", "Round trips to the group that were begun.", p->measured);
    counter(out, "xenod_probes_silent_total", "Of them, those without an answer.", p->silent);
    counter(out, "xenod_probe_peers_refused_total",
            "XenoServers that did not answer as who their adverts say.", p->refused);
    counter(out, "xenod_probe_adverts_bad_total", "Adverts that were not right.", p->bad_adverts);
    counter(out, "xenod_probe_xis_failed_total", "Requests that an XIS did not answer.",
            p->xis_failed);
    counter(out, "xenod_probe_traces_total", "Traceroutes to landmarks.", p->traced);
    if (p->group)
        gauge(out, "xenod_coordinate_error_seconds",
              "How far predictions by our coordinate are off.",
              (int64_t)(xenod_group_where(p->group)->error_ms * 1000));
    xenod_desk_metrics(p->desk, out);
}
