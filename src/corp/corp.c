/* src/corp/corp.c - opening the books, and groups. */
#include "corp/corp.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "corp/internal.h"
#include "crypto/x509.h"

const struct xeno_corp_policy xeno_corp_policy_default = {
    .fee_bp = 500,
    .credential = { 24 * 3600 * XENO_NS_PER_S },
    .settlement = { 24 * 3600 * XENO_NS_PER_S },
    .slack = { 60 * XENO_NS_PER_S },
    .keep = { 24 * 3600 * XENO_NS_PER_S },
    .audit_every = { 24 * 3600 * XENO_NS_PER_S },
    .audit_patience = { 3600 * XENO_NS_PER_S },
};

static int check_policy(const struct xeno_corp_policy *p, struct xeno_err *err)
{
    if (p->fee_bp < 0 || p->fee_bp > 10000)
        return xeno_fail(err, -EINVAL, "corp.policy",
                         "the fee of %d basis points is not between 0 and 10000", p->fee_bp);
    if (p->credential.ns <= 0 || p->settlement.ns < 0 || p->slack.ns < 0 || p->keep.ns <= 0 ||
        p->audit_every.ns < 0 || p->audit_patience.ns <= 0)
        return xeno_fail(err, -EINVAL, "corp.policy", "a duration is below its least value");
    return 0;
}

/* Numbers of rows are given out from memory; the database is asked where they stand. */
static int load_counters(struct xeno_corp *corp, struct xeno_err *err)
{
    const struct {
        int64_t *next;
        const char *sql;
        int64_t first;
    } counters[] = {
        { &corp->next_entry, "SELECT max(n) FROM entry", 1 },
        { &corp->next_party, "SELECT max(n) FROM party", CORP_PARTY_FIRST },
        { &corp->next_order, "SELECT max(n) FROM orders", 1 },
        { &corp->next_session, "SELECT max(n) FROM session", 1 },
        { &corp->next_batch, "SELECT max(n) FROM batch", 1 },
        { &corp->next_audit, "SELECT max(n) FROM audit", 1 },
    };

    for (size_t i = 0; i < XENO_LEN(counters); i++) {
        int64_t max = 0;
        int r = xeno_db_one_int(corp->db, 0, &max, err, counters[i].sql, "");

        if (r < 0)
            return r;
        *counters[i].next = max >= counters[i].first ? max + 1 : counters[i].first;
    }
    return 0;
}

/* The books belong to one CA key: orders and credentials in them are signed by it. */
static int check_owner(struct xeno_corp *corp, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_db_run(corp->db, err,
                        "INSERT INTO meta (name, value) VALUES ('corp', $1), ('revision', '0')"
                        " ON CONFLICT (name) DO NOTHING",
                        "t", corp->id.s);

    if (r < 0)
        return r;
    r = xeno_query_begin(corp->db, &q, "SELECT value FROM meta WHERE name = 'corp'", err);
    if (r == 0)
        r = xeno_query_step(&q, err);
    if (r < 0)
        return r;
    if (r == 0 || strcmp(xeno_query_col_text(&q, 0), corp->id.s) != 0)
        return xeno_fail(err, -EPERM, "corp.key", "the books belong to XenoCorp %.32s, not to %s",
                         r ? xeno_query_col_text(&q, 0) : "?", corp->id.s);
    return 0;
}

int xeno_corp_open(struct xeno_db *db, const struct xeno_env *env, const struct xeno_key *ca_key,
                   const char *ca_pem, const struct xeno_corp_policy *policy,
                   struct xeno_corp **ret, struct xeno_err *err)
{
    xeno_auto(xeno_corp) corp = NULL;
    int r = check_policy(policy, err);

    if (r < 0)
        return r;
    r = xeno_db_migrate(db, corp_schema, corp_schema_steps, err);
    if (r < 0)
        return r;
    corp = xeno_new0(struct xeno_corp);
    corp->db = db;
    corp->env = env;
    corp->ca_key = ca_key;
    corp->policy = *policy;
    corp->pub = *xeno_key_pub(ca_key);
    corp->id = xeno_id_of(&corp->pub);
    corp->ca_pem = xeno_strdup(ca_pem);
    r = check_owner(corp, err);
    if (r == 0)
        r = load_counters(corp, err);
    if (r == 0)
        r = corp_log_open(corp, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&corp);
    return 0;
}

void xeno_corp_free(struct xeno_corp *corp)
{
    if (!corp)
        return;
    xeno_corp_rollback(corp);
    corp_rows_drop(corp);
    corp_log_free(corp);
    free(corp->ca_pem);
    free(corp);
}

int xeno_corp_set_policy(struct xeno_corp *corp, const struct xeno_corp_policy *policy,
                         struct xeno_err *err)
{
    int r = check_policy(policy, err);

    if (r == 0)
        corp->policy = *policy;
    return r;
}

const char *xeno_corp_id(const struct xeno_corp *corp)
{
    return corp->id.s;
}

const struct xeno_pub *xeno_corp_pub(const struct xeno_corp *corp)
{
    return &corp->pub;
}

const char *xeno_corp_ca_pem(const struct xeno_corp *corp)
{
    return corp->ca_pem;
}

int64_t xeno_corp_now_ms(const struct xeno_corp *corp)
{
    return xeno_wall(corp->env).ns / XENO_NS_PER_MS;
}

/* --- groups --- */

int xeno_corp_begin(struct xeno_corp *corp, struct xeno_err *err)
{
    int r;

    assert(!corp->open);
    r = xeno_db_begin(corp->db, err);
    if (r < 0)
        return r;
    corp->open = true;
    corp->spoilt = false;
    /* A rollback may have left the counters too high or unknown. */
    if (corp->next_entry == 0 && (load_counters(corp, err) < 0 || corp_log_load(corp, err) < 0)) {
        xeno_corp_rollback(corp);
        return xeno_fail(err, -EIO, "db.io", "the books could not be read again after a failure");
    }
    return 0;
}

void xeno_corp_rollback(struct xeno_corp *corp)
{
    if (!corp->open)
        return;
    xeno_db_rollback(corp->db);
    corp_rows_drop(corp);
    corp->next_entry = 0;
    corp->open = false;
}

int xeno_corp_commit(struct xeno_corp *corp, struct xeno_err *err)
{
    int r = 0;

    assert(corp->open);
    if (corp->spoilt)
        r = xeno_fail(err, -EIO, "corp.undone",
                      "a call of this group failed in the database, so all of it was undone");
    if (r == 0)
        r = corp_rows_flush(corp, err);
    if (r == 0)
        r = corp_log_flush(corp, err);
    if (r == 0)
        r = xeno_db_commit(corp->db, err);
    if (r < 0) {
        xeno_corp_rollback(corp);
        return r;
    }
    corp->open = false;
    corp_log_committed(corp);
    corp_rows_trim(corp);
    return 0;
}

int corp_query(struct xeno_corp *corp, struct xeno_query *q, const char *sql, struct xeno_err *err)
{
    assert(corp->open);
    return corp_seen(corp, xeno_query_begin(corp->db, q, sql, err));
}

int corp_step(struct xeno_corp *corp, struct xeno_query *q, struct xeno_err *err)
{
    return corp_seen(corp, xeno_query_step(q, err));
}

int xeno_corp_tick(struct xeno_corp *corp, int limit, struct xeno_err *err)
{
    int r = corp_tick_orders(corp, limit, err);
    int more = r;

    if (r >= 0)
        r = corp_tick_log(corp, err);
    if (r < 0)
        return r;
    r = corp_tick_storage(corp, limit, err);
    if (r < 0)
        return r;
    more |= r;
    r = corp_tick_registry(corp, limit, err);
    return r < 0 ? r : (more || r);
}
