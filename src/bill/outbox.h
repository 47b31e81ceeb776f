/* src/bill/outbox.h - charges on their way to the XenoCorp: what a XenoServer and a XenoStore
 * share.
 *
 * A charge is a row before anybody hears of it, and stays one until the XenoCorp has said what
 * became of it. Rows leave in the order they were made, one batch at a time; a batch whose answer
 * is lost is signed and sent again, and XenoCorp answers "repeated" for what it had posted. So an
 * hour without XenoCorp only makes the outbox longer.
 *
 * Plain functions on a database that has the tables of xeno_outbox_schema; those that write are
 * called in a transaction, with what they follow from. Pure: no clock, no transport.
 */
#ifndef XENO_BILL_OUTBOX_H
#define XENO_BILL_OUTBOX_H

#include "db/db.h"
#include "doc/charge.h"
#include "json/json.h"

/* outbox (n, session, seq, amount, body) and refused (session, seq, amount, token, detail, time_ms)
 */
#define XENO_OUTBOX_SCHEMA                                                                         \
    "CREATE TABLE outbox (n bigint PRIMARY KEY, session text NOT NULL, seq bigint NOT NULL,"       \
    " amount bigint NOT NULL, body text NOT NULL, UNIQUE (session, seq));"                         \
    "CREATE TABLE refused (session text NOT NULL, seq bigint NOT NULL, amount bigint NOT NULL,"    \
    " token text NOT NULL, detail text NOT NULL, time_ms bigint NOT NULL,"                         \
    " PRIMARY KEY (session, seq));"

#define XENO_OUTBOX_DETAIL 200

/* `n` is above that of every row there is. Errors: those of xeno_charge_check(), the database's. */
int xeno_outbox_put(struct xeno_db *db, int64_t n, const struct xeno_charge *c,
                    struct xeno_err *err);

/* Sign the oldest rows, at most a batch full. Returns: how many there are, with the text, the
 * caller's, in *ret; 0: none. */
int xeno_outbox_batch(struct xeno_db *db, const struct xeno_key *key, char **ret,
                      struct xeno_err *err);

/* One result of the XenoCorp's answer to a batch. */
struct xeno_outbox_result {
    char session[XENO_SESSION_ID_CHARS + 1];
    int64_t seq;
    bool refused;
    char token[XENO_ERR_TOKEN_MAX];
    char detail[XENO_OUTBOX_DETAIL];
    /* filled by xeno_outbox_settle(): of the charge */
    char order[XENO_ORDER_ID_CHARS + 1];
    int64_t amount;
    bool final;
};
/* Errors: -EINVAL: it is not a result. */
int xeno_outbox_result(const struct xeno_json_at *item, struct xeno_outbox_result *ret);

/* Move the row to where its result says: out, or to the refused ones. Returns: 1; 0: it was gone
 * already. */
int xeno_outbox_settle(struct xeno_db *db, struct xeno_outbox_result *res, int64_t now_ms,
                       struct xeno_err *err);

/* Does that refusal say that what was charged for is not ours to sell on any order? Every other is
 * about this order. */
bool xeno_outbox_fenced(const char *token);

/* Those of a session, at most a hundred: [{"seq","amount","type","detail","time_ms"}]. */
struct xeno_json *xeno_outbox_refused(struct xeno_db *db, const char *session);

#endif
