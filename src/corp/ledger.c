/* src/corp/ledger.c - the journal: the only place where money moves. */
#include "corp/ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "corp/internal.h"

/* A change of one account by one entry, tried before anything is written. */
struct leg {
    struct corp_account *account;
    int64_t balance, total; /* after */
};

static int leg_make(struct xeno_corp *corp, int64_t n, int64_t by, int64_t total_by,
                    struct leg *ret, struct xeno_err *err)
{
    struct leg leg;
    int r = corp_account(corp, n, &leg.account, err);

    if (r < 0)
        return r;
    if (__builtin_add_overflow(leg.account->balance, by, &leg.balance) ||
        __builtin_add_overflow(leg.account->total, total_by, &leg.total))
        return xeno_fail(err, -EOVERFLOW, "ledger.range", "an account would pass its range");
    if (leg.balance < 0 && n != CORP_ACCOUNT_ISSUED)
        return xeno_fail(
            err, -EDQUOT, "ledger.funds", "asked for %s credits, %s are free",
            xeno_credit_text(xeno_micro(-by), (char[XENO_CREDIT_TEXT]){ 0 }),
            xeno_credit_text(xeno_micro(leg.account->balance), (char[XENO_CREDIT_TEXT]){ 0 }));
    *ret = leg;
    return 0;
}

static void leg_apply(struct xeno_corp *corp, const struct leg *leg)
{
    leg->account->balance = leg->balance;
    leg->account->total = leg->total;
    corp_account_dirty(corp, leg->account);
}

/* The fee of a charge is what brings the order's fees to its percentage of all charged so far,
 * rounded down: many small charges cost the same as one large one, and sums are exact. */
static int64_t fee_of(const struct corp_order *o, int64_t amount)
{
    int64_t before = 0, after = 0;

    (void)xeno_muldiv(o->charged, o->fee_bp, 10000, &before); /* fits: fee_bp <= 10000 */
    (void)xeno_muldiv(o->charged + amount, o->fee_bp, 10000, &after);
    return after - before;
}

/* Returns: 1 when it was written, 0 when a charge is there already. */
static int journal_charge(struct xeno_corp *corp, const struct corp_entry *e, int64_t fee,
                          int64_t c_after, int64_t s_after, struct xeno_err *err)
{
    return corp_run(corp, err,
                    "INSERT INTO entry (n, kind, time_ms, client, amount, c_after, ord, text,"
                    " server, fee, s_after, epoch, session, seq, from_ms, to_ms, tariff, sha,"
                    " batch) VALUES ($1, 3, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,"
                    " $14, $15, $16, $17, $18)"
                    " ON CONFLICT (seq, session) WHERE session IS NOT NULL DO NOTHING",
                    "iiiiiitiiiiiiiiibi", corp->next_entry, xeno_corp_now_ms(corp), e->client,
                    e->amount, c_after, e->order->n, e->text, e->server, fee, s_after, e->epoch,
                    e->session->n, e->seq, e->from_ms, e->to_ms, e->tariff, (const void *)e->sha,
                    (size_t)CORP_SHA_BYTES, e->batch);
}

static int journal(struct xeno_corp *corp, const struct corp_entry *e, int64_t c_after,
                   struct xeno_err *err)
{
    int r = corp_run(corp, err,
                     "INSERT INTO entry (n, kind, time_ms, client, amount, c_after, ord, text)"
                     " VALUES ($1, $2, $3, $4, $5, $6, nullif($7, 0), $8)",
                     "iiiiiiit", corp->next_entry, (int64_t)e->kind, xeno_corp_now_ms(corp),
                     e->client, e->amount, c_after, e->order ? e->order->n : 0, e->text);

    if (r >= 0)
        corp->next_entry++;
    return r;
}

static int post_fund(struct xeno_corp *corp, const struct corp_entry *e, struct xeno_err *err)
{
    struct leg from = { NULL, 0, 0 }, to = { NULL, 0, 0 };
    int r = leg_make(corp, CORP_ACCOUNT_ISSUED, -e->amount, -e->amount, &from, err);

    if (r == 0)
        r = leg_make(corp, e->client, e->amount, e->amount, &to, err);
    if (r == 0)
        r = journal(corp, e, to.total, err);
    if (r < 0)
        return r;
    leg_apply(corp, &from);
    leg_apply(corp, &to);
    return 1;
}

/* Hold (by = amount) and return (by = -amount): between the client's free credit and the order. */
static int post_held(struct xeno_corp *corp, const struct corp_entry *e, int64_t by,
                     struct xeno_err *err)
{
    struct leg client = { NULL, 0, 0 };
    int r = leg_make(corp, e->client, -by, 0, &client, err);

    if (r == 0)
        r = journal(corp, e, client.total, err);
    if (r < 0)
        return r;
    leg_apply(corp, &client);
    e->order->held += by;
    corp_order_dirty(corp, e->order);
    return 1;
}

static int post_charge(struct xeno_corp *corp, const struct corp_entry *e, struct xeno_err *err)
{
    int64_t fee = fee_of(e->order, e->amount);
    struct leg client = { NULL, 0, 0 }, server = client, fees = client;
    int r = leg_make(corp, e->client, 0, -e->amount, &client, err);

    if (r == 0)
        r = leg_make(corp, e->server, e->amount - fee, e->amount - fee, &server, err);
    if (r == 0)
        r = leg_make(corp, CORP_ACCOUNT_FEES, fee, fee, &fees, err);
    if (r == 0)
        r = journal_charge(corp, e, fee, client.total, server.total, err);
    if (r <= 0)
        return r;
    r = corp_log_charge(corp, corp->next_entry, e->leaf, err);
    if (r < 0)
        return r;
    corp->next_entry++;
    leg_apply(corp, &client);
    leg_apply(corp, &server);
    leg_apply(corp, &fees);
    e->order->held -= e->amount;
    e->order->charged += e->amount;
    e->order->bound_charged += e->amount;
    corp_order_dirty(corp, e->order);
    return 1;
}

int corp_post(struct xeno_corp *corp, const struct corp_entry *e, struct xeno_err *err)
{
    int64_t left = e->order ? e->order->held : 0;

    if ((e->kind == CORP_CHARGE || e->kind == CORP_RETURN) && e->amount > left)
        return xeno_fail(err, -EDQUOT, "ledger.funds", "asked for %s credits, the order holds %s",
                         xeno_credit_text(xeno_micro(e->amount), (char[XENO_CREDIT_TEXT]){ 0 }),
                         xeno_credit_text(xeno_micro(left), (char[XENO_CREDIT_TEXT]){ 0 }));
    switch (e->kind) {
    case CORP_FUND:
        return post_fund(corp, e, err);
    case CORP_HOLD:
        return post_held(corp, e, e->amount, err);
    case CORP_RETURN:
        return post_held(corp, e, -e->amount, err);
    case CORP_CHARGE:
        return post_charge(corp, e, err);
    }
    return xeno_fail(err, -EINVAL, "ledger.kind", "no such kind of entry: %d", (int)e->kind);
}

int xeno_ledger_fund(struct xeno_corp *corp, const char *who, const char *id, xeno_credit amount,
                     const char *text, struct xeno_err *err)
{
    struct corp_party *p = NULL;
    char detail[64];
    int r;

    if (amount.micro < 1 || amount.micro > XENO_CREDIT_MAX)
        return xeno_fail(err, -EINVAL, "ledger.amount",
                         "an amount is 1 to %" PRId64 " micro-credits, not %" PRId64,
                         XENO_CREDIT_MAX, amount.micro);
    r = corp_party_of_kind(corp, id, CORP_CLIENT, &p, err);
    if (r < 0)
        return r;
    struct corp_entry e = {
        .kind = CORP_FUND, .client = p->n, .amount = amount.micro, .text = text
    };
    r = corp_post(corp, &e, err);
    if (r < 0)
        return r;
    snprintf(detail, sizeof detail, "%" PRId64, amount.micro);
    return corp_audit(corp, who, "fund", id, detail, err);
}

int xeno_ledger_account(struct xeno_corp *corp, const char *id, struct xeno_account_view *ret,
                        struct xeno_err *err)
{
    struct xeno_account_view v = { { 0 }, { 0 }, { 0 } };
    struct corp_account *a = NULL;
    struct corp_party *p = NULL;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_account(corp, p->n, &a, err);
    if (r < 0)
        return r;
    if (p->kind == CORP_CLIENT) {
        v.free.micro = a->balance;
        v.held.micro = a->total - a->balance;
    } else {
        v.earned.micro = a->balance;
    }
    *ret = v;
    return 0;
}

int xeno_ledger_totals(struct xeno_corp *corp, struct xeno_ledger_totals *ret, struct xeno_err *err)
{
    struct xeno_ledger_totals t = { .sum = { 0 } };
    const struct {
        int64_t *into;
        const char *sql;
    } asks[] = {
        { &t.issued.micro, "SELECT coalesce(sum(balance), 0) FROM account WHERE kind = 1" },
        { &t.fees.micro, "SELECT coalesce(sum(balance), 0) FROM account WHERE kind = 2" },
        { &t.free.micro, "SELECT coalesce(sum(balance), 0) FROM account WHERE kind = 3" },
        { &t.earned.micro, "SELECT coalesce(sum(balance), 0) FROM account WHERE kind IN (4, 5)" },
        { &t.held.micro, "SELECT coalesce(sum(held), 0) FROM orders" },
        { &t.clients, "SELECT count(*) FROM account WHERE kind = 3" },
        { &t.servers, "SELECT count(*) FROM account WHERE kind = 4" },
        { &t.orders_live, "SELECT count(*) FROM orders WHERE state <= 2" },
        { &t.orders_bound, "SELECT count(*) FROM orders WHERE state <= 2 AND b_session <> 0" },
        { &t.entries, "SELECT count(*) FROM entry" },
        { &t.charges, "SELECT count(*) FROM entry WHERE session IS NOT NULL" },
    };
    int r = corp_seen(corp, corp_rows_flush(corp, err));

    if (r == 0)
        r = corp_log_flush(corp, err);
    for (size_t i = 0; r >= 0 && i < XENO_LEN(asks); i++)
        r = corp_one(corp, 0, asks[i].into, err, asks[i].sql, "");
    if (r < 0)
        return r;
    t.sum.micro = t.issued.micro + t.fees.micro + t.free.micro + t.earned.micro + t.held.micro;
    *ret = t;
    return 0;
}
