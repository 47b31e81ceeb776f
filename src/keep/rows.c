/* src/keep/rows.c - the tables, and certificates as rows of them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "keep/row.h"

static const char *const schema[] = {
    "CREATE TABLE kept ("
    " n INTEGER PRIMARY KEY, state bigint NOT NULL, size bigint NOT NULL, copies bigint NOT NULL,"
    " copy bigint NOT NULL, price bigint NOT NULL, tariff bigint NOT NULL,"
    " due_ms bigint NOT NULL, epoch bigint NOT NULL, budget bigint NOT NULL,"
    " rank bigint NOT NULL, issued_ms bigint NOT NULL, expires_ms bigint NOT NULL,"
    " window_ms bigint NOT NULL, from_ms bigint NOT NULL, at_ms bigint NOT NULL,"
    " end_ms bigint NOT NULL, paying bigint NOT NULL CHECK (paying >= 0), total bigint NOT NULL,"
    " rest bigint NOT NULL, told bigint NOT NULL, charged bigint NOT NULL,"
    " charged_to_ms bigint NOT NULL, seq bigint NOT NULL, posted bigint NOT NULL,"
    " refused bigint NOT NULL, release_due bigint NOT NULL, id text NOT NULL UNIQUE,"
    " owner text NOT NULL, ord text NOT NULL, digest text NOT NULL, why text NOT NULL,"
    " holder text NOT NULL, doc text NOT NULL, chain text NOT NULL, receipt text NOT NULL,"
    " reclaimed text NOT NULL, CHECK (charged <= budget));"
    "CREATE INDEX kept_owner ON kept (owner, n);"
    "CREATE INDEX kept_asked ON kept (n) WHERE state = 1;"
    "CREATE INDEX kept_end ON kept (end_ms, rank) WHERE state = 2;"
    "CREATE INDEX kept_due ON kept (due_ms) WHERE state = 2;"
    "CREATE INDEX kept_release ON kept (n) WHERE release_due = 1;"
    "CREATE TABLE certified ("
    " cert bigint NOT NULL REFERENCES kept (n), digest text NOT NULL, size bigint NOT NULL,"
    " PRIMARY KEY (cert, digest)) WITHOUT ROWID;"
    "CREATE INDEX certified_digest ON certified (digest, cert);"
    "CREATE TABLE keep_clock (id bigint PRIMARY KEY, at_ms bigint NOT NULL);"
    "INSERT INTO keep_clock VALUES (1, 0);" XENO_OUTBOX_SCHEMA,
};

int xeno_keep_open(struct xeno_db *db, struct xeno_err *err)
{
    return xeno_db_migrate_part(db, "keep", schema, XENO_LEN(schema), err);
}

int xeno_keep_clock(struct xeno_db *db, int64_t *ret_ms, struct xeno_err *err)
{
    return xeno_db_one_int(db, 0, ret_ms, err, "SELECT at_ms FROM keep_clock WHERE id = 1", "");
}

int keep_clock(struct xeno_db *db, int64_t now_ms, struct xeno_err *err)
{
    int r = xeno_db_run(db, err, "UPDATE keep_clock SET at_ms = $1 WHERE id = 1 AND at_ms < $1",
                        "i", now_ms);

    return r < 0 ? r : 0;
}

void keep_row_from(struct xeno_query *q, struct keep_row *r)
{
    int64_t *const numbers[] = {
        &r->n,          &r->state,     &r->size,    &r->copies,  &r->copy,          &r->price,
        &r->tariff,     &r->due_ms,    &r->epoch,   &r->budget,  &r->rank,          &r->issued_ms,
        &r->expires_ms, &r->window_ms, &r->from_ms, &r->at_ms,   &r->end_ms,        &r->paying,
        &r->total,      &r->rest,      &r->told,    &r->charged, &r->charged_to_ms, &r->seq,
        &r->posted,     &r->refused,   &r->release,
    };
    const struct {
        char *to;
        size_t room;
    } texts[] = {
        { r->id, sizeof r->id },       { r->owner, sizeof r->owner },
        { r->order, sizeof r->order }, { r->digest, sizeof r->digest },
        { r->why, sizeof r->why },
    };

    for (size_t i = 0; i < XENO_LEN(numbers); i++)
        *numbers[i] = xeno_query_col_int(q, (int)i);
    for (size_t i = 0; i < XENO_LEN(texts); i++)
        snprintf(texts[i].to, texts[i].room, "%s",
                 xeno_query_col_text(q, (int)(XENO_LEN(numbers) + i)));
}

static int take_row(struct xeno_query *q, struct keep_row *ret, struct xeno_err *err)
{
    int r = xeno_query_step(q, err);

    if (r > 0)
        keep_row_from(q, ret);
    return r;
}

int keep_find_text(struct xeno_db *db, const char *sql, const char *value, struct keep_row *ret,
                   struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, value);
    return take_row(&q, ret, err);
}

int keep_find_int(struct xeno_db *db, const char *sql, int64_t value, struct keep_row *ret,
                  struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, value);
    return take_row(&q, ret, err);
}

int keep_save(struct xeno_db *db, const struct keep_row *r, struct xeno_err *err)
{
    int n = xeno_db_run(
        db, err,
        "UPDATE kept SET state = $2, copy = $3, epoch = $4, budget = $5, rank = $6, window_ms = $7,"
        " from_ms = $8, at_ms = $9, end_ms = $10, paying = $11, total = $12, rest = $13,"
        " told = $14, charged = $15, charged_to_ms = $16, seq = $17, posted = $18, refused = $19,"
        " release_due = $20, due_ms = $21, why = $22 WHERE n = $1",
        "iiiiiiiiiiiiiiiiiiiiit", r->n, r->state, r->copy, r->epoch, r->budget, r->rank,
        r->window_ms, r->from_ms, r->at_ms, r->end_ms, r->paying, r->total, r->rest, r->told,
        r->charged, r->charged_to_ms, r->seq, r->posted, r->refused, r->release, r->due_ms, r->why);

    return n < 0 ? n : 0;
}

int keep_text(struct xeno_db *db, int64_t n, const char *sql, char **ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    const char *text;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, n);
    r = xeno_query_step(&q, err);
    text = r > 0 ? xeno_query_col_text(&q, 0) : NULL;
    *ret = text && *text ? xeno_strdup(text) : NULL;
    return r < 0 ? r : 0;
}
