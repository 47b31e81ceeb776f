/* src/cli/service-show.c - how far each replica is, and at the end the timeline. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/out.h"
#include "cli/service.h"

#define COLUMNS 80

const char *const cli_step_names[CLI_STEPS] = { "held", "ordered", "created", "running",
                                                "answers" };

static const char *server_of(const struct cli_replica *re)
{
    return re->making.server ? re->making.server->name : "-";
}

/* --- on the way --- */

static unsigned columns(void)
{
    struct winsize w;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 20 ? w.ws_col : COLUMNS;
}

static void draw_line(const struct cli_replica *re)
{
    xeno_autobuf b = XENO_BUF_INIT;
    char size[32];

    xeno_buf_printf(&b, "%-16s %-16s", re->making.req->name, server_of(re));
    for (size_t i = 0; i < CLI_STEPS; i++)
        if (re->at_ms[i] >= 0)
            xeno_buf_printf(&b, " %s %" PRId64, cli_step_names[i], re->at_ms[i]);
    if (re->why.code < 0)
        xeno_buf_printf(&b, " no: %s", cli_clean(re->why.text));
    else if (re->at_ms[CLI_RUNNING] < 0 && re->fetched_shown > 0)
        xeno_buf_printf(&b, " fetched %s", xeno_size_text(re->fetched_shown, size));
    fprintf(stderr, "%.*s\033[K\n", (int)columns() - 1, b.data);
}

/* A line each, over the last ones. */
static void draw(struct cli_rollout *ro)
{
    if (ro->drawn > 0)
        fprintf(stderr, "\033[%zuA\r", ro->drawn);
    for (size_t i = 0; i < ro->count; i++)
        draw_line(&ro->replicas[i]);
    ro->drawn = ro->count;
    fflush(stderr);
}

void cli_replica_step(struct cli_replica *re, enum cli_step step)
{
    struct cli_rollout *ro = re->rollout;

    re->at_ms[step] = (xeno_mono(ro->cli->env).ns - ro->start.ns) / XENO_NS_PER_MS;
    if (ro->live)
        draw(ro);
    else
        cli_note(ro->cli, "%s at %s: %s", re->making.req->name, server_of(re),
                 cli_step_names[step]);
}

void cli_replica_failed(struct cli_replica *re)
{
    struct cli_rollout *ro = re->rollout;

    if (ro->live)
        draw(ro);
    else
        cli_note(ro->cli, "%s at %s: no: %s", re->making.req->name, server_of(re),
                 cli_clean(re->why.text));
}

void cli_replica_fetching(struct cli_replica *re)
{
    struct cli_fetching f = cli_fetching_of(re->making.session->object);

    if (!f.elsewhere || f.fetched_bytes == re->fetched_shown)
        return;
    re->fetched_shown = f.fetched_bytes;
    if (re->rollout->live)
        draw(re->rollout);
}

/* --- the end --- */

/* "192.0.2.7:20080/tcp 192.0.2.7:20081/udp"; the caller's, NULL: none. */
static char *where(const struct cli_replica *re)
{
    struct xeno_json_at top = xeno_json_top(re->making.session->object), list;
    xeno_autobuf b = XENO_BUF_INIT;
    size_t n;

    list = cli_list(&top, "ports", &n);
    for (size_t i = 0; i < n; i++) {
        struct xeno_json_at p = xeno_json_item(&list, i);

        xeno_buf_printf(&b, "%s%s:%" PRId64 "/%s", i > 0 ? " " : "", re->host, cli_replica_port(&p),
                        cli_clean(cli_str(&p, "proto")));
    }
    return b.len > 0 ? xeno_buf_take(&b, NULL) : NULL;
}

static void print_table(struct cli_rollout *ro)
{
    static const char *const heads[] = { "NAME",    "SERVER",  "SESSION", "HELD", "ORDERED",
                                         "CREATED", "RUNNING", "ANSWERS", "AT" };
    cli_autotable t = cli_table_new(XENO_LEN(heads), heads, 0xf8);

    t.ids = 1u << 2;
    for (size_t i = 0; i < ro->count; i++) {
        struct cli_replica *re = &ro->replicas[i];
        xeno_autofree char *at = re->out ? NULL : where(re);

        if (re->out)
            continue;
        cli_cell(&t, re->making.req->name);
        cli_cell(&t, server_of(re));
        cli_cell(&t, re->making.session->session);
        for (size_t k = 0; k < CLI_STEPS; k++) {
            xeno_autofree char *ms = xeno_asprintf("%" PRId64 " ms", re->at_ms[k]);

            cli_cell(&t, re->at_ms[k] >= 0 ? ms : NULL);
        }
        cli_cell(&t, at);
    }
    cli_table_print(ro->cli, &t);
}

static struct xeno_json *json_of(const struct cli_replica *re)
{
    struct xeno_json *j = xeno_json_object(), *ms = xeno_json_object();
    struct xeno_json *tasks = xeno_json_array(), *why;
    xeno_autofree char *at = re->out ? NULL : where(re);

    xeno_json_set_int(j, "replica", re->number);
    xeno_json_set_str(j, "name", re->making.req->name);
    xeno_json_set_str(j, "server", re->making.server ? re->making.server->id : NULL);
    if (re->making.session)
        xeno_json_set_str(j, "session", re->making.session->session);
    if (re->making.terms)
        xeno_json_set_str(j, "order", re->making.terms->order);
    for (size_t i = 0; i < re->task_count; i++)
        xeno_json_append_str(tasks, re->tasks[i]);
    xeno_json_set(j, "tasks", tasks);
    xeno_json_set_str(j, "at", at);
    for (size_t i = 0; i < CLI_STEPS; i++)
        if (re->at_ms[i] >= 0)
            xeno_json_set_int(ms, cli_step_names[i], re->at_ms[i]);
    xeno_json_set(j, "ms", ms);
    if (re->out) {
        why = xeno_json_object();
        xeno_json_set_str(why, "type", re->why.token);
        xeno_json_set_str(why, "detail", re->why.text);
        xeno_json_set(j, "why_not", why);
    }
    return j;
}

void cli_rollout_result(struct cli_rollout *ro)
{
    struct xeno_json *all, *list;
    size_t silent = 0;

    for (size_t i = 0; i < ro->count && ro->port_wait.ns > 0; i++)
        silent += cli_replica_silent(&ro->replicas[i]);
    if (!ro->cli->json)
        print_table(ro);
    if (silent > 0)
        cli_note(ro->cli, "%zu do not answer at their port yet; they go on: xeno session logs",
                 silent);
    cli_note(ro->cli, "they cost until they are ended: xeno session end");
    if (!ro->cli->json)
        return;
    all = xeno_json_object();
    list = xeno_json_array();
    for (size_t i = 0; i < ro->count; i++)
        xeno_json_append(list, json_of(&ro->replicas[i]));
    xeno_json_set(all, "replicas", list);
    cli_json(all);
}
