/* src/doc/loghead.c - signed heads of a log, and the leaf of a charge. */
#include "doc/loghead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/jws.h"

char *xeno_log_head_sign(const struct xeno_key *corp, int64_t size, const struct xeno_hash *root,
                         xeno_time time)
{
    struct xeno_id id = xeno_id_of(xeno_key_pub(corp));
    char hash[XENO_HASH_TEXT], text[256];
    int len;

    xeno_hash_text(root, hash);
    len = snprintf(text, sizeof text,
                   "{\"v\":1,\"corp\":\"%s\",\"size\":%" PRId64
                   ",\"root\":\"%s\",\"time_ms\":%" PRId64 "}",
                   id.s, size, hash, time.ns / XENO_NS_PER_MS);
    return xeno_jws_sign(corp, XENO_TYP_LOG_HEAD, text, (size_t)len);
}

static int read_members(const struct xeno_json_at *top, const struct xeno_id *kid,
                        struct xeno_log_head *h, struct xeno_err *err)
{
    static const char *const known[] = { "v", "corp", "size", "root", "time_ms", NULL };
    const char *corp = NULL, *root = NULL;
    int r = xeno_doc_version(top, err);

    if (r == 0)
        r = xeno_json_only(top, known, err);
    if (r == 0)
        r = xeno_json_str(top, "corp", XENO_ID_CHARS, XENO_ID_CHARS, &corp, err);
    if (r == 0)
        r = xeno_json_int(top, "size", 0, XENO_TREE_MAX, &h->size, err);
    if (r == 0)
        r = xeno_json_str(top, "root", XENO_HASH_TEXT - 1, XENO_HASH_TEXT - 1, &root, err);
    if (r == 0)
        r = xeno_doc_time(top, "time_ms", 0, &h->time, err);
    if (r < 0)
        return r;
    if (strcmp(corp, kid->s) != 0)
        return xeno_fail(err, -EPERM, "log.corp", "corp is not %s, who signed the head", kid->s);
    if (!xeno_hash_parse(root, &h->root))
        return xeno_fail(err, -EINVAL, "log.hash", "root is not a SHA-256 digest in base64url");
    h->corp = *kid;
    return 0;
}

int xeno_log_head_read(const char *text, size_t len, const struct xeno_pub *corp,
                       struct xeno_log_head *ret, struct xeno_err *err)
{
    struct xeno_log_head h = { .size = 0 };
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    if (len > XENO_LOG_HEAD_MAX)
        return xeno_fail(err, -EFBIG, "log.head", "a head has at most %d bytes, not %zu",
                         XENO_LOG_HEAD_MAX, len);
    r = xeno_jws_parse(text, len, &jws, err);
    if (r == 0)
        r = xeno_jws_check(jws, XENO_TYP_LOG_HEAD, corp, err);
    if (r == 0)
        r = xeno_json_parse(jws->payload, jws->payload_len, XENO_LOG_HEAD_MAX, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = read_members(&top, &jws->kid, &h, err);
    if (r == 0)
        *ret = h;
    return r;
}

int xeno_log_heads_compare(const struct xeno_log_head *a, const struct xeno_log_head *b,
                           struct xeno_err *err)
{
    if (a->size != b->size)
        return a->size != 0 && b->size != 0;
    if (xeno_hash_equal(&a->root, &b->root))
        return 0;
    return xeno_fail(err, -EUCLEAN, "log.forked",
                     "XenoCorp %s signed two histories: two heads of %" PRId64
                     " leaves have different roots",
                     a->corp.s, a->size);
}

int xeno_log_heads_check(const struct xeno_log_head *a, const struct xeno_log_head *b,
                         const struct xeno_proof *proof, struct xeno_err *err)
{
    const struct xeno_log_head *first = a->size <= b->size ? a : b, *second = first == a ? b : a;
    struct xeno_err why = XENO_ERR_INIT;
    int r = xeno_log_heads_compare(a, b, err);

    if (r <= 0)
        return r;
    r = xeno_consistency_check(first->size, &first->root, second->size, &second->root, proof, &why);
    if (r == 0)
        return 0;
    return xeno_fail(err, -EUCLEAN, "log.unproved",
                     "XenoCorp %s has not shown that its log of %" PRId64
                     " leaves begins with the %" PRId64 " it signed before: %s",
                     a->corp.s, second->size, first->size, why.text);
}

/* --- the leaf of a charge --- */

size_t xeno_charge_leaf_text(const struct xeno_charge_leaf *l, char out[XENO_LEAF_MAX])
{
    xeno_autofree char *sha = xeno_b64url(l->sha, l->sha_len);

    return (size_t)snprintf(out, XENO_LEAF_MAX,
                            "{\"v\":1,\"act\":\"charge\",\"server\":\"%s\",\"order\":\"%s\","
                            "\"epoch\":%" PRId64 ",\"session\":\"%s\",\"seq\":%" PRId64
                            ",\"from_ms\":%" PRId64 ",\"to_ms\":%" PRId64 ",\"tariff\":%" PRId64
                            ",\"amount\":%" PRId64 ",\"sha\":\"%s\"}",
                            l->server, l->order, l->epoch, l->session, l->seq, l->from_ms, l->to_ms,
                            l->tariff, l->amount, sha);
}

struct xeno_hash xeno_charge_leaf_hash(const struct xeno_charge *c, const char *server,
                                       const uint8_t sha[32])
{
    struct xeno_charge_leaf l = {
        .server = server,
        .order = c->order,
        .session = c->session,
        .epoch = c->epoch,
        .seq = c->seq,
        .from_ms = c->from.ns / XENO_NS_PER_MS,
        .to_ms = c->to.ns / XENO_NS_PER_MS,
        .tariff = c->tariff,
        .amount = c->amount.micro,
        .sha = sha,
        .sha_len = 32,
    };
    char text[XENO_LEAF_MAX];

    return xeno_hash_leaf(text, xeno_charge_leaf_text(&l, text));
}
