/* src/corp/audit.c - the audit trail: written with each act, read by operators. */
#include "corp/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "corp/internal.h"

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}

int corp_audit(struct xeno_corp *corp, const char *who, const char *act, const char *target,
               const char *detail, struct xeno_err *err)
{
    int r = corp_run(corp, err,
                     "INSERT INTO audit (n, time_ms, who, act, target, detail)"
                     " VALUES ($1, $2, $3, $4, $5, $6)",
                     "iitttt", corp->next_audit, xeno_corp_now_ms(corp), who, act, target, detail);

    if (r < 0)
        return r;
    corp->next_audit++;
    return corp_log_audit(corp, who, act, target, detail, err);
}

/* There is no index by session: it would cost the hot path a page for each charge. The clients
 * whose orders paid for a session have few other entries beside it. */
#define CHARGE_COLUMNS                                                                             \
    "SELECT e.n, e.time_ms, o.id, s.name, sp.id, cp.id, e.epoch, e.seq, e.from_ms, e.to_ms,"       \
    " e.tariff, e.amount, e.fee, e.batch, e.text FROM entry e"                                     \
    " JOIN orders o ON o.n = e.ord JOIN session s ON s.n = e.session"                              \
    " JOIN party sp ON sp.n = e.server JOIN party cp ON cp.n = e.client"
#define CHARGE_PAGE " AND e.n > $3 ORDER BY e.n LIMIT $4"

#define SESSION_CLIENTS                                                                            \
    " WHERE e.client IN (SELECT x.client FROM session y JOIN binding b ON b.session = y.n"         \
    " JOIN orders x ON x.n = b.ord WHERE y.name = $2) AND s.name = $2"

static const char *charge_sql(const char *order, const char *session)
{
    if (order && session)
        return CHARGE_COLUMNS SESSION_CLIENTS " AND o.id = $1 AND e.kind = 3" CHARGE_PAGE;
    if (session)
        return CHARGE_COLUMNS SESSION_CLIENTS " AND e.kind = 3" CHARGE_PAGE;
    if (order)
        return CHARGE_COLUMNS " WHERE e.client = (SELECT client FROM orders WHERE id = $1)"
                              " AND o.id = $1 AND e.kind = 3" CHARGE_PAGE;
    return CHARGE_COLUMNS " WHERE e.kind = 3" CHARGE_PAGE;
}

static void charge_from(struct xeno_query *q, struct xeno_audit_charge *c)
{
    *c = (struct xeno_audit_charge){
        .entry = xeno_query_col_int(q, 0),
        .time_ms = xeno_query_col_int(q, 1),
        .epoch = xeno_query_col_int(q, 6),
        .seq = xeno_query_col_int(q, 7),
        .from_ms = xeno_query_col_int(q, 8),
        .to_ms = xeno_query_col_int(q, 9),
        .tariff = xeno_query_col_int(q, 10),
        .amount = xeno_query_col_int(q, 11),
        .fee = xeno_query_col_int(q, 12),
        .batch = xeno_query_col_int(q, 13),
    };
    copy_text(c->order, sizeof c->order, xeno_query_col_text(q, 2));
    copy_text(c->session, sizeof c->session, xeno_query_col_text(q, 3));
    copy_text(c->server, sizeof c->server, xeno_query_col_text(q, 4));
    copy_text(c->client, sizeof c->client, xeno_query_col_text(q, 5));
    copy_text(c->activity, sizeof c->activity, xeno_query_col_text(q, 14));
}

int xeno_audit_charges(struct xeno_corp *corp, const char *order, const char *session,
                       int64_t after, int max, struct xeno_audit_charge *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_query(corp, &q, charge_sql(order, session), err);

    if (r < 0)
        return r;
    if (order)
        xeno_query_text(&q, 1, order);
    if (session)
        xeno_query_text(&q, 2, session);
    xeno_query_int(&q, 3, after);
    xeno_query_int(&q, 4, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0)
        charge_from(&q, &ret[count++]);
    return r < 0 ? r : count;
}

int xeno_audit_batch(struct xeno_corp *corp, int64_t batch, char **ret, size_t *ret_len,
                     struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    const void *doc;
    size_t len = 0;
    int r = corp_query(corp, &q, "SELECT doc FROM batch WHERE n = $1", err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, batch);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return xeno_fail(err, -ENOENT, "audit.batch", "there is no batch %" PRId64, batch);
    doc = xeno_query_col_blob(&q, 0, &len);
    *ret = xeno_strndup(doc, len);
    *ret_len = len;
    return 0;
}

int xeno_audit_acts(struct xeno_corp *corp, int64_t after, int max, struct xeno_audit_act *ret,
                    struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_query(corp, &q,
                       "SELECT n, time_ms, who, act, target, detail FROM audit WHERE n > $1"
                       " ORDER BY n LIMIT $2",
                       err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, after);
    xeno_query_int(&q, 2, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0) {
        struct xeno_audit_act *a = &ret[count++];

        a->n = xeno_query_col_int(&q, 0);
        a->time_ms = xeno_query_col_int(&q, 1);
        copy_text(a->who, sizeof a->who, xeno_query_col_text(&q, 2));
        copy_text(a->act, sizeof a->act, xeno_query_col_text(&q, 3));
        copy_text(a->target, sizeof a->target, xeno_query_col_text(&q, 4));
        copy_text(a->detail, sizeof a->detail, xeno_query_col_text(&q, 5));
    }
    return r < 0 ? r : count;
}
