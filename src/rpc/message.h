/* src/rpc/message.h - a request's head, and the two shapes of a reply (rfc/0003, section 1).
 *
 *     {"id":n,"op":OP,...}
 *     {"id":n,"ok":{...}}    {"id":n,"error":{"token":T,"text":S,"errno":e}}
 */
#ifndef XENO_RPC_MESSAGE_H
#define XENO_RPC_MESSAGE_H

#include "json/json.h"

/* --- requests --- */

/* *ret_op: borrowed from `at`. Errors: json.*. */
int xeno_rpc_head_read(const struct xeno_json_at *at, int64_t *ret_id, const char **ret_op,
                       struct xeno_err *err);

/* A member that an operation may have if it has one of these bits. */
struct xeno_rpc_member {
    unsigned bits;
    const char *key;
};
#define XENO_RPC_MEMBERS_MAX 30

/* A member that the operation does not have says that the two sides do not mean the same thing.
 * count: at most XENO_RPC_MEMBERS_MAX. Errors: json.*. */
int xeno_rpc_only(const struct xeno_json_at *at, const struct xeno_rpc_member *members,
                  size_t count, unsigned has, struct xeno_err *err);

/* --- replies --- */

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
