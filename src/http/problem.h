/* src/http/problem.h - errors as problem documents (RFC 9457), both ways.
 *
 * {"type":"ledger.funds","title":"...","status":402,"detail":"...", ...}: `type` is the error's
 * token, `status` follows from its errno, `detail` is its text.
 */
#ifndef XENO_HTTP_PROBLEM_H
#define XENO_HTTP_PROBLEM_H

#include "base/err.h"
#include "json/json.h"

int xeno_problem_status(int code);  /* errno to HTTP status: EDQUOT 402, ENOENT 404, ... */
int xeno_problem_errno(int status); /* and back, negative */
struct xeno_json *xeno_problem_make(const struct xeno_err *err); /* the caller's */
/* Fill err from an answer that is not 2xx. Returns the negative errno. */
int xeno_problem_read(int status, const char *body, size_t len, struct xeno_err *err);

#endif
