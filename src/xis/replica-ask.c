/* src/xis/replica-ask.c - when a peer is asked, and what. */
#include <errno.h>
#include <string.h>

#include "xis/replica-priv.h"

#define PREFIXES 32 /* in a question; their lists are cut short by the peer */

static void wait_until(struct peer *p, xeno_time at)
{
    p->phase = WAITING;
    p->at = at;
}

static xeno_time after(const struct xeno_replica *r, xeno_time len)
{
    return xeno_time_add(xeno_mono(r->env), len);
}

void xeno_replica_lost(struct xeno_replica *r, size_t peer)
{
    struct peer *p = &r->peers[peer];
    xeno_time len = xeno_s(1);

    if (p->phase == TAKING)
        return; /* its answer is here */
    for (unsigned i = 0; i < p->failures && len.ns < r->limits.backoff.ns; i++)
        len.ns *= 2;
    if (len.ns > r->limits.backoff.ns)
        len = r->limits.backoff;
    if (p->failures < 32)
        p->failures++;
    r->stats.lost++;
    xeno_replica_repair_drop(r, peer);
    wait_until(p, after(r, xeno_replica_jitter(r, len)));
}

/* --- questions --- */

static struct xeno_json *ask_pull(const struct xeno_replica *r, const struct peer *p)
{
    struct xeno_json *o = xeno_json_object();

    if (p->epoch != 0)
        xeno_replica_put_origin(o, "epoch", p->epoch);
    xeno_json_set_int(o, "after", p->epoch != 0 ? p->after : 0);
    xeno_json_set(o, "vector", xeno_replica_vector(r));
    return o;
}

static struct xeno_json *ask_tree(struct repair *rp)
{
    struct xeno_json *list = xeno_json_array();

    for (rp->asked = 0; rp->asked < rp->prefix_count && rp->asked < PREFIXES; rp->asked++) {
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "prefix", rp->prefixes[rp->asked].text);
        if (rp->prefixes[rp->asked].after[0] != '\0')
            xeno_json_set_str(o, "after", rp->prefixes[rp->asked].after);
        xeno_json_append(list, o);
    }
    return list;
}

static struct xeno_json *ask_fetch(const struct repair *rp)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < rp->wanted_count && i < XENO_REPLICA_PAGE; i++)
        xeno_json_append_str(list, rp->wanted[i].id.s);
    return list;
}

static char *question(struct xeno_replica *r, struct peer *p, size_t *ret_len)
{
    xeno_auto(xeno_json) o = xeno_json_object();
    uint64_t n;

    xeno_random(r->env, &n, sizeof n);
    p->n = (int64_t)(n & XENO_REPLICA_SEQ);
    xeno_json_set_int(o, "n", p->n);
    if (p->job == PULL)
        xeno_json_set(o, "pull", ask_pull(r, p));
    else if (p->job == TREE)
        xeno_json_set(o, "tree", ask_tree(&p->repair));
    else
        xeno_json_set(o, "fetch", ask_fetch(&p->repair));
    p->phase = ASKED;
    p->at = after(r, r->limits.patience);
    r->stats.asked++;
    return xeno_json_format(o, false, ret_len);
}

/* --- what next --- */

static void repair_begin(struct xeno_replica *r, size_t peer)
{
    struct repair *rp = &r->peers[peer].repair;

    xeno_replica_repair_drop(r, peer);
    rp->prefixes = xeno_grow(rp->prefixes, 1);
    rp->prefix_room = rp->prefix_count = 1;
    rp->prefixes[0] = (struct prefix){ .text = "" };
    rp->runs = true;
    r->busy = peer;
}

static bool is_free(const struct xeno_replica *r, size_t peer)
{
    return r->busy == NOBODY || r->busy == peer;
}

/* Repairs, and pulls of everything, go one after the other: what one brought the next leaves out.
 * False: it is another peer's turn. */
static bool choose(struct xeno_replica *r, size_t peer)
{
    struct peer *p = &r->peers[peer];
    bool due = p->epoch == 0 ? r->alive > 0 : xeno_mono(r->env).ns >= p->repair_at.ns;

    if (!p->repair.runs && due && is_free(r, peer))
        repair_begin(r, peer);
    if (p->repair.runs) {
        p->job = p->repair.prefix_count > 0 ? TREE : FETCH;
        return true;
    }
    p->job = PULL;
    if (p->epoch == 0 && !is_free(r, peer))
        return false;
    if (p->epoch == 0)
        r->busy = peer;
    return true;
}

int xeno_replica_ask(struct xeno_replica *r, size_t peer, char **ret, size_t *ret_len,
                     xeno_time *ret_at)
{
    struct peer *p = &r->peers[peer];
    xeno_time now = xeno_mono(r->env);

    xeno_replica_age(r);
    if (p->phase == ASKED && now.ns >= p->at.ns)
        xeno_replica_lost(r, peer);
    if (p->phase == WAITING && now.ns >= p->at.ns) {
        if (choose(r, peer)) {
            *ret = question(r, p, ret_len);
            return 1;
        }
        wait_until(p, after(r, xeno_replica_jitter(r, r->limits.poll)));
    }
    *ret_at = p->phase == TAKING ? xeno_ns(INT64_MAX) : p->at;
    return 0;
}
