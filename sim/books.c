/* sim/books.c - entries added up a second time. */
#include "sim/books.h"

#include <errno.h>
#include <inttypes.h>
#include <uthash.h>

#include "corp/schema.h"

struct account {
    int64_t n, balance, total;
    bool touched;
    UT_hash_handle hh;
};

struct order {
    int64_t n, amount, charged, held;
    bool returned, touched;
    UT_hash_handle hh;
};

struct charge {
    struct {
        int64_t session, seq;
    } key;
    UT_hash_handle hh;
};

struct sim_books {
    int64_t last; /* entry */
    int64_t issued, fees;
    struct account *accounts;
    struct order *orders;
    struct charge *charges;
};

struct entry {
    int64_t n, kind, client, amount, c_after, order, server, fee, s_after, session, seq;
};

struct sim_books *sim_books_new(void)
{
    return xeno_new0(struct sim_books);
}

void sim_books_free(struct sim_books *b)
{
    struct account *a, *next_a;
    struct order *o, *next_o;
    struct charge *c, *next_c;

    if (!b)
        return;
    HASH_ITER (hh, b->accounts, a, next_a) {
        HASH_DEL(b->accounts, a);
        free(a);
    }
    HASH_ITER (hh, b->orders, o, next_o) {
        HASH_DEL(b->orders, o);
        free(o);
    }
    HASH_ITER (hh, b->charges, c, next_c) {
        HASH_DEL(b->charges, c);
        free(c);
    }
    free(b);
}

static struct account *account_of(struct sim_books *b, int64_t n)
{
    struct account *a;

    HASH_FIND(hh, b->accounts, &n, sizeof(n), a);
    if (!a) {
        a = xeno_new0(struct account);
        a->n = n;
        HASH_ADD(hh, b->accounts, n, sizeof(n), a);
    }
    a->touched = true;
    return a;
}

static struct order *order_of(struct sim_books *b, int64_t n)
{
    struct order *o;

    HASH_FIND(hh, b->orders, &n, sizeof(n), o);
    if (!o) {
        o = xeno_new0(struct order);
        o->n = n;
        HASH_ADD(hh, b->orders, n, sizeof(n), o);
    }
    o->touched = true;
    return o;
}

static int broken(int64_t entry, const char *rule, struct xeno_err *err)
{
    return xeno_fail(err, -EUCLEAN, "sim.books", "entry %" PRId64 ": %s", entry, rule);
}

static int add_charge(struct sim_books *b, const struct entry *e, struct xeno_err *err)
{
    struct account *server = account_of(b, e->server);
    struct order *o = order_of(b, e->order);
    struct charge *c = xeno_new0(struct charge), *before;

    c->key.session = e->session;
    c->key.seq = e->seq;
    HASH_FIND(hh, b->charges, &c->key, sizeof(c->key), before);
    if (before) {
        free(c);
        return broken(e->n, "a charge is posted at most once", err);
    }
    HASH_ADD(hh, b->charges, key, sizeof(c->key), c);
    if (e->fee < 0 || e->fee > e->amount)
        return broken(e->n, "a fee is a part of its charge", err);
    o->held -= e->amount;
    o->charged += e->amount;
    account_of(b, e->client)->total -= e->amount;
    server->balance += e->amount - e->fee;
    server->total = server->balance;
    b->fees += e->fee;
    if (e->s_after != server->balance)
        return broken(e->n, "a XenoServer's statement adds up line by line", err);
    if (o->held < 0 || o->returned)
        return broken(e->n, "an order is charged at most what it holds", err);
    return 0;
}

static int add_entry(struct sim_books *b, const struct entry *e, struct xeno_err *err)
{
    struct account *client = account_of(b, e->client);
    struct order *o;
    int r = 0;

    switch (e->kind) {
    case CORP_FUND:
        b->issued -= e->amount;
        client->balance += e->amount;
        client->total += e->amount;
        break;
    case CORP_HOLD:
        o = order_of(b, e->order);
        if (o->amount != 0)
            return broken(e->n, "an order is set aside once", err);
        o->amount = o->held = e->amount;
        client->balance -= e->amount;
        break;
    case CORP_CHARGE:
        r = add_charge(b, e, err);
        break;
    case CORP_RETURN:
        o = order_of(b, e->order);
        if (o->returned || e->amount != o->held)
            return broken(e->n, "the rest of an order goes back once, and all of it", err);
        o->returned = true;
        o->held = 0;
        client->balance += e->amount;
        break;
    default:
        return broken(e->n, "of no known kind", err);
    }
    if (r < 0)
        return r;
    if (client->balance < 0)
        return broken(e->n, "no client has less than nothing", err);
    if (e->c_after != client->total)
        return broken(e->n, "a client's statement adds up line by line", err);
    return 0;
}

static int read_entries(struct sim_books *b, struct xeno_db *db, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q,
                             "SELECT n, kind, client, amount, c_after, ord, server, fee, s_after,"
                             " session, seq FROM entry WHERE n > $1 ORDER BY n",
                             err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, b->last);
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct entry e = {
            xeno_query_col_int(&q, 0), xeno_query_col_int(&q, 1),  xeno_query_col_int(&q, 2),
            xeno_query_col_int(&q, 3), xeno_query_col_int(&q, 4),  xeno_query_col_int(&q, 5),
            xeno_query_col_int(&q, 6), xeno_query_col_int(&q, 7),  xeno_query_col_int(&q, 8),
            xeno_query_col_int(&q, 9), xeno_query_col_int(&q, 10),
        };

        b->last = e.n;
        r = add_entry(b, &e, err);
        if (r < 0)
            return r;
    }
    return r;
}

/* --- what the XenoCorp says --- */

static int compare_account(struct xeno_db *db, int64_t n, int64_t balance, int64_t total,
                           struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, "SELECT balance, total FROM account WHERE n = $1", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, n);
    r = xeno_query_step(&q, err);
    if (r < 0)
        return r;
    if (r == 0 || xeno_query_col_int(&q, 0) != balance || xeno_query_col_int(&q, 1) != total)
        return xeno_fail(err, -EUCLEAN, "sim.books",
                         "account %" PRId64 " has %" PRId64 " and %" PRId64
                         ", its entries make %" PRId64 " and %" PRId64,
                         n, r ? xeno_query_col_int(&q, 0) : 0, r ? xeno_query_col_int(&q, 1) : 0,
                         balance, total);
    return 0;
}

static int compare_order(struct xeno_db *db, const struct order *o, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, "SELECT amount, charged, held, state FROM orders WHERE n = $1",
                             err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, o->n);
    r = xeno_query_step(&q, err);
    if (r < 0)
        return r;
    if (r == 0 || xeno_query_col_int(&q, 0) != o->amount ||
        xeno_query_col_int(&q, 1) != o->charged || xeno_query_col_int(&q, 2) != o->held ||
        (xeno_query_col_int(&q, 3) >= CORP_ORDER_CLOSED) != o->returned)
        return xeno_fail(err, -EUCLEAN, "sim.books",
                         "order %" PRId64 " is not what its entries make: amount %" PRId64
                         ", charged %" PRId64 ", held %" PRId64 ", %s",
                         o->n, o->amount, o->charged, o->held, o->returned ? "ended" : "open");
    return 0;
}

/* Everything the entries touched, and our two own accounts. */
static int compare(struct sim_books *b, struct xeno_db *db, struct xeno_err *err)
{
    int r = compare_account(db, CORP_ACCOUNT_ISSUED, b->issued, b->issued, err);

    if (r >= 0)
        r = compare_account(db, CORP_ACCOUNT_FEES, b->fees, b->fees, err);
    for (struct account *a = b->accounts; r >= 0 && a; a = a->hh.next) {
        if (a->touched)
            r = compare_account(db, a->n, a->balance, a->total, err);
        a->touched = false;
    }
    for (struct order *o = b->orders; r >= 0 && o; o = o->hh.next) {
        if (o->touched)
            r = compare_order(db, o, err);
        o->touched = false;
    }
    return r < 0 ? r : 0;
}

int sim_books_follow(struct sim_books *b, struct xeno_db *db, struct xeno_err *err)
{
    int64_t before = b->last;
    int r = read_entries(b, db, err);

    if (r < 0 || b->last == before)
        return r;
    return compare(b, db, err);
}
