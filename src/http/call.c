/* src/http/call.c - one request of the client: made, tried, tried again, answered. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "http/client-priv.h"
#include "http/problem.h"

#define DEADLINE_NS   (30 * XENO_NS_PER_S)
#define TRY_MS        15000 /* one of several tries; a repeat joins the first at the server */
#define CONNECT_MS    10000
#define ANSWER_BYTES  (4u << 20)
#define WAIT_FIRST_MS 100
#define WAIT_MAX_MS   10000

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
    struct xeno_http_answer a = { .status = status, .body = "", .type = "" };
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
    xeno_random(call->client->trust.env, &rnd, sizeof(rnd));
    wait = http_retry_wait_ms(call->tries, asked_s, rnd);
    return (int64_t)wait < left_ms(call) ? wait : 0;
}

static void transport_error(struct xeno_http_call *call, CURLcode res)
{
    const char *why = curl_easy_strerror(res);

    if (call->err.code < 0)
        return; /* a callback of ours knew better */
    switch (res) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
        xeno_fail(&call->err, -ECONNREFUSED, "http.connect", "%s does not answer: %s", call->shown,
                  why);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        xeno_fail(&call->err, -ETIMEDOUT, "http.deadline", "%s: no answer in time", call->shown);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
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
    if (res == CURLE_OK && worth_a_retry((int)status)) {
        curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &asked);
        wait = next_wait_ms(call, asked);
    } else if (res != CURLE_OK && call->err.code == 0) {
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

/* --- libcurl's questions about one call --- */

static int before_request(void *user, char *ip, char *local_ip, int port, int local_port)
{
    struct xeno_http_call *call = user;
    struct curl_tlssessioninfo *tls = NULL;

    (void)ip;
    (void)local_ip;
    (void)port;
    (void)local_port;
    if (call->sock)
        return CURL_PREREQFUNC_OK;
    if (curl_easy_getinfo(call->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || !tls ||
        tls->backend != CURLSSLBACKEND_GNUTLS || !tls->internals) {
        xeno_fail(&call->err, -EPROTO, "http.tls", "%s: not a TLS connection", call->shown);
        return CURL_PREREQFUNC_ABORT;
    }
    return http_trust_check(&call->client->trust, tls->internals, call->server_id, call->host,
                            &call->err) == 0
               ? CURL_PREREQFUNC_OK
               : CURL_PREREQFUNC_ABORT;
}

static bool is_2xx(const struct xeno_http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status <= 299;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct xeno_http_call *call = user;
    size_t len = size * count;

    if (call->cancelled)
        return 0;
    if (call->event && is_2xx(call)) {
        call->started = true;
        if (xeno_sse_feed(&call->sse, data, len, call->event, call->arg, &call->err) < 0)
            return 0;
    } else if (call->piece && is_2xx(call)) {
        call->started = true;
        call->piece(data, len, call->arg);
    } else if (call->out.len + len > call->max_body) {
        xeno_fail(&call->err, -EFBIG, "http.size", "%s: the answer has more than %zu bytes",
                  call->shown, call->max_body);
        return 0;
    } else {
        xeno_buf_add(&call->out, data, len);
    }
    return call->cancelled ? 0 : len;
}

static void set_method(struct xeno_http_call *call)
{
    bool post = strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0;

    if (post || call->body_len > 0) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
    }
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_tls(struct xeno_http_call *call)
{
    CURL *e = call->easy;

    curl_easy_setopt(e, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3);
    /* http_trust_check() decides, in before_request(); see trust.c. */
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(e, CURLOPT_CAINFO, (char *)NULL);
    curl_easy_setopt(e, CURLOPT_CAPATH,
                     (char *)NULL); /* else the system folder is read each time */
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_ENABLE_ALPN, 0L);
    if (call->client->cert_path) {
        curl_easy_setopt(e, CURLOPT_SSLCERT, call->client->cert_path);
        curl_easy_setopt(e, CURLOPT_SSLKEY, call->client->cert_path);
    }
}

static void set_times(struct xeno_http_call *call)
{
    int64_t left = left_ms(call), connect = CONNECT_MS;

    if (call->retry)
        connect /= 2;
    if (left == INT64_MAX) {
        curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, 0L);
    } else {
        left = left < 1 ? 1 : left;
        connect = connect < left ? connect : left;
        if (call->retry && left > TRY_MS)
            left = TRY_MS;
        curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)left);
    }
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
}

static void set_up(struct xeno_http_call *call)
{
    CURL *e = call->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
    curl_easy_setopt(e, CURLOPT_URL, call->url);
    if (call->sock)
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, call->sock);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, call->sock ? "http" : "https");
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, call);
    set_method(call);
    set_tls(call);
}

static void start(struct xeno_http_call *call)
{
    struct xeno_http_client *c = call->client;

    call->tries++;
    call->out.len = 0;
    set_times(call);
    set_tls(call); /* the credential may be a newer one by now */
    if (curl_multi_add_handle(c->multi, call->easy) == CURLM_OK) {
        call->flying = true;
        return;
    }
    xeno_fail(&call->err, -EIO, "http.transport", "%s: cannot be asked", call->shown);
    arm(call, 0);
}

/* --- making a call --- */

/* "unix:/sock:/path" becomes the socket and a URL whose host means nothing. */
static void take_url(struct xeno_http_call *call, const char *url)
{
    CURLU *u;
    char *host = NULL, *scheme = NULL;
    const char *path;

    if (strncmp(url, "unix:", 5) == 0 && (path = strchr(url + 5, ':')) != NULL) {
        call->sock = xeno_strndup(url + 5, (size_t)(path - url - 5));
        call->url = xeno_asprintf("http://localhost%s", path + 1);
        return;
    }
    call->url = xeno_strdup(url);
    u = curl_url();
    if (curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        strcmp(scheme, "https") == 0 && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        size_t len = strlen(host);
        bool six = len > 2 && host[0] == '[';

        call->host = six ? xeno_strndup(host + 1, len - 2) : xeno_strdup(host);
    } else {
        xeno_fail(&call->err, -EINVAL, "http.url", "'%s' is not a URL that starts with https://",
                  url);
    }
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(u);
}

static void add_header(struct xeno_http_call *call, const char *name, const char *value)
{
    xeno_autofree char *line = xeno_asprintf("%s: %s", name, value);

    call->headers = curl_slist_append(call->headers, line);
}

static void set_headers(struct xeno_http_call *call, const struct xeno_http_ask *ask)
{
    call->headers = curl_slist_append(NULL, "Expect:"); /* no pause before a body */
    add_header(call, "User-Agent", "xeno");
    if (ask->event)
        add_header(call, "Accept", "text/event-stream");
    if (ask->body_len > 0)
        add_header(call, "Content-Type", ask->type ? ask->type : "application/json");
    else
        call->headers = curl_slist_append(call->headers, "Content-Type:");
    if (ask->idempotency_key)
        add_header(call, "Idempotency-Key", ask->idempotency_key);
}

struct xeno_http_call *xeno_http_send(struct xeno_http_client *c, const struct xeno_http_ask *ask)
{
    struct xeno_http_call *call = xeno_new0(struct xeno_http_call);
    bool stream = ask->event || ask->piece;

    call->client = c;
    DL_APPEND(c->calls, call);
    call->shown = xeno_strdup(ask->url);
    take_url(call, ask->url);
    call->method = xeno_strdup(ask->method);
    call->server_id = xeno_strdup(ask->server_id);
    if (ask->body_len > 0)
        call->body = xeno_memdup(ask->body, ask->body_len);
    call->body_len = ask->body_len;
    call->max_body = ask->max_body ? ask->max_body : ANSWER_BYTES;
    call->retry = ask->retry;
    if (ask->deadline.ns > 0 || !stream)
        call->deadline =
            xeno_time_add(mono(c), xeno_ns(ask->deadline.ns > 0 ? ask->deadline.ns : DEADLINE_NS));
    call->done = ask->done;
    call->event = ask->event;
    call->piece = ask->piece;
    call->arg = ask->arg;
    set_headers(call, ask);
    if (call->err.code < 0) {
        arm(call, 0);
        return call;
    }
    call->easy = curl_easy_init();
    if (!call->easy)
        abort();
    set_up(call);
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
