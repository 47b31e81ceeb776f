/* src/xis/tests/replica-world.c */
#include "replica-world.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "json/json.h"

static const struct xeno_replica_limits limits = {
    .poll = xeno_s(2),
    .repair = xeno_s(60),
    .patience = xeno_s(10),
    .backoff = xeno_s(20),
    .entries = 10000,
    .fetches = 1000,
};

uint64_t world_below(struct world *w, uint64_t n)
{
    return xeno_env_test_next(&w->t) % n;
}

static bool chance(struct world *w, unsigned percent)
{
    return world_below(w, 100) < percent;
}

/* --- a node's own clock --- */

static xeno_time node_wall(const struct xeno_env *env)
{
    const struct node *n = (const struct node *)env;

    return xeno_time_add(n->w->t.now, n->skew);
}

static xeno_time node_mono(const struct xeno_env *env)
{
    return ((const struct node *)env)->w->t.now;
}

static void node_random(const struct xeno_env *env, void *out, size_t len)
{
    xeno_random(&((const struct node *)env)->w->t.env, out, len);
}

/* --- texts --- */

static uint64_t sum(size_t i, struct version v)
{
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15 ^ (uint64_t)v.version * 0xbf58476d1ce4e5b9 ^
                 (uint64_t)v.expires.ns * 0x94d049bb133111eb;

    return (x ^ x >> 29) * 0xd6e8feb86659fd93;
}

static void text_of(size_t i, struct version v, char out[80])
{
    snprintf(out, 80, "%zu.%" PRId64 ".%" PRId64 ".%" PRIx64, i, v.version,
             v.expires.ns / XENO_NS_PER_MS, sum(i, v));
}

static bool read_text(const char *text, size_t *ret_i, struct version *ret)
{
    int64_t ms;
    uint64_t s;

    if (sscanf(text, "%zu.%" SCNd64 ".%" SCNd64 ".%" SCNx64, ret_i, &ret->version, &ms, &s) != 4 ||
        *ret_i >= ADVERTS)
        return false;
    ret->expires = xeno_ms(ms);
    return s == sum(*ret_i, *ret);
}

/* --- the host of a replica --- */

/* On a disk the version only rises; an honest node is told of nothing else. */
static void keep(struct node *n, size_t i, struct version v)
{
    assert_true(v.version > n->highest[i]);
    n->highest[i] = v.version;
    n->disk[i] = v;
}

static size_t index_of(const struct world *w, const struct xeno_id *id)
{
    size_t i = 0;

    while (i < ADVERTS && strcmp(w->ids[i].s, id->s) != 0)
        i++;
    return i;
}

static bool load(void *user, const struct xeno_id *id, int64_t version,
                 struct xeno_replica_text *ret)
{
    static char text[80];
    struct node *n = user;
    size_t i = index_of(n->w, id);

    assert_true(i < ADVERTS && n->disk[i].version == version);
    text_of(i, n->disk[i], text);
    *ret = (struct xeno_replica_text){ .jws = text, .jws_len = strlen(text) };
    return true;
}

static void take_now(struct node *n, const struct late *l)
{
    struct xeno_replica_item it = l->item;
    struct version v;
    size_t i;
    int r = 0;

    if (!read_text(l->text, &i, &v) || strcmp(n->w->ids[i].s, it.id.s) != 0)
        r = -EBADMSG;
    else if (v.expires.ns <= node_wall(&n->env).ns)
        r = -ETIME;
    else if (!xeno_replica_news(n->r, &it.id, v.version))
        r = -EEXIST;
    if (r == 0) {
        keep(n, i, v);
        it.version = v.version; /* what was signed, not what was said */
        it.expires = v.expires;
        assert_int_equal(xeno_replica_put(n->r, &it, NULL), 0);
    }
    xeno_replica_took(n->r, l->ticket, r);
}

static void take(void *user, const struct xeno_replica_offer *o)
{
    struct node *n = user;
    struct late l = { .ticket = o->ticket, .item = o->item };

    snprintf(l.text, sizeof l.text, "%s", o->text.jws);
    if (chance(n->w, n->w->again) && n->late_count < XENO_LEN(n->late))
        n->late[n->late_count++] = l;
    else if (chance(n->w, n->w->again))
        xeno_replica_took(n->r, l.ticket, -EAGAIN);
    else
        take_now(n, &l);
}

/* --- nodes --- */

void world_start(struct world *w, size_t node, bool fresh)
{
    struct node *n = &w->nodes[node];
    const struct xeno_replica_host host = { .user = n, .load = load, .take = take };
    struct xeno_replica_limits mine = limits;

    n->env = (struct xeno_env){ .wall = node_wall, .mono = node_mono, .random = node_random };
    n->w = w;
    n->index = node;
    n->up = true;
    n->late_count = 0;
    mine.repair = w->repair;
    n->r = xeno_replica_new(&n->env, &host, &mine, w->count - 1);
    if (fresh) {
        memset(n->disk, 0, sizeof n->disk);
        memset(n->highest, 0, sizeof n->highest);
    }
    for (size_t i = 0; i < ADVERTS; i++) {
        const struct xeno_replica_item it = { .id = w->ids[i],
                                              .version = n->disk[i].version,
                                              .expires = n->disk[i].expires,
                                              .stamp.seq = XENO_REPLICA_RESTORED };

        if (it.version > 0)
            assert_int_equal(xeno_replica_put(n->r, &it, NULL), 0);
    }
}

void world_kill(struct world *w, size_t node)
{
    xeno_replica_free(w->nodes[node].r);
    w->nodes[node].r = NULL;
    w->nodes[node].up = false;
}

void world_init(struct world *w, uint64_t seed, size_t nodes)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

    memset(w, 0, sizeof *w);
    xeno_env_test_init(&w->t, xeno_s(1800000000), seed);
    w->count = nodes;
    w->repair = limits.repair;
    for (size_t i = 0; i < ADVERTS; i++) {
        for (size_t k = 0; k < XENO_ID_CHARS; k++)
            w->ids[i].s[k] = letters[world_below(w, i % 4 == 0 && k < 2 ? 1 : 32)];
        w->ids[i].s[XENO_ID_CHARS] = '\0';
    }
    for (size_t i = 0; i < nodes; i++)
        world_start(w, i, true);
}

void world_release(struct world *w)
{
    for (size_t i = 0; i < w->count; i++)
        xeno_replica_free(w->nodes[i].r);
    for (size_t i = 0; i < w->packet_count; i++)
        free(w->packets[i].text);
    free(w->packets);
    free(w->old_answer);
}

bool world_bring(struct world *w, size_t node, size_t i, struct version v)
{
    struct node *n = &w->nodes[node];
    const struct xeno_replica_item it = { .id = w->ids[i],
                                          .version = v.version,
                                          .expires = v.expires };

    if (!n->up || !xeno_replica_news(n->r, &it.id, v.version))
        return false;
    keep(n, i, v);
    assert_int_equal(xeno_replica_put(n->r, &it, NULL), 0);
    return true;
}

bool world_publish(struct world *w, size_t node, size_t i, xeno_time lease)
{
    w->made[i].version += 1 + (int64_t)world_below(w, 3);
    w->made[i].expires = xeno_time_add(w->t.now, lease);
    return world_bring(w, node, i, w->made[i]);
}

int64_t world_has(const struct world *w, size_t node, size_t i)
{
    const struct node *n = &w->nodes[node];

    return n->disk[i].expires.ns > node_wall(&n->env).ns ? n->disk[i].version : 0;
}

bool world_agrees(struct world *w)
{
    uint8_t first[XENO_REPLICA_HASH], root[XENO_REPLICA_HASH];
    bool any = false;

    for (size_t i = 0; i < w->count; i++) {
        if (!w->nodes[i].up || w->nodes[i].liar)
            continue;
        xeno_replica_age(w->nodes[i].r);
        xeno_replica_root(w->nodes[i].r, root);
        if (any && memcmp(first, root, sizeof root) != 0)
            return false;
        memcpy(first, root, sizeof root);
        any = true;
    }
    return true;
}

/* --- lies --- */

static void raise_all(struct xeno_json *o, int64_t n)
{
    struct xeno_json_at at = xeno_json_top(o);
    const char *key;

    for (size_t i = 0; (key = xeno_json_key(&at, i)); i++)
        xeno_json_set_int(o, key, n);
}

static void spoil_entries(struct world *w, struct xeno_json *list)
{
    struct xeno_json_at at = xeno_json_top(list);

    for (size_t i = 0; i < XENO_REPLICA_PAGE; i++) {
        struct xeno_json_at item = xeno_json_item(&at, i);
        struct xeno_json *e = (struct xeno_json *)item.j;

        if (!e)
            break;
        if (chance(w, 50))
            xeno_json_set_int(e, "version", INT64_C(1) << 50);
        if (chance(w, 50))
            xeno_json_set_str(e, "advert", "1.99999999999.1900000000000.0");
        if (chance(w, 50))
            xeno_json_set_int(e, "seq", XENO_REPLICA_SEQ);
    }
}

/* One of many ways in which an answer is not true. The vector is the worst: it makes others pass
 * over what they have not got. */
static char *lie(struct world *w, const char *text, size_t len)
{
    xeno_auto(xeno_json) o = NULL;
    xeno_auto(xeno_json) part = NULL;
    size_t n;

    assert_int_equal(xeno_json_parse(text, len, XENO_REPLICA_ANSWER, &o, NULL), 0);
    switch (world_below(w, 7)) {
    case 0:
        return xeno_strndup(text, world_below(w, len));
    case 1:
        if ((part = xeno_json_member(o, "entries")))
            xeno_json_set(o, "entries", xeno_json_array());
        break;
    case 2:
        if ((part = xeno_json_member(o, "entries")))
            spoil_entries(w, part);
        break;
    case 3:
        xeno_json_set_bool(o, "more", true);
        xeno_json_set_int(o, "next", (int64_t)world_below(w, 100000));
        break;
    case 4:
        xeno_json_set_bool(o, "gap", true);
        break;
    case 5:
        if (w->old_answer)
            return xeno_strdup(w->old_answer);
        break;
    default:
        break;
    }
    if ((part = part ? part : xeno_json_member(o, "vector")) && chance(w, 60)) {
        raise_all(part, INT64_C(1) << 40);
        if (chance(w, 50)) {
            xeno_json_set_bool(o, "more", false);
            xeno_json_set(o, "entries", xeno_json_array());
        }
    }
    free(w->old_answer);
    w->old_answer = xeno_json_format(o, false, &n);
    return xeno_strdup(w->old_answer);
}

/* --- the network --- */

static void send(struct world *w, size_t from, size_t to, bool answer, char *text, size_t len)
{
    bool twice = chance(w, w->loss);

    w->bytes += len;
    for (int i = 0; i <= twice; i++) {
        xeno_time late = xeno_ms((int64_t)world_below(w, chance(w, w->loss) ? 15000 : 300));

        if (w->packet_count == w->packet_room) {
            w->packet_room = w->packet_room ? w->packet_room * 2 : 64;
            w->packets = xeno_grow(w->packets, w->packet_room);
        }
        if (!chance(w, w->loss))
            w->packets[w->packet_count++] = (struct packet){ .at = xeno_time_add(w->t.now, late),
                                                             .from = from,
                                                             .to = to,
                                                             .answer = answer,
                                                             .text = xeno_strndup(text, len),
                                                             .len = len };
    }
    free(text);
}

/* A node's peers are the others, in order. */
static size_t peer_of(size_t node, size_t other)
{
    return other < node ? other : other - 1;
}
static size_t node_of(size_t node, size_t peer)
{
    return peer < node ? peer : peer + 1;
}

static void deliver(struct world *w, const struct packet *p)
{
    struct node *to = &w->nodes[p->to];
    char *text = NULL;
    size_t len;

    if (!to->up || to->group != w->nodes[p->from].group)
        return;
    if (p->answer) {
        (void)xeno_replica_hear(to->r, peer_of(p->to, p->from), p->text, p->len, NULL);
        return;
    }
    if (xeno_replica_answer(to->r, p->text, p->len, &text, &len, NULL) < 0)
        return;
    if (to->liar && chance(w, 70)) {
        char *honest = text;

        text = lie(w, honest, len);
        len = strlen(text);
        free(honest);
    }
    send(w, p->to, p->from, true, text, len);
}

static void deliver_due(struct world *w)
{
    for (size_t i = 0; i < w->packet_count;) {
        struct packet p = w->packets[i];

        if (p.at.ns > w->t.now.ns) {
            i++;
            continue;
        }
        w->packets[i] = w->packets[--w->packet_count];
        deliver(w, &p);
        free(p.text);
    }
}

static void ask_all(struct world *w, struct node *n)
{
    for (size_t peer = 0; peer < w->count - 1; peer++) {
        char *text = NULL;
        xeno_time at;
        size_t len;

        if (xeno_replica_ask(n->r, peer, &text, &len, &at) > 0)
            send(w, n->index, node_of(n->index, peer), false, text, len);
    }
}

void world_step(struct world *w)
{
    w->t.now = xeno_time_add(w->t.now, STEP);
    deliver_due(w);
    for (size_t i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];

        if (!n->up)
            continue;
        while (n->late_count > 0 && chance(w, 70))
            take_now(n, &n->late[--n->late_count]);
        ask_all(w, n);
    }
}

void world_run(struct world *w, xeno_time len)
{
    xeno_time end = xeno_time_add(w->t.now, len);

    while (w->t.now.ns < end.ns)
        world_step(w);
}
