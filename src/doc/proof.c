/* src/doc/proof.c - proof that the sender holds a chain's last key (rfc/0001-order-chain.md 7). */
#include "doc/order.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "crypto/jws.h"

#define PROOF_BYTES_MAX 2048

char *xeno_proof_make(const struct xeno_key *holder, const char *order, const char *server,
                      const char *aud_sha, xeno_time now)
{
    xeno_auto(xeno_json) doc = xeno_json_object();
    xeno_autofree char *text = NULL;
    size_t len;

    xeno_json_set_str(doc, "order", order);
    xeno_json_set_str(doc, "server", server);
    xeno_json_set_str(doc, "aud_sha", aud_sha);
    xeno_json_set_int(doc, "time_ms", now.ns / XENO_NS_PER_MS);
    text = xeno_json_format(doc, false, &len);
    return xeno_jws_sign(holder, XENO_TYP_PROOF, text, len);
}

/* Member `key` must be `want`. */
static int same(const struct xeno_json_at *at, const char *key, const char *want, const char *token,
                struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, 1, 128, &text, err);

    if (r < 0)
        return r;
    if (strcmp(text, want) != 0)
        return xeno_fail(err, -EPERM, token, "the proof's %s is '%s', not '%s'", key, text, want);
    return 0;
}

static int check_time(const struct xeno_json_at *at, xeno_time now, struct xeno_err *err)
{
    xeno_time when;
    int64_t off_ms;
    int r = xeno_doc_time(at, "time_ms", 0, &when, err);

    if (r < 0)
        return r;
    off_ms = when.ns / XENO_NS_PER_MS - now.ns / XENO_NS_PER_MS;
    if (off_ms > XENO_PROOF_SKEW_S * 1000 || off_ms < -XENO_PROOF_SKEW_S * 1000)
        return xeno_fail(err, -EPERM, "proof.time",
                         "the proof's time is %" PRId64 " ms from ours, at most %d s allowed",
                         off_ms, XENO_PROOF_SKEW_S);
    return 0;
}

int xeno_proof_check(const char *text, size_t len, const struct xeno_order_terms *t,
                     const char *server, const char *aud_sha, xeno_time now, struct xeno_err *err)
{
    static const char *const known[] = { "order", "server", "aud_sha", "time_ms", NULL };
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at top;
    int r;

    r = xeno_jws_parse(text, len, &jws, err);
    if (r < 0)
        return r;
    if (xeno_jws_check(jws, XENO_TYP_PROOF, &t->holder, &why) < 0)
        return xeno_fail(err, -EPERM, "proof.signature", "%s", why.text);
    r = xeno_json_parse(jws->payload, jws->payload_len, PROOF_BYTES_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_json_only(&top, known, err);
    if (r == 0)
        r = same(&top, "order", t->order, "proof.order", err);
    if (r == 0)
        r = same(&top, "server", server, "proof.server", err);
    if (r == 0)
        r = same(&top, "aud_sha", aud_sha, "proof.audience", err);
    if (r == 0)
        r = check_time(&top, now, err);
    return r < 0 ? xeno_context(err, r, "proof") : 0;
}
