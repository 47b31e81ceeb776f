/* src/cli/session-io.c - sessions: logs, exec, attach, events. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "cli/api.h"
#include "cli/find.h"
#include "cli/out.h"
#include "cli/session.h"
#include "cli/stream.h"
#include "cli/task.h"
#include "cli/terminal.h"

#define QUIET_MS                                                                                   \
    400 /* without --follow: what has happened has been told when nothing comes so long */

#define SERVER_OPTION                                                                              \
    {                                                                                              \
        "server", 's', "SERVER", "where it is (default: all you know are searched)", false,        \
            CLI_OFFER_SERVER                                                                       \
    }

/* The task a verb means: the one named, else the only one, else the last that was deployed. */
static int pick_task(const struct cli_found *f, const char *name, char **ret, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(f->object), list, last;
    size_t n;

    if (name) {
        *ret = xeno_http_escape(name);
        return 0;
    }
    list = cli_list(&top, "tasks", &n);
    if (n == 0)
        return xeno_fail(err, -ENOENT, "task.none",
                         "session %s has no task yet (xeno deploy %s -- "
                         "COMMAND)",
                         f->session, f->session);
    last = xeno_json_item(&list, n - 1);
    *ret = xeno_http_escape(cli_str(&last, "task"));
    return 0;
}

/* --- logs --- */

const struct cli_option cli_session_logs_options[] = {
    SERVER_OPTION,
    { "follow", 'f', NULL, "go on until the task is over", false, 0 },
    { "tail", 0, "N", "begin with the last N lines", false, 0 },
    { "timestamps", 0, NULL, "show time and stream of each line", false, 0 },
    { NULL },
};

/* What a session wrote goes with it. */
static int check_log(const struct cli_found *f, struct xeno_err *err)
{
    struct xeno_json_at top = xeno_json_top(f->object);

    if (strcmp(cli_str(&top, "state"), "ended") != 0)
        return 0;
    return xeno_fail(err, -ENOENT, "session.over",
                     "session %s has ended, and its files and logs with it", f->session);
}

int cli_session_logs(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    xeno_autofree char *task = NULL;
    struct cli_follow how = { .follow = cli_flag(args, "follow"),
                              .times = cli_flag(args, "timestamps"),
                              .tail = -1 };
    int code, r;

    how.json = cli->json;
    if (how.json && how.times)
        return cli_usage(err, "give --json or --timestamps: with --json there is a time anyway");
    r = cli_number(args, "tail", 0, 100000, &how.tail, err);
    if (r == 0)
        r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &f, err);
    if (r == 0)
        r = check_log(f, err);
    if (r == 0)
        r = pick_task(f, args->word_count > 1 ? args->words[1] : NULL, &task, err);
    if (r == 0)
        r = cli_task_follow(cli, f, task, &how, &code, err);
    return r < 0 ? r : code >= 128 ? code : CLI_OK;
}

/* --- exec --- */

const struct cli_option cli_session_exec_options[] = {
    SERVER_OPTION,
    { "task", 0, "TASK", "beside this task (default: in the session)", false, 0 },
    { "interactive", 'i', NULL, "send it our standard input", false, 0 },
    { "terminal", 't', NULL, "give it a terminal, and our keys", false, 0 },
    { NULL },
};

static char *exec_path(const struct cli_found *f, const struct cli_args *args)
{
    xeno_auto(xeno_json) argv = xeno_json_array();
    xeno_autofree char *text = NULL;
    xeno_autofree char *escaped = NULL;
    struct xeno_buf b = XENO_BUF_INIT;
    const char *task = cli_value(args, "task");
    int columns, rows;

    for (int i = 1; i < args->word_count; i++)
        xeno_json_append_str(argv, args->words[i]);
    text = xeno_json_format(argv, false, NULL);
    escaped = xeno_http_escape(text);
    xeno_buf_printf(&b, "/v1/sessions/%s/exec?argv=%s", f->session, escaped);
    if (task) {
        xeno_autofree char *name = xeno_http_escape(task);

        xeno_buf_printf(&b, "&task=%s", name);
    }
    if (cli_flag(args, "terminal")) {
        xeno_buf_puts(&b, "&tty=1");
        if (cli_terminal_size(&columns, &rows))
            xeno_buf_printf(&b, "&cols=%d&rows=%d", columns, rows);
    }
    return xeno_buf_take(&b, NULL);
}

int cli_session_exec(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    xeno_autofree char *path = NULL;
    struct cli_stream_opts opts = { .terminal = cli_flag(args, "terminal") };
    int code, r;

    if (args->word_count < 2)
        return cli_usage(err, "which command? xeno session exec SESSION -- COMMAND");
    opts.input = opts.terminal || cli_flag(args, "interactive");
    r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &f, err);
    if (r < 0)
        return r;
    path = exec_path(f, args);
    r = cli_stream(cli, &f->server, path, &opts, &code, err);
    if (r < 0)
        return r;
    if (code < 0)
        return xeno_fail(err, -ECONNRESET, "stream.lost",
                         "the connection to %s was lost; the command was told to stop",
                         f->server.name);
    return code;
}

/* --- attach --- */

const struct cli_option cli_session_attach_options[] = {
    SERVER_OPTION,
    { NULL },
};

int cli_session_attach(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    xeno_autofree char *task = NULL;
    struct cli_follow how = { .terminal = true, .tail = 20 };
    int code = 0, r;

    r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &f, err);
    if (r == 0)
        r = pick_task(f, args->word_count > 1 ? args->words[1] : NULL, &task, err);
    if (r == 0)
        r = cli_task_follow(cli, f, task, &how, &code, err);
    if (r < 0)
        return r;
    if (code == CLI_STREAM_DETACHED) {
        cli_note(cli, "left; it goes on");
        return CLI_OK;
    }
    return code >= 0 ? code : CLI_OK;
}

/* --- events --- */

const struct cli_option cli_session_events_options[] = {
    SERVER_OPTION,
    { "follow", 'f', NULL, "go on until the session has ended", false, 0 },
    { "after", 0, "ID", "only those after this one", false, 0 },
    { NULL },
};

struct events {
    struct cli *cli;
    bool over, quiet;
    struct xeno_err err;
    struct xeno_json *list; /* with --json and without --follow: all of them */
    xeno_time last;
};

static void print_event(struct events *e, const char *id, const char *event, const char *data)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *key;

    if (xeno_json_parse(data, strlen(data), 1 << 20, &j, NULL) < 0)
        return;
    if (e->cli->json) {
        xeno_json_set_str(j, "event", event);
        xeno_json_set_str(j, "id", id);
        if (e->list)
            xeno_json_append(e->list, xeno_take(&j));
        else {
            xeno_autofree char *text = xeno_json_format(j, false, NULL);

            puts(text);
        }
        return;
    }
    top = xeno_json_top(j);
    printf("%s  %-16s", cli_when(cli_int(&top, "time_ms", 0)), cli_clean(event));
    for (size_t i = 0; (key = xeno_json_key(&top, i)) != NULL; i++) {
        const char *text = cli_str(&top, key);

        if (strcmp(key, "time_ms") == 0 || strcmp(key, "session") == 0)
            continue;
        if (*text)
            printf(" %s=%s", cli_clean(key), cli_clean(text));
        else
            printf(" %s=%" PRId64, cli_clean(key), cli_int(&top, key, cli_bool(&top, key)));
    }
    putchar('\n');
}

static void on_event(const char *id, const char *event, const char *data, void *arg)
{
    struct events *e = arg;

    e->last = xeno_mono(e->cli->env);
    print_event(e, id, event, data);
    fflush(stdout);
}

static void on_over(const struct xeno_http_answer *a, void *arg)
{
    struct events *e = arg;

    e->over = true;
    if (a->err)
        e->err = *a->err;
}

static int read_events(struct cli *cli, struct cli_found *f, struct events *e, const char *after,
                       bool follow, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/sessions/%s/events%s%s", f->server.url,
                                            f->session, after ? "?after=" : "", after ? after : "");
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .server_id = f->server.id,
                                 .event = on_event,
                                 .done = on_over,
                                 .arg = e };
    struct xeno_http_client *http;
    struct xeno_http_call *call;
    int r = cli_http(cli, &http, err);

    if (r < 0)
        return r;
    e->last = xeno_mono(cli->env);
    call = xeno_http_send(http, &ask);
    while (r >= 0 && !e->over) {
        r = sd_event_run(cli_loop(cli), follow ? UINT64_MAX : QUIET_MS * 1000 / 2);
        if (!follow && xeno_mono(cli->env).ns - e->last.ns > QUIET_MS * XENO_NS_PER_MS)
            break;
    }
    if (!e->over)
        xeno_http_cancel(call);
    if (r < 0)
        return xeno_fail_errno(err, r, "cli.loop", "wait for events");
    return e->err.code < 0 ? xeno_fail(err, e->err.code, e->err.token, "%s", e->err.text) : 0;
}

int cli_session_events(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    xeno_auto(cli_found) f = NULL;
    struct events e = { .cli = cli };
    bool follow = cli_flag(args, "follow");
    int r = cli_find_session(cli, cli_value(args, "server"), args->words[0], &f, err);

    if (r < 0)
        return r;
    if (cli->json && !follow)
        e.list = xeno_json_array();
    r = read_events(cli, f, &e, cli_value(args, "after"), follow, err);
    if (r < 0) {
        xeno_json_unref(e.list);
        return r;
    }
    if (e.list) {
        struct xeno_json *all = xeno_json_object();

        xeno_json_set(all, "events", e.list);
        cli_json(all);
    }
    return CLI_OK;
}
