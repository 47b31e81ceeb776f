/* src/cli/store-pay.c - having what was pushed kept: a certificate, and an order that pays for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/api.h"
#include "cli/order.h"
#include "cli/out.h"
#include "cli/store-shop.h"
#include "image/manifest.h"

#define DEFAULT_S    (30 * 86400)
#define LIFE_MIN_S   10
#define LIFE_MAX_S   (365 * 86400)
#define ORDER_MORE_S 300 /* the order outlives the certificate, which begins a little later */
#define HOUR_MS      INT64_C(3600000)

/* --- the certificate --- */

static int add_object(struct xeno_store *st, struct xeno_writecert *c, const char *digest,
                      struct xeno_err *err)
{
    struct xeno_stored_object *o = &c->objects[c->count];
    xeno_autofree char *buf = xeno_alloc0(1, 1 << 18);
    xeno_auto(xeno_blocktree) tree = NULL;
    xeno_autoclose int fd = -1;
    ssize_t n;
    int r;

    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->objects[i].digest, digest) == 0)
            return 0;
    snprintf(o->digest, sizeof o->digest, "%s", digest);
    r = xeno_store_open_blob(st, digest, &fd, &o->size, err);
    if (r >= 0)
        r = xeno_blocktree_new(o->size, -1, &tree, err);
    while (r >= 0 && (n = read(fd, buf, 1 << 18)) != 0) {
        if (n < 0)
            return xeno_fail_errno(err, -errno, "io.read", "read %s", digest);
        xeno_blocktree_add(tree, buf, (size_t)n);
    }
    if (r >= 0)
        r = xeno_blocktree_end(tree, &o->root, NULL, err);
    c->count++;
    return r < 0 ? r : 0;
}

/* The manifest, its config and its layers. */
static int add_image(struct xeno_store *st, struct xeno_writecert *c, struct xeno_err *err)
{
    xeno_auto(xeno_image) im = NULL;
    int r = xeno_store_resolve(st, c->digest, NULL, &im, err);

    if (r < 0)
        return r;
    c->objects = xeno_new0_n(struct xeno_stored_object, im->layer_count + 2);
    r = add_object(st, c, im->digest, err);
    if (r == 0)
        r = add_object(st, c, im->config.digest, err);
    for (size_t i = 0; r == 0 && i < im->layer_count; i++)
        r = add_object(st, c, im->layers[i].digest, err);
    return r;
}

static int make_cert(struct cli *cli, struct xeno_store *st, const char *digest, xeno_time life,
                     int64_t copies, struct xeno_writecert *c, char **ret, struct xeno_err *err)
{
    int r;

    xeno_session_id_new(cli->env, c->id);
    snprintf(c->digest, sizeof c->digest, "%s", digest);
    c->copies = copies;
    c->issued = xeno_wall(cli->env);
    c->expires = xeno_time_add(c->issued, life);
    r = add_image(st, c, err);
    return r < 0 ? r : xeno_writecert_sign(cli->profile->key, c, ret, err);
}

/* --- what it costs --- */

static const char *days_text(xeno_time life, char buf[32])
{
    int64_t s = life.ns / XENO_NS_PER_S;

    if (s % 86400 == 0)
        snprintf(buf, 32, "%" PRId64 " day%s", s / 86400, s == 86400 ? "" : "s");
    else
        snprintf(buf, 32, "%" PRId64 " s", s);
    return buf;
}

static int64_t cost_of(const struct cli_shop *shop, int64_t size, xeno_time life)
{
    int64_t cost = xeno_stored_cost(size, shop->price, life.ns / XENO_NS_PER_MS);

    return cost > 0 ? cost : 1;
}

static int check_price(struct cli *cli, const struct cli_shop *shops, size_t count, int64_t size,
                       xeno_time life, xeno_credit limit, struct xeno_err *err)
{
    char days[32], bytes[32], a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    xeno_credit all = xeno_micro(0);

    for (size_t i = 0; i < count; i++) {
        int64_t cost = cost_of(&shops[i], size, life);

        if (cost > XENO_CREDIT_MAX || !xeno_credit_add(all, xeno_micro(cost), &all))
            all.micro = XENO_CREDIT_MAX + 1;
        cli_note(cli, "keeping %s for %s costs %s credits at %s (%s a GiB and day)",
                 xeno_size_text(size, bytes), days_text(life, days),
                 xeno_credit_text(xeno_micro(cost), a), shops[i].host,
                 xeno_credit_text(xeno_micro(shops[i].price), b));
    }
    if (all.micro > limit.micro)
        return xeno_fail(err, -EDQUOT, "price.limit",
                         "keeping it for %s costs %s credits, --pay allows %s: keep it for less "
                         "time (--for), or pay more",
                         days_text(life, days), xeno_credit_text(all, a),
                         xeno_credit_text(limit, b));
    return 0;
}

/* --- buying --- */

static int wait_kept(struct cli *cli, const struct cli_shop *shop, const char *id,
                     struct xeno_json **ret, struct xeno_err *err)
{
    for (int i = 0; i < CLI_SHOP_WAIT_S * 1000 / CLI_SHOP_POLL_MS; i++) {
        xeno_auto(xeno_json) view = NULL;
        struct xeno_json_at top;
        int r = cli_shop_ask(cli, shop, "GET", NULL, &view, err, "/v1/certificates/%s", id);

        if (r < 0)
            return r;
        top = xeno_json_top(view);
        if (strcmp(cli_str(&top, "state"), "kept") == 0) {
            *ret = xeno_take(&view);
            return 0;
        }
        if (strcmp(cli_str(&top, "state"), "asked") != 0)
            return xeno_fail(err, -EPERM, "storage.refused", "%s does not keep it: %s", shop->host,
                             cli_clean(cli_str(&top, "reason")));
        cli_shop_pause();
    }
    return xeno_fail(err, -ETIMEDOUT, "storage.asked",
                     "the XenoCorp has not answered %s yet; see xeno store show %s", shop->host,
                     id);
}

static int buy(struct cli *cli, const struct cli_shop *shop, const struct xeno_writecert *c,
               const char *text, const char *chain, struct xeno_json **ret, struct xeno_err *err)
{
    struct xeno_json *body = xeno_json_object();
    xeno_autofree char *shown = NULL;
    int r = cli_order_present_at(cli, chain, shop->id,
                                 xeno_stored_cost(c->size, shop->price, HOUR_MS), &shown, err);

    if (r < 0) {
        xeno_json_unref(body);
        return r;
    }
    xeno_json_set_str(body, "certificate", text);
    xeno_json_set_str(body, "chain", shown);
    r = cli_shop_ask(cli, shop, "POST", body, NULL, err, "/v1/certificates");
    return r < 0 ? r : wait_kept(cli, shop, c->id, ret, err);
}

static int check_receipt(const struct cli_shop *shop, const struct xeno_writecert *c,
                         const struct xeno_json *view, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(view);
    const char *text = cli_str(&top, "receipt");
    struct xeno_store_receipt receipt;
    int r = xeno_store_receipt_read(text, strlen(text), &shop->key, &receipt, err);

    if (r == 0 && (strcmp(receipt.certificate, c->id) != 0 || receipt.size != c->size ||
                   strcmp(receipt.digest, c->digest) != 0 || receipt.price.micro != shop->price))
        r = xeno_fail(err, -EPROTO, "storage.receipt", "the receipt is not what was agreed");
    return r < 0 ? xeno_context(err, r, "the receipt of %s", shop->host) : 0;
}

/* One copy: an order, bound to it. */
static int pay_one(struct cli *cli, const struct cli_shop *shop, const struct xeno_writecert *c,
                   const char *text, xeno_time life, struct xeno_json *list, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    xeno_autofree char *chain = NULL;
    xeno_auto(xeno_json) view = NULL;
    int closed, r;

    r = cli_order_make(cli, xeno_micro(cost_of(shop, c->size, life)),
                       xeno_time_add(life, xeno_s(ORDER_MORE_S)), NULL, &chain, t, err);
    if (r < 0)
        return r;
    r = buy(cli, shop, c, text, chain, &view, err);
    /* Bound, it is charged all the same, and its rest comes back when the certificate ends. */
    closed = cli_order_close(cli, t->order, NULL, r < 0 ? NULL : err);
    if (r == 0)
        r = check_receipt(shop, c, view, err);
    if (r < 0 || closed < 0)
        return r < 0 ? r : closed;
    xeno_json_append(list, xeno_take(&view));
    return 0;
}

static int pay(struct cli *cli, const struct cli_shop *shops, size_t count, struct xeno_store *st,
               const char *digest, xeno_time life, xeno_credit limit, struct xeno_json *list,
               struct xeno_err *err)
{
    xeno_auto(xeno_writecert) c = xeno_new0(struct xeno_writecert);
    xeno_autofree char *text = NULL;
    int r = make_cert(cli, st, digest, life, (int64_t)count, c, &text, err);

    if (r == 0)
        r = check_price(cli, shops, count, c->size, life, limit, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = pay_one(cli, &shops[i], c, text, life, list, err);
    return r;
}

void cli_store_paid(struct cli *cli, const struct xeno_json *list)
{
    xeno_auto(xeno_json) all = xeno_json_object();
    struct xeno_json_at top, items;
    size_t count = 0;

    if (!list)
        return;
    xeno_json_set(all, "list", xeno_json_ref((struct xeno_json *)list));
    top = xeno_json_top(all);
    items = cli_list(&top, "list", &count);
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at c = xeno_json_item(&items, i);

        cli_note(cli, "copy %" PRId64 " is kept until %s by certificate %s", cli_int(&c, "copy", 0),
                 cli_when(cli_int(&c, "ends_ms", 0)), cli_clean(cli_str(&c, "certificate")));
    }
}

int cli_store_pay(struct cli *cli, const struct cli_args *args, const char *const *hosts,
                  size_t count, struct xeno_store *st, const char *digest, struct xeno_json **ret,
                  struct xeno_err *err)
{
    struct cli_shop shops[XENO_WRITECERT_COPIES];
    xeno_auto(xeno_json) list = xeno_json_array();
    xeno_time life = xeno_s(DEFAULT_S);
    xeno_credit limit = xeno_micro(0);
    size_t n = 0;
    int r = cli_credit(args, "pay", &limit, err);

    if (r == 0)
        r = cli_duration(args, "for", &life, err);
    if (r == 0 && (life.ns < xeno_s(LIFE_MIN_S).ns || life.ns > xeno_s(LIFE_MAX_S).ns))
        r = cli_usage(err, "--for: from 10s to 365d, not %s", cli_value(args, "for"));
    for (size_t i = 0; r == 0 && i < count && n < XENO_LEN(shops); i++) {
        r = cli_shop_open(cli, hosts[i], &shops[n], err);
        if (r == 0 && shops[n].price == 0)
            cli_note(cli, "keeping it costs nothing at %s", hosts[i]);
        else
            n++;
    }
    if (r == 0 && n > 0)
        r = pay(cli, shops, n, st, digest, life, limit, list, err);
    if (r < 0)
        return r;
    *ret = xeno_take(&list);
    return 0;
}
