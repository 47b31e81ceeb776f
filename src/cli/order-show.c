/* src/cli/order-show.c - what orders allow, and what became of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/order.h"
#include "cli/out.h"

/* --- show --- */

const struct cli_option cli_order_show_options[] = {
    { "online", 0, NULL, "also ask the XenoCorp for its state and what was charged", false, 0 },
    { "chain", 0, NULL, "print the chain itself", false, 0 },
    { NULL },
};

static void show_list(const struct cli *cli, const struct xeno_order_terms *t)
{
    xeno_autobuf b = XENO_BUF_INIT;

    if (!t->any_server) {
        for (size_t i = 0; i < t->server_count; i++)
            xeno_buf_printf(&b, "%s%s", i ? " " : "", t->servers[i].s);
        cli_field(cli, "servers", "%s", t->server_count ? b.data : "none left");
    }
    if (!t->any_env) {
        xeno_autobuf e = XENO_BUF_INIT;

        for (size_t i = 0; i < t->env_count; i++)
            xeno_buf_printf(&e, "%s%s", i ? " " : "", t->envs[i]);
        cli_field(cli, "env types", "%s", t->env_count ? e.data : "none left");
    }
}

static void show_terms(struct cli *cli, const struct xeno_order_terms *t)
{
    char text[XENO_CREDIT_TEXT], pub[XENO_PUB_TEXT];
    bool mine = memcmp(&t->holder, xeno_key_pub(cli->profile->key), sizeof t->holder) == 0;

    xeno_pub_text(&t->holder, pub);
    cli_field(cli, "order", "%s (%zu block%s, signatures good)", t->order, t->blocks,
              t->blocks == 1 ? "" : "s");
    cli_field(cli, "sponsor", "%s", t->sponsor.s[0] ? t->sponsor.s : "pseudonymous");
    cli_field(cli, "limit", "%s credits", xeno_credit_text(t->limit, text));
    if (t->max_total.micro < t->limit.micro)
        cli_field(cli, "max total", "%s credits", xeno_credit_text(t->max_total, text));
    if (t->max_rate.micro != INT64_MAX)
        cli_field(cli, "max rate", "%s credits an hour", xeno_credit_text(t->max_rate, text));
    cli_field(cli, "usable", "%s to %s%s", cli_when(t->not_before.ns / XENO_NS_PER_MS),
              cli_when(t->not_after.ns / XENO_NS_PER_MS),
              xeno_wall(cli->env).ns >= t->not_after.ns ? " (over)" : "");
    show_list(cli, t);
    cli_field(cli, "for key", "%s%s", pub, mine ? " (yours)" : " (not yours)");
}

static int show_online(struct cli *cli, const char *order, struct xeno_json **ret,
                       struct xeno_err *err)
{
    struct xeno_json_at top, bound;
    char text[XENO_CREDIT_TEXT];
    int r = cli_corp_get(cli, ret, err, "/v1/orders/%s", order);

    if (r < 0)
        return r;
    top = xeno_json_top(*ret);
    cli_field(cli, "state", "%s", cli_clean(cli_str(&top, "state")));
    cli_field(cli, "charged", "%s credits",
              xeno_credit_text(xeno_micro(cli_int(&top, "charged", 0)), text));
    bound = cli_obj(&top, "bound");
    if (bound.j)
        cli_field(cli, "bound to", "session %s at %s", cli_clean(cli_str(&bound, "session")),
                  cli_clean(cli_str(&bound, "server")));
    return 0;
}

int cli_order_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    xeno_autofree char *chain = NULL;
    xeno_auto(xeno_json) online = NULL;
    int r;

    r = cli_wallet_find(cli, args->words[0], &chain, t, err);
    if (r < 0)
        return r;
    if (cli_flag(args, "chain") && !cli->json) {
        puts(chain);
        return CLI_OK;
    }
    show_terms(cli, t);
    if (cli_flag(args, "online"))
        r = show_online(cli, t->order, &online, err);
    if (r < 0)
        return r;
    if (cli->json) {
        struct xeno_json *j = xeno_order_terms_json(t);

        xeno_json_set_str(j, "chain", chain);
        if (online)
            xeno_json_set(j, "online", xeno_take(&online));
        cli_json(j);
    }
    return CLI_OK;
}

/* --- list --- */

const struct cli_option cli_order_list_options[] = {
    { "all", 'a', NULL, "closed and expired ones too", false, 0 },
    { "offline", 0, NULL, "only what is in your wallet, without asking the XenoCorp", false, 0 },
    { NULL },
};

static int list_offline(struct cli *cli, struct xeno_err *err)
{
    static const char *const heads[] = { "ORDER", "LIMIT", "USABLE UNTIL", "BLOCKS", "FOR" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 1 | 1U << 3);
    struct xeno_json *all = xeno_json_object(), *list = xeno_json_array();
    struct xeno_order_terms *terms = xeno_new0(struct xeno_order_terms);
    char **ids = cli_wallet_list(cli);

    (void)err;
    xeno_json_set(all, "orders", list);
    for (char **p = ids; *p; p++) {
        xeno_autofree char *chain = NULL;
        struct xeno_err why = XENO_ERR_INIT;
        char blocks[16];

        if (cli_wallet_find(cli, *p, &chain, terms, &why) < 0) {
            cli_note(cli, "%s: %s", *p, why.text);
            continue;
        }
        snprintf(blocks, sizeof blocks, "%zu", terms->blocks);
        cli_cell(&t, terms->order);
        cli_cell_credit(&t, terms->max_total.micro);
        cli_cell_time(&t, terms->not_after.ns / XENO_NS_PER_MS);
        cli_cell(&t, blocks);
        cli_cell(&t,
                 memcmp(&terms->holder, xeno_key_pub(cli->profile->key), sizeof terms->holder) == 0
                     ? "you"
                     : xeno_id_of(&terms->holder).s);
        xeno_json_append(list, xeno_order_terms_json(terms));
    }
    cli_strv_free(ids);
    free(terms);
    t.ids = 1U << 0 | 1U << 4;
    cli_table_print_or(cli, &t, "no orders in your wallet: make one: xeno order create AMOUNT");
    if (cli->json)
        cli_json(all);
    else
        xeno_json_unref(all);
    return CLI_OK;
}

static void list_row(struct cli_table *t, const struct xeno_json_at *o)
{
    const char *state = cli_str(o, "state");
    int64_t amount = cli_int(o, "amount", 0), charged = cli_int(o, "charged", 0);
    struct xeno_json_at bound = cli_obj(o, "bound");

    cli_cell(t, cli_str(o, "order"));
    cli_cell_paint(t, state, cli_paint_of(state));
    cli_cell_credit(t, amount);
    cli_cell_credit(t, charged);
    cli_cell_time(t, cli_int(o, "expires_ms", 0));
    cli_cell(t, cli_str(&bound, "session"));
}

int cli_order_list(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = {
        "ORDER", "STATE", "LIMIT", "CHARGED", "EXPIRES", "SESSION"
    };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 2 | 1U << 3);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json *out, *kept;
    struct xeno_json_at top, list;
    size_t n;
    int r;

    r = cli_profile_need(cli, err);
    if (r < 0)
        return r;
    if (cli_flag(args, "offline"))
        return list_offline(cli, err);
    r = cli_pages(cli, NULL, "/v1/orders", "orders", &j, err);
    if (r < 0)
        return r;
    out = xeno_json_object();
    kept = xeno_json_array();
    xeno_json_set(out, "orders", kept);
    top = xeno_json_top(j);
    list = cli_list(&top, "orders", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at o = xeno_json_item(&list, i);
        const char *state = cli_str(&o, "state");

        if (!cli_flag(args, "all") && (!strcmp(state, "closed") || !strcmp(state, "expired")))
            continue;
        list_row(&t, &o);
        xeno_json_append(kept, xeno_json_ref((struct xeno_json *)o.j));
    }
    t.ids = 1U << 0 | 1U << 5;
    cli_table_print_or(cli, &t,
                       "no orders: make one: xeno order create AMOUNT (xeno run does it for you)");
    if (cli->json)
        cli_json(out);
    else
        xeno_json_unref(out);
    return CLI_OK;
}
