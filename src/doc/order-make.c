/* src/doc/order-make.c - issuing an order and adding blocks to it (rfc/0001-order-chain.md 2). */
#include "doc/order.h"

#include <errno.h>
#include <string.h>

#include "base/enc.h"
#include "crypto/jws.h"
#include "doc/order-priv.h"

#define PRESENT_BYTES 1024 /* more than a block that presents takes */

/* Sign a JSON object, which is taken. */
static char *sign_json(const struct xeno_key *key, const char *typ, struct xeno_json *doc)
{
    xeno_auto(xeno_json) owned = doc;
    size_t len;
    xeno_autofree char *text = xeno_json_format(owned, false, &len);

    return xeno_jws_sign(key, typ, text, len);
}

static void set_pub(struct xeno_json *doc, const struct xeno_pub *pub)
{
    char text[XENO_PUB_TEXT];

    xeno_pub_text(pub, text);
    xeno_json_set_str(doc, "key", text);
}

static int check_offer(const struct xeno_order_offer *o, struct xeno_err *err)
{
    if (!xeno_base32_ok(o->order, XENO_ORDER_ID_CHARS) || (o->sponsor && !xeno_id_ok(o->sponsor)))
        return xeno_fail(err, -EINVAL, "order.offer", "the order or its sponsor is not an id");
    if (o->limit.micro < 1 || o->limit.micro > XENO_CREDIT_MAX)
        return xeno_fail(err, -EINVAL, "order.offer",
                         "an order is for 1 micro-credit to %lld credits",
                         (long long)(XENO_CREDIT_MAX / XENO_CREDIT));
    if (o->issued.ns < 0 || o->expires.ns / XENO_NS_PER_MS <= o->issued.ns / XENO_NS_PER_MS)
        return xeno_fail(err, -EINVAL, "order.offer", "an order expires after it is issued");
    return 0;
}

int xeno_order_issue(const struct xeno_key *corp, const struct xeno_order_offer *o, char **ret,
                     struct xeno_err *err)
{
    struct xeno_id id = xeno_id_of(xeno_key_pub(corp));
    struct xeno_json *doc, *conditions;
    int r = check_offer(o, err);

    if (r < 0)
        return r;
    doc = xeno_json_object();
    conditions = xeno_json_array();
    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_str(doc, "corp", id.s);
    xeno_json_set_str(doc, "order", o->order);
    xeno_json_set_str(doc, "sponsor", o->sponsor);
    xeno_json_set_str(doc, "currency", XENO_CURRENCY);
    xeno_json_set_int(doc, "limit", o->limit.micro);
    xeno_json_set_int(doc, "issued_ms", o->issued.ns / XENO_NS_PER_MS);
    xeno_json_set_int(doc, "expires_ms", o->expires.ns / XENO_NS_PER_MS);
    set_pub(doc, &o->key);
    xeno_json_append_str(conditions, XENO_CONDITION_VALIDATE);
    xeno_json_set(doc, "conditions", conditions);
    *ret = sign_json(corp, XENO_TYP_ORDER, doc);
    return 0;
}

static struct xeno_json *list_of(const char *const *items, size_t count)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < count; i++)
        xeno_json_append_str(list, items[i]);
    return list;
}

static struct xeno_json *restriction_json(const struct xeno_order_restriction *r)
{
    struct xeno_json *j = xeno_json_object();

    if (r->server_count > 0)
        xeno_json_set(j, "servers", list_of(r->servers, r->server_count));
    if (r->env_count > 0)
        xeno_json_set(j, "env_types", list_of(r->envs, r->env_count));
    if (r->max_total.micro != 0)
        xeno_json_set_int(j, "max_total", r->max_total.micro);
    if (r->max_rate.micro != 0)
        xeno_json_set_int(j, "max_rate", r->max_rate.micro);
    if (r->not_before.ns != 0)
        xeno_json_set_int(j, "not_before_ms", r->not_before.ns / XENO_NS_PER_MS);
    if (r->not_after.ns != 0)
        xeno_json_set_int(j, "not_after_ms", r->not_after.ns / XENO_NS_PER_MS);
    return j;
}

/* What a block of the holder says; what is not said is NULL. Borrows. */
struct saying {
    const struct xeno_order_restriction *narrow;
    const struct xeno_pub *next;
    const char *server; /* presented to */
    xeno_time now;
};

static struct xeno_json *presentation_json(const struct saying *say)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "server", say->server);
    xeno_json_set_int(j, "time_ms", say->now.ns / XENO_NS_PER_MS);
    return j;
}

static char *next_block(const char *text, size_t len, size_t n, const struct xeno_key *holder,
                        const struct saying *say)
{
    const char *cut = memrchr(text, '~', len);
    const char *last = cut ? cut + 1 : text;
    struct xeno_json *doc = xeno_json_object();
    xeno_autofree char *prev = NULL;
    uint8_t sha[32];

    xeno_sha256_of(last, len - (size_t)(last - text), sha);
    prev = xeno_b64url(sha, sizeof sha);
    xeno_json_set_int(doc, "v", 1);
    xeno_json_set_int(doc, "n", (int64_t)n);
    xeno_json_set_str(doc, "prev", prev);
    xeno_json_set(doc, "restrict", restriction_json(say->narrow));
    if (say->next)
        set_pub(doc, say->next);
    if (say->server)
        xeno_json_set(doc, "present", presentation_json(say));
    return sign_json(holder, XENO_TYP_ORDER_BLOCK, doc);
}

static int append(const char *text, size_t len, const struct xeno_pub *corp,
                  const struct xeno_key *holder, const struct saying *say, char **ret,
                  struct xeno_err *err)
{
    /* A place is kept for the block that presents the order. */
    const size_t blocks = XENO_ORDER_BLOCKS_MAX - (say->server ? 0 : 1);
    const size_t bytes = XENO_ORDER_BYTES_MAX - (say->server ? 0 : PRESENT_BYTES);
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    xeno_autofree char *block = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int e;

    e = xeno_order_read(text, len, corp, t, err);
    if (e < 0)
        return e;
    if (t->blocks >= blocks)
        return xeno_fail(err, -E2BIG, "order.blocks",
                         "the order has %zu blocks already, the most there may be", blocks);
    if (memcmp(&t->holder, xeno_key_pub(holder), sizeof t->holder) != 0)
        return xeno_fail(err, -EPERM, "order.holder", "only %s can %s this order, not %s",
                         xeno_id_of(&t->holder).s, say->server ? "present" : "restrict",
                         xeno_id_of(xeno_key_pub(holder)).s);
    block = next_block(text, len, t->blocks, holder, say);
    chain = xeno_asprintf("%.*s~%s", (int)len, text, block);
    if (strlen(chain) > bytes)
        return xeno_fail(err, -EFBIG, "order.restriction",
                         "the order would have %zu bytes, at most %zu", strlen(chain), bytes);
    e = xeno_order_read(chain, strlen(chain), corp, t, &why);
    if (e < 0)
        return xeno_fail(err, -EINVAL, "order.restriction", "%s", why.text);
    *ret = xeno_take(&chain);
    return 0;
}

int xeno_order_append(const char *text, size_t len, const struct xeno_pub *corp,
                      const struct xeno_key *holder, const struct xeno_order_restriction *r,
                      const struct xeno_pub *next, char **ret, struct xeno_err *err)
{
    const struct saying say = { .narrow = r, .next = next };

    return append(text, len, corp, holder, &say, ret, err);
}

int xeno_order_present(const char *text, size_t len, const struct xeno_pub *corp,
                       const struct xeno_key *holder, const char *server, xeno_credit max_rate,
                       xeno_time now, char **ret, struct xeno_err *err)
{
    const struct xeno_order_restriction narrow = { .max_rate = max_rate };
    const struct saying say = { .narrow = &narrow, .server = server, .now = now };

    return append(text, len, corp, holder, &say, ret, err);
}
