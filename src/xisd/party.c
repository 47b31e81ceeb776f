/* src/xisd/party.c - bounds of one credential. */
#include "xisd/party.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uthash.h>

/* A second of the rate may be asked for at once. */
struct xisd_party {
    char id[XENO_ID_CHARS + 1];
    double left; /* lookups */
    xeno_time at;
    int64_t waiting;
    UT_hash_handle hh;
};

struct xeno_xis_carrier xisd_carrier(const struct xisd *d, const struct xeno_http_req *q)
{
    const struct xeno_cert *peer = xeno_http_peer(q);
    const struct xisd_options *o = &d->opt;
    bool node = peer->kind == XENO_PARTY_NODE;
    double rate = (double)(node ? o->node_rate : o->own_rate);

    return (struct xeno_xis_carrier){
        .id = peer->id.s,
        .bounds = { .adverts = (size_t)(node ? o->node_adverts : o->other_adverts),
                    .own_bytes = (size_t)o->own_bytes,
                    .other_bytes = (size_t)(node ? o->node_bytes : o->other_bytes),
                    .tokens = (size_t)(node ? o->node_tokens : o->own_tokens),
                    .updates_s = rate,
                    .burst = rate * (node ? 2 : 5) },
    };
}

static struct xisd_party *party(struct xisd *d, const char *id)
{
    struct xisd_party *p;

    HASH_FIND_STR(d->parties, id, p);
    if (p)
        return p;
    p = xeno_new0(struct xisd_party);
    snprintf(p->id, sizeof p->id, "%s", id);
    p->left = (double)d->opt.lookup_rate;
    p->at = xeno_mono(d->env);
    HASH_ADD_STR(d->parties, id, p);
    return p;
}

static void refill(const struct xisd *d, struct xisd_party *p)
{
    xeno_time now = xeno_mono(d->env);
    double rate = (double)d->opt.lookup_rate;

    p->left += rate * (double)(now.ns - p->at.ns) / (double)XENO_NS_PER_S;
    p->left = p->left < rate ? p->left : rate;
    p->at = now;
}

int xisd_check_ready(const struct xisd *d, bool ready, struct xeno_err *err)
{
    if (ready)
        return 0;
    return xeno_fail(err, -EAGAIN, "xis.loading",
                     "the adverts are not read yet: the database %s; ask another node, or later",
                     d->database_away ? "does not answer" : "is being read");
}

bool xisd_serves(struct xisd *d, struct xeno_http_req *q)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xisd_check_ready(d, xisd_ready(d), &err) == 0)
        return true;
    xisd_refuse(d, q, &err);
    return false;
}

bool xisd_may_ask(struct xisd *d, struct xeno_http_req *q, int64_t lookups)
{
    struct xisd_party *p;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t need;

    if (!xisd_serves(d, q))
        return false;
    p = party(d, xeno_http_peer(q)->id.s);
    refill(d, p);
    need = lookups < d->opt.lookup_rate ? lookups : d->opt.lookup_rate;
    if (p->left < (double)need) {
        xeno_fail(&err, -EUSERS, "xis.rate",
                  "a credential may ask for %" PRId64
                  " lookups a second (lookup-rate): come again in %" PRId64 " s",
                  d->opt.lookup_rate,
                  (int64_t)(((double)need - p->left) / (double)d->opt.lookup_rate) + 1);
        xisd_refuse(d, q, &err);
        return false;
    }
    p->left -= (double)lookups; /* below zero when the whole rate is less than one request */
    return true;
}

void xisd_spent(struct xisd *d, const struct xeno_http_req *q, uint64_t lookups)
{
    party(d, xeno_http_peer(q)->id.s)->left -= (double)lookups;
}

int xisd_wait_begin(struct xisd *d, const char *id, struct xeno_err *err)
{
    struct xisd_party *p = party(d, id);

    if (p->waiting >= d->opt.waiting)
        return xeno_fail(err, -EUSERS, "xis.waiting",
                         "%" PRId64 " requests of a credential may wait at once (waiting)",
                         d->opt.waiting);
    p->waiting++;
    return 0;
}

void xisd_wait_end(struct xisd *d, const char *id)
{
    party(d, id)->waiting--;
}

void xisd_parties_tend(struct xisd *d)
{
    struct xisd_party *p, *next;

    HASH_ITER (hh, d->parties, p, next) {
        refill(d, p);
        if (p->waiting > 0 || p->left < (double)d->opt.lookup_rate)
            continue;
        HASH_DEL(d->parties, p);
        free(p);
    }
}

void xisd_parties_free(struct xisd *d)
{
    struct xisd_party *p, *next;

    HASH_ITER (hh, d->parties, p, next) {
        HASH_DEL(d->parties, p);
        free(p);
    }
}
