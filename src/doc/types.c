/* src/doc/types.c - what the signed documents have in common. */
#include "doc/types.h"

#include <errno.h>
#include <inttypes.h>

#include "base/enc.h"

void xeno_order_id_new(const struct xeno_env *env, char out[XENO_ORDER_ID_CHARS + 1])
{
    uint8_t raw[20];

    xeno_random(env, raw, sizeof raw);
    xeno_base32(raw, sizeof raw, out);
}

void xeno_session_id_new(const struct xeno_env *env, char out[XENO_SESSION_ID_CHARS + 1])
{
    uint8_t raw[10];

    xeno_random(env, raw, sizeof raw);
    xeno_base32(raw, sizeof raw, out);
}

int xeno_doc_time(const struct xeno_json_at *at, const char *key, int64_t min_ms, xeno_time *ret,
                  struct xeno_err *err)
{
    int64_t ms;
    int r = xeno_json_int(at, key, min_ms, XENO_DOC_MS_MAX, &ms, err);

    if (r == 0)
        *ret = xeno_ms(ms);
    return r;
}

int xeno_doc_time_opt(const struct xeno_json_at *at, const char *key, int64_t min_ms,
                      xeno_time *ret, struct xeno_err *err)
{
    int64_t ms;
    int r = xeno_json_int_opt(at, key, min_ms, XENO_DOC_MS_MAX, &ms, err);

    if (r == 0)
        *ret = xeno_ms(ms);
    return r;
}

int xeno_doc_version(const struct xeno_json_at *at, struct xeno_err *err)
{
    int64_t v;
    int r = xeno_json_int(at, "v", 0, INT64_MAX, &v, err);

    if (r < 0)
        return r;
    if (v != 1)
        return xeno_fail(err, -EPROTO, "doc.version",
                         "the document has version %" PRId64 ", this program reads version 1", v);
    return 0;
}
