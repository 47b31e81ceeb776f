/* src/cli/server-check.c - find out why something does not work. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/server.h"

#define SKEW_WARN_MS 5000

struct check {
    struct cli *cli;
    struct xeno_json *list;
    int failed;
};

static void verdict(struct check *c, const char *what, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void verdict(struct check *c, const char *what, bool ok, const char *fmt, ...)
{
    struct xeno_json *j = xeno_json_object();
    xeno_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = xeno_vasprintf(fmt, ap);
    va_end(ap);
    xeno_json_set_str(j, "check", what);
    xeno_json_set_bool(j, "ok", ok);
    xeno_json_set_str(j, "text", text);
    xeno_json_append(c->list, j);
    c->failed += !ok;
    cli_say(c->cli, "  %s%-6s%s %-12s %s", c->cli->colour ? (ok ? "\033[32m" : "\033[31m") : "",
            ok ? "ok" : "FAILED", c->cli->colour ? "\033[0m" : "", what, cli_clean(text));
}

static void check_server(struct check *c, const struct cli_server *s)
{
    xeno_auto(xeno_json) status = NULL;
    xeno_auto(xeno_json) sessions = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_json_at st;
    char id[XENO_ID_CHARS + 1], left[32];
    xeno_time start = xeno_mono(c->cli->env);
    int64_t skew;

    cli_say(c->cli, "%s (%s, %s)", s->name, s->id, s->url);
    if (cli_server_status(c->cli, s->url, s->id, &status, id, &err) < 0) {
        verdict(c, "answers", false, "%s", err.text);
        return;
    }
    st = xeno_json_top(status);
    verdict(c, "answers", true, "in %s, certificate and signature good",
            xeno_duration_text(xeno_ns(xeno_mono(c->cli->env).ns - start.ns), left));
    skew = cli_int(&st, "time_ms", 0) - xeno_wall(c->cli->env).ns / XENO_NS_PER_MS;
    verdict(c, "clock", skew < SKEW_WARN_MS && skew > -SKEW_WARN_MS, "%lld ms from ours",
            (long long)skew);
    verdict(c, "tasks", cli_bool(&st, "task_manager"), "task manager %s, driver %s",
            cli_bool(&st, "task_manager") ? "connected" : "not connected", cli_str(&st, "driver"));
    if (cli_server_get(c->cli, s, &sessions, &err, "/v1/sessions?limit=1") < 0)
        verdict(c, "lets you in", false, "%s", err.text);
    else
        verdict(c, "lets you in", true, "your credential is accepted");
}

int cli_server_check(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_servers) all = NULL;
    xeno_auto(xeno_json) account = NULL;
    struct check c = { .cli = cli };
    const struct cli_server *only = NULL;
    struct xeno_err why = XENO_ERR_INIT;
    struct xeno_json *doc;
    int r = cli_servers_load(cli, &all, err);

    if (r == 0 && args->word_count > 0)
        r = cli_servers_pick(all, args->words[0], &only, err);
    if (r < 0)
        return r;
    doc = xeno_json_object();
    c.list = xeno_json_array();
    xeno_json_set(doc, "checks", c.list);
    cli_say(cli, "XenoCorp (%s, %s)", cli->profile->corp_id.s, cli->profile->corp_url);
    if (cli_corp_get(cli, &account, &why, "/v1/account") < 0)
        verdict(&c, "answers", false, "%s", why.text);
    else
        verdict(&c, "answers", true, "knows you as %s", cli->profile->cert->id.s);
    for (size_t i = 0; i < all->count; i++)
        if (!only || only == &all->items[i])
            check_server(&c, &all->items[i]);
    if (all->count == 0)
        cli_note(cli, "you know no XenoServer yet: xeno server add https://HOST:PORT");
    xeno_json_set_bool(doc, "ok", c.failed == 0);
    if (cli->json)
        cli_json(doc);
    else
        xeno_json_unref(doc);
    return c.failed ? CLI_FAILED : CLI_OK;
}
