/* src/corp/idem.c - kept answers of requests that spend or create. */
#include "corp/idem.h"

#include <errno.h>
#include <string.h>

#include "corp/internal.h"

int xeno_idem_find(struct xeno_corp *corp, const char *name, const uint8_t body_sha[32],
                   int *ret_status, char **ret_body, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    const void *sha;
    size_t len = 0;
    int r = corp_query(corp, &q, "SELECT sha, status, body FROM idem WHERE name = $1", err);

    if (r < 0)
        return r;
    xeno_query_text(&q, 1, name);
    r = corp_step(corp, &q, err);
    if (r <= 0)
        return r;
    sha = xeno_query_col_blob(&q, 0, &len);
    if (len != 32 || memcmp(sha, body_sha, 32) != 0)
        return xeno_fail(err, -ENOTUNIQ, "http.idempotency",
                         "this Idempotency-Key was used for another request: make a new one");
    *ret_status = (int)xeno_query_col_int(&q, 1);
    *ret_body = xeno_strdup(xeno_query_col_text(&q, 2));
    return 1;
}

int xeno_idem_keep(struct xeno_corp *corp, const char *name, const uint8_t body_sha[32], int status,
                   const char *body, struct xeno_err *err)
{
    int r = corp_run(corp, err,
                     "INSERT INTO idem (name, sha, time_ms, status, body)"
                     " VALUES ($1, $2, $3, $4, $5)",
                     "tbiit", name, (const void *)body_sha, (size_t)32, xeno_corp_now_ms(corp),
                     (int64_t)status, body);
    return r < 0 ? r : 0;
}
