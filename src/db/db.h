/* src/db/db.h - SQL behind one small interface: SQLite, or PostgreSQL and what speaks its protocol.
 *
 * The SQL text is what both speak: $1 parameters, bigint and text and blob (bytea) columns,
 * INSERT ... ON CONFLICT, RETURNING, CHECK; no now(), no serial, no floating point. Statements are
 * prepared once a connection and kept by their text's address: pass string literals. A statement
 * begins with its verb, without white space before. A statement that fails in a transaction is
 * undone alone, and the transaction goes on (a plain SELECT may end it: db.io from then on).
 *
 * PostgreSQL: the user owns the database, so that it may make tables. The rows of a query are
 * fetched whole: bound them by LIMIT where there may be many. A server that went is noticed at
 * the next statement (db.away), which ends the transaction; whether a commit that failed so was
 * done is not known. The connection is made again at the next begin, or the next statement outside
 * of a transaction, but for one second after a failure; opening one needs libpq.so.5.
 *
 * Durability: xeno_db_commit() returns after the data is on the disk (SQLite: WAL,
 * synchronous=FULL; PostgreSQL: synchronous_commit is not off).
 * Context: one connection belongs to one thread. Nothing here logs.
 */
#ifndef XENO_DB_DB_H
#define XENO_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct xeno_db;

/* Open "sqlite:PATH" (made when missing, mode 0600), "sqlite::memory:", or a libpq URL
 * "postgresql://[USER[:PASSWORD]@][HOST][:PORT]/NAME[?sslmode=verify-full&...]" (a socket's folder
 * as ?host=/run/postgresql).
 *
 * Errors: -EINVAL db.url (unknown kind), and the errno of the failure with db.open; -ENOTCONN when
 *         a server does not answer, -ENOPKG without libpq.
 */
int xeno_db_open(const char *url, struct xeno_db **ret, struct xeno_err *err);
/* The same, but a server that does not answer now is asked again whenever the connection is used,
 * as one that went later is: what is asked of it until then fails with db.away. */
int xeno_db_open_later(const char *url, struct xeno_db **ret, struct xeno_err *err);
void xeno_db_free(struct xeno_db *db);
XENO_DEFINE_AUTO(xeno_db, xeno_db_free);

/* Bring the schema from its present version to XENO_LEN(steps): steps[i] is the SQL (several
 * statements allowed) that leads from version i to i + 1; all in one transaction. A database newer
 * than the program is refused: -EPROTO db.version. */
int xeno_db_migrate(struct xeno_db *db, const char *const *steps, size_t count,
                    struct xeno_err *err);
/* The same for one of several parts that share a database, each with a version of its own.
 * xeno_db_migrate() is the part "main". */
int xeno_db_migrate_part(struct xeno_db *db, const char *part, const char *const *steps,
                         size_t count, struct xeno_err *err);

/* Transactions nest by savepoint, so that one entry of a batch can be undone alone. */
int xeno_db_begin(struct xeno_db *db, struct xeno_err *err);
int xeno_db_commit(struct xeno_db *db, struct xeno_err *err);
void xeno_db_rollback(struct xeno_db *db); /* the innermost; no transaction: no effect */

/* --- a query: bind, step, read columns, finish ---
 *
 *     struct xeno_query q = XENO_QUERY_INIT;          (xeno_autoquery finishes it)
 *     r = xeno_query_begin(db, &q, "SELECT a, b FROM t WHERE id = $1", err);
 *     xeno_query_int(&q, 1, id);
 *     while ((r = xeno_query_step(&q, err)) > 0)
 *         use(xeno_query_col_int(&q, 0), xeno_query_col_text(&q, 1));
 */
struct xeno_query {
    struct xeno_db *db;
    void *stmt;
};
#define XENO_QUERY_INIT                                                                            \
    {                                                                                              \
        .db = NULL                                                                                 \
    }

void xeno_query_finish(struct xeno_query *q);
#define xeno_autoquery __attribute__((cleanup(xeno_query_finish))) struct xeno_query

int xeno_query_begin(struct xeno_db *db, struct xeno_query *q, const char *sql,
                     struct xeno_err *err);
/* Parameters count from 1. Text and blobs are copied. NULL text binds NULL. */
void xeno_query_int(struct xeno_query *q, int i, int64_t n);
void xeno_query_text(struct xeno_query *q, int i, const char *text);
void xeno_query_blob(struct xeno_query *q, int i, const void *data, size_t len);
void xeno_query_null(struct xeno_query *q, int i);

/* Returns: 1 with a row, 0 at the end.
 * Errors: -EEXIST db.unique, -EDOM db.check (also foreign keys and NOT NULL), -EAGAIN db.busy,
 *         -ENOSPC db.full, -EIO db.io, -ENOTCONN db.away, -EINVAL db.sql (our own mistake). */
int xeno_query_step(struct xeno_query *q, struct xeno_err *err);

/* Columns count from 0; text and blobs are borrowed until the next step. NULL reads as 0, NULL. */
int64_t xeno_query_col_int(struct xeno_query *q, int i);
const char *xeno_query_col_text(struct xeno_query *q, int i);
const void *xeno_query_col_blob(struct xeno_query *q, int i, size_t *ret_len);
bool xeno_query_col_null(struct xeno_query *q, int i);

/* Run one statement that returns no rows; `types` has a letter an argument: i (int64_t),
 * t (const char *), b (const void *, size_t). Returns: rows changed; errors as xeno_query_step().
 *     xeno_db_run(db, err, "UPDATE a SET n = n + $1 WHERE id = $2", "it", (int64_t)n, id); */
int xeno_db_run(struct xeno_db *db, struct xeno_err *err, const char *sql, const char *types, ...);

/* The first column of the first row of such a statement as an integer; `none` when no row came. */
int xeno_db_one_int(struct xeno_db *db, int64_t none, int64_t *ret, struct xeno_err *err,
                    const char *sql, const char *types, ...);

/* --- a database that others write to as well --- */

/* May others write to it while it is open? Then xeno_db_wait() hears of them. */
bool xeno_db_is_shared(const struct xeno_db *db);

/* Tell those who wait on `channel` (a literal of letters) when the present transaction commits, or
 * at once outside of one. SQLite: no effect. */
int xeno_db_notify(struct xeno_db *db, const char *channel, struct xeno_err *err);

/* Wait until somebody told, `wake_fd` (-1: none) is readable, or `timeout_ms` are over. What is
 * told may be what is known already, and a notice that came while the connection was away counts as
 * told. Not in a transaction. Returns: 1 told, 0 not. Errors: db.away, after the same wait. */
int xeno_db_wait(struct xeno_db *db, const char *channel, int wake_fd, int timeout_ms,
                 struct xeno_err *err);

#endif
