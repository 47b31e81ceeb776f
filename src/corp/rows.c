/* src/corp/rows.c - hot rows in memory: reading them once, writing changes back at the commit. */
#include <errno.h>
#include <string.h>

#include "corp/internal.h"

/* More rows than this and all are forgotten after a commit: some 30 MB. */
#define ROWS_MAX 100000

/* --- accounts --- */

int corp_account(struct xeno_corp *corp, int64_t n, struct corp_account **ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_account *a;
    int r;

    HASH_FIND(hh, corp->accounts, &n, sizeof n, a);
    if (a) {
        *ret = a;
        return 0;
    }
    r = corp_query(corp, &q, "SELECT kind, balance, total FROM account WHERE n = $1", err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, n);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return corp_seen(corp, xeno_fail(err, -EIO, "ledger.account", "an account is missing"));
    a = xeno_new0(struct corp_account);
    a->n = n;
    a->kind = xeno_query_col_int(&q, 0);
    a->balance = xeno_query_col_int(&q, 1);
    a->total = xeno_query_col_int(&q, 2);
    HASH_ADD(hh, corp->accounts, n, sizeof a->n, a);
    *ret = a;
    return 0;
}

void corp_account_dirty(struct xeno_corp *corp, struct corp_account *a)
{
    if (a->dirty)
        return;
    a->dirty = true;
    a->next_dirty = corp->dirty_accounts;
    corp->dirty_accounts = a;
}

int corp_account_new(struct xeno_corp *corp, int64_t n, enum corp_account_kind kind,
                     struct xeno_err *err)
{
    int r =
        corp_run(corp, err, "INSERT INTO account (n, kind, balance, total) VALUES ($1, $2, 0, 0)",
                 "ii", n, (int64_t)kind);
    return r < 0 ? r : 0;
}

static int flush_account(struct xeno_corp *corp, struct corp_account *a, struct xeno_err *err)
{
    return xeno_db_run(corp->db, err, "UPDATE account SET balance = $1, total = $2 WHERE n = $3",
                       "iii", a->balance, a->total, a->n);
}

/* --- parties --- */

static struct corp_party *party_from(struct xeno_query *q, const char *id)
{
    struct corp_party *p = xeno_new0(struct corp_party);

    memcpy(p->id, id, XENO_ID_CHARS);
    p->n = xeno_query_col_int(q, 0);
    p->kind = (enum corp_account_kind)xeno_query_col_int(q, 1);
    p->is_operator = xeno_query_col_int(q, 2) != 0;
    p->pseudonym = xeno_query_col_int(q, 3) != 0;
    p->disabled = xeno_query_col_int(q, 4) != 0;
    (void)xeno_pub_parse(xeno_query_col_text(q, 5), &p->pub);
    return p;
}

int corp_party(struct xeno_corp *corp, const char *id, struct corp_party **ret,
               struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_party *p = NULL;
    int r;

    if (!xeno_id_ok(id))
        return xeno_fail(err, -ENOENT, "registry.unknown", "'%.40s' is not the id of a party", id);
    HASH_FIND(hh, corp->parties, id, XENO_ID_CHARS, p);
    if (p) {
        *ret = p;
        return 0;
    }
    r = corp_query(corp, &q,
                   "SELECT n, kind, operator, pseudonym, disabled_ms, pub FROM party WHERE id = $1",
                   err);
    if (r < 0)
        return r;
    xeno_query_text(&q, 1, id);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return xeno_fail(err, -ENOENT, "registry.unknown", "%s is not registered here", id);
    p = party_from(&q, id);
    HASH_ADD(hh, corp->parties, id, XENO_ID_CHARS, p);
    *ret = p;
    return 0;
}

static const char *kind_name(enum corp_account_kind kind)
{
    switch (kind) {
    case CORP_SERVER:
        return "XenoServer";
    case CORP_NODE:
        return "XenoStore node";
    default:
        return "client";
    }
}

int corp_party_of_kind(struct xeno_corp *corp, const char *id, enum corp_account_kind kind,
                       struct corp_party **ret, struct xeno_err *err)
{
    struct corp_party *p = NULL;
    int r = corp_party(corp, id, &p, err);

    if (r < 0)
        return r;
    if (p->kind != kind)
        return xeno_fail(err, -EPERM, "registry.kind", "%s is registered as a %s, not as a %s", id,
                         kind_name(p->kind), kind_name(kind));
    if (p->disabled)
        return xeno_fail(err, -EPERM, "registry.disabled",
                         "%s is disabled: ask the operator of this XenoCorp", id);
    *ret = p;
    return 0;
}

int corp_party_seller(struct xeno_corp *corp, const char *id, struct corp_party **ret,
                      struct xeno_err *err)
{
    struct corp_party *p = NULL;
    int r = corp_party(corp, id, &p, err);

    return r < 0 ? r
                 : corp_party_of_kind(corp, id, p->kind == CORP_NODE ? CORP_NODE : CORP_SERVER, ret,
                                      err);
}

/* --- orders --- */

static struct corp_order *order_from(struct xeno_query *q, const char *id)
{
    struct corp_order *o = xeno_new0(struct corp_order);
    int64_t *const fields[] = {
        &o->n,
        &o->client,
        &o->state,
        &o->amount,
        &o->charged,
        &o->held,
        &o->fee_bp,
        &o->issued_ms,
        &o->expires_ms,
        &o->deadline_ms,
        &o->closed_ms,
        &o->epoch,
        &o->session,
        &o->server,
        &o->from_ms,
        &o->to_ms,
        &o->bound_charged,
        &o->base,
        &o->terms.max_total,
        &o->terms.max_rate,
        &o->terms.not_before_ms,
        &o->terms.not_after_ms,
        &o->suspended_ms,
    };

    memcpy(o->id, id, CORP_ORDER_CHARS);
    for (size_t i = 0; i < XENO_LEN(fields); i++)
        *fields[i] = xeno_query_col_int(q, (int)i);
    return o;
}

int corp_order(struct xeno_corp *corp, const char *id, struct corp_order **ret,
               struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_order *o = NULL;
    int r;

    if (strlen(id) != CORP_ORDER_CHARS)
        return xeno_fail(err, -ENOENT, "order.unknown", "'%.40s' is not the id of an order", id);
    HASH_FIND(hh, corp->orders, id, CORP_ORDER_CHARS, o);
    if (o) {
        *ret = o;
        return 0;
    }
    r = corp_query(corp, &q,
                   "SELECT n, client, state, amount, charged, held, fee_bp, issued_ms, expires_ms,"
                   " deadline_ms, closed_ms, epoch, b_session, b_server, b_from_ms, b_to_ms,"
                   " b_charged, b_base, b_max_total, b_max_rate, b_not_before_ms, b_not_after_ms,"
                   " b_suspended_ms FROM orders WHERE id = $1",
                   err);
    if (r < 0)
        return r;
    xeno_query_text(&q, 1, id);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return xeno_fail(err, -ENOENT, "order.unknown", "there is no order %s here", id);
    o = order_from(&q, id);
    HASH_ADD(hh, corp->orders, id, CORP_ORDER_CHARS, o);
    *ret = o;
    return 0;
}

void corp_order_dirty(struct xeno_corp *corp, struct corp_order *o)
{
    if (o->dirty)
        return;
    o->dirty = true;
    o->next_dirty = corp->dirty_orders;
    corp->dirty_orders = o;
}

int corp_order_new(struct xeno_corp *corp, const struct corp_order *row, const char *chain,
                   struct xeno_err *err)
{
    int r =
        corp_run(corp, err,
                 "INSERT INTO orders (n, id, client, state, amount, charged, held, fee_bp,"
                 " issued_ms, expires_ms, deadline_ms, closed_ms, epoch, b_session, b_server,"
                 " b_from_ms, b_to_ms, b_charged, b_base, b_max_total, b_max_rate, b_not_before_ms,"
                 " b_not_after_ms)"
                 " VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7, $8, $9, 0, 0, 0, 0, 0, 0, 0, 0, 0,"
                 " 0, 0, 0)",
                 "itiiiiiii", row->n, row->id, row->client, row->state, row->amount, row->fee_bp,
                 row->issued_ms, row->expires_ms, row->deadline_ms);

    if (r < 0)
        return r;
    r = corp_run(corp, err, "INSERT INTO order_text (n, chain) VALUES ($1, $2)", "it", row->n,
                 chain);
    return r < 0 ? r : 0;
}

static int flush_order(struct xeno_corp *corp, struct corp_order *o, struct xeno_err *err)
{
    return xeno_db_run(
        corp->db, err,
        "UPDATE orders SET state = $2, charged = $3, held = $4, closed_ms = $5, epoch = $6,"
        " b_session = $7, b_server = $8, b_from_ms = $9, b_to_ms = $10, b_charged = $11,"
        " b_max_total = $12, b_max_rate = $13, b_not_before_ms = $14, b_not_after_ms = $15,"
        " b_base = $16, b_suspended_ms = $17"
        " WHERE n = $1",
        "iiiiiiiiiiiiiiiii", o->n, o->state, o->charged, o->held, o->closed_ms, o->epoch,
        o->session, o->server, o->from_ms, o->to_ms, o->bound_charged, o->terms.max_total,
        o->terms.max_rate, o->terms.not_before_ms, o->terms.not_after_ms, o->base, o->suspended_ms);
}

/* --- sessions --- */

static struct corp_session_key session_key(int64_t server, const char *name)
{
    struct corp_session_key key;

    memset(&key, 0, sizeof key); /* hashed as bytes */
    key.server = server;
    memcpy(key.name, name, strnlen(name, CORP_SESSION_CHARS));
    return key;
}

static struct corp_session *session_add(struct xeno_corp *corp, const struct corp_session_key *key,
                                        int64_t n)
{
    struct corp_session *s = xeno_new0(struct corp_session);

    s->key = *key;
    s->n = n;
    HASH_ADD(hh, corp->sessions, key, sizeof s->key, s);
    return s;
}

int corp_session(struct xeno_corp *corp, int64_t server, const char *name,
                 struct corp_session **ret, struct xeno_err *err)
{
    struct corp_session_key key = session_key(server, name);
    struct corp_session *s = NULL;
    int64_t n = 0;
    int r;

    HASH_FIND(hh, corp->sessions, &key, sizeof key, s);
    if (s) {
        *ret = s;
        return 0;
    }
    r = corp_one(corp, 0, &n, err, "SELECT n FROM session WHERE server = $1 AND name = $2", "it",
                 server, name);
    if (r < 0)
        return r;
    *ret = n > 0 ? session_add(corp, &key, n) : NULL;
    return 0;
}

int corp_session_new(struct xeno_corp *corp, int64_t server, const char *name,
                     struct corp_session **ret, struct xeno_err *err)
{
    struct corp_session_key key = session_key(server, name);
    int64_t n = corp->next_session;
    int r = corp_run(corp, err, "INSERT INTO session (n, server, name) VALUES ($1, $2, $3)", "iit",
                     n, server, name);

    if (r < 0)
        return r;
    corp->next_session++;
    *ret = session_add(corp, &key, n);
    return 0;
}

/* --- all of them --- */

int corp_rows_flush(struct xeno_corp *corp, struct xeno_err *err)
{
    int r;

    for (; corp->dirty_accounts; corp->dirty_accounts = corp->dirty_accounts->next_dirty) {
        r = flush_account(corp, corp->dirty_accounts, err);
        if (r < 0)
            return r;
        corp->dirty_accounts->dirty = false;
    }
    for (; corp->dirty_orders; corp->dirty_orders = corp->dirty_orders->next_dirty) {
        r = flush_order(corp, corp->dirty_orders, err);
        if (r < 0)
            return r;
        corp->dirty_orders->dirty = false;
    }
    return 0;
}

void corp_rows_drop(struct xeno_corp *corp)
{
    struct corp_account *a, *a2;
    struct corp_party *p, *p2;
    struct corp_order *o, *o2;
    struct corp_session *s, *s2;

    HASH_ITER (hh, corp->accounts, a, a2) {
        HASH_DEL(corp->accounts, a);
        free(a);
    }
    HASH_ITER (hh, corp->parties, p, p2) {
        HASH_DEL(corp->parties, p);
        free(p);
    }
    HASH_ITER (hh, corp->orders, o, o2) {
        HASH_DEL(corp->orders, o);
        free(o);
    }
    HASH_ITER (hh, corp->sessions, s, s2) {
        HASH_DEL(corp->sessions, s);
        free(s);
    }
    corp->dirty_accounts = NULL;
    corp->dirty_orders = NULL;
}

void corp_rows_trim(struct xeno_corp *corp)
{
    if (HASH_COUNT(corp->orders) + HASH_COUNT(corp->sessions) + HASH_COUNT(corp->parties) +
            HASH_COUNT(corp->accounts) >
        ROWS_MAX)
        corp_rows_drop(corp);
}
