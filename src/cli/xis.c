/* src/cli/xis.c - what an information service knows: lookups, queries, one advert, tokens, why. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "cli/advert.h"
#include "cli/api.h"
#include "cli/commands.h"
#include "cli/out.h"
#include "cli/where.h"
#include "cli/xis-verbs.h"
#include "http/client.h"
#include "xis/advert.h"
#include "xis/query.h"

#define RESULTS      20
#define DOCUMENTS    100 /* asked for at once */
#define SHOW_MAX     8
#define ADVERT_TEXTS (2 * XENO_ADVERT_JWS_MAX)

/* --- values --- */

/* The member `key`, a string or a number, as text; static room for four. NULL: not there. */
static const char *value_text(const struct xeno_json_at *at, const char *key)
{
    static char rooms[4][XENO_ADVERT_VALUE + 1];
    static unsigned next;
    char *room = rooms[next++ % 4], number[XENO_NUMBER_TEXT];
    const char *text;
    double n;

    if (xeno_json_str_opt(at, key, 0, XENO_ADVERT_VALUE, &text, NULL) == 0)
        snprintf(room, sizeof rooms[0], "%s", cli_clean(text));
    else if (xeno_json_num_opt(at, key, &n, NULL) == 0)
        snprintf(room, sizeof rooms[0], "%s", xeno_number_text(n, number));
    else
        return NULL;
    return room;
}

static void say_more(struct cli *cli, int64_t shown, int64_t place, int64_t total)
{
    if (total > shown)
        cli_note(cli, "%" PRId64 " of %" PRId64 ", from place %" PRId64, shown, total, place);
}

/* --- lookup --- */

static void add_parameter(struct xeno_buf *path, const char *name, const char *value)
{
    xeno_autofree char *text = value ? xeno_http_escape(value) : NULL;

    if (text)
        xeno_buf_printf(path, "&%s=%s", name, text);
}

static int run_lookup(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "PLACE", "XENOSERVER", "VALUE" };
    static const char *const names[] = { "min", "max", "is", "from", "to", "place", "limit" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1);
    xeno_autobuf path = XENO_BUF_INIT;
    xeno_autofree char *token = xeno_http_escape(args->words[0]);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    int64_t place;
    size_t n;
    int r;

    xeno_buf_printf(&path, "/v1/lookup?token=%s", token);
    for (size_t i = 0; i < XENO_LEN(names); i++)
        add_parameter(&path, names[i], cli_value(args, names[i]));
    if (cli_flag(args, "desc"))
        xeno_buf_puts(&path, "&order=desc");
    r = cli_xis_ask(cli, args, "GET", path.data, NULL, NULL, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "results", &n);
    place = cli_int(&top, "place", 0);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);
        char number[24];

        snprintf(number, sizeof number, "%" PRId64, place + (int64_t)i);
        cli_cell(&t, number);
        cli_cell(&t, cli_clean(cli_str(&item, "id")));
        cli_cell(&t, value_text(&item, "value"));
    }
    cli_table_print_or(cli, &t, "nothing there has that; see: xeno xis tokens");
    say_more(cli, (int64_t)n, place, cli_int(&top, "total", 0));
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- queries --- */

int cli_xis_where(const char *text, char **ret, struct xeno_err *err)
{
    xeno_autofree char *file = NULL;
    xeno_auto(xeno_json) j = NULL;
    size_t len;
    int r = 0;

    if (*text == '@')
        r = xeno_file_read(AT_FDCWD, text + 1, XENO_QUERY_BYTES, &file, &len, err);
    if (r < 0)
        return r;
    text = file ? file : text;
    text += strspn(text, " \t\r\n");
    r = *text == '{' ? xeno_json_parse(text, strlen(text), XENO_QUERY_BYTES, &j, err)
                     : cli_where(text, &j, err);
    if (r == 0)
        *ret = xeno_json_format(j, false, NULL);
    return r;
}

/* --- adverts, checked --- */

/* The advert of an answer's object, with its delta: signatures are checked here, since an
 * information service is not believed. */
static int open_advert(const struct xeno_json_at *at, struct xeno_advert **ret,
                       struct xeno_err *err)
{
    xeno_auto(xeno_advert) a = NULL;
    int r = cli_advert_open(at, &a, err);

    if (r == 0 && strcmp(a->id.s, cli_str(at, "id")) != 0)
        r = xeno_fail(err, -EPERM, "advert.id", "the advert is of %s", a->id.s);
    if (r == 0)
        *ret = xeno_take(&a);
    return r < 0 ? xeno_context(err, r, "the advert of %.64s", cli_clean(cli_str(at, "id"))) : 0;
}

static const char *leaf_text(const struct xeno_advert *a, const char *path)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, path);

    return l ? cli_clean(l->value) : NULL;
}

static void query_row(struct cli_table *t, const struct xeno_advert *a, const char *const *show,
                      size_t shown)
{
    cli_cell(t, leaf_text(a, "Name"));
    cli_cell(t, a->id.s);
    for (size_t i = 0; i < shown; i++)
        cli_cell(t, leaf_text(a, show[i]));
    cli_cell(t, cli_clean(a->endpoint));
}

/* Of a document that is not what it should be, why is said, and the others are shown. */
static void print_query(struct cli *cli, const struct xeno_json_at *top, const char *const *show,
                        size_t shown)
{
    const char *heads[3 + SHOW_MAX] = { "NAME", "XENOSERVER" };
    struct xeno_err err = XENO_ERR_INIT;
    cli_autotable t = { 0 };
    struct xeno_json_at list;
    size_t n;

    for (size_t i = 0; i < shown; i++)
        heads[2 + i] = show[i];
    heads[2 + shown] = "ENDPOINT";
    t = cli_table_new(3 + shown, heads, 0);
    t.ids = 1U << 1;
    list = cli_list(top, "results", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);
        xeno_auto(xeno_advert) a = NULL;

        if (open_advert(&item, &a, &err) < 0)
            cli_note(cli, "%s", err.text);
        else
            query_row(&t, a, show, shown);
    }
    cli_table_print_or(cli, &t, "no XenoServer matches; see why: xeno xis explain");
    say_more(cli, (int64_t)n, cli_int(top, "place", 0), cli_int(top, "total", 0));
    if (!cli_bool(top, "exact"))
        cli_note(cli, "there may be more: the query looked at as many as one may");
}

static int query_body(const struct cli_args *args, int64_t limit, char **ret, struct xeno_err *err)
{
    const char *order = cli_value(args, "order");
    xeno_autobuf body = XENO_BUF_INIT;
    xeno_autofree char *where = NULL;
    int64_t place = 0;
    int r = cli_number(args, "place", 0, 250000, &place, err);

    if (r == 0 && args->word_count > 0)
        r = cli_xis_where(args->words[0], &where, err);
    if (r < 0)
        return r;
    xeno_buf_printf(&body, "{\"documents\":true,\"limit\":%" PRId64 ",\"place\":%" PRId64, limit,
                    place);
    if (where)
        xeno_buf_printf(&body, ",\"where\":%s", where);
    if (order) {
        xeno_auto(xeno_json) j = xeno_json_array();
        xeno_autofree char *text = NULL;

        xeno_json_append_str(j, order);
        text = xeno_json_format(j, false, NULL); /* ["..."] */
        xeno_buf_printf(&body, ",\"order\":%.*s", (int)strlen(text) - 2, text + 1);
    }
    xeno_buf_puts(&body, cli_flag(args, "desc") ? ",\"desc\":true}" : "}");
    *ret = xeno_buf_take(&body, NULL);
    return 0;
}

static int run_query(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    const char *show[SHOW_MAX], *order = cli_value(args, "order");
    const char *const *wanted;
    xeno_autofree char *body = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    int64_t limit = RESULTS;
    size_t shown = 0, n;
    int r = cli_number(args, "limit", 1, DOCUMENTS, &limit, err);

    if (r == 0)
        r = query_body(args, limit, &body, err);
    if (r == 0)
        r = cli_xis_ask(cli, args, "POST", "/v1/query", body, NULL, &j, err);
    if (r < 0)
        return r;
    wanted = cli_values(args, "show", &n);
    if (order)
        show[shown++] = order;
    for (size_t i = 0; i < n && shown < SHOW_MAX; i++)
        show[shown++] = wanted[i];
    top = xeno_json_top(j);
    if (!cli->json)
        print_query(cli, &top, show, shown);
    else
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- one --- */

/* An id, or one of the XenoServers we know. */
static int read_id(struct cli *cli, const char *text, char ret[XENO_ID_CHARS + 1],
                   struct xeno_err *err)
{
    xeno_auto(cli_servers) known = NULL;
    const struct cli_server *s;
    int r;

    if (xeno_id_ok(text)) {
        snprintf(ret, XENO_ID_CHARS + 1, "%s", text);
        return 0;
    }
    r = cli_servers_load(cli, &known, err);
    if (r == 0)
        r = cli_servers_pick(known, text, &s, err);
    if (r == 0)
        snprintf(ret, XENO_ID_CHARS + 1, "%s", s->id);
    return r;
}

static int run_get(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "TOKEN", "VALUE" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 0);
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_advert) a = NULL;
    xeno_autofree char *path = NULL;
    char id[XENO_ID_CHARS + 1];
    struct xeno_json_at top;
    int r = read_id(cli, args->words[0], id, err);

    if (r < 0)
        return r;
    path = xeno_asprintf("/v1/adverts/%s", id);
    r = cli_xis_ask(cli, args, "GET", path, NULL, NULL, &j, err);
    if (r == 0) {
        top = xeno_json_top(j);
        r = open_advert(&top, &a, err);
    }
    if (r < 0)
        return r;
    for (size_t i = 0; i < a->leaf_count; i++) {
        cli_cell(&t, cli_clean(a->leaves[i].path));
        cli_cell(&t, cli_clean(a->leaves[i].value));
    }
    cli_table_print(cli, &t);
    cli_note(cli, "version %" PRId64 "%s, signed by it, until %s", a->version,
             a->delta ? " (with a delta)" : "", cli_when(a->expires.ns / XENO_NS_PER_MS));
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- why --- */

static void clause_row(struct cli_table *t, const struct xeno_json_at *c, bool one)
{
    static const char *const counts[] = { "true", "false", "unknown" };
    char text[400];

    snprintf(text, sizeof text, "%*s%s", (int)cli_int(c, "depth", 0) * 2, "",
             cli_clean(cli_str(c, "text")));
    if (one) {
        cli_cell(t, cli_clean(cli_str(c, "result")));
        cli_cell(t, value_text(c, "value"));
    }
    for (size_t i = 0; i < XENO_LEN(counts) && !one; i++) {
        char number[24];

        snprintf(number, sizeof number, "%" PRId64, cli_int(c, counts[i], 0));
        cli_cell(t, number);
    }
    cli_cell(t, text);
}

static int run_explain(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const all[] = { "TRUE", "FALSE", "UNKNOWN", "CLAUSE" };
    static const char *const this[] = { "RESULT", "VALUE", "CLAUSE" };
    bool one = args->word_count > 1;
    cli_autotable t = one ? cli_table_new(3, this, 0) : cli_table_new(4, all, 7);
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *where = NULL;
    xeno_autofree char *body = NULL;
    struct xeno_json_at top, list;
    char id[XENO_ID_CHARS + 1];
    size_t n;
    int r = cli_xis_where(args->words[0], &where, err);

    if (r == 0 && one)
        r = read_id(cli, args->words[1], id, err);
    if (r < 0)
        return r;
    body = one ? xeno_asprintf("{\"where\":%s,\"id\":\"%s\"}", where, id)
               : xeno_asprintf("{\"where\":%s}", where);
    r = cli_xis_ask(cli, args, "POST", "/v1/explain", body, NULL, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "clauses", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at c = xeno_json_item(&list, i);

        clause_row(&t, &c, one);
    }
    cli_table_print(cli, &t);
    if (!one)
        cli_note(cli, "%" PRId64 " of %" PRId64 " match", cli_int(&top, "matches", 0),
                 cli_int(&top, "considered", 0));
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- tokens --- */

static int run_tokens(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "TOKEN", "VALUES", "NUMBERS", "FROM", "TO" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 0x1e);
    xeno_autofree char *after =
        args->word_count > 0 ? xeno_http_escape(args->words[0]) : xeno_strdup("");
    xeno_autofree char *path = xeno_asprintf("/v1/tokens?limit=1000&after=%s", after);
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int r = cli_xis_ask(cli, args, "GET", path, NULL, NULL, &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "tokens", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at item = xeno_json_item(&list, i);

        cli_cell(&t, cli_clean(cli_str(&item, "token")));
        cli_cell(&t, value_text(&item, "values"));
        cli_cell(&t, value_text(&item, "numbers"));
        cli_cell(&t, value_text(&item, "min"));
        cli_cell(&t, value_text(&item, "max"));
    }
    cli_table_print_or(cli, &t, "no XenoServer has advertised itself there");
    if (*cli_str(&top, "next"))
        cli_note(cli, "there are more: xeno xis tokens '%s'", cli_clean(cli_str(&top, "next")));
    if (cli->json)
        cli_json(xeno_take(&j));
    return CLI_OK;
}

/* --- the table --- */

static const struct cli_option only_xis[] = { CLI_XIS_OPTION, { NULL } };
static const struct cli_option no_options[] = { { NULL } };

static const struct cli_option lookup_options[] = {
    { "min", 0, "N", "numbers from this on", false, 0 },
    { "max", 0, "N", "numbers up to this", false, 0 },
    { "is", 0, "VALUE", "this number or text", false, 0 },
    { "from", 0, "TEXT", "texts from this on, bytewise", false, 0 },
    { "to", 0, "TEXT", "texts up to this", false, 0 },
    { "desc", 'd', NULL, "the greatest first", false, 0 },
    { "place", 0, "N", "from this place on (default 0)", false, 0 },
    { "limit", 'n', "N", "so many (default 10)", false, 0 },
    CLI_XIS_OPTION,
    { NULL },
};

static const struct cli_option query_options[] = {
    { "order", 'o', "TOKEN", "in the order of its values", false, 0 },
    { "desc", 'd', NULL, "the greatest first", false, 0 },
    { "show", 's', "TOKEN", "its value in a column", true, 0 },
    { "place", 0, "N", "from this place on (default 0)", false, 0 },
    { "limit", 'n', "N", "so many (default 20)", false, 0 },
    CLI_XIS_OPTION,
    { NULL },
};

const struct cli_command cli_xis_commands[] = {
    { .name = "xis use",
      .usage = "[URL...]",
      .summary = "say which information service is asked, or show it",
      .about =
          "Several are nodes of one: the first that answers is asked. $XENO_XIS and --xis win.",
      .examples = "xeno xis use https://xis.example.org:8446",
      .options = no_options,
      .max_words = CLI_URLS_MAX,
      .run = cli_run_xis_use },
    { .name = "xis lookup",
      .usage = "TOKEN",
      .summary = "find XenoServers by the value of one token",
      .about = "What is found is in the order of the values. Without a range everything that has\n"
               "the token is. See also: xeno xis tokens.",
      .examples = "xeno xis lookup MemoryMB --min 512 --desc\n"
                  "xeno xis lookup Location/Country --is CH",
      .options = lookup_options,
      .min_words = 1,
      .max_words = 1,
      .run = run_lookup },
    { .name = "xis query",
      .usage = "[WHERE]",
      .summary = "find XenoServers for which several things are true",
      .about =
          "WHERE joins clauses by and, or, not and parentheses. A clause is a token, and >=, <=,\n"
          "= or != with a value, 'in' with several, 'from A to B', or 'exists'. A value with\n"
          "spaces stands in quotes. It may also be JSON, or @FILE. Adverts are shown after their\n"
          "signatures were checked here.",
      .examples =
          "xeno xis query 'MemoryMB >= 512 and EnvType = Linux' --order Price/HourCredits\n"
          "xeno xis query 'Location/Country in CH, DE and not Accepting = no' --show Sessions",
      .options = query_options,
      .max_words = 1,
      .run = run_query },
    { .name = "xis get",
      .usage = "XENOSERVER",
      .summary = "show what a XenoServer says of itself",
      .examples = "xeno xis get x1\nxeno xis get x1 --json | jq -r .advert",
      .options = only_xis,
      .min_words = 1,
      .max_words = 1,
      .offer = CLI_OFFER_SERVER,
      .run = run_get },
    { .name = "xis explain",
      .usage = "WHERE [XENOSERVER]",
      .summary = "show which clauses match how many, or why one does not",
      .about = "A clause about what a XenoServer does not tell is unknown, and not matched.",
      .examples = "xeno xis explain 'MemoryMB >= 512 and Location/Country = CH'\n"
                  "xeno xis explain 'MemoryMB >= 512' x1",
      .options = only_xis,
      .min_words = 1,
      .max_words = 2,
      .run = run_explain },
    { .name = "xis watch",
      .usage = "WHERE",
      .summary = "be told when XenoServers begin and end to match a query",
      .about =
          "First what matches now, then each change, until it is interrupted, which gives the\n"
          "watch back. What changes several times within the interval is told once.",
      .examples = "xeno xis watch 'CPUmsps >= 500' --interval 5s",
      .options = cli_xis_watch_options,
      .min_words = 1,
      .max_words = 1,
      .run = cli_run_xis_watch },
    { .name = "xis tokens",
      .usage = "[AFTER]",
      .summary = "list what there is to look up",
      .examples = "xeno xis tokens",
      .options = only_xis,
      .max_words = 1,
      .run = run_tokens },
    { NULL },
};
