/* src/http/client.c - libcurl's multi interface in the sd-event loop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <utlist.h>

#include "http/client-priv.h"
#include "http/tls-priv.h"

/* --- the loop --- */

static void really_free(struct xeno_http_client *c)
{
    struct xeno_http_call *call, *next;

    DL_FOREACH_SAFE (c->calls, call, next) {
        http_call_free(call);
    }
    http_dialled_release(c);
    if (c->multi)
        curl_multi_cleanup(c->multi);
    sd_event_source_disable_unref(c->timer);
    sd_event_unref(c->loop);
    http_trust_release(&c->trust);
    http_tls_unref(c->tls);
    if (c->cert_fd >= 0)
        close(c->cert_fd);
    free(c->cert_path);
    free(c->ca_file);
    free(c);
}

void http_client_enter(struct xeno_http_client *c)
{
    c->busy++;
}

void http_client_leave(struct xeno_http_client *c)
{
    if (--c->busy == 0 && c->dying)
        really_free(c);
}

static void sweep(struct xeno_http_client *c)
{
    struct xeno_http_call *call, *next;

    DL_FOREACH_SAFE (c->calls, call, next) {
        if (call->cancelled)
            http_call_free(call);
    }
}

/* Let libcurl work on a socket or its timeout, then end what has ended. `done` may send, cancel
 * and even free the client. */
static void act(struct xeno_http_client *c, curl_socket_t fd, int mask)
{
    CURLMsg *msg;
    int running, left;

    http_client_enter(c);
    c->in_curl = true;
    curl_multi_socket_action(c->multi, fd, mask, &running);
    c->in_curl = false;
    sweep(c);
    while (!c->dying && (msg = curl_multi_info_read(c->multi, &left)) != NULL) {
        struct xeno_http_call *call = NULL;
        CURLcode res = msg->data.result;

        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &call);
        curl_multi_remove_handle(c->multi, msg->easy_handle);
        http_call_completed(call, res);
    }
    http_client_leave(c);
}

static int on_socket(sd_event_source *src, int fd, uint32_t events, void *user)
{
    int mask = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
               (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
               (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);

    (void)src;
    act(user, fd, mask);
    return 0;
}

static int on_timer(sd_event_source *src, uint64_t usec, void *user)
{
    (void)src;
    (void)usec;
    act(user, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *slot)
{
    struct xeno_http_client *c = user;
    sd_event_source *src = slot;
    uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(src);
        curl_multi_assign(c->multi, fd, NULL);
    } else if (src) {
        sd_event_source_set_io_events(src, events);
    } else if (sd_event_add_io(c->loop, &src, fd, events, on_socket, c) >= 0) {
        curl_multi_assign(c->multi, fd, src);
    } else {
        return -1;
    }
    return 0;
}

static int want_timer(CURLM *multi, long ms, void *user)
{
    struct xeno_http_client *c = user;
    uint64_t now;

    (void)multi;
    if (ms < 0) {
        sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        return 0;
    }
    sd_event_now(c->loop, CLOCK_MONOTONIC, &now);
    sd_event_source_set_time(c->timer, now + (uint64_t)ms * 1000);
    sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
    return 0;
}

/* --- the client --- */

/* libcurl with GnuTLS reads certificate and key from files only; this one is in memory. Its path
 * differs from one credential to the next, since connections are kept by it. */
static int credential_file(const char *cert_pem, const struct xeno_key *key, int *ret,
                           struct xeno_err *err)
{
    xeno_autoclose int fd = memfd_create("credential", MFD_CLOEXEC);
    char *pem = NULL;
    int r;

    if (fd < 0)
        return xeno_fail_errno(err, -errno, "http.tls", "keep the credential in memory");
    r = xeno_key_pem(key, &pem, err);
    if (r < 0)
        return r;
    if (dprintf(fd, "%s\n%s\n", cert_pem, pem) < 0)
        r = xeno_fail_errno(err, -errno, "http.tls", "keep the credential in memory");
    xeno_wipe(pem, strlen(pem));
    free(pem);
    if (r == 0)
        *ret = xeno_take_fd(&fd);
    return r;
}

int xeno_http_client_cert(struct xeno_http_client *c, const char *cert_pem,
                          const struct xeno_key *key, struct xeno_err *err)
{
    struct http_tls *tls = NULL;
    int fd = -1, r;

    r = http_tls_new(cert_pem, key, &tls, err);
    if (r < 0)
        return r;
    r = credential_file(cert_pem, key, &fd, err);
    if (r < 0) {
        http_tls_unref(tls);
        return r;
    }
    http_tls_unref(c->tls);
    c->tls = tls;
    if (c->cert_fd >= 0)
        close(c->cert_fd);
    c->cert_fd = fd;
    free(c->cert_path);
    c->cert_path = xeno_asprintf("/proc/self/fd/%.*s%d", 2 * (int)(c->generation++ % 16),
                                 "././././././././././././././././", fd);
    return 0;
}

int xeno_http_client_new(struct sd_event *loop, const struct xeno_http_client_opts *opts,
                         struct xeno_http_client **ret, struct xeno_err *err)
{
    xeno_auto(xeno_http_client) c = xeno_new0(struct xeno_http_client);
    int r = 0;

    c->cert_fd = -1;
    xeno_crypto_init();
    signal(SIGPIPE, SIG_IGN);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(c->multi = curl_multi_init()))
        return xeno_fail(err, -EIO, "http.transport", "libcurl cannot be started");
    c->loop = sd_event_ref(loop);
    c->trust.env = opts->env;
    c->trust.ca_pem = xeno_strdup(opts->ca_pem);
    c->trust.pin_ca = xeno_strdup(opts->pin_ca);
    c->web = opts->web;
    c->ca_file = xeno_strdup(opts->ca_file);
    c->plain_loopback = opts->plain_loopback;
    c->guard = opts->guard;
    c->guard_arg = opts->guard_arg;
    if (opts->cert_pem)
        r = xeno_http_client_cert(c, opts->cert_pem, opts->key, err);
    if (r < 0)
        return r;
    r = sd_event_add_time_relative(loop, &c->timer, CLOCK_MONOTONIC, 0, 1, on_timer, c);
    if (r < 0)
        return xeno_fail_errno(err, r, "http.transport", "join the event loop");
    sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    *ret = xeno_take(&c);
    return 0;
}

bool xeno_http_client_is_web(const struct xeno_http_client *c)
{
    return c->web;
}

void xeno_http_client_free(struct xeno_http_client *c)
{
    struct xeno_http_call *call;

    if (!c)
        return;
    if (c->busy == 0) {
        really_free(c);
        return;
    }
    c->dying = true;
    DL_FOREACH (c->calls, call) {
        call->cancelled = true;
    }
}
