/* src/rpc/message.c - the two shapes of a reply, made and read. */
#include "rpc/message.h"

#define ERRNO_MAX 4095 /* the kernel's */

struct xeno_json *xeno_rpc_ok(int64_t id, struct xeno_json *ok)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_int(obj, "id", id);
    xeno_json_set(obj, "ok", ok ? ok : xeno_json_object());
    return obj;
}

struct xeno_json *xeno_rpc_error_json(const struct xeno_err *why)
{
    struct xeno_json *error = xeno_json_object();

    xeno_json_set_str(error, "token", why->token);
    xeno_json_set_str(error, "text", why->text);
    xeno_json_set_int(error, "errno", -(int64_t)why->code);
    return error;
}

struct xeno_json *xeno_rpc_error(int64_t id, const struct xeno_err *why)
{
    struct xeno_json *obj = xeno_json_object();

    xeno_json_set_int(obj, "id", id);
    xeno_json_set(obj, "error", xeno_rpc_error_json(why));
    return obj;
}

int xeno_rpc_error_read(const struct xeno_json_at *at, struct xeno_err *ret, struct xeno_err *err)
{
    const char *token, *text;
    int64_t code;
    int r = xeno_json_str(at, "token", 1, XENO_ERR_TOKEN_MAX - 1, &token, err);

    if (r == 0)
        r = xeno_json_str(at, "text", 0, XENO_ERR_TEXT_MAX - 1, &text, err);
    if (r == 0)
        r = xeno_json_int(at, "errno", 1, ERRNO_MAX, &code, err);
    if (r < 0)
        return r;
    *ret = (struct xeno_err)XENO_ERR_INIT;
    xeno_fail(ret, (int)-code, token, "%s", text);
    return 0;
}

int xeno_rpc_reply_read(const struct xeno_json_at *at, struct xeno_json_at *ret_ok,
                        struct xeno_err *ret_why, struct xeno_err *err)
{
    struct xeno_json_at error;
    int r = xeno_json_obj_opt(at, "ok", ret_ok, err);

    if (r != 1)
        return r;
    r = xeno_json_obj(at, "error", &error, err);
    if (r == 0)
        r = xeno_rpc_error_read(&error, ret_why, err);
    return r < 0 ? r : 1;
}

int xeno_rpc_head_read(const struct xeno_json_at *at, int64_t *ret_id, const char **ret_op,
                       struct xeno_err *err)
{
    int r = xeno_json_int(at, "id", 0, INT64_MAX, ret_id, err);

    return r < 0 ? r : xeno_json_str(at, "op", 1, 16, ret_op, err);
}

int xeno_rpc_only(const struct xeno_json_at *at, const struct xeno_rpc_member *members,
                  size_t count, unsigned has, struct xeno_err *err)
{
    const char *keys[XENO_RPC_MEMBERS_MAX + 3] = { "id", "op" };
    size_t n = 2;

    for (size_t i = 0; i < count && i < XENO_RPC_MEMBERS_MAX; i++)
        if (has & members[i].bits)
            keys[n++] = members[i].key;
    return xeno_json_only(at, keys, err);
}
