/* src/cli/store-shop.c - asking a XenoStore that is paid; certificates looked at, audited,
 * reclaimed.
 */
#include "cli/store-shop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/profile.h"

void cli_shop_pause(void)
{
    const struct timespec pause = { .tv_nsec = CLI_SHOP_POLL_MS * XENO_NS_PER_MS };

    nanosleep(&pause, NULL);
}

int cli_shop_ask(struct cli *cli, const struct cli_shop *shop, const char *method,
                 struct xeno_json *body, struct xeno_json **ret, struct xeno_err *err,
                 const char *fmt, ...)
{
    xeno_autofree char *base = xeno_asprintf("https://%s", shop->host);
    xeno_autofree char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    path = xeno_vasprintf(fmt, ap);
    va_end(ap);
    return cli_ask(cli,
                   &(struct cli_ask){ .method = method,
                                      .base = base,
                                      .server_id = *shop->id ? shop->id : NULL,
                                      .path = path,
                                      .body = body },
                   ret, err);
}

int cli_shop_open(struct cli *cli, const char *host, struct cli_shop *ret, struct xeno_err *err)
{
    struct cli_shop shop = { .price = 0 };
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    int r = cli_profile_need(cli, err);

    if (r == 0)
        r = cli_remote_host(cli, host, shop.host, shop.id, err);
    if (r == 0)
        r = cli_shop_ask(cli, &shop, "GET", NULL, &j, err, "/v1/usage");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    shop.price = cli_int(&top, "price_gib_day", 0);
    if (!xeno_pub_parse(cli_str(&top, "key"), &shop.key) || shop.price < 0 ||
        (*shop.id && strcmp(shop.id, xeno_id_of(&shop.key).s) != 0))
        return xeno_fail(err, -EPROTO, "storage.store", "%s does not say who it is", shop.host);
    memcpy(shop.id, xeno_id_of(&shop.key).s, sizeof shop.id);
    *ret = shop;
    return 0;
}

/* --- lists --- */

const struct cli_option cli_certificate_options[] = {
    { "at", 0, "HOST", "a XenoStore that is not the default store", false, 0 },
    { NULL },
};

int cli_run_certificates(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "CERTIFICATE", "STATE", "SIZE", "SPENT",
                                         "LEFT",        "UNTIL", "IMAGE" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 0x1c);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    struct cli_shop shop;
    char size[32];
    size_t count = 0;
    int r = cli_shop_open(cli, cli_value(args, "at"), &shop, err);

    if (r == 0)
        r = cli_shop_ask(cli, &shop, "GET", NULL, &j, err, "/v1/certificates");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "certificates", &count);
    for (size_t i = 0; i < count; i++) {
        struct xeno_json_at c = xeno_json_item(&list, i);

        cli_cell(&t, cli_clean(cli_str(&c, "certificate")));
        cli_cell_paint(&t, cli_clean(cli_str(&c, "state")), cli_paint_of(cli_str(&c, "state")));
        cli_cell(&t, xeno_size_text(cli_int(&c, "size_bytes", 0), size));
        cli_cell_credit(&t, cli_int(&c, "spent", 0));
        cli_cell_credit(&t, cli_int(&c, "left", 0));
        cli_cell_time(&t, cli_int(&c, "ends_ms", cli_int(&c, "expires_ms", 0)));
        cli_cell(&t, cli_clean(cli_str(&c, "digest")));
    }
    if (cli->json)
        cli_json(xeno_take(&j));
    else
        cli_table_print_or(cli, &t, "nothing is paid for there: xeno template push --pay does");
    return CLI_OK;
}

static void print_certificate(struct cli *cli, const struct xeno_json *view)
{
    struct xeno_json_at top = xeno_json_top(view);
    char text[XENO_CREDIT_TEXT], size[32];

    cli_field(cli, "certificate", "%s", cli_clean(cli_str(&top, "certificate")));
    cli_field(cli, "state", "%s", cli_clean(cli_str(&top, "state")));
    if (*cli_str(&top, "reason"))
        cli_field(cli, "reason", "%s", cli_clean(cli_str(&top, "reason")));
    cli_field(cli, "image", "%s", cli_clean(cli_str(&top, "digest")));
    cli_field(cli, "size", "%s", xeno_size_text(cli_int(&top, "size_bytes", 0), size));
    cli_field(cli, "pays for", "%s", xeno_size_text(cli_int(&top, "paying_bytes", 0), size));
    cli_field(cli, "price", "%s credits a GiB and day",
              xeno_credit_text(xeno_micro(cli_int(&top, "price", 0)), text));
    cli_field(cli, "until", "%s",
              cli_when(cli_int(&top, "ends_ms", cli_int(&top, "expires_ms", 0))));
    cli_field(cli, "spent", "%s", xeno_credit_text(xeno_micro(cli_int(&top, "spent", 0)), text));
    cli_field(cli, "left", "%s", xeno_credit_text(xeno_micro(cli_int(&top, "left", 0)), text));
    cli_field(cli, "order", "%s", cli_clean(cli_str(&top, "order")));
}

int cli_run_certificate(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct cli_shop shop;
    int r = cli_shop_open(cli, cli_value(args, "at"), &shop, err);

    if (r == 0)
        r = cli_shop_ask(cli, &shop, "GET", NULL, &j, err, "/v1/certificates/%s", args->words[0]);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(xeno_take(&j));
    else
        print_certificate(cli, j);
    return CLI_OK;
}

/* --- reclaim --- */

static int reclaim(struct cli *cli, const struct cli_shop *shop, const char *id,
                   struct xeno_json **ret, struct xeno_err *err)
{
    struct xeno_reclaim doc = { .time = xeno_wall(cli->env) };
    struct xeno_json *body = xeno_json_object();
    struct xeno_reclaim_receipt receipt;
    xeno_auto(xeno_json) view = NULL;
    xeno_autofree char *text = NULL;
    char charged[XENO_CREDIT_TEXT], rest[XENO_CREDIT_TEXT];
    struct xeno_json_at top;
    const char *signed_text;
    int r;

    snprintf(doc.certificate, sizeof doc.certificate, "%s", id);
    text = xeno_reclaim_sign(cli->profile->key, &doc);
    xeno_json_set_str(body, "reclaim", text);
    r = cli_shop_ask(cli, shop, "POST", body, &view, err, "/v1/certificates/%s/reclaim", id);
    if (r < 0)
        return r;
    top = xeno_json_top(view);
    signed_text = cli_str(&top, "reclaim_receipt");
    r = xeno_reclaim_receipt_read(signed_text, strlen(signed_text), &shop->key, &receipt, err);
    if (r == 0 && strcmp(receipt.certificate, id) != 0)
        r = xeno_fail(err, -EPROTO, "storage.receipt", "it is about %s", receipt.certificate);
    if (r < 0)
        return xeno_context(err, r, "the receipt of %s", shop->host);
    cli_say(cli, "%s: %s credits were charged, %s come back", id,
            xeno_credit_text(receipt.charged, charged), xeno_credit_text(receipt.rest, rest));
    *ret = xeno_take(&view);
    return 0;
}

int cli_run_reclaim(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct xeno_json *all = xeno_json_object(), *list = xeno_json_array();
    struct cli_shop shop;
    int r = cli_shop_open(cli, cli_value(args, "at"), &shop, err);

    xeno_json_set(all, "certificates", list);
    for (int i = 0; r == 0 && i < args->word_count; i++) {
        struct xeno_json *view = NULL;

        r = reclaim(cli, &shop, args->words[i], &view, err);
        if (r == 0)
            xeno_json_append(list, view);
    }
    if (r == 0 && cli->json)
        cli_json(all);
    else
        xeno_json_unref(all);
    return r;
}

/* --- audits --- */

const struct cli_option cli_audit_options[] = {
    { "at", 0, "HOST", "a XenoStore that is not the default store", false, 0 },
    { "wait", 'w', "TIME", "how long to wait for the outcome (default 1m)", false, 0 },
    { NULL },
};

/* The audit `n` as the XenoCorp has it now. */
static int read_audit(struct cli *cli, int64_t n, struct xeno_json **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) page = NULL;
    struct xeno_json_at top, list;
    size_t count = 0;
    int r = cli_corp_get(cli, &page, err, "/v1/audits?after=%" PRId64 "&limit=1", n - 1);

    if (r < 0)
        return r;
    top = xeno_json_top(page);
    list = cli_list(&top, "audits", &count);
    if (count == 1) {
        struct xeno_json_at item = xeno_json_item(&list, 0);

        if (cli_int(&item, "audit", 0) == n) {
            *ret = xeno_json_ref((struct xeno_json *)item.j);
            return 0;
        }
    }
    return xeno_fail(err, -EPROTO, "storage.audit", "the XenoCorp has forgotten its question");
}

static int wait_audit(struct cli *cli, int64_t n, xeno_time patience, struct xeno_json **ret,
                      struct xeno_err *err)
{
    xeno_time until = xeno_time_add(xeno_mono(cli->env), patience);

    for (;;) {
        xeno_auto(xeno_json) j = NULL;
        struct xeno_json_at top;
        int r = read_audit(cli, n, &j, err);

        if (r < 0)
            return r;
        top = xeno_json_top(j);
        if (strcmp(cli_str(&top, "result"), "open") != 0 || xeno_mono(cli->env).ns >= until.ns) {
            *ret = xeno_take(&j);
            return 0;
        }
        cli_shop_pause();
    }
}

int cli_run_audit(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) view = NULL;
    xeno_auto(xeno_json) asked = NULL;
    xeno_auto(xeno_json) end = NULL;
    struct xeno_json *body;
    struct xeno_json_at top;
    xeno_time patience = xeno_s(CLI_SHOP_WAIT_S);
    const char *result;
    struct cli_shop shop;
    int r = cli_duration(args, "wait", &patience, err);

    if (r == 0)
        r = cli_shop_open(cli, cli_value(args, "at"), &shop, err);
    if (r == 0)
        r = cli_shop_ask(cli, &shop, "GET", NULL, &view, err, "/v1/certificates/%s",
                         args->words[0]);
    if (r < 0)
        return r;
    top = xeno_json_top(view);
    body = xeno_json_object();
    xeno_json_set_str(body, "order", cli_str(&top, "order"));
    r = cli_corp_post(cli, body, &asked, err, "/v1/audits");
    if (r < 0)
        return r;
    top = xeno_json_top(asked);
    r = wait_audit(cli, cli_int(&top, "audit", 0), patience, &end, err);
    if (r < 0)
        return r;
    top = xeno_json_top(end);
    result = cli_str(&top, "result");
    cli_say(cli, "%s: byte %" PRId64 " of %s: %s", args->words[0], cli_int(&top, "from", 0),
            cli_clean(cli_str(&top, "digest")), cli_clean(result));
    if (strcmp(result, "passed") != 0)
        return xeno_fail(
            err, -EPERM, "storage.audit",
            strcmp(result, "open") == 0
                ? "the store has not answered yet: until its time is over it may"
                : "the store did not show what it is paid for: it is not paid any more");
    if (cli->json)
        cli_json(xeno_take(&end));
    return CLI_OK;
}
