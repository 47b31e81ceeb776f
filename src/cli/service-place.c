/* src/cli/service-place.c - hold at several XenoServers, set money aside, commit together; and
 * back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/api.h"
#include "cli/guard.h"
#include "cli/order.h"
#include "cli/out.h"
#include "cli/service.h"

#define HOLD_ALL_S 30 /* what was held first must not expire meanwhile */

size_t cli_rollout_alive(const struct cli_rollout *ro)
{
    size_t n = 0;

    for (size_t i = 0; i < ro->count; i++)
        n += !ro->replicas[i].out;
    return n;
}

/* --- undo --- */

void cli_replica_drop(struct cli_replica *re)
{
    struct cli *cli = re->rollout->cli;

    re->out = true;
    if (re->making.session) {
        cli_make_give_up(cli, &re->making);
        re->rollout->drawn = 0; /* whatever that said stays: the next lines go below */
    } else
        cli_make_cancel(cli, &re->making);
}

static void fail_with(struct cli_replica *re, const struct xeno_err *why)
{
    re->why = *why;
    cli_replica_failed(re);
}

/* The reason that is told: the first replica's that has one. */
static int first_reason(const struct cli_rollout *ro, size_t alive, struct xeno_err *err)
{
    const struct cli_replica *re = ro->replicas;
    const char *more = "";

    while (re->why.code == 0 && re + 1 < ro->replicas + ro->count)
        re++;
    if (strncmp(re->why.token, "image.", 6) == 0)
        more = " (push the image to a store, and name it oci://HOST/REPO or by its signed name: "
               "xeno template push)";
    else if (strcmp(re->why.token, "order.too-small") == 0)
        more = " (--limit is for all of them together)";
    return xeno_fail(err, re->why.code, re->why.token,
                     "%zu of %zu replicas were possible, %zu are needed; nothing was kept. "
                     "Replica %u: %s%s",
                     alive, ro->count, ro->choice.least, re->number, re->why.text, more);
}

int cli_rollout_undo(struct cli_rollout *ro, int r, struct xeno_err *err)
{
    size_t alive = cli_rollout_alive(ro);

    for (size_t i = 0; i < ro->count; i++)
        if (!ro->replicas[i].out)
            cli_replica_drop(&ro->replicas[i]);
    return r < 0 ? r : first_reason(ro, alive, err);
}

int cli_rollout_go_on(struct cli_rollout *ro, struct xeno_err *err)
{
    int r = cli_guard_check(err);

    if (r == 0 && cli_choice_enough(&ro->choice, cli_rollout_alive(ro)))
        return 0;
    return cli_rollout_undo(ro, r, err);
}

/* After a step: whoever did not make it has a reason, and gives back what it has. */
static int settle(struct cli_rollout *ro, struct xeno_err *err)
{
    for (size_t i = 0; i < ro->count; i++)
        if (!ro->replicas[i].out && ro->replicas[i].why.code < 0)
            cli_replica_drop(&ro->replicas[i]);
    return cli_rollout_go_on(ro, err);
}

/* --- hold --- */

static void on_hold(struct cli_asked *a, void *arg)
{
    struct cli_replica *re = a->who;
    struct cli_rollout *ro = arg;

    if (a->answer && cli_make_take_hold(&re->making, a->answer, &a->err) == 0) {
        re->why = (struct xeno_err)XENO_ERR_INIT;
        cli_replica_step(re, CLI_HELD);
        return;
    }
    cli_choice_refuse(&ro->choice, re->candidate);
    fail_with(re, &a->err);
}

/* Every replica that has none asks the next XenoServer. Returns: how many asked. */
static size_t hold_round(struct cli_rollout *ro)
{
    xeno_autofree struct cli_asked *list = xeno_new0_n(struct cli_asked, ro->count);
    size_t n = 0;

    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];

        if (re->making.hold)
            continue;
        re->candidate = cli_choice_next(&ro->choice);
        if (re->candidate < 0)
            continue;
        re->making.server = ro->candidates[re->candidate];
        list[n].ask = cli_make_ask_hold(&re->making);
        list[n].ask.deadline = cli_make_hold_patience(&re->making);
        list[n++].who = re;
    }
    cli_ask_all(ro->cli, list, n, on_hold, ro);
    for (size_t i = 0; i < n; i++)
        xeno_json_unref(list[i].answer);
    return n;
}

static int hold_all(struct cli_rollout *ro, struct xeno_err *err)
{
    xeno_time end = xeno_time_add(xeno_mono(ro->cli->env), xeno_s(HOLD_ALL_S));

    /* Who refused is not asked again: this comes to its end. */
    while (cli_guard_caught() == 0 && xeno_mono(ro->cli->env).ns < end.ns && hold_round(ro) > 0)
        ;
    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];

        if (!re->making.hold && re->why.code == 0)
            xeno_fail(&re->why, -ENOENT, "deploy.servers", "no XenoServer was left to ask");
    }
    return settle(ro, err);
}

/* --- order --- */

static xeno_credit amount_of(const struct cli_making *m)
{
    xeno_credit most = cli_make_most(m);

    return m->req->max_total > 0 && m->req->max_total < most.micro ? xeno_micro(m->req->max_total)
                                                                   : most;
}

/* For this XenoServer alone: what was stolen from the wallet is of no use elsewhere. */
static int keep_order(struct cli *cli, struct cli_making *m, const struct xeno_json *answer,
                      struct xeno_err *err)
{
    const char *servers[] = { m->server->id };
    struct xeno_order_restriction narrow = { .servers = servers, .server_count = 1 };
    xeno_autofree char *whole = NULL;
    char id[XENO_ORDER_ID_CHARS + 1];
    int r;

    m->terms = xeno_new0(struct xeno_order_terms);
    r = cli_order_take(cli, answer, &whole, m->terms, err);
    if (r < 0)
        return r;
    m->made_order = true;
    r = xeno_order_append(whole, strlen(whole), &cli->profile->corp, cli->profile->key, &narrow,
                          NULL, &m->chain, err);
    if (r == 0)
        cli_wallet_mark(cli, m->terms->order);
    return r < 0 ? r : cli_wallet_put(cli, m->chain, id, err);
}

static void on_order(struct cli_asked *a, void *arg)
{
    struct cli_replica *re = a->who;
    struct cli_rollout *ro = arg;

    if (a->answer && keep_order(ro->cli, &re->making, a->answer, &a->err) == 0)
        cli_replica_step(re, CLI_ORDERED);
    else
        fail_with(re, &a->err);
}

static int order_all(struct cli_rollout *ro, struct xeno_err *err)
{
    xeno_autofree struct cli_asked *list = xeno_new0_n(struct cli_asked, ro->count);
    size_t n = 0;

    for (size_t i = 0; i < ro->count; i++) {
        struct cli_making *m = &ro->replicas[i].making;

        if (ro->replicas[i].out)
            continue;
        list[n].who = &ro->replicas[i];
        list[n++].ask =
            (struct cli_ask){ .method = "POST",
                              .base = ro->cli->profile->corp_url,
                              .path = "/v1/orders",
                              .body = cli_order_body(amount_of(m), cli_make_life(m), NULL),
                              .spends = true };
    }
    cli_ask_all(ro->cli, list, n, on_order, ro);
    for (size_t i = 0; i < n; i++)
        xeno_json_unref(list[i].answer);
    return settle(ro, err);
}

/* --- commit --- */

static void on_session(struct cli_asked *a, void *arg)
{
    struct cli_replica *re = a->who;
    struct cli_rollout *ro = arg;

    if (a->answer && cli_make_take_session(ro->cli, &re->making, a->answer, &a->err) == 0)
        cli_replica_step(re, CLI_CREATED);
    else
        fail_with(re, &a->err);
}

/* Could it be there all the same, because only the answer was lost? */
static bool unheard(const struct xeno_err *why)
{
    return cli_exit_of(why) == CLI_UNREACHABLE || why->code == -EPIPE || why->code == -ECANCELED;
}

/* It is found by the order that pays for it, so that it can be ended. When the XenoServer is away,
 * whoever pays is told, also with --quiet and --json. */
static void find_unheard(struct cli *cli, struct cli_making *m)
{
    xeno_auto(xeno_json) all = NULL;
    struct xeno_json_at top, list;
    size_t n;

    if (cli_pages(cli, m->server, "/v1/sessions", "sessions", &all, NULL) < 0) {
        fprintf(stderr,
                "%s was asked for a session and did not answer: it may go on there, paid from "
                "order %s\n  next: xeno session ls; xeno order show %s --online\n",
                m->server->name, m->terms->order, m->terms->order);
        return;
    }
    top = xeno_json_top(all);
    list = cli_list(&top, "sessions", &n);
    for (size_t i = 0; i < n && !m->session; i++) {
        struct xeno_json_at o = xeno_json_item(&list, i);

        if (strcmp(cli_str(&o, "order"), m->terms->order) == 0)
            cli_make_take_session(cli, m, (struct xeno_json *)o.j, NULL);
    }
}

static int commit_all(struct cli_rollout *ro, struct xeno_err *err)
{
    xeno_autofree struct cli_asked *list = xeno_new0_n(struct cli_asked, ro->count);
    size_t n = 0;

    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];
        struct xeno_err why = XENO_ERR_INIT;

        if (re->out)
            continue;
        if (cli_make_ask_session(ro->cli, &re->making, &list[n].ask, &why) < 0)
            fail_with(re, &why);
        else
            list[n++].who = re;
    }
    cli_ask_all(ro->cli, list, n, on_session, ro);
    for (size_t i = 0; i < n; i++) {
        struct cli_replica *re = list[i].who;

        if (re->why.code < 0 && !re->making.session && unheard(&re->why))
            find_unheard(ro->cli, &re->making);
        xeno_json_unref(list[i].answer);
    }
    return settle(ro, err);
}

int cli_rollout_place(struct cli_rollout *ro, struct xeno_err *err)
{
    int r = hold_all(ro, err);

    if (r == 0)
        r = order_all(ro, err);
    return r < 0 ? r : commit_all(ro, err);
}
