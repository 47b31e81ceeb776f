/* src/corp/internal.h - the books in memory: hot rows, and what a group has changed.
 *
 * Private to src/corp. Rows are read once, changed here and written back by the commit, so that a
 * hundred charges to one account cost one UPDATE. The journal (table entry) is written at once.
 * Rolling back forgets every row. Keys of the hash tables are fixed-size fields.
 */
#ifndef XENO_CORP_INTERNAL_H
#define XENO_CORP_INTERNAL_H

#include <uthash.h>

#include "corp/corp.h"
#include "corp/schema.h"
#include "doc/loghead.h"
#include "doc/storage.h"

#define CORP_ORDER_CHARS   32
#define CORP_SESSION_CHARS 16
/* Rows of before there was a log have XENO_LEAF_SHA_SHORT. */
#define CORP_SHA_BYTES 32

struct corp_account {
    int64_t n;
    int64_t kind;
    int64_t balance, total;
    bool dirty;
    struct corp_account *next_dirty;
    UT_hash_handle hh;
};

struct corp_party {
    char id[XENO_ID_CHARS + 1];
    int64_t n;
    enum corp_account_kind kind;
    bool is_operator, pseudonym, disabled;
    struct xeno_pub pub;
    UT_hash_handle hh;
};

/* Conditions of the chain a binding was made under. */
struct corp_terms {
    int64_t max_total; /* of all charges to the order; at most its amount */
    int64_t max_rate;  /* micro-credits an hour; 0: any */
    int64_t not_before_ms, not_after_ms;
};

struct corp_order {
    char id[CORP_ORDER_CHARS + 1];
    int64_t n, client;
    int64_t state;
    int64_t amount, charged, held, fee_bp;
    int64_t issued_ms, expires_ms, deadline_ms, closed_ms;
    int64_t epoch;           /* of the newest binding; 0: never bound */
    int64_t session, server; /* bound to; 0: not bound */
    int64_t from_ms, to_ms;  /* of the binding: its start, the end of its last charge */
    int64_t bound_charged;   /* charged under this epoch */
    int64_t base;            /* `charged` at from_ms: where its rate counts from */
    int64_t suspended_ms;    /* paid up to then only: an audit failed; 0: it is paid */
    struct corp_terms terms;
    bool dirty;
    struct corp_order *next_dirty;
    UT_hash_handle hh;
};

struct corp_session_key {
    int64_t server;
    char name[CORP_SESSION_CHARS + 8]; /* zero-filled */
};

struct corp_session {
    struct corp_session_key key;
    int64_t n;
    UT_hash_handle hh;
};

struct xeno_corp {
    struct xeno_db *db;
    const struct xeno_env *env;
    const struct xeno_key *ca_key;
    struct xeno_corp_policy policy;
    struct xeno_pub pub;
    struct xeno_id id;
    char *ca_pem;

    bool open, spoilt;
    int64_t next_entry, next_party, next_order, next_session, next_batch, next_audit;

    struct corp_account *accounts, *dirty_accounts;
    struct corp_party *parties;
    struct corp_order *orders, *dirty_orders;
    struct corp_session *sessions;
    struct corp_log *log; /* log-priv.h */
};

/* Note that a database call failed, so that the group cannot be committed. Returns: r. */
static inline int corp_seen(struct xeno_corp *corp, int r)
{
    if (r < 0)
        corp->spoilt = true;
    return r;
}
#define corp_run(corp, err, ...) corp_seen((corp), xeno_db_run((corp)->db, (err), __VA_ARGS__))
#define corp_one(corp, none, ret, err, ...)                                                        \
    corp_seen((corp), xeno_db_one_int((corp)->db, (none), (ret), (err), __VA_ARGS__))
/* The same for a query that is stepped by hand. */
int corp_query(struct xeno_corp *corp, struct xeno_query *q, const char *sql, struct xeno_err *err);
int corp_step(struct xeno_corp *corp, struct xeno_query *q, struct xeno_err *err);

/* --- rows; found ones are borrowed until the group ends --- */

int corp_account(struct xeno_corp *corp, int64_t n, struct corp_account **ret,
                 struct xeno_err *err);
void corp_account_dirty(struct xeno_corp *corp, struct corp_account *a);
int corp_account_new(struct xeno_corp *corp, int64_t n, enum corp_account_kind kind,
                     struct xeno_err *err);

/* Errors: -ENOENT registry.unknown. */
int corp_party(struct xeno_corp *corp, const char *id, struct corp_party **ret,
               struct xeno_err *err);
int corp_party_of_kind(struct xeno_corp *corp, const char *id, enum corp_account_kind kind,
                       struct corp_party **ret, struct xeno_err *err);

/* One who may bind orders and charge: a XenoServer or a XenoStore node. Errors: as above. */
int corp_party_seller(struct xeno_corp *corp, const char *id, struct corp_party **ret,
                      struct xeno_err *err);

/* Errors: -ENOENT order.unknown. */
int corp_order(struct xeno_corp *corp, const char *id, struct corp_order **ret,
               struct xeno_err *err);
void corp_order_dirty(struct xeno_corp *corp, struct corp_order *o);
/* Insert `row`, not bound and with nothing held yet. */
int corp_order_new(struct xeno_corp *corp, const struct corp_order *row, const char *chain,
                   struct xeno_err *err);

/* Returns: 0, and NULL when that server never had such a session. */
int corp_session(struct xeno_corp *corp, int64_t server, const char *name,
                 struct corp_session **ret, struct xeno_err *err);
int corp_session_new(struct xeno_corp *corp, int64_t server, const char *name,
                     struct corp_session **ret, struct xeno_err *err);

int corp_rows_flush(struct xeno_corp *corp, struct xeno_err *err);
void corp_rows_drop(struct xeno_corp *corp);
/* Keep memory bounded: forgets everything when there is too much of it. After a flush. */
void corp_rows_trim(struct xeno_corp *corp);

/* --- the journal --- */

/* A line of the journal, and the only way money moves. Zero and NULL where a kind has no use. */
struct corp_entry {
    enum corp_entry_kind kind;
    struct corp_order *order; /* NULL for a fund */
    int64_t client;
    int64_t amount;
    int64_t server, epoch, seq, from_ms, to_ms, tariff, batch; /* of a charge */
    struct corp_session *session;
    const uint8_t *sha;           /* CORP_SHA_BYTES: content of the charge */
    const struct xeno_hash *leaf; /* of a charge */
    const char *text;
};
/* Returns: 1 when it was posted, 0 when a charge with that session and sequence is there already:
 * then nothing has changed.
 * Errors: -EDQUOT ledger.funds (a leg would go below zero), -EOVERFLOW ledger.range. */
int corp_post(struct xeno_corp *corp, const struct corp_entry *e, struct xeno_err *err);

/* The order's rest goes back and it ends as `state`; it must not be bound. */
int corp_order_end(struct xeno_corp *corp, struct corp_order *o, enum corp_order_state state,
                   struct xeno_err *err);
/* End the order's binding, and the order too when it was only waiting for that. */
int corp_unbind(struct xeno_corp *corp, struct corp_order *o, enum corp_binding_end how,
                struct xeno_err *err);

int corp_audit(struct xeno_corp *corp, const char *who, const char *act, const char *target,
               const char *detail, struct xeno_err *err);

/* --- the log: each appends leaves in the open group (log.h) --- */

/* Make it where there is none, or find its end. Context: xeno_corp_open(), once. */
int corp_log_open(struct xeno_corp *corp, struct xeno_err *err);
void corp_log_free(struct xeno_corp *corp);
int corp_log_load(struct xeno_corp *corp, struct xeno_err *err); /* again, after a rollback */
/* Write what was appended; before the commit, and before the rows are read. */
int corp_log_flush(struct xeno_corp *corp, struct xeno_err *err);
void corp_log_committed(struct xeno_corp *corp); /* signs */
int corp_tick_log(struct xeno_corp *corp, struct xeno_err *err);

/* The charge that was just posted as journal entry `entry`. */
int corp_log_charge(struct xeno_corp *corp, int64_t entry, const struct xeno_hash *leaf,
                    struct xeno_err *err);
/* An act that `party` may read (0: operators only). `fmt` gives its members, after "v" and before
 * "time_ms" and "salt"; names in it must need no quoting. */
int corp_log_act(struct xeno_corp *corp, int64_t party, struct xeno_err *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
int corp_log_text(struct xeno_corp *corp, int64_t party, const char *text, struct xeno_err *err);
int64_t corp_log_next(const struct xeno_corp *corp); /* number of the leaf that comes next */
/* An act as corp_audit() has it. */
int corp_log_audit(struct xeno_corp *corp, const char *who, const char *act, const char *target,
                   const char *detail, struct xeno_err *err);
/* "order", "order-closing", "order-end": the order as it is then. */
int corp_log_order(struct xeno_corp *corp, const struct corp_order *o, const char *act,
                   struct xeno_err *err);
/* "validate" and "release": the binding as it is then. */
int corp_log_binding(struct xeno_corp *corp, const struct corp_order *o, const char *server,
                     const char *session, const char *act, const char *how, struct xeno_err *err);
int corp_log_unbound(struct xeno_corp *corp, const struct corp_order *o, const char *how,
                     struct xeno_err *err);

/* --- certificates: storage.c --- */

/* The order was just bound to that certificate. */
int corp_certificate_new(struct xeno_corp *corp, const struct corp_order *o, const char *holder,
                         const char *text, const struct xeno_writecert *c, int64_t copy,
                         struct xeno_err *err);
/* Which copy a new binding would be. Errors: -EDQUOT storage.copies. */
int corp_certificate_copy(struct xeno_corp *corp, const struct corp_order *o,
                          const struct xeno_writecert *c, int64_t *ret, struct xeno_err *err);
/* Which one the present binding is; 0: it is a session's. */
int corp_certificate_of(struct xeno_corp *corp, const struct corp_order *o, int64_t *ret,
                        struct xeno_err *err);
int corp_tick_storage(struct xeno_corp *corp, int limit, struct xeno_err *err);

/* Rows of the tick; each returns 1 when there is more. */
int corp_tick_orders(struct xeno_corp *corp, int limit, struct xeno_err *err);
int corp_tick_registry(struct xeno_corp *corp, int limit, struct xeno_err *err);

#endif
