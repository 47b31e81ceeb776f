/* src/xenod/keep.c - rows of our own in the journal: kept answers, image defaults, named texts. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "json/json.h"
#include "xenod/xenod.h"

#define IDEM_KEEP_MS (INT64_C(24) * 3600 * 1000)
#define TICK_MS      60000
#define ROWS_A_TICK  1000

static const char *const schema[] = {
    "CREATE TABLE xenod_idem ("
    " key text PRIMARY KEY, body_sha text NOT NULL, status bigint NOT NULL, body text NOT NULL,"
    " time_ms bigint NOT NULL);"
    "CREATE INDEX xenod_idem_time ON xenod_idem (time_ms);"
    "CREATE TABLE xenod_image ("
    " id text PRIMARY KEY, doc text NOT NULL, time_ms bigint NOT NULL);"
    "CREATE TABLE xenod_text (name text PRIMARY KEY, value text NOT NULL);"
    "CREATE TABLE xenod_tariff (epoch bigint PRIMARY KEY, prices text NOT NULL)",
};

int xenod_keep_open(struct xenod *d, struct xeno_err *err)
{
    return xeno_db_migrate_part(d->db, "xenod", schema, XENO_LEN(schema), err);
}

static int64_t now_ms(const struct xenod *d)
{
    return xeno_wall(d->env).ns / XENO_NS_PER_MS;
}

/* --- answers of requests that may be repeated --- */

bool xenod_idem_get(const char *key, const char *body_sha, int *ret_status, char **ret_body,
                    void *user)
{
    struct xenod *d = user;
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xeno_query_begin(d->db, &q,
                             "SELECT body_sha, status, body FROM xenod_idem WHERE key = $1", &err);

    if (r == 0) {
        xeno_query_text(&q, 1, key);
        r = xeno_query_step(&q, &err);
    }
    if (r < 0)
        xeno_log_err(LOG_ERR, "idempotency.read", &err, "%s", "");
    if (r <= 0)
        return false;
    if (strcmp(xeno_query_col_text(&q, 0), body_sha) != 0) {
        *ret_status = 0;
        return true;
    }
    *ret_status = (int)xeno_query_col_int(&q, 1);
    *ret_body = xeno_strdup(xeno_query_col_text(&q, 2));
    return true;
}

void xenod_idem_put(const char *key, const char *body_sha, int status, const char *body, void *user)
{
    struct xenod *d = user;
    struct xeno_err err = XENO_ERR_INIT;

    /* A refusal changed nothing: the same question may have another answer tomorrow. */
    if (status >= 400)
        return;
    if (xeno_db_run(d->db, &err,
                    "INSERT INTO xenod_idem (key, body_sha, status, body, time_ms)"
                    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (key) DO NOTHING",
                    "ttiti", key, body_sha, (int64_t)status, body, now_ms(d)) < 0)
        xeno_log_err(LOG_ERR, "idempotency.write", &err, "%s", "");
}

/* --- named texts --- */

char *xenod_keep_get(struct xenod *d, const char *name)
{
    xeno_autoquery q = XENO_QUERY_INIT;

    if (xeno_query_begin(d->db, &q, "SELECT value FROM xenod_text WHERE name = $1", NULL) < 0)
        return NULL;
    xeno_query_text(&q, 1, name);
    return xeno_query_step(&q, NULL) > 0 ? xeno_strdup(xeno_query_col_text(&q, 0)) : NULL;
}

void xenod_keep_put(struct xenod *d, const char *name, const char *text)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_db_run(d->db, &err,
                    "INSERT INTO xenod_text (name, value) VALUES ($1, $2)"
                    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    "tt", name, text) < 0)
        xeno_log_err(LOG_ERR, "journal.write", &err, "name=%s", name);
}

/* --- prices --- */

int xenod_keep_tariff(struct xenod *d, struct xeno_tariff *t, struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    xeno_autofree char *prices = NULL;
    int64_t epoch;
    int r;

    t->epoch = 1; /* the same in every text, so that only the prices differ */
    doc = xeno_tariff_json(t);
    prices = xeno_json_format(doc, false, NULL);
    r = xeno_db_one_int(d->db, 0, &epoch, err,
                        "SELECT epoch FROM xenod_tariff WHERE prices = $1"
                        " AND epoch = (SELECT max(epoch) FROM xenod_tariff)",
                        "t", prices);
    if (r == 0 && epoch == 0)
        r = xeno_db_one_int(d->db, 0, &epoch, err,
                            "INSERT INTO xenod_tariff (epoch, prices)"
                            " SELECT coalesce(max(epoch), 0) + 1, $1 FROM xenod_tariff"
                            " RETURNING epoch",
                            "t", prices);
    if (r < 0)
        return r;
    t->epoch = epoch;
    return 0;
}

/* --- forgetting --- */

void xenod_keep_tick(struct xenod *d)
{
    xeno_time now = xeno_mono(d->env);
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (now.ns < d->keep_after.ns)
        return;
    d->keep_after = xeno_time_add(now, xeno_ms(TICK_MS));
    r = xeno_db_run(d->db, &err,
                    "DELETE FROM xenod_idem WHERE key IN"
                    " (SELECT key FROM xenod_idem WHERE time_ms < $1 LIMIT $2)",
                    "ii", now_ms(d) - IDEM_KEEP_MS, (int64_t)ROWS_A_TICK);
    if (r >= 0) /* the longest life time of a session, and as long as it is shown after */
        r = xeno_db_run(
            d->db, &err,
            "DELETE FROM xenod_image WHERE id IN"
            " (SELECT id FROM xenod_image WHERE time_ms < $1 LIMIT $2)",
            "ii", now_ms(d) - XENO_HOST_LIFETIME_MAX * 1000 - d->opt.retain.ns / XENO_NS_PER_MS,
            (int64_t)ROWS_A_TICK);
    if (r < 0)
        xeno_log_err(LOG_WARNING, "journal.forget", &err, "%s", "");
}
