/* src/db/sqlite.c - SQLite behind db.h.
 *
 * Two traps are handled here. SQLite numbers "$1" by first appearance in the text, not by the
 * digit, so each statement carries a map. And an error such as a full disk may roll back the whole
 * transaction: in_transaction() tells db.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

#include "db/backend.h"

#define BUSY_TIMEOUT_MS 5000 /* another process, such as a backup, holds the file */

struct sqlite_db {
    struct xeno_db base;
    sqlite3 *sq;
};

struct sqlite_stmt {
    sqlite3_stmt *st;
    int index[XENO_DB_PARAMS_MAX + 1]; /* of $i in SQLite's counting; 0: not in the text */
    int64_t changes;
};

static sqlite3 *raw(struct xeno_db *db)
{
    return ((struct sqlite_db *)db)->sq;
}

static int fail(sqlite3 *sq, int rc, const char *what, struct xeno_err *err)
{
    static const struct {
        int rc, code;
        const char *token;
    } map[] = {
        { SQLITE_CONSTRAINT, -EDOM, "db.check" }, { SQLITE_BUSY, -EAGAIN, "db.busy" },
        { SQLITE_LOCKED, -EAGAIN, "db.busy" },    { SQLITE_FULL, -ENOSPC, "db.full" },
        { SQLITE_IOERR, -EIO, "db.io" },          { SQLITE_CORRUPT, -EIO, "db.io" },
        { SQLITE_NOTADB, -EIO, "db.io" },         { SQLITE_READONLY, -EIO, "db.io" },
        { SQLITE_CANTOPEN, -EIO, "db.io" },       { SQLITE_PERM, -EIO, "db.io" },
        { SQLITE_NOMEM, -ENOMEM, "db.io" },
    };
    const char *text = sqlite3_errmsg(sq);

    if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
        rc == SQLITE_CONSTRAINT_ROWID)
        return xeno_fail(err, -EEXIST, "db.unique", "%s", text);
    for (size_t i = 0; i < XENO_LEN(map); i++) {
        if ((rc & 0xff) == map[i].rc)
            return xeno_fail(err, map[i].code, map[i].token, "%s", text);
    }
    return xeno_fail(err, -EINVAL, "db.sql", "%s in: %.200s", text, what);
}

static int script(struct xeno_db *db, const char *sql, struct xeno_err *err)
{
    int rc = sqlite3_exec(raw(db), sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : fail(raw(db), rc, sql, err);
}

static bool in_transaction(struct xeno_db *db)
{
    return !sqlite3_get_autocommit(raw(db));
}

/* --- open and close --- */

static int set_up(struct xeno_db *db, struct xeno_err *err)
{
    sqlite3 *sq = raw(db);

    sqlite3_extended_result_codes(sq, 1);
    sqlite3_busy_timeout(sq, BUSY_TIMEOUT_MS);
    sqlite3_db_config(sq, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* temp_store: a sandboxed daemon has no folder for temporary files. */
    return script(db,
                  "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                  "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
                  "PRAGMA temp_store = MEMORY",
                  err);
}

/* SQLite would use the umask; its journal files take the mode of the database. */
static int make_private(const char *path, struct xeno_err *err)
{
    xeno_autoclose int fd = -1;

    if (strcmp(path, ":memory:") == 0)
        return 0;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return xeno_fail_errno(err, -errno, "db.open", "open database '%s'", path);
    return 0;
}

static void close_db(struct xeno_db *db)
{
    sqlite3_close_v2(raw(db));
    free(db);
}

static int open_db(const char *path, bool later, struct xeno_db **ret, struct xeno_err *err)
{
    struct sqlite_db *s;
    int rc, r = make_private(path, err);

    (void)later; /* a file is there, or can be made */
    if (r < 0)
        return r;
    s = xeno_new0(struct sqlite_db);
    s->base.back = &xeno_db_sqlite;
    rc = sqlite3_open_v2(path, &s->sq,
                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    r = rc == SQLITE_OK ? set_up(&s->base, err) : fail(s->sq, rc, path, err);
    if (r < 0) {
        if (err)
            strcpy(err->token, "db.open");
        close_db(&s->base);
        return xeno_context(err, r, "open database '%s'", path);
    }
    *ret = &s->base;
    return 0;
}

/* --- statements --- */

static int map_params(struct sqlite_stmt *st, const char *sql, struct xeno_err *err)
{
    int count = sqlite3_bind_parameter_count(st->st);

    for (int k = 1; k <= count; k++) {
        const char *name = sqlite3_bind_parameter_name(st->st, k);
        int n = name && *name == '$' ? atoi(name + 1) : 0;

        if (n < 1 || n > XENO_DB_PARAMS_MAX)
            return xeno_fail(err, -EINVAL, "db.sql", "parameter %d is not $1 to $%d in: %.200s", k,
                             XENO_DB_PARAMS_MAX, sql);
        st->index[n] = k;
    }
    return 0;
}

static void unprepare(void *handle)
{
    struct sqlite_stmt *st = handle;

    if (!st)
        return;
    sqlite3_finalize(st->st);
    free(st);
}

static int prepare(struct xeno_db *db, const char *sql, void **ret_handle, struct xeno_err *err)
{
    struct sqlite_stmt *st = xeno_new0(struct sqlite_stmt);
    const char *tail = NULL;
    int r = 0, rc;

    rc = sqlite3_prepare_v3(raw(db), sql, -1, SQLITE_PREPARE_PERSISTENT, &st->st, &tail);
    if (rc != SQLITE_OK)
        r = fail(raw(db), rc, sql, err);
    else if (!st->st || tail[strspn(tail, " \t\n;")] != '\0')
        r = xeno_fail(err, -EINVAL, "db.sql", "not exactly one statement: %.200s", sql);
    else
        r = map_params(st, sql, err);
    if (r < 0) {
        unprepare(st);
        return r;
    }
    *ret_handle = st;
    return 0;
}

static int index_of(struct sqlite_stmt *st, int i)
{
    return i >= 1 && i <= XENO_DB_PARAMS_MAX ? st->index[i] : 0;
}

/* Index 0 is refused by SQLite itself (SQLITE_RANGE). */
static bool bind_int(void *handle, int i, int64_t n)
{
    struct sqlite_stmt *st = handle;
    return sqlite3_bind_int64(st->st, index_of(st, i), n) == SQLITE_OK;
}

static bool bind_text(void *handle, int i, const char *text)
{
    struct sqlite_stmt *st = handle;
    return sqlite3_bind_text(st->st, index_of(st, i), text, -1, SQLITE_TRANSIENT) == SQLITE_OK;
}

static bool bind_blob(void *handle, int i, const void *data, size_t len)
{
    struct sqlite_stmt *st = handle;
    /* A null pointer would bind NULL where an empty blob is meant. */
    return sqlite3_bind_blob64(st->st, index_of(st, i), data ? data : "", len, SQLITE_TRANSIENT) ==
           SQLITE_OK;
}

static bool bind_null(void *handle, int i)
{
    struct sqlite_stmt *st = handle;
    return sqlite3_bind_null(st->st, index_of(st, i)) == SQLITE_OK;
}

static int step(struct xeno_db *db, void *handle, struct xeno_err *err)
{
    struct sqlite_stmt *st = handle;
    int64_t before = sqlite3_total_changes64(raw(db));
    int rc = sqlite3_step(st->st);

    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        st->changes += sqlite3_total_changes64(raw(db)) != before ? sqlite3_changes64(raw(db)) : 0;
        return rc == SQLITE_ROW;
    }
    rc = fail(raw(db), rc, sqlite3_sql(st->st), err);
    sqlite3_reset(st->st);
    return rc;
}

static int64_t changes(struct xeno_db *db, void *handle)
{
    (void)db;
    return ((struct sqlite_stmt *)handle)->changes;
}

static void reset(void *handle)
{
    struct sqlite_stmt *st = handle;

    sqlite3_reset(st->st);
    sqlite3_clear_bindings(st->st);
    st->changes = 0;
}

static int64_t col_int(void *handle, int i)
{
    return sqlite3_column_int64(((struct sqlite_stmt *)handle)->st, i);
}

static const char *col_text(void *handle, int i)
{
    return (const char *)sqlite3_column_text(((struct sqlite_stmt *)handle)->st, i);
}

static const void *col_blob(void *handle, int i, size_t *ret_len)
{
    struct sqlite_stmt *st = handle;
    const void *data = sqlite3_column_blob(st->st, i); /* before the length, as its manual says */

    *ret_len = (size_t)sqlite3_column_bytes(st->st, i);
    return data;
}

static bool col_null(void *handle, int i)
{
    return sqlite3_column_type(((struct sqlite_stmt *)handle)->st, i) == SQLITE_NULL;
}

const struct xeno_db_backend xeno_db_sqlite = {
    .scheme = "sqlite:",
    .begin = "BEGIN IMMEDIATE",
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
};
