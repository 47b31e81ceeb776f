/* src/cli/order.c - purchase orders: create, close, and the table of the family. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/order.h"
#include "cli/out.h"

#define DEFAULT_LIFE_S 86400
#define LIFE_MIN_S     10 /* what a XenoCorp makes: openapi.yaml */
#define LIFE_MAX_S     (366 * 86400)

/* --- create --- */

static const struct cli_option create_options[] = {
    { "lifetime", 'l', "TIME", "until it expires: 90s, 30m, 2h, 7d (default 1d)", false, 0 },
    { "key", 0, "KEY", "public key (43 letters) of who may use it, instead of yours", false, 0 },
    { "output", 'o', "FILE", "also write the chain there", false, CLI_OFFER_FILE },
    { "dry-run", 0, NULL, "say whether it could be made, and why not", false, 0 },
    { NULL },
};

struct xeno_json *cli_order_body(xeno_credit amount, xeno_time life, const struct xeno_pub *key)
{
    struct xeno_json *body = xeno_json_object();
    char pub[XENO_PUB_TEXT];

    xeno_json_set_int(body, "amount", amount.micro);
    xeno_json_set_int(body, "lifetime_s", life.ns / XENO_NS_PER_S);
    if (key) {
        xeno_pub_text(key, pub);
        xeno_json_set_str(body, "key", pub);
    }
    return body;
}

int cli_order_take(struct cli *cli, const struct xeno_json *answer, char **ret_chain,
                   struct xeno_order_terms *ret, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(answer);
    const char *chain;
    int r = xeno_json_str(&top, "chain", 1, XENO_ORDER_BYTES_MAX, &chain, err);

    if (r == 0)
        r = xeno_order_read(chain, strlen(chain), &cli->profile->corp, ret, err);
    if (r < 0)
        return xeno_context(err, r, "the XenoCorp's answer");
    *ret_chain = xeno_strdup(chain);
    return 0;
}

int cli_order_make(struct cli *cli, xeno_credit amount, xeno_time life, const struct xeno_pub *key,
                   char **ret_chain, struct xeno_order_terms *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    int r = cli_corp_post(cli, cli_order_body(amount, life, key), &answer, err, "/v1/orders");

    return r < 0 ? r : cli_order_take(cli, answer, ret_chain, ret, err);
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
    cli_say(cli, "yes: you have %s credits free, the order would set %s aside",
            xeno_credit_text(xeno_micro(free_micro), a), xeno_credit_text(amount, b));
    return CLI_OK;
}

int cli_order_write(const char *path, const char *chain, struct xeno_err *err)
{
    FILE *f = fopen(path, "we");

    if (!f)
        return xeno_fail_errno(err, -errno, "io.write", "write %s", path);
    fprintf(f, "%s\n", chain);
    if (fclose(f) != 0)
        return xeno_fail_errno(err, -errno, "io.write", "write %s", path);
    return 0;
}

void cli_order_print(struct cli *cli, const char *chain, const struct xeno_order_terms *t)
{
    char text[XENO_CREDIT_TEXT];

    if (cli->json) {
        struct xeno_json *j = xeno_order_terms_json(t);

        xeno_json_set_str(j, "chain", chain);
        cli_json(j);
    } else if (cli->out_tty)
        cli_say(cli, "order %s: %s credits until %s", t->order, xeno_credit_text(t->limit, text),
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
    if (life.ns < xeno_s(LIFE_MIN_S).ns || life.ns > xeno_s(LIFE_MAX_S).ns)
        return cli_usage(err, "--lifetime: from 10s to 366d, not %s", cli_value(args, "lifetime"));
    if (cli_flag(args, "dry-run"))
        return create_dry(cli, amount, err);
    r = cli_order_make(cli, amount, life, key_text ? &key : NULL, &chain, t, err);
    if (r == 0)
        r = cli_wallet_put(cli, chain, id, err);
    if (r == 0 && path)
        r = cli_order_write(path, chain, err);
    if (r < 0)
        return r;
    cli_order_print(cli, chain, t);
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
      .options = cli_order_restrict_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_ORDER,
      .run = cli_order_restrict },
    { .name = "order present",
      .usage = "ORDER SERVER",
      .summary = "sign an order over to one XenoServer, for one session",
      .about =
          "Prints the chain that a request to that XenoServer takes: it is good there only, for\n"
          "five minutes, once. The other verbs do this by themselves; this one is for programs\n"
          "of your own.",
      .examples = "xeno order present mzxw6 x1 | jq -R '{chain: ., requirements: $doc}' \\\n"
                  "    --rawfile doc requirement.xml > session.json",
      .options = cli_order_present_options,
      .min_words = 2,
      .max_words = 2,
      .offer = CLI_OFFER_ORDER,
      .run = cli_order_present_verb },
    { .name = "order show",
      .usage = "ORDER",
      .summary = "check an order, offline, and show what it allows",
      .examples = "xeno order show mzxw6\nxeno order show agent.order\n"
                  "xeno order show mzxw6 --online --json | jq .online.charged",
      .options = cli_order_show_options,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_ORDER,
      .run = cli_order_show },
    { .name = "order list",
      .usage = "",
      .summary = "list your orders",
      .examples = "xeno order list\nxeno order list --all --json | jq '.orders[].charged'",
      .options = cli_order_list_options,
      .run = cli_order_list },
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
