/* src/cli/server-advertise.c - what a XenoServer says of itself, and who finds it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/advert.h"
#include "cli/api.h"
#include "cli/make.h"
#include "cli/out.h"
#include "cli/server.h"
#include "cli/where.h"
#include "rd/find.h"
#include "xis/advert.h"
#include "xis/query.h"

const struct cli_option cli_server_advertise_options[] = {
    { "check", 0, NULL, "would it be found by who asks for what follows?", false, 0 },
    { "where", 'w', "QUERY", "--check: and for this ('CPUmsps >= 150 and EnvType is Linux')", true,
      0 },
    CLI_REQUIREMENT_OPTIONS,
    { NULL },
};

/* Ask for it, and believe nothing but the signatures. */
static int fetch(struct cli *cli, const struct cli_server *s, struct xeno_json **ret_answer,
                 struct xeno_advert **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    xeno_auto(xeno_advert) a = NULL;
    struct xeno_json_at at;
    int r = cli_server_get(cli, s, &answer, err, "/v1/advert");

    if (r < 0)
        return r;
    at = xeno_json_top(answer);
    r = cli_advert_open(&at, &a, err);
    if (r == 0 && strcmp(a->id.s, s->id) != 0)
        r = xeno_fail(err, -EPERM, "advert.key", "%s shows the advert of %s", s->name, a->id.s);
    if (r < 0)
        return xeno_context(err, r, "%s", s->url);
    *ret = xeno_take(&a);
    *ret_answer = xeno_take(&answer);
    return 0;
}

/* --- for people --- */

/* What is shown in words; the rest is shown as it is. */
struct shown {
    const struct xeno_advert *a;
    bool said[XENO_ADVERT_LEAVES];
    char *clean[XENO_ADVERT_LEAVES]; /* owned */
};

static void shown_release(struct shown *s)
{
    for (size_t i = 0; i < XENO_LEN(s->clean); i++)
        free(s->clean[i]);
}

/* Borrowed from the shown; fit for a terminal. */
static const char *text(struct shown *s, const char *path)
{
    const struct xeno_leaf *leaf = xeno_advert_leaf(s->a, path);
    size_t i;

    if (!leaf)
        return "?";
    i = (size_t)(leaf - s->a->leaves);
    s->said[i] = true;
    if (!s->clean[i])
        s->clean[i] = xeno_strdup(cli_clean(leaf->value));
    return s->clean[i];
}

/* All values of a set in one line; NULL: there are none. The caller's. */
static char *set(struct shown *s, const char *path, const char *between)
{
    const struct xeno_leaf *leaf = xeno_advert_leaf(s->a, path);
    xeno_autobuf b = XENO_BUF_INIT;

    for (; leaf; leaf = xeno_advert_leaf_next(s->a, leaf)) {
        xeno_buf_printf(&b, "%s%s", b.len > 0 ? between : "", cli_clean(leaf->value));
        s->said[leaf - s->a->leaves] = true;
    }
    return b.len > 0 ? xeno_buf_take(&b, NULL) : NULL;
}

static size_t count(struct shown *s, const char *path)
{
    const struct xeno_leaf *leaf = xeno_advert_leaf(s->a, path);
    size_t n = 0;

    for (; leaf; leaf = xeno_advert_leaf_next(s->a, leaf), n++)
        s->said[leaf - s->a->leaves] = true;
    return n;
}

static const char *size(struct shown *s, const char *path, char out[32])
{
    double mb = xeno_advert_number(s->a, path, -1);

    (void)text(s, path);
    if (mb < 0 || mb > 1e12)
        return "?";
    return xeno_size_text((int64_t)mb << 20, out);
}

static bool is_told(const char *text)
{
    return strcmp(text, "?") != 0;
}

static void show_place(const struct cli *cli, struct shown *s)
{
    xeno_autobuf line = XENO_BUF_INIT;
    const char *place = text(s, "Location/Place"), *country = text(s, "Location/Country");
    const char *north = text(s, "Location/Latitude"), *east = text(s, "Location/Longitude");

    if (is_told(place))
        xeno_buf_puts(&line, place);
    if (is_told(country))
        xeno_buf_printf(&line, "%s%s", line.len > 0 ? ", " : "", country);
    if (is_told(north) && is_told(east))
        xeno_buf_printf(&line, "%s(%s, %s)", line.len > 0 ? " " : "", north, east);
    if (line.len > 0)
        cli_field(cli, "place", "%s, as its operator says", line.data);
    else
        cli_field(cli, "place", "not told (place, country, latitude, longitude in xenod.conf)");
}

/* Where round trips put it; rfc/0018 has what the numbers mean. */
static void show_coordinate(const struct cli *cli, struct shown *s)
{
    static const char *const paths[] = { "Coordinate/X1", "Coordinate/X2", "Coordinate/X3",
                                         "Coordinate/X4", "Coordinate/X5", "Coordinate/X6",
                                         "Coordinate/X7", "Coordinate/X8" };
    xeno_autobuf at = XENO_BUF_INIT;
    const char *samples = text(s, "Coordinate/Samples"), *height = text(s, "Coordinate/HeightMs");
    const char *wrong = text(s, "Coordinate/ErrorMs");

    for (size_t i = 0; i < XENO_LEN(paths); i++) {
        const char *x = text(s, paths[i]);

        if (is_told(x))
            xeno_buf_printf(&at, "%s%s", at.len > 0 ? " " : "", x);
    }
    if (!is_told(samples) || strcmp(samples, "0") == 0)
        cli_field(cli, "coordinate", "not known yet: no round trips to others were measured");
    else
        cli_field(cli, "coordinate", "%s, height %s ms, good to %s ms, of %s round trips",
                  at.data ? at.data : "", height, wrong, samples);
}

static void show_who(const struct cli *cli, struct shown *s)
{
    xeno_autofree char *isolation = set(s, "Isolation", " "), *types = set(s, "EnvType", " ");
    xeno_autofree char *corps = set(s, "Corp", " ");
    char memory[32];

    cli_field(cli, "name", "%s, of %s (%s)", text(s, "Name"), text(s, "Operator"),
              text(s, "Software"));
    cli_field(cli, "endpoint", "%s", text(s, "Endpoint"));
    cli_field(cli, "corp", "%s", corps);
    show_place(cli, s);
    cli_field(cli, "machine", "%s x %s", text(s, "Machine/CPUs"), text(s, "Machine/CPU"));
    cli_field(cli, "", "%s, kernel %s, %s", text(s, "Machine/Architecture"),
              text(s, "Machine/Kernel"), size(s, "Machine/MemoryMB", memory));
    cli_field(cli, "runs", "%s, isolated by %s", types ? types : "?", isolation);
}

static void show_room(const struct cli *cli, struct shown *s, const char *title, const char *under)
{
    char path[4][32], memory[32], disk[32];
    static const char *const names[] = { "CPUmsps", "MemoryMB", "DiskMB", "NetMbps" };

    for (size_t i = 0; i < XENO_LEN(names); i++)
        snprintf(path[i], sizeof path[i], "%s%s", under, names[i]);
    cli_field(cli, title, "%s ms/s of CPU, %s, disk %s, %s Mbit/s", text(s, path[0]),
              size(s, path[1], memory), size(s, path[2], disk), text(s, path[3]));
}

static void show_offer(const struct cli *cli, struct shown *s)
{
    xeno_autofree char *accept = set(s, "Accept", " ");

    show_room(cli, s, "free", "");
    cli_field(cli, "", "%s own addresses, %s ports", text(s, "Addresses"), text(s, "Ports"));
    show_room(cli, s, "at most", "Most/");
    show_room(cli, s, "in all", "Total/");
    cli_field(cli, "load", "%s %% of its CPU is sold, to %s sessions", text(s, "LoadPercent"),
              text(s, "Sessions"));
    cli_field(cli, "accepting", "%s", text(s, "Accepting"));
    cli_field(cli, "accepts", "%s", accept ? accept : "everybody");
    cli_field(cli, "price", "%s credits an hour for a small session (tariff %s)",
              text(s, "Price/HourCredits"), text(s, "Price/Epoch"));
    cli_field(cli, "here", "%zu images, %zu layers", count(s, "CachedImage"),
              count(s, "CachedLayer"));
}

/* Lists that run parallel (RFC 0015, 6): a line for each, with `after` after each value. */
static void show_lists(const struct cli *cli, struct shown *s, const char *key,
                       const char *const paths[3], const char *const after[3])
{
    const struct xeno_leaf *at[3];

    for (size_t i = 0; i < 3; i++)
        at[i] = paths[i] ? xeno_advert_leaf(s->a, paths[i]) : NULL;
    while (at[0] && at[1] && (at[2] || !paths[2])) {
        xeno_autobuf line = XENO_BUF_INIT;

        for (size_t i = 0; i < 3 && at[i]; i++) {
            s->said[at[i] - s->a->leaves] = true;
            xeno_buf_printf(&line, "%s%s", cli_clean(at[i]->value), after[i]);
            at[i] = xeno_advert_leaf_next(s->a, at[i]);
        }
        cli_field(cli, key, "%s", line.data);
        key = "";
    }
}

static void show_network(const struct cli *cli, struct shown *s)
{
    show_coordinate(cli, s);
    show_lists(cli, s, "round trips",
               (const char *const[]){ "Measured/Peer/Id", "Measured/Peer/RttMs",
                                      "Measured/Peer/LossPercent" },
               (const char *const[]){ ": ", " ms, ", " % lost" });
    show_lists(cli, s, "paths", (const char *const[]){ "Path/To", "Path/Hops", NULL },
               (const char *const[]){ " by ", "", "" });
}

/* What has no words of its own here, as it stands. */
static void show_rest(const struct cli *cli, struct shown *s)
{
    static const char *const known[] = { "Id",     "Key",   "Version", "Expires",
                                         "Price/", "Most/", "UptimeS" };

    for (size_t i = 0; i < s->a->leaf_count; i++) {
        const struct xeno_leaf *leaf = &s->a->leaves[i];
        bool skip = s->said[i];

        for (size_t k = 0; k < XENO_LEN(known); k++)
            skip |= strncmp(leaf->path, known[k], strlen(known[k])) == 0;
        if (!skip)
            cli_field(cli, cli_clean(leaf->path), "%s", cli_clean(leaf->value));
    }
}

static void show_services(const struct cli *cli, const struct xeno_json *answer)
{
    struct xeno_json_at top = xeno_json_top(answer), list, s;
    size_t n;

    list = cli_list(&top, "xis", &n);
    for (size_t i = 0; i < n; i++) {
        s = xeno_json_item(&list, i);
        cli_field(cli, "XIS", "%s %s%s", cli_clean(cli_str(&s, "url")),
                  cli_bool(&s, "up") ? "has it" : "has it not: ",
                  cli_bool(&s, "up") ? "" : cli_clean(cli_str(&s, "problem")));
    }
}

static void show(const struct cli *cli, const struct cli_server *server,
                 const struct xeno_advert *a, const struct xeno_json *answer)
{
    __attribute__((cleanup(shown_release))) struct shown s = { .a = a };
    char left[32];

    cli_say(cli, "%s (%s), version %lld, good for %s", server->name, a->id.s, (long long)a->version,
            xeno_duration_text(xeno_ns(a->expires.ns - xeno_wall(cli->env).ns), left));
    show_who(cli, &s);
    show_offer(cli, &s);
    show_network(cli, &s);
    show_rest(cli, &s);
    show_services(cli, answer);
}

/* --- --check --- */

struct check {
    struct cli *cli;
    struct xeno_json *list;
    const struct xeno_advert *said; /* what is judged */
};

/* What the advert has under that name, which many constraints share with what they are about; "":
 * nothing, or it is in the words. */
static void add_said(const struct check *k, enum xeno_rd_constraint c, struct xeno_buf *out)
{
    const struct xeno_leaf *leaf =
        c == XENO_RD_C_ACCEPT ? NULL : xeno_advert_leaf(k->said, xeno_rd_constraint_name(c));

    for (; leaf; leaf = xeno_advert_leaf_next(k->said, leaf))
        xeno_buf_printf(out, "%s%s", out->len > 0 ? ", " : "", cli_clean(leaf->value));
}

static void on_fault(void *ctx, enum xeno_rd_constraint c, bool unknown, const char *words)
{
    struct check *k = ctx;
    struct xeno_json *o = xeno_json_object();
    xeno_autobuf said = XENO_BUF_INIT;

    add_said(k, c, &said);
    xeno_json_set_str(o, "constraint", xeno_rd_constraint_name(c));
    xeno_json_set_bool(o, "unknown", unknown);
    xeno_json_set_str(o, "text", words);
    xeno_json_set_str(o, "advert", said.data);
    xeno_json_append(k->list, o);
    if (said.len > 0)
        cli_say(k->cli, "  %s (the advert says %s)", cli_clean(words), said.data);
    else
        cli_say(k->cli, "  %s", cli_clean(words));
}

static int read_where(const struct cli_args *args, struct xeno_query_tree **ret,
                      struct xeno_err *err)
{
    xeno_auto(xeno_json) where = NULL;
    struct xeno_json_at at;
    size_t n;
    const char *const *texts = cli_values(args, "where", &n);
    int r;

    if (n == 0)
        return 0;
    r = cli_where_all(texts, n, &where, err);
    if (r < 0)
        return r;
    at = xeno_json_top(where);
    return xeno_query_read(&at, ret, err);
}

/* One server, and nobody else: what finding would say. Takes the advert. */
static int judge(struct cli *cli, const struct cli_args *args, struct xeno_advert **advert,
                 struct check *k, struct xeno_err *err)
{
    struct xeno_rd_client client = { .id = cli->profile->cert->id,
                                     .corp = cli->profile->corp_id.s,
                                     .kind = xeno_party_name(cli->profile->cert->kind) };
    const struct xeno_rd_network network = { .ctx = NULL };
    xeno_auto(xeno_rd) rd = xeno_rd_new(1);
    struct xeno_id id = (*advert)->id;
    struct xeno_rd_request req;
    int r;

    xeno_rd_request_init(&req);
    r = cli_requirement(args, &req.requirement, err);
    if (r == 0)
        r = read_where(args, &req.where, err);
    if (r == 0)
        r = xeno_rd_put(rd, *advert, err);
    if (r == 0) {
        k->said = xeno_take(advert); /* rd's, which lives as long as k needs it */
        req.duration_s = req.requirement->lifetime_s;
        r = xeno_rd_judge(rd, &req, &client, &network, xeno_wall(cli->env), &id, on_fault, k, err);
    }
    xeno_rd_request_release(&req);
    return r;
}

static int check(struct cli *cli, const struct cli_args *args, const struct cli_server *server,
                 struct xeno_advert **advert, struct xeno_err *err)
{
    struct check k = { .cli = cli, .list = xeno_json_array() };
    xeno_auto(xeno_json) doc = xeno_json_object();
    int r;

    xeno_json_set(doc, "against", k.list);
    r = judge(cli, args, advert, &k, err);
    if (r < 0)
        return r;
    xeno_json_set_str(doc, "server", server->id);
    xeno_json_set_bool(doc, "found", r == 0);
    if (cli->json)
        cli_json(xeno_take(&doc));
    cli_say(cli, r == 0 ? "%s would be found for this" : "%s would not be found for this",
            server->name);
    return r == 0 ? CLI_OK : CLI_FAILED;
}

int cli_server_advertise(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    xeno_auto(xeno_json) answer = NULL;
    xeno_auto(xeno_advert) advert = NULL;
    const struct cli_server *server;
    int r = cli_server_need(cli, args->word_count > 0 ? args->words[0] : NULL, &all, &server, err);

    if (r == 0)
        r = fetch(cli, server, &answer, &advert, err);
    if (r < 0)
        return r;
    if (cli_flag(args, "check"))
        return check(cli, args, server, &advert, err);
    if (cli->json)
        cli_json(xeno_take(&answer));
    else
        show(cli, server, advert, answer);
    return CLI_OK;
}
