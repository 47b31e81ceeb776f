/* src/http/call.c - one request of the client: made, tried, tried again, answered. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "http/client-priv.h"
#include "http/problem.h"

#define DEADLINE_NS   (30 * XENO_NS_PER_S)
#define ANSWER_BYTES  (4u << 20)
#define WAIT_FIRST_MS 100
#define WAIT_MAX_MS   10000
#define BULK_TRIES    5  /* of a call without a deadline that has a sink or a part */
#define BULK_ASKED_S  60 /* Retry-After that such a call waits for */

static xeno_time mono(const struct xeno_http_client *c)
{
    return xeno_mono(c->trust.env);
}

void http_call_free(struct xeno_http_call *call)
{
    if (!call)
        return;
    if (call->flying)
        curl_multi_remove_handle(call->client->multi, call->easy);
    DL_DELETE(call->client->calls, call);
    sd_event_source_disable_unref(call->timer);
    if (call->easy)
        curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    xeno_buf_release(&call->out);
    xeno_sse_release(&call->sse);
    free(call->url);
    free(call->shown);
    free(call->sock);
    free(call->host);
    free(call->method);
    free(call->server_id);
    free(call->body);
    free(call);
}

/* --- ends of a call --- */

static void finish(struct xeno_http_call *call, int status)
{
    struct xeno_http_answer a = { .status = status, .body = "", .type = "", .call = call };
    void (*done)(const struct xeno_http_answer *a, void *arg) = call->done;
    char *type = NULL;

    if (call->easy && curl_easy_getinfo(call->easy, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK &&
        type)
        a.type = type;
    if (call->out.data)
        a.body = call->out.data;
    a.len = call->out.len;
    if (status != 0 && (status < 200 || status > 299))
        xeno_problem_read(status, a.body, a.len, &call->err);
    if (status < 200 || status > 299)
        a.err = &call->err;
    if (done)
        done(&a, call->arg);
    http_call_free(call);
}

/* Milliseconds until the deadline; INT64_MAX for none. */
static int64_t left_ms(const struct xeno_http_call *call)
{
    if (call->deadline.ns == 0)
        return INT64_MAX;
    return (call->deadline.ns - mono(call->client).ns) / XENO_NS_PER_MS;
}

static void start(struct xeno_http_call *call);

static int on_retry(sd_event_source *src, uint64_t usec, void *user)
{
    struct xeno_http_call *call = user;
    struct xeno_http_client *c = call->client;

    (void)src;
    (void)usec;
    http_client_enter(c);
    if (call->err.code < 0)
        finish(call, 0); /* it could not even start */
    else
        start(call);
    http_client_leave(c);
    return 0;
}

static void arm(struct xeno_http_call *call, uint64_t ms)
{
    uint64_t now;

    sd_event_now(call->client->loop, CLOCK_MONOTONIC, &now);
    if (call->timer) {
        sd_event_source_set_time(call->timer, now + ms * 1000);
        sd_event_source_set_enabled(call->timer, SD_EVENT_ONESHOT);
    } else {
        sd_event_add_time(call->client->loop, &call->timer, CLOCK_MONOTONIC, now + ms * 1000, 1000,
                          on_retry, call);
    }
}

uint64_t http_retry_wait_ms(unsigned tries, int64_t asked_s, uint32_t rnd)
{
    uint64_t top = WAIT_FIRST_MS, wait;

    for (unsigned i = 1; i < tries && top < WAIT_MAX_MS; i++)
        top *= 2;
    wait = top / 2 + rnd % (top / 2 + 1);
    if (asked_s > 0 && wait < (uint64_t)asked_s * 1000)
        wait = (uint64_t)asked_s * 1000 + rnd % WAIT_FIRST_MS;
    return wait;
}

/* 0: no further try. */
static uint64_t next_wait_ms(struct xeno_http_call *call, int64_t asked_s)
{
    uint64_t wait;
    uint32_t rnd;

    if (!call->retry || call->started)
        return 0;
    if (call->tries_max > 0 && call->tries >= call->tries_max)
        return 0;
    if (call->deadline.ns == 0 && (call->sink || call->part.fd >= 0) &&
        (call->tries >= BULK_TRIES || asked_s > BULK_ASKED_S))
        return 0;
    xeno_random(call->client->trust.env, &rnd, sizeof(rnd));
    wait = http_retry_wait_ms(call->tries, asked_s, rnd);
    return (int64_t)wait < left_ms(call) ? wait : 0;
}

/* Could it be otherwise the next time? A certificate stays what it is. */
static bool may_pass(const struct xeno_http_call *call, CURLcode res)
{
    return call->refused.code == 0 && res != CURLE_PEER_FAILED_VERIFICATION &&
           res != CURLE_SSL_CACERT_BADFILE &&
           !(res == CURLE_SSL_CONNECT_ERROR && call->client->web);
}

static bool connected(const struct xeno_http_call *call)
{
    curl_off_t us = 0;

    curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    return us > 0;
}

static void transport_error(struct xeno_http_call *call, CURLcode res)
{
    const char *why = curl_easy_strerror(res);

    if (call->err.code < 0)
        return; /* a callback of ours knew better */
    if (call->refused.code < 0) {
        call->err = call->refused;
        xeno_context(&call->err, call->err.code, "%s", call->shown);
        return;
    }
    switch (res) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        xeno_fail(&call->err, -ECONNREFUSED, "http.connect", "%s does not answer: %s", call->shown,
                  why);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        if ((call->sink || call->part.fd >= 0) && left_ms(call) > 0 && connected(call)) {
            xeno_fail(&call->err, -ETIMEDOUT, "http.pace",
                      "%s: less than %d bytes a second for %u s", call->shown, XENO_HTTP_PACE_MIN,
                      call->pace_s);
            break;
        }
        xeno_fail(&call->err, -ETIMEDOUT, "http.deadline", "%s: no answer in time", call->shown);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        xeno_fail(&call->err, -EPROTO, "http.tls", "%s: no TLS connection: %s", call->shown, why);
        break;
    default:
        xeno_fail(&call->err, -ECONNRESET, "http.transport", "%s: %s", call->shown, why);
    }
}

static bool worth_a_retry(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

void http_call_completed(struct xeno_http_call *call, CURLcode res)
{
    curl_off_t asked = 0;
    long status = 0;
    uint64_t wait = 0;

    call->flying = false;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (res == CURLE_OK && http_redirect(call, (int)status)) {
        if (call->err.code < 0)
            finish(call, 0);
        else
            start(call);
        return;
    }
    if (res == CURLE_OK && worth_a_retry((int)status)) {
        curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &asked);
        wait = next_wait_ms(call, asked);
    } else if (res != CURLE_OK && call->err.code == 0 && may_pass(call, res)) {
        wait = next_wait_ms(call, 0);
    }
    if (wait > 0) {
        arm(call, wait);
        return;
    }
    if (res != CURLE_OK) {
        transport_error(call, res);
        status = 0;
        call->out.len = 0;
    }
    finish(call, (int)status);
}

static void start(struct xeno_http_call *call)
{
    struct xeno_http_client *c = call->client;

    call->tries++;
    http_transfer_try(call, left_ms(call));
    if (curl_multi_add_handle(c->multi, call->easy) == CURLM_OK) {
        call->flying = true;
        return;
    }
    xeno_fail(&call->err, -EIO, "http.transport", "%s: cannot be asked", call->shown);
    arm(call, 0);
}

/* --- making a call --- */

const char *xeno_http_answer_line(const struct xeno_http_answer *a, const char *name, size_t i)
{
    struct curl_header *h = NULL;

    if (!a->call || !a->call->easy ||
        curl_easy_header(a->call->easy, name, i, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return NULL;
    return h->value;
}

const char *xeno_http_answer_header(const struct xeno_http_answer *a, const char *name)
{
    struct curl_header *h = NULL;

    if (!a->call || !a->call->easy ||
        curl_easy_header(a->call->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return NULL;
    return xeno_http_answer_line(a, name, h->amount - 1);
}

const char *xeno_http_answer_trailer(const struct xeno_http_answer *a, const char *name)
{
    struct curl_header *h = NULL;

    if (!a->call || !a->call->easy ||
        curl_easy_header(a->call->easy, name, 0, CURLH_TRAILER, -1, &h) != CURLHE_OK)
        return NULL;
    return h->value;
}

static void add_header(struct xeno_http_call *call, const char *name, const char *value)
{
    xeno_autofree char *line = xeno_asprintf("%s: %s", name, value);

    /* A value may come from a peer: it must not become a second header. */
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    call->headers = curl_slist_append(call->headers, line);
}

static void set_headers(struct xeno_http_call *call, const struct xeno_http_ask *ask)
{
    call->headers = curl_slist_append(NULL, "Expect:"); /* no pause before a body */
    add_header(call, "User-Agent", "xeno");
    if (ask->event)
        add_header(call, "Accept", "text/event-stream");
    if (ask->part)
        add_header(call, "Content-Type", ask->type ? ask->type : "application/octet-stream");
    else if (ask->body_len > 0)
        add_header(call, "Content-Type", ask->type ? ask->type : "application/json");
    else
        call->headers = curl_slist_append(call->headers, "Content-Type:");
    if (ask->idempotency_key)
        add_header(call, "Idempotency-Key", ask->idempotency_key);
    for (size_t i = 0; i < ask->header_count; i++)
        add_header(call, ask->headers[i].name, ask->headers[i].value);
}

struct xeno_http_call *xeno_http_send(struct xeno_http_client *c, const struct xeno_http_ask *ask)
{
    struct xeno_http_call *call = xeno_new0(struct xeno_http_call);
    bool stream = ask->event || ask->piece || ask->sink || ask->part;

    call->client = c;
    DL_APPEND(c->calls, call);
    call->shown = xeno_strdup(ask->url);
    http_transfer_url(call, ask->url);
    call->method = xeno_strdup(ask->method);
    call->server_id = xeno_strdup(ask->server_id);
    if (ask->body_len > 0)
        call->body = xeno_memdup(ask->body, ask->body_len);
    call->body_len = ask->body_len;
    call->max_body = ask->max_body ? ask->max_body : ANSWER_BYTES;
    call->part = ask->part ? *ask->part : (struct xeno_http_part){ .fd = -1 };
    call->redirects = ask->redirects;
    call->follows = ask->redirects > 0;
    call->pace_s = ask->pace_s ? ask->pace_s : XENO_HTTP_PACE_S;
    call->retry = ask->retry;
    call->tries_max = ask->tries;
    if (ask->deadline.ns > 0 || !stream)
        call->deadline =
            xeno_time_add(mono(c), xeno_ns(ask->deadline.ns > 0 ? ask->deadline.ns : DEADLINE_NS));
    call->done = ask->done;
    call->event = ask->event;
    call->piece = ask->piece;
    call->head = ask->head;
    call->sink = ask->sink;
    call->arg = ask->arg;
    set_headers(call, ask);
    if (call->err.code < 0) {
        arm(call, 0);
        return call;
    }
    call->easy = curl_easy_init();
    if (!call->easy)
        abort();
    http_transfer_set_up(call);
    start(call);
    return call;
}

void xeno_http_cancel(struct xeno_http_call *call)
{
    if (!call)
        return;
    if (call->client->in_curl)
        call->cancelled = true; /* libcurl is at work on it, perhaps: swept by act() */
    else
        http_call_free(call);
}
