/* src/cli/make.c - from a hold to a session: the order that pays for it, the session, and its end.
 */
#include "cli/make.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "cli/agreed.h"
#include "cli/api.h"
#include "cli/bill.h"
#include "cli/discover.h"
#include "cli/fetching.h"
#include "cli/guard.h"
#include "cli/order.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/server.h"

#define ORDER_EXTRA                                                                                \
    3600 /* seconds an order made here outlives its session: grace and last charge */
#define ORDER_LEAST (XENO_CREDIT / 100)
#define POLL_MS_MAX 250
#define END_WAIT_S  60
#define SETTLE_S    3 /* a XenoCorp that is away must not hold us up */

void cli_making_release(struct cli_making *m)
{
    cli_discovery_free(m->found);
    cli_servers_free(m->servers);
    xeno_requirement_free(m->req);
    free(m->document);
    free(m->hold);
    free(m->chain);
    free(m->terms);
    if (m->claim)
        fclose(m->claim);
    cli_found_free(m->session);
}

/* --- the order --- */

xeno_credit cli_make_most(const struct cli_making *m)
{
    int64_t micro;

    if (!xeno_muldiv(m->per_hour_max, m->req->lifetime_s + ORDER_EXTRA, 3600, &micro) ||
        micro > XENO_CREDIT_MAX)
        return xeno_micro(XENO_CREDIT_MAX);
    return xeno_micro(micro < ORDER_LEAST ? ORDER_LEAST : micro);
}

xeno_time cli_make_life(const struct cli_making *m)
{
    return xeno_s(m->req->lifetime_s + ORDER_EXTRA);
}

/* What an order must be good for: the most it can cost, unless --max-total says so. */
static xeno_credit needed(const struct cli_making *m)
{
    return m->req->max_total > 0 ? xeno_micro(m->req->max_total) : cli_make_most(m);
}

static int permits(struct cli *cli, const struct cli_making *m, const struct xeno_order_terms *t,
                   struct xeno_err *err)
{
    struct xeno_order_ctx ctx = { .server = m->server->id,
                                  .env_type = m->req->env_type,
                                  .now = xeno_wall(cli->env),
                                  .rate_per_hour = xeno_micro(m->per_hour_max),
                                  .holder = xeno_key_pub(cli->profile->key),
                                  .ahead = true };

    return xeno_order_permits(t, &ctx, err);
}

static int given_order(struct cli *cli, const char *ref, struct cli_making *m, struct xeno_err *err)
{
    int r = cli_wallet_find(cli, ref, &m->chain, m->terms, err);

    return r < 0 ? r : permits(cli, m, m->terms, err);
}

static bool is_free(const struct xeno_json_at *order)
{
    return strcmp(cli_str(order, "state"), "open") == 0 && !cli_obj(order, "bound").j;
}

/* Several commands may look for an order at a time: one that is claimed is looked at once more,
 * since whoever had it may have used it meanwhile. */
static bool claim(struct cli *cli, struct cli_making *m, const char *order)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;

    m->claim = cli_wallet_claim(cli, order);
    if (!m->claim)
        return false;
    if (cli_corp_get(cli, &j, NULL, "/v1/orders/%s", order) == 0) {
        top = xeno_json_top(j);
        if (is_free(&top))
            return true;
    }
    fclose(m->claim);
    m->claim = NULL;
    return false;
}

/* One of ours that pays for nothing now, allows this, and has enough left. */
static bool found_order(struct cli *cli, struct cli_making *m)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    xeno_time until = xeno_time_add(xeno_wall(cli->env), xeno_s(m->req->lifetime_s));

    if (cli_pages(cli, NULL, "/v1/orders", "orders", &j, NULL) < 0)
        return false;
    top = xeno_json_top(j);
    list = cli_list(&top, "orders", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at o = xeno_json_item(&list, i);
        xeno_autofree char *chain = NULL;

        if (!is_free(&o) || cli_int(&o, "amount", 0) - cli_int(&o, "charged", 0) < needed(m).micro)
            continue;
        if (cli_wallet_find(cli, cli_str(&o, "order"), &chain, m->terms, NULL) < 0 ||
            permits(cli, m, m->terms, NULL) < 0 || m->terms->not_after.ns < until.ns ||
            m->terms->max_total.micro < needed(m).micro || !claim(cli, m, cli_str(&o, "order")))
            continue;
        m->chain = xeno_take(&chain);
        return true;
    }
    return false;
}

static int new_order(struct cli *cli, struct cli_making *m, struct xeno_err *err)
{
    char id[XENO_ORDER_ID_CHARS + 1];
    int r = cli_order_make(cli, needed(m), cli_make_life(m), NULL, &m->chain, m->terms, err);

    if (r < 0)
        return r;
    m->made_order = true;
    cli_wallet_mark(cli, m->terms->order); /* first: nobody else is to find it without */
    return cli_wallet_put(cli, m->chain, id, err);
}

int cli_make_order(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                   struct xeno_err *err)
{
    const char *ref = cli_value(args, "order");

    m->terms = xeno_new0(struct xeno_order_terms);
    if (ref)
        return given_order(cli, ref, m, err);
    if (found_order(cli, m))
        return 0;
    return new_order(cli, m, err);
}

/* --- the session --- */

/* `chain`: as it is shown to the server. */
static struct xeno_json *session_body(const struct cli_making *m, const char *chain)
{
    struct xeno_json *body = xeno_json_object();

    if (m->hold)
        xeno_json_set_str(body, "hold", m->hold);
    else
        xeno_json_set_str(body, "requirements", m->document);
    xeno_json_set_str(body, "chain", chain);
    xeno_json_set_str(body, "name", m->req->name);
    return body;
}

int cli_make_ask_session(struct cli *cli, struct cli_making *m, struct cli_ask *ret,
                         struct xeno_err *err)
{
    xeno_autofree char *shown = NULL;
    /* At the price of the quote: the XenoCorp lets nobody charge more. */
    int r = cli_order_present_at(cli, m->chain, m->server->id, m->per_hour_max, &shown, err);

    if (r == 0)
        *ret = (struct cli_ask){ .method = "POST",
                                 .base = m->server->url,
                                 .server_id = m->server->id,
                                 .path = "/v1/sessions",
                                 .body = session_body(m, shown),
                                 .spends = true };
    return r;
}

int cli_make_take_session(struct cli *cli, struct cli_making *m, struct xeno_json *answer,
                          struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(answer);
    const char *id;
    int r;

    free(xeno_take(&m->hold)); /* became the session */
    r = xeno_json_str(&top, "session", 1, 64, &id, err);
    if (r == 0 && !xeno_base32_ok(id, XENO_SESSION_ID_CHARS))
        r = xeno_fail(err, -EPROTO, "session.id", "%s answered with something that is no session",
                      m->server->name);
    if (r < 0)
        return r;
    cli_agreed_put(cli, m->server, id, m->per_hour_max);
    if (m->by)
        cli_discovery_keep(cli, m->by, m->server, id);
    m->session = xeno_new0(struct cli_found);
    m->session->server =
        (struct cli_server){ xeno_strdup(m->server->name), xeno_strdup(m->server->id),
                             xeno_strdup(m->server->url) };
    m->session->session = xeno_strdup(id);
    m->session->object = xeno_json_ref(answer);
    return 0;
}

int cli_make_session(struct cli *cli, struct cli_making *m, struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    struct cli_ask ask;
    int r = cli_make_ask_session(cli, m, &ask, err);

    if (r == 0)
        r = cli_ask(cli, &ask, &answer, err);
    return r < 0 ? r : cli_make_take_session(cli, m, answer, err);
}

int cli_wait_state(struct cli *cli, struct cli_found *f, const char *const *from, xeno_time limit,
                   struct cli_progress *p, struct xeno_err *err)
{
    struct cli_patience patience = cli_patience_for(cli, limit);
    int64_t pause_ms = 10;

    for (;;) {
        struct xeno_json_at top = xeno_json_top(f->object);
        const char *state = cli_str(&top, "state");
        bool still = false;
        int r;

        for (const char *const *s = from; *s; s++)
            still |= strcmp(*s, state) == 0;
        if (!still)
            return 0;
        cli_fetching_show(p, f->object);
        if (cli_patience_over(&patience, cli, f->object))
            return xeno_fail(err, -ETIMEDOUT, "session.wait",
                             "session %s is still %s (xeno session show %s)", f->session, state,
                             f->session);
        cli_wait(cli, xeno_ms(pause_ms));
        pause_ms = pause_ms * 2 < POLL_MS_MAX ? pause_ms * 2 : POLL_MS_MAX;
        r = cli_found_refresh(cli, f, err);
        if (r < 0)
            return r;
    }
}

static void print_bill(struct cli *cli, struct cli_found *f)
{
    xeno_auto(xeno_json) usage = NULL;
    xeno_autofree char *line = NULL;
    struct xeno_json_at top;

    if (cli->json || cli->quiet ||
        cli_server_get(cli, &f->server, &usage, NULL, "/v1/sessions/%s/usage", f->session) < 0)
        return;
    top = xeno_json_top(usage);
    line = cli_bill_line(&top);
    cli_note(cli, "%s", line);
}

/* The final charge is posted a moment after the end: a bill that is asked for next is whole. */
static void settle(struct cli *cli, struct cli_found *f)
{
    xeno_time end = xeno_time_add(xeno_mono(cli->env), xeno_s(SETTLE_S));

    for (;;) {
        xeno_auto(xeno_json) usage = NULL;
        struct xeno_json_at top;

        if (cli_server_get(cli, &f->server, &usage, NULL, "/v1/sessions/%s/usage", f->session) < 0)
            return;
        top = xeno_json_top(usage);
        if (cli_int(&top, "pending", 0) == 0 || xeno_mono(cli->env).ns > end.ns)
            return;
        cli_wait(cli, xeno_ms(20));
    }
}

static void close_once(struct cli *cli, struct cli_found *f)
{
    struct xeno_json_at top = xeno_json_top(f->object);
    const char *order = cli_str(&top, "order");

    if (*order && cli_wallet_marked(cli, order) && cli_order_close(cli, order, NULL, NULL) == 0)
        cli_wallet_drop(cli, order);
}

int cli_end_session(struct cli *cli, struct cli_found *f, struct xeno_err *err)
{
    static const char *const going[] = { "held",      "creating",   "running",
                                         "paused",    "suspending", "suspended",
                                         "restoring", "ending",     NULL };
    xeno_auto(cli_progress) p = NULL;
    xeno_auto(xeno_json) answer = NULL;
    int r;

    cli_guard_begin();
    p = cli_progress_new(cli, "ending session %s", f->session);
    r = cli_server_post(cli, &f->server, xeno_json_object(), &answer, err, "/v1/sessions/%s/end",
                        f->session);
    if (r == 0)
        r = cli_found_refresh(cli, f, err);
    if (r == 0)
        r = cli_wait_state(cli, f, going, xeno_s(END_WAIT_S), NULL, err);
    if (r == 0) {
        settle(cli, f);
        cli_agreed_drop(cli, &f->server, f->session);
    }
    cli_progress_free(xeno_take(&p));
    if (r == 0)
        print_bill(cli, f);
    close_once(cli, f);
    return r;
}

/* A session that goes on costs money: whoever pays is told, also with --quiet and --json. */
void cli_make_end(struct cli *cli, struct cli_making *m)
{
    struct xeno_err why = XENO_ERR_INIT;

    if (cli_end_session(cli, m->session, &why) < 0)
        fprintf(stderr,
                "session %s could not be ended and may go on: %s\n  next: xeno session end %s\n",
                m->session->session, cli_clean(why.text), m->session->session);
}

/* Why it did not start is what the user wants to see: ending the session must not hide it. */
void cli_make_give_up(struct cli *cli, struct cli_making *m)
{
    bool quiet = cli->quiet;

    if (!m->session)
        return;
    cli->quiet |= !cli_guard_caught(); /* but what an interrupt cost is shown */
    cli_make_end(cli, m);
    cli->quiet = quiet;
}

/* --- dry run --- */

static int dry_order(struct cli *cli, const struct cli_args *args, struct cli_making *m,
                     struct xeno_err *err)
{
    xeno_auto(xeno_json) account = NULL;
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    struct xeno_json_at top;
    int64_t free_micro;
    int r;

    m->terms = xeno_new0(struct xeno_order_terms);
    if (cli_value(args, "order"))
        return given_order(cli, cli_value(args, "order"), m, err);
    if (found_order(cli, m))
        return 0;
    r = cli_corp_get(cli, &account, err, "/v1/account");
    if (r < 0)
        return r;
    top = xeno_json_top(account);
    free_micro = cli_int(&top, "free", 0);
    if (free_micro < needed(m).micro)
        return xeno_fail(err, -EDQUOT, "ledger.funds",
                         "it needs an order of %s credits (%s an hour at most), you have %s free; "
                         "--max-total or --lifetime make it smaller",
                         xeno_credit_text(needed(m), a),
                         xeno_credit_text(xeno_micro(m->per_hour_max), b),
                         xeno_credit_text(xeno_micro(free_micro), (char[XENO_CREDIT_TEXT]){ 0 }));
    return 0;
}

/* The server's own word, where there is an order to ask with; it is not presented for that. */
static int dry_session(struct cli *cli, struct cli_making *m, struct xeno_err *err)
{
    if (!m->chain)
        return 0;
    return cli_server_post(cli, m->server, session_body(m, m->chain), NULL, err,
                           "/v1/sessions?dry_run=1");
}

static void dry_answer(struct cli *cli, const struct cli_making *m, const struct xeno_err *why)
{
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT], c[XENO_CREDIT_TEXT];
    struct xeno_json *j;

    if (!cli->json) {
        if (why)
            return;
        cli_say(cli, "yes: %s would run it for %s (idle) to %s (all used) credits an hour",
                m->server->name, xeno_credit_text(xeno_micro(m->reserved_per_hour), a),
                xeno_credit_text(xeno_micro(m->per_hour_max), b));
        if (m->chain)
            cli_say(cli, "it would be paid from order %s", m->terms->order);
        else
            cli_say(cli, "%s credits would be set aside for it; what is not used comes back",
                    xeno_credit_text(needed(m), c));
        return;
    }
    j = xeno_json_object();
    xeno_json_set_bool(j, "ok", !why);
    xeno_json_set_str(j, "server", m->server ? m->server->id : NULL);
    if (m->per_hour_max > 0) {
        xeno_json_set_int(j, "per_hour_max", m->per_hour_max);
        xeno_json_set_int(j, "reserved_per_hour", m->reserved_per_hour);
        xeno_json_set_int(j, "order_amount", needed(m).micro);
    }
    xeno_json_set_str(j, "order", m->chain ? m->terms->order : NULL);
    if (why) {
        struct xeno_json *w = xeno_json_object();

        xeno_json_set_str(w, "type", why->token);
        xeno_json_set_str(w, "detail", why->text);
        xeno_json_set_str(w, "next", cli_hint(why));
        xeno_json_set(j, "why_not", w);
    }
    cli_json(j);
}

int cli_make_dry(struct cli *cli, const struct cli_args *args)
{
    struct cli_making m = { .hold = NULL };
    struct xeno_err why = XENO_ERR_INIT;
    int r = cli_make_hold(cli, args, &m, &why);

    if (r == 0)
        r = dry_order(cli, args, &m, &why);
    if (r == 0)
        r = dry_session(cli, &m, &why);
    cli_make_cancel(cli, &m);
    if (r == 0)
        dry_answer(cli, &m, NULL);
    else if (cli->json && cli_exit_of(&why) != CLI_USAGE)
        dry_answer(cli, &m, &why);
    cli_making_release(&m);
    if (r == 0)
        return CLI_OK;
    if (!cli->json || cli_exit_of(&why) == CLI_USAGE)
        cli_complain(cli, &why);
    return cli_exit_of(&why);
}
