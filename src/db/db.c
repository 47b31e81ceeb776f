/* src/db/db.c - statement cache, nested transactions, argument lists; the same for each back end.
 */
#include "db/db.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "db/backend.h"

static const struct xeno_db_backend *const backends[] = { &xeno_db_sqlite, &xeno_db_postgres };

static int open_db(const char *url, bool later, struct xeno_db **ret, struct xeno_err *err)
{
    for (size_t i = 0; i < XENO_LEN(backends); i++) {
        size_t len = strlen(backends[i]->scheme);

        if (strncmp(url, backends[i]->scheme, len) == 0 && url[len] != '\0')
            return backends[i]->open(url + len, later, ret, err);
    }
    return xeno_fail(err, -EINVAL, "db.url",
                     "'%.80s' is not a database: write sqlite:PATH, for example "
                     "sqlite:/var/lib/xeno/ledger.db, or postgresql://HOST/NAME",
                     url);
}

int xeno_db_open(const char *url, struct xeno_db **ret, struct xeno_err *err)
{
    return open_db(url, false, ret, err);
}

int xeno_db_open_later(const char *url, struct xeno_db **ret, struct xeno_err *err)
{
    return open_db(url, true, ret, err);
}

static void stmt_free(const struct xeno_db_backend *back, struct xeno_db_stmt *st)
{
    back->unprepare(st->handle);
    free(st);
}

void xeno_db_free(struct xeno_db *db)
{
    struct xeno_db_stmt *st, *next;

    if (!db)
        return;
    HASH_ITER (hh, db->stmts, st, next) {
        HASH_DEL(db->stmts, st);
        stmt_free(db->back, st);
    }
    db->back->close(db);
}

/* --- transactions --- */

/* An error such as a full disk can end the whole transaction behind our back. What follows must not
 * then be committed statement by statement. */
static int check_transaction(struct xeno_db *db, struct xeno_err *err)
{
    if (db->depth > 0 && !db->back->in_transaction(db))
        return xeno_fail(err, -EIO, "db.io", "the transaction was ended by an earlier error");
    return 0;
}

int xeno_db_begin(struct xeno_db *db, struct xeno_err *err)
{
    char sql[40];
    int r = check_transaction(db, err);

    if (r < 0)
        return r;
    snprintf(sql, sizeof sql, "SAVEPOINT s%d", db->depth);
    r = db->back->script(db, db->depth > 0 ? sql : db->back->begin, err);
    if (r < 0)
        return r;
    db->depth++;
    return 0;
}

int xeno_db_commit(struct xeno_db *db, struct xeno_err *err)
{
    char sql[40] = "COMMIT";
    int r = check_transaction(db, err);

    assert(db->depth > 0);
    if (r == 0) {
        if (db->depth > 1)
            snprintf(sql, sizeof sql, "RELEASE s%d", db->depth - 1);
        r = db->back->script(db, sql, err);
    }
    if (r < 0) {
        xeno_db_rollback(db);
        return r;
    }
    db->depth--;
    return 0;
}

void xeno_db_rollback(struct xeno_db *db)
{
    char sql[64] = "ROLLBACK";

    if (db->depth == 0)
        return;
    if (db->depth > 1)
        snprintf(sql, sizeof sql, "ROLLBACK TO s%d; RELEASE s%d", db->depth - 1, db->depth - 1);
    if (db->back->in_transaction(db))
        (void)db->back->script(db, sql, NULL); /* fails only when there is nothing to undo */
    db->depth--;
}

/* --- schema --- */

static int schema_version(struct xeno_db *db, const char *part, int64_t *ret, struct xeno_err *err)
{
    int r = db->back->schema ? db->back->script(db, db->back->schema, err) : 0;

    if (r == 0)
        r = db->back->script(db,
                             "CREATE TABLE IF NOT EXISTS xeno_schema ("
                             " part text PRIMARY KEY, version bigint NOT NULL)",
                             err);
    if (r < 0)
        return r;
    return xeno_db_one_int(db, 0, ret, err, "SELECT version FROM xeno_schema WHERE part = $1", "t",
                           part);
}

static int migrate_steps(struct xeno_db *db, const char *part, const char *const *steps,
                         size_t count, struct xeno_err *err)
{
    int64_t at;
    int r = schema_version(db, part, &at, err);

    if (r < 0)
        return r;
    if (at > (int64_t)count)
        return xeno_fail(err, -EPROTO, "db.version",
                         "the database has schema version %" PRId64
                         " of '%s', this program knows up to %zu: run the newer program",
                         at, part, count);
    if (at == (int64_t)count)
        return 0;
    for (size_t i = (size_t)at; i < count; i++) {
        r = db->back->script(db, steps[i], err);
        if (r < 0)
            return xeno_context(err, r, "schema step %zu", i + 1);
    }
    return xeno_db_run(db, err,
                       "INSERT INTO xeno_schema (part, version) VALUES ($1, $2)"
                       " ON CONFLICT (part) DO UPDATE SET version = excluded.version",
                       "ti", part, (int64_t)count);
}

int xeno_db_migrate_part(struct xeno_db *db, const char *part, const char *const *steps,
                         size_t count, struct xeno_err *err)
{
    int r = xeno_db_begin(db, err);

    if (r < 0)
        return r;
    r = migrate_steps(db, part, steps, count, err);
    if (r < 0) {
        xeno_db_rollback(db);
        return r;
    }
    return xeno_db_commit(db, err);
}

int xeno_db_migrate(struct xeno_db *db, const char *const *steps, size_t count,
                    struct xeno_err *err)
{
    return xeno_db_migrate_part(db, "main", steps, count, err);
}

/* --- queries --- */

static int stmt_get(struct xeno_db *db, const char *sql, struct xeno_db_stmt **ret,
                    struct xeno_err *err)
{
    struct xeno_db_stmt *st;
    void *handle;
    bool once;
    int r;

    HASH_FIND_PTR(db->stmts, &sql, st);
    if (st && !st->in_use) {
        *ret = st;
        return 0;
    }
    once = st != NULL;
    r = db->back->prepare(db, sql, &handle, err);
    if (r < 0)
        return r;
    st = xeno_new0(struct xeno_db_stmt);
    st->sql = sql;
    st->handle = handle;
    st->once = once;
    if (!once)
        HASH_ADD_PTR(db->stmts, sql, st);
    *ret = st;
    return 0;
}

int xeno_query_begin(struct xeno_db *db, struct xeno_query *q, const char *sql,
                     struct xeno_err *err)
{
    struct xeno_db_stmt *st;
    int r = check_transaction(db, err);

    xeno_query_finish(q);
    if (r < 0)
        return r;
    r = stmt_get(db, sql, &st, err);
    if (r < 0)
        return r;
    st->in_use = true;
    st->bad_bind = false;
    q->db = db;
    q->stmt = st;
    return 0;
}

void xeno_query_finish(struct xeno_query *q)
{
    struct xeno_db_stmt *st = q->stmt;

    if (!st)
        return;
    q->stmt = NULL;
    if (st->once) {
        stmt_free(q->db->back, st);
        return;
    }
    q->db->back->reset(st->handle);
    st->in_use = false;
}

void xeno_query_int(struct xeno_query *q, int i, int64_t n)
{
    struct xeno_db_stmt *st = q->stmt;

    st->bad_bind |= !q->db->back->bind_int(st->handle, i, n);
}

void xeno_query_text(struct xeno_query *q, int i, const char *text)
{
    struct xeno_db_stmt *st = q->stmt;

    if (!text) {
        xeno_query_null(q, i);
        return;
    }
    st->bad_bind |= !q->db->back->bind_text(st->handle, i, text);
}

void xeno_query_blob(struct xeno_query *q, int i, const void *data, size_t len)
{
    struct xeno_db_stmt *st = q->stmt;

    st->bad_bind |= !q->db->back->bind_blob(st->handle, i, data, len);
}

void xeno_query_null(struct xeno_query *q, int i)
{
    struct xeno_db_stmt *st = q->stmt;

    st->bad_bind |= !q->db->back->bind_null(st->handle, i);
}

int xeno_query_step(struct xeno_query *q, struct xeno_err *err)
{
    struct xeno_db_stmt *st = q->stmt;

    if (st->bad_bind)
        return xeno_fail(err, -EINVAL, "db.sql", "a parameter could not be bound in: %.200s",
                         st->sql);
    return q->db->back->step(q->db, st->handle, err);
}

int64_t xeno_query_col_int(struct xeno_query *q, int i)
{
    return q->db->back->col_int(((struct xeno_db_stmt *)q->stmt)->handle, i);
}

const char *xeno_query_col_text(struct xeno_query *q, int i)
{
    return q->db->back->col_text(((struct xeno_db_stmt *)q->stmt)->handle, i);
}

const void *xeno_query_col_blob(struct xeno_query *q, int i, size_t *ret_len)
{
    return q->db->back->col_blob(((struct xeno_db_stmt *)q->stmt)->handle, i, ret_len);
}

bool xeno_query_col_null(struct xeno_query *q, int i)
{
    return q->db->back->col_null(((struct xeno_db_stmt *)q->stmt)->handle, i);
}

/* --- whole statements --- */

static void bind_args(struct xeno_query *q, const char *types, va_list ap)
{
    for (int i = 1; *types; types++, i++) {
        if (*types == 'i') {
            xeno_query_int(q, i, va_arg(ap, int64_t));
        } else if (*types == 't') {
            xeno_query_text(q, i, va_arg(ap, const char *));
        } else {
            const void *data = va_arg(ap, const void *);

            assert(*types == 'b');
            xeno_query_blob(q, i, data, va_arg(ap, size_t));
        }
    }
}

int xeno_db_run(struct xeno_db *db, struct xeno_err *err, const char *sql, const char *types, ...)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    va_list ap;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    va_start(ap, types);
    bind_args(&q, types, ap);
    va_end(ap);
    do
        r = xeno_query_step(&q, err);
    while (r > 0);
    if (r < 0)
        return r;
    return (int)db->back->changes(db, ((struct xeno_db_stmt *)q.stmt)->handle);
}

int xeno_db_one_int(struct xeno_db *db, int64_t none, int64_t *ret, struct xeno_err *err,
                    const char *sql, const char *types, ...)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    va_list ap;
    int r = xeno_query_begin(db, &q, sql, err);

    if (r < 0)
        return r;
    va_start(ap, types);
    bind_args(&q, types, ap);
    va_end(ap);
    r = xeno_query_step(&q, err);
    if (r < 0)
        return r;
    *ret = r > 0 ? xeno_query_col_int(&q, 0) : none;
    return 0;
}

/* --- others that write --- */

int xeno_db_notify(struct xeno_db *db, const char *channel, struct xeno_err *err)
{
    return db->back->notify ? db->back->notify(db, channel, err) : 0;
}

int xeno_db_wait(struct xeno_db *db, const char *channel, int wake_fd, int timeout_ms,
                 struct xeno_err *err)
{
    struct pollfd wake = { .fd = wake_fd, .events = POLLIN };

    assert(db->depth == 0);
    if (db->back->wait)
        return db->back->wait(db, channel, wake_fd, timeout_ms, err);
    (void)poll(&wake, 1, timeout_ms);
    return 0;
}

bool xeno_db_is_shared(const struct xeno_db *db)
{
    return db->back->wait != NULL;
}
