/* src/xisd/peer.c - pulling from other nodes, and answering those that pull from us. */
#include "xisd/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "xisd/update.h"

#define NOTED_AT_ONCE 256

struct peer {
    struct xisd *d;
    size_t index;
    char *url; /* of its /v1/replica */
    bool asked, away;
};

struct xisd_peers {
    struct xeno_replica *replica;
    size_t count;
    struct peer peers[XENO_REPLICA_PEERS];
};

static void ask(struct peer *p);

/* --- the replica's store --- */

/* The texts stay until the index changes, which is later in this turn of the loop at the
 * earliest. */
static bool load(void *user, const struct xeno_id *id, int64_t version,
                 struct xeno_replica_text *ret)
{
    struct xisd *d = user;
    struct xeno_xis_entry e;
    bool here;

    xeno_xis_enter(d->reader);
    here = xeno_xis_get(d->reader, id->s, &e) && e.version == version && e.jws;
    if (here)
        *ret = (struct xeno_replica_text){
            .jws = e.jws, .delta = e.delta, .jws_len = e.jws_len, .delta_len = e.delta_len
        };
    xeno_xis_leave(d->reader);
    return here;
}

struct taken {
    struct xisd *d;
    uint64_t ticket;
};

/* What a failure means for the one who offered it (replica.h). */
static int result_of(int result, const struct xeno_err *err)
{
    if (result == 0 || result == -EEXIST)
        return result;
    if (strcmp(err->token, "advert.expired") == 0)
        return -ETIME;
    if (strncmp(err->token, "db.", 3) == 0 || strcmp(err->token, "xis.busy") == 0)
        return -EAGAIN;
    return -EPERM;
}

static void on_taken(void *arg, int result, int64_t seq, const struct xeno_err *err)
{
    struct taken *t = arg;

    (void)seq;
    if (t->d->peers) {
        if (result_of(result, err) == -EPERM)
            xeno_log_err(LOG_NOTICE, "peer.refused", err, "peer=%s",
                         t->d->peers->peers[t->ticket >> 32].url);
        xeno_replica_took(t->d->peers->replica, t->ticket, result_of(result, err));
        ask(&t->d->peers->peers[t->ticket >> 32]); /* the next page */
    }
    free(t);
}

/* As if its publisher had brought it, but without the bounds of a carrier: those it kept there. */
static void take(void *user, const struct xeno_replica_offer *o)
{
    struct xisd *d = user;
    struct taken *t = xeno_new0(struct taken);
    const struct xisd_update_from from = { .carrier = o->item.id.s,
                                           .stamp = o->item.stamp,
                                           .memory = d->follower != NULL,
                                           .done = on_taken,
                                           .arg = t };

    t->d = d;
    t->ticket = o->ticket;
    xisd_update_take(d, &from, o->text.jws, o->text.jws_len, o->text.delta, o->text.delta_len);
}

/* --- asking --- */

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct peer *p = arg;
    struct xeno_replica *r = p->d->peers->replica;
    struct xeno_err err = XENO_ERR_INIT;
    const struct xeno_err *why = NULL;

    p->asked = false;
    if (a->status != 200) {
        why = a->err;
        xeno_replica_lost(r, p->index);
    } else if (xeno_replica_hear(r, p->index, a->body, a->len, &err) < 0) {
        why = &err;
    }
    if (why && !p->away)
        xeno_log_err(LOG_WARNING, "peer.away", why, "peer=%s", p->url);
    else if (!why && p->away)
        xeno_log(LOG_NOTICE, "peer.back", "peer=%s", p->url);
    p->away = why != NULL;
    xisd_peers_tend(p->d);
}

static void ask(struct peer *p)
{
    xeno_autofree char *question = NULL;
    xeno_time at;
    size_t len;

    if (p->asked || xeno_replica_ask(p->d->peers->replica, p->index, &question, &len, &at) == 0)
        return;
    p->asked = true;
    xeno_http_send(p->d->client, &(struct xeno_http_ask){ .method = "POST",
                                                          .url = p->url,
                                                          .body = question,
                                                          .body_len = len,
                                                          .deadline = xeno_s(20),
                                                          .max_body = XENO_REPLICA_ANSWER,
                                                          .done = on_answer,
                                                          .arg = p });
}

bool xisd_peers_whole(const struct xisd *d)
{
    return d->peers && xeno_replica_stats(d->peers->replica).whole > 0;
}

void xisd_peers_tend(struct xisd *d)
{
    if (!d->peers)
        return;
    xeno_replica_age(d->peers->replica);
    for (size_t i = 0; i < d->peers->count; i++)
        ask(&d->peers->peers[i]);
}

/* --- answering --- */

void xisd_post_replica(struct xeno_http_req *q, void *user)
{
    struct xisd *d = user;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *answer = NULL;
    const char *body;
    size_t len;

    d->counts.requests++;
    body = xeno_http_body(q, &len);
    if (xeno_http_peer(q)->kind != XENO_PARTY_NODE)
        xeno_fail(&err, -EPERM, "replica.node", "only nodes of the XenoCorp may replicate");
    else if (xeno_replica_answer(d->peers->replica, body, len, &answer, &len, &err) == 0)
        xeno_http_reply_data(q, 200, "application/json", answer, len);
    if (!answer)
        xisd_refuse(d, q, &err);
}

/* --- what is noted --- */

void xisd_peers_note(struct xisd *d, const struct xeno_replica_item *it)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (d->peers && xeno_replica_put(d->peers->replica, it, &err) == -EDQUOT)
        xeno_log_err(LOG_WARNING, "peer.note", &err, "id=%s", it->id.s);
}

static void note_all(struct xisd *d)
{
    xeno_autofree struct xeno_xis_entry *es = xeno_new0_n(struct xeno_xis_entry, NOTED_AT_ONCE);
    int64_t after = 0;
    bool more = true;

    while (more) {
        size_t count;

        xeno_xis_enter(d->reader);
        count = xeno_xis_changes(d->reader, after, NOTED_AT_ONCE, es, &after, &more);
        for (size_t i = 0; i < count; i++) {
            struct xeno_replica_item it = { .version = es[i].version,
                                            .expires = es[i].expires,
                                            .stamp.seq = XENO_REPLICA_RESTORED };

            memcpy(it.id.s, es[i].id, XENO_ID_CHARS);
            xisd_peers_note(d, &it);
        }
        xeno_xis_leave(d->reader);
    }
}

/* --- start and end --- */

/* Calls `fn` for each URL between commas. Returns: how many; below zero for one that is none. */
static int each_url(const char *text, struct xisd *d, struct xeno_err *err)
{
    int count = 0;

    for (const char *p = text ? text : ""; *p; count++) {
        size_t len = strcspn(p, ",");

        p += strspn(p, " ");
        len = strcspn(p, ", ");
        while (len > 0 && p[len - 1] == '/')
            len--;
        if (strncmp(p, "https://", 8) != 0 || len < 9 || len > 200)
            return xeno_fail(err, -EINVAL, "xis.peers", "peers: '%.*s' is no https://HOST:PORT",
                             (int)len, p);
        if (count == XENO_REPLICA_PEERS)
            return xeno_fail(err, -E2BIG, "xis.peers", "peers: more than %d", XENO_REPLICA_PEERS);
        if (d)
            d->peers->peers[count].url = xeno_asprintf("%.*s/v1/replica", (int)len, p);
        p += strcspn(p, ",");
        p += *p == ',';
    }
    return count;
}

int xisd_peers_check(const char *text, struct xeno_err *err)
{
    int r = each_url(text, NULL, err);

    return r < 0 ? r : 0;
}

int xisd_peers_start(struct xisd *d, struct xeno_err *err)
{
    const struct xeno_replica_host host = { .user = d, .load = load, .take = take };
    struct xeno_replica_limits limits = xeno_replica_limits_default;
    int r;

    d->peers = xeno_new0(struct xisd_peers);
    r = each_url(d->opt.peers, d, err);
    if (r < 0)
        return r;
    limits.entries = (size_t)d->opt.adverts;
    d->peers->count = (size_t)r;
    d->peers->replica = xeno_replica_new(d->env, &host, &limits, d->peers->count);
    for (size_t i = 0; i < d->peers->count; i++) {
        d->peers->peers[i].d = d;
        d->peers->peers[i].index = i;
    }
    note_all(d);
    return 0;
}

void xisd_peers_free(struct xisd *d)
{
    struct xisd_peers *ps = xeno_take(&d->peers);

    if (!ps)
        return;
    xeno_replica_free(ps->replica);
    for (size_t i = 0; i < XENO_REPLICA_PEERS; i++)
        free(ps->peers[i].url);
    free(ps);
}

struct xeno_json *xisd_peers_status(const struct xisd *d)
{
    struct xeno_replica_stats s = xeno_replica_stats(d->peers->replica);
    struct xeno_json *j, *list;

    if (d->peers->count == 0)
        return NULL;
    j = xeno_json_object();
    list = xeno_json_array();
    for (size_t i = 0; i < d->peers->count; i++) {
        const struct peer *p = &d->peers->peers[i];
        struct xeno_json *o = xeno_json_object();

        xeno_json_set_str(o, "url", p->url);
        xeno_json_set_str(o, "state", p->away ? "away" : "ok");
        xeno_json_append(list, o);
    }
    xeno_json_set(j, "peers", list);
    xeno_json_set_int(j, "kept", (int64_t)s.kept);
    xeno_json_set_int(j, "old", (int64_t)s.old);
    xeno_json_set_int(j, "refused", (int64_t)s.refused);
    xeno_json_set_int(j, "repairs", (int64_t)s.repairs);
    xeno_json_set_int(j, "repaired", (int64_t)s.repaired);
    xeno_json_set_int(j, "doubts", (int64_t)s.doubts);
    return j;
}
