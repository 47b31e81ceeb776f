/* src/cli/bill.c - what things cost: the statement, and the bill of one session. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/bill.h"
#include "cli/commands.h"
#include "cli/find.h"
#include "cli/out.h"

/* A quantity in the unit its price is for. */
static void quantity(char out[48], const char *res, int64_t n, bool used)
{
    char text[32];

    if (strcmp(res, "cpu") == 0)
        snprintf(out, 48, "%" PRId64 ".%03d s", n / 1000000, (int)(n / 1000 % 1000));
    else if (strcmp(res, "memory") == 0 || strcmp(res, "disk") == 0)
        snprintf(out, 48, "%" PRId64 ".%03d MiB-h", n / 3600000, (int)(n % 3600000 / 3600));
    else if (strcmp(res, "net") == 0 && used)
        snprintf(out, 48, "%s", xeno_size_text(n, text));
    else if (strcmp(res, "net") == 0)
        snprintf(out, 48, "%" PRId64 ".%03d Mbit/s-h", n / INT64_C(3600000000),
                 (int)(n % INT64_C(3600000000) / 3600000));
    else
        snprintf(out, 48, "%" PRId64 ".%03d h", n / 3600000, (int)(n % 3600000 / 3600));
}

void cli_bill_items(struct cli *cli, const struct xeno_json_at *usage)
{
    static const char *const heads[] = { "RESOURCE", "RESERVED", "USED", "CREDITS" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 1 | 1U << 2 | 1U << 3);
    struct xeno_json_at list;
    size_t n;

    list = cli_list(usage, "items", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at it = xeno_json_item(&list, i);
        const char *res = cli_str(&it, "res");
        char reserved[48], used[48];

        if (cli_int(&it, "reserved", 0) == 0 && cli_int(&it, "used", 0) == 0)
            continue;
        quantity(reserved, res, cli_int(&it, "reserved", 0), false);
        quantity(used, res, cli_int(&it, "used", 0), true);
        cli_cell(&t, res);
        cli_cell(&t, reserved);
        cli_cell(&t, used);
        cli_cell_credit(&t, cli_int(&it, "amount", 0));
    }
    cli_table_print(cli, &t);
}

char *cli_bill_line(const struct xeno_json_at *usage)
{
    struct xeno_buf b = XENO_BUF_INIT;
    struct xeno_json_at list;
    char text[XENO_CREDIT_TEXT];
    size_t n;

    xeno_buf_printf(&b, "bill: %s credits",
                    xeno_credit_text(xeno_micro(cli_int(usage, "amount", 0)), text));
    list = cli_list(usage, "items", &n);
    for (size_t i = 0, shown = 0; i < n; i++) {
        struct xeno_json_at it = xeno_json_item(&list, i);
        int64_t amount = cli_int(&it, "amount", 0);

        if (amount > 0)
            xeno_buf_printf(&b, "%s %s %s", shown++ ? "," : ":", cli_clean(cli_str(&it, "res")),
                            xeno_credit_text(xeno_micro(amount), text));
    }
    return xeno_buf_take(&b, NULL);
}

/* --- the statement --- */

static int statement(struct cli *cli, struct xeno_json **ret, struct xeno_err *err)
{
    return cli_pages(cli, NULL, "/v1/statement", "entries", ret, err);
}

static void statement_row(struct cli_table *t, const struct xeno_json_at *e)
{
    cli_cell_time(t, cli_int(e, "time_ms", 0));
    cli_cell(t, cli_str(e, "kind"));
    cli_cell_credit(t, cli_int(e, "amount", 0));
    cli_cell_credit(t, cli_int(e, "balance", 0));
    cli_cell_short(t, cli_str(e, "order"));
    cli_cell_short(t, cli_str(e, "session"));
    cli_cell(t, cli_str(e, "text"));
}

static int whole_statement(struct cli *cli, struct xeno_err *err)
{
    static const char *const heads[] = { "TIME",  "KIND",    "AMOUNT", "BALANCE",
                                         "ORDER", "SESSION", "TEXT" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 2 | 1U << 3);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    int64_t sum = 0;
    size_t n;
    char text[XENO_CREDIT_TEXT];
    int r = statement(cli, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "entries", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at e = xeno_json_item(&list, i);

        statement_row(&t, &e);
        sum += cli_int(&e, "amount", 0);
    }
    if (cli->json) {
        xeno_json_set_int(j, "sum", sum);
        cli_json(xeno_take(&j));
        return CLI_OK;
    }
    cli_table_print(cli, &t);
    cli_say(cli, "%zu entries, together %s", n, xeno_credit_text(xeno_micro(sum), text));
    return CLI_OK;
}

/* --- one session --- */

struct charges {
    int64_t sum, count;
    struct xeno_json *list;
};

/* A charge moves the payer's credit down and a XenoServer's up: its size is what counts. */
static void gather(const struct xeno_json_at *entries, size_t n, const char *session,
                   struct charges *c)
{
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at e = xeno_json_item(entries, i);
        int64_t amount = cli_int(&e, "amount", 0);

        if (strcmp(cli_str(&e, "kind"), "charge") != 0 ||
            strncmp(cli_str(&e, "session"), session, strlen(session)) != 0)
            continue;
        c->sum += amount < 0 ? -amount : amount;
        c->count++;
        xeno_json_append(c->list, xeno_json_ref((struct xeno_json *)e.j));
    }
}

static void show_session(struct cli *cli, const struct charges *c, const struct xeno_json_at *usage)
{
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    int64_t owed = cli_int(usage, "amount", c->sum);

    if (usage->j)
        cli_bill_items(cli, usage);
    cli_say(cli, "charged at the XenoCorp: %s in %" PRId64 " charges",
            xeno_credit_text(xeno_micro(c->sum), a), c->count);
    if (!usage->j)
        cli_note(cli, "its XenoServer does not show it any more: no items");
    else if (owed == c->sum)
        cli_say(cli, "measured by the XenoServer: the same");
    else
        cli_say(cli, "measured by the XenoServer: %s; %s of it is not charged yet",
                xeno_credit_text(xeno_micro(owed), a),
                xeno_credit_text(xeno_micro(owed - c->sum), b));
}

static int session_bill(struct cli *cli, const char *ref, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_json) usage = NULL;
    xeno_auto(cli_found) found = NULL;
    struct charges c = { .sum = 0 };
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json_at top, list, at = { .j = NULL };
    const char *session = ref;
    size_t n;
    int r = cli_find_session(cli, NULL, ref, &found, &why);

    if (r == 0) {
        session = found->session;
        r = cli_server_get(cli, &found->server, &usage, &why, "/v1/sessions/%s/usage", session);
    }
    if (r == 0)
        at = xeno_json_top(usage);
    r = statement(cli, &j, err);
    if (r < 0)
        return r;
    c.list = xeno_json_array();
    top = xeno_json_top(j);
    list = cli_list(&top, "entries", &n);
    gather(&list, n, session, &c);
    if (c.count == 0 && !at.j) {
        xeno_json_unref(c.list);
        return xeno_fail(err, -ENOENT, why.token[0] ? why.token : "session.unknown", "%s",
                         why.text);
    }
    show_session(cli, &c, &at);
    if (cli->json) {
        struct xeno_json *out = xeno_json_object();

        xeno_json_set_str(out, "session", session);
        xeno_json_set_int(out, "charged", c.sum);
        xeno_json_set(out, "charges", c.list);
        if (usage)
            xeno_json_set(out, "usage", xeno_take(&usage));
        cli_json(out);
    } else
        xeno_json_unref(c.list);
    return CLI_OK;
}

static const struct cli_option bill_options[] = { { NULL } };

static int run_bill(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    return args->word_count > 0 ? session_bill(cli, args->words[0], err)
                                : whole_statement(cli, err);
}

const struct cli_command cli_bill_commands[] = {
    { .name = "bill",
      .usage = "[SESSION]",
      .summary = "show your statement, or what one session cost and why",
      .about = "The statement is the XenoCorp's ledger as you may see it: its amounts add up to "
               "your\naccount. Of a session, what the XenoServer measured is shown beside what the "
               "XenoCorp\nwas asked for: they are the same number.",
      .examples = "xeno bill\nxeno bill web\nxeno bill mzxw6ytb --json | jq .charged",
      .options = bill_options,
      .max_words = 1,
      .offer = CLI_OFFER_SESSION,
      .run = run_bill },
    { NULL },
};
