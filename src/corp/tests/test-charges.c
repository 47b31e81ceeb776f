/* src/corp/tests/test-charges.c - validating, charging, closing: tables of what is taken and not.
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

#define S1         "aaaaaaaaaaaaaaaa"
#define S2         "bbbbbbbbbbbbbbbb"
#define CREDITS(n) ((n)*XENO_CREDIT)

struct world {
    struct fixture f;
    struct fixture_party client, server, other;
    char order[XENO_ORDER_ID_CHARS + 1];
    char *chain;
};

static void world_open(struct world *w, int64_t amount)
{
    fixture_open(&w->f, 1);
    fixture_join(&w->f, XENO_ROLE_CLIENT, &w->client);
    fixture_join(&w->f, XENO_ROLE_SERVER, &w->server);
    fixture_join(&w->f, XENO_ROLE_SERVER, &w->other);
    fixture_fund(&w->f, &w->client, CREDITS(100));
    w->chain = fixture_order(&w->f, &w->client, amount, w->order);
}

static void world_close(struct world *w)
{
    assert_balanced(&w->f);
    free(w->chain);
    fixture_party_release(&w->client);
    fixture_party_release(&w->server);
    fixture_party_release(&w->other);
    fixture_close(&w->f);
}

/* Restrict the world's chain as its client. */
static void narrow(struct world *w, const struct xeno_order_restriction *r)
{
    char *longer = NULL;

    assert_int_equal(xeno_order_append(w->chain, strlen(w->chain), xeno_corp_pub(w->f.corp),
                                       w->client.key, r, NULL, &longer, NULL),
                     0);
    free(w->chain);
    w->chain = longer;
}

static void bind(struct world *w)
{
    struct xeno_bound b;

    assert_int_equal(fixture_validate(&w->f, &w->server, &w->client, w->chain, S1, 0, &b, NULL), 0);
    assert_int_equal(b.epoch, 1);
}

/* Post one charge as `server`. Returns its status, with the token. */
static enum xeno_charge_status post_as(struct world *w, const struct fixture_party *server,
                                       const struct xeno_charge *c, char token[64])
{
    struct xeno_charge_results r = { 0 };
    enum xeno_charge_status status;

    assert_int_equal(fixture_post(&w->f, server, c, 1, &r, NULL), 0);
    status = r.items[0].status;
    snprintf(token, 64, "%s", r.items[0].token ? r.items[0].token : "");
    xeno_charge_results_release(&r);
    assert_balanced(&w->f);
    return status;
}

static void a_walk_through_the_books(void **state)
{
    struct world w;
    struct xeno_account_view v;
    struct xeno_order_view o;
    struct xeno_charge c;
    char token[64];

    (void)state;
    world_open(&w, CREDITS(10));
    v = fixture_account(&w.f, &w.client);
    assert_int_equal(v.free.micro, CREDITS(90));
    assert_int_equal(v.held.micro, CREDITS(10));
    bind(&w);
    c = fixture_charge(&w.f, w.order, S1, 1, 1, CREDITS(2) + 1);
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_REPEATED);
    v = fixture_account(&w.f, &w.server);
    assert_int_equal(v.earned.micro, CREDITS(2) + 1 - 100000); /* 5 %, rounded down */
    assert_int_equal(IN_GROUP(&w.f, xeno_order_close(w.f.corp, w.client.id.s, w.order, &o, NULL)),
                     0);
    assert_string_equal(o.state, "closing");
    c = fixture_charge(&w.f, w.order, S1, 1, 2, CREDITS(1));
    c.final = true;
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_REPEATED);
    assert_int_equal(
        IN_GROUP(&w.f, xeno_order_get(w.f.corp, w.client.id.s, w.order, &o, NULL, NULL)), 0);
    assert_string_equal(o.state, "closed");
    v = fixture_account(&w.f, &w.client);
    assert_int_equal(v.free.micro, CREDITS(97) - 1);
    assert_int_equal(v.held.micro, 0);
    world_close(&w);
}

/* --- what a charge is refused for --- */

static void no_change(struct world *w, struct xeno_charge *c)
{
    (void)w;
    (void)c;
}
static void unknown_order(struct world *w, struct xeno_charge *c)
{
    (void)w;
    memset(c->order, 'z', XENO_ORDER_ID_CHARS);
}
static void unknown_session(struct world *w, struct xeno_charge *c)
{
    (void)w;
    strcpy(c->session, S2);
}
static void old_epoch(struct world *w, struct xeno_charge *c)
{
    struct xeno_bound b;

    (void)c;
    assert_int_equal(fixture_validate(&w->f, &w->server, &w->client, w->chain, S1, 2, &b, NULL), 0);
    assert_int_equal(b.epoch, 2);
}
static void new_epoch(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->epoch = 2;
}
static void released(struct world *w, struct xeno_charge *c)
{
    (void)c;
    assert_int_equal(
        IN_GROUP(&w->f, xeno_validate_release(w->f.corp, w->server.id.s, w->order, S1, NULL)), 0);
}
static void over_limit(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->amount.micro = c->items[0].amount.micro = CREDITS(8) + 1;
}
static void at_limit(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->amount.micro = c->items[0].amount.micro = CREDITS(8);
}
static void zero(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->amount.micro = c->items[0].amount.micro = 0;
}
static void in_future(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->to = xeno_time_add(c->to, xeno_ms(60001));
}
static void near_future(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->to = xeno_time_add(c->to, xeno_ms(60000));
}
static void before_binding(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->from = xeno_time_add(c->from, xeno_ms(-60001));
}
static void taken_seq(struct world *w, struct xeno_charge *c)
{
    char token[64];
    struct xeno_charge first = *c;

    first.amount.micro = first.items[0].amount.micro = 5;
    assert_int_equal(post_as(w, &w->server, &first, token), XENO_CHARGE_POSTED);
}
static void after_expiry(struct world *w, struct xeno_charge *c)
{
    fixture_wait(&w->f, 3700 * 1000);
    c->from = xeno_time_add(c->from, xeno_ms(3600 * 1000));
    c->to = xeno_time_add(c->to, xeno_ms(3600 * 1000 + 60001));
}
static void late_for_early_work(struct world *w, struct xeno_charge *c)
{
    (void)c;
    fixture_wait(&w->f, (3600 + 24 * 3600) * INT64_C(1000) - 1);
}
static void past_deadline(struct world *w, struct xeno_charge *c)
{
    (void)c;
    fixture_wait(&w->f, (3600 + 24 * 3600) * INT64_C(1000));
}
static void past_deadline_ticked(struct world *w, struct xeno_charge *c)
{
    past_deadline(w, c);
    assert_int_equal(IN_GROUP(&w->f, xeno_corp_tick(w->f.corp, 100, NULL)), 0);
}
static void too_fast(struct world *w, struct xeno_charge *c)
{
    (void)w; /* 60 s of slack at 60 credits an hour */
    c->amount.micro = c->items[0].amount.micro = CREDITS(1) + 1;
}
static void just_fast_enough(struct world *w, struct xeno_charge *c)
{
    (void)w;
    c->amount.micro = c->items[0].amount.micro = CREDITS(1);
}

static const struct {
    const char *name;
    bool rate;  /* the chain allows 60 credits an hour */
    bool other; /* sent by another server */
    void (*change)(struct world *w, struct xeno_charge *c);
    const char *want; /* token, "" posted */
} charge_rows[] = {
    { "good", false, false, no_change, "" },
    { "of zero", false, false, zero, "" },
    { "no such order", false, false, unknown_order, "charge.order" },
    { "never bound to that session", false, false, unknown_session, "charge.server" },
    { "by another server", false, true, no_change, "charge.server" },
    { "an old epoch", false, false, old_epoch, "charge.epoch" },
    { "a future epoch", false, false, new_epoch, "charge.epoch" },
    { "after release", false, false, released, "charge.closed" },
    { "all that the chain allows", false, false, at_limit, "" },
    { "one above what the chain allows", false, false, over_limit, "charge.limit" },
    { "too far in the future", false, false, in_future, "charge.window" },
    { "a clock that is a little ahead", false, false, near_future, "" },
    { "work before the binding", false, false, before_binding, "charge.window" },
    { "another charge has its number", false, false, taken_seq, "charge.mismatch" },
    { "work after expiry", false, false, after_expiry, "charge.window" },
    { "delivered late, for work in time", false, false, late_for_early_work, "" },
    { "at the deadline", false, false, past_deadline, "charge.closed" },
    { "after the deadline's tick", false, false, past_deadline_ticked, "charge.closed" },
    { "above the rate", true, false, too_fast, "charge.rate" },
    { "at the rate", true, false, just_fast_enough, "" },
};

static void charges_one_by_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(charge_rows); i++) {
        struct xeno_order_restriction r = { .max_total = xeno_micro(CREDITS(8)) };
        struct xeno_charge c;
        struct world w;
        char token[64];

        print_message("# %s\n", charge_rows[i].name);
        world_open(&w, CREDITS(10));
        if (charge_rows[i].rate)
            r.max_rate = xeno_micro(CREDITS(60));
        narrow(&w, &r);
        bind(&w);
        c = fixture_charge(&w.f, w.order, S1, 1, 1, 1000);
        charge_rows[i].change(&w, &c);
        assert_int_equal(post_as(&w, charge_rows[i].other ? &w.other : &w.server, &c, token),
                         *charge_rows[i].want ? XENO_CHARGE_REFUSED : XENO_CHARGE_POSTED);
        assert_string_equal(token, charge_rows[i].want);
        world_close(&w);
    }
}

static void one_bad_entry_spoils_no_other(void **state)
{
    struct xeno_charge_results r = { 0 };
    struct xeno_charge c[5];
    struct world w;

    (void)state;
    world_open(&w, CREDITS(10));
    bind(&w);
    for (size_t i = 0; i < 5; i++)
        c[i] = fixture_charge(&w.f, w.order, S1, 1, (int64_t)i + 1, CREDITS(1));
    c[1].amount.micro = c[1].items[0].amount.micro = CREDITS(11);
    c[3] = c[2];
    assert_int_equal(fixture_post(&w.f, &w.server, c, 5, &r, NULL), 0);
    assert_int_equal(r.posted, 3);
    assert_int_equal(r.repeated, 1);
    assert_int_equal(r.refused, 1);
    assert_int_equal(r.micro, CREDITS(3));
    assert_int_equal(r.items[0].status, XENO_CHARGE_POSTED);
    assert_string_equal(r.items[1].token, "charge.limit");
    assert_int_equal(r.items[3].status, XENO_CHARGE_REPEATED);
    assert_int_equal(r.items[4].status, XENO_CHARGE_POSTED);
    xeno_charge_results_release(&r);
    /* the refused one, made smaller, fits into its gap */
    c[1] = fixture_charge(&w.f, w.order, S1, 1, 2, 1);
    assert_int_equal(fixture_post(&w.f, &w.server, c, 5, &r, NULL), 0);
    assert_int_equal(r.posted, 1);
    assert_int_equal(r.repeated, 4);
    xeno_charge_results_release(&r);
    world_close(&w);
}

/* However a sum is cut into charges, XenoCorp's part is the same. */
static void fees_do_not_drift(void **state)
{
    struct xeno_charge_results r = { 0 };
    struct xeno_charge c[100];
    struct world w;
    struct xeno_ledger_totals t;

    (void)state;
    world_open(&w, CREDITS(10));
    bind(&w);
    for (size_t i = 0; i < 100; i++)
        c[i] = fixture_charge(&w.f, w.order, S1, 1, (int64_t)i + 1, 7);
    assert_int_equal(fixture_post(&w.f, &w.server, c, 100, &r, NULL), 0);
    assert_int_equal(r.posted, 100);
    xeno_charge_results_release(&r);
    assert_int_equal(IN_GROUP(&w.f, xeno_ledger_totals(w.f.corp, &t, NULL)), 0);
    assert_int_equal(t.fees.micro, 35);
    assert_int_equal(t.earned.micro, 665);
    assert_int_equal(t.sum.micro, 0);
    assert_int_equal(t.charges, 100);
    world_close(&w);
}

/* --- binding --- */

/* All that is said; between the texts and the numbers there may be anything. */
static void assert_same_bound(const struct xeno_bound *a, const struct xeno_bound *b)
{
    assert_string_equal(a->order, b->order);
    assert_string_equal(a->session, b->session);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->limit.micro, b->limit.micro);
    assert_int_equal(a->charged.micro, b->charged.micro);
    assert_int_equal(a->left.micro, b->left.micro);
    assert_int_equal(a->expires_ms, b->expires_ms);
    assert_int_equal(a->deadline_ms, b->deadline_ms);
    assert_int_equal(a->copy, b->copy);
}

static void bindings_exclude_each_other(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_bound b, again;
    struct xeno_charge c;
    struct world w;
    char token[64];

    (void)state;
    world_open(&w, CREDITS(10));
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S1, 0, &b, NULL), 0);
    assert_int_equal(b.epoch, 1);
    assert_int_equal(b.left.micro, CREDITS(10));
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S1, 0, &again, NULL), 0);
    assert_same_bound(&b, &again);
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S1, 1, &again, NULL), 0);
    assert_same_bound(&b, &again);
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S2, 0, &b, &err),
                     -EBUSY);
    assert_string_equal(err.token, "order.bound");
    assert_int_equal(fixture_validate(&w.f, &w.other, &w.client, w.chain, S1, 0, &b, &err), -EBUSY);
    assert_string_equal(err.token, "order.bound");
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S1, 3, &b, &err),
                     -EALREADY);
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.other, w.chain, S1, 0, &b, &err), -EPERM);
    assert_string_equal(err.token, "order.holder");

    c = fixture_charge(&w.f, w.order, S1, 1, 1, CREDITS(4));
    c.final = true;
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    /* the first question, delayed until now, binds nothing */
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S1, 0, &b, &err),
                     -EALREADY);
    assert_string_equal(err.token, "order.epoch");
    assert_int_equal(fixture_validate(&w.f, &w.other, &w.client, w.chain, S1, 0, &b, NULL), 0);
    assert_int_equal(b.epoch, 2);
    assert_int_equal(b.left.micro, CREDITS(6));
    assert_int_equal(
        IN_GROUP(&w.f, xeno_validate_release(w.f.corp, w.server.id.s, w.order, S1, NULL)),
        0); /* its own has ended: no effect on the other's */
    c = fixture_charge(&w.f, w.order, S1, 2, 1, CREDITS(6));
    assert_int_equal(post_as(&w, &w.other, &c, token), XENO_CHARGE_POSTED);
    assert_int_equal(
        IN_GROUP(&w.f, xeno_validate_release(w.f.corp, w.other.id.s, w.order, S1, NULL)), 0);
    assert_int_equal(
        IN_GROUP(&w.f, xeno_validate_release(w.f.corp, w.other.id.s, w.order, S2, NULL)), -EPERM);
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S2, 0, &b, &err),
                     -EDQUOT);
    assert_string_equal(err.token, "order.spent");
    world_close(&w);
}

/* Ask as a XenoServer may that says what it likes: the first `len` bytes of a chain it was shown.
 */
static int ask_with(struct world *w, const struct fixture_party *server, const char *chain,
                    size_t len, const char *session, int64_t epoch, struct xeno_err *err)
{
    xeno_auto(xeno_validation) v = NULL;
    struct xeno_validate_ask ask = { .chain = chain,
                                     .chain_len = len,
                                     .server = server->id.s,
                                     .session = session,
                                     .epoch = epoch,
                                     .env_type = "Linux",
                                     .holder = *xeno_key_pub(w->client.key) };
    struct xeno_bound b;
    int r = xeno_validate_check(xeno_corp_pub(w->f.corp), w->f.env.now, &ask, &v, err);

    return r < 0 ? r : IN_GROUP(&w->f, xeno_validate_apply(w->f.corp, v, &b, err));
}

/* A XenoServer has every part of each chain it was shown, and the order's holder is not there when
 * it validates: only what the holder signed for it counts, and once. */
static void a_shown_order_is_not_a_blank_one(void **state)
{
    struct xeno_order_restriction r = { .max_total = xeno_micro(CREDITS(1)) };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_charge c;
    struct world w;
    xeno_autofree char *shown = NULL;
    char token[64];
    size_t whole;

    (void)state;
    world_open(&w, CREDITS(10));
    whole = strlen(w.chain);
    narrow(&w, &r);
    shown = fixture_present(&w.f, &w.client, w.chain, &w.server);
    assert_int_equal(ask_with(&w, &w.server, shown, whole, S1, 0, &err), -EPERM);
    assert_string_equal(err.token, "order.presented");
    assert_int_equal(ask_with(&w, &w.server, shown, strlen(w.chain), S1, 0, &err), -EPERM);
    assert_string_equal(err.token, "order.presented");
    assert_int_equal(ask_with(&w, &w.other, shown, strlen(shown), S1, 0, &err), -EPERM);
    assert_string_equal(err.token, "order.presented");
    assert_int_equal(ask_with(&w, &w.server, shown, strlen(shown), S1, 0, NULL), 0);
    c = fixture_charge(&w.f, w.order, S1, 1, 1, XENO_CREDIT / 2);
    c.final = true;
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    assert_int_equal(ask_with(&w, &w.server, shown, strlen(shown), S1, 2, &err), -EPERM);
    assert_string_equal(err.token, "order.presented");
    assert_int_equal(ask_with(&w, &w.server, shown, strlen(shown), S2, 0, &err), -EPERM);
    assert_string_equal(err.token, "order.presented");
    world_close(&w);
}

/* An absent XenoServer cannot keep the money: the binding is a lease. */
static void a_binding_lapses(void **state)
{
    struct xeno_order_view o;
    struct xeno_bound b;
    struct xeno_err err = XENO_ERR_INIT;
    struct world w;

    (void)state;
    world_open(&w, CREDITS(10));
    bind(&w);
    fixture_wait(&w.f, 3600 * 1000);
    assert_int_equal(IN_GROUP(&w.f, xeno_corp_tick(w.f.corp, 100, NULL)), 0);
    assert_int_equal(
        IN_GROUP(&w.f, xeno_order_get(w.f.corp, w.client.id.s, w.order, &o, NULL, NULL)), 0);
    assert_string_equal(o.state, "open"); /* bound: charges may still be on their way */
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S2, 0, &b, &err),
                     -EPERM);
    fixture_wait(&w.f, 24 * 3600 * 1000);
    assert_int_equal(IN_GROUP(&w.f, xeno_corp_tick(w.f.corp, 100, NULL)), 0);
    assert_int_equal(
        IN_GROUP(&w.f, xeno_order_get(w.f.corp, w.client.id.s, w.order, &o, NULL, NULL)), 0);
    assert_string_equal(o.state, "expired");
    assert_int_equal(fixture_account(&w.f, &w.client).free.micro, CREDITS(100));
    world_close(&w);
}

/* What a session was before its rebind does not widen its rate. */
static void a_rebind_keeps_the_rate(void **state)
{
    struct xeno_order_restriction r = { .max_rate = xeno_micro(CREDITS(60)) };
    struct xeno_bound b;
    struct xeno_charge c;
    struct world w;
    char token[64];

    (void)state;
    world_open(&w, CREDITS(10));
    narrow(&w, &r);
    bind(&w);
    c = fixture_charge(&w.f, w.order, S1, 1, 1, CREDITS(1));
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S1, 2, &b, NULL), 0);
    c = fixture_charge(&w.f, w.order, S1, 2, 2, 1);
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_REFUSED);
    assert_string_equal(token, "charge.rate");
    world_close(&w);
}

/* What another session was charged is not part of a binding's rate. */
static void a_new_binding_starts_its_rate_anew(void **state)
{
    struct xeno_order_restriction r = { .max_rate = xeno_micro(CREDITS(60)) };
    struct xeno_bound b;
    struct xeno_charge c;
    struct world w;
    char token[64];

    (void)state;
    world_open(&w, CREDITS(10));
    narrow(&w, &r);
    bind(&w);
    c = fixture_charge(&w.f, w.order, S1, 1, 1, CREDITS(1));
    c.final = true;
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    assert_int_equal(fixture_validate(&w.f, &w.server, &w.client, w.chain, S2, 0, &b, NULL), 0);
    c = fixture_charge(&w.f, w.order, S2, 2, 1, CREDITS(1));
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    world_close(&w);
}

static void evidence_is_kept(void **state)
{
    struct xeno_audit_charge a[2];
    xeno_auto(xeno_charge_batch) batch = NULL;
    xeno_autofree char *doc = NULL;
    struct xeno_charge c;
    struct world w;
    size_t len;
    char token[64];

    (void)state;
    world_open(&w, CREDITS(10));
    bind(&w);
    c = fixture_charge(&w.f, w.order, S1, 1, 1, 42);
    assert_int_equal(post_as(&w, &w.server, &c, token), XENO_CHARGE_POSTED);
    for (int how = 0; how < 4; how++) {
        assert_int_equal(IN_GROUP(&w.f, xeno_audit_charges(w.f.corp, how & 1 ? w.order : NULL,
                                                           how & 2 ? S1 : NULL, 0, 2, a, NULL)),
                         1);
        assert_int_equal(a[0].amount, 42);
        assert_int_equal(a[0].fee, 2);
        assert_string_equal(a[0].activity, "a test");
        assert_string_equal(a[0].server, w.server.id.s);
        assert_string_equal(a[0].client, w.client.id.s);
    }
    assert_int_equal(IN_GROUP(&w.f, xeno_audit_charges(w.f.corp, NULL, S2, 0, 2, a, NULL)), 0);
    assert_int_equal(IN_GROUP(&w.f, xeno_audit_batch(w.f.corp, a[0].batch, &doc, &len, NULL)), 0);
    assert_int_equal(xeno_charge_batch_read(doc, len, xeno_key_pub(w.server.key), &batch, NULL), 0);
    assert_int_equal(batch->charges[0].amount.micro, 42);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_walk_through_the_books),
        cmocka_unit_test(charges_one_by_one),
        cmocka_unit_test(one_bad_entry_spoils_no_other),
        cmocka_unit_test(fees_do_not_drift),
        cmocka_unit_test(bindings_exclude_each_other),
        cmocka_unit_test(a_shown_order_is_not_a_blank_one),
        cmocka_unit_test(a_binding_lapses),
        cmocka_unit_test(a_rebind_keeps_the_rate),
        cmocka_unit_test(a_new_binding_starts_its_rate_anew),
        cmocka_unit_test(evidence_is_kept),
    };

    return cmocka_run_group_tests_name("charges", tests, NULL, NULL);
}
