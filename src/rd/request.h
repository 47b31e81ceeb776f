/* src/rd/request.h - the question of rfc/0019, read from JSON. Pure. */
#ifndef XENO_RD_REQUEST_H
#define XENO_RD_REQUEST_H

#include "json/json.h"
#include "rd/find.h"

#define XENO_RD_REQUEST_BYTES (256 * 1024)

/* Returns: 0 and *ret filled in, to be released; on failure *ret is untouched.
 * Errors:  -EINVAL find.request and those of json.h (naming the member and its limit), of
 *          xis/query.h, of spec/requirement.h.
 */
int xeno_rd_request_read(const struct xeno_json_at *at, struct xeno_rd_request *ret,
                         struct xeno_err *err);

#endif
