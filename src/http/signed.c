/* src/http/signed.c - blocking, signed calls by libcurl's easy interface. */
#include "http/signed.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/enc.h"
#include "crypto/key.h"

#define IDLE_MAX      16
#define CONNECT_MS    10000
#define PACE_BYTES    1024
#define WAIT_FIRST_MS 100
#define WAIT_MOST_MS  5000
#define STOP_LOOK_MS  100
#define HASH_BYTES    (256 << 10)

struct xeno_signed {
    const struct xeno_env *env;
    char *base, *access, *secret, *ca_file, *sign;
    const char *scheme;
    xeno_time patience;
    atomic_bool stopped;
    pthread_mutex_t lock;
    CURL *idle[IDLE_MAX]; /* with their connections */
    size_t idle_count;
};

/* One try of a call. */
struct attempt {
    struct xeno_signed *s;
    const struct xeno_signed_ask *ask;
    struct xeno_err *err;
    CURL *easy;
    struct xeno_buf body;
    int64_t sent;
    int result; /* below zero: we ended it, and err says why */
    bool begun;
    bool torn; /* no answer, but another try may have one */
    char why[CURL_ERROR_SIZE];
};

static bool is_loopback(const char *host)
{
    struct in_addr a;

    return strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &a) == 1 && ntohl(a.s_addr) >> 24 == 127);
}

static int check_base(struct xeno_signed *s, struct xeno_err *err)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *path = NULL, *user = NULL;
    bool ok = curl_url_set(u, CURLUPART_URL, s->base, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
              curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK && strcmp(path, "/") == 0 &&
              curl_url_get(u, CURLUPART_USER, &user, 0) != CURLUE_OK;
    bool tls = ok && strcmp(scheme, "https") == 0;
    bool plain = ok && strcmp(scheme, "http") == 0 && is_loopback(host);

    s->scheme = tls ? "https" : "http";
    curl_free(scheme);
    curl_free(host);
    curl_free(path);
    curl_free(user);
    curl_url_cleanup(u);
    return tls || plain
               ? 0
               : xeno_fail(err, -EINVAL, "signed.url",
                           "'%.200s' is not https://HOST[:PORT]; http:// goes to a numeric "
                           "address of the loopback only",
                           s->base);
}

int xeno_signed_new(const struct xeno_signed_opts *opts, struct xeno_signed **ret,
                    struct xeno_err *err)
{
    struct xeno_signed *s = xeno_new0(struct xeno_signed);
    int r;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort(); /* out of memory */
    s->env = opts->env;
    s->base = xeno_strdup(opts->base);
    s->access = xeno_strdup(opts->access);
    s->secret = xeno_strdup(opts->secret);
    s->ca_file = xeno_strdup(opts->ca_file);
    s->sign = xeno_asprintf("aws:amz:%s:s3", opts->region);
    s->patience = opts->patience;
    pthread_mutex_init(&s->lock, NULL);
    r = check_base(s, err);
    if (r < 0)
        xeno_signed_free(s);
    else
        *ret = s;
    return r;
}

void xeno_signed_free(struct xeno_signed *s)
{
    if (!s)
        return;
    while (s->idle_count > 0)
        curl_easy_cleanup(s->idle[--s->idle_count]);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(s->secret, strlen(s->secret));
    free(s->base);
    free(s->access);
    free(s->secret);
    free(s->ca_file);
    free(s->sign);
    free(s);
}

void xeno_signed_stop(struct xeno_signed *s)
{
    atomic_store(&s->stopped, true);
}

static CURL *take_easy(struct xeno_signed *s)
{
    CURL *e = NULL;

    pthread_mutex_lock(&s->lock);
    if (s->idle_count > 0)
        e = s->idle[--s->idle_count];
    pthread_mutex_unlock(&s->lock);
    if (e)
        curl_easy_reset(e);
    else if (!(e = curl_easy_init()))
        abort(); /* out of memory */
    return e;
}

static void give_easy(struct xeno_signed *s, CURL *e)
{
    pthread_mutex_lock(&s->lock);
    if (s->idle_count < IDLE_MAX) {
        s->idle[s->idle_count++] = e;
        e = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    if (e)
        curl_easy_cleanup(e);
}

/* --- one try --- */

static size_t on_read(char *out, size_t size, size_t count, void *user)
{
    struct attempt *t = user;
    size_t want = size * count, left = (size_t)(t->ask->len - t->sent);
    ssize_t n;

    if (want > left)
        want = left;
    if (t->ask->body) {
        memcpy(out, (const char *)t->ask->body + t->sent, want);
        n = (ssize_t)want;
    } else {
        do
            n = pread(t->ask->fd, out, want, t->ask->offset + t->sent);
        while (n < 0 && errno == EINTR);
    }
    if (n < 0 || (n == 0 && want > 0)) {
        t->result = xeno_fail(t->err, -EIO, "signed.read", "what is to be sent cannot be read");
        return CURL_READFUNC_ABORT;
    }
    t->sent += n;
    return (size_t)n;
}

/* libcurl sends a body again by itself when a kept connection turns out to be closed. */
static int on_seek(void *user, curl_off_t offset, int origin)
{
    struct attempt *t = user;

    if (origin != SEEK_SET || offset < 0 || offset > t->ask->len)
        return CURL_SEEKFUNC_FAIL;
    t->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *data, size_t size, size_t count, void *user)
{
    struct attempt *t = user;
    size_t len = size * count;
    long status = 0;

    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (t->ask->sink && status == 200) {
        if (!t->begun)
            t->result = t->ask->begin(t->ask->arg, t->err);
        t->begun = true;
        if (t->result == 0)
            t->result = t->ask->sink(data, len, t->ask->arg, t->err);
    } else if (!xeno_buf_add(&t->body, data, len)) {
        t->result =
            xeno_fail(t->err, -EFBIG, "signed.size",
                      "the object store's answer has more than %d bytes", XENO_SIGNED_ANSWER_MAX);
    }
    return t->result < 0 ? 0 : len;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct attempt *t = user;

    (void)a, (void)b, (void)c, (void)d;
    return atomic_load(&t->s->stopped);
}

static void set_body(struct attempt *t)
{
    if (t->ask->len == 0 && strcmp(t->ask->method, "GET") == 0)
        return;
    if (strcmp(t->ask->method, "DELETE") != 0) {
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->ask->len);
        curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    }
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, t->ask->method);
}

static void set_peer(struct attempt *t)
{
    struct xeno_signed *s = t->s;
    long pace_s = (long)(s->patience.ns / XENO_NS_PER_S);
    int64_t connect_ms = s->patience.ns / XENO_NS_PER_MS;
    CURL *e = t->easy;

    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, s->scheme);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    if (s->ca_file) {
        curl_easy_setopt(e, CURLOPT_CAINFO, s->ca_file);
        curl_easy_setopt(e, CURLOPT_CAPATH, (char *)NULL);
    }
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(connect_ms < CONNECT_MS ? connect_ms : CONNECT_MS));
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, (long)PACE_BYTES);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, pace_s > 0 ? pace_s : 1L);
}

static CURLcode perform(struct attempt *t, const char *url, struct curl_slist *headers)
{
    CURL *e = t->easy;

    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(e, CURLOPT_AWS_SIGV4, t->s->sign);
    curl_easy_setopt(e, CURLOPT_USERNAME, t->s->access);
    curl_easy_setopt(e, CURLOPT_PASSWORD, t->s->secret);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->why);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(e, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(e, CURLOPT_XFERINFODATA, t);
    curl_easy_setopt(e, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)t->ask->rate);
    set_peer(t);
    set_body(t);
    return curl_easy_perform(e);
}

static int fail_try(struct attempt *t, CURLcode c)
{
    if (t->result < 0)
        return t->result;
    if (c == CURLE_ABORTED_BY_CALLBACK)
        return xeno_fail(t->err, -ECANCELED, "signed.stopped", "stopped");
    if (c == CURLE_PEER_FAILED_VERIFICATION || c == CURLE_SSL_CACERT_BADFILE)
        return xeno_fail(t->err, -EPERM, "signed.tls", "%s is not trusted: %s", t->s->base,
                         *t->why ? t->why : curl_easy_strerror(c));
    t->torn = true;
    return xeno_fail(t->err, -EAGAIN, "signed.away", "%s does not answer: %s", t->s->base,
                     *t->why ? t->why : curl_easy_strerror(c));
}

static int try_once(struct attempt *t, const char *url, struct curl_slist *headers,
                    struct xeno_signed_answer *ret)
{
    struct curl_header *etag;
    long status = 0;
    CURLcode c;

    t->easy = take_easy(t->s);
    c = perform(t, url, headers);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (curl_easy_header(t->easy, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK &&
        strlen(etag->value) < sizeof ret->etag)
        strcpy(ret->etag, etag->value);
    give_easy(t->s, t->easy);
    if (c != CURLE_OK)
        return fail_try(t, c);
    if (t->ask->sink && status == 200 && !t->begun) /* it is empty */
        t->result = t->ask->begin(t->ask->arg, t->err);
    ret->status = (int)status;
    ret->len = t->body.len;
    ret->body = t->body.len ? xeno_buf_take(&t->body, NULL) : xeno_strdup("");
    return t->result;
}

/* --- until the patience is over --- */

static bool may_pass(int status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
           status == 504;
}

/* "503 (SlowDown)": what S3 says of an error is in its <Code>. */
static int fail_status(const struct xeno_signed *s, const struct xeno_signed_answer *a,
                       struct xeno_err *err)
{
    const char *code = strstr(a->body, "<Code>");
    int len = code ? (int)strcspn(code + 6, "<") : 0;

    return xeno_fail(err, -EAGAIN, "signed.away", "%s answers %d (%.*s): try again later", s->base,
                     a->status, len > 60 ? 60 : len, code ? code + 6 : "");
}

/* Returns: false when there is no time left for it. */
static bool pause_before(struct xeno_signed *s, unsigned tries, xeno_time end)
{
    int64_t most = (int64_t)WAIT_FIRST_MS << (tries < 8 ? tries : 8), wait;
    uint32_t dice;

    xeno_random(s->env, &dice, sizeof dice);
    if (most > WAIT_MOST_MS)
        most = WAIT_MOST_MS;
    wait = most / 2 + (int64_t)(dice % (uint32_t)(most / 2));
    if (xeno_mono(s->env).ns + wait * XENO_NS_PER_MS >= end.ns)
        return false;
    for (; wait > 0 && !atomic_load(&s->stopped); wait -= STOP_LOOK_MS)
        nanosleep(&(struct timespec){ .tv_nsec = (wait < STOP_LOOK_MS ? wait : STOP_LOOK_MS) *
                                                 XENO_NS_PER_MS },
                  NULL);
    return true;
}

static int hash_body(const struct xeno_signed_ask *ask, char hex[65], struct xeno_err *err)
{
    xeno_auto(xeno_sha256) sha = xeno_sha256_new();
    xeno_autofree char *buf = ask->body ? NULL : xeno_alloc0(1, HASH_BYTES);
    uint8_t sum[32];
    int64_t at = 0;

    if (ask->body)
        xeno_sha256_add(sha, ask->body, (size_t)ask->len);
    while (!ask->body && at < ask->len) {
        int64_t left = ask->len - at;
        ssize_t n =
            pread(ask->fd, buf, left < HASH_BYTES ? (size_t)left : HASH_BYTES, ask->offset + at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return xeno_fail(err, -EIO, "signed.read", "what is to be sent cannot be read");
        xeno_sha256_add(sha, buf, (size_t)n);
        at += n;
    }
    xeno_sha256_end(sha, sum);
    xeno_hex(sum, sizeof sum, hex);
    return 0;
}

static int call_until(struct xeno_signed *s, const struct xeno_signed_ask *ask, const char *url,
                      struct curl_slist *headers, struct xeno_signed_answer *ret,
                      struct xeno_err *err)
{
    xeno_time end = xeno_time_add(xeno_mono(s->env), s->patience);

    for (unsigned tries = 0;; tries++) {
        struct attempt t = { .s = s, .ask = ask, .err = err, .body = XENO_BUF_INIT };
        struct xeno_signed_answer a = { .status = 0 };
        int r;

        t.body.max = XENO_SIGNED_ANSWER_MAX;
        if (atomic_load(&s->stopped))
            return xeno_fail(err, -ECANCELED, "signed.stopped", "stopped");
        r = try_once(&t, url, headers, &a);
        xeno_buf_release(&t.body);
        if (r == 0 && !may_pass(a.status)) {
            *ret = a;
            return 0;
        }
        if (r == 0)
            r = fail_status(s, &a, err);
        else if (!t.torn)
            tries = UINT32_MAX;
        free(a.body);
        if (tries == UINT32_MAX || !pause_before(s, tries, end))
            return r;
    }
}

int xeno_signed_call(struct xeno_signed *s, const struct xeno_signed_ask *ask,
                     struct xeno_signed_answer *ret, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s%s%s%s", s->base, ask->path, ask->query ? "?" : "",
                                            ask->query ? ask->query : "");
    struct xeno_err kept = XENO_ERR_INIT;
    char hex[65], header[100];
    struct curl_slist *headers;
    int r = hash_body(ask, hex, err);

    if (r < 0)
        return r;
    snprintf(header, sizeof header, "x-amz-content-sha256: %s", hex);
    headers = curl_slist_append(NULL, header);
    if (!headers)
        abort(); /* out of memory */
    r = call_until(s, ask, url, headers, ret, &kept);
    curl_slist_free_all(headers);
    if (r < 0 && err)
        *err = kept;
    return r;
}
