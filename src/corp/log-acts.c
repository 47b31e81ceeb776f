/* src/corp/log-acts.c - what leaves say (rfc/0006, 3). Names in them are ids and words of ours, so
 * that nothing needs quoting; what people typed is not in them. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "corp/log-priv.h"

#define SALT_BYTES 15

/* A leaf that can be guessed would be no secret: of what is salted only the hash can be shown. */
int corp_log_act(struct xeno_corp *corp, int64_t party, struct xeno_err *err, const char *fmt, ...)
{
    uint8_t salt[SALT_BYTES];
    char text[XENO_LEAF_MAX], letters[SALT_BYTES / 5 * 8 + 1];
    size_t len = (size_t)snprintf(text, sizeof text, "{\"v\":1,");
    va_list ap;

    va_start(ap, fmt);
    len += (size_t)vsnprintf(text + len, sizeof text - len, fmt, ap);
    va_end(ap);
    xeno_random(corp->env, salt, sizeof salt);
    xeno_base32(salt, sizeof salt, letters);
    if (len < sizeof text)
        len += (size_t)snprintf(text + len, sizeof text - len,
                                ",\"time_ms\":%" PRId64 ",\"salt\":\"%s\"}", xeno_corp_now_ms(corp),
                                letters);
    if (len >= sizeof text)
        return corp_seen(corp, xeno_fail(err, -E2BIG, "log.leaf", "an act is too long to log"));
    return corp_log_text(corp, party, text, err);
}

/* The party's number; 0 when the name is none's, such as "init". */
static int number_of(struct xeno_corp *corp, const char *id, int64_t *ret, struct xeno_err *err)
{
    struct xeno_err none = XENO_ERR_INIT;
    struct corp_party *p = NULL;
    int r;

    *ret = 0;
    if (!xeno_id_ok(id))
        return 0;
    r = corp_party(corp, id, &p, &none);
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return xeno_fail(err, r, none.token, "%s", none.text);
    *ret = p->n;
    return 0;
}

int corp_log_audit(struct xeno_corp *corp, const char *who, const char *act, const char *target,
                   const char *detail, struct xeno_err *err)
{
    int64_t n = 0;
    int r = number_of(corp, *target ? target : who, &n, err);

    if (r < 0)
        return r;
    return corp_log_act(corp, n, err,
                        "\"act\":\"%s\",\"by\":\"%s\",\"party\":\"%s\",\"detail\":\"%s\"", act, who,
                        target, detail);
}

int corp_log_order(struct xeno_corp *corp, const struct corp_order *o, const char *act,
                   struct xeno_err *err)
{
    return corp_log_act(corp, o->client, err,
                        "\"act\":\"%s\",\"order\":\"%s\",\"amount\":%" PRId64
                        ",\"charged\":%" PRId64 ",\"held\":%" PRId64 ",\"expires_ms\":%" PRId64,
                        act, o->id, o->amount, o->charged, o->held, o->expires_ms);
}

int corp_log_binding(struct xeno_corp *corp, const struct corp_order *o, const char *server,
                     const char *session, const char *act, const char *how, struct xeno_err *err)
{
    return corp_log_act(corp, o->server, err,
                        "\"act\":\"%s\",\"order\":\"%s\",\"server\":\"%s\",\"session\":\"%s\","
                        "\"epoch\":%" PRId64 ",\"limit\":%" PRId64 ",\"charged\":%" PRId64
                        ",\"how\":\"%s\"",
                        act, o->id, server, session, o->epoch, o->terms.max_total, o->charged, how);
}

int corp_log_unbound(struct xeno_corp *corp, const struct corp_order *o, const char *how,
                     struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = corp_query(corp, &q,
                       "SELECT p.id, s.name FROM session s JOIN party p ON p.n = s.server"
                       " WHERE s.n = $1",
                       err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, o->session);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    return corp_log_binding(corp, o, r > 0 ? xeno_query_col_text(&q, 0) : "",
                            r > 0 ? xeno_query_col_text(&q, 1) : "", "release", how, err);
}
