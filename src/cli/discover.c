/* src/cli/discover.c - asking an RD, and checking what it says. */
#include "cli/discover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cli/api.h"
#include "cli/out.h"
#include "cli/where.h"
#include "xis/advert.h"

#define FILE_NAME "rd.json"
#define FILE_MAX  4096
#define URL_MAX   300
#define ANSWERS   100
#define ASK_S     20
#define NAME_ROOM 65 /* of a XenoServer, in servers.json */
#define KEPT_MAX  1000

static const char *const where_options[] = { "near",   "equal-latency", "disjoint-to",
                                             "where",  "max-cost",      "objective",
                                             "spread", "sets",          "rd" };

bool cli_discover_meant(const struct cli_args *args)
{
    for (size_t i = 0; i < XENO_LEN(where_options); i++)
        if (cli_value(args, where_options[i]))
            return true;
    return false;
}

/* --- the default RD --- */

/* The caller's; NULL: none. */
static char *known_rd(const struct cli *cli)
{
    xeno_autofree char *folder = cli_profile_path(cli);
    xeno_autofree char *path = xeno_asprintf("%s/%s", folder, FILE_NAME);
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *url;
    size_t len;

    if (xeno_file_read(AT_FDCWD, path, FILE_MAX, &text, &len, NULL) < 0 ||
        xeno_json_parse(text, len, FILE_MAX, &j, NULL) < 0)
        return NULL;
    top = xeno_json_top(j);
    return xeno_json_str(&top, "url", 1, URL_MAX, &url, NULL) < 0 ? NULL : xeno_strdup(url);
}

int cli_rd_default(const struct cli *cli, const char *url, bool only, struct xeno_err *err)
{
    xeno_autofree char *have = only ? known_rd(cli) : NULL;
    xeno_auto(xeno_json) j = xeno_json_object();

    if (have)
        return 0;
    xeno_json_set_str(j, "url", url);
    return cli_profile_put(cli, FILE_NAME, j, err);
}

static char *rd_of(const struct cli *cli, const struct cli_args *args)
{
    const char *given = cli_value(args, "rd");

    if (!given)
        given = getenv("XENO_RD");
    return given && *given ? xeno_strdup(given) : known_rd(cli);
}

bool cli_discover_possible(const struct cli *cli, const struct cli_args *args)
{
    xeno_autofree char *url = rd_of(cli, args);

    return url != NULL;
}

/* --- the question --- */

static bool is_address(const char *text)
{
    uint8_t a[16];

    return inet_pton(AF_INET, text, a) == 1 || inet_pton(AF_INET6, text, a) == 1;
}

/* "192.0.2.7", "[2001:db8::1]" or a XenoServer that is known; `text` is cut. */
static int place(struct cli *cli, const char *option, char *text, struct xeno_json **ret,
                 struct xeno_err *err)
{
    xeno_auto(cli_servers) known = NULL;
    const struct cli_server *s;
    size_t len = strlen(text);

    if (*text == '[' && len > 1 && text[len - 1] == ']') {
        text[len - 1] = '\0';
        text++;
    }
    *ret = xeno_json_object();
    if (is_address(text)) {
        xeno_json_set_str(*ret, "address", text);
        return 0;
    }
    if (xeno_id_ok(text)) {
        xeno_json_set_str(*ret, "server", text);
        return 0;
    }
    if (*text && cli_servers_load(cli, &known, NULL) == 0 &&
        cli_servers_pick(known, text, &s, NULL) == 0) {
        xeno_json_set_str(*ret, "server", s->id);
        return 0;
    }
    xeno_json_unref(xeno_take(ret));
    return cli_usage(err,
                     "--%s: '%.80s' is no address (names are not looked up) and no XenoServer that "
                     "you know",
                     option, text);
}

/* "ADDR:MS" is cut to ADDR. Returns: the ms, 0 when there are none; -1 when they are wrong. */
static int64_t cut_ms(char *text)
{
    char *bracket = strchr(text, ']'), *colon = strrchr(text, ':'), *end;
    int64_t ms;

    if (!colon || (bracket && colon < bracket) || (!bracket && strchr(text, ':') != colon))
        return 0;
    *colon = '\0';
    ms = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || (*end != '\0' && strcmp(end, "ms") != 0) || ms < 1 || ms > 100000)
        return -1;
    return ms;
}

static int add_near(struct cli *cli, const struct cli_args *args, struct xeno_json *body,
                    struct xeno_err *err)
{
    struct xeno_json *list = xeno_json_array();
    const char *const *given;
    size_t n;
    int r = 0;

    given = cli_values(args, "near", &n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        xeno_autofree char *text = xeno_strdup(given[i]);
        int64_t ms = cut_ms(text);
        struct xeno_json *j = NULL;

        if (ms < 0)
            r = cli_usage(err, "--near: '%.80s': ADDRESS, or ADDRESS:MS with 1 to 100000 ms",
                          given[i]);
        if (r == 0)
            r = place(cli, "near", text, &j, err);
        if (r == 0 && ms > 0)
            xeno_json_set_int(j, "rtt_max_us", ms * 1000);
        if (r == 0)
            xeno_json_append(list, j);
    }
    if (n > 0)
        xeno_json_set(body, "near", list);
    else
        xeno_json_unref(list);
    return r;
}

static int add_equal(struct cli *cli, const struct cli_args *args, struct xeno_json *body,
                     struct xeno_err *err)
{
    struct xeno_json *list = xeno_json_array();
    const char *const *given;
    size_t n, count = 0;
    int r = 0;

    given = cli_values(args, "equal-latency", &n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        xeno_autofree char *text = xeno_strdup(given[i]);
        char *rest = text, *word;

        while (r == 0 && (word = strsep(&rest, ",")) != NULL) {
            struct xeno_json *j = NULL;

            r = place(cli, "equal-latency", word, &j, err);
            if (r == 0)
                xeno_json_append(list, j);
            count++;
        }
    }
    if (r == 0 && n > 0 && count < 2)
        r = cli_usage(err, "--equal-latency: of two places at least: ADDR,ADDR");
    if (n > 0)
        xeno_json_set(body, "equal", list);
    else
        xeno_json_unref(list);
    return r;
}

static int add_disjoint(struct cli *cli, const struct cli_args *args, struct xeno_json *body,
                        struct xeno_err *err)
{
    const char *to = cli_value(args, "disjoint-to");
    xeno_auto(cli_servers) known = NULL;
    struct xeno_json *list;
    const char *const *given;
    size_t n;
    int r = 0;

    given = cli_values(args, "beside", &n);
    if (n > 0 && !to)
        return cli_usage(err, "--beside goes with --disjoint-to");
    if (to && !is_address(to))
        return cli_usage(err, "--disjoint-to: '%.80s' is no address", to);
    xeno_json_set_str(body, "disjoint_to", to);
    if (n == 0)
        return 0;
    list = xeno_json_array();
    r = cli_servers_load(cli, &known, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct cli_server *s = NULL;

        if (!xeno_id_ok(given[i]))
            r = cli_servers_pick(known, given[i], &s, err);
        if (r == 0)
            xeno_json_append_str(list, s ? s->id : given[i]);
    }
    xeno_json_set(body, "beside", list);
    return r;
}

static int add_objective(const struct cli_args *args, struct xeno_json *body, struct xeno_err *err)
{
    struct xeno_json *list;
    const char *const *given;
    size_t n;

    given = cli_values(args, "objective", &n);
    if (n == 0)
        return 0;
    list = xeno_json_array();
    xeno_json_set(body, "objective", list);
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(given[i], "=");
        xeno_autofree char *what = xeno_strndup(given[i], len);
        struct xeno_json *j = xeno_json_object();
        char *end = NULL;
        long weight = given[i][len] ? strtol(given[i] + len + 1, &end, 10) : 1;

        xeno_json_append(list, j);
        if ((end && *end) || weight < 1 || weight > 1000)
            return cli_usage(err, "--objective: '%.80s': WHAT, or WHAT=WEIGHT from 1 to 1000",
                             given[i]);
        xeno_json_set_str(j, "what", what);
        xeno_json_set_int(j, "weight", weight);
    }
    return 0;
}

static int add_money(const struct cli_args *args, struct xeno_json *body, struct xeno_err *err)
{
    xeno_credit most = xeno_micro(-1);
    int64_t percent = 100, bytes = 0;
    struct xeno_json *usage;
    int r = cli_credit(args, "max-cost", &most, err);

    if (r == 0)
        r = cli_number(args, "use", 0, 100, &percent, err);
    if (r == 0)
        r = cli_size(args, "traffic", &bytes, err);
    if (r < 0)
        return r;
    if (most.micro >= 0)
        xeno_json_set_int(body, "max_cost", most.micro);
    if (percent == 100 && bytes == 0)
        return 0;
    usage = xeno_json_object();
    xeno_json_set_int(usage, "cpu_percent", percent);
    xeno_json_set_int(usage, "net_bytes", bytes);
    xeno_json_set(body, "usage", usage);
    return 0;
}

static int add_where(const struct cli_args *args, struct xeno_json *body, struct xeno_err *err)
{
    struct xeno_json *where = NULL;
    const char *const *given;
    size_t n;
    int r;

    given = cli_values(args, "where", &n);
    if (n == 0)
        return 0;
    r = cli_where_all(given, n, &where, err);
    if (r == 0)
        xeno_json_set(body, "where", where);
    return r < 0 ? xeno_context(err, r, "--where") : 0;
}

static int make_body(struct cli *cli, const struct cli_args *args,
                     const struct xeno_requirement *req, int64_t count, struct xeno_json *body,
                     struct xeno_err *err)
{
    xeno_autofree char *text = req ? xeno_requirement_format(req, NULL) : NULL;
    int64_t sets = 0;
    int r = add_near(cli, args, body, err);

    if (r == 0)
        r = cli_number(args, "sets", 2, 8, &sets, err);
    if (r == 0)
        r = add_equal(cli, args, body, err);
    if (r == 0)
        r = add_disjoint(cli, args, body, err);
    if (r == 0)
        r = add_objective(args, body, err);
    if (r == 0)
        r = add_money(args, body, err);
    if (r == 0)
        r = add_where(args, body, err);
    xeno_json_set_str(body, "requirement", text);
    if (req)
        xeno_json_set_int(body, "duration_s", req->lifetime_s);
    xeno_json_set_str(body, "spread", cli_value(args, "spread"));
    xeno_json_set_int(body, "count", count);
    if (sets > 0)
        xeno_json_set_int(body, "sets", sets);
    xeno_json_set_bool(body, "documents", true);
    return r;
}

/* --- the answer --- */

void cli_discovery_free(struct cli_discovery *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->count; i++) {
        free(d->servers[i].name);
        free(d->servers[i].id);
        free(d->servers[i].url);
    }
    free(d->servers);
    free(d->places);
    xeno_json_unref(d->answer);
    free(d);
}

static int open_advert(const struct xeno_json_at *at, struct xeno_advert **ret,
                       struct xeno_err *err)
{
    xeno_auto(xeno_advert) whole = NULL;
    const char *jws, *delta = NULL;
    int r = xeno_json_str(at, "advert", 1, XENO_ADVERT_JWS_MAX, &jws, err);

    if (r == 0)
        r = xeno_json_str_opt(at, "delta", 1, XENO_ADVERT_JWS_MAX, &delta, err);
    if (r >= 0)
        r = xeno_advert_open(jws, strlen(jws), &whole, err);
    if (r == 0 && delta)
        return xeno_advert_merge(whole, delta, strlen(delta), ret, err);
    if (r == 0)
        *ret = xeno_take(&whole);
    return r;
}

static bool is_with(const struct xeno_advert *a, const char *corp)
{
    const struct xeno_leaf *l = xeno_advert_leaf(a, "Corp");

    while (l && strcmp(l->value, corp) != 0)
        l = xeno_advert_leaf_next(a, l);
    return l != NULL;
}

/* Does the XenoServer itself say so, now, and to us? */
static int check_answer(struct cli *cli, const struct xeno_json_at *at, struct xeno_advert **ret,
                        struct xeno_err *err)
{
    xeno_auto(xeno_advert) a = NULL;
    int r = open_advert(at, &a, err);

    if (r == 0 && (a->withdrawn || strcmp(a->id.s, cli_str(at, "id")) != 0))
        r = xeno_fail(err, -EPERM, "find.advert", "the advert is another's");
    if (r == 0)
        r = xeno_advert_timely(a, xeno_wall(cli->env), err);
    if (r == 0 && !is_with(a, cli->profile->corp_id.s))
        r = xeno_fail(err, -EPERM, "find.advert", "it is of another XenoCorp than yours");
    if (r == 0 && strncmp(a->endpoint, "https://", 8) != 0)
        r = xeno_fail(err, -EPERM, "find.advert", "its endpoint is no https://HOST:PORT");
    if (r == 0)
        *ret = xeno_take(&a);
    return r;
}

/* What to call it: its own name if that is one, else the first letters of its id. */
static char *name_of(const struct xeno_advert *a)
{
    const char *name = xeno_advert_text(a, "Name", "");
    size_t len = strlen(name);

    if (len > 0 && len < NAME_ROOM &&
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTU"
                     "VWXYZ0123456789.-_") == len)
        return xeno_strdup(name);
    return xeno_strndup(a->id.s, 8);
}

static void take_answers(struct cli *cli, struct cli_discovery *d)
{
    struct xeno_json_at top = xeno_json_top(d->answer), list;
    size_t n;

    list = cli_list(&top, "answers", &n);
    n = n < ANSWERS ? n : ANSWERS;
    d->servers = xeno_new0_n(struct cli_server, n + 1);
    d->places = xeno_new0_n(size_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);
        xeno_auto(xeno_advert) a = NULL;

        if (check_answer(cli, &at, &a, &d->why) < 0) {
            d->dropped++;
            continue;
        }
        d->servers[d->count] = (struct cli_server){ .name = name_of(a),
                                                    .id = xeno_strdup(a->id.s),
                                                    .url = xeno_strdup(a->endpoint) };
        d->places[d->count++] = i;
    }
}

int cli_discover(struct cli *cli, const struct cli_args *args, const struct xeno_requirement *req,
                 int64_t count, struct cli_discovery **ret, struct xeno_err *err)
{
    xeno_auto(cli_discovery) d = xeno_new0(struct cli_discovery);
    xeno_autofree char *url = rd_of(cli, args);
    struct xeno_json *body;
    struct cli_ask ask = {
        .method = "POST", .base = url, .path = "/v1/find", .deadline = xeno_s(ASK_S)
    };
    int r = cli_profile_need(cli, err);

    if (r < 0)
        return r;
    if (!url)
        return xeno_fail(err, -ENOENT, "rd.none", "you have no RD that could find XenoServers");
    body = xeno_json_object();
    r = make_body(cli, args, req, count, body, err);
    if (r < 0) {
        xeno_json_unref(body);
        return r;
    }
    ask.body = body;
    r = cli_ask(cli, &ask, &d->answer, err);
    if (r < 0)
        return r;
    take_answers(cli, d);
    *ret = xeno_take(&d);
    return 0;
}

/* "no XenoServer of 400 has that: 31 of 400: no VM isolation; ..." */
static int none(const struct cli_discovery *d, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(d->answer), list;
    xeno_autobuf text = { .max = XENO_ERR_TEXT_MAX };
    size_t n;

    if (d->dropped > 0)
        return xeno_fail(err, -ENOENT, "find.none", "%zu answers, and none of them holds: %s",
                         d->dropped, d->why.text);
    list = cli_list(&top, "fell", &n);
    for (size_t i = 0; i < n && i < 3; i++) {
        struct xeno_json_at at = xeno_json_item(&list, i);

        xeno_buf_printf(&text, "; %s", cli_clean(cli_str(&at, "text")));
    }
    list = cli_list(&top, "nearest", &n);
    if (n > 0) {
        struct xeno_json_at at = xeno_json_item(&list, 0);

        xeno_buf_printf(&text, "; %lld would do with %s", (long long)cli_int(&at, "matches", 0),
                        cli_clean(cli_str(&at, "relax")));
    }
    return xeno_fail(err, -ENOENT, "find.none", "no XenoServer of %lld that are known has that%s",
                     (long long)cli_int(&top, "considered", 0), text.data ? text.data : "");
}

int cli_discover_some(struct cli *cli, const struct cli_args *args,
                      const struct xeno_requirement *req, int64_t count, struct cli_discovery **ret,
                      struct xeno_err *err)
{
    xeno_auto(cli_discovery) d = NULL;
    int r = cli_discover(cli, args, req, count, &d, err);

    if (r == 0 && d->count == 0)
        r = none(d, err);
    if (r == 0)
        *ret = xeno_take(&d);
    return r;
}

int cli_discover_limit(const struct cli_args *args, struct xeno_requirement *req,
                       struct xeno_err *err)
{
    xeno_credit most = xeno_micro(0);
    int r = cli_credit(args, "max-cost", &most, err);

    if (r == 0 && most.micro > 0 && (req->max_total == 0 || req->max_total > most.micro))
        req->max_total = most.micro;
    return r;
}

/* --- among those that are known --- */

static const struct cli_server *by_id(const struct cli_servers *s, const char *id)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].id, id) == 0)
            return &s->items[i];
    return NULL;
}

static bool name_taken(const struct cli_servers *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->items[i].name, name) == 0)
            return true;
    return false;
}

/* A name says one XenoServer: theirs has to give way to the user's. */
static void add_one(struct cli_servers *known, const struct cli_server *s)
{
    const struct cli_server *have = by_id(known, s->id);
    char name[NAME_ROOM];

    snprintf(name, sizeof name, "%s", have ? have->name : s->name);
    if (!have && name_taken(known, name))
        snprintf(name, sizeof name, "%.12s", s->id);
    cli_servers_add(known, name, s->id, s->url);
}

void cli_discovery_add(const struct cli_discovery *d, struct cli_servers *known)
{
    for (size_t i = 0; i < d->count; i++)
        add_one(known, &d->servers[i]);
}

const struct cli_server *cli_discovery_server(const struct cli_discovery *d, size_t i,
                                              const struct cli_servers *known)
{
    return by_id(known, d->servers[i].id);
}

void cli_server_remember(struct cli *cli, const struct cli_server *s)
{
    xeno_auto(cli_servers) known = NULL;
    const struct cli_server *have;

    if (cli_servers_load(cli, &known, NULL) < 0)
        return;
    have = by_id(known, s->id);
    if ((have && strcmp(have->url, s->url) == 0) || (!have && known->count >= KEPT_MAX))
        return;
    add_one(known, s);
    (void)cli_servers_save(cli, known, NULL);
}
