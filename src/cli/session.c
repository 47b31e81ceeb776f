/* src/cli/session.c - sessions: create, ls, show, usage, and what moves them between states. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/agreed.h"
#include "cli/api.h"
#include "cli/bill.h"
#include "cli/fetching.h"
#include "cli/guard.h"
#include "cli/make.h"
#include "cli/order.h"
#include "cli/out.h"
#include "cli/progress.h"
#include "cli/session.h"

/* --- create --- */

const struct cli_option cli_session_create_options[] = { CLI_MAKE_OPTIONS, { NULL } };

static const char *const coming[] = { "held", "creating", NULL };

int cli_session_create(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct cli_making m = { .hold = NULL };
    struct cli_progress *p;
    int r;

    if (cli_flag(args, "dry-run"))
        return cli_make_dry(cli, args);
    p = cli_progress_new(cli, "making a session");
    cli_guard_begin();
    r = cli_make_hold(cli, args, &m, err);
    if (r == 0 && (r = cli_guard_check(err)) == 0)
        r = cli_make_order(cli, args, &m, err);
    if (r == 0 && (r = cli_guard_check(err)) == 0)
        r = cli_make_session(cli, &m, err);
    if (r < 0)
        cli_make_cancel(cli, &m);
    if (r == 0)
        r = cli_wait_state(cli, m.session, coming, xeno_s(180), p, err);
    cli_progress_free(p);
    if (r == 0 && (r = cli_guard_check(err)) < 0)
        cli_end_session(cli, m.session, NULL);
    if (r == 0) {
        struct xeno_json_at top = xeno_json_top(m.session->object);

        if (strcmp(cli_str(&top, "state"), "running") != 0)
            r = xeno_fail(err, -ECANCELED, "session.ended", "session %s is %s: %s",
                          m.session->session, cli_str(&top, "state"), cli_str(&top, "reason"));
    }
    if (r == 0) {
        cli_say(cli, "%s", m.session->session);
        if (cli->json)
            cli_json(xeno_json_ref(m.session->object));
    }
    cli_making_release(&m);
    return r;
}

/* --- ls --- */

const struct cli_option cli_session_ls_options[] = {
    { "server", 's', "SERVER", "only at this XenoServer", false, CLI_OFFER_SERVER },
    { "all", 'a', NULL, "ended ones too", false, 0 },
    { NULL },
};

static void ls_row(struct cli_table *t, const struct cli_server *server,
                   const struct xeno_json_at *s)
{
    const char *state = cli_str(s, "state");
    xeno_autobuf ports = XENO_BUF_INIT;
    struct xeno_json_at list;
    size_t n;

    list = cli_list(s, "ports", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&list, i);

        xeno_buf_printf(&ports, "%s%" PRId64 ":%" PRId64 "%s", i ? " " : "",
                        cli_int(&p, "host_port", 0), cli_int(&p, "port", 0),
                        strcmp(cli_str(&p, "proto"), "udp") == 0 ? "/udp" : "");
    }
    cli_cell(t, cli_str(s, "session"));
    cli_cell_paint(t, cli_str(s, "name"), CLI_BOLD);
    cli_cell(t, server->name);
    cli_cell_paint(t, state, cli_paint_of(state));
    cli_cell_time(t, cli_int(s, "ends_ms", 0));
    cli_cell_credit(t, cli_int(s, "spent", 0));
    cli_cell_credit(t, cli_int(s, "left", 0));
    cli_cell(t, ports.data);
}

static int ls_server(struct cli *cli, const struct cli_server *server, bool all,
                     struct cli_table *t, struct xeno_json *out, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top, list;
    size_t n;
    int r = cli_pages(cli, server, "/v1/sessions", "sessions", &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    list = cli_list(&top, "sessions", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at s = xeno_json_item(&list, i);
        struct xeno_json *item = (struct xeno_json *)s.j;

        if (!all && strcmp(cli_str(&s, "state"), "ended") == 0)
            continue;
        xeno_json_set_str(item, "server", server->id);
        xeno_json_append(out, xeno_json_ref(item));
        ls_row(t, server, &s);
    }
    return 0;
}

int cli_session_ls(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const heads[] = { "SESSION", "NAME",  "SERVER", "STATE",
                                         "ENDS",    "SPENT", "LEFT",   "PORTS" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 5 | 1U << 6);
    xeno_auto(cli_servers) all = NULL;
    const struct cli_server *only = NULL;
    struct xeno_err down = XENO_ERR_INIT;
    struct xeno_json *out, *list;
    int r = cli_servers_load(cli, &all, err);

    if (r == 0 && (cli_value(args, "server") || all->count == 0))
        r = cli_servers_pick(all, cli_value(args, "server"), &only, err);
    if (r < 0)
        return r;
    out = xeno_json_object();
    list = xeno_json_array();
    xeno_json_set(out, "sessions", list);
    for (size_t i = 0; i < all->count; i++) {
        struct xeno_err why = XENO_ERR_INIT;

        if (only && only != &all->items[i])
            continue;
        if (ls_server(cli, &all->items[i], cli_flag(args, "all"), &t, list, &why) < 0) {
            cli_note(cli, "%s does not answer: %s", all->items[i].name, cli_clean(why.text));
            down = why;
        }
    }
    t.ids = 1U << 0;
    cli_table_print_or(cli, &t,
                       cli_flag(args, "all") ? "no sessions: make one: xeno run -- COMMAND"
                                             : "no sessions (ended ones: xeno session ls --all)");
    if (cli->json)
        cli_json(out);
    else
        xeno_json_unref(out);
    return down.code < 0 ? (int)cli_exit_of(&down) : CLI_OK;
}

/* --- show --- */

const struct cli_option cli_session_one_options[] = {
    { "server", 's', "SERVER", "where it is (default: all you know are searched)", false,
      CLI_OFFER_SERVER },
    { NULL },
};

static int find(struct cli *cli, const struct cli_args *args, struct cli_found **ret,
                struct xeno_err *err)
{
    return cli_find_session(cli, cli_value(args, "server"), args->words[0], ret, err);
}

static void show_tasks(struct cli *cli, const struct xeno_json_at *top)
{
    static const char *const heads[] = { "TASK", "STATE", "CODE", "COMMAND" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 1U << 2);
    struct xeno_json_at list;
    size_t n;

    list = cli_list(top, "tasks", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at task = xeno_json_item(&list, i), argv;
        xeno_autobuf words = XENO_BUF_INIT;
        const char *state = cli_str(&task, "state"), *word;
        char code[32] = "";
        size_t k;

        argv = cli_list(&task, "argv", &k);
        for (size_t w = 0; w < k; w++)
            if (xeno_json_item_str(&argv, w, 0, 1 << 16, &word, NULL) == 0)
                xeno_buf_printf(&words, "%s%s", w ? " " : "", word);
        if (cli_int(&task, "code", -1) >= 0)
            snprintf(code, sizeof code, "%" PRId64 "%s", cli_int(&task, "code", 0),
                     cli_bool(&task, "oom") ? " (out of memory)" : "");
        cli_cell_paint(&t, cli_str(&task, "task"), CLI_BOLD);
        cli_cell_paint(&t, state, cli_paint_of(state));
        cli_cell(&t, code);
        cli_cell(&t, *cli_str(&task, "reason") ? cli_str(&task, "reason") : words.data);
    }
    if (n > 0) {
        cli_say(cli, "%s", "");
        cli_table_print(cli, &t);
    }
}

static void show_grant(struct cli *cli, const struct xeno_json_at *top)
{
    struct xeno_json_at g = cli_obj(top, "grant"), ports;
    char mem[32], disk[32];
    size_t n;

    cli_field(cli, "granted",
              "%" PRId64 " ms/s CPU, %s memory, %s disk, %" PRId64 " Mbit/s, %" PRId64 " processes",
              cli_int(&g, "cpu_msps", 0), xeno_size_text(cli_int(&g, "memory_bytes", 0), mem),
              xeno_size_text(cli_int(&g, "disk_bytes", 0), disk), cli_int(&g, "net_kbps", 0) / 1000,
              cli_int(&g, "pids", 0));
    ports = cli_list(top, "ports", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&ports, i);

        cli_field(cli, "port", "%" PRId64 "/%s is %" PRId64 " on the host", cli_int(&p, "port", 0),
                  cli_clean(cli_str(&p, "proto")), cli_int(&p, "host_port", 0));
    }
}

static void show(struct cli *cli, const struct cli_found *f)
{
    struct xeno_json_at top = xeno_json_top(f->object);
    char a[XENO_CREDIT_TEXT], b[XENO_CREDIT_TEXT];
    const char *reason = cli_str(&top, "reason");
    xeno_autofree char *image = cli_fetching_text(f->object);

    cli_field(cli, "session", "%s (%s)", f->session, cli_clean(cli_str(&top, "name")));
    cli_field(cli, "state", "%s%s%s%s", cli_clean(cli_str(&top, "state")), *reason ? " (" : "",
              cli_clean(reason), *reason ? ")" : "");
    cli_field(cli, "at", "%s (%s, %s)", f->server.name, f->server.id, f->server.url);
    cli_field(cli, "order", "%s", cli_clean(cli_str(&top, "order")));
    if (image)
        cli_field(cli, "image", "%s", image);
    if (strcmp(cli_str(&top, "state"), "ended") == 0) {
        cli_field(cli, "time", "began %s, is over", cli_when(cli_int(&top, "created_ms", 0)));
        cli_field(cli, "money", "%s credits spent (why: xeno bill %s)",
                  xeno_credit_text(xeno_micro(cli_int(&top, "spent", 0)), a), f->session);
        show_tasks(cli, &top);
        return;
    }
    cli_field(cli, "time", "since %s, ends %s", cli_when(cli_int(&top, "created_ms", 0)),
              cli_when(cli_int(&top, "ends_ms", 0)));
    cli_field(cli, "money", "%s credits spent, %s left",
              xeno_credit_text(xeno_micro(cli_int(&top, "spent", 0)), a),
              xeno_credit_text(xeno_micro(cli_int(&top, "left", 0)), b));
    cli_field(cli, "at most", "%s credits an hour",
              xeno_credit_text(xeno_micro(cli_int(&top, "rate_per_hour", 0)), a));
    cli_field(cli, "address", "%s", cli_clean(cli_str(&top, "address")));
    show_grant(cli, &top);
    show_tasks(cli, &top);
}

int cli_session_show(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    int r = find(cli, args, &f, err);

    if (r == 0) /* the list says of images what was known a while ago */
        r = cli_found_refresh(cli, f, err);
    if (r < 0)
        return r;
    show(cli, f);
    if (cli->json) {
        xeno_json_set_str(f->object, "server", f->server.id);
        cli_json(xeno_json_ref(f->object));
    }
    return CLI_OK;
}

/* --- usage --- */

int cli_session_usage(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    xeno_auto(xeno_json) usage = NULL;
    struct xeno_json_at top;
    char text[XENO_CREDIT_TEXT];
    int r = find(cli, args, &f, err);

    if (r == 0)
        r = cli_server_get(cli, &f->server, &usage, err, "/v1/sessions/%s/usage", f->session);
    if (r < 0)
        return r;
    top = xeno_json_top(usage);
    cli_bill_items(cli, &top);
    cli_say(
        cli, "together %s credits, of which %s are posted at the XenoCorp",
        xeno_credit_text(xeno_micro(cli_int(&top, "amount", 0)), text),
        xeno_credit_text(xeno_micro(cli_int(&top, "posted", 0)), (char[XENO_CREDIT_TEXT]){ 0 }));
    if (cli->json)
        cli_json(xeno_take(&usage));
    return CLI_OK;
}

/* --- pause, resume, suspend, restore, extend, end --- */

const struct cli_option cli_session_move_options[] = {
    { "server", 's', "SERVER", "where it is (default: all you know are searched)", false,
      CLI_OFFER_SERVER },
    { "no-wait", 0, NULL, "do not wait until it is done", false, 0 },
    { NULL },
};

const struct cli_option cli_session_restore_options[] = {
    { "server", 's', "SERVER", "where it is (default: all you know are searched)", false,
      CLI_OFFER_SERVER },
    { "order", 'o', "ORDER", "pay from this order from now on", false, CLI_OFFER_ORDER },
    { "max-price", 0, "CREDITS", "with it: refuse if an hour can cost more (default: as agreed)",
      false, 0 },
    { "no-wait", 0, NULL, "do not wait until it is done", false, 0 },
    { NULL },
};

const struct cli_option cli_session_extend_options[] = {
    { "server", 's', "SERVER", "where it is (default: all you know are searched)", false,
      CLI_OFFER_SERVER },
    { "order", 'o', "ORDER", "pay from this order from now on", false, CLI_OFFER_ORDER },
    { "max-price", 0, "CREDITS", "with it: refuse if an hour can cost more (default: as agreed)",
      false, 0 },
    { "lifetime", 'l', "TIME", "add that to its life", false, 0 },
    { NULL },
};

static int post(struct cli *cli, struct cli_found *f, const char *verb, struct xeno_json *body,
                struct xeno_err *err)
{
    xeno_auto(xeno_json) answer = NULL;
    int r = cli_server_post(cli, &f->server, body, &answer, err, "/v1/sessions/%s/%s", f->session,
                            verb);

    if (r < 0)
        return r;
    xeno_json_unref(f->object);
    f->object = xeno_take(&answer);
    return 0;
}

static int say_state(struct cli *cli, struct cli_found *f, const char *want, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(f->object);
    const char *state = cli_str(&top, "state");

    if (want && strcmp(state, want) != 0)
        return xeno_fail(err, -ECANCELED, "session.state", "session %s is %s%s%s", f->session,
                         state, *cli_str(&top, "reason") ? ": " : "", cli_str(&top, "reason"));
    cli_say(cli, "%s is %s", f->session, cli_clean(state));
    if (cli->json)
        cli_json(xeno_json_ref(f->object));
    return CLI_OK;
}

/* Ask, then wait while it is in one of the states on the way, then it must be in `want`. Takes
 * body.
 */
static int move_found(struct cli *cli, const struct cli_args *args, struct cli_found *f,
                      const char *verb, struct xeno_json *body, const char *const *on_the_way,
                      const char *want, struct xeno_err *err)
{
    xeno_auto(cli_progress) p = cli_progress_new(cli, "%s %s", verb, f->session);
    int r = post(cli, f, verb, body, err);

    if (r == 0 && !cli_flag(args, "no-wait")) {
        r = cli_found_refresh(cli, f, err);
        if (r == 0)
            r = cli_wait_state(cli, f, on_the_way, xeno_s(120), p, err);
    } else
        want = NULL;
    cli_progress_free(xeno_take(&p));
    return r < 0 ? r : say_state(cli, f, want, err);
}

static int move(struct cli *cli, const struct cli_args *args, const char *verb,
                const char *const *on_the_way, const char *want, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    int r = find(cli, args, &f, err);

    return r < 0 ? r : move_found(cli, args, f, verb, xeno_json_object(), on_the_way, want, err);
}

int cli_session_pause(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const way[] = { "running", NULL };

    return move(cli, args, "pause", way, "paused", err);
}

int cli_session_resume(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const way[] = { "paused", NULL };

    return move(cli, args, "resume", way, "running", err);
}

int cli_session_suspend(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const way[] = { "running", "paused", "suspending", NULL };

    return move(cli, args, "suspend", way, "suspended", err);
}

/* The body with the chain of --order, if given, as it is shown to that server at that price. */
static int chain_body(struct cli *cli, const struct cli_args *args, const struct cli_found *f,
                      struct xeno_json **ret, struct xeno_err *err)
{
    xeno_autofree struct xeno_order_terms *t = xeno_new0(struct xeno_order_terms);
    xeno_autofree char *chain = NULL;
    xeno_autofree char *shown = NULL;
    const char *ref = cli_value(args, "order");
    int64_t per_hour = 0;
    int r = 0;

    if (ref)
        r = cli_agreed_price(cli, args, f, &per_hour, err);
    if (r == 0 && ref)
        r = cli_wallet_find(cli, ref, &chain, t, err);
    if (r == 0 && ref)
        r = cli_order_present_at(cli, chain, f->server.id, per_hour, &shown, err);
    if (r < 0)
        return r;
    if (ref)
        cli_agreed_put(cli, &f->server, f->session, per_hour);
    *ret = xeno_json_object();
    xeno_json_set_str(*ret, "chain", shown);
    return 0;
}

static int check_price_option(const struct cli_args *args, struct xeno_err *err)
{
    if (cli_value(args, "max-price") && !cli_value(args, "order"))
        return cli_usage(err, "--max-price goes with --order");
    return 0;
}

int cli_session_restore(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    static const char *const way[] = { "suspended", "restoring", NULL };
    xeno_auto(cli_found) f = NULL;
    struct xeno_json *body = NULL;
    int r = check_price_option(args, err);

    if (r == 0)
        r = find(cli, args, &f, err);
    if (r == 0)
        r = chain_body(cli, args, f, &body, err);
    return r < 0 ? r : move_found(cli, args, f, "restore", body, way, "running", err);
}

int cli_session_extend(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    xeno_auto(xeno_json) body = NULL;
    xeno_time more = xeno_ns(0);
    int r = cli_duration(args, "lifetime", &more, err);

    if (r == 0 && more.ns == 0 && !cli_value(args, "order"))
        return cli_usage(err, "give --lifetime, --order or both");
    if (r == 0)
        r = check_price_option(args, err);
    if (r == 0)
        r = find(cli, args, &f, err);
    if (r == 0)
        r = chain_body(cli, args, f, &body, err);
    if (r < 0)
        return r;
    if (more.ns > 0)
        xeno_json_set_int(body, "lifetime_s", (more.ns + XENO_NS_PER_S - 1) / XENO_NS_PER_S);
    r = post(cli, f, "extend", xeno_take(&body), err);
    if (r < 0)
        return r;
    if (cli->json)
        cli_json(xeno_json_ref(f->object));
    else {
        struct xeno_json_at top = xeno_json_top(f->object);

        cli_say(cli, "%s ends %s", f->session, cli_when(cli_int(&top, "ends_ms", 0)));
    }
    return CLI_OK;
}

int cli_session_end(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct xeno_json *all = xeno_json_object(), *list = xeno_json_array();
    int r = 0;

    xeno_json_set(all, "sessions", list);
    for (int i = 0; r == 0 && i < args->word_count; i++) {
        xeno_auto(cli_found) f = NULL;

        r = cli_find_session(cli, cli_value(args, "server"), args->words[i], &f, err);
        if (r == 0 && cli_flag(args, "no-wait"))
            r = post(cli, f, "end", xeno_json_object(), err);
        else if (r == 0)
            r = cli_end_session(cli, f, err);
        if (r < 0)
            break;
        if (!cli->json)
            say_state(cli, f, NULL, err);
        xeno_json_append(list, xeno_json_ref(f->object));
        if (i + 1 < args->word_count)
            r = cli_guard_check(err);
    }
    if (r == 0 && cli->json)
        cli_json(all);
    else
        xeno_json_unref(all);
    return r;
}
