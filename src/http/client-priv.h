/* src/http/client-priv.h - the client's own structures, shared by its files.
 *
 * A call is, in turn: with libcurl (`flying`), waiting for its next try (`timer` on), or done. It
 * is freed by whoever ends it: finish() after `done`, or xeno_http_cancel(); inside libcurl's
 * callbacks a call can only be marked, and is swept when libcurl has returned.
 */
#ifndef XENO_HTTP_CLIENT_PRIV_H
#define XENO_HTTP_CLIENT_PRIV_H

#include <curl/curl.h>
#include <gnutls/gnutls.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "http/client.h"
#include "http/sse.h"

struct http_tls;
struct dialled;

#define TRUST_CACHE 8

/* Whom we believe to be a server. Certificates that passed lately are kept, since every request on
 * a kept connection asks again. */
struct http_trust {
    const struct xeno_env *env;
    char *ca_pem, *pin_ca;
    struct {
        void *der;
        size_t len;
        struct xeno_cert *cert;
    } known[TRUST_CACHE];
    unsigned next;
};
/* Is the peer of this session a server by our CA, and `server_id`, or else carries `host`?
 * Errors: -EPERM x509.*, http.peer, http.pin. */
int http_trust_check(struct http_trust *t, gnutls_session_t session, const char *server_id,
                     const char *host, struct xeno_err *err);
void http_trust_release(struct http_trust *t);

struct xeno_http_client {
    sd_event *loop;
    sd_event_source *timer; /* libcurl's */
    CURLM *multi;
    struct http_trust trust;
    struct http_tls *tls; /* our credential, or NULL */
    bool web, plain_loopback;
    int (*guard)(void *arg, const struct xeno_http_peer *p, struct xeno_err *err);
    void *guard_arg;
    char *ca_file;
    int cert_fd; /* the same as a file in memory, for libcurl; -1: none */
    char *cert_path;
    unsigned generation;
    struct xeno_http_call *calls;
    struct dialled *dialled; /* upgraded connections */
    unsigned busy;           /* inside a callback of the loop */
    bool in_curl;            /* inside libcurl */
    bool dying;              /* freed while busy */
};

struct xeno_http_call {
    struct xeno_http_client *client;
    CURL *easy;
    struct curl_slist *headers;
    sd_event_source *timer; /* of the next try */
    char *url, *sock, *host, *method, *server_id;
    char *shown; /* the URL as it was asked for, for messages */
    char *body;
    size_t body_len, max_body;
    struct xeno_http_part part; /* fd -1: none */
    int64_t part_sent;          /* of this try */
    size_t head_bytes;          /* of the answer's header so far */
    unsigned redirects, pace_s;
    bool follows; /* redirects were asked to be followed */
    bool foreign; /* redirected to another host: it is shown nothing of ours */
    bool retry, flying, cancelled, started; /* started: a stream's bytes were handed out */
    bool plain;                             /* http:// to the loopback */
    bool head_seen;
    unsigned tries, tries_max; /* tries_max 0: until the deadline */
    xeno_time deadline;        /* monotonic; 0: none */
    struct xeno_err err;
    struct xeno_err refused; /* by the guard, in this try */
    struct xeno_buf out;
    struct xeno_sse sse;
    void (*done)(const struct xeno_http_answer *a, void *arg);
    void (*event)(const char *id, const char *event, const char *data, void *arg);
    void (*piece)(const void *data, size_t len, void *arg);
    int (*head)(const struct xeno_http_answer *a, void *arg, struct xeno_err *err);
    int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err);
    void *arg;
    struct xeno_http_call *prev, *next;
};

/* client.c: around everything that may call back; the client may have been freed meanwhile, and is
 * gone after leave(). */
void http_client_enter(struct xeno_http_client *c);
void http_client_leave(struct xeno_http_client *c);

/* transfer.c: what libcurl is told about a call, once and before each try. */
void http_transfer_set_up(struct xeno_http_call *call);
void http_transfer_try(struct xeno_http_call *call, int64_t left_ms);
/* Take the URL in, or fill call->err. */
void http_transfer_url(struct xeno_http_call *call, const char *url);

/* redirect.c: is the answer one to be followed? Then the call has its next URL, or call->err. */
bool http_redirect(struct xeno_http_call *call, int status);

/* call.c */
void http_call_free(struct xeno_http_call *call);
void http_call_completed(struct xeno_http_call *call, CURLcode res); /* libcurl is done with it */

/* The wait before the next try after so many: doubled each time, a random half of it, so that many
 * clients that failed together do not come back together; not before the server asked them to
 * (Retry-After). */
uint64_t http_retry_wait_ms(unsigned tries, int64_t asked_s, uint32_t rnd);

/* dial.c */
void http_dialled_release(struct xeno_http_client *c);

#endif
