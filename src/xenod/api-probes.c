/* src/xenod/api-probes.c - POST /v1/probes and /v1/traceroutes (RFC 0018). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenod/desk.h"
#include "xenod/probing-priv.h"
#include "xenod/wish.h"

struct waiting {
    struct xeno_http_req *q;
    struct xenod_desk_wait *wait; /* NULL: it was told at once */
};

static void on_gone(void *arg)
{
    struct waiting *w = arg;

    xenod_desk_leave(w->wait);
    free(w);
}

/* --- answers --- */

static void probe_json(struct xeno_json *j, const struct xenod_answer_to *a)
{
    const struct xenod_measured *m = &a->measured;
    struct xeno_json *list = xeno_json_array();

    xeno_json_set_str(j, "kind", a->icmp ? "icmp" : "tcp");
    if (!a->icmp)
        xeno_json_set_int(j, "port", xenod_address_port(&a->address));
    xeno_json_set_int(j, "sent", m->sent);
    for (unsigned i = 0; i < m->got; i++)
        xeno_json_append_int(list, m->rtt_us[i]);
    xeno_json_set(j, "rtt_us", list);
    xeno_json_set_int(j, "loss_percent", m->sent ? 100 * (m->sent - m->got) / m->sent : 0);
}

static void way_json(struct xeno_json *j, const struct xenod_answer_to *a)
{
    struct xeno_json *hops = xeno_json_array(), *times = xeno_json_array();

    for (unsigned i = 0; i < a->traced.count; i++) {
        const struct xenod_hop *h = &a->traced.hops[i];

        xeno_json_append_str(hops, h->address[0] ? h->address : "*");
        xeno_json_append_int(times, h->address[0] ? (int64_t)h->rtt_us : -1);
    }
    xeno_json_set(j, "hops", hops);
    xeno_json_set(j, "rtt_us", times);
    xeno_json_set_bool(j, "reached", a->traced.reached);
}

static void on_told(void *arg, const struct xenod_answer_to *a, int64_t age_ms)
{
    struct waiting *w = arg;
    struct xeno_json *j = xeno_json_object();
    char text[XENOD_ADDRESS_TEXT];

    xeno_json_set_str(j, "address", xenod_address_text(&a->address, text));
    if (a->way)
        way_json(j, a);
    else
        probe_json(j, a);
    xeno_json_set_int(j, "age_ms", age_ms);
    xeno_http_reply_json(w->q, 200, j);
    free(w);
}

/* --- questions --- */

/* Whoever has a credential of the XenoCorp and could be asked why. */
static int registered(const struct xeno_http_req *q, struct xeno_err *err)
{
    enum xeno_party kind = xeno_http_peer(q)->kind;

    if (kind == XENO_PARTY_CLIENT || kind == XENO_PARTY_NODE || kind == XENO_PARTY_SERVER)
        return 0;
    return xeno_fail(err, -EPERM, "probe.kind",
                     "measurements are made for clients, XenoServers and nodes, not for a %s",
                     xeno_party_name(kind));
}

static void ask(struct xeno_http_req *q, struct xenod *d, xenod_wish_read *read)
{
    xeno_auto(xeno_json) body = NULL;
    struct xenod_answer_to of = { .way = false };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at at;
    struct waiting *w;
    int r;

    if (xeno_http_body_json(q, &body) < 0)
        return;
    at = xeno_json_top(body);
    r = registered(q, &err);
    if (r == 0)
        r = read(&at, d->opt.probe_allow, d->opt.probe_ports, &of, &err);
    if (r < 0) {
        xenod_refuse(q, &err);
        return;
    }
    w = xeno_new0(struct waiting);
    w->q = q;
    r = xenod_desk_ask(d->probing->desk, &of, xeno_http_peer(q)->id.s, on_told, w, &w->wait, &err);
    if (r == 1)
        xeno_http_on_gone(q, on_gone, w);
    if (r < 0) {
        free(w);
        xenod_refuse(q, &err);
    }
}

void xenod_post_probe(struct xeno_http_req *q, void *user)
{
    ask(q, user, xenod_wish_probe);
}

void xenod_post_traceroute(struct xeno_http_req *q, void *user)
{
    ask(q, user, xenod_wish_way);
}
