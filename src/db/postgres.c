/* src/db/postgres.c - PostgreSQL, and what speaks its protocol, behind db.h.
 *
 * What is handled here so that callers see no difference from SQLite:
 *  - An error in a transaction undoes the statement alone: what may fail is sent between SAVEPOINT
 *    and RELEASE, the three in one round trip (pipeline). A plain SELECT is sent without.
 *  - COMMIT of a transaction that failed is answered as a success that rolled back: that is an
 *    error here.
 *  - A connection that broke is made again when the next transaction, or statement outside of one,
 *    begins; not more than once a second. Prepared statements are numbered by the connection that
 *    knows them.
 *  - "blob" is a domain over bytea.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "db/backend.h"
#include "db/pq.h"

#define RETRY_S   1
#define OID_BYTEA 17
#define GUARD     "xeno_statement"

struct pq_db {
    struct xeno_db base;
    const struct xeno_pq *pq;
    PGconn *conn;
    uint64_t generation; /* of the connection, from 1 */
    uint64_t next_name;
    time_t retry_at;       /* monotonic: no new connection before */
    const char *listening; /* borrowed; NULL: to none on this connection */
    bool told;             /* notified since the last wait */
};

struct param {
    char *data; /* NULL: SQL's NULL */
    int len;
    bool binary;
};

struct pq_stmt {
    struct pq_db *db;
    const char *sql;
    char name[24];
    uint64_t generation; /* of the connection that knows it; 0: none */
    int params;          /* highest number in the text */
    bool guarded;        /* may fail for what it is asked to do */
    struct param param[XENO_DB_PARAMS_MAX];
    PGresult *res;
    int row;
    void *blob; /* the last one decoded */
};

static struct pq_db *pq_of(struct xeno_db *db)
{
    return (struct pq_db *)db;
}

/* --- errors --- */

static int away(struct pq_db *p, struct xeno_err *err)
{
    const char *text = p->pq->PQerrorMessage(p->conn);

    return xeno_fail(err, -ENOTCONN, "db.away", "the database cannot be reached: %.*s",
                     (int)strcspn(text, "\n"), text);
}

/* The SQLSTATE's first letters decide; the first row that fits. */
static int fail(struct pq_db *p, const PGresult *res, const char *what, struct xeno_err *err)
{
    static const struct {
        const char *state;
        int code;
        const char *token;
    } map[] = {
        { "23505", -EEXIST, "db.unique" }, { "23", -EDOM, "db.check" },
        { "40", -EAGAIN, "db.busy" },      { "55P03", -EAGAIN, "db.busy" },
        { "57014", -EAGAIN, "db.busy" },   { "53100", -ENOSPC, "db.full" },
        { "53", -EIO, "db.io" },           { "25P03", -EIO, "db.io" },
        { "25P02", -EIO, "db.io" },        { "25006", -EIO, "db.io" },
        { "08", -ENOTCONN, "db.away" },    { "57P", -ENOTCONN, "db.away" },
        { "58", -EIO, "db.io" },           { "XX", -EIO, "db.io" },
    };
    const char *state = res ? p->pq->PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
    const char *text = res ? p->pq->PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    if (!state || p->pq->PQstatus(p->conn) != CONNECTION_OK)
        return away(p, err);
    for (size_t i = 0; i < XENO_LEN(map); i++) {
        if (strncmp(state, map[i].state, strlen(map[i].state)) == 0)
            return xeno_fail(err, map[i].code, map[i].token, "%s", text);
    }
    return xeno_fail(err, -EINVAL, "db.sql", "%s in: %.200s", text, what);
}

static bool is_ok(struct pq_db *p, const PGresult *res)
{
    ExecStatusType s = p->pq->PQresultStatus(res);

    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK;
}

/* --- the connection --- */

static int run(struct pq_db *p, const char *sql, struct xeno_err *err)
{
    PGresult *res = p->pq->PQexec(p->conn, sql);
    int r = 0;

    if (!is_ok(p, res))
        r = fail(p, res, sql, err);
    else if (strcmp(sql, "COMMIT") == 0 && strcmp(p->pq->PQcmdStatus(res), "COMMIT") != 0)
        r = xeno_fail(err, -EIO, "db.io", "the transaction had failed and was undone");
    p->pq->PQclear(res);
    return r;
}

/* Locks are bounded by the server, so that a node that hangs in a transaction stops no other. */
static int set_up(struct pq_db *p, struct xeno_err *err)
{
    p->generation++;
    p->listening = NULL;
    p->told = true; /* what was said while the connection was away is not known */
    return run(p,
               "SET client_min_messages = warning; SET standard_conforming_strings = on;"
               "SET bytea_output = hex; SET default_transaction_isolation = 'read committed';"
               "SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '30s';"
               "SELECT set_config('synchronous_commit', 'on', false)"
               " WHERE current_setting('synchronous_commit') = 'off'",
               err);
}

static time_t mono_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

/* A connection, made again if need be. In a transaction a new one would be of no use. */
static int ensure(struct pq_db *p, struct xeno_err *err)
{
    if (p->pq->PQstatus(p->conn) == CONNECTION_OK)
        return 0;
    if (p->base.depth > 0 || mono_s() < p->retry_at)
        return away(p, err);
    p->retry_at = mono_s() + RETRY_S;
    p->pq->PQreset(p->conn);
    if (p->pq->PQstatus(p->conn) != CONNECTION_OK)
        return away(p, err);
    return set_up(p, err);
}

static bool in_transaction(struct xeno_db *db)
{
    struct pq_db *p = pq_of(db);
    PGTransactionStatusType s = p->pq->PQtransactionStatus(p->conn);

    return s == PQTRANS_INTRANS || s == PQTRANS_INERROR || s == PQTRANS_ACTIVE;
}

static int script(struct xeno_db *db, const char *sql, struct xeno_err *err)
{
    struct pq_db *p = pq_of(db);
    int r = ensure(p, err);

    if (r < 0)
        return r;
    r = run(p, sql, err);
    /* The server went while nothing was asked of it: nothing was lost by that. */
    if (r == -ENOTCONN && db->depth == 0 && strcmp(sql, "BEGIN") == 0 && ensure(p, err) == 0)
        r = run(p, sql, err);
    return r;
}

static void no_notice(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

static void close_db(struct xeno_db *db)
{
    struct pq_db *p = pq_of(db);

    p->pq->PQfinish(p->conn);
    free(p);
}

/* What the URL says comes last and counts. */
static PGconn *dial(const struct xeno_pq *pq, const char *url)
{
    static const char *const keys[] = {
        "connect_timeout",           "keepalives_idle",  "keepalives_interval",
        "keepalives_count",          "tcp_user_timeout", "client_encoding",
        "fallback_application_name", "dbname",           NULL
    };
    const char *const values[] = { "5", "10", "5", "3", "20000", "UTF8", "xeno", url, NULL };

    return pq->PQconnectdbParams(keys, values, 1);
}

static int open_db(const char *rest, bool later, struct xeno_db **ret, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("postgresql:%s", rest);
    const struct xeno_pq *pq;
    struct pq_db *p;
    int r = xeno_pq_load(&pq, err);

    if (r < 0)
        return r;
    if (strncmp(rest, "//", 2) != 0)
        return xeno_fail(err, -EINVAL, "db.url",
                         "a PostgreSQL database is postgresql://[USER@][HOST][:PORT]/NAME");
    p = xeno_new0(struct pq_db);
    p->base.back = &xeno_db_postgres;
    p->pq = pq;
    p->conn = dial(pq, url);
    pq->PQsetNoticeProcessor(p->conn, no_notice, NULL);
    r = pq->PQstatus(p->conn) == CONNECTION_OK ? set_up(p, err) : away(p, err);
    if (later && r == -ENOTCONN) {
        p->retry_at = mono_s() + RETRY_S;
        r = 0;
    }
    if (r < 0) {
        if (err)
            strcpy(err->token, "db.open");
        close_db(&p->base);
        return r;
    }
    *ret = &p->base;
    return 0;
}

/* --- statements --- */

/* The highest $n outside of quotes. */
static int count_params(const char *sql)
{
    bool quoted = false;
    int most = 0;

    for (const char *s = sql; *s; s++) {
        int n;

        quoted ^= *s == '\'';
        n = !quoted && *s == '$' ? atoi(s + 1) : 0;
        most = n > most ? n : most;
    }
    return most;
}

static int prepare_here(struct pq_stmt *st, struct xeno_err *err)
{
    struct pq_db *p = st->db;
    PGresult *res;
    int r = ensure(p, err);

    if (r < 0 || st->generation == p->generation)
        return r;
    snprintf(st->name, sizeof st->name, "s%" PRIu64, p->next_name++);
    res = p->pq->PQprepare(p->conn, st->name, st->sql, 0, NULL);
    if (!is_ok(p, res))
        r = fail(p, res, st->sql, err);
    else
        st->generation = p->generation;
    p->pq->PQclear(res);
    return r;
}

static void reset(void *handle)
{
    struct pq_stmt *st = handle;

    st->db->pq->PQclear(st->res);
    st->db->pq->PQfreemem(st->blob);
    st->res = NULL;
    st->blob = NULL;
    for (int i = 0; i < st->params; i++) {
        free(st->param[i].data);
        st->param[i] = (struct param){ .data = NULL };
    }
}

static void unprepare(void *handle)
{
    struct pq_stmt *st = handle;
    struct pq_db *p = st->db;
    char sql[48];

    reset(st);
    if (st->generation == p->generation && p->pq->PQstatus(p->conn) == CONNECTION_OK) {
        snprintf(sql, sizeof sql, "DEALLOCATE %s", st->name);
        p->pq->PQclear(p->pq->PQexec(p->conn, sql));
    }
    free(st);
}

static int prepare(struct xeno_db *db, const char *sql, void **ret_handle, struct xeno_err *err)
{
    struct pq_stmt *st = xeno_new0(struct pq_stmt);
    int r;

    st->db = pq_of(db);
    st->sql = sql;
    st->params = count_params(sql);
    st->guarded = strncmp(sql, "SELECT", 6) != 0;
    if (st->params > XENO_DB_PARAMS_MAX)
        r = xeno_fail(err, -EINVAL, "db.sql", "more than $%d in: %.200s", XENO_DB_PARAMS_MAX, sql);
    else
        r = prepare_here(st, err);
    if (r < 0) {
        free(st);
        return r;
    }
    *ret_handle = st;
    return 0;
}

static bool bind(void *handle, int i, char *data, size_t len, bool binary)
{
    struct pq_stmt *st = handle;

    if (i < 1 || i > st->params || len > INT32_MAX) {
        free(data);
        return false;
    }
    free(st->param[i - 1].data);
    st->param[i - 1] = (struct param){ .data = data, .len = (int)len, .binary = binary };
    return true;
}

static bool bind_int(void *handle, int i, int64_t n)
{
    return bind(handle, i, xeno_asprintf("%" PRId64, n), 0, false);
}

static bool bind_text(void *handle, int i, const char *text)
{
    return bind(handle, i, xeno_strdup(text), 0, false);
}

static bool bind_blob(void *handle, int i, const void *data, size_t len)
{
    char *copy = xeno_try_alloc(len + 1);

    if (!copy)
        return false;
    if (len > 0)
        memcpy(copy, data, len);
    return bind(handle, i, copy, len, true);
}

static bool bind_null(void *handle, int i)
{
    return bind(handle, i, NULL, 0, false);
}

/* --- running them --- */

struct values {
    const char *data[XENO_DB_PARAMS_MAX];
    int len[XENO_DB_PARAMS_MAX], format[XENO_DB_PARAMS_MAX];
};

static void values_of(const struct pq_stmt *st, struct values *v)
{
    for (int i = 0; i < st->params; i++) {
        v->data[i] = st->param[i].data;
        v->len[i] = st->param[i].len;
        v->format[i] = st->param[i].binary;
    }
}

/* SAVEPOINT, the statement, RELEASE in one round trip. Returns: the statement's result; NULL when
 * the connection broke. */
static PGresult *exec_guarded(struct pq_stmt *st, const struct values *v)
{
    struct pq_db *p = st->db;
    const struct xeno_pq *pq = p->pq;
    PGresult *ret = NULL, *res;
    int at = 0;
    bool sent;

    pq->PQenterPipelineMode(p->conn);
    sent = pq->PQsendQueryParams(p->conn, "SAVEPOINT " GUARD, 0, NULL, NULL, NULL, NULL, 0) &&
           pq->PQsendQueryPrepared(p->conn, st->name, st->params, v->data, v->len, v->format, 0) &&
           pq->PQsendQueryParams(p->conn, "RELEASE " GUARD, 0, NULL, NULL, NULL, NULL, 0) &&
           pq->PQpipelineSync(p->conn);
    /* Three results, each followed by NULL, then that of the synchronisation. */
    while (sent && at < 4 && pq->PQstatus(p->conn) == CONNECTION_OK) {
        res = pq->PQgetResult(p->conn);
        if (!res) {
            at++;
            continue;
        }
        if (at == 3)
            at++;
        if (at == 1 && !ret)
            ret = res;
        else
            pq->PQclear(res);
    }
    pq->PQexitPipelineMode(p->conn);
    if (ret && !is_ok(p, ret) && pq->PQstatus(p->conn) == CONNECTION_OK)
        (void)run(p, "ROLLBACK TO " GUARD "; RELEASE " GUARD, NULL);
    return ret;
}

static int execute(struct xeno_db *db, struct pq_stmt *st, struct xeno_err *err)
{
    struct pq_db *p = pq_of(db);
    struct values v;
    int r = prepare_here(st, err);

    if (r < 0)
        return r;
    values_of(st, &v);
    if (st->guarded && db->depth > 0)
        st->res = exec_guarded(st, &v);
    else
        st->res = p->pq->PQexecPrepared(p->conn, st->name, st->params, v.data, v.len, v.format, 0);
    st->row = -1;
    if (st->res && is_ok(p, st->res))
        return 0;
    r = fail(p, st->res, st->sql, err);
    p->pq->PQclear(st->res);
    st->res = NULL;
    return r;
}

static int step(struct xeno_db *db, void *handle, struct xeno_err *err)
{
    struct pq_stmt *st = handle;

    if (!st->res) {
        int r = execute(db, st, err);

        if (r < 0)
            return r;
    }
    if (st->row + 1 >= st->db->pq->PQntuples(st->res))
        return 0;
    st->row++;
    return 1;
}

/* SELECT counts its rows too: those are not changes. */
static int64_t changes(struct xeno_db *db, void *handle)
{
    struct pq_stmt *st = handle;
    const struct xeno_pq *pq = pq_of(db)->pq;

    if (!st->res || strncmp(pq->PQcmdStatus(st->res), "SELECT", 6) == 0)
        return 0;
    return strtoll(pq->PQcmdTuples(st->res), NULL, 10);
}

/* --- columns: what comes is text, of bytea hexadecimal --- */

static bool col_null(void *handle, int i)
{
    struct pq_stmt *st = handle;

    return !st->res || st->row < 0 || i >= st->db->pq->PQnfields(st->res) ||
           st->db->pq->PQgetisnull(st->res, st->row, i);
}

static const char *col_text(void *handle, int i)
{
    struct pq_stmt *st = handle;

    return col_null(handle, i) ? NULL : st->db->pq->PQgetvalue(st->res, st->row, i);
}

static int64_t col_int(void *handle, int i)
{
    const char *text = col_text(handle, i);

    if (!text)
        return 0;
    return strcmp(text, "t") == 0 ? 1 : strtoll(text, NULL, 10);
}

static const void *col_blob(void *handle, int i, size_t *ret_len)
{
    struct pq_stmt *st = handle;
    const char *text = col_text(handle, i);

    *ret_len = 0;
    if (!text)
        return NULL;
    if (st->db->pq->PQftype(st->res, i) != OID_BYTEA) {
        *ret_len = (size_t)st->db->pq->PQgetlength(st->res, st->row, i);
        return text;
    }
    st->db->pq->PQfreemem(st->blob);
    st->blob = st->db->pq->PQunescapeBytea((const unsigned char *)text, ret_len);
    return st->blob;
}

/* --- notifications --- */

static int notify(struct xeno_db *db, const char *channel, struct xeno_err *err)
{
    return xeno_db_run(db, err, "SELECT pg_notify($1, '')", "t", channel);
}

static int listen_to(struct pq_db *p, const char *channel, struct xeno_err *err)
{
    char sql[80];
    int r = ensure(p, err);

    if (r < 0 || (p->listening && strcmp(p->listening, channel) == 0))
        return r;
    snprintf(sql, sizeof sql, "LISTEN %.60s", channel);
    r = run(p, sql, err);
    p->listening = r < 0 ? NULL : channel;
    return r;
}

/* Returns: 1 when something came. */
static int drain(struct pq_db *p, struct xeno_err *err)
{
    bool told = p->told;
    PGnotify *n;

    if (!p->pq->PQconsumeInput(p->conn))
        return away(p, err);
    while ((n = p->pq->PQnotifies(p->conn))) {
        told = true;
        p->pq->PQfreemem(n);
    }
    p->told = false;
    return told;
}

static int wait_db(struct xeno_db *db, const char *channel, int wake_fd, int timeout_ms,
                   struct xeno_err *err)
{
    struct pq_db *p = pq_of(db);
    int r = listen_to(p, channel, err);

    if (r == 0)
        r = drain(p, err);
    if (r == 0) {
        struct pollfd fds[] = { { .fd = p->pq->PQsocket(p->conn), .events = POLLIN },
                                { .fd = wake_fd, .events = POLLIN } };

        if (poll(fds, 2, timeout_ms) > 0 && fds[0].revents)
            r = drain(p, err);
    } else if (r < 0) {
        struct pollfd wake = { .fd = wake_fd, .events = POLLIN };

        (void)poll(&wake, 1, timeout_ms); /* the failure is known; it will not be better at once */
    }
    return r;
}

const struct xeno_db_backend xeno_db_postgres = {
    .scheme = "postgresql:",
    .begin = "BEGIN",
    /* One of several programs that start at once makes the tables, the others wait. The number is
     * "xeno". */
    .schema = "SELECT pg_advisory_xact_lock(2019913327);"
              "DO $$ BEGIN IF to_regtype('blob') IS NULL THEN CREATE DOMAIN blob AS bytea; END IF;"
              " END $$",
    .open = open_db,
    .close = close_db,
    .script = script,
    .in_transaction = in_transaction,
    .prepare = prepare,
    .unprepare = unprepare,
    .bind_int = bind_int,
    .bind_text = bind_text,
    .bind_blob = bind_blob,
    .bind_null = bind_null,
    .step = step,
    .changes = changes,
    .reset = reset,
    .col_int = col_int,
    .col_text = col_text,
    .col_blob = col_blob,
    .col_null = col_null,
    .notify = notify,
    .wait = wait_db,
};
