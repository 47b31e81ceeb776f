/* src/corp/storage.c - the certificates that orders are bound to, and auditing them. */
#include "corp/storage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "corp/internal.h"

static const char *const words[] = { "open", "passed", "wrong", "late" };

const char *xeno_challenge_word(enum xeno_challenge_result result)
{
    return words[result];
}

/* --- certificates --- */

int corp_certificate_copy(struct xeno_corp *corp, const struct corp_order *o,
                          const struct xeno_writecert *c, int64_t *ret, struct xeno_err *err)
{
    for (int64_t copy = 1; copy <= c->copies; copy++) {
        int64_t taken = 0;
        int r = corp_one(corp, 0, &taken, err,
                         "SELECT count(*) FROM certificate c JOIN binding b ON b.ord = c.ord"
                         " AND b.epoch = c.epoch WHERE c.id = $1 AND c.client = $2 AND c.copy = $3"
                         " AND b.how = 0",
                         "tii", c->id, o->client, copy);

        if (r < 0)
            return r;
        *ret = copy;
        if (taken == 0)
            return 0;
    }
    return xeno_fail(err, -EDQUOT, "storage.copies",
                     "certificate %s is for %" PRId64 " copies, and so many are paid for", c->id,
                     c->copies);
}

int corp_certificate_of(struct xeno_corp *corp, const struct corp_order *o, int64_t *ret,
                        struct xeno_err *err)
{
    return corp_one(corp, 0, ret, err, "SELECT copy FROM certificate WHERE ord = $1 AND epoch = $2",
                    "ii", o->n, o->epoch);
}

/* Evenly from 0 to below `n`. */
static int64_t random_below(struct xeno_corp *corp, int64_t n)
{
    uint64_t r;

    xeno_random(corp->env, &r, sizeof r);
    return n > 0 ? (int64_t)(r % (uint64_t)n) : 0;
}

/* When the next challenge is due: at a time that the node cannot foresee; 0: never. */
static int64_t next_audit(struct xeno_corp *corp)
{
    int64_t every = corp->policy.audit_every.ns / XENO_NS_PER_MS;

    return every > 0 ? xeno_corp_now_ms(corp) + 1 + random_below(corp, 2 * every) : 0;
}

int corp_certificate_new(struct xeno_corp *corp, const struct corp_order *o, const char *holder,
                         const char *text, const struct xeno_writecert *c, int64_t copy,
                         struct xeno_err *err)
{
    int r = corp_run(corp, err,
                     "INSERT INTO certificate (ord, epoch, client, node, id, holder, copy, copies,"
                     " size, audit_ms, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                     "iiiittiiiit", o->n, o->epoch, o->client, o->server, c->id, holder, copy,
                     c->copies, c->size, next_audit(corp), text);

    return r < 0 ? r : 0;
}

/* A certificate as a row has it. */
struct row {
    int64_t n, ord, epoch, client, node;
    struct xeno_writecert *cert;
};

static int find_row(struct xeno_corp *corp, int64_t n, int64_t ord, int64_t epoch, struct row *ret,
                    struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_pub holder;
    const char *text;
    int r = corp_query(corp, &q,
                       "SELECT n, ord, epoch, client, node, holder, doc FROM certificate"
                       " WHERE n = $1 OR (ord = $2 AND epoch = $3)",
                       err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, n);
    xeno_query_int(&q, 2, ord);
    xeno_query_int(&q, 3, epoch);
    r = corp_step(corp, &q, err);
    if (r <= 0)
        return r < 0 ? r
                     : xeno_fail(err, -ENOENT, "storage.unbound",
                                 "the order is not bound to a write certificate");
    *ret = (struct row){ .n = xeno_query_col_int(&q, 0),
                         .ord = xeno_query_col_int(&q, 1),
                         .epoch = xeno_query_col_int(&q, 2),
                         .client = xeno_query_col_int(&q, 3),
                         .node = xeno_query_col_int(&q, 4) };
    text = xeno_query_col_text(&q, 6);
    if (!xeno_pub_parse(xeno_query_col_text(&q, 5), &holder))
        return corp_seen(corp, xeno_fail(err, -EIO, "storage.row", "a holder's key is damaged"));
    return corp_seen(corp, xeno_writecert_read(text, strlen(text), &holder, &ret->cert, err));
}

/* --- asking --- */

#define COLUMNS                                                                                    \
    "SELECT h.n, o.id, c.id, p.id, h.owner, h.digest, h.block, h.made_ms, h.deadline_ms,"          \
    " h.ended_ms, h.result FROM challenge h JOIN certificate c ON c.n = h.cert"                    \
    " JOIN orders o ON o.n = c.ord JOIN party p ON p.n = h.node"

static void from_row(struct xeno_query *q, struct xeno_challenge *ret)
{
    *ret =
        (struct xeno_challenge){ .n = xeno_query_col_int(q, 0),
                                 .owner = xeno_query_col_int(q, 4) != 0,
                                 .block = xeno_query_col_int(q, 6),
                                 .made_ms = xeno_query_col_int(q, 7),
                                 .deadline_ms = xeno_query_col_int(q, 8),
                                 .ended_ms = xeno_query_col_int(q, 9),
                                 .result = (enum xeno_challenge_result)xeno_query_col_int(q, 10) };
    snprintf(ret->order, sizeof ret->order, "%s", xeno_query_col_text(q, 1));
    snprintf(ret->certificate, sizeof ret->certificate, "%s", xeno_query_col_text(q, 2));
    snprintf(ret->node, sizeof ret->node, "%s", xeno_query_col_text(q, 3));
    snprintf(ret->digest, sizeof ret->digest, "%s", xeno_query_col_text(q, 5));
}

/* Returns: 1, or 0 when there is none. */
static int read_one(struct xeno_corp *corp, int64_t n, struct xeno_challenge *ret,
                    struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = corp_query(corp, &q, COLUMNS " WHERE h.n = $1", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, n);
    r = corp_step(corp, &q, err);
    if (r > 0)
        from_row(&q, ret);
    return r;
}

static int log_challenge(struct xeno_corp *corp, const struct row *row,
                         const struct xeno_challenge *h, const char *act, const char *result,
                         struct xeno_err *err)
{
    const int64_t readers[] = { row->client, row->node };
    int r = 0;

    for (size_t i = 0; r >= 0 && i < XENO_LEN(readers); i++)
        r = corp_log_act(corp, readers[i], err,
                         "\"act\":\"%s\",\"audit\":%" PRId64 ",\"order\":\"%s\","
                         "\"certificate\":\"%s\",\"node\":\"%s\",\"digest\":\"%s\","
                         "\"block\":%" PRId64 ",\"by\":\"%s\",\"result\":\"%s\"",
                         act, h->n, h->order, h->certificate, h->node, h->digest, h->block,
                         h->owner ? "owner" : "corp", result);
    return r;
}

/* Any byte of the certificate, as the block of the object that has it. */
static const struct xeno_stored_object *pick(struct xeno_corp *corp, const struct row *row,
                                             int64_t *ret_block)
{
    int64_t at = random_below(corp, row->cert->size);
    const struct xeno_stored_object *o = row->cert->objects;

    for (; at >= o->size; o++)
        at -= o->size;
    *ret_block = at / XENO_STORED_BLOCK;
    return o;
}

/* Returns: 0 with *ret filled. A certificate of no bytes has nothing to ask for: -ENOENT. */
static int challenge(struct xeno_corp *corp, const struct row *row, bool owner,
                     struct xeno_challenge *ret, struct xeno_err *err)
{
    int64_t now = xeno_corp_now_ms(corp), block = 0, n = 0;
    const struct xeno_stored_object *o;
    int r;

    if (row->cert->size == 0)
        return xeno_fail(err, -ENOENT, "storage.unbound", "the certificate is about no bytes");
    o = pick(corp, row, &block);
    r = corp_run(corp, err,
                 "INSERT INTO challenge (cert, client, node, owner, digest, block, made_ms,"
                 " deadline_ms, ended_ms, result, answer)"
                 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, '')",
                 "iiiitiii", row->n, row->client, row->node, (int64_t)owner, o->digest, block, now,
                 now + corp->policy.audit_patience.ns / XENO_NS_PER_MS);
    if (r >= 0)
        r = corp_one(corp, 0, &n, err, "SELECT max(n) FROM challenge", "");
    if (r >= 0)
        r = read_one(corp, n, ret, err);
    return r < 0 ? r : log_challenge(corp, row, ret, "store-audit", "open", err);
}

int xeno_challenge_ask(struct xeno_corp *corp, const char *id, const char *order,
                       struct xeno_challenge *ret, struct xeno_err *err)
{
    struct corp_party *p = NULL;
    struct corp_order *o = NULL;
    struct row row = { .cert = NULL };
    int64_t open = 0;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_order(corp, order, &o, err);
    if (r == 0 && o->client != p->n)
        r = xeno_fail(err, -ENOENT, "order.unknown", "there is no order %.40s here", order);
    if (r == 0 && o->session == 0)
        r = xeno_fail(err, -ENOENT, "storage.unbound",
                      "the order is not bound to a write certificate");
    if (r == 0)
        r = find_row(corp, 0, o->n, o->epoch, &row, err);
    if (r == 0)
        r = corp_one(corp, 0, &open, err,
                     "SELECT n FROM challenge WHERE cert = $1 AND owner = 1 AND result = 0", "i",
                     row.n);
    if (r == 0)
        r = open ? read_one(corp, open, ret, err) : challenge(corp, &row, true, ret, err);
    xeno_writecert_free(row.cert);
    return r < 0 ? r : 0;
}

int xeno_challenges(struct xeno_corp *corp, const char *id, int64_t after, int max,
                    struct xeno_challenge *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_party *p = NULL;
    int count = 0;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_query(corp, &q,
                       p->kind == CORP_NODE
                           ? COLUMNS " WHERE h.node = $1 AND h.result = 0 AND h.n > $2"
                                     " ORDER BY h.n LIMIT $3"
                           : COLUMNS " WHERE h.client = $1 AND h.n > $2 ORDER BY h.n LIMIT $3",
                       err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, p->n);
    xeno_query_int(&q, 2, after);
    xeno_query_int(&q, 3, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0)
        from_row(&q, &ret[count++]);
    return r < 0 ? r : count;
}

/* --- the outcome --- */

/* What follows is for the binding the question was about, if that is in force still. */
static int suspend(struct xeno_corp *corp, const struct row *row, const struct xeno_challenge *h,
                   struct xeno_err *err)
{
    struct corp_order *o = NULL;
    int r = corp_order(corp, h->order, &o, err);

    if (r < 0 || o->session == 0 || o->epoch != row->epoch)
        return r;
    if (o->suspended_ms != 0 && o->suspended_ms <= h->made_ms)
        return 0;
    o->suspended_ms = h->made_ms;
    corp_order_dirty(corp, o);
    return 0;
}

static int end_challenge(struct xeno_corp *corp, const struct row *row, struct xeno_challenge *h,
                         enum xeno_challenge_result result, const char *answer,
                         struct xeno_err *err)
{
    int r;

    h->result = result;
    h->ended_ms = xeno_corp_now_ms(corp);
    r = corp_run(corp, err,
                 "UPDATE challenge SET result = $1, ended_ms = $2, answer = $3 WHERE n = $4",
                 "iiti", (int64_t)result, h->ended_ms, answer, h->n);
    if (r >= 0 && result != XENO_CHALLENGE_PASSED)
        r = suspend(corp, row, h, err);
    return r < 0 ? r : log_challenge(corp, row, h, "store-audit-end", words[result], err);
}

static int cert_of(struct xeno_corp *corp, int64_t n, struct row *ret, struct xeno_err *err)
{
    int64_t cert = 0;
    int r = corp_one(corp, 0, &cert, err, "SELECT cert FROM challenge WHERE n = $1", "i", n);

    return r < 0 ? r : find_row(corp, cert, 0, 0, ret, err);
}

int xeno_challenge_answer(struct xeno_corp *corp, const char *id, int64_t n,
                          const struct xeno_store_answer *a, const char *text,
                          struct xeno_challenge *ret, struct xeno_err *err)
{
    struct row row = { .cert = NULL };
    enum xeno_challenge_result result = XENO_CHALLENGE_WRONG;
    int r = read_one(corp, n, ret, err);

    if (r < 0)
        return r;
    if (r == 0 || strcmp(ret->node, id) != 0)
        return xeno_fail(err, -ENOENT, "storage.challenge", "%s was not asked that", id);
    if (ret->result != XENO_CHALLENGE_OPEN)
        return 0;
    r = cert_of(corp, n, &row, err);
    if (r < 0)
        return r;
    if (xeno_corp_now_ms(corp) > ret->deadline_ms)
        result = XENO_CHALLENGE_LATE;
    else if (xeno_store_answer_check(a, row.cert, n, ret->digest, ret->block, NULL) == 0)
        result = XENO_CHALLENGE_PASSED;
    r = end_challenge(corp, &row, ret, result, text, err);
    xeno_writecert_free(row.cert);
    return r;
}

/* --- what time does --- */

#define CHUNK 32

/* The first column of the rows of `sql`, which has the time and a limit as its parameters. */
static int due(struct xeno_corp *corp, const char *sql, int64_t *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_query(corp, &q, sql, err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, xeno_corp_now_ms(corp));
    xeno_query_int(&q, 2, CHUNK);
    while (count < CHUNK && (r = corp_step(corp, &q, err)) > 0)
        ret[count++] = xeno_query_col_int(&q, 0);
    return r < 0 ? r : count;
}

static int end_late(struct xeno_corp *corp, int64_t n, struct xeno_err *err)
{
    struct xeno_challenge h;
    struct row row = { .cert = NULL };
    int r = read_one(corp, n, &h, err);

    if (r > 0)
        r = cert_of(corp, n, &row, err);
    if (r == 0)
        r = end_challenge(corp, &row, &h, XENO_CHALLENGE_LATE, "", err);
    xeno_writecert_free(row.cert);
    return r;
}

/* One more question, if the binding is in force and paid for. */
static int ask_due(struct xeno_corp *corp, int64_t n, struct xeno_err *err)
{
    struct xeno_challenge h;
    struct row row = { .cert = NULL };
    int64_t live = 0;
    int r = corp_seen(corp, corp_rows_flush(corp, err));

    if (r == 0)
        r = corp_one(corp, 0, &live, err,
                     "SELECT count(*) FROM certificate c JOIN orders o ON o.n = c.ord"
                     " WHERE c.n = $1 AND o.b_session <> 0 AND o.epoch = c.epoch"
                     " AND o.b_suspended_ms = 0 AND c.size > 0",
                     "i", n);
    if (r == 0)
        r = corp_run(corp, err, "UPDATE certificate SET audit_ms = $1 WHERE n = $2", "ii",
                     live ? next_audit(corp) : 0, n);
    if (r < 0 || !live)
        return r < 0 ? r : 0;
    r = find_row(corp, n, 0, 0, &row, err);
    if (r == 0)
        r = challenge(corp, &row, false, &h, err);
    xeno_writecert_free(row.cert);
    return r;
}

int corp_tick_storage(struct xeno_corp *corp, int limit, struct xeno_err *err)
{
    static const struct {
        const char *sql;
        int (*act)(struct xeno_corp *corp, int64_t n, struct xeno_err *err);
    } works[] = {
        { "SELECT n FROM challenge WHERE result = 0 AND deadline_ms < $1 LIMIT $2", end_late },
        { "SELECT n FROM certificate WHERE audit_ms > 0 AND audit_ms <= $1 LIMIT $2", ask_due },
    };
    int64_t list[CHUNK];
    bool more = false;

    (void)limit; /* a chunk of each is less */
    for (size_t i = 0; i < XENO_LEN(works); i++) {
        int count = due(corp, works[i].sql, list, err), r = 0;

        for (int k = 0; k < count && r >= 0; k++)
            r = works[i].act(corp, list[k], err);
        if (count < 0 || r < 0)
            return count < 0 ? count : r;
        more |= count == CHUNK;
    }
    return more;
}
