/* src/cli/corp.c - watching a XenoCorp, and its operators: token, fund, list, disable, ledger,
 * charges. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/log.h"
#include "cli/out.h"

/* --- token --- */

static const struct cli_option token_options[] = {
    { "kind", 'k', "KIND", "client (default), server, node or operator", false, 0 },
    { "lifetime", 'l', "TIME", "until it can no longer be used (default 1d)", false, 0 },
    { NULL },
};

static int run_token(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    const char *kind = cli_value(args, "kind"), *token;
    struct xeno_json *body;
    struct xeno_json_at top;
    xeno_time life = xeno_s(86400);
    int r;

    if (kind && strcmp(kind, "client") && strcmp(kind, "server") && strcmp(kind, "node") &&
        strcmp(kind, "operator"))
        return cli_usage(err, "--kind: client, server, node or operator, not '%s'", kind);
    r = cli_duration(args, "lifetime", &life, err);
    if (r < 0)
        return r;
    body = xeno_json_object();
    xeno_json_set_str(body, "kind", kind ? kind : "client");
    xeno_json_set_int(body, "lifetime_s", life.ns / XENO_NS_PER_S);
    r = cli_corp_post(cli, body, &j, err, "/v1/admin/tokens");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "token", 1, 128, &token, err);
    if (r < 0)
        return r;
    cli_say(cli, "%s", cli_clean(token));
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- fund --- */

static const struct cli_option no_options[] = { { NULL } };

/* Parties are named by id or its first letters, as the list shows them. */
static int party_id(struct cli *cli, const char *ref, char ret[XENO_ID_CHARS + 1],
                    struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int r, found = 0;

    if (xeno_id_ok(ref)) {
        memcpy(ret, ref, XENO_ID_CHARS + 1);
        return 0;
    }
    r = cli_pages(cli, NULL, "/v1/admin/parties", "parties", &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "parties", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&list, i);
        const char *id = cli_str(&p, "id");

        if (!xeno_id_ok(id) || (strcmp(cli_str(&p, "name"), ref) != 0 &&
                                (strlen(ref) < 4 || strncmp(id, ref, strlen(ref)) != 0)))
            continue;
        memcpy(ret, id, XENO_ID_CHARS + 1);
        found++;
    }
    if (found == 1)
        return 0;
    return xeno_fail(err, found ? -EINVAL : -ENOENT, "corp.party",
                     found ? "several parties are called '%s': give the id"
                           : "no party is called '%s' (xeno corp list)",
                     ref);
}

static int run_fund(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json *body;
    struct xeno_json_at top;
    struct xeno_err why = XENO_ERR_INIT;
    char id[XENO_ID_CHARS + 1], text[XENO_CREDIT_TEXT];
    xeno_credit amount;
    int r;

    if (xeno_credit_parse(args->words[1], &amount, &why) < 0 || amount.micro == 0)
        return cli_usage(err, "AMOUNT: %s", why.code ? why.text : "must be above 0");
    r = party_id(cli, args->words[0], id, err);
    if (r < 0)
        return r;
    body = xeno_json_object();
    xeno_json_set_str(body, "id", id);
    xeno_json_set_int(body, "amount", amount.micro);
    r = cli_corp_post(cli, body, &j, err, "/v1/admin/fund");
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    if (cli_int(&top, "free", -1) >= 0)
        cli_say(cli, "%s has %s free now", id,
                xeno_credit_text(xeno_micro(cli_int(&top, "free", 0)), text));
    else
        cli_say(cli, "%s added to %s", xeno_credit_text(amount, text), id);
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- list --- */

static int run_list(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "ID", "KIND", "NAME", "FREE", "HELD", "EARNED", "STATE" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 3 | 1U << 4 | 1U << 5);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int r = cli_pages(cli, NULL, "/v1/admin/parties", "parties", &j, err);

    (void)args;
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "parties", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&list, i);
        bool off = cli_bool(&p, "disabled");
        const char *kind = cli_str(&p, "kind");

        cli_cell(&t, cli_str(&p, "id"));
        cli_cell(&t, *kind ? kind : cli_str(&p, "role"));
        cli_cell(&t, cli_str(&p, "name"));
        cli_cell_credit(&t, cli_int(&p, "free", 0));
        cli_cell_credit(&t, cli_int(&p, "held", 0));
        cli_cell_credit(&t, cli_int(&p, "earned", 0));
        cli_cell_paint(&t, off ? "disabled" : "active", off ? CLI_RED : CLI_GREEN);
    }
    cli_table_print(cli, &t);
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- show --- */

/* What it registered, a line each: "payout.account". */
static void show_details(struct cli *cli, const struct xeno_json_at *at, const char *above)
{
    const char *key, *text;
    int64_t number;

    for (size_t i = 0; (key = xeno_json_key(at, i)) != NULL; i++) {
        xeno_autofree char *name = xeno_asprintf("%s%s%s", above, *above ? "." : "", key);
        struct xeno_json_at below;

        if (xeno_json_obj_opt(at, key, &below, NULL) == 0 && !*above)
            show_details(cli, &below, name);
        else if (xeno_json_str(at, key, 0, 4096, &text, NULL) == 0)
            cli_field(cli, cli_clean(name), "%s", cli_clean(text));
        else if (xeno_json_int(at, key, INT64_MIN, INT64_MAX, &number, NULL) == 0)
            cli_field(cli, cli_clean(name), "%" PRId64, number);
    }
}

static int run_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, details;
    char id[XENO_ID_CHARS + 1], text[XENO_CREDIT_TEXT];
    int r = party_id(cli, args->words[0], id, err);

    if (r == 0)
        r = cli_corp_get(cli, &j, err, "/v1/admin/parties/%s", id);
    if (r < 0)
        return r;
    if (cli->json) {
        cli_json(xeno_take(&j));
        return CLI_OK;
    }
    top = xeno_json_top(j);
    cli_field(cli, "id", "%s", id);
    cli_field(cli, "kind", "%s%s", cli_str(&top, "kind"),
              cli_bool(&top, "disabled") ? ", disabled" : "");
    cli_field(cli, "name", "%s", cli_clean(cli_str(&top, "name")));
    cli_field(cli, "contact", "%s", cli_clean(cli_str(&top, "contact")));
    if (*cli_str(&top, "endpoint"))
        cli_field(cli, "endpoint", "%s", cli_clean(cli_str(&top, "endpoint")));
    cli_field(cli, "registered", "%s", cli_when(cli_int(&top, "created_ms", 0)));
    for (const char *const *own = (const char *const[]){ "free", "held", "earned", NULL }; *own;
         own++)
        if (cli_int(&top, *own, 0) != 0)
            cli_field(cli, *own, "%s credits",
                      xeno_credit_text(xeno_micro(cli_int(&top, *own, 0)), text));
    if (xeno_json_obj_opt(&top, "details", &details, NULL) == 0)
        show_details(cli, &details, "");
    return CLI_OK;
}

/* --- disable --- */

static int run_disable(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    char id[XENO_ID_CHARS + 1];
    int r = party_id(cli, args->words[0], id, err);

    if (r == 0)
        r = cli_corp_post(cli, xeno_json_object(), &j, err, "/v1/admin/parties/%s/disable", id);
    if (r < 0)
        return r;
    cli_say(cli, "%s is disabled: its credentials are revoked, it gets no new ones", id);
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- ledger --- */

static int run_ledger(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "ACCOUNT", "CREDITS" };
    static const char *const accounts[] = { "issued", "free", "held", "earned", "fees", "sum" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 1);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    bool balanced;
    int r = cli_corp_get(cli, &j, err, "/v1/admin/ledger");

    (void)args;
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    balanced = cli_bool(&top, "balanced");
    for (size_t i = 0; i < XENO_LEN(accounts); i++) {
        cli_cell(&t, accounts[i]);
        cli_cell_credit(&t, cli_int(&top, accounts[i], 0));
    }
    cli_table_print(cli, &t);
    cli_say(cli, "%" PRId64 " orders live, %" PRId64 " charges posted; the books %s",
            cli_int(&top, "orders_live", 0), cli_int(&top, "charges", 0),
            balanced ? "balance" : "DO NOT BALANCE");
    if (cli->json)
        cli_json(xeno_take(&j));
    return balanced ? CLI_OK : CLI_FAILED;
}

/* --- charges --- */

static const struct cli_option charges_options[] = {
    { "order", 'o', "ORDER", "of this order", false, CLI_OFFER_ORDER },
    { "session", 's', "SESSION", "of this session (its whole id)", false, 0 },
    { NULL },
};

static int run_charges(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "SESSION", "SEQ", "FROM", "TO", "AMOUNT", "ACTIVITY" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 1 | 1U << 4);
    xeno_auto(xeno_json) j = NULL;
    const char *order = cli_value(args, "order"), *session = cli_value(args, "session");
    xeno_autofree char *path = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int r;

    if (!order == !session)
        return cli_usage(err, "give --order or --session");
    path = xeno_asprintf("/v1/admin/charges?%s=%s", order ? "order" : "session",
                         order ? order : session);
    r = cli_pages(cli, NULL, path, "charges", &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "charges", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at c = xeno_json_item(&list, i);
        char seq[24];

        snprintf(seq, sizeof seq, "%" PRId64, cli_int(&c, "seq", 0));
        cli_cell(&t, cli_str(&c, "session"));
        cli_cell(&t, seq);
        cli_cell_time(&t, cli_int(&c, "from_ms", 0));
        cli_cell_time(&t, cli_int(&c, "to_ms", 0));
        cli_cell_credit(&t, cli_int(&c, "amount", 0));
        cli_cell(&t, cli_str(&c, "activity"));
    }
    cli_table_print(cli, &t);
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

const struct cli_command cli_corp_commands[] = {
    { .name = "corp verify",
      .usage = "",
      .summary = "check that the XenoCorp changed nothing behind you",
      .about =
          "For every client. The XenoCorp signs its audit log: this asks for a proof that the\n"
          "log continues the one that was seen before, and that every charge of your\n"
          "statement is in it; the profile remembers what was seen. A XenoCorp that rewrote\n"
          "its past, or shows you another than it shows others, is found out, and both\n"
          "signed heads are kept.",
      .examples = "xeno corp verify\nxeno corp verify --prove 1000 --json",
      .options = cli_verify_options,
      .run = cli_run_verify },
    { .name = "corp log",
      .usage = "",
      .summary = "show what the XenoCorp's audit log says about you",
      .about = "To an operator it shows all of it.",
      .examples = "xeno corp log\nxeno corp log --json | jq -r '.entries[].leaf'",
      .options = cli_log_options,
      .run = cli_run_log },
    { .name = "corp token",
      .usage = "",
      .summary = "make a one-time token that lets somebody join",
      .examples = "xeno corp token\nxeno corp token --kind server --lifetime 1h",
      .options = token_options,
      .run = run_token },
    { .name = "corp fund",
      .usage = "PARTY AMOUNT",
      .summary = "add credits to an account",
      .examples = "xeno corp fund alice 100",
      .options = no_options,
      .min_words = 2,
      .max_words = 2,
      .run = run_fund },
    { .name = "corp list",
      .usage = "",
      .summary = "list who is registered, and what they own",
      .examples = "xeno corp list\nxeno corp list --json | jq '.parties[].id'",
      .options = no_options,
      .run = run_list },
    { .name = "corp show",
      .usage = "PARTY",
      .summary = "show a party: who it is, how it pays or is paid",
      .examples = "xeno corp show alice\nxeno corp show x1 --json | jq .details.payout",
      .options = no_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_show },
    { .name = "corp disable",
      .usage = "PARTY",
      .summary = "revoke a party's credentials for good",
      .about = "What its orders already promised to running sessions is still paid.",
      .examples = "xeno corp disable mallory",
      .options = no_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_disable },
    { .name = "corp ledger",
      .usage = "",
      .summary = "show the totals of all accounts; their sum is zero",
      .examples = "xeno corp ledger",
      .options = no_options,
      .run = run_ledger },
    { .name = "corp charges",
      .usage = "",
      .summary = "show the audit trail: charges of an order or a session",
      .examples = "xeno corp charges --session mzxw6ytbonxwiza2\nxeno corp charges --order ORDER "
                  "--json",
      .options = charges_options,
      .run = run_charges },
    { NULL },
};
