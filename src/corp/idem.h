/* src/corp/idem.h - kept answers: the same request again gets its first answer again.
 *
 * The answer is kept in the same group as what the request did, so that a crash keeps both or
 * neither. `name` says whose request it is: peer id, route and Idempotency-Key. Kept for the
 * policy's `keep`.
 */
#ifndef XENO_CORP_IDEM_H
#define XENO_CORP_IDEM_H

#include "corp/corp.h"

#define XENO_IDEM_NAME_MAX 320

/* Returns: 1 and the kept answer (the caller's), or 0 when there is none.
 * Errors: -ENOTUNIQ http.idempotency: the same key was used with another body. */
int xeno_idem_find(struct xeno_corp *corp, const char *name, const uint8_t body_sha[32],
                   int *ret_status, char **ret_body, struct xeno_err *err);
int xeno_idem_keep(struct xeno_corp *corp, const char *name, const uint8_t body_sha[32], int status,
                   const char *body, struct xeno_err *err);

#endif
