/* bench/session/start.c - time from signed order to the first byte of a session's output.
 *
 *     start NAME COUNT AT-ONCE PROFILE CORP-URL SERVER-URL REQUIREMENTS.xml TASK.xml
 *
 * Makes COUNT orders first, then runs COUNT sessions, AT-ONCE of them at a time (COUNT = all at
 * once): create a session with the order, deploy the task, follow its log to the first byte, end
 * the session and wait until it is gone, as the peers are waited for. The figure of each is from
 * sending the order to that byte, over mutual TLS on kept connections, metering on; with AT-ONCE
 * above 1 a second line gives the time until all had it. PROFILE is a folder with key.pem,
 * credential.pem and ca.pem, as `xeno register` makes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/enc.h"
#include "base/env.h"
#include "base/io.h"
#include "base/units.h"
#include "crypto/key.h"
#include "crypto/x509.h"
#include "doc/order.h"
#include "http/client.h"
#include "json/json.h"
#include "stats.h"

#define ORDER_AMOUNT (XENO_CREDIT / 2)
#define WAIT         xeno_s(60)
#define ASK_AGAIN_US (10 * 1000)

struct bench {
    const struct xeno_env *env;
    sd_event *loop;
    struct xeno_http_client *http;
    const char *corp, *server;
    struct xeno_key *key;
    struct xeno_pub corp_pub;
    char *server_id;
    char *requirements, *task;
    size_t task_len;
    struct run *runs;
    int count, at_once, next, over, failed;
    double *ms;
};

struct run {
    struct bench *b;
    char *chain;
    char *session;
    xeno_time start;
    double ms; /* -1 until the first byte */
    sd_event_source *timer;
};

static void next_key(struct bench *b, char out[33])
{
    uint8_t raw[16];

    xeno_random(b->env, raw, sizeof raw);
    xeno_hex(raw, sizeof raw, out);
}

static void send_ask(struct bench *b, struct xeno_http_ask ask)
{
    char key[33];

    next_key(b, key);
    if (strcmp(ask.method, "POST") == 0)
        ask.idempotency_key = key;
    ask.deadline = WAIT;
    xeno_http_send(b->http, &ask);
}

static void start_more(struct bench *b);

static void run_over(struct run *r, const char *what, const struct xeno_http_answer *a)
{
    struct bench *b = r->b;

    if (what) {
        fprintf(stderr, "start: %s: %s\n", what, a && a->err ? a->err->text : "no answer");
        b->failed++;
    }
    b->over++;
    start_more(b);
    if (b->over == b->count)
        sd_event_exit(b->loop, 0);
}

static void on_state(const struct xeno_http_answer *a, void *arg);

static int ask_state(sd_event_source *timer, uint64_t usec, void *arg)
{
    struct run *r = arg;
    xeno_autofree char *url = xeno_asprintf("%s/v1/sessions/%s", r->b->server, r->session);

    (void)usec;
    sd_event_source_disable_unref(timer);
    send_ask(r->b,
             (struct xeno_http_ask){ .method = "GET", .url = url, .done = on_state, .arg = r });
    return 0;
}

static void on_state(const struct xeno_http_answer *a, void *arg)
{
    struct run *r = arg;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *state = "";

    if (!a->err && xeno_json_parse(a->body, a->len, 1 << 20, &j, NULL) == 0) {
        top = xeno_json_top(j);
        (void)xeno_json_str(&top, "state", 1, 64, &state, NULL);
    }
    if (a->err || strcmp(state, "ended") == 0)
        run_over(r, a->err ? "state" : NULL, a);
    else
        sd_event_add_time_relative(r->b->loop, &r->timer, CLOCK_MONOTONIC, ASK_AGAIN_US, 1,
                                   ask_state, r);
}

static void on_ended(const struct xeno_http_answer *a, void *arg)
{
    if (a->err)
        run_over(arg, "end", a);
    else
        ask_state(NULL, 0, arg);
}

static void end_session(struct run *r)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/sessions/%s/end", r->b->server, r->session);

    send_ask(r->b,
             (struct xeno_http_ask){ .method = "POST", .url = url, .done = on_ended, .arg = r });
}

static void on_piece(const void *data, size_t len, void *arg)
{
    struct run *r = arg;

    (void)data;
    if (len > 0 && r->ms < 0)
        r->ms = (double)(xeno_mono(r->b->env).ns - r->start.ns) / 1e6;
}

static void on_log_end(const struct xeno_http_answer *a, void *arg)
{
    struct run *r = arg;

    if (a->err || r->ms < 0) {
        run_over(r, "log", a);
        return;
    }
    end_session(r);
}

static void on_deployed(const struct xeno_http_answer *a, void *arg)
{
    struct run *r = arg;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *url = NULL;
    struct xeno_json_at top;
    const char *task;

    if (a->err || xeno_json_parse(a->body, a->len, 65536, &j, NULL) < 0) {
        run_over(r, "deploy", a);
        return;
    }
    top = xeno_json_top(j);
    if (xeno_json_str(&top, "task", 1, 64, &task, NULL) < 0) {
        run_over(r, "deploy: no task in the answer", a);
        return;
    }
    url = xeno_asprintf("%s/v1/sessions/%s/tasks/%s/logs?follow=1", r->b->server, r->session, task);
    send_ask(r->b,
             (struct xeno_http_ask){
                 .method = "GET", .url = url, .piece = on_piece, .done = on_log_end, .arg = r });
}

static void on_created(const struct xeno_http_answer *a, void *arg)
{
    struct run *r = arg;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *url = NULL;
    struct xeno_json_at top;
    const char *id;

    if (a->err || xeno_json_parse(a->body, a->len, 1 << 20, &j, NULL) < 0) {
        run_over(r, "create", a);
        return;
    }
    top = xeno_json_top(j);
    if (xeno_json_str(&top, "session", 1, 64, &id, NULL) < 0) {
        run_over(r, "create: no session in the answer", a);
        return;
    }
    r->session = xeno_strdup(id);
    url = xeno_asprintf("%s/v1/sessions/%s/tasks", r->b->server, id);
    send_ask(r->b, (struct xeno_http_ask){ .method = "POST",
                                           .url = url,
                                           .type = "application/xml",
                                           .body = r->b->task,
                                           .body_len = r->b->task_len,
                                           .done = on_deployed,
                                           .arg = r });
}

static void start_run(struct run *r)
{
    xeno_auto(xeno_json) j = xeno_json_object();
    xeno_autofree char *shown = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *url = xeno_asprintf("%s/v1/sessions", r->b->server);
    xeno_autofree char *body = NULL;
    size_t len;

    r->start = xeno_mono(r->b->env);
    if (xeno_order_present(r->chain, strlen(r->chain), &r->b->corp_pub, r->b->key, r->b->server_id,
                           xeno_micro(0), xeno_wall(r->b->env), &shown, &err) < 0)
        fprintf(stderr, "start: %s\n", err.text); /* the server will refuse what is missing */
    xeno_json_set_str(j, "requirements", r->b->requirements);
    xeno_json_set_str(j, "chain", shown);
    body = xeno_json_format(j, false, &len);
    send_ask(r->b, (struct xeno_http_ask){ .method = "POST",
                                           .url = url,
                                           .body = body,
                                           .body_len = len,
                                           .done = on_created,
                                           .arg = r });
}

static void start_more(struct bench *b)
{
    while (b->next < b->count && b->next - b->over < b->at_once)
        start_run(&b->runs[b->next++]);
}

static int make_order(struct bench *b, struct run *r, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/orders", b->corp);
    xeno_autofree char *body =
        xeno_asprintf("{\"amount\":%" PRId64 ",\"lifetime_s\":3600}", (int64_t)ORDER_AMOUNT);
    xeno_autofree char *reply = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *chain;
    size_t len;
    char key[33];
    int res;

    next_key(b, key);
    res = xeno_http_wait(b->http,
                         &(struct xeno_http_ask){ .method = "POST",
                                                  .url = url,
                                                  .body = body,
                                                  .body_len = strlen(body),
                                                  .idempotency_key = key },
                         NULL, &reply, &len, err);
    if (res < 0)
        return res;
    res = xeno_json_parse(reply, len, 1 << 20, &j, err);
    if (res < 0)
        return res;
    top = xeno_json_top(j);
    res = xeno_json_str(&top, "chain", 1, 65536, &chain, err);
    if (res < 0)
        return res;
    r->chain = xeno_strdup(chain);
    return 0;
}

static int open_profile(struct bench *b, const char *profile, struct xeno_err *err)
{
    xeno_autofree char *ca = NULL;
    xeno_autofree char *cert = NULL;
    xeno_autoclose int dir = open(profile, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    if (dir < 0)
        return xeno_fail_errno(err, -errno, "bench.profile", "open '%s'", profile);
    r = xeno_file_read(dir, "ca.pem", 65536, &ca, NULL, err);
    if (r == 0)
        r = xeno_file_read(dir, "credential.pem", 65536, &cert, NULL, err);
    if (r == 0)
        r = xeno_key_load(dir, "key.pem", &b->key, err);
    if (r == 0)
        r = xeno_ca_pub(ca, &b->corp_pub, err);
    if (r < 0)
        return r;
    return xeno_http_client_new(b->loop,
                                &(struct xeno_http_client_opts){
                                    .env = b->env, .ca_pem = ca, .cert_pem = cert, .key = b->key },
                                &b->http, err);
}

static int find_id(struct bench *b, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/status", b->server);
    xeno_autofree char *reply = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at top;
    const char *id;
    size_t len;
    int r = xeno_http_wait(b->http, &(struct xeno_http_ask){ .method = "GET", .url = url }, NULL,
                           &reply, &len, err);

    if (r == 0)
        r = xeno_json_parse(reply, len, 1 << 20, &j, err);
    if (r < 0)
        return r;
    top = xeno_json_top(j);
    r = xeno_json_obj(&top, "status", &top, err);
    if (r == 0)
        r = xeno_json_str(&top, "server", XENO_ID_CHARS, XENO_ID_CHARS, &id, err);
    if (r == 0)
        b->server_id = xeno_strdup(id);
    return r;
}

static int prepare(struct bench *b, char **argv, struct xeno_err *err)
{
    int r;

    b->corp = argv[5];
    b->server = argv[6];
    r = xeno_file_read(AT_FDCWD, argv[7], 65536, &b->requirements, NULL, err);
    if (r == 0)
        r = xeno_file_read(AT_FDCWD, argv[8], 65536, &b->task, &b->task_len, err);
    if (r == 0)
        r = open_profile(b, argv[4], err);
    if (r == 0)
        r = find_id(b, err);
    b->runs = xeno_new0_n(struct run, (size_t)b->count);
    for (int i = 0; r == 0 && i < b->count; i++) {
        b->runs[i] = (struct run){ .b = b, .ms = -1 };
        r = make_order(b, &b->runs[i], err);
    }
    return r;
}

static int report(struct bench *b, const char *name)
{
    xeno_autofree double *ms = xeno_new0_n(double, (size_t)b->count);
    size_t n = 0;

    for (int i = 0; i < b->count; i++) {
        if (b->runs[i].ms >= 0)
            ms[n++] = b->runs[i].ms;
    }
    bench_print(stdout, name, ms, n);
    if (b->at_once > 1 && n > 0)
        printf(
            "{\"bench\":\"start\",\"what\":\"%s, until all\",\"unit\":\"ms\",\"n\":%zu,\"refused\":%d,\"value\":%.3f}\n",
            name, n, b->failed, bench_quantile(ms, n, 1)); /* sorted by now; all began together */
    return b->failed == 0 && n == (size_t)b->count ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct bench b = { .env = xeno_env_real() };
    struct xeno_err err = XENO_ERR_INIT;

    if (argc != 9 || (b.count = atoi(argv[2])) < 1 || (b.at_once = atoi(argv[3])) < 1) {
        fprintf(stderr, "usage: start NAME COUNT AT-ONCE PROFILE CORP-URL SERVER-URL "
                        "REQUIREMENTS.xml TASK.xml\n");
        return 2;
    }
    xeno_crypto_init();
    sd_event_default(&b.loop);
    if (prepare(&b, argv, &err) < 0) {
        fprintf(stderr, "start: %s (%s)\n", err.text, err.token);
        return 1;
    }
    start_more(&b);
    sd_event_loop(b.loop);
    return report(&b, argv[1]);
}
