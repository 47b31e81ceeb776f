/* src/rpc/message.h - the two shapes of a reply (rfc/0003, section 1).
 *
 *     {"id":n,"ok":{...}}    {"id":n,"error":{"token":T,"text":S,"errno":e}}
 */
#ifndef XENO_RPC_MESSAGE_H
#define XENO_RPC_MESSAGE_H

#include "json/json.h"

/* `ok` is taken and may be NULL for {}. The message is the caller's. */
struct xeno_json *xeno_rpc_ok(int64_t id, struct xeno_json *ok);
struct xeno_json *xeno_rpc_error(int64_t id, const struct xeno_err *why);

/* {"token","text","errno"} alone, and back into *ret. Errors: json.*. */
struct xeno_json *xeno_rpc_error_json(const struct xeno_err *why);
int xeno_rpc_error_read(const struct xeno_json_at *at, struct xeno_err *ret, struct xeno_err *err);

/* Which of the two is `at`? Returns: 0 and the object in *ret_ok; 1 and *ret_why. Errors: json.*.
 */
int xeno_rpc_reply_read(const struct xeno_json_at *at, struct xeno_json_at *ret_ok,
                        struct xeno_err *ret_why, struct xeno_err *err);

#endif
