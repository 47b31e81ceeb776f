/* src/doc/charge.c - one charge: its check, its digest, its JSON (rfc/0002-charge.md 2). */
#include "doc/charge.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/enc.h"

static const char *const res_names[XENO_RES_COUNT] = { "cpu", "memory", "disk", "net", "address" };

const char *xeno_res_name(enum xeno_res res)
{
    return res_names[res];
}

bool xeno_res_parse(const char *name, enum xeno_res *ret)
{
    for (size_t i = 0; i < XENO_RES_COUNT; i++)
        if (strcmp(name, res_names[i]) == 0) {
            *ret = (enum xeno_res)i;
            return true;
        }
    return false;
}

static int format_error(struct xeno_err *err, const char *what)
{
    return xeno_fail(err, -EINVAL, "charge.format", "%s", what);
}

static bool in_range(int64_t n, int64_t min, int64_t max)
{
    return n >= min && n <= max;
}

static bool item_ok(const struct xeno_charge_item *it)
{
    return in_range(it->res, 0, XENO_RES_COUNT - 1) &&
           in_range(it->reserved, 0, XENO_QUANTITY_MAX) &&
           in_range(it->used, 0, XENO_QUANTITY_MAX) &&
           in_range(it->price_reserved.micro, 0, XENO_CREDIT_MAX) &&
           in_range(it->price_used.micro, 0, XENO_CREDIT_MAX) &&
           in_range(it->amount.micro, 0, XENO_CREDIT_MAX);
}

static int check_items(const struct xeno_charge *c, struct xeno_err *err)
{
    xeno_credit sum = xeno_micro(0);
    unsigned seen = 0;

    if (c->item_count > XENO_RES_COUNT)
        return format_error(err, "items: more of them than there are resources");
    for (size_t i = 0; i < c->item_count; i++) {
        if (!item_ok(&c->items[i]))
            return xeno_fail(err, -EINVAL, "charge.format", "items[%zu]: a number is out of bounds",
                             i);
        if (seen & 1U << c->items[i].res)
            return xeno_fail(err, -EINVAL, "charge.format", "items[%zu]: %s is there twice", i,
                             res_names[c->items[i].res]);
        seen |= 1U << c->items[i].res;
        if (!xeno_credit_add(sum, c->items[i].amount, &sum))
            return xeno_fail(err, -EINVAL, "charge.sum", "the items' amounts overflow");
    }
    if (sum.micro != c->amount.micro)
        return xeno_fail(err, -EINVAL, "charge.sum",
                         "the items add up to %" PRId64 " micro-credits, the amount says %" PRId64,
                         sum.micro, c->amount.micro);
    return 0;
}

int xeno_charge_check(const struct xeno_charge *c, struct xeno_err *err)
{
    if (!xeno_base32_ok(c->order, XENO_ORDER_ID_CHARS))
        return format_error(err, "order: not an order's id (32 letters of base32)");
    if (!xeno_base32_ok(c->session, XENO_SESSION_ID_CHARS))
        return format_error(err, "session: not a session's id (16 letters of base32)");
    if (c->epoch < 1 || c->seq < 1 || c->tariff < 0)
        return format_error(err, "epoch and seq count from 1, tariff from 0");
    if (c->from.ns < 0 || c->to.ns < c->from.ns || c->from.ns % XENO_NS_PER_MS != 0 ||
        c->to.ns % XENO_NS_PER_MS != 0)
        return format_error(err, "to_ms must not be before from_ms");
    if (!in_range(c->amount.micro, 0, XENO_CREDIT_MAX))
        return format_error(err, "amount: out of bounds");
    if (strnlen(c->activity, sizeof c->activity) == sizeof c->activity)
        return format_error(err, "activity: too long");
    return check_items(c, err);
}

/* --- digest: every member in fixed order, numbers as 8 bytes, texts with their length --- */

struct packed {
    uint8_t b[1024]; /* the most a charge takes is under 700 */
    size_t len;
};

static void pack_int(struct packed *p, int64_t n)
{
    uint64_t u = (uint64_t)n;

    for (int i = 0; i < 8; i++)
        p->b[p->len++] = (uint8_t)(u >> (56 - 8 * i));
}

static void pack_text(struct packed *p, const char *text)
{
    size_t len = strlen(text);

    pack_int(p, (int64_t)len);
    memcpy(p->b + p->len, text, len);
    p->len += len;
}

void xeno_charge_digest(const struct xeno_charge *c, uint8_t out[32])
{
    struct packed p = { .len = 0 };

    pack_text(&p, c->order);
    pack_text(&p, c->session);
    pack_int(&p, c->epoch);
    pack_int(&p, c->seq);
    pack_int(&p, c->from.ns);
    pack_int(&p, c->to.ns);
    pack_int(&p, c->tariff);
    pack_int(&p, c->amount.micro);
    pack_int(&p, c->final);
    pack_text(&p, c->activity);
    pack_int(&p, (int64_t)c->item_count);
    for (size_t i = 0; i < c->item_count; i++) {
        pack_int(&p, c->items[i].res);
        pack_int(&p, c->items[i].reserved);
        pack_int(&p, c->items[i].used);
        pack_int(&p, c->items[i].price_reserved.micro);
        pack_int(&p, c->items[i].price_used.micro);
        pack_int(&p, c->items[i].amount.micro);
    }
    xeno_sha256_of(p.b, p.len, out);
}

/* --- JSON --- */

struct xeno_json *xeno_charge_items_json(const struct xeno_charge *c)
{
    struct xeno_json *list = xeno_json_array();

    for (size_t i = 0; i < c->item_count; i++) {
        const struct xeno_charge_item *it = &c->items[i];
        struct xeno_json *j = xeno_json_object();

        xeno_json_set_str(j, "res", res_names[it->res]);
        xeno_json_set_int(j, "reserved", it->reserved);
        xeno_json_set_int(j, "used", it->used);
        xeno_json_set_int(j, "price_reserved", it->price_reserved.micro);
        xeno_json_set_int(j, "price_used", it->price_used.micro);
        xeno_json_set_int(j, "amount", it->amount.micro);
        xeno_json_append(list, j);
    }
    return list;
}

struct xeno_json *xeno_charge_json(const struct xeno_charge *c)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_str(j, "order", c->order);
    xeno_json_set_int(j, "epoch", c->epoch);
    xeno_json_set_str(j, "session", c->session);
    xeno_json_set_int(j, "seq", c->seq);
    xeno_json_set_int(j, "from_ms", c->from.ns / XENO_NS_PER_MS);
    xeno_json_set_int(j, "to_ms", c->to.ns / XENO_NS_PER_MS);
    xeno_json_set_int(j, "tariff", c->tariff);
    xeno_json_set_int(j, "amount", c->amount.micro);
    xeno_json_set_bool(j, "final", c->final);
    xeno_json_set_str(j, "activity", c->activity);
    xeno_json_set(j, "items", xeno_charge_items_json(c));
    return j;
}

static int read_text(const struct xeno_json_at *at, const char *key, size_t min, char *out,
                     size_t max, struct xeno_err *err)
{
    const char *text;
    int r = xeno_json_str(at, key, min, max, &text, err);

    if (r == 0)
        strcpy(out, text); /* its length was checked, and out holds max and a zero byte */
    return r;
}

static int read_item(const struct xeno_json_at *at, struct xeno_charge_item *it,
                     struct xeno_err *err)
{
    static const char *const known[] = { "res",        "reserved", "used", "price_reserved",
                                         "price_used", "amount",   NULL };
    const char *res;
    int r;

    r = xeno_json_only(at, known, err);
    if (r == 0)
        r = xeno_json_str(at, "res", 1, 16, &res, err);
    if (r < 0)
        return r;
    if (!xeno_res_parse(res, &it->res))
        return xeno_fail(err, -EINVAL, "charge.format", "%s.res: '%s' is not a resource", at->path,
                         res);
    r = xeno_json_int(at, "reserved", 0, XENO_QUANTITY_MAX, &it->reserved, err);
    if (r == 0)
        r = xeno_json_int(at, "used", 0, XENO_QUANTITY_MAX, &it->used, err);
    if (r == 0)
        r = xeno_json_int(at, "price_reserved", 0, XENO_CREDIT_MAX, &it->price_reserved.micro, err);
    if (r == 0)
        r = xeno_json_int(at, "price_used", 0, XENO_CREDIT_MAX, &it->price_used.micro, err);
    if (r == 0)
        r = xeno_json_int(at, "amount", 0, XENO_CREDIT_MAX, &it->amount.micro, err);
    return r;
}

static int read_items(const struct xeno_json_at *at, struct xeno_charge *c, struct xeno_err *err)
{
    struct xeno_json_at list;
    int r = xeno_json_arr(at, "items", XENO_RES_COUNT, &list, &c->item_count, err);

    for (size_t i = 0; r == 0 && i < c->item_count; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        r = read_item(&item, &c->items[i], err);
    }
    return r;
}

/* What names a charge comes first: with it, a fault in the rest can be answered. */
static int read_name(const struct xeno_json_at *at, struct xeno_charge *c, struct xeno_err *err)
{
    int r = read_text(at, "session", XENO_SESSION_ID_CHARS, c->session, XENO_SESSION_ID_CHARS, err);

    if (r == 0)
        r = xeno_json_int(at, "seq", 1, INT64_MAX, &c->seq, err);
    return r;
}

int xeno_charge_read(const struct xeno_json_at *at, struct xeno_charge *c, struct xeno_err *err)
{
    static const char *const known[] = { "order",   "epoch",    "session", "seq",
                                         "from_ms", "to_ms",    "tariff",  "amount",
                                         "final",   "activity", "items",   NULL };
    int r;

    memset(c, 0, sizeof *c);
    r = read_name(at, c, err);
    if (r == 0)
        r = xeno_json_only(at, known, err);
    if (r == 0)
        r = read_text(at, "order", XENO_ORDER_ID_CHARS, c->order, XENO_ORDER_ID_CHARS, err);
    if (r == 0)
        r = xeno_json_int(at, "epoch", 1, INT64_MAX, &c->epoch, err);
    if (r == 0)
        r = xeno_doc_time(at, "from_ms", 0, &c->from, err);
    if (r == 0)
        r = xeno_doc_time(at, "to_ms", 0, &c->to, err);
    if (r == 0)
        r = xeno_json_int(at, "tariff", 0, INT64_MAX, &c->tariff, err);
    if (r == 0)
        r = xeno_json_int(at, "amount", 0, XENO_CREDIT_MAX, &c->amount.micro, err);
    if (r == 0)
        r = xeno_json_bool(at, "final", &c->final, err);
    if (r == 0)
        r = read_text(at, "activity", 0, c->activity, XENO_CHARGE_ACTIVITY_MAX, err);
    if (r == 0)
        r = read_items(at, c, err);
    return r;
}
