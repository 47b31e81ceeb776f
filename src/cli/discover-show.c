/* src/cli/discover-show.c - find: the XenoServers that have what is needed, and why the rest has
 * not. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/discover-priv.h"
#include "cli/make.h"
#include "cli/out.h"

#define COUNT_MAX   100
#define OLD_MS      60000 /* an answer is older than people expect */
#define FELL_MAX    12    /* lines */
#define MEMBERS_MAX 100   /* of an object */

static const struct cli_option find_options[] = {
    CLI_REQUIREMENT_OPTIONS,
    CLI_DISCOVER_OPTIONS,
    { "count", 0, "N", "answers (default 10)", false, 0 },
    { NULL },
};

/* --- cells --- */

static void round_trip(const struct xeno_json_at *at, struct xeno_buf *out)
{
    double ms = (double)cli_int(at, "rtt_us", 0) / 1000;
    double low = (double)cli_int(at, "low_us", 0) / 1000;
    double high = (double)cli_int(at, "high_us", 0) / 1000;
    const char *how = cli_str(at, "how");

    if (out->len > 0)
        xeno_buf_puts(out, ", ");
    if (strcmp(how, "measured") == 0)
        xeno_buf_printf(out, "%.1f ms measured", ms);
    else if (strcmp(how, "predicted") == 0)
        xeno_buf_printf(out, "~%.0f ms (%.0f-%.0f)", ms, low, high);
    else
        xeno_buf_puts(out, "unknown");
}

static void latency_cell(struct cli_table *t, const struct xeno_json_at *answer)
{
    xeno_autobuf text = XENO_BUF_INIT;
    struct xeno_json_at list;
    size_t n;

    list = cli_list(answer, "latency", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        round_trip(&at, &text);
    }
    cli_cell(t, text.data);
}

static void number_cell(struct cli_table *t, const struct xeno_json_at *at, const char *key,
                        const char *fmt)
{
    int64_t n = cli_int(at, key, -1);
    xeno_autofree char *text = n >= 0 ? xeno_asprintf("%" PRId64 "%s", n, fmt) : NULL;

    cli_cell(t, text);
}

static void price_cell(struct cli_table *t, const struct xeno_json_at *price, const char *key)
{
    int64_t micro = price->j ? cli_int(price, key, -1) : -1;

    if (micro < 0)
        cli_cell(t, NULL);
    else
        cli_cell_credit(t, micro);
}

static void place_cell(struct cli_table *t, const struct xeno_json_at *answer)
{
    struct xeno_json_at l = cli_obj(answer, "location");
    const char *place = l.j ? cli_str(&l, "place") : "",
               *country = l.j ? cli_str(&l, "country") : "";
    xeno_autofree char *text =
        xeno_asprintf("%s%s%s", place, *place && *country ? ", " : "", country);

    cli_cell(t, *text ? cli_clean(text) : NULL);
}

static void warm_cell(struct cli_table *t, const struct xeno_json_at *answer)
{
    struct xeno_json_at w = cli_obj(answer, "warm");
    xeno_autofree char *text = NULL;

    if (w.j && cli_int(&w, "of", 0) > 0)
        text = xeno_asprintf("%" PRId64 "/%" PRId64, cli_int(&w, "have", 0), cli_int(&w, "of", 0));
    cli_cell(t, text);
}

static void why_cell(struct cli_table *t, const struct cli_servers *known,
                     const struct xeno_json_at *answer)
{
    xeno_autobuf text = XENO_BUF_INIT;
    struct xeno_json_at list;
    const char *why;
    size_t n;

    list = cli_list(answer, "why", &n);
    for (size_t i = 0; i < n; i++) {
        xeno_autofree char *words = NULL;

        if (xeno_json_item_str(&list, i, 0, 400, &why, NULL) < 0)
            continue;
        words = cli_discovery_words(known, why);
        xeno_buf_printf(&text, "%s%s", text.len > 0 ? "; " : "", words);
    }
    cli_cell(t, text.data);
}

/* --- the answer --- */

static void add_row(struct cli_table *t, const struct cli_servers *known,
                    const struct cli_discovery *d, size_t i, const struct xeno_json_at *answer)
{
    struct xeno_json_at price = cli_obj(answer, "price");
    char rank[24];

    snprintf(rank, sizeof rank, "%zu", i + 1);
    cli_cell(t, rank);
    cli_cell_paint(t, cli_clean(d->servers[i].name), i == 0 ? CLI_GREEN : CLI_PLAIN);
    cli_cell(t, d->servers[i].id);
    number_cell(t, answer, "set", "");
    price_cell(t, &price, "hour");
    price_cell(t, &price, "total");
    number_cell(t, answer, "load_percent", "%");
    place_cell(t, answer);
    latency_cell(t, answer);
    warm_cell(t, answer);
    why_cell(t, known, answer);
}

static void print_table(struct cli *cli, const struct cli_servers *known,
                        const struct cli_discovery *d)
{
    static const char *const heads[] = { "",     "NAME",  "ID",      "SET",  "CREDITS/H", "IN ALL",
                                         "LOAD", "PLACE", "LATENCY", "WARM", "WHY" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6);
    struct xeno_json_at top = xeno_json_top(d->answer), list;
    size_t n;

    t.ids = 1 << 2;
    t.optional = 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9;
    t.folds = true;
    list = cli_list(&top, "answers", &n);
    for (size_t i = 0; i < d->count; i++) {
        struct xeno_json_at at = xeno_json_item(&list, d->places[i]);

        add_row(&t, known, d, i, &at);
    }
    if (d->count > 0)
        cli_table_print(cli, &t);
}

static void print_rest(struct cli *cli, const struct cli_servers *known,
                       const struct cli_discovery *d)
{
    struct xeno_json_at top = xeno_json_top(d->answer), list;
    size_t n;

    cli_say(cli, "%" PRId64 " of %" PRId64 " XenoServers match", cli_int(&top, "matched", 0),
            cli_int(&top, "considered", 0));
    if (cli_int(&top, "considered", 0) == 0)
        cli_say(cli, "  the RD at %s knows none (yet)", cli_clean(d->rd));
    list = cli_list(&top, "fell", &n);
    for (size_t i = 0; i < n && i < FELL_MAX; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        xeno_autofree char *text = cli_discovery_words(known, cli_str(&at, "text"));

        cli_say(cli, "  %s", text);
    }
    list = cli_list(&top, "nearest", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        xeno_autofree char *text = cli_discovery_words(known, cli_str(&at, "relax"));

        cli_say(cli, "  %s %s: %" PRId64 " would match", i == 0 ? "instead," : "or", text,
                cli_int(&at, "matches", 0));
    }
    (void)cli_list(&top, "answers", &n);
    if (n == 0 && cli_int(&top, "matched", 0) > 0)
        cli_say(cli, "  " CLI_DISCOVER_NO_SET);
}

/* The members of `at` again, in their order, but for one. */
static struct xeno_json *copy_but(const struct xeno_json_at *at, const char *key,
                                  struct xeno_json *value)
{
    struct xeno_json *j = xeno_json_object();
    const char *k;

    for (size_t i = 0; i < MEMBERS_MAX && (k = xeno_json_key(at, i)) != NULL; i++)
        xeno_json_set(j, k,
                      strcmp(k, key) == 0 ? xeno_json_ref(value) : xeno_json_member(at->j, k));
    xeno_json_unref(value);
    return j;
}

/* What the RD said, as far as it holds. */
static struct xeno_json *checked(const struct cli_discovery *d)
{
    struct xeno_json_at top = xeno_json_top(d->answer), list;
    struct xeno_json *answers = xeno_json_array(), *j;
    size_t n;

    list = cli_list(&top, "answers", &n);
    for (size_t i = 0; i < d->count; i++) {
        struct xeno_json_at at = xeno_json_item(&list, d->places[i]);

        xeno_json_append(answers, copy_but(&at, "endpoint", xeno_json_string(d->servers[i].url)));
    }
    j = copy_but(&top, "answers", answers);
    xeno_json_set_str(j, "rd", d->rd);
    return j;
}

static void print_found(struct cli *cli, const struct cli_discovery *d)
{
    struct xeno_json_at top = xeno_json_top(d->answer);
    xeno_auto(cli_servers) known = NULL;
    int64_t age_ms = cli_int(&top, "age_ms", 0);
    char text[32];

    if (cli->json) {
        cli_json(checked(d));
        return;
    }
    if (cli_servers_load(cli, &known, NULL) < 0)
        known = xeno_new0(struct cli_servers);
    cli_discovery_add(d, known);
    print_table(cli, known, d);
    print_rest(cli, known, d);
    if (d->dropped > 0)
        cli_note(cli, "left out: %zu whose advert does not hold: %s", d->dropped,
                 cli_clean(d->why.text));
    if (age_ms > OLD_MS)
        cli_note(cli, "the RD has heard nothing new for %s",
                 xeno_duration_text(xeno_ms(age_ms), text));
}

/* --- the verbs --- */

/* The document is the word; the other verbs have an option for it. */
static int read_requirement(const struct cli_args *args, struct xeno_requirement **ret,
                            struct xeno_err *err)
{
    if (args->word_count > 0 && cli_value(args, "file"))
        return cli_usage(err, "give the document once: as a word, or with --file");
    return cli_requirement_from(
        args, args->word_count > 0 ? args->words[0] : cli_value(args, "file"), ret, err);
}

static int run_find(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(xeno_requirement) req = NULL;
    xeno_auto(cli_discovery) d = NULL;
    int64_t count = 10;
    int r = read_requirement(args, &req, err);

    if (r == 0)
        r = cli_number(args, "count", 1, COUNT_MAX, &count, err);
    if (r == 0)
        r = cli_discover(cli, args, req, count, &d, err);
    if (r < 0)
        return r;
    print_found(cli, d);
    return d->count > 0 ? CLI_OK : CLI_FAILED;
}

/* Does it answer? Whoever is away now may be there when it is needed. */
static bool is_there(struct cli *cli, const char *url, struct xeno_err *why)
{
    struct cli_ask ask = { .method = "GET", .base = url, .path = "/healthz" };

    if (cli_ask(cli, &ask, NULL, why) == 0)
        return true;
    cli_note(cli, "taken all the same if another is there: %s", cli_clean(why->text));
    return false;
}

static int run_use(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    cli_autourls rds = { .count = 0 };
    struct xeno_err why = XENO_ERR_INIT;
    size_t there = 0;
    int r = cli_profile_need(cli, err);

    for (int i = 0; r == 0 && i < args->word_count; i++)
        r = cli_urls_add(&rds, args->words[i], err);
    if (r == 0 && args->word_count == 0)
        r = cli_rd_pick(cli, NULL, &rds, err);
    if (r < 0)
        return r;
    for (size_t i = 0; args->word_count > 0 && i < rds.count; i++)
        there += is_there(cli, rds.urls[i], &why);
    if (args->word_count > 0 && there == 0)
        return xeno_fail(err, why.code, why.token, "nothing is changed: %s", why.text);
    if (args->word_count > 0)
        r = cli_rd_save(cli, &rds, err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(cli_urls_json(&rds));
    for (size_t i = 0; i < rds.count; i++)
        cli_say(cli, "%s", cli_clean(rds.urls[i]));
    return CLI_OK;
}

static const struct cli_option use_options[] = { { NULL } };

const struct cli_command cli_find_commands[] = {
    { .name = "find use",
      .usage = "[URL]...",
      .summary = "say which RDs find XenoServers, or show them",
      .about =
          "An RD is a program that knows XenoServers by their adverts. Yours is asked by find, and\n"
          "by run and deploy when no XenoServer is named; of several the next one when the one\n"
          "before it is away, or gives only answers that no XenoServer signed.",
      .examples = "xeno find use https://rd.example.org:8447 https://rd2.example.net:8447",
      .options = use_options,
      .max_words = CLI_URLS_MAX,
      .run = run_use },
    { .name = "find",
      .usage = "[REQUIREMENT.xml]",
      .summary = "find the XenoServers that have what is needed",
      .about =
          "The RD answers with the best ones, with what an hour and the whole life time would cost,\n"
          "how far they are and how that is known; then why the rest was left out, and what\n"
          "could be asked for instead. An answer counts only with the advert that its XenoServer\n"
          "signed. Nothing is reserved; run with the same options takes the first that holds.\n\n"
          "ADDR is an address, or a XenoServer. \"~20 ms (12-31)\" is predicted, and lies between\n"
          "these in 80 of 100 cases. QUERY is about what adverts say: xeno xis tokens.",
      .examples = "xeno find --cpu 150 --memory 512M --near 192.0.2.7:20 --max-cost 2\n"
                  "xeno find requirement.xml --where 'Isolation is vm and LoadPercent < 50'\n"
                  "# where this image is already\n"
                  "xeno find --template template://debian/12/current --objective warm\n"
                  "# the cheapest, each of another operator\n"
                  "xeno find --objective cost --spread operator --count 3\n"
                  "# about as far from both\n"
                  "xeno find --equal-latency 192.0.2.7,198.51.100.9\n"
                  "# a second one, on another path than the one that I have\n"
                  "xeno find --disjoint-to 192.0.2.7 --beside web1",
      .options = find_options,
      .max_words = 1,
      .offer = CLI_OFFER_FILE,
      .run = run_find },
    { NULL },
};
