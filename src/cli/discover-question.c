/* src/cli/discover-question.c - what an RD is asked, from the options (rfc/0019, section 1). */
#include "cli/discover-priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image-layers.h"
#include "cli/out.h"
#include "cli/where.h"

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

/* What an objective is about must have been said. */
static int check_objective(const struct cli_args *args, const char *what, struct xeno_err *err)
{
    static const struct {
        const char *what, *needs;
    } words[] = {
        { "cost", NULL },
        { "rtt-max", "near" },
        { "rtt-mean", "near" },
        { "equal", "equal-latency" },
        { "disjoint", "disjoint-to" },
        { "warm", NULL },
        { "load", NULL },
    };

    for (size_t i = 0; i < XENO_LEN(words); i++) {
        if (strcmp(what, words[i].what) != 0)
            continue;
        if (words[i].needs && !cli_value(args, words[i].needs))
            return cli_usage(err, "--objective %s goes with --%s", what, words[i].needs);
        return 0;
    }
    return cli_usage(err,
                     "--objective: '%.80s': it is one of cost, rtt-max, rtt-mean, equal, disjoint, "
                     "warm and load, or WHAT=WEIGHT with 1 to 1000",
                     what);
}

static int add_objective(const struct cli_args *args, struct xeno_json *body, struct xeno_err *err)
{
    struct xeno_json *list;
    const char *const *given;
    size_t n;
    int r = 0;

    given = cli_values(args, "objective", &n);
    if (n == 0)
        return 0;
    list = xeno_json_array();
    xeno_json_set(body, "objective", list);
    for (size_t i = 0; r == 0 && i < n; i++) {
        size_t len = strcspn(given[i], "=");
        xeno_autofree char *what = xeno_strndup(given[i], len);
        struct xeno_json *j = xeno_json_object();
        char *end = NULL;
        long weight = given[i][len] ? strtol(given[i] + len + 1, &end, 10) : 1;

        xeno_json_append(list, j);
        if ((end && (*end || end == given[i] + len + 1)) || weight < 1 || weight > 1000)
            return cli_usage(err, "--objective: '%.80s': WHAT, or WHAT=WEIGHT from 1 to 1000",
                             given[i]);
        r = check_objective(args, what, err);
        xeno_json_set_str(j, "what", what);
        xeno_json_set_int(j, "weight", weight);
    }
    return r;
}

/* How many, and how they are to lie to each other. */
static int add_several(const struct cli_args *args, int64_t count, struct xeno_json *body,
                       struct xeno_err *err)
{
    const char *spread = cli_value(args, "spread");
    int64_t sets = 0;
    int r = cli_number(args, "sets", 2, 8, &sets, err);

    if (r < 0)
        return r;
    if (sets > 0 && !cli_value(args, "disjoint-to"))
        return cli_usage(err, "--sets goes with --disjoint-to: the paths of a set are to that "
                              "address");
    if (sets > count)
        return cli_usage(err,
                         "--sets: a set of %lld is more than the %lld answers that are asked "
                         "for",
                         (long long)sets, (long long)count);
    if (spread && strcmp(spread, "operator") != 0 && strcmp(spread, "place") != 0 &&
        strcmp(spread, "none") != 0)
        return cli_usage(err, "--spread: '%.80s': it is operator, place or none", spread);
    xeno_json_set_str(body, "spread", spread);
    xeno_json_set_int(body, "count", count);
    if (sets > 0)
        xeno_json_set_int(body, "sets", sets);
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

/* Is what is wanted the one that has most of the image? */
static bool wants_warm(const struct cli_args *args)
{
    const char *const *given;
    size_t n;

    given = cli_values(args, "objective", &n);
    for (size_t i = 0; i < n; i++)
        if (strcspn(given[i], "=") == 4 && strncmp(given[i], "warm", 4) == 0)
            return true;
    return false;
}

/* Without it everything else is found as well, so it fails nothing unless it is what was asked
 * for. */
static int add_layers(struct cli *cli, const struct cli_args *args,
                      const struct xeno_requirement *req, bool far, struct xeno_json *body,
                      struct xeno_err *err)
{
    bool must = wants_warm(args);
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    if (!req || (!*req->template_ref && req->overlay_count == 0))
        return must ? cli_usage(err,
                                "--objective warm: of which image? Give --template or --overlay")
                    : 0;
    r = cli_image_layers(cli, req, must || far, body, &why);
    if (r < 0 && must)
        return xeno_fail(err, r, why.token, "--objective warm: %s", why.text);
    if (r < 0 && far)
        cli_note(cli, "where the image is already is not asked: %s", cli_clean(why.text));
    return 0;
}

int cli_discover_question(struct cli *cli, const struct cli_args *args,
                          const struct xeno_requirement *req, int64_t count, bool far,
                          struct xeno_json *body, struct xeno_err *err)
{
    xeno_autofree char *text = req ? xeno_requirement_format(req, NULL) : NULL;
    int r = add_near(cli, args, body, err);

    if (r == 0)
        r = add_several(args, count, body, err);
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
    if (r == 0)
        r = add_layers(cli, args, req, far, body, err);
    xeno_json_set_str(body, "requirement", text);
    if (req)
        xeno_json_set_int(body, "duration_s", req->lifetime_s);
    xeno_json_set_bool(body, "documents", true);
    return r;
}
