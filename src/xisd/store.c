/* src/xisd/store.c - the adverts in the database. */
#include "xisd/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What both kinds of database understand. */
static const char *const steps[] = {
    "CREATE TABLE xis_clock (one bigint PRIMARY KEY CHECK (one = 1), seq bigint NOT NULL);"
    "INSERT INTO xis_clock VALUES (1, 0);"
    "CREATE TABLE xis_advert ("
    " id text PRIMARY KEY,"
    " version bigint NOT NULL,"
    " base bigint NOT NULL,"
    " expires_ms bigint NOT NULL,"
    " seq bigint NOT NULL,"
    " withdrawn bigint NOT NULL CHECK (withdrawn IN (0, 1)),"
    " carrier text NOT NULL,"
    " jws text NOT NULL,"
    " delta text);"
    "CREATE INDEX xis_advert_seq ON xis_advert (seq);"
    "CREATE INDEX xis_advert_expires ON xis_advert (expires_ms);",
    "ALTER TABLE xis_clock ADD COLUMN epoch text NOT NULL DEFAULT ''",
};

void xisd_row_of(const struct xeno_advert *a, const char *carrier, struct xisd_row *ret)
{
    *ret = (struct xisd_row){ .id = a->id.s,
                              .carrier = carrier,
                              .version = a->version,
                              .base = a->base,
                              .expires_ms = a->expires.ns / XENO_NS_PER_MS,
                              .withdrawn = a->withdrawn,
                              .jws = a->jws,
                              .delta = a->delta,
                              .jws_len = a->jws_len,
                              .delta_len = a->delta_len };
}

int xisd_store_open(struct xeno_db *db, struct xeno_err *err)
{
    return xeno_db_migrate_part(db, "xis", steps, XENO_LEN(steps), err);
}

int xisd_store_version(struct xeno_db *db, const char *id, int64_t *ret, struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret, err, "SELECT version FROM xis_advert WHERE id = $1", "t",
                           id);
}

int xisd_store_clock(struct xeno_db *db, struct xisd_clock *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, "SELECT seq, epoch FROM xis_clock", err);

    if (r == 0)
        r = xeno_query_step(&q, err);
    if (r == 0)
        r = xeno_fail(err, -EIO, "db.rows", "the clock of the adverts is missing");
    if (r < 0)
        return r;
    ret->seq = xeno_query_col_int(&q, 0);
    snprintf(ret->epoch, sizeof ret->epoch, "%s", xeno_query_col_text(&q, 1));
    return 0;
}

int xisd_store_rename(struct xeno_db *db, const char *old, const char *epoch, struct xeno_err *err)
{
    int r =
        xeno_db_run(db, err, "UPDATE xis_clock SET epoch = $1 WHERE epoch = $2", "tt", epoch, old);

    return r < 0 ? r : 0;
}

int xisd_store_has(struct xeno_db *db, const char *id, int64_t seq, bool *ret, struct xeno_err *err)
{
    int64_t n = 0;
    int r = xeno_db_one_int(db, 0, &n, err,
                            "SELECT count(*) FROM xis_advert WHERE id = $1 AND seq >= $2", "ti", id,
                            seq);

    *ret = n > 0;
    return r;
}

int xisd_store_begin(struct xeno_db *db, int64_t count, int64_t *ret_seq, struct xeno_err *err)
{
    int64_t last = 0;
    int r = xeno_db_begin(db, err);

    if (r < 0)
        return r;
    r = xeno_db_one_int(db, -1, &last, err, "UPDATE xis_clock SET seq = seq + $1 RETURNING seq",
                        "i", count);
    if (r == 0 && last < 0)
        r = xeno_fail(err, -EIO, "db.rows", "the clock of the adverts is missing");
    if (r < 0) {
        xeno_db_rollback(db);
        return r;
    }
    *ret_seq = last - count + 1;
    return 0;
}

/* Only numbers moved: the document stays where it is. Returns: 1 when that was all. */
static int put_delta(struct xeno_db *db, const struct xisd_row *row, struct xeno_err *err)
{
    return xeno_db_run(db, err,
                       "UPDATE xis_advert SET version = $2, expires_ms = $3, seq = $4,"
                       " carrier = $5, delta = $6"
                       " WHERE id = $1 AND base = $7 AND version < $2 AND withdrawn = 0",
                       "tiiitti", row->id, row->version, row->expires_ms, row->seq, row->carrier,
                       row->delta, row->base);
}

int xisd_store_put(struct xeno_db *db, const struct xisd_row *row, struct xeno_err *err)
{
    int r = row->delta ? put_delta(db, row, err) : 0;

    if (r == 0)
        r = xeno_db_run(db, err,
                        "INSERT INTO xis_advert (id, version, base, expires_ms, seq, withdrawn,"
                        " carrier, jws, delta) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                        " ON CONFLICT (id) DO UPDATE SET version = excluded.version,"
                        " base = excluded.base, expires_ms = excluded.expires_ms,"
                        " seq = excluded.seq, withdrawn = excluded.withdrawn,"
                        " carrier = excluded.carrier, jws = excluded.jws, delta = excluded.delta"
                        " WHERE xis_advert.version < excluded.version",
                        "tiiiiittt", row->id, row->version, row->base, row->expires_ms, row->seq,
                        (int64_t)row->withdrawn, row->carrier, row->jws, row->delta);
    if (r == 0)
        return xeno_fail(err, -EEXIST, "xis.old",
                         "version %" PRId64 " of %s is not newer than what is here", row->version,
                         row->id);
    return r < 0 ? r : 0;
}

static void read_row(struct xeno_query *q, struct xisd_row *row)
{
    row->id = xeno_query_col_text(q, 0);
    row->version = xeno_query_col_int(q, 1);
    row->base = xeno_query_col_int(q, 2);
    row->expires_ms = xeno_query_col_int(q, 3);
    row->seq = xeno_query_col_int(q, 4);
    row->withdrawn = xeno_query_col_int(q, 5) != 0;
    row->carrier = xeno_query_col_text(q, 6);
    row->jws = xeno_query_col_text(q, 7);
    row->jws_len = strlen(row->jws);
    row->delta = xeno_query_col_text(q, 8);
    row->delta_len = row->delta ? strlen(row->delta) : 0;
}

int xisd_store_read(struct xeno_db *db, int64_t after, int64_t limit,
                    int (*fn)(void *arg, const struct xisd_row *row, struct xeno_err *err),
                    void *arg, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0, r;

    r = xeno_query_begin(db, &q,
                         "SELECT id, version, base, expires_ms, seq, withdrawn, carrier, jws, delta"
                         " FROM xis_advert WHERE seq > $1 ORDER BY seq LIMIT $2",
                         err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, after);
    xeno_query_int(&q, 2, limit);
    while ((r = xeno_query_step(&q, err)) > 0) {
        struct xisd_row row = { .id = NULL };

        read_row(&q, &row);
        r = fn(arg, &row, err);
        if (r < 0)
            return r;
        count++;
    }
    return r < 0 ? r : count;
}

int xisd_store_sweep(struct xeno_db *db, int64_t before_ms, int64_t limit, struct xeno_err *err)
{
    return xeno_db_run(db, err,
                       "DELETE FROM xis_advert WHERE id IN (SELECT id FROM xis_advert"
                       " WHERE expires_ms < $1 ORDER BY expires_ms LIMIT $2)",
                       "ii", before_ms, limit);
}

int xisd_store_count(struct xeno_db *db, int64_t *ret, struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret, err, "SELECT count(*) FROM xis_advert", "");
}
