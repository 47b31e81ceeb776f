/* src/cli/make-hold.c - from options to a hold: at the XenoServer that is named, or the first of
 * those that are found. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "cli/api.h"
#include "cli/discover.h"
#include "cli/guard.h"
#include "cli/make.h"
#include "cli/order.h"
#include "cli/out.h"
#include "cli/signed.h"

#define HOLD_PATH     "/v1/holds?ttl_s=60"
#define HOLD_ANSWER_S 10 /* of a XenoServer that is one of several */
#define HOLD_IMAGE_S  25 /* when it has to ask a store what the images are */
#define FOUND_MAX     10 /* XenoServers that are asked to hold, one after the other */

int cli_make_take_hold(struct cli_making *m, const struct xeno_json *answer, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(answer), price;
    const char *hold;
    int r;

    r = xeno_json_str(&top, "hold", 1, 64, &hold, err);
    if (r == 0 && !xeno_base32_ok(hold, XENO_SESSION_ID_CHARS))
        r = xeno_fail(err, -EPROTO, "hold.id", "it is not for a hold");
    if (r == 0)
        r = xeno_json_obj(&top, "price", &price, err);
    if (r == 0)
        r = xeno_json_int(&price, "per_hour_max", 0, INT64_MAX, &m->per_hour_max, err);
    if (r == 0)
        r = xeno_json_int(&price, "reserved_per_hour", 0, INT64_MAX, &m->reserved_per_hour, err);
    if (r < 0)
        return xeno_context(err, r, "the quote of %s", m->server->name);
    m->hold = xeno_strdup(hold);
    return 0;
}

struct cli_ask cli_make_ask_hold(const struct cli_making *m)
{
    return (struct cli_ask){ .method = "POST",
                             .base = m->server->url,
                             .server_id = m->server->id,
                             .path = HOLD_PATH,
                             .text = m->document,
                             .type = "application/xml",
                             .spends = true };
}

static int post_hold(struct cli *cli, struct cli_making *m, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    struct cli_ask ask = cli_make_ask_hold(m);
    int r = cli_ask(cli, &ask, &answer, err);

    return r < 0 ? r : cli_make_take_hold(m, answer, err);
}

static bool has_remote(const struct xeno_requirement *req)
{
    bool remote = strncmp(req->template_ref, "oci://", 6) == 0;

    for (size_t i = 0; i < req->overlay_count; i++)
        remote |= strncmp(req->overlays[i], "oci://", 6) == 0;
    return remote;
}

xeno_time cli_make_hold_patience(const struct cli_making *m)
{
    return xeno_s(has_remote(m->req) ? HOLD_IMAGE_S : HOLD_ANSWER_S);
}

/* The same of one of several: the next one does not wait longer for it than it has to. */
static int post_hold_of_many(struct cli *cli, struct cli_making *m, struct xeno_err *err)
{
    struct cli_asked a = { .ask = cli_make_ask_hold(m) };
    int r;

    a.ask.deadline = cli_make_hold_patience(m);
    cli_ask_all(cli, &a, 1, NULL, NULL);
    r = a.answer ? cli_make_take_hold(m, a.answer, err)
                 : xeno_fail(err, a.err.code, a.err.token, "%s", a.err.text);
    xeno_json_unref(a.answer);
    return r;
}

static void drop_hold(struct cli *cli, struct cli_making *m)
{
    xeno_autofree char *path = NULL;

    if (!m->hold)
        return;
    path = xeno_asprintf("/v1/holds/%s", m->hold);
    /* Best effort: it expires by itself. */
    cli_ask(
        cli,
        &(struct cli_ask){
            .method = "DELETE", .base = m->server->url, .server_id = m->server->id, .path = path },
        NULL, NULL);
    free(xeno_take(&m->hold));
}

/* Whoever names no XenoServer and knows none has it found, too. */
static bool is_to_be_found(struct cli *cli, const struct cli_args *args, struct cli_making *m)
{
    if (cli_discover_meant(args))
        return true;
    return !cli_value(args, "server") && !getenv("XENO_SERVER") && m->servers->count == 0 &&
           cli_discover_possible(cli, args);
}

static int pick_server(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                       struct xeno_err *err)
{
    int r = cli_servers_load(cli, &m->servers, err);

    if (r < 0)
        return r;
    if (!is_to_be_found(cli, args, m))
        return cli_servers_pick(m->servers, cli_value(args, "server"), &m->server, err);
    if (cli_value(args, "server"))
        return cli_usage(err, "--server names one; the other options have one found");
    r = cli_discover_some(cli, args, m->req, FOUND_MAX, &m->found, err);
    if (r == 0)
        r = cli_discover_limit(args, m->req, err);
    if (r < 0)
        return r;
    m->by = m->found;
    cli_discovery_add(m->found, m->servers);
    m->server = cli_discovery_server(m->found, 0, m->servers);
    return 0;
}

static int prepare(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                   struct xeno_err *err)
{
    int r = cli_requirement(args, &m->req, err);

    if (r == 0)
        r = cli_signed_pin_all(cli, m->req, err); /* first: which image it is decides where */
    if (r == 0)
        r = pick_server(cli, args, m, err);
    if (r < 0)
        return r;
    m->document = xeno_requirement_format(m->req, NULL);
    return 0;
}

/* What an RD says is not sold: the first that holds is it. */
static int hold_found(struct cli *cli, struct cli_making *m, struct xeno_err *err)
{
    size_t n = m->found ? m->found->count : 1;
    int r = -EAGAIN;

    for (size_t i = 0; i < n; i++) {
        if (m->found)
            m->server = cli_discovery_server(m->found, i, m->servers);
        r = i + 1 < n ? post_hold_of_many(cli, m, err) : post_hold(cli, m, err);
        if (r == 0 || cli_guard_caught())
            break;
        if (i + 1 < n)
            cli_note(cli, "%s does not hold it: %s", m->server->name, cli_clean(err->text));
    }
    if (r < 0 && n > 1 && !cli_guard_caught())
        return xeno_context(err, r, "none of the %zu that were found holds it; the last, %s", n,
                            m->server->name);
    if (r == 0 && m->found)
        cli_server_remember(cli, m->server);
    return r;
}

void cli_make_cancel(struct cli *cli, struct cli_making *m)
{
    drop_hold(cli, m);
    if (m->made_order && cli_order_close(cli, m->terms->order, NULL, NULL) == 0)
        cli_wallet_drop(cli, m->terms->order);
}

int cli_make_hold(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                  struct xeno_err *err)
{
    int r = prepare(cli, args, m, err);

    return r < 0 ? r : hold_found(cli, m, err);
}
