/* src/cli/discover.c - asking an RD, and checking what it says. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/advert.h"
#include "cli/api.h"
#include "cli/discover-priv.h"
#include "cli/out.h"
#include "cli/urls.h"

#define FILE_NAME "rd.json"
#define ANSWERS   100
#define ASK_S     20 /* it measures for four of them */
#define ASK_NEXT  8  /* when there is another that could be asked */
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

/* --- our RDs --- */

int cli_rd_default(const struct cli *cli, const char *url, struct xeno_err *err)
{
    return cli_urls_default(cli, FILE_NAME, url, err);
}

int cli_rd_save(const struct cli *cli, const struct cli_urls *rds, struct xeno_err *err)
{
    return cli_urls_save(cli, FILE_NAME, rds, err);
}

int cli_rd_pick(const struct cli *cli, const struct cli_args *args, struct cli_urls *ret,
                struct xeno_err *err)
{
    int r = cli_urls_pick(cli, args ? cli_value(args, "rd") : NULL, "XENO_RD", FILE_NAME, ret, err);

    if (r == 0 && ret->count == 0)
        r = xeno_fail(err, -ENOENT, "rd.none",
                      "you have no RD that could find XenoServers (xeno find use URL)");
    return r;
}

bool cli_discover_possible(const struct cli *cli, const struct cli_args *args)
{
    cli_autourls rds = { .count = 0 };

    return cli_rd_pick(cli, args, &rds, NULL) == 0;
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
    free(d->rd);
    xeno_json_unref(d->answer);
    free(d);
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
    int r = cli_advert_open(at, &a, err);

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

/* Does it know anything, and does one of its answers hold? That others fell to something is
 * believed: what is not there nobody signed. */
static int check_use(const struct cli_discovery *d, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(d->answer);
    size_t n;

    (void)cli_list(&top, "answers", &n);
    if (cli_int(&top, "considered", 0) == 0)
        return xeno_fail(err, -ENOENT, "find.none", "the RD at %s knows no XenoServer (yet)",
                         d->rd);
    if (n > 0 && d->count == 0)
        return xeno_fail(err, -ENOENT, "find.none", "%zu answers, and none of them holds: %s", n,
                         d->why.text);
    return 0;
}

static int ask_one(struct cli *cli, const char *url, struct xeno_json *body, bool last,
                   struct cli_discovery **ret, struct xeno_err *err)
{
    xeno_auto(cli_discovery) d = xeno_new0(struct cli_discovery);
    struct cli_ask ask = { .method = "POST",
                           .base = url,
                           .path = "/v1/find",
                           .body = xeno_json_ref(body),
                           .deadline = xeno_s(last ? ASK_S : ASK_NEXT) };
    struct xeno_json_at top;
    int r = cli_ask(cli, &ask, &d->answer, err);

    if (r < 0)
        return r;
    d->rd = xeno_strdup(url);
    top = xeno_json_top(d->answer);
    if (cli_int(&top, "considered", -1) < 0)
        return xeno_fail(err, -EPROTO, "rd.answer", "%s answers with something that is no answer",
                         url);
    take_answers(cli, d);
    r = last ? 0 : check_use(d, err); /* the last one's is shown with what is wrong with it */
    if (r == 0)
        *ret = xeno_take(&d);
    return r;
}

/* RDs compete: of one that is away, refuses or answers rubbish the next one takes the place. */
static int ask(struct cli *cli, const struct cli_args *args, struct xeno_json *body,
               struct cli_discovery **ret, struct xeno_err *err)
{
    cli_autourls rds = { .count = 0 };
    int r = cli_rd_pick(cli, args, &rds, err);

    for (size_t i = 0; r == 0 && i < rds.count; i++) {
        struct xeno_err why = XENO_ERR_INIT;
        bool last = i + 1 == rds.count;

        if (ask_one(cli, rds.urls[i], body, last, ret, &why) == 0)
            return 0;
        if (last)
            return xeno_fail(err, why.code, why.token, "%s", why.text);
        cli_note(cli, "%s does not help: %s; asked is %s", cli_clean(rds.urls[i]),
                 cli_clean(why.text), cli_clean(rds.urls[i + 1]));
    }
    return r;
}

static int discover(struct cli *cli, const struct cli_args *args,
                    const struct xeno_requirement *req, int64_t count, bool far,
                    struct cli_discovery **ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) body = xeno_json_object();
    int r = cli_profile_need(cli, err);

    if (r == 0)
        r = cli_discover_question(cli, args, req, count, far, body, err);
    return r < 0 ? r : ask(cli, args, body, ret, err);
}

int cli_discover(struct cli *cli, const struct cli_args *args, const struct xeno_requirement *req,
                 int64_t count, struct cli_discovery **ret, struct xeno_err *err)
{
    return discover(cli, args, req, count, true, ret, err);
}

char *cli_discovery_words(const struct cli_servers *known, const char *said)
{
    static const char member[] = "max_cost", option[] = "--max-cost";
    xeno_autobuf out = XENO_BUF_INIT;
    const char *text = cli_clean(said);

    while (*text) {
        const char *word = NULL;
        size_t len = 1;

        for (size_t i = 0; i < known->count && !word; i++) {
            if (strncmp(text, known->items[i].id, XENO_ID_CHARS) == 0)
                word = known->items[i].name;
            len = word ? XENO_ID_CHARS : 1;
        }
        if (strncmp(text, member, sizeof member - 1) == 0) {
            word = option;
            len = sizeof member - 1;
        }
        if (word)
            xeno_buf_puts(&out, word);
        else
            xeno_buf_add(&out, text, 1);
        text += len;
    }
    return xeno_strdup(out.data ? out.data : "");
}

/* "no XenoServer of 400 has that: 31 of 400: no VM isolation; ..." */
static int none(struct cli *cli, const struct cli_discovery *d, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(d->answer), list, at;
    xeno_autobuf text = { .max = XENO_ERR_TEXT_MAX };
    xeno_auto(cli_servers) known = NULL;
    xeno_autofree char *words = NULL;
    size_t n;
    int r = check_use(d, err);

    if (r < 0)
        return r;
    if (cli_int(&top, "matched", 0) > 0)
        return xeno_fail(err, -ENOENT, "find.none", "%lld XenoServers match, " CLI_DISCOVER_NO_SET,
                         (long long)cli_int(&top, "matched", 0));
    list = cli_list(&top, "fell", &n);
    for (size_t i = 0; i < n && i < 3; i++) {
        at = xeno_json_item(&list, i);
        xeno_buf_printf(&text, "; %s", cli_clean(cli_str(&at, "text")));
    }
    list = cli_list(&top, "nearest", &n);
    if (n > 0) {
        at = xeno_json_item(&list, 0);
        xeno_buf_printf(&text, "; %lld would do with %s", (long long)cli_int(&at, "matches", 0),
                        cli_clean(cli_str(&at, "relax")));
    }
    if (cli_servers_load(cli, &known, NULL) < 0)
        known = xeno_new0(struct cli_servers);
    words = cli_discovery_words(known, text.data ? text.data : "");
    return xeno_fail(err, -ENOENT, "find.none", "no XenoServer of %lld that are known has that%s",
                     (long long)cli_int(&top, "considered", 0), words);
}

int cli_discover_some(struct cli *cli, const struct cli_args *args,
                      const struct xeno_requirement *req, int64_t count, struct cli_discovery **ret,
                      struct xeno_err *err)
{
    xeno_auto(cli_discovery) d = NULL;
    int r = discover(cli, args, req, count, false, &d, err);

    if (r == 0 && d->count == 0)
        r = none(cli, d, err);
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

void cli_discovery_keep(struct cli *cli, const struct cli_discovery *d,
                        const struct cli_server *server, const char *session)
{
    struct xeno_json_at top = xeno_json_top(d->answer), list, at;
    size_t n;

    list = cli_list(&top, "answers", &n);
    for (size_t i = 0; i < d->count; i++) {
        at = xeno_json_item(&list, d->places[i]);
        if (strcmp(d->servers[i].id, server->id) == 0)
            cli_advert_keep(cli, server, session, &at);
    }
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
