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
    static const struct {
        const char *res, *unit;
        int used;         /* 1: of what was used, 0: of what was reserved, -1: of both */
        int64_t num, den; /* from what the meter counts to millionths of the unit */
    } rows[] = {
        { "cpu", "s", -1, 1, 1 },                          /* microseconds */
        { "memory", "GiB-h", -1, 10, 36864 },              /* MiB ms */
        { "disk", "GiB-h", -1, 10, 36864 },                /* the same */
        { "net", "GiB", 1, 1000000, INT64_C(1024) << 20 }, /* bytes */
        { "net", "Mbit/s-h", 0, 1, 3600 },                 /* kbit/s ms */
        { "address", "h", -1, 10, 36 },                    /* ms */
    };
    int64_t micro = 0;

    for (size_t i = 0; i < XENO_LEN(rows); i++)
        if (strcmp(rows[i].res, res) == 0 && (rows[i].used < 0 || rows[i].used == used) &&
            xeno_muldiv(n, rows[i].num, rows[i].den, &micro)) {
            snprintf(out, 48, "%" PRId64 ".%06d %s", micro / 1000000, (int)(micro % 1000000),
                     rows[i].unit);
            return;
        }
    snprintf(out, 48, "%" PRId64, n);
}

void cli_bill_items(struct cli *cli, const struct xeno_json_at *usage)
{
    static const char *const heads[] = {
        "RESOURCE", "RESERVED", "PRICE", "USED", "PRICE", "CREDITS"
    };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, ~1U);
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
        cli_cell_credit(&t, cli_int(&it, "price_reserved", 0));
        cli_cell(&t, used);
        cli_cell_credit(&t, cli_int(&it, "price_used", 0));
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

/* Money set aside is still yours, so its amount is 0: the text says how much it is. */
static const char *moved(const struct xeno_json_at *e, char room[96])
{
    const char *kind = cli_str(e, "kind"), *text = cli_str(e, "text");
    int64_t by = cli_int(e, "free", 0);
    char credits[XENO_CREDIT_TEXT];

    if (strcmp(kind, "order") == 0)
        snprintf(room, 96, "%s set aside", xeno_credit_text(xeno_micro(-by), credits));
    else if (strcmp(kind, "return") == 0)
        snprintf(room, 96, "%s free again%s%.20s", xeno_credit_text(xeno_micro(by), credits),
                 *text && strcmp(text, "closed") != 0 ? ", " : "",
                 strcmp(text, "closed") != 0 ? text : "");
    else
        return text;
    return room;
}

static void statement_row(struct cli_table *t, const struct xeno_json_at *e)
{
    char text[96];

    cli_cell_time(t, cli_int(e, "time_ms", 0));
    cli_cell(t, cli_str(e, "kind"));
    cli_cell_credit(t, cli_int(e, "amount", 0));
    cli_cell_credit(t, cli_int(e, "balance", 0));
    cli_cell_short(t, cli_str(e, "order"));
    cli_cell_short(t, cli_str(e, "session"));
    cli_cell(t, moved(e, text));
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
    cli_table_print_or(cli, &t, "nothing has moved on your account yet");
    cli_say(cli, "%zu %s, together %s credits", n, n == 1 ? "entry" : "entries",
            xeno_credit_text(xeno_micro(sum), text));
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
    cli_say(cli, "charged at the XenoCorp: %s credits in %" PRId64 " charge%s",
            xeno_credit_text(xeno_micro(c->sum), a), c->count, c->count == 1 ? "" : "s");
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
