/* sim/test-storage.c - a month of paid storage: writes, reclaims, audits and expiries at two nodes,
 * with messages lost, repeated and late, with nodes and XenoCorp dying around their commits and
 * away for hours, with orders that run out and clocks that are off. The books of both sides are
 * checked all along; at the end every bill is compared with one that is added up here, object by
 * object and millisecond by millisecond, with no code of src/keep. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "corp/ledger.h"
#include "corp/storage.h"
#include "keep/keep.h"
#include "sim/corpside.h"

#define CLIENTS  3
#define NODES    2
#define OBJECTS  24
#define CERTS    400
#define WORDS    6 /* objects of a certificate at most */
#define BYTES    60000
#define DAY_MS   INT64_C(86400000)
#define HOUR_MS  INT64_C(3600000)
#define MONTH_MS (30 * DAY_MS)
#define INTERVAL (6 * HOUR_MS)
#define PRICE    INT64_C(70000000000) /* so that a few kilobytes cost something each hour */

struct cert {
    char id[XENO_SESSION_ID_CHARS + 1];
    char order[XENO_ORDER_ID_CHARS + 1];
    int client, node;
    int objects[WORDS];
    size_t count;
    int64_t amount, expires_ms, window_ms; /* of the order: its money and its end */
    int64_t reclaimed_ms;                  /* the node's clock then; 0: never */
    int64_t from_ms, end_ms, rank, charged, posted, refused; /* as the node has it at the end */
    bool closed;
    char why[80];
};

struct node {
    struct sim_party self;
    struct xeno_db *db;
    int64_t at_ms, mono_ms; /* its clock; mono -1: it was not running */
    int64_t skew_ms;        /* of its wall clock */
    int64_t down_until_ms;
    bool lost[OBJECTS];
    struct xeno_keep_op late; /* an answer that comes once more, later */
    struct xeno_json *late_reply;
};

struct month {
    struct world w;
    struct sim_corp corp;
    struct sim_party clients[CLIENTS];
    struct node nodes[NODES];
    uint8_t *data[OBJECTS];
    struct xeno_stored_object objects[OBJECTS];
    struct cert certs[CERTS];
    size_t count;
    int64_t crashes, lost_messages, audits_passed, audits_failed;
};

static const struct xeno_keep_terms terms = {
    .price = PRICE, .tariff = 1, .interval_ms = INTERVAL, .most = 1000
};

static int64_t between(struct month *m, int64_t low, int64_t high)
{
    return low + (int64_t)world_dice(&m->w, (uint64_t)(high - low + 1));
}

/* --- nodes --- */

static int64_t node_now(struct month *m, struct node *n)
{
    int64_t mono = world_ms(&m->w);

    (void)xeno_bill_pass(&n->at_ms, world_ms(&m->w) + n->skew_ms,
                         n->mono_ms >= 0 ? mono - n->mono_ms : XENO_PASSED_UNKNOWN);
    n->mono_ms = mono;
    return n->at_ms;
}

static void node_start(struct month *m, struct node *n)
{
    (void)m;
    n->mono_ms = -1;
    assert_int_equal(xeno_keep_clock(n->db, &n->at_ms, NULL), 0);
}

/* End a transaction, or die around it. Returns: false when what was to follow does not. */
static bool node_commit(struct month *m, struct node *n, int r)
{
    bool crash = world_chance(&m->w, 15), late = world_dice(&m->w, 2);

    if (r < 0 || (crash && !late))
        xeno_db_rollback(n->db);
    else
        assert_int_equal(xeno_db_commit(n->db, NULL), 0);
    if (crash) {
        m->crashes++;
        node_start(m, n);
    }
    return !crash && r >= 0;
}

static struct sim_request request(const struct node *n, const char *path, char *body)
{
    return (struct sim_request){ .server = n->self.id,
                                 .pub = *xeno_key_pub(n->self.key),
                                 .path = (char *)path,
                                 .body = body,
                                 .body_len = body ? strlen(body) : 0 };
}

/* Returns: 1 with an answer, or a refusal in *why (reply NULL); 0: none came. */
static int ask(struct month *m, const struct sim_request *q, struct xeno_json **ret,
               struct xeno_err *why)
{
    bool refused = false;
    int r;

    if (world_chance(&m->w, 30)) {
        m->lost_messages++;
        return 0;
    }
    if (world_chance(&m->w, 20)) { /* the question arrives twice */
        xeno_auto(xeno_json) first = NULL;

        (void)sim_corp_handle(&m->corp, q, &first, &refused, NULL);
    }
    r = sim_corp_handle(&m->corp, q, ret, &refused, why);
    if (r == 0 || world_chance(&m->w, 30)) {
        xeno_json_unref(xeno_take(ret));
        m->lost_messages++;
        return 0;
    }
    return 1;
}

static bool apply(struct month *m, struct node *n, const struct xeno_keep_op *op,
                  const struct xeno_json *reply, const struct xeno_err *why)
{
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    assert_int_equal(xeno_db_begin(n->db, NULL), 0);
    r = xeno_keep_answered(n->db, n->self.key, op, reply, why, &terms, node_now(m, n), &err);
    if (r < 0 && r != -EPROTO)
        fail_msg("%s: %s", err.token, err.text);
    return node_commit(m, n, r);
}

/* Keep an answer to hear it once more when it is old. */
static void keep_late(struct node *n, const struct xeno_keep_op *op, struct xeno_json *reply)
{
    if (n->late_reply)
        return;
    n->late = *op;
    n->late.body = NULL;
    n->late_reply = xeno_json_ref(reply);
}

static void talk(struct month *m, struct node *n, enum xeno_keep_kind kind)
{
    for (int i = 0; i < 20; i++) {
        struct xeno_keep_op op;
        xeno_auto(xeno_json) reply = NULL;
        struct xeno_err why = XENO_ERR_INIT;
        struct sim_request q;
        bool on = false;
        int r = xeno_keep_next(n->db, n->self.key, kind, &op, NULL);

        assert_true(r >= 0);
        if (r == 0)
            return;
        q = request(n, op.path, op.body);
        if (ask(m, &q, &reply, &why) > 0) {
            on = apply(m, n, &op, reply, &why);
            if (reply && world_chance(&m->w, 50))
                keep_late(n, &op, reply);
        }
        xeno_keep_op_release(&op);
        if (!on)
            return;
    }
}

static int object_of(const struct month *m, const char *digest)
{
    for (int i = 0; i < OBJECTS; i++)
        if (strcmp(m->objects[i].digest, digest) == 0)
            return i;
    return -1;
}

static void answer_audit(struct month *m, struct node *n, const struct xeno_json_at *item)
{
    xeno_autofree struct xeno_store_answer *a = xeno_new0(struct xeno_store_answer);
    xeno_auto(xeno_blocktree) tree = NULL;
    xeno_auto(xeno_json) reply = NULL;
    xeno_autofree char *text = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    const char *digest = NULL, *certificate = NULL;
    struct sim_request q;
    struct xeno_hash root;
    int64_t size = 0;
    int i;

    assert_int_equal(xeno_json_int(item, "audit", 1, INT64_MAX, &a->audit, NULL), 0);
    assert_int_equal(xeno_json_int(item, "block", 0, 1000, &a->block, NULL), 0);
    assert_int_equal(xeno_json_str(item, "digest", 1, 100, &digest, NULL), 0);
    assert_int_equal(xeno_json_str(item, "certificate", 1, 100, &certificate, NULL), 0);
    i = object_of(m, digest);
    if (xeno_keep_object(n->db, certificate, digest, &size, NULL) < 0)
        return; /* it has ended meanwhile, or its binding is not known here yet */
    assert_int_equal(size, m->objects[i].size);
    if (n->lost[i] && world_dice(&m->w, 2))
        return;
    assert_int_equal(xeno_blocktree_new(size, a->block, &tree, NULL), 0);
    xeno_blocktree_add(tree, m->data[i], (size_t)size);
    assert_int_equal(xeno_blocktree_end(tree, &root, a, NULL), 0);
    a->bytes[0] ^= n->lost[i];
    snprintf(a->digest, sizeof a->digest, "%s", digest);
    snprintf(a->certificate, sizeof a->certificate, "%s", certificate);
    text = xeno_store_answer_sign(n->self.key, a);
    q = request(n, "/v1/audits/answers", text);
    if (ask(m, &q, &reply, &why) > 0 && reply) {
        struct xeno_json_at top = xeno_json_top(reply);
        const char *result = "";

        (void)xeno_json_str(&top, "result", 1, 16, &result, NULL);
        m->audits_passed += strcmp(result, "passed") == 0;
        m->audits_failed += strcmp(result, "passed") != 0;
    }
}

static void answer_audits(struct month *m, struct node *n)
{
    struct sim_request q = request(n, "/v1/audits", NULL);
    xeno_auto(xeno_json) list = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at top, all;
    size_t count = 0;

    if (ask(m, &q, &list, &why) <= 0 || !list)
        return;
    top = xeno_json_top(list);
    assert_int_equal(xeno_json_arr(&top, "audits", 100, &all, &count, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at item = xeno_json_item(&all, i);

        answer_audit(m, n, &item);
    }
}

static void node_step(struct month *m, struct node *n)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (world_ms(&m->w) < n->down_until_ms) {
        n->mono_ms = -1;
        return;
    }
    if (n->mono_ms < 0)
        node_start(m, n);
    assert_int_equal(xeno_db_begin(n->db, NULL), 0);
    if (!node_commit(m, n, xeno_keep_tick(n->db, INTERVAL, node_now(m, n), &err)))
        return;
    for (int kind = 0; kind < XENO_KEEP_KINDS; kind++)
        talk(m, n, (enum xeno_keep_kind)kind);
    answer_audits(m, n);
    if (n->late_reply && world_chance(&m->w, 200)) {
        (void)apply(m, n, &n->late, n->late_reply, &err);
        xeno_json_unref(xeno_take(&n->late_reply));
    }
}

/* --- what clients do --- */

/* Sign a certificate over some objects, and have it taken; twice now and then. */
static void give(struct month *m, struct cert *c, char *chain, int64_t life_ms)
{
    struct node *n = &m->nodes[c->node];
    struct sim_party *who = &m->clients[c->client];
    struct xeno_writecert doc = { .copies = 1, .issued = m->w.t.now, .count = c->count };
    xeno_autofree struct xeno_stored_object *objects =
        xeno_new0_n(struct xeno_stored_object, WORDS);
    xeno_autofree char *text = NULL, *shown = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    snprintf(doc.id, sizeof doc.id, "%s", c->id);
    for (size_t i = 0; i < c->count; i++)
        objects[i] = m->objects[c->objects[i]];
    doc.objects = objects;
    doc.expires = xeno_time_add(doc.issued, xeno_ms(life_ms));
    c->expires_ms = doc.expires.ns / XENO_NS_PER_MS;
    memcpy(doc.digest, objects[0].digest, sizeof doc.digest);
    assert_int_equal(xeno_writecert_sign(who->key, &doc, &text, NULL), 0);
    shown = sim_present(&m->corp, who, chain, &n->self.id, 0);
    for (int tries = 0; tries < 20; tries++) {
        int r;

        assert_int_equal(xeno_db_begin(n->db, NULL), 0);
        r = xeno_keep_add(n->db, &doc, text, shown, c->order, xeno_key_pub(who->key), &terms,
                          node_now(m, n), &err);
        if (r < 0)
            fail_msg("%s: %s", err.token, err.text);
        if (node_commit(m, n, r) && world_dice(&m->w, 10))
            return;
    }
}

static void write_one(struct month *m)
{
    struct cert *c = &m->certs[m->count];
    int64_t size = 0, life_ms = between(m, HOUR_MS, 12 * DAY_MS), more_ms = 600000;
    bool used[OBJECTS] = { false };
    char *chain;

    if (m->count == CERTS)
        return;
    *c = (struct cert){ .client = (int)world_dice(&m->w, CLIENTS),
                        .node = (int)world_dice(&m->w, NODES) };
    if (world_ms(&m->w) < m->nodes[c->node].down_until_ms)
        return;
    xeno_session_id_new(world_env(&m->w), c->id);
    for (int want = (int)between(m, 1, WORDS); want > 0; want--) {
        int i = (int)world_dice(&m->w, OBJECTS);

        if (used[i])
            continue;
        used[i] = true;
        c->objects[c->count++] = i;
        size += m->objects[i].size;
    }
    c->amount = xeno_stored_cost(size, PRICE, life_ms);
    if (world_dice(&m->w, 5) == 0) /* less money than time */
        c->amount = c->amount * between(m, 5, 90) / 100 + 1;
    else if (world_dice(&m->w, 8) == 0) /* an order that ends first */
        more_ms = -life_ms / 3;
    c->window_ms = world_ms(&m->w) + life_ms + more_ms;
    chain =
        sim_corp_order(&m->corp, &m->clients[c->client], c->amount, life_ms + more_ms, c->order);
    assert_non_null(chain);
    give(m, c, chain, life_ms);
    m->count++;
}

static void reclaim_one(struct month *m)
{
    struct cert *c = &m->certs[world_dice(&m->w, m->count)];
    struct node *n = &m->nodes[c->node];
    struct xeno_reclaim doc = { .time = m->w.t.now };
    xeno_autofree char *text = NULL;

    if (c->reclaimed_ms || world_ms(&m->w) < n->down_until_ms)
        return;
    snprintf(doc.certificate, sizeof doc.certificate, "%s", c->id);
    text = xeno_reclaim_sign(m->clients[c->client].key, &doc);
    for (int tries = 0; tries < 20; tries++) {
        xeno_autofree char *receipt = NULL;
        struct xeno_reclaim_receipt said;
        int64_t now = node_now(m, n);
        int r;

        assert_int_equal(xeno_db_begin(n->db, NULL), 0);
        r = xeno_keep_reclaim(n->db, n->self.key, c->id, text, now, &receipt, NULL);
        if (!node_commit(m, n, r) && r >= 0)
            continue; /* nobody heard: again */
        if (r < 0)
            return; /* not bound yet, or ended by itself */
        assert_int_equal(xeno_reclaim_receipt_read(receipt, strlen(receipt),
                                                   xeno_key_pub(n->self.key), &said, NULL),
                         0);
        c->reclaimed_ms = said.to.ns / XENO_NS_PER_MS;
        assert_int_equal(said.charged.micro + said.rest.micro, c->amount);
        return;
    }
}

static void close_one(struct month *m)
{
    struct cert *c = &m->certs[world_dice(&m->w, m->count)];

    if (c->closed)
        return;
    c->closed = true;
    sim_corp_close(&m->corp, &m->clients[c->client], c->order);
}

static void audit_one(struct month *m)
{
    struct cert *c = &m->certs[world_dice(&m->w, m->count)];
    struct xeno_challenge h;

    assert_int_equal(xeno_corp_begin(m->corp.corp, NULL), 0);
    (void)xeno_challenge_ask(m->corp.corp, m->clients[c->client].id.s, c->order, &h, NULL);
    assert_int_equal(xeno_corp_commit(m->corp.corp, NULL), 0);
}

static void mishap(struct month *m)
{
    struct node *n = &m->nodes[world_dice(&m->w, NODES)];

    switch (world_dice(&m->w, 12)) {
    case 0:
        n->down_until_ms = world_ms(&m->w) + between(m, HOUR_MS / 4, 2 * HOUR_MS);
        break;
    case 1:
        n->lost[world_dice(&m->w, OBJECTS)] = true;
        break;
    case 2:
        memset(n->lost, 0, sizeof n->lost); /* healed */
        break;
    case 3:
        n->skew_ms = between(m, -20000, 20000);
        break;
    case 4:
        m->corp.away = world_dice(&m->w, 3) == 0;
        break;
    default:
        m->corp.away = false;
    }
}

static void check(struct month *m)
{
    struct xeno_err err = XENO_ERR_INIT;

    for (int i = 0; i < NODES; i++)
        if (xeno_keep_check(m->nodes[i].db, &err) < 0)
            fail_msg("node %d: %s", i, err.text);
    if (m->w.failed)
        fail_msg("%s", m->w.failure);
}

static void live(struct month *m)
{
    int64_t until = world_ms(&m->w) + MONTH_MS;

    for (int step = 0; world_ms(&m->w) < until; step++) {
        world_run_ms(&m->w, between(m, 60000, 35 * 60000));
        sim_corp_tick(&m->corp);
        if (world_dice(&m->w, 5) == 0)
            write_one(m);
        if (m->count > 0 && world_dice(&m->w, 16) == 0)
            reclaim_one(m);
        if (m->count > 0 && world_dice(&m->w, 10) == 0)
            close_one(m);
        if (m->count > 0 && world_dice(&m->w, 25) == 0)
            audit_one(m);
        if (world_dice(&m->w, 12) == 0)
            mishap(m);
        for (int i = 0; i < NODES; i++)
            node_step(m, &m->nodes[i]);
        if (step % 40 == 0)
            check(m);
    }
}

/* Nobody does anything new; what was begun comes to its end. */
static void settle(struct month *m)
{
    m->corp.away = false;
    m->corp.check_each = 0; /* the end is checked below */
    for (int i = 0; i < NODES; i++) {
        m->nodes[i].down_until_ms = 0;
        m->nodes[i].skew_ms = 0;
    }
    for (size_t i = 0; i < m->count; i++)
        if (!m->certs[i].closed)
            sim_corp_close(&m->corp, &m->clients[m->certs[i].client], m->certs[i].order);
    for (int i = 0; i < 26 * 12; i++) {
        world_run_ms(&m->w, HOUR_MS);
        sim_corp_tick(&m->corp);
        for (int k = 0; k < NODES; k++)
            node_step(m, &m->nodes[k]);
    }
    check(m);
}

/* --- the bill, once more --- */

static void read_end(struct month *m, struct cert *c)
{
    xeno_autoquery q = XENO_QUERY_INIT;

    assert_int_equal(
        xeno_query_begin(m->nodes[c->node].db, &q,
                         "SELECT state, from_ms, at_ms, rank, charged, posted, refused,"
                         " why FROM kept WHERE id = $1",
                         NULL),
        0);
    xeno_query_text(&q, 1, c->id);
    assert_int_equal(xeno_query_step(&q, NULL), 1);
    if (xeno_query_col_int(&q, 0) != 3)
        fail_msg("certificate %s has not ended", c->id);
    c->from_ms = xeno_query_col_int(&q, 1);
    c->end_ms = xeno_query_col_int(&q, 2);
    c->rank = xeno_query_col_int(&q, 3);
    c->charged = xeno_query_col_int(&q, 4);
    c->posted = xeno_query_col_int(&q, 5);
    c->refused = xeno_query_col_int(&q, 6);
    snprintf(c->why, sizeof c->why, "%s", xeno_query_col_text(&q, 7));
}

static bool has(const struct cert *c, int object)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->objects[i] == object)
            return true;
    return false;
}

/* Does an older certificate of the same owner at the same node have it at that time? */
static bool paid_by_older(const struct month *m, const struct cert *c, int object, int64_t ms)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct cert *o = &m->certs[i];

        if (o != c && o->client == c->client && o->node == c->node && o->rank > 0 &&
            o->rank < c->rank && o->from_ms <= ms && ms < o->end_ms && has(o, object))
            return true;
    }
    return false;
}

/* Bytes times milliseconds that it pays for up to `end_ms`: each object from one of the times at
 * which anything changes to the next. */
static unsigned __int128 pays_for(const struct month *m, const struct cert *c, int64_t end_ms)
{
    unsigned __int128 sum = 0;

    for (size_t k = 0; k < c->count; k++) {
        int64_t at = c->from_ms;

        while (at < end_ms) {
            int64_t next = end_ms;

            for (size_t i = 0; i < m->count; i++) {
                const struct cert *o = &m->certs[i];

                if (o->from_ms > at && o->from_ms < next)
                    next = o->from_ms;
                if (o->end_ms > at && o->end_ms < next)
                    next = o->end_ms;
            }
            if (!paid_by_older(m, c, c->objects[k], at))
                sum += (unsigned __int128)m->objects[c->objects[k]].size *
                       (unsigned __int128)(next - at);
            at = next;
        }
    }
    return sum;
}

static int64_t price_of(unsigned __int128 byte_ms)
{
    return (int64_t)((byte_ms >> 20) * PRICE / ((unsigned __int128)1024 * DAY_MS));
}

static int64_t posted_at_corp(struct month *m, const struct cert *c)
{
    int64_t sum = 0;

    assert_int_equal(xeno_db_one_int(m->corp.db, 0, &sum, NULL,
                                     "SELECT sum(e.amount) FROM entry e JOIN session s"
                                     " ON s.n = e.session WHERE s.name = $1",
                                     "t", c->id),
                     0);
    return sum;
}

enum end { NEVER_BOUND, EXPIRED, SPENT, RECLAIMED, UNPAID, ENDS };

static enum end check_bill(struct month *m, const struct cert *c)
{
    int64_t last = c->expires_ms < c->window_ms ? c->expires_ms : c->window_ms;
    unsigned __int128 byte_ms = pays_for(m, c, c->end_ms);
    int64_t cost = price_of(byte_ms);

    assert_int_equal(posted_at_corp(m, c), c->posted);
    assert_int_equal(c->charged, c->posted + c->refused);
    assert_true(c->charged <= c->amount);
    if (c->rank == 0) {
        assert_int_equal(c->charged, 0);
        return NEVER_BOUND;
    }
    if (strncmp(c->why, "charge.", 7) == 0) {
        assert_true(c->posted <= cost);
        return UNPAID;
    }
    if (cost != c->charged)
        fail_msg("%s, %s: charged %lld, and comes to %lld", c->id, c->why, (long long)c->charged,
                 (long long)cost);
    if (strcmp(c->why, "reclaimed") == 0) {
        assert_true(c->reclaimed_ms == 0 || c->end_ms == c->reclaimed_ms);
        assert_true(c->end_ms <= last);
        return RECLAIMED;
    }
    if (strcmp(c->why, "expired") == 0) {
        assert_int_equal(c->end_ms, last > c->from_ms ? last : c->from_ms);
        return EXPIRED;
    }
    /* One millisecond more would have been too much. */
    assert_string_equal(c->why, "spent");
    assert_true(c->end_ms < last);
    assert_true(price_of(pays_for(m, c, c->end_ms + 1)) > c->amount);
    return SPENT;
}

static void check_accounts(struct month *m, int64_t funded)
{
    struct xeno_account_view v;
    int64_t posted[CLIENTS] = { 0 };

    for (size_t i = 0; i < m->count; i++)
        posted[m->certs[i].client] += m->certs[i].posted;
    assert_int_equal(xeno_corp_begin(m->corp.corp, NULL), 0);
    for (int i = 0; i < CLIENTS; i++) {
        assert_int_equal(xeno_ledger_account(m->corp.corp, m->clients[i].id.s, &v, NULL), 0);
        assert_int_equal(v.held.micro, 0);
        assert_int_equal(v.free.micro, funded - posted[i]);
    }
    assert_int_equal(xeno_corp_commit(m->corp.corp, NULL), 0);
}

/* --- the month --- */

static void set_up(struct month *m, uint64_t seed, int64_t funded)
{
    static const struct sim_faults faults = { .corp_crash = 10 };

    memset(m, 0, sizeof *m);
    world_init(&m->w, seed, &faults);
    sim_corp_open(&m->corp, &m->w);
    m->corp.check_each = 2000;
    for (int i = 0; i < CLIENTS; i++) {
        sim_corp_join(&m->corp, XENO_ROLE_CLIENT, &m->clients[i]);
        sim_corp_fund(&m->corp, &m->clients[i], funded);
    }
    for (int i = 0; i < NODES; i++) {
        sim_corp_join(&m->corp, XENO_ROLE_NODE, &m->nodes[i].self);
        assert_int_equal(xeno_db_open("sqlite::memory:", &m->nodes[i].db, NULL), 0);
        assert_int_equal(xeno_keep_open(m->nodes[i].db, NULL), 0);
        node_start(m, &m->nodes[i]);
    }
    for (int i = 0; i < OBJECTS; i++) {
        xeno_auto(xeno_blocktree) tree = NULL;
        struct xeno_stored_object *o = &m->objects[i];
        uint8_t sha[32];

        o->size = between(m, 1, BYTES);
        m->data[i] = xeno_alloc0(1, BYTES);
        for (int64_t k = 0; k < o->size; k++)
            m->data[i][k] = (uint8_t)(k * (i + 3) + k / 251 + i);
        xeno_sha256_of(m->data[i], (size_t)o->size, sha);
        xeno_digest_text(sha, o->digest);
        assert_int_equal(xeno_blocktree_new(o->size, -1, &tree, NULL), 0);
        xeno_blocktree_add(tree, m->data[i], (size_t)o->size);
        assert_int_equal(xeno_blocktree_end(tree, &o->root, NULL, NULL), 0);
    }
}

static void tear_down(struct month *m)
{
    for (int i = 0; i < OBJECTS; i++)
        free(m->data[i]);
    for (int i = 0; i < NODES; i++) {
        xeno_json_unref(m->nodes[i].late_reply);
        xeno_db_free(m->nodes[i].db);
        xeno_key_free(m->nodes[i].self.key);
    }
    for (int i = 0; i < CLIENTS; i++)
        xeno_key_free(m->clients[i].key);
    sim_corp_release(&m->corp);
    world_release(&m->w);
}

static void a_month(void **state)
{
    static const uint64_t seeds[] = { 7 };
    static struct month m;
    const int64_t funded = INT64_C(100000) * XENO_CREDIT;

    (void)state;
    for (size_t s = 0; s < XENO_LEN(seeds); s++) {
        int64_t ends[ENDS] = { 0 }, charged = 0;
        struct xeno_err err = XENO_ERR_INIT;

        set_up(&m, seeds[s], funded);
        live(&m);
        settle(&m);
        for (size_t i = 0; i < m.count; i++)
            read_end(&m, &m.certs[i]);
        for (size_t i = 0; i < m.count; i++) {
            ends[check_bill(&m, &m.certs[i])]++;
            charged += m.certs[i].posted;
        }
        check_accounts(&m, funded);
        if (xeno_ledger_check(m.corp.db, &err) < 0)
            fail_msg("%s", err.text);
        print_message(
            "seed %llu: %zu certificates, %lld never bound, %lld expired, %lld spent, %lld"
            " reclaimed, %lld unpaid; %lld micro-credits; %lld deaths of nodes, %lld of"
            " XenoCorp, %lld messages lost, %lld audits passed, %lld not\n",
            (unsigned long long)seeds[s], m.count, (long long)ends[NEVER_BOUND],
            (long long)ends[EXPIRED], (long long)ends[SPENT], (long long)ends[RECLAIMED],
            (long long)ends[UNPAID], (long long)charged, (long long)m.crashes,
            (long long)m.corp.crashes, (long long)m.lost_messages, (long long)m.audits_passed,
            (long long)m.audits_failed);
        for (int i = EXPIRED; i < ENDS; i++)
            assert_true(ends[i] > 0); /* each kind was there */
        tear_down(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_month) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
