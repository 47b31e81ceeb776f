/* src/http/transfer.c - what libcurl is told about one request, and what it asks while it runs. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "http/client-priv.h"

#define TRY_MS       15000 /* one of several tries; a repeat joins the first at the server */
#define CONNECT_MS   10000
#define HEAD_BYTES   (64 * 1024) /* of the answer's header */
#define WEB_TLS      CURL_SSLVERSION_TLSv1_2
#define OWN_TLS      (CURL_SSLVERSION_TLSv1_3 | CURL_SSLVERSION_MAX_TLSv1_3)
#define WAIT_FOREVER INT64_MAX

/* --- libcurl's questions about one call --- */

static bool is_loopback(const char *ip)
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, ip, &four) == 1)
        return ntohl(four.s_addr) >> 24 == IN_LOOPBACKNET;
    return inet_pton(AF_INET6, ip, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static void not_loopback(struct xeno_http_call *call, const char *what)
{
    xeno_fail(&call->err, -EPERM, "http.plain",
              "%s: without TLS only an address of this machine's loopback is asked, not %s",
              call->shown, what);
}

/* The last moment before a byte of the request leaves. */
static int before_request(void *user, char *ip, char *local_ip, int port, int local_port)
{
    struct xeno_http_call *call = user;
    struct curl_tlssessioninfo *tls = NULL;
    int r;

    (void)local_ip;
    (void)port;
    (void)local_port;
    if (call->sock)
        return CURL_PREREQFUNC_OK;
    if (call->plain) {
        if (is_loopback(ip))
            return CURL_PREREQFUNC_OK;
        not_loopback(call, ip);
        return CURL_PREREQFUNC_ABORT;
    }
    if (call->client->web)
        return CURL_PREREQFUNC_OK; /* checked by libcurl */
    if (curl_easy_getinfo(call->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK || !tls ||
        tls->backend != CURLSSLBACKEND_GNUTLS || !tls->internals) {
        xeno_fail(&call->err, -EPROTO, "http.tls", "%s: not a TLS connection", call->shown);
        return CURL_PREREQFUNC_ABORT;
    }
    r = http_trust_check(&call->client->trust, tls->internals,
                         call->foreign ? NULL : call->server_id, call->host, &call->err);
    return r == 0 ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

/* Where it really goes: libcurl asks with the address, after the name was looked up. */
static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct xeno_http_call *call = user;
    const struct xeno_http_client *c = call->client;
    const struct xeno_http_peer peer = { .address = &to->addr, .host = call->host };

    (void)purpose;
    if (c->guard && !call->sock && c->guard(c->guard_arg, &peer, &call->refused) < 0)
        return CURL_SOCKET_BAD;
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static int status_of(const struct xeno_http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static size_t on_header(char *data, size_t size, size_t count, void *user)
{
    struct xeno_http_call *call = user;

    (void)data;
    call->head_bytes += size * count;
    if (call->head_bytes <= HEAD_BYTES)
        return size * count;
    xeno_fail(&call->err, -EFBIG, "http.size", "%s: the answer's header has more than %d bytes",
              call->shown, HEAD_BYTES);
    return 0;
}

static int to_sink(struct xeno_http_call *call, const char *data, size_t len)
{
    struct xeno_http_answer a = { .status = status_of(call), .body = "", .type = "", .call = call };
    int r = 0;

    if (!call->head_seen && call->head)
        r = call->head(&a, call->arg, &call->err);
    call->head_seen = true;
    if (r < 0 || call->cancelled)
        return -1;
    call->started = true;
    return call->sink(data, len, call->arg, &call->err);
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct xeno_http_call *call = user;
    bool good = status_of(call) >= 200 && status_of(call) <= 299;
    size_t len = size * count;

    if (call->cancelled)
        return 0;
    if (call->event && good) {
        call->started = true;
        if (xeno_sse_feed(&call->sse, data, len, call->event, call->arg, &call->err) < 0)
            return 0;
    } else if (call->piece && good) {
        call->started = true;
        call->piece(data, len, call->arg);
    } else if (call->sink && good) {
        if (to_sink(call, data, len) < 0)
            return 0;
    } else if (call->out.len + len > call->max_body) {
        xeno_fail(&call->err, -EFBIG, "http.size", "%s: the answer has more than %zu bytes",
                  call->shown, call->max_body);
        return 0;
    } else {
        xeno_buf_add(&call->out, data, len);
    }
    return call->cancelled ? 0 : len;
}

static size_t on_part(char *out, size_t size, size_t count, void *user)
{
    struct xeno_http_call *call = user;
    int64_t left = call->part.len - call->part_sent;
    size_t want = size * count;
    ssize_t n;

    if (call->cancelled)
        return CURL_READFUNC_ABORT;
    want = left < (int64_t)want ? (size_t)left : want;
    do
        n = pread(call->part.fd, out, want, call->part.offset + call->part_sent);
    while (n < 0 && errno == EINTR);
    if (n < 0 || (n == 0 && want > 0)) {
        xeno_fail(&call->err, n < 0 ? -errno : -EIO, "http.part",
                  "%s: what is to be sent cannot be read to its end", call->shown);
        return CURL_READFUNC_ABORT;
    }
    call->part_sent += n;
    if (call->part.sent && n > 0)
        call->part.sent((size_t)n, call->arg);
    return (size_t)n;
}

/* A kept connection broke before an answer: libcurl would ask anew on another. Where a repeat does
 * harm it must not, once a byte was sent: the peer may have kept it. */
static int on_rewind(void *user, curl_off_t offset, int origin)
{
    struct xeno_http_call *call = user;

    if ((!call->retry && call->part_sent > 0) || origin != SEEK_SET || offset < 0 ||
        offset > call->part.len)
        return CURL_SEEKFUNC_FAIL;
    call->part_sent = offset;
    return CURL_SEEKFUNC_OK;
}

/* --- before it runs --- */

static void set_method(struct xeno_http_call *call)
{
    bool post = strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0;
    CURL *e = call->easy;

    if (call->part.fd >= 0) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->part.len);
        curl_easy_setopt(e, CURLOPT_READFUNCTION, on_part);
        curl_easy_setopt(e, CURLOPT_READDATA, call);
        curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_rewind);
        curl_easy_setopt(e, CURLOPT_SEEKDATA, call);
    } else if (post || call->body_len > 0) {
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, call->body ? call->body : "");
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
    } else if (strcmp(call->method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, call->method);
}

static void set_web_tls(struct xeno_http_call *call)
{
    CURL *e = call->easy;

    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)WEB_TLS);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    if (call->client->ca_file) {
        curl_easy_setopt(e, CURLOPT_CAINFO, call->client->ca_file);
        curl_easy_setopt(e, CURLOPT_CAPATH, (char *)NULL);
    }
}

static void set_own_tls(struct xeno_http_call *call)
{
    const char *cert = call->foreign ? NULL : call->client->cert_path;
    CURL *e = call->easy;

    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)OWN_TLS);
    /* http_trust_check() decides, in before_request(); see trust.c. */
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(e, CURLOPT_CAINFO, (char *)NULL);
    curl_easy_setopt(e, CURLOPT_CAPATH,
                     (char *)NULL); /* else the system folder is read each time */
    curl_easy_setopt(e, CURLOPT_SSLCERT, cert);
    curl_easy_setopt(e, CURLOPT_SSLKEY, cert);
}

static void set_times(struct xeno_http_call *call, int64_t left)
{
    bool bulk = call->sink || call->part.fd >= 0;
    int64_t connect = CONNECT_MS;

    if (call->retry)
        connect /= 2;
    if (left == WAIT_FOREVER) {
        curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, 0L);
    } else {
        left = left < 1 ? 1 : left;
        connect = connect < left ? connect : left;
        if (call->retry && !bulk && left > TRY_MS)
            left = TRY_MS;
        curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, (long)left);
    }
    curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
    if (bulk) {
        curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_LIMIT, (long)XENO_HTTP_PACE_MIN);
        curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_TIME, (long)call->pace_s);
    }
}

/* Before each try: the credential may be a newer one by now, the URL another. */
void http_transfer_try(struct xeno_http_call *call, int64_t left_ms)
{
    CURL *e = call->easy;

    call->out.len = 0;
    call->refused.code = 0;
    call->part_sent = 0;
    call->head_bytes = 0;
    call->head_seen = false;
    curl_easy_setopt(e, CURLOPT_URL, call->url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, call->sock || call->plain ? "http" : "https");
    curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(e, CURLOPT_SSL_ENABLE_ALPN, 0L);
    if (call->client->web)
        set_web_tls(call);
    else
        set_own_tls(call);
    set_times(call, left_ms);
}

void http_transfer_set_up(struct xeno_http_call *call)
{
    CURL *e = call->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, call);
    if (call->sock)
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, call->sock);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 10L);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_request);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, call);
    set_method(call);
}

/* --- URLs --- */

/* "unix:/sock:/path" becomes the socket and a URL whose host means nothing. */
void http_transfer_url(struct xeno_http_call *call, const char *url)
{
    CURLU *u;
    char *host = NULL, *scheme = NULL, *user = NULL;
    const char *path;
    bool ok;

    if (strncmp(url, "unix:", 5) == 0 && (path = strchr(url + 5, ':')) != NULL) {
        call->sock = xeno_strndup(url + 5, (size_t)(path - url - 5));
        call->url = xeno_asprintf("http://localhost%s", path + 1);
        return;
    }
    free(call->url);
    free(call->host);
    call->url = xeno_strdup(url);
    call->host = NULL;
    u = curl_url();
    ok = curl_url_set(u, CURLUPART_URL, url, CURLU_PATH_AS_IS) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
         curl_url_get(u, CURLUPART_USER, &user, 0) != CURLUE_OK;
    call->plain = ok && strcmp(scheme, "http") == 0;
    if (ok && (strcmp(scheme, "https") == 0 || (call->plain && call->client->plain_loopback))) {
        size_t len = strlen(host);
        bool six = len > 2 && host[0] == '[';

        call->host = six ? xeno_strndup(host + 1, len - 2) : xeno_strdup(host);
        if (call->plain && strcmp(call->host, "localhost") != 0 && !is_loopback(call->host))
            not_loopback(call, call->host);
    } else {
        xeno_fail(&call->err, -EINVAL, "http.url", "'%s' is not a URL that starts with https://",
                  url);
    }
    curl_free(user);
    curl_free(host);
    curl_free(scheme);
    curl_url_cleanup(u);
}
