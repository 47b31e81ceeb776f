/* src/db/backend.h - what a kind of database provides; for the files of src/db only.
 *
 * db.c keeps the statement cache, the nesting of transactions and the argument lists; a back end
 * knows its library. Its connection starts with `struct xeno_db`, so that the two pointers are one.
 */
#ifndef XENO_DB_BACKEND_H
#define XENO_DB_BACKEND_H

#include <uthash.h>

#include "db/db.h"

/* Statement parameters are numbered up to this. */
#define XENO_DB_PARAMS_MAX 40

/* All members are required but where it says so. `handle` is the back end's prepared statement. */
struct xeno_db_backend {
    const char *scheme; /* "sqlite:" */
    const char *begin;  /* the statement that begins a transaction */
    const char *schema; /* run before a schema is looked at, in the transaction; NULL: nothing */
    /* later: a server that does not answer is no failure. */
    int (*open)(const char *rest, bool later, struct xeno_db **ret, struct xeno_err *err);
    void (*close)(struct xeno_db *db);
    /* Several statements, no parameters, no rows. */
    int (*script)(struct xeno_db *db, const char *sql, struct xeno_err *err);
    /* Does the server still hold our transaction? It may have ended it after an error. */
    bool (*in_transaction)(struct xeno_db *db);

    int (*prepare)(struct xeno_db *db, const char *sql, void **ret_handle, struct xeno_err *err);
    void (*unprepare)(void *handle);
    /* False: no such parameter, or no memory. */
    bool (*bind_int)(void *handle, int i, int64_t n);
    bool (*bind_text)(void *handle, int i, const char *text);
    bool (*bind_blob)(void *handle, int i, const void *data, size_t len);
    bool (*bind_null)(void *handle, int i);
    int (*step)(struct xeno_db *db, void *handle, struct xeno_err *err);
    int64_t (*changes)(struct xeno_db *db, void *handle);
    void (*reset)(void *handle); /* also forgets what was bound */

    int64_t (*col_int)(void *handle, int i);
    const char *(*col_text)(void *handle, int i);
    const void *(*col_blob)(void *handle, int i, size_t *ret_len);
    bool (*col_null)(void *handle, int i);

    /* As xeno_db_notify() and xeno_db_wait(). NULL: nobody else writes. */
    int (*notify)(struct xeno_db *db, const char *channel, struct xeno_err *err);
    int (*wait)(struct xeno_db *db, const char *channel, int wake_fd, int timeout_ms,
                struct xeno_err *err);
};

struct xeno_db_stmt {
    const char *sql; /* key: the address, not the text */
    void *handle;
    bool in_use;
    bool once;     /* not in the cache: its text was in use already when asked for again */
    bool bad_bind; /* told at the next step */
    UT_hash_handle hh;
};

struct xeno_db {
    const struct xeno_db_backend *back;
    struct xeno_db_stmt *stmts;
    int depth; /* of transactions */
};

extern const struct xeno_db_backend xeno_db_sqlite, xeno_db_postgres;

#endif
