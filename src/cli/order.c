/* src/cli/order.c - purchase orders: create, restrict, show, list, close. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/order.h"
#include "cli/out.h"

#define DEFAULT_LIFE_S 86400

/* --- create --- */

static const struct cli_option create_options[] = {
    { "lifetime", 'l', "TIME", "until it expires: 90s, 30m, 2h, 7d (default 1d)", false, 0 },
    { "key", 0, "KEY", "public key (43 letters) of who may use it, instead of yours", false, 0 },
    { "output", 'o', "FILE", "also write the chain there", false, CLI_OFFER_FILE },
    { "dry-run", 0, NULL, "say whether it could be made, and why not", false, 0 },
    { NULL },
};

int cli_order_make(struct cli *cli, xeno_credit amount, xeno_time life, const struct xeno_pub *key,
                   char **ret_chain, struct xeno_order_terms *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    struct xeno_json *body = xeno_json_object();
    struct xeno_json_at top;
    const char *chain;
    char pub[XENO_PUB_TEXT];
    int r;

    xeno_json_set_int(body, "amount", amount.micro);
    xeno_json_set_int(body, "lifetime_s", life.ns / XENO_NS_PER_S);
    if (key) {
        xeno_pub_text(key, pub);
        xeno_json_set_str(body, "key", pub);
    }
    r = cli_corp_post(cli, body, &answer, err, "/v1/orders");
    if (r < 0)
        return r;
    top = xeno_json_top(answer);
    r = xeno_json_str(&top, "chain", 1, XENO_ORDER_BYTES_MAX, &chain, err);
    if (r == 0)
        r = xeno_order_read(chain, strlen(chain), &cli->profile->corp, ret, err);
    if (r < 0)
        return xeno_context(err, r, "the XenoCorp's answer");
    *ret_chain = xeno_strdup(chain);
    return 0;
}

/* Would the XenoCorp make it? Funds are the one thing it decides that we can ask for. */
static int create_dry(struct cli *cli, xeno_credit amount, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    int64_t free_micro;
    int r;

    r = cli_corp_get(cli, &j, err, "/v1/account");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    free_micro = cli_int(&top, "free", 0);
    if (amount.micro > free_micro)
        return xeno_fail(err, -EDQUOT, "ledger.funds", "you have %s free, the order is for %s",
                         xeno_credit_text(xeno_micro(free_micro), a), xeno_credit_text(amount, b));
    if (cli->json) {
        struct xeno_json *out = xeno_json_object();

        xeno_json_set_bool(out, "ok", true);
        xeno_json_set_int(out, "amount", amount.micro);
        xeno_json_set_int(out, "free", free_micro);
        cli_json(out);
    }
    cli_say(cli, "yes: you have %s free, the order would set %s aside",
            xeno_credit_text(xeno_micro(free_micro), a), xeno_credit_text(amount, b));
    return CLI_OK;
}

static int write_chain(const char *path, const char *chain, struct xeno_err *err)
{
    FILE *f = fopen(path, "we");

    if (!f)
        return xeno_fail_errno(err, -errno, "io.write", "write %s", path);
    fprintf(f, "%s\n", chain);
    if (fclose(f) != 0)
        return xeno_fail_errno(err, -errno, "io.write", "write %s", path);
    return 0;
}

static void print_made(struct cli *cli, const char *chain, const struct xeno_order_terms *t)
{
    char text[XENO_CREDIT_TEXT];

    if (cli->json) {
        struct xeno_json *j = xeno_order_terms_json(t);

        xeno_json_set_str(j, "chain", chain);
        cli_json(j);
    } else if (cli->out_tty)
        cli_say(cli, "order %s: %s until %s", t->order, xeno_credit_text(t->limit, text),
                cli_when(t->expires.ns / XENO_NS_PER_MS));
    else
        cli_say(cli, "%s", t->order);
}

static int run_create(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    xeno_autofree char *chain = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    xeno_time life = xeno_s(DEFAULT_LIFE_S);
    const char *key_text = cli_value(args, "key"), *path = cli_value(args, "output");
    char id[XENO_ORDER_ID_CHARS + 1];
    struct xeno_pub key;
    xeno_credit amount;
    int r;

    if (xeno_credit_parse(args->words[0], &amount, &why) < 0 || amount.micro == 0)
        return cli_usage(err, "AMOUNT: %s", why.code ? why.text : "must be above 0");
    if (key_text && !xeno_pub_parse(key_text, &key))
        return cli_usage(err, "--key: not a public key (43 letters; xeno order show prints them)");
    r = cli_duration(args, "lifetime", &life, err);
    if (r < 0)
        return r;
    if (cli_flag(args, "dry-run"))
        return create_dry(cli, amount, err);
    r = cli_order_make(cli, amount, life, key_text ? &key : NULL, &chain, t, err);
    if (r == 0)
        r = cli_wallet_put(cli, chain, id, err);
    if (r == 0 && path)
        r = write_chain(path, chain, err);
    if (r < 0)
        return r;
    print_made(cli, chain, t);
    return CLI_OK;
}

/* --- restrict --- */

static const struct cli_option restrict_options[] = {
    { "server", 's', "SERVER", "only at this XenoServer (name or id)", true, CLI_OFFER_SERVER },
    { "env-type", 0, "TYPE", "only environments of this type: Linux", true, 0 },
    { "max-total", 0, "CREDITS", "spend at most this in all", false, 0 },
    { "max-rate", 0, "CREDITS", "sessions of at most this an hour", false, 0 },
    { "not-before", 0, "TIME", "from then on: 2026-11-21T10:00:00Z", false, 0 },
    { "not-after", 0, "TIME", "until just before then", false, 0 },
    { "for", 0, "LENGTH", "until that long from now: 30m", false, 0 },
    { "give", 'g', "KEY", "hand it to this public key (43 letters); you cannot use what comes out",
      false, 0 },
    { "output", 'o', "FILE", "write the chain there instead of standard output", false,
      CLI_OFFER_FILE },
    { "save", 0, NULL, "replace the order in your wallet by it", false, 0 },
    { NULL },
};

static int read_time(const struct cli_args *args, const char *name, xeno_time *ret,
                     struct xeno_err *err)
{
    const char *text = cli_value(args, name);
    struct xeno_err why = XENO_ERR_INIT;

    if (text && xeno_time_parse(text, ret, &why) < 0)
        return cli_usage(err, "--%s: %s", name, why.text);
    return 0;
}

/* Ids of the servers named; strings are the caller's. Any full id will do, known or not. */
static int server_ids(struct cli *cli, const struct cli_args *args, char ***ret,
                      struct xeno_err *err)
{
    xeno_auto(cli_servers) known = NULL;
    const char *const *given;
    size_t n;
    char **ids;
    int r;

    given = cli_values(args, "server", &n);
    r = cli_servers_load(cli, &known, err);
    if (r < 0)
        return r;
    ids = xeno_new0_n(char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        const struct cli_server *s;

        if (xeno_id_ok(given[i])) {
            ids[i] = xeno_strdup(given[i]);
            continue;
        }
        r = cli_servers_pick(known, given[i], &s, err);
        if (r < 0) {
            cli_strv_free(ids);
            return r;
        }
        ids[i] = xeno_strdup(s->id);
    }
    *ret = ids;
    return 0;
}

static int read_restriction(struct cli *cli, const struct cli_args *args,
                            struct xeno_order_restriction *ret, struct xeno_err *err)
{
    xeno_time length = xeno_ns(0);
    int r;

    ret->envs = cli_values(args, "env-type", &ret->env_count);
    r = cli_credit(args, "max-total", &ret->max_total, err);
    if (r == 0)
        r = cli_credit(args, "max-rate", &ret->max_rate, err);
    if (r == 0)
        r = read_time(args, "not-before", &ret->not_before, err);
    if (r == 0)
        r = read_time(args, "not-after", &ret->not_after, err);
    if (r == 0)
        r = cli_duration(args, "for", &length, err);
    if (r == 0 && length.ns > 0) {
        if (ret->not_after.ns != 0)
            return cli_usage(err, "--for and --not-after say the same thing: give one");
        ret->not_after = xeno_time_add(xeno_wall(cli->env), length);
    }
    return r;
}

static int deliver(struct cli *cli, const struct cli_args *args, const char *chain,
                   struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    const char *path = cli_value(args, "output");
    char id[XENO_ORDER_ID_CHARS + 1];
    int r = 0;

    if (cli_flag(args, "save"))
        r = cli_wallet_put(cli, chain, id, err);
    if (r == 0 && path)
        r = write_chain(path, chain, err);
    if (r == 0)
        r = xeno_order_read(chain, strlen(chain), &cli->profile->corp, t, err);
    if (r < 0)
        return r;
    if (cli->json)
        print_made(cli, chain, t);
    else if (!path && !cli_flag(args, "save"))
        puts(chain);
    return CLI_OK;
}

static int run_restrict(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    struct xeno_order_restriction narrow = { .server_count = 0 };
    const char *give = cli_value(args, "give");
    xeno_autofree char *chain = NULL;
    xeno_autofree char *out = NULL;
    char **ids = NULL;
    struct xeno_pub next;
    int r;

    if (give && !xeno_pub_parse(give, &next))
        return cli_usage(err, "--give: not a public key (43 letters; 'xeno order show' prints the "
                              "one an order is for)");
    r = read_restriction(cli, args, &narrow, err);
    if (r == 0)
        r = cli_wallet_find(cli, args->words[0], &chain, t, err);
    if (r == 0)
        r = server_ids(cli, args, &ids, err);
    if (r == 0) {
        narrow.servers = (const char *const *)ids;
        while (ids[narrow.server_count])
            narrow.server_count++;
        r = xeno_order_append(chain, strlen(chain), &cli->profile->corp, cli->profile->key, &narrow,
                              give ? &next : NULL, &out, err);
    }
    if (r == 0)
        r = deliver(cli, args, out, err);
    cli_strv_free(ids);
    return r;
}

/* --- show --- */

static const struct cli_option show_options[] = {
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
    cli_field(cli, "limit", "%s", xeno_credit_text(t->limit, text));
    if (t->max_total.micro < t->limit.micro)
        cli_field(cli, "max total", "%s", xeno_credit_text(t->max_total, text));
    if (t->max_rate.micro != INT64_MAX)
        cli_field(cli, "max rate", "%s an hour", xeno_credit_text(t->max_rate, text));
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
    cli_field(cli, "charged", "%s",
              xeno_credit_text(xeno_micro(cli_int(&top, "charged", 0)), text));
    bound = cli_obj(&top, "bound");
    if (bound.j)
        cli_field(cli, "bound to", "session %s at %s", cli_clean(cli_str(&bound, "session")),
                  cli_clean(cli_str(&bound, "server")));
    return 0;
}

static int run_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
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

static const struct cli_option list_options[] = {
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
    cli_table_print(cli, &t);
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

static int run_list(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
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
    cli_table_print(cli, &t);
    if (cli->json)
        cli_json(out);
    else
        xeno_json_unref(out);
    return CLI_OK;
}

/* --- close --- */

static const struct cli_option close_options[] = { { NULL } };

int cli_order_close(struct cli *cli, const char *order, struct xeno_json **ret,
                    struct xeno_err *err)
{
    return cli_corp_post(cli, xeno_json_object(), ret, err, "/v1/orders/%s/close", order);
}

/* A chain that is not in the wallet can still be closed by its full id. */
static int order_id(struct cli *cli, const char *ref, char ret[XENO_ORDER_ID_CHARS + 1],
                    struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    xeno_autofree char *chain = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r = cli_wallet_find(cli, ref, &chain, t, &why);

    if (r < 0 && !xeno_id_ok(ref))
        return xeno_fail(err, r, why.token, "%s", why.text);
    snprintf(ret, XENO_ORDER_ID_CHARS + 1, "%s", r < 0 ? ref : t->order);
    return 0;
}

static int run_close(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct xeno_json *all = xeno_json_object(), *list = xeno_json_array();
    int r = cli_profile_need(cli, err);

    xeno_json_set(all, "orders", list);
    for (int i = 0; r == 0 && i < args->word_count; i++) {
        xeno_auto(xeno_json) j = NULL;
        struct xeno_json_at top;
        char id[XENO_ORDER_ID_CHARS + 1];
        const char *state;

        r = order_id(cli, args->words[i], id, err);
        if (r == 0)
            r = cli_order_close(cli, id, &j, err);
        if (r < 0)
            break;
        top = xeno_json_top(j);
        state = cli_str(&top, "state");
        if (strcmp(state, "closing") == 0)
            cli_say(cli, "%s: closes when its session has ended", id);
        else
            cli_say(cli, "%s: %s; the rest is free again", id,
                    *state ? cli_clean(state) : "closed");
        cli_wallet_drop(cli, id);
        xeno_json_append(list, xeno_take(&j));
    }
    if (r == 0 && cli->json)
        cli_json(all);
    else
        xeno_json_unref(all);
    return r;
}

const struct cli_command cli_order_commands[] = {
    { .name = "order create",
      .usage = "AMOUNT",
      .summary = "set credits aside that XenoServers can be paid from",
      .about =
          "The order is kept in your wallet. What is not spent comes back when it is closed or\n"
          "expires.",
      .examples = "xeno order create 2.5 --lifetime 2h\n"
                  "# would it work?\n"
                  "xeno order create 1000 --dry-run\n"
                  "o=$(xeno order create 1 --json | jq -r .order)",
      .options = create_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_create },
    { .name = "order restrict",
      .usage = "ORDER",
      .summary = "narrow an order, offline, and maybe hand it on",
      .about = "ORDER is the id (or its first letters) of an order in your wallet, a file with a\n"
               "chain, or '-'. The narrowed chain goes to standard output. Nothing can widen it "
               "again;\nnobody needs to be asked.",
      .examples = "# at most half a credit, at one server, for an agent with a key of its own\n"
                  "xeno order restrict mzxw6 --server x1 --max-total 0.5 --give KEY > agent.order\n"
                  "# keep only the narrow one yourself\n"
                  "xeno order restrict mzxw6 --for 30m --max-rate 0.1 --save",
      .options = restrict_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_ORDER,
      .run = run_restrict },
    { .name = "order show",
      .usage = "ORDER",
      .summary = "check an order's signatures, offline, and show what it allows",
      .examples = "xeno order show mzxw6\nxeno order show agent.order\n"
                  "xeno order show mzxw6 --online --json | jq .online.charged",
      .options = show_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_ORDER,
      .run = run_show },
    { .name = "order list",
      .usage = "",
      .summary = "list your orders",
      .examples = "xeno order list\nxeno order list --all --json | jq '.orders[].charged'",
      .options = list_options,
      .run = run_list },
    { .name = "order close",
      .usage = "ORDER...",
      .summary = "end orders; what is left of them is free again",
      .about = "An order that pays for a session now closes when that session has ended.",
      .examples = "xeno order close mzxw6",
      .options = close_options,
      .min_words = 1,
      .max_words = -1,
      .offer = CLI_OFFER_ORDER,
      .run = run_close },
    { NULL },
};
