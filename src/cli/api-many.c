/* src/cli/api-many.c - several requests at the same time. */
#include <errno.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "cli/api.h"

#define DEADLINE_S 30 /* as that of one request */

struct crowd {
    struct cli *cli;
    struct xeno_http_client *http; /* NULL: there is none, and nothing is asked */
    xeno_time start;               /* monotonic */
    size_t left;
    void (*each)(struct cli_asked *a, void *arg);
    void *arg;
};

struct one {
    struct crowd *crowd;
    struct cli_asked *asked;
    struct xeno_http_call *call; /* NULL: it is over */
    char *url, *text;
    char key[33];
    int tries;
};

static void send_one(struct one *o);

/* One deadline for all tries: who asks many does not wait three times for one that hangs. */
static bool in_time(const struct one *o)
{
    xeno_time length = o->asked->ask.deadline, now = xeno_mono(o->crowd->cli->env);

    if (length.ns == 0)
        length = xeno_s(DEADLINE_S);
    return now.ns < xeno_time_add(o->crowd->start, length).ns;
}

static void on_done(const struct xeno_http_answer *a, void *arg)
{
    struct one *o = arg;
    const struct cli_ask *ask = &o->asked->ask;
    bool harmless = ask->spends || strcmp(ask->method, "GET") == 0;

    o->call = NULL;
    if (a->err && harmless && cli_lost(a->err) && ++o->tries < CLI_TRIES && in_time(o)) {
        send_one(o);
        return;
    }
    if (a->err)
        o->asked->err = *a->err;
    else if (xeno_json_parse(a->len > 0 ? a->body : "{}", a->len > 0 ? a->len : 2, CLI_ANSWER_MAX,
                             &o->asked->answer, &o->asked->err) < 0)
        xeno_context(&o->asked->err, o->asked->err.code, "the answer of %s", o->url);
    o->crowd->left--;
    if (o->crowd->each)
        o->crowd->each(o->asked, o->crowd->arg);
}

static void send_one(struct one *o)
{
    const struct cli_ask *ask = &o->asked->ask;

    o->call = xeno_http_send(o->crowd->http,
                             &(struct xeno_http_ask){ .method = ask->method,
                                                      .url = o->url,
                                                      .server_id = ask->server_id,
                                                      .type = ask->type,
                                                      .body = o->text,
                                                      .body_len = o->text ? strlen(o->text) : 0,
                                                      .idempotency_key = *o->key ? o->key : NULL,
                                                      .deadline = ask->deadline,
                                                      .done = on_done,
                                                      .arg = o });
}

static void begin(struct cli *cli, struct one *o)
{
    struct cli_ask *ask = &o->asked->ask;
    xeno_auto(xeno_json) body = xeno_take(&ask->body);

    o->url = xeno_asprintf("%s%s", ask->base, ask->path);
    o->text = body ? xeno_json_format(body, false, NULL) : xeno_strdup(ask->text);
    if (ask->spends)
        cli_new_key(cli, o->key);
    if (o->crowd->http)
        send_one(o);
}

/* Nobody waits for it any more. */
static void finish(struct one *o)
{
    if (o->call) {
        xeno_http_cancel(o->call);
        xeno_fail(&o->asked->err, -ECANCELED, "http.cancelled", "%s: interrupted", o->url);
    }
    free(o->url);
    free(o->text);
}

void cli_ask_all(struct cli *cli, struct cli_asked *list, size_t n,
                 void (*each)(struct cli_asked *a, void *arg), void *arg)
{
    struct crowd crowd = {
        .cli = cli, .start = xeno_mono(cli->env), .left = n, .each = each, .arg = arg
    };
    xeno_autofree struct one *ones = xeno_new0_n(struct one, n + 1);
    struct xeno_err why = XENO_ERR_INIT;
    int r = cli_http(cli, &crowd.http, &why);

    for (size_t i = 0; i < n; i++) {
        list[i].answer = NULL;
        list[i].err = why;
        ones[i] = (struct one){ .crowd = &crowd, .asked = &list[i] };
        begin(cli, &ones[i]);
    }
    /* Each has a deadline: this comes to its end. */
    while (r >= 0 && crowd.left > 0)
        r = sd_event_run(cli_loop(cli), UINT64_MAX);
    for (size_t i = 0; i < n; i++)
        finish(&ones[i]);
}
