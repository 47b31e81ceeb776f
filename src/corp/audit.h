/* src/corp/audit.h - the audit trail, for operators: charges of an order or a session with their
 * evidence, and acts of operators.
 */
#ifndef XENO_CORP_AUDIT_H
#define XENO_CORP_AUDIT_H

#include "corp/corp.h"
#include "doc/types.h"

#define XENO_AUDIT_MAX 1000 /* rows in a page */

struct xeno_audit_charge {
    int64_t entry, time_ms; /* when posted */
    char order[XENO_ORDER_ID_CHARS + 1];
    char session[XENO_SESSION_ID_CHARS + 1];
    char server[XENO_ID_CHARS + 1], client[XENO_ID_CHARS + 1];
    int64_t epoch, seq, from_ms, to_ms, tariff;
    int64_t amount, fee;
    int64_t batch; /* number of the signed document it came in */
    char activity[257];
};
/* Up to `max` charges after entry `after`, of an order, of a session name, of both (NULL: any).
 * Returns: how many. */
int xeno_audit_charges(struct xeno_corp *corp, const char *order, const char *session,
                       int64_t after, int max, struct xeno_audit_charge *ret, struct xeno_err *err);

/* The signed document of a batch, as it came; the caller's. Errors: -ENOENT audit.batch. */
int xeno_audit_batch(struct xeno_corp *corp, int64_t batch, char **ret, size_t *ret_len,
                     struct xeno_err *err);

struct xeno_audit_act {
    int64_t n, time_ms;
    char who[XENO_ID_CHARS + 8], act[32], target[XENO_ID_CHARS + 8], detail[64];
};
/* Up to `max` acts (register, token, fund, disable) after number `after`. Returns: how many. */
int xeno_audit_acts(struct xeno_corp *corp, int64_t after, int max, struct xeno_audit_act *ret,
                    struct xeno_err *err);

#endif
