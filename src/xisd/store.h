/* src/xisd/store.h - the adverts in the database: the texts as they were signed, and what is asked
 * of them in SQL (rfc/0017, section 1).
 *
 * A row is what an id is now: an advert, perhaps with a delta, or a withdrawal. The higher version
 * wins in the statement itself, so that any number of nodes may write. Each change has a number, in
 * the order in which the changes can be seen. Rows that are over stay for a day, and keep out what
 * is older. Context: the thread that owns the connection.
 */
#ifndef XENO_XISD_STORE_H
#define XENO_XISD_STORE_H

#include "db/db.h"
#include "xis/advert.h"

/* Borrows everything. */
struct xisd_row {
    const char *id, *carrier; /* carrier: the credential that brought this version */
    int64_t version, base;    /* as struct xeno_advert */
    int64_t expires_ms, seq;
    bool withdrawn;
    const char *jws, *delta; /* delta NULL: none */
    size_t jws_len, delta_len;
};
void xisd_row_of(const struct xeno_advert *a, const char *carrier, struct xisd_row *ret);

/* Make or bring up to date what is in the database. */
int xisd_store_open(struct xeno_db *db, struct xeno_err *err);

/* The version of an id; 0: it has none. */
int xisd_store_version(struct xeno_db *db, const char *id, int64_t *ret, struct xeno_err *err);

/* Numbers up to `seq` have been given, and what has one of them can be seen. `epoch` names this
 * numbering, for as long as the database is not put back to an older state. */
#define XISD_EPOCH 16
struct xisd_clock {
    int64_t seq;
    char epoch[XISD_EPOCH + 1]; /* "": it has no name yet */
};
int xisd_store_clock(struct xeno_db *db, struct xisd_clock *ret, struct xeno_err *err);
/* Give the numbering another name, if it has the name `old` still. */
int xisd_store_rename(struct xeno_db *db, const char *old, const char *epoch, struct xeno_err *err);
/* Is that row here, or a newer one of its id? */
int xisd_store_has(struct xeno_db *db, const char *id, int64_t seq, bool *ret,
                   struct xeno_err *err);

/* Begin a transaction that gives numbers to at most `count` changes, from *ret_seq on. */
int xisd_store_begin(struct xeno_db *db, int64_t count, int64_t *ret_seq, struct xeno_err *err);
/* Keep a row, with its number, if its version is higher than what is there: else -EEXIST xis.old.
 */
int xisd_store_put(struct xeno_db *db, const struct xisd_row *row, struct xeno_err *err);

/* Rows with numbers after `after`, in their order, at most `limit`, each to `fn`, which may stop it
 * by a failure. Returns: how many. */
int xisd_store_read(struct xeno_db *db, int64_t after, int64_t limit,
                    int (*fn)(void *arg, const struct xisd_row *row, struct xeno_err *err),
                    void *arg, struct xeno_err *err);

/* Delete at most `limit` rows that were over before `before_ms`. Returns: how many. */
int xisd_store_sweep(struct xeno_db *db, int64_t before_ms, int64_t limit, struct xeno_err *err);

/* How many there are. */
int xisd_store_count(struct xeno_db *db, int64_t *ret, struct xeno_err *err);

#endif
