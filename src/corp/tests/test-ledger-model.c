/* src/corp/tests/test-ledger-model.c - random operations against a simple reference.
 *
 * The reference keeps orders in a plain array and knows the rules of ledger.h, nothing else. After
 * every step the answer and every balance must be the same, and every invariant must hold. A seed
 * that ever failed becomes a row of `seeds`.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "corp/tests/fixture.h"

#define CLIENTS 3
#define SERVERS 2
#define ORDERS  12
#define SLOTS   4 /* sessions of a server */
#define SEQS    64
#define STEPS   350

enum { OPEN, CLOSING, CLOSED, EXPIRED };

struct m_order {
    char id[XENO_ORDER_ID_CHARS + 1];
    char *chain;
    int client, state, server, slot; /* server -1: not bound */
    int64_t amount, charged, held, fees, epoch, expires_ms, deadline_ms;
    bool had[SERVERS][SLOTS]; /* ever bound to */
};

struct m_session {
    int64_t amount[SEQS]; /* posted; -1: not */
    int order[SEQS];
};

struct model {
    struct fixture f;
    struct fixture_party clients[CLIENTS], servers[SERVERS];
    int64_t free[CLIENTS], earned[SERVERS], issued, fees;
    struct m_order orders[ORDERS];
    int count;
    struct m_session sessions[SERVERS][SLOTS];
};

static uint64_t pick(struct model *m, uint64_t below)
{
    return xeno_env_test_next(&m->f.env) % below;
}

static int64_t now_ms(const struct model *m)
{
    return m->f.env.now.ns / XENO_NS_PER_MS;
}

static const char *session_name(int server, int slot)
{
    static const char *const names[SERVERS][SLOTS] = {
        { "aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaab", "shared2222222222", "aaaaaaaaaaaaaaad" },
        { "bbbbbbbbbbbbbbba", "bbbbbbbbbbbbbbbb", "shared2222222222", "bbbbbbbbbbbbbbbd" },
    };

    return names[server][slot];
}

static void open_model(struct model *m, uint64_t seed)
{
    memset(m, 0, sizeof *m);
    fixture_open(&m->f, seed);
    for (int i = 0; i < CLIENTS; i++)
        fixture_join(&m->f, XENO_ROLE_CLIENT, &m->clients[i]);
    for (int i = 0; i < SERVERS; i++)
        fixture_join(&m->f, XENO_ROLE_SERVER, &m->servers[i]);
    for (int s = 0; s < SERVERS; s++)
        for (int k = 0; k < SLOTS; k++)
            for (int q = 0; q < SEQS; q++)
                m->sessions[s][k].amount[q] = -1;
}

static void close_model(struct model *m)
{
    for (int i = 0; i < m->count; i++)
        free(m->orders[i].chain);
    for (int i = 0; i < CLIENTS; i++)
        fixture_party_release(&m->clients[i]);
    for (int i = 0; i < SERVERS; i++)
        fixture_party_release(&m->servers[i]);
    fixture_close(&m->f);
}

/* --- the reference --- */

static void m_end(struct model *m, struct m_order *o, int state)
{
    m->free[o->client] += o->held;
    o->held = 0;
    o->state = state;
}

static void m_unbind(struct model *m, struct m_order *o)
{
    o->server = -1;
    if (o->state == CLOSING)
        m_end(m, o, CLOSED);
    else if (now_ms(m) >= o->expires_ms)
        m_end(m, o, EXPIRED);
}

static void m_tick(struct model *m)
{
    for (int i = 0; i < m->count; i++) {
        struct m_order *o = &m->orders[i];

        if (o->state >= CLOSED || now_ms(m) < o->expires_ms)
            continue;
        if (o->server < 0)
            m_end(m, o, EXPIRED);
        else if (now_ms(m) >= o->deadline_ms)
            m_unbind(m, o);
    }
}

/* "" when it is posted, "again" when it was, else the reason. */
static const char *m_charge(struct model *m, int server, int slot, int order, int64_t epoch,
                            int seq, int64_t amount, bool final)
{
    struct m_order *o = &m->orders[order];
    struct m_session *s = &m->sessions[server][slot];
    bool known = false;
    int64_t fee;

    for (int i = 0; i < m->count; i++)
        known |= m->orders[i].had[server][slot];
    if (!known)
        return "charge.server";
    if (s->amount[seq] >= 0)
        return s->amount[seq] == amount && s->order[seq] == order ? "again" : "charge.mismatch";
    if (o->server != server || o->slot != slot)
        return o->had[server][slot] ? "charge.closed" : "charge.server";
    if (epoch != o->epoch)
        return "charge.epoch";
    if (now_ms(m) >= o->deadline_ms)
        return "charge.closed";
    if (now_ms(m) > o->expires_ms + 60000)
        return "charge.window";
    if (amount > o->held)
        return "charge.limit";
    fee = (o->charged + amount) * 5 / 100 - o->fees;
    o->charged += amount;
    o->held -= amount;
    o->fees += fee;
    m->fees += fee;
    m->earned[server] += amount - fee;
    s->amount[seq] = amount;
    s->order[seq] = order;
    if (final)
        m_unbind(m, o);
    return "";
}

/* --- one random step on both --- */

static void step_fund(struct model *m)
{
    int c = (int)pick(m, CLIENTS);
    int64_t amount = 1 + (int64_t)pick(m, 5000);

    fixture_fund(&m->f, &m->clients[c], amount);
    m->free[c] += amount;
    m->issued -= amount;
}

static void step_order(struct model *m)
{
    int c = (int)pick(m, CLIENTS);
    int64_t amount = 1 + (int64_t)pick(m, 2000);
    struct xeno_order_ask ask = {
        .amount = xeno_micro(amount),
        .expires = xeno_time_add(m->f.env.now, xeno_s(10 + (int64_t)pick(m, 7200))),
    };
    struct m_order *o = &m->orders[m->count];
    struct xeno_order_view v;
    char *chain = NULL;
    int r;

    if (m->count == ORDERS)
        return;
    r = IN_GROUP(&m->f, xeno_order_create(m->f.corp, m->clients[c].id.s, &ask, &v, &chain, NULL));
    assert_int_equal(r, amount > m->free[c] ? -EDQUOT : 0);
    if (r < 0)
        return;
    memset(o, 0, sizeof *o);
    memcpy(o->id, v.order, sizeof o->id);
    o->chain = chain;
    o->client = c;
    o->server = -1;
    o->amount = o->held = amount;
    o->expires_ms = v.expires_ms;
    o->deadline_ms = v.deadline_ms;
    m->free[c] -= amount;
    m->count++;
}

static void step_validate(struct model *m)
{
    int server = (int)pick(m, SERVERS), slot = (int)pick(m, SLOTS), want = 0;
    struct m_order *o = &m->orders[pick(m, (uint64_t)m->count)];
    int64_t epoch = (int64_t)pick(m, 2) ? 0 : o->epoch + (int64_t)pick(m, 3);
    bool bindable = o->state == OPEN && now_ms(m) < o->expires_ms;
    bool fresh = false;
    struct xeno_bound b = { .epoch = -1 };
    int r;

    if (now_ms(m) >= o->expires_ms) {
        want = -EPERM; /* the chain itself says so, before the books are asked */
    } else if (o->server >= 0) {
        if (o->server != server || o->slot != slot)
            want = -EBUSY;
        else if (epoch != 0 && epoch != o->epoch && epoch != o->epoch + 1)
            want = -EALREADY;
        else if (epoch == o->epoch + 1)
            fresh = true;
    } else {
        fresh = true;
    }
    if (fresh && !bindable)
        want = -EPERM;
    else if (fresh && o->held == 0)
        want = -EDQUOT;
    else if (fresh && o->server < 0 && epoch != o->epoch + 1 &&
             (epoch != 0 || o->had[server][slot]))
        want = -EALREADY;
    r = fixture_validate(&m->f, &m->servers[server], &m->clients[o->client], o->chain,
                         session_name(server, slot), epoch, &b, NULL);
    assert_int_equal(r, want);
    if (r < 0)
        return;
    if (fresh)
        o->epoch++;
    o->server = server;
    o->slot = slot;
    o->had[server][slot] = true;
    assert_int_equal(b.epoch, o->epoch);
    assert_int_equal(b.left.micro, o->held);
    assert_int_equal(b.charged.micro, o->charged);
}

static void step_release(struct model *m)
{
    int server = (int)pick(m, SERVERS), slot = (int)pick(m, SLOTS);
    struct m_order *o = &m->orders[pick(m, (uint64_t)m->count)];
    int r = IN_GROUP(&m->f, xeno_validate_release(m->f.corp, m->servers[server].id.s, o->id,
                                                  session_name(server, slot), NULL));

    assert_int_equal(r, o->had[server][slot] ? 0 : -EPERM);
    if (o->server == server && o->slot == slot)
        m_unbind(m, o);
}

static void step_close(struct model *m)
{
    static const char *const words[] = { "open", "closing", "closed", "expired" };
    struct m_order *o = &m->orders[pick(m, (uint64_t)m->count)];
    struct xeno_order_view v;

    assert_int_equal(
        IN_GROUP(&m->f, xeno_order_close(m->f.corp, m->clients[o->client].id.s, o->id, &v, NULL)),
        0);
    if (o->state == OPEN && o->server >= 0)
        o->state = CLOSING;
    else if (o->state == OPEN)
        m_end(m, o, CLOSED);
    assert_string_equal(v.state, words[o->state]);
}

/* A batch of one to five, mostly where they belong. */
static void step_charge(struct model *m)
{
    struct xeno_charge_results r = { 0 };
    struct xeno_charge c[5];
    size_t count = 1 + pick(m, XENO_LEN(c));
    const char *want[XENO_LEN(c)];
    int server = (int)pick(m, SERVERS);

    for (size_t i = 0; i < count; i++) {
        int order = (int)pick(m, (uint64_t)m->count);
        const struct m_order *o = &m->orders[order];
        bool astray = o->server != server || pick(m, 8) == 0;
        int slot = astray ? (int)pick(m, SLOTS) : o->slot;
        int64_t epoch = pick(m, 8) ? (o->epoch ? o->epoch : 1) : 1 + (int64_t)pick(m, 3);
        int64_t amount = (int64_t)pick(m, pick(m, 10) ? 50 : 3000);
        int seq = 1 + (int)pick(m, SEQS - 1);

        c[i] = fixture_charge(&m->f, o->id, session_name(server, slot), epoch, seq, amount);
        c[i].from = c[i].to = m->f.env.now;
        c[i].final = pick(m, 10) == 0;
        /* the same (session, seq, amount) at another time would be another charge */
        if (m->sessions[server][slot].amount[seq] >= 0)
            c[i].tariff = 2;
        want[i] = m_charge(m, server, slot, order, epoch, seq, amount, c[i].final);
        if (strcmp(want[i], "again") == 0)
            want[i] = "charge.mismatch";
    }
    assert_int_equal(fixture_post(&m->f, &m->servers[server], c, count, &r, NULL), 0);
    for (size_t i = 0; i < count; i++) {
        const char *got = r.items[i].token ? r.items[i].token : "";

        assert_string_equal(got, want[i]);
    }
    xeno_charge_results_release(&r);
    /* sent again, since the answer was lost: nothing changes */
    assert_int_equal(fixture_post(&m->f, &m->servers[server], c, count, &r, NULL), 0);
    assert_int_equal(r.posted, 0);
    xeno_charge_results_release(&r);
}

static void step_wait(struct model *m)
{
    static const int64_t waits_ms[] = { 1, 1000, 60000, 600000, 3600000, 30000000 };

    fixture_wait(&m->f, waits_ms[pick(m, XENO_LEN(waits_ms))]);
    if (pick(m, 3) == 0)
        return; /* the tick is late */
    assert_int_equal(IN_GROUP(&m->f, xeno_corp_tick(m->f.corp, 1000, NULL)), 0);
    m_tick(m);
}

/* Forget what is in memory: the rows must say the same. */
static void step_restart(struct model *m)
{
    xeno_corp_free(m->f.corp);
    assert_int_equal(xeno_corp_open(m->f.db, &m->f.env.env, m->f.ca, m->f.ca_pem, &m->f.policy,
                                    &m->f.corp, NULL),
                     0);
}

static void compare(struct model *m)
{
    struct xeno_ledger_totals t;
    int64_t held[CLIENTS] = { 0 };

    for (int i = 0; i < m->count; i++)
        held[m->orders[i].client] += m->orders[i].held;
    for (int i = 0; i < CLIENTS; i++) {
        struct xeno_account_view a = fixture_account(&m->f, &m->clients[i]);

        assert_int_equal(a.free.micro, m->free[i]);
        assert_int_equal(a.held.micro, held[i]);
    }
    for (int i = 0; i < SERVERS; i++)
        assert_int_equal(fixture_account(&m->f, &m->servers[i]).earned.micro, m->earned[i]);
    assert_int_equal(IN_GROUP(&m->f, xeno_ledger_totals(m->f.corp, &t, NULL)), 0);
    assert_int_equal(t.issued.micro, m->issued);
    assert_int_equal(t.fees.micro, m->fees);
    assert_int_equal(t.sum.micro, 0);
    assert_balanced(&m->f);
}

static void run(uint64_t seed)
{
    static void (*const steps[])(struct model *) = {
        step_validate, step_release,  step_close,   step_charge, step_charge,
        step_charge,   step_charge,   step_wait,    step_fund,   step_order,
        step_validate, step_validate, step_restart,
    };
    struct model m;

    print_message("# seed %llu\n", (unsigned long long)seed);
    open_model(&m, seed);
    step_fund(&m);
    for (int i = 0; i < STEPS; i++) {
        if (m.count == 0)
            step_order(&m);
        else
            steps[pick(&m, XENO_LEN(steps))](&m);
        compare(&m);
    }
    close_model(&m);
}

static void random_walks(void **state)
{
    static const uint64_t seeds[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    const char *more = getenv("XENO_MODEL_SEED"); /* to hunt by hand */

    (void)state;
    for (size_t i = 0; i < XENO_LEN(seeds); i++)
        run(seeds[i]);
    if (more)
        run(strtoull(more, NULL, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_walks) };

    return cmocka_run_group_tests_name("ledger-model", tests, NULL, NULL);
}
