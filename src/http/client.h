/* src/http/client.h - an asynchronous HTTP client on the program's sd-event loop (libcurl multi).
 *
 * TLS 1.3 with our key and credential, the server's certificate checked against the CA and, when
 * asked, against the party id it must have; or plain HTTP over a unix socket. Connections are kept.
 * A request with `retry` set (only where a repeat does no harm: it has an Idempotency-Key, or is a
 * GET) is tried again with growing, jittered waits until its deadline.
 * A name in a URL (not a numeric address) is looked up by a helper thread of libcurl.
 * Without `server_id` the certificate must be a server's, node's or XenoCorp's and carry the URL's
 * host; with it the id decides and the host is not looked at. Both are checked before a byte of the
 * request is sent.
 * A client for the web (`web`) is for other people's servers: TLS 1.2 or later, the certificate
 * checked by the CAs of this machine and for the URL's host, and no credential of ours is shown.
 *
 * An answer of any size goes to a `sink` piece by piece: nothing more is read from the peer before
 * the sink has returned, and nothing is held. Such a call has no deadline but a pace: less than
 * XENO_HTTP_PACE_MIN bytes a second for `pace_s` seconds ends it (http.pace). An answer's headers
 * are at most 64 KiB.
 * Context: the thread of the loop. Callbacks never run inside xeno_http_send(); the _wait forms run
 * the loop, so they are never called from a callback of it.
 */
#ifndef XENO_HTTP_CLIENT_H
#define XENO_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/x509.h"
#include "json/json.h"

struct sd_event;
struct sockaddr;
struct xeno_http_client;
struct xeno_http_call; /* a request under way */

/* A connection that is about to be made. Borrowed for the call. */
struct xeno_http_peer {
    const struct sockaddr *address; /* with its port */
    const char *host;               /* of the URL, or of the one that it was redirected to */
};

struct xeno_http_client_opts {
    const struct xeno_env *env;
    const char *ca_pem;   /* NULL: nobody is trusted but a pinned CA id (pin_ca) */
    const char *pin_ca;   /* enrolment: trust the server whose CA certificate has this id */
    const char *cert_pem; /* NULL: anonymous */
    const struct xeno_key *key;
    bool web; /* other people's servers, as above; without all of the above but env */
    const char
        *ca_file; /* web: trust these CAs (PEM) and not this machine's; NULL: the machine's */
    bool plain_loopback; /* web: "http://" too, to an address of the loopback only */
    /* May this address be connected to? NULL: any may. Asked for each address that a name has, just
     * before the connection, also after a redirect; so a name cannot lead elsewhere by what it
     * means a moment later. Less than zero with err: no, and when none is left the request ends
     * with that error. guard_arg: the same; borrowed. */
    int (*guard)(void *arg, const struct xeno_http_peer *p, struct xeno_err *err);
    void *guard_arg;
};
int xeno_http_client_new(struct sd_event *loop, const struct xeno_http_client_opts *opts,
                         struct xeno_http_client **ret, struct xeno_err *err);
void xeno_http_client_free(
    struct xeno_http_client *c); /* calls under way are dropped, no callback */
XENO_DEFINE_AUTO(xeno_http_client, xeno_http_client_free);
int xeno_http_client_cert(struct xeno_http_client *c, const char *cert_pem,
                          const struct xeno_key *key, struct xeno_err *err);

bool xeno_http_client_is_web(const struct xeno_http_client *c);

struct xeno_http_answer {
    int status;       /* 0: no answer came; err says why */
    const char *body; /* borrowed; followed by a zero byte */
    size_t len;
    const char *type;            /* content type, "" when none */
    const struct xeno_err *err;  /* set for no answer and for a status that is not 2xx */
    struct xeno_http_call *call; /* for the headers; NULL: there are none */
};
/* A header of the answer, its last line when there are several; NULL: it has none. Borrowed until
 * the next question or the callback's end. */
const char *xeno_http_answer_header(const struct xeno_http_answer *a, const char *name);
/* Line `i`, from 0, of a header that may come more than once; NULL: there are not so many. */
const char *xeno_http_answer_line(const struct xeno_http_answer *a, const char *name, size_t i);

/* A trailer field, once the answer is over (in `done`); NULL: it has none. Borrowed as above. */
const char *xeno_http_answer_trailer(const struct xeno_http_answer *a, const char *name);

struct xeno_http_header {
    const char *name, *value;
};

/* A part of a file as a body, read as it leaves, again from `offset` when the request is repeated.
 * `sent`, unless NULL, hears of bytes handed to the network, repeats included. */
struct xeno_http_part {
    int fd; /* borrowed until `done` */
    int64_t offset, len;
    void (*sent)(size_t len, void *arg);
};

#define XENO_HTTP_PACE_MIN  1024 /* bytes a second */
#define XENO_HTTP_PACE_S    30
#define XENO_HTTP_REDIRECTS 5

struct xeno_http_ask {
    const char *method;
    const char *url; /* "https://host:port/path" or "unix:/sock:/path" */
    /* The party id its certificate must have; NULL: any of our CA. A XenoCorp serves with a key
     * that is not its CA's: for its id a certificate of kind corp by that CA, for that host, is
     * right. */
    const char *server_id;
    const char *type; /* of the body; NULL: application/json */
    const void *body; /* copied */
    size_t body_len;
    const struct xeno_http_part *part;      /* a body of any size instead; copied */
    const struct xeno_http_header *headers; /* further ones; copied */
    size_t header_count;
    const char *idempotency_key; /* NULL: none */
    bool retry;
    unsigned tries; /* of a `retry`; 0: until the deadline */
    /* Follow so many (GET and HEAD; 0: a redirect is an answer like others). https stays https; to
     * another host goes neither an Authorization nor our credential. Errors: -ELOOP http.redirect,
     * -EPROTO http.redirect. */
    unsigned redirects;
    unsigned pace_s;    /* with a sink or a part; 0: XENO_HTTP_PACE_S */
    xeno_time deadline; /* length from now, over all tries; 0: 30 s; streams: none */
    size_t max_body;    /* of the answer; 0: 4 MiB */
    void (*done)(const struct xeno_http_answer *a, void *arg); /* exactly once, unless cancelled */
    /* For streams: each server-sent event, or each piece of another body; `done` at the end. */
    void (*event)(const char *id, const char *event, const char *data, void *arg);
    void (*piece)(const void *data, size_t len, void *arg);
    /* Only for an answer that is 2xx: `head` (NULL allowed) once, with status and headers, before
     * its first byte; then the bytes. < 0 with err ends the call. Once a byte was handed out the
     * request is not repeated. */
    int (*head)(const struct xeno_http_answer *a, void *arg, struct xeno_err *err);
    int (*sink)(const void *data, size_t len, void *arg, struct xeno_err *err);
    void *arg;
};
/* Returns the call; the client's, gone once `done` was called. */
struct xeno_http_call *xeno_http_send(struct xeno_http_client *c, const struct xeno_http_ask *ask);
void xeno_http_cancel(struct xeno_http_call *call); /* `done` is not called */

/* Send and run the loop until the answer is here: for the CLI and tests. On status 2xx 0 and the
 * body (the caller's; NULL allowed); else the problem in err. */
int xeno_http_wait(struct xeno_http_client *c, const struct xeno_http_ask *ask, int *ret_status,
                   char **ret_body, size_t *ret_len, struct xeno_err *err);

/* `text` as one segment of a path or one value of a query (RFC 3986 2.1); the caller's. */
char *xeno_http_escape(const char *text);

/* Ask for an upgrade to `protocol`; blocking until answered (CLI, tests). Returns a connected,
 * non-blocking stream socket with the bytes after TLS (a pump in the loop carries them). */
int xeno_http_upgrade_wait(struct xeno_http_client *c, const char *url, const char *server_id,
                           const char *protocol, int *ret_fd, struct xeno_err *err);

#endif
