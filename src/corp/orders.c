/* src/corp/orders.c - orders: made, listed, closed, expired. */
#include "corp/orders.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "corp/internal.h"
#include "doc/order.h"

static const char *const states[] = {
    [CORP_ORDER_OPEN] = "open",
    [CORP_ORDER_CLOSING] = "closing",
    [CORP_ORDER_CLOSED] = "closed",
    [CORP_ORDER_EXPIRED] = "expired",
};

/* --- views --- */

#define ORDER_COLUMNS                                                                              \
    "SELECT o.n, o.id, o.state, o.amount, o.charged, o.held, o.fee_bp, o.issued_ms, o.expires_ms," \
    " o.deadline_ms, o.closed_ms, o.epoch, s.name, p.id FROM orders o"                             \
    " LEFT JOIN session s ON s.n = o.b_session LEFT JOIN party p ON p.n = o.b_server"

static void view_from(struct xeno_query *q, struct xeno_order_view *v)
{
    const char *session = xeno_query_col_text(q, 12), *server = xeno_query_col_text(q, 13);

    *v = (struct xeno_order_view){
        .n = xeno_query_col_int(q, 0),
        .state = states[xeno_query_col_int(q, 2)],
        .amount = { xeno_query_col_int(q, 3) },
        .charged = { xeno_query_col_int(q, 4) },
        .held = { xeno_query_col_int(q, 5) },
        .fee_bp = (int)xeno_query_col_int(q, 6),
        .issued_ms = xeno_query_col_int(q, 7),
        .expires_ms = xeno_query_col_int(q, 8),
        .deadline_ms = xeno_query_col_int(q, 9),
        .closed_ms = xeno_query_col_int(q, 10),
        .epoch = xeno_query_col_int(q, 11),
    };
    snprintf(v->order, sizeof v->order, "%s", xeno_query_col_text(q, 1));
    snprintf(v->session, sizeof v->session, "%s", session ? session : "");
    snprintf(v->server, sizeof v->server, "%s", server ? server : "");
}

static int view_of(struct xeno_corp *corp, const struct corp_order *o, struct xeno_order_view *ret,
                   struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = corp_seen(corp, corp_rows_flush(corp, err));

    if (r == 0)
        r = corp_query(corp, &q, ORDER_COLUMNS " WHERE o.n = $1", err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, o->n);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return xeno_fail(err, -ENOENT, "order.unknown", "there is no order %s here", o->id);
    view_from(&q, ret);
    return 0;
}

static int chain_of(struct xeno_corp *corp, const struct corp_order *o, char **ret,
                    struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = corp_query(corp, &q, "SELECT chain FROM order_text WHERE n = $1", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, o->n);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    *ret = xeno_strdup(r > 0 ? xeno_query_col_text(&q, 0) : "");
    return 0;
}

/* An order, if it is this client's. Another's is as unknown as one that never was. */
static int find_own(struct xeno_corp *corp, const char *id, const char *order,
                    struct corp_order **ret, struct xeno_err *err)
{
    struct corp_party *p = NULL;
    struct corp_order *o = NULL;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_order(corp, order, &o, err);
    if (r < 0)
        return r;
    if (o->client != p->n)
        return xeno_fail(err, -ENOENT, "order.unknown", "there is no order %.40s here", order);
    *ret = o;
    return 0;
}

int xeno_order_get(struct xeno_corp *corp, const char *id, const char *order,
                   struct xeno_order_view *ret, char **ret_chain, struct xeno_err *err)
{
    struct corp_order *o = NULL;
    int r = find_own(corp, id, order, &o, err);

    if (r == 0)
        r = view_of(corp, o, ret, err);
    if (r == 0 && ret_chain)
        r = chain_of(corp, o, ret_chain, err);
    return r;
}

int xeno_orders(struct xeno_corp *corp, const char *id, int64_t after, int max,
                struct xeno_order_view *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_party *p = NULL;
    int count = 0;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_seen(corp, corp_rows_flush(corp, err));
    if (r == 0)
        r = corp_query(
            corp, &q, ORDER_COLUMNS " WHERE o.client = $1 AND o.n > $2 ORDER BY o.n LIMIT $3", err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, p->n);
    xeno_query_int(&q, 2, after);
    xeno_query_int(&q, 3, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0)
        view_from(&q, &ret[count++]);
    return r < 0 ? r : count;
}

/* --- making --- */

static int check_ask(const struct xeno_order_ask *ask, int64_t now_ms, struct xeno_err *err)
{
    int64_t life_ms = ask->expires.ns / XENO_NS_PER_MS - now_ms;

    if (ask->amount.micro < 1 || ask->amount.micro > XENO_CREDIT_MAX)
        return xeno_fail(err, -EINVAL, "order.amount",
                         "amount is 1 to %" PRId64 " micro-credits, not %" PRId64, XENO_CREDIT_MAX,
                         ask->amount.micro);
    if (life_ms < XENO_ORDER_LIFE_MIN_S * 1000 || life_ms > XENO_ORDER_LIFE_MAX_S * INT64_C(1000))
        return xeno_fail(err, -EINVAL, "order.lifetime",
                         "an order lives %d seconds to %d days, not %" PRId64 " ms",
                         XENO_ORDER_LIFE_MIN_S, XENO_ORDER_LIFE_MAX_S / 86400, life_ms);
    return 0;
}

static int issue_chain(struct xeno_corp *corp, const struct corp_party *p,
                       const struct corp_order *o, const struct xeno_pub *key, char **ret,
                       struct xeno_err *err)
{
    struct xeno_order_offer offer = {
        .order = o->id,
        .sponsor = p->pseudonym ? NULL : p->id,
        .limit = { o->amount },
        .issued = xeno_ms(o->issued_ms),
        .expires = xeno_ms(o->expires_ms),
        .key = key ? *key : p->pub,
    };

    return xeno_order_issue(corp->ca_key, &offer, ret, err);
}

static int insert_order(struct xeno_corp *corp, const struct corp_order *row, const char *chain,
                        struct corp_order **ret, struct xeno_err *err)
{
    int r = corp_order_new(corp, row, chain, err);

    if (r < 0)
        return r;
    corp->next_order++;
    r = corp_order(corp, row->id, ret, err);
    if (r < 0)
        return corp_seen(corp, r);
    struct corp_entry e = {
        .kind = CORP_HOLD, .order = *ret, .client = row->client, .amount = row->amount
    };
    r = corp_seen(corp, corp_post(corp, &e, err));
    return r < 0 ? r : corp_log_order(corp, *ret, "order", err);
}

int xeno_order_create(struct xeno_corp *corp, const char *id, const struct xeno_order_ask *ask,
                      struct xeno_order_view *ret, char **ret_chain, struct xeno_err *err)
{
    int64_t now = xeno_corp_now_ms(corp);
    int64_t settlement = corp->policy.settlement.ns / XENO_NS_PER_MS;
    struct corp_account *a = NULL;
    struct corp_party *p = NULL;
    struct corp_order *o = NULL;
    xeno_autofree char *chain = NULL;
    int r = check_ask(ask, now, err);

    if (r == 0)
        r = corp_party_of_kind(corp, id, CORP_CLIENT, &p, err);
    if (r == 0)
        r = corp_account(corp, p->n, &a, err);
    if (r < 0)
        return r;
    if (a->balance < ask->amount.micro)
        return xeno_fail(
            err, -EDQUOT, "ledger.funds",
            "asked for %s credits, %s are free: ask for less, close an order or add credit",
            xeno_credit_text(ask->amount, (char[XENO_CREDIT_TEXT]){ 0 }),
            xeno_credit_text(xeno_micro(a->balance), (char[XENO_CREDIT_TEXT]){ 0 }));
    struct corp_order row = {
        .n = corp->next_order,
        .client = p->n,
        .state = CORP_ORDER_OPEN,
        .amount = ask->amount.micro,
        .fee_bp = corp->policy.fee_bp,
        .issued_ms = now,
        .expires_ms = ask->expires.ns / XENO_NS_PER_MS,
        .deadline_ms = ask->expires.ns / XENO_NS_PER_MS + settlement,
    };
    xeno_order_id_new(corp->env, row.id);
    r = issue_chain(corp, p, &row, ask->key, &chain, err);
    if (r == 0)
        r = insert_order(corp, &row, chain, &o, err);
    if (r == 0)
        r = view_of(corp, o, ret, err);
    if (r < 0)
        return r;
    *ret_chain = xeno_take(&chain);
    return 0;
}

/* --- ending --- */

int corp_order_end(struct xeno_corp *corp, struct corp_order *o, enum corp_order_state state,
                   struct xeno_err *err)
{
    struct corp_entry e = { .kind = CORP_RETURN,
                            .order = o,
                            .client = o->client,
                            .amount = o->held,
                            .text = states[state] };
    int r = corp_seen(corp, corp_post(corp, &e, err));

    if (r < 0)
        return r;
    o->state = state;
    o->closed_ms = xeno_corp_now_ms(corp);
    corp_order_dirty(corp, o);
    return corp_log_order(corp, o, "order-end", err);
}

int corp_unbind(struct xeno_corp *corp, struct corp_order *o, enum corp_binding_end how,
                struct xeno_err *err)
{
    static const char *const ends[] = {
        [CORP_END_FINAL] = "final",
        [CORP_END_RELEASED] = "released",
        [CORP_END_LAPSED] = "lapsed",
        [CORP_END_AUDIT] = "audit",
    };
    int64_t now = xeno_corp_now_ms(corp);
    int r = corp_run(corp, err,
                     "UPDATE binding SET ended_ms = $1, how = $2, charged = $3, end_leaf = $6"
                     " WHERE ord = $4 AND epoch = $5",
                     "iiiiii", now, (int64_t)how, o->bound_charged, o->n, o->epoch,
                     corp_log_next(corp));

    if (r >= 0)
        r = corp_log_unbound(corp, o, ends[how], err);
    if (r < 0)
        return r;
    o->session = 0;
    o->server = 0;
    o->bound_charged = 0;
    o->suspended_ms = 0;
    corp_order_dirty(corp, o);
    if (o->state == CORP_ORDER_CLOSING)
        return corp_order_end(corp, o, CORP_ORDER_CLOSED, err);
    if (now >= o->expires_ms)
        return corp_order_end(corp, o, CORP_ORDER_EXPIRED, err);
    return 0;
}

int xeno_order_close(struct xeno_corp *corp, const char *id, const char *order,
                     struct xeno_order_view *ret, struct xeno_err *err)
{
    struct corp_order *o = NULL;
    int r = find_own(corp, id, order, &o, err);

    if (r < 0)
        return r;
    if (o->state == CORP_ORDER_OPEN && o->session != 0) {
        o->state = CORP_ORDER_CLOSING;
        corp_order_dirty(corp, o);
        r = corp_log_order(corp, o, "order-closing", err);
    } else if (o->state == CORP_ORDER_OPEN) {
        r = corp_order_end(corp, o, CORP_ORDER_CLOSED, err);
    }
    if (r >= 0 && o->state == CORP_ORDER_CLOSING && o->suspended_ms > 0)
        r = corp_unbind(corp, o, CORP_END_AUDIT, err);
    if (r < 0)
        return r;
    return view_of(corp, o, ret, err);
}

/* --- expiry --- */

#define EXPIRE_CHUNK 64

/* Ids of live orders that time has ended. Returns: how many, at most EXPIRE_CHUNK. */
static int find_expired(struct xeno_corp *corp, char (*ids)[CORP_ORDER_CHARS + 1],
                        struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_seen(corp, corp_rows_flush(corp, err));

    if (r == 0)
        r = corp_query(corp, &q,
                       "SELECT id FROM orders WHERE state <= 2 AND expires_ms <= $1"
                       " AND (b_session = 0 OR deadline_ms <= $1) ORDER BY expires_ms LIMIT $2",
                       err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, xeno_corp_now_ms(corp));
    xeno_query_int(&q, 2, EXPIRE_CHUNK);
    while (count < EXPIRE_CHUNK && (r = corp_step(corp, &q, err)) > 0)
        snprintf(ids[count++], CORP_ORDER_CHARS + 1, "%s", xeno_query_col_text(&q, 0));
    return r < 0 ? r : count;
}

static int expire_one(struct xeno_corp *corp, const char *id, struct xeno_err *err)
{
    struct corp_order *o = NULL;
    int r = corp_order(corp, id, &o, err);

    if (r < 0)
        return r;
    if (o->session != 0)
        return corp_unbind(corp, o, CORP_END_LAPSED, err); /* ends the order too */
    return corp_order_end(corp, o, CORP_ORDER_EXPIRED, err);
}

int corp_tick_orders(struct xeno_corp *corp, int limit, struct xeno_err *err)
{
    char ids[EXPIRE_CHUNK][CORP_ORDER_CHARS + 1];
    int count = EXPIRE_CHUNK;

    for (int done = 0; done < limit && count == EXPIRE_CHUNK; done += count) {
        count = find_expired(corp, ids, err);
        for (int i = 0; i < count; i++) {
            int r = expire_one(corp, ids[i], err);

            if (r < 0)
                return r;
        }
        if (count < 0)
            return count;
    }
    return count == EXPIRE_CHUNK;
}
