/* src/cli/follow.c - the output of a task, from its log or its terminal. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "cli/api.h"
#include "cli/guard.h"
#include "cli/out.h"
#include "cli/stream.h"
#include "cli/task.h"

#define LINE_MAX_BYTES (128 * 1024)
#define AGAIN_S        60  /* a XenoServer that restarts is back sooner */
#define AGAIN_MS       500 /* between two tries */

struct follower {
    struct cli *cli;
    struct cli_found *f;
    const char *task;
    const struct cli_follow *how;
    struct xeno_buf line;
    uint64_t seen, skip; /* lines printed; those to pass over, printed before a connection broke */
    sd_event_source *signals[3];
    int interrupts, signo;
    bool stop, over; /* we are told to; the log is */
    bool told;       /* that the connection broke */
    struct xeno_err err;
};

/* --- lines "TIME STREAM F|P TEXT": F ends with a line feed, P goes on --- */

static void print_json(const char *line, const char *stream, const char *kind, const char *text,
                       size_t len)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    xeno_autofree char *time = xeno_strndup(line, (size_t)(stream - line));
    xeno_autofree char *name = xeno_strndup(stream + 1, (size_t)(kind - stream - 1));
    xeno_autofree char *words = xeno_strndup(text, len);
    xeno_autofree char *out = NULL;

    xeno_json_set_str(j, "time", time);
    xeno_json_set_str(j, "stream", name);
    xeno_json_set_str(j, "text", words);
    xeno_json_set_bool(j, "whole", kind[1] == 'F');
    out = xeno_json_format(j, false, NULL);
    xeno_write_all(STDOUT_FILENO, out, strlen(out));
    xeno_write_all(STDOUT_FILENO, "\n", 1);
}

static void print_line(const struct follower *fo, const char *line, size_t len)
{
    const char *end = line + len, *stream = memchr(line, ' ', len), *kind = NULL;
    bool errors, whole;

    if (fo->how->times) {
        xeno_write_all(fo->how->to_stderr ? STDERR_FILENO : STDOUT_FILENO, line, len);
        xeno_write_all(fo->how->to_stderr ? STDERR_FILENO : STDOUT_FILENO, "\n", 1);
        return;
    }
    if (stream)
        kind = memchr(stream + 1, ' ', (size_t)(end - stream - 1));
    if (!kind || end - kind < 3)
        return;
    if (fo->how->json) {
        print_json(line, stream, kind, kind + 3, (size_t)(end - kind - 3));
        return;
    }
    errors = strncmp(stream + 1, "stderr", 6) == 0;
    whole = kind[1] == 'F';
    line = kind + 3;
    len = (size_t)(end - line);
    {
        xeno_autofree char *text = xeno_alloc0(len + 1, 1);
        int fd = errors || fo->how->to_stderr ? STDERR_FILENO : STDOUT_FILENO;

        memcpy(text, line, len);
        text[len] = '\n';
        xeno_write_all(fd, text, len + whole);
    }
}

static void on_piece(const void *data, size_t len, void *arg)
{
    struct follower *fo = arg;
    const char *p = data;

    while (len > 0) {
        const char *nl = memchr(p, '\n', len);
        size_t part = nl ? (size_t)(nl - p) : len;

        xeno_buf_add(&fo->line, p, part);
        if (nl || fo->line.len > LINE_MAX_BYTES) {
            if (fo->skip > 0)
                fo->skip--;
            else {
                print_line(fo, fo->line.data ? fo->line.data : "", fo->line.len);
                fo->seen++;
            }
            fo->line.len = 0;
        }
        part += nl != NULL;
        p += part;
        len -= part;
    }
}

/* --- signals go to the task --- */

static void on_signal_sent(const struct xeno_http_answer *a, void *arg)
{
    (void)a, (void)arg; /* best effort: a second signal ends us anyway */
}

static void pass_on(struct follower *fo, int signo)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/sessions/%s/tasks/%s/signal", fo->f->server.url,
                                            fo->f->session, fo->task);
    const char *body = signo == SIGINT ? "{\"signal\":\"INT\"}" : "{\"signal\":\"TERM\"}";
    struct xeno_http_ask ask = { .method = "POST",
                                 .url = url,
                                 .server_id = fo->f->server.id,
                                 .body = body,
                                 .body_len = strlen(body),
                                 .done = on_signal_sent };
    char key[33];

    cli_new_key(fo->cli, key);
    ask.idempotency_key = key;
    xeno_http_send(fo->cli->http, &ask);
}

static int on_signal(sd_event_source *src, const struct signalfd_siginfo *si, void *arg)
{
    struct follower *fo = arg;

    (void)src;
    fo->signo = (int)si->ssi_signo;
    /* A terminal that went away takes no second signal to understand. */
    if (++fo->interrupts == 1 && fo->how->forward && fo->signo != SIGHUP) {
        cli_note(fo->cli, "passed on to the command; once more ends the session");
        pass_on(fo, fo->signo);
    } else
        fo->stop = true;
    return 0;
}

static void signals_on(struct follower *fo, sigset_t *before)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, before);
    sd_event_add_signal(cli_loop(fo->cli), &fo->signals[0], SIGINT, on_signal, fo);
    sd_event_add_signal(cli_loop(fo->cli), &fo->signals[1], SIGTERM, on_signal, fo);
    sd_event_add_signal(cli_loop(fo->cli), &fo->signals[2], SIGHUP, on_signal, fo);
    fo->signo = cli_guard_caught(); /* just before */
    fo->stop = fo->signo != 0;
}

static void signals_off(struct follower *fo, const sigset_t *before)
{
    for (size_t i = 0; i < XENO_LEN(fo->signals); i++)
        sd_event_source_disable_unref(fo->signals[i]);
    sigprocmask(SIG_SETMASK, before, NULL);
}

/* --- log --- */

static void on_over(const struct xeno_http_answer *a, void *arg)
{
    struct follower *fo = arg;

    fo->over = true;
    if (a->err)
        fo->err = *a->err;
}

static int read_log(struct follower *fo, bool follow, struct xeno_err *err)
{
    const struct cli_server *s = &fo->f->server;
    xeno_autofree char *tail =
        fo->how->tail >= 0 ? xeno_asprintf("&tail=%" PRId64, fo->how->tail) : xeno_strdup("");
    xeno_autofree char *url =
        xeno_asprintf("%s/v1/sessions/%s/tasks/%s/logs?timestamps=1%s%s", s->url, fo->f->session,
                      fo->task, follow ? "&follow=1" : "", tail);
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .server_id = s->id,
                                 .piece = on_piece,
                                 .done = on_over,
                                 .arg = fo };
    struct xeno_http_client *http;
    struct xeno_http_call *call;
    int r = cli_http(fo->cli, &http, err);

    if (r < 0)
        return r;
    fo->over = false;
    call = xeno_http_send(http, &ask);
    while (r >= 0 && !fo->over && !fo->stop)
        r = sd_event_run(cli_loop(fo->cli), UINT64_MAX);
    if (!fo->over)
        xeno_http_cancel(call);
    if (r < 0)
        return xeno_fail_errno(err, r, "cli.loop", "wait for the log");
    return fo->err.code < 0 ? xeno_fail(err, fo->err.code, fo->err.token, "%s", fo->err.text) : 0;
}

/* Sessions outlive the daemons of their host, and connections: the log goes on where it was. */
static int read_to_the_end(struct follower *fo, struct xeno_err *err)
{
    xeno_time give_up = xeno_ns(0);

    for (;;) {
        struct xeno_err why = XENO_ERR_INIT;
        uint64_t seen = fo->seen;
        int r = read_log(fo, true, &why);

        if (r == 0 || fo->stop)
            return 0;
        if (fo->seen > seen || give_up.ns == 0)
            give_up = xeno_time_add(xeno_mono(fo->cli->env), xeno_s(AGAIN_S));
        if (cli_exit_of(&why) != CLI_UNREACHABLE || fo->how->tail >= 0 ||
            xeno_mono(fo->cli->env).ns > give_up.ns)
            return xeno_fail(err, why.code, why.token, "%s", why.text);
        if (!fo->told)
            cli_note(fo->cli, "%s does not answer: trying again; the session goes on",
                     fo->f->server.name);
        fo->told = true;
        fo->line.len = 0;
        fo->skip = fo->seen;
        fo->err = (struct xeno_err)XENO_ERR_INIT;
        for (int i = 0; i < AGAIN_MS / 50 && !fo->stop; i++)
            cli_wait(fo->cli, xeno_ms(50));
    }
}

/* The log ends a moment before the host has noted the exit code. */
static int exit_code(struct cli *cli, struct cli_found *f, const char *task, int *ret,
                     struct xeno_err *err)
{
    *ret = CLI_STREAM_LOST;
    for (int i = 0; i < 100; i++) {
        struct xeno_json_at top, list;
        size_t n;
        int r = cli_found_refresh(cli, f, err);

        if (r < 0)
            return r;
        top = xeno_json_top(f->object);
        list = cli_list(&top, "tasks", &n);
        for (size_t k = 0; k < n; k++) {
            struct xeno_json_at t = xeno_json_item(&list, k);

            if (strcmp(cli_str(&t, "task"), task) != 0)
                continue;
            if (strcmp(cli_str(&t, "state"), "exited") == 0) {
                *ret = (int)cli_int(&t, "code", 0);
                return 0;
            }
            if (strcmp(cli_str(&t, "state"), "stopped") == 0)
                return 0; /* suspended or ended under it */
        }
        cli_wait(cli, xeno_ms(20));
    }
    return 0;
}

static int attach(struct follower *fo, int *ret_code, struct xeno_err *err)
{
    struct cli_stream_opts opts = { .terminal = true, .input = true, .detach = true };
    xeno_autofree char *path =
        xeno_asprintf("/v1/sessions/%s/tasks/%s/attach", fo->f->session, fo->task);
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    /* What it said before we were there. */
    r = read_log(fo, false, err);
    if (r == 0)
        r = cli_stream(fo->cli, &fo->f->server, path, &opts, ret_code, &why);
    if (r == 0 && *ret_code == CLI_STREAM_DETACHED)
        return 0;
    /* Over already, or ended with the connection: then its exit code is known. */
    if (exit_code(fo->cli, fo->f, fo->task, ret_code, err) == 0 && *ret_code >= 0)
        return 0;
    return r < 0 ? xeno_fail(err, why.code, why.token, "%s", why.text) : 0;
}

int cli_task_follow(struct cli *cli, struct cli_found *f, const char *task,
                    const struct cli_follow *how, int *ret_code, struct xeno_err *err)
{
    struct follower fo = { .cli = cli, .f = f, .task = task, .how = how };
    sigset_t before;
    int r;

    fflush(stdout);
    *ret_code = CLI_STREAM_LOST;
    if (how->terminal)
        r = attach(&fo, ret_code, err);
    else if (!how->follow)
        r = read_log(&fo, false, err);
    else {
        signals_on(&fo, &before);
        r = read_to_the_end(&fo, err);
        signals_off(&fo, &before);
        if (fo.stop)
            *ret_code = 128 + fo.signo;
        else if (r == 0)
            r = exit_code(cli, f, task, ret_code, err);
    }
    xeno_buf_release(&fo.line);
    return r;
}
