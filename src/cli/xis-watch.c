/* src/cli/xis-watch.c - be told what begins and ends to match. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "cli/api.h"
#include "cli/out.h"
#include "cli/xis-verbs.h"

#define LEASE_S  120
#define RENEW_US (40 * 1000 * 1000)
#define AGAIN_MS 500
#define END_S    3 /* who interrupts does not wait for a node that is away */

const struct cli_option cli_xis_watch_options[] = {
    { "interval", 'i', "TIME", "tell of changes at most so often (default 1s)", false, 0 },
    { "count", 'n', "N", "end after so many events", false, 0 },
    CLI_XIS_OPTION,
    { NULL },
};

struct watching {
    struct cli *cli;
    const char *base; /* the node that has it */
    char *url;        /* of the watch; NULL: none yet */
    char *body;
    char last[24]; /* id of the newest event */
    int64_t left;  /* events still wanted */
    bool ended;    /* the stream is over */
    bool gone;     /* and the watch */
    int stopped;   /* by this signal; 0 */
    sd_event_source *signals[3];
    sigset_t before;
    struct xeno_err err;
};

/* --- events --- */

static void print_event(const struct watching *w, const char *kind, const char *data)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;

    if (xeno_json_parse(data, strlen(data), 4096, &j, NULL) < 0)
        return;
    if (w->cli->json) {
        xeno_json_set_str(j, "event", kind);
        cli_json(xeno_take(&j));
        fflush(stdout);
        return;
    }
    top = xeno_json_top(j);
    if (strcmp(kind, "gap") == 0)
        printf("%-5s  %" PRId64 " events were lost\n", "gap", cli_int(&top, "lost", 0));
    else if (strcmp(kind, "match") == 0)
        printf("%-5s  %s  version %" PRId64 " until %s\n", "match", cli_clean(cli_str(&top, "id")),
               cli_int(&top, "version", 0), cli_when(cli_int(&top, "expires_ms", 0)));
    else
        printf("%-5s  %s\n", "gone", cli_clean(cli_str(&top, "id")));
    fflush(stdout);
}

static void on_event(const char *id, const char *event, const char *data, void *arg)
{
    struct watching *w = arg;

    if (w->left == 0)
        return;
    w->left--;
    if (id)
        snprintf(w->last, sizeof w->last, "%s", id);
    print_event(w, event ? event : "", data);
}

static void on_stream_end(const struct xeno_http_answer *a, void *arg)
{
    struct watching *w = arg;

    w->ended = true;
    w->gone = a->status == 404;
    if (a->err && a->status >= 400 && !w->gone)
        w->err = *a->err;
}

/* --- an interrupt --- */

/* The lease is given back; a second signal does not wait for that. */
static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *arg)
{
    struct watching *w = arg;

    (void)s;
    w->stopped = (int)si->ssi_signo;
    (void)sigprocmask(SIG_SETMASK, &w->before, NULL);
    return 0;
}

/* Those that were ignored from the start (nohup) stay so. */
static void signals_on(struct watching *w)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction now;
    sigset_t mask;

    sigemptyset(&mask);
    for (size_t i = 0; i < XENO_LEN(signals); i++)
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&mask, signals[i]);
    (void)sigprocmask(SIG_BLOCK, &mask, &w->before);
    for (size_t i = 0; i < XENO_LEN(signals); i++)
        if (sigismember(&mask, signals[i]))
            (void)sd_event_add_signal(cli_loop(w->cli), &w->signals[i], signals[i], on_signal, w);
}

static void signals_off(struct watching *w)
{
    for (size_t i = 0; i < XENO_LEN(w->signals); i++)
        sd_event_source_disable_unref(w->signals[i]);
    (void)sigprocmask(SIG_SETMASK, &w->before, NULL);
}

/* --- the watch --- */

static void on_renewed(const struct xeno_http_answer *a, void *arg)
{
    struct watching *w = arg;

    if (a->status == 404)
        w->gone = true;
}

static int on_renew(sd_event_source *s, uint64_t usec, void *arg)
{
    struct watching *w = arg;
    xeno_autofree char *url = xeno_asprintf("%s/renew", w->url ? w->url : "");
    static const char body[] = "{\"lease_s\":120}";

    (void)usec;
    if (w->url)
        xeno_http_send(w->cli->http, &(struct xeno_http_ask){ .method = "POST",
                                                              .url = url,
                                                              .body = body,
                                                              .body_len = sizeof body - 1,
                                                              .done = on_renewed,
                                                              .arg = w });
    (void)sd_event_source_set_time_relative(s, RENEW_US);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int make(struct watching *w, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *name;
    int r = cli_ask(w->cli,
                    &(struct cli_ask){
                        .method = "POST", .base = w->base, .path = "/v1/watches", .text = w->body },
                    &j, err);

    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_str(&top, "watch", 1, 64, &name, err);
    if (r < 0)
        return r;
    free(w->url);
    w->url = xeno_asprintf("%s/v1/watches/%s", w->base, name);
    w->last[0] = '\0';
    w->gone = false;
    return 0;
}

static int read_stream(struct watching *w, struct xeno_err *err)
{
    const struct xeno_http_header from = { "Last-Event-ID", w->last };
    struct xeno_http_call *call;

    w->ended = false;
    call = xeno_http_send(w->cli->http, &(struct xeno_http_ask){ .method = "GET",
                                                                 .url = w->url,
                                                                 .headers = &from,
                                                                 .header_count = w->last[0] != 0,
                                                                 .done = on_stream_end,
                                                                 .event = on_event,
                                                                 .arg = w });
    while (!w->ended && !w->gone && !w->stopped && w->left != 0) {
        int r = sd_event_run(w->cli->loop, UINT64_MAX);

        if (r < 0)
            return xeno_fail_errno(err, r, "cli.loop", "wait for events");
    }
    if (!w->ended)
        xeno_http_cancel(call);
    if (w->err.code < 0) {
        *err = w->err;
        return w->err.code;
    }
    return 0;
}

/* A node that restarts has forgotten its watches: another one is made, and begins with what matches
 * then. */
static int watch(struct watching *w, struct xeno_err *err)
{
    int r = make(w, err);

    while (r == 0 && w->left != 0 && !w->stopped) {
        r = read_stream(w, err);
        if (r < 0 || w->left == 0 || w->stopped)
            break;
        cli_wait(w->cli, xeno_ms(AGAIN_MS));
        if (w->gone) {
            cli_note(w->cli, "the watch was lost; this is a new one");
            r = make(w, err);
        }
    }
    if (r == 0)
        (void)xeno_http_wait(
            w->cli->http,
            &(struct xeno_http_ask){ .method = "DELETE", .url = w->url, .deadline = xeno_s(END_S) },
            NULL, NULL, NULL, NULL);
    return r;
}

static int open_body(struct watching *w, const struct cli_args *args, struct xeno_err *err)
{
    xeno_autofree char *where = NULL;
    xeno_time interval = xeno_s(1);
    int r = cli_duration(args, "interval", &interval, err);

    w->left = -1;
    if (r == 0)
        r = cli_number(args, "count", 1, INT64_MAX, &w->left, err);
    if (r == 0)
        r = cli_xis_where(args->words[0], &where, err);
    if (r == 0)
        w->body = xeno_asprintf("{\"where\":%s,\"min_interval_ms\":%" PRId64 ",\"lease_s\":%d}",
                                where, interval.ns / XENO_NS_PER_MS, LEASE_S);
    return r;
}

int cli_run_xis_watch(struct cli *cli, const struct cli_args *args, struct xeno_err *err)
{
    struct watching w = { .cli = cli };
    struct xeno_http_client *http;
    sd_event_source *renew = NULL;
    cli_autourls x = { .count = 0 };
    int r = open_body(&w, args, err);

    if (r == 0)
        r = cli_profile_need(cli, err);
    if (r == 0)
        r = cli_xis_pick(cli, args, &x, err);
    if (r == 0)
        r = cli_http(cli, &http, err);
    if (r == 0 && sd_event_add_time_relative(cli_loop(cli), &renew, CLOCK_BOOTTIME, RENEW_US, 0,
                                             on_renew, &w) < 0)
        r = xeno_fail(err, -ENOMEM, "cli.loop", "set up a timer");
    signals_on(&w);
    for (size_t i = 0; r == 0 && i < x.count && !w.stopped; i++) {
        w.base = x.urls[i];
        r = watch(&w, err);
        if (r == 0 || cli_exit_of(err) != CLI_UNREACHABLE || i + 1 == x.count)
            break;
        r = 0;
    }
    signals_off(&w);
    sd_event_source_disable_unref(renew);
    free(w.url);
    free(w.body);
    if (r == 0 && w.stopped)
        return 128 + w.stopped;
    return r < 0 ? r : CLI_OK;
}
