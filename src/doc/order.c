/* src/doc/order.c - reading a chain: form, signatures, links (rfc/0001-order-chain.md 3 and 4). */
#include "doc/order.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "crypto/jws.h"
#include "doc/order-priv.h"

#define PREV_CHARS 43 /* base64url of a SHA-256 */

struct block {
    const char *text; /* in the chain */
    size_t len;
};

/* Cut a chain at its '~'. Returns the number of blocks. */
static int split(const char *text, size_t len, struct block blocks[XENO_ORDER_BLOCKS_MAX],
                 struct xeno_err *err)
{
    const char *end = text + len;
    int count = 0;

    if (len > XENO_ORDER_BYTES_MAX)
        return xeno_fail(err, -EFBIG, "order.size", "an order has %zu bytes, at most %d", len,
                         XENO_ORDER_BYTES_MAX);
    if (len == 0)
        return xeno_fail(err, -EINVAL, "order.format", "the order is empty");
    for (const char *p = text;; p = blocks[count - 1].text + blocks[count - 1].len + 1) {
        const char *cut = memchr(p, '~', (size_t)(end - p));

        if (count == XENO_ORDER_BLOCKS_MAX)
            return xeno_fail(err, -EINVAL, "order.format", "an order has at most %d blocks",
                             XENO_ORDER_BLOCKS_MAX);
        blocks[count].text = p;
        blocks[count++].len = (size_t)((cut ? cut : end) - p);
        if (!cut)
            return count;
    }
}

/* Take a block apart; with `pub` its type and signature are checked too. */
static int open_block(const struct block *b, const char *typ, const struct xeno_pub *pub,
                      struct xeno_jws **ret_jws, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    r = xeno_jws_parse(b->text, b->len, &jws, &why);
    if (r < 0)
        return xeno_fail(err, -EINVAL, "order.format", "%s", why.text);
    if (pub && xeno_jws_check(jws, typ, pub, &why) < 0)
        return xeno_fail(err, -EPERM, "order.signature", "%s", why.text);
    r = xeno_json_parse(jws->payload, jws->payload_len, XENO_ORDER_BYTES_MAX, ret, err);
    if (r < 0)
        return r;
    *ret_jws = xeno_take(&jws);
    return 0;
}

static int read_first(const struct block *b, const struct xeno_pub *corp,
                      struct xeno_order_terms *t, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    int r;

    r = open_block(b, XENO_TYP_ORDER, corp, &jws, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_order_base(&top, t, err);
    if (r < 0)
        return r;
    if (strcmp(t->corp.s, jws->kid.s) != 0)
        return xeno_fail(err, -EPERM, "order.corp", "the order names %s and is signed by %s",
                         t->corp.s, jws->kid.s);
    return 0;
}

/* Does "prev" say the hash of the block before? */
static int check_link(const struct xeno_json_at *top, int n, const struct block *before,
                      struct xeno_err *err)
{
    xeno_autofree char *want = NULL;
    const char *prev;
    uint8_t sha[32];
    int64_t said;
    int r;

    r = xeno_json_int(top, "n", 0, INT64_MAX, &said, err);
    if (r < 0)
        return r;
    if (said != n)
        return xeno_fail(err, -EPERM, "order.link", "it says it is block %" PRId64, said);
    r = xeno_json_str(top, "prev", PREV_CHARS, PREV_CHARS, &prev, err);
    if (r < 0)
        return r;
    xeno_sha256_of(before->text, before->len, sha);
    want = xeno_b64url(sha, sizeof sha);
    if (strcmp(want, prev) != 0)
        return xeno_fail(err, -EPERM, "order.link", "it does not follow the block before it");
    return 0;
}

/* Who is in force after this block: the key it names, or nobody any more once it is presented. */
static int read_successor(const struct xeno_json_at *top, struct xeno_order_terms *t,
                          struct xeno_err *err)
{
    struct xeno_json_at present;
    const char *key;
    int given, r;

    given = xeno_json_obj_opt(top, "present", &present, err);
    if (given < 0)
        return given;
    if (given == 0) {
        r = xeno_order_presented(&present, t, err);
        if (r < 0)
            return r;
    }
    r = xeno_json_str_opt(top, "key", 1, XENO_PUB_TEXT - 1, &key, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (given == 0)
        return xeno_fail(err, -EINVAL, "order.format",
                         "key: a block that presents the order cannot hand it on");
    if (!xeno_pub_parse(key, &t->holder))
        return xeno_fail(err, -EINVAL, "order.format", "key: not a public key (43 letters)");
    return 0;
}

static int read_next(const struct block *b, int n, struct xeno_order_terms *t, struct xeno_err *err)
{
    static const char *const known[] = { "v", "n", "prev", "restrict", "key", "present", NULL };
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top, restrict_at;
    int r;

    if (t->presented_to.s[0])
        return xeno_fail(err, -EPERM, "order.link", "it follows a block that presents the order");
    r = open_block(b, XENO_TYP_ORDER_BLOCK, &t->holder, &jws, &doc, err);
    if (r < 0)
        return r;
    top = xeno_json_top(doc);
    r = xeno_doc_version(&top, err);
    if (r == 0)
        r = xeno_json_only(&top, known, err);
    if (r == 0)
        r = check_link(&top, n, b - 1, err);
    if (r == 0)
        r = xeno_json_obj(&top, "restrict", &restrict_at, err);
    if (r == 0)
        r = xeno_order_narrow(&restrict_at, t, err);
    return r < 0 ? r : read_successor(&top, t, err);
}

int xeno_order_read(const char *text, size_t len, const struct xeno_pub *corp,
                    struct xeno_order_terms *ret, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    struct block blocks[XENO_ORDER_BLOCKS_MAX];
    int r, count;

    count = split(text, len, blocks, err);
    if (count < 0)
        return count;
    r = read_first(&blocks[0], corp, t, err);
    if (r < 0)
        return xeno_context(err, r, "block 0");
    for (int n = 1; n < count; n++) {
        r = read_next(&blocks[n], n, t, err);
        if (r < 0)
            return xeno_context(err, r, "block %d", n);
    }
    t->blocks = (size_t)count;
    *ret = *t;
    return 0;
}

int xeno_order_peek(const char *text, size_t len, struct xeno_id *ret_corp,
                    char ret_order[XENO_ORDER_ID_CHARS + 1], struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    struct block blocks[XENO_ORDER_BLOCKS_MAX];
    int r;

    r = split(text, len, blocks, err);
    if (r < 0)
        return r;
    r = read_first(&blocks[0], NULL, t, err);
    if (r < 0)
        return xeno_context(err, r, "block 0");
    *ret_corp = t->corp;
    memcpy(ret_order, t->order, sizeof t->order);
    return 0;
}
