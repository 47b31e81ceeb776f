/* src/doc/types.h - what the signed documents have in common: their types, ids and bounds.
 *
 * A document's `typ` is checked before anything in it is believed, so that one kind can never be
 * taken for another. Times are milliseconds since 1970, money is micro-credits, both integers.
 */
#ifndef XENO_DOC_TYPES_H
#define XENO_DOC_TYPES_H

#include <stdint.h>

#include "base/env.h"
#include "json/json.h"

#define XENO_TYP_ORDER       "xeno-order+json"       /* block 0 of a chain: rfc/0001 */
#define XENO_TYP_ORDER_BLOCK "xeno-order-block+json" /* further blocks */
#define XENO_TYP_PROOF       "xeno-proof+json"       /* possession of a chain's last key */
#define XENO_TYP_CHARGES     "xeno-charges+json"     /* rfc/0002 */
#define XENO_TYP_REVOCATIONS "xeno-revocations+json"
#define XENO_TYP_STATUS      "xeno-status+json"
#define XENO_TYP_LOG_HEAD    "xeno-log-head+json"    /* rfc/0006 */
#define XENO_TYP_PASS_LOGIN  "xeno-store-login+json" /* rfc/0009 */
#define XENO_TYP_PASS_ACCESS "xeno-store-access+json"
#define XENO_TYP_NAME        "xeno-name+json"              /* rfc/0010 */
#define XENO_TYP_WRITECERT   "xeno-write-certificate+json" /* rfc/0013, as the next ones */
#define XENO_TYP_RECEIPT     "xeno-store-receipt+json"
#define XENO_TYP_RECLAIM     "xeno-reclaim+json"
#define XENO_TYP_RECLAIMED   "xeno-reclaim-receipt+json"
#define XENO_TYP_ANSWER      "xeno-store-answer+json"
#define XENO_TYP_COMPLAINT   "xeno-complaint+json" /* rfc/0020 */

#define XENO_ORDER_ID_CHARS   32 /* base32 of 20 random bytes */
#define XENO_SESSION_ID_CHARS 16 /* base32 of 10 random bytes; holds too */

/* The last millisecond that a xeno_time holds (in the year 2262). */
#define XENO_DOC_MS_MAX (INT64_MAX / XENO_NS_PER_MS)

void xeno_order_id_new(const struct xeno_env *env, char out[XENO_ORDER_ID_CHARS + 1]);
void xeno_session_id_new(const struct xeno_env *env, char out[XENO_SESSION_ID_CHARS + 1]);

/* Member `key` in milliseconds, from `min_ms`; errors and the _opt form as xeno_json_int(). */
int xeno_doc_time(const struct xeno_json_at *at, const char *key, int64_t min_ms, xeno_time *ret,
                  struct xeno_err *err);
int xeno_doc_time_opt(const struct xeno_json_at *at, const char *key, int64_t min_ms,
                      xeno_time *ret, struct xeno_err *err);

/* Member "v" must be 1. Errors: -EPROTO doc.version (a later form of the document). */
int xeno_doc_version(const struct xeno_json_at *at, struct xeno_err *err);

#endif
