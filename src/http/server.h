/* src/http/server.h - an HTTP/1.1 server over TLS 1.3, driven by the program's sd-event loop.
 *
 * Routes are a const table. A handler answers at once or keeps the request and answers later; the
 * body is whole before it is called. Errors leave as problem documents (RFC 9457) made from a
 * `struct xeno_err`. Client certificates are checked here against the CA and the revocation list
 * before a handler sees anything; libmicrohttpd does not do it (recipes, libraries.md 1).
 *
 * A body that may be large goes to a sink piece by piece as it arrives, and a file is an answer of
 * any size; such a transfer may take as long as it needs while it goes on at XENO_HTTP_PACE.
 *
 * Bounds: connections in all and per peer address, header bytes, requests a peer has running, bytes
 * of answers that it has not read, seconds for a request to arrive: all from struct
 * xeno_http_limits. Bytes of a body: by route.
 * Context: the thread of the loop. SIGPIPE is ignored from the first server or client on.
 */
#ifndef XENO_HTTP_SERVER_H
#define XENO_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/x509.h"
#include "json/json.h"

struct sd_event;
struct xeno_http_server;
struct xeno_http_req;    /* one request, until it is answered */
struct xeno_http_stream; /* a server-sent events or chunked answer, until it is closed */

enum {
    XENO_ROUTE_ANON = 1 << 0,       /* needs no client certificate */
    XENO_ROUTE_IDEMPOTENT = 1 << 1, /* POST that spends or creates: Idempotency-Key is required */
};

/* Where the bytes of a body go while it arrives. */
struct xeno_http_sink {
    /* The header is there and right: make what takes the body, or refuse it. */
    int (*open)(struct xeno_http_req *q, void *user, void **ret, struct xeno_err *err);
    int (*add)(void *arg, const void *data, size_t len, struct xeno_err *err);
    void (*drop)(void *arg); /* the body did not come to its end, or the handler left it */
};

struct xeno_http_route {
    const char *method;
    /* "/v1/orders/{order}": {x} is one segment, read by xeno_http_param(); {x*}, once in a path, is
     * one or more with the slashes between them. */
    const char *path;
    unsigned flags;
    size_t max_body; /* bytes; 0: no body allowed */
    void (*handle)(struct xeno_http_req *q, void *user);
    const struct xeno_http_sink *sink; /* NULL: the body is held in memory, xeno_http_body() */
};

/* Bytes a second that a body for a sink, or a file, must go on with on the average; it may stand
 * still for request_s. */
#define XENO_HTTP_PACE (8 * 1024)

struct xeno_http_limits {
    unsigned connections, connections_per_address, running_per_peer;
    unsigned header_bytes, idle_s, request_s; /* seconds */
    /* Of a peer's answers in memory that it has not read yet: while it has more, its next requests
     * are refused. */
    size_t unsent_bytes;
};
extern const struct xeno_http_limits xeno_http_limits_default;

struct xeno_http_server_opts {
    const char *listen;   /* "127.0.0.1:8443", "[::1]:0"; port 0: any */
    int listen_fd;        /* an already open socket instead (socket activation); -1: none */
    const char *cert_pem; /* chain, leaf first */
    const struct xeno_key *key;
    const char *ca_pem; /* whose clients may come; several allowed */
    const struct xeno_env *env;
    const struct xeno_http_limits *limits; /* NULL: the default */
    const struct xeno_http_route *routes;  /* ends with method NULL; borrowed for ever */
    void *user;                            /* for the handlers */
    /* May add members to each problem document before it leaves, also to those that are made here,
     * and headers to the answer: for an API whose clients know errors in another form. NULL:
     * nothing is added. */
    void (*problem)(struct xeno_http_req *q, const struct xeno_err *err, struct xeno_json *problem,
                    void *user);
    /* Asked at each request, and each second of a stream, which then ends. NULL: nothing is. */
    bool (*revoked)(const char *serial, void *user);
    void *revoked_user; /* for it; NULL: `user` */
    /* Kept answers of idempotent POSTs, so that a repeat gets the first answer again. Both NULL:
     * kept in memory (bounded, 10 minutes). `key` is peer id, method and path, Idempotency-Key;
     * `body_sha` covers the query and the body. idem_get returns true when the key is known:
     * with status and body (the server frees it) when it was kept for the same body_sha, with
     * *ret_status 0 when it was another (the peer gets 422 http.idempotency). Only JSON answers
     * below 500 are put. A repeat that comes while the first is still at work waits for its
     * answer, without a handler being called. */
    bool (*idem_get)(const char *key, const char *body_sha, int *ret_status, char **ret_body,
                     void *user);
    void (*idem_put)(const char *key, const char *body_sha, int status, const char *body,
                     void *user);
};

/* A socket that listens at "127.0.0.1:8443" or "[::1]:0"; the server makes its own, this is for
 * whoever wants to know whether it could. Errors: http.listen, -EADDRINUSE among them. */
int xeno_http_listen(const char *text, int *ret_fd, struct xeno_err *err);

/* Errors: token http.listen, http.tls. */
int xeno_http_server_new(struct sd_event *loop, const struct xeno_http_server_opts *opts,
                         struct xeno_http_server **ret, struct xeno_err *err);
void xeno_http_server_free(struct xeno_http_server *s); /* open requests are dropped */
XENO_DEFINE_AUTO(xeno_http_server, xeno_http_server_free);
unsigned xeno_http_server_port(const struct xeno_http_server *s);
/* A renewed certificate, for connections from now on. */
int xeno_http_server_cert(struct xeno_http_server *s, const char *cert_pem,
                          const struct xeno_key *key, struct xeno_err *err);

/* --- reading a request; everything is borrowed until it is answered --- */
const struct xeno_cert *xeno_http_peer(const struct xeno_http_req *q); /* NULL: anonymous */
/* Why is there none, on a route that takes anonymous ones? Returns: -EACCES, with err saying that
 * none was shown (http.credential) or what is wrong with the one that was (x509.*). */
int xeno_http_why_anonymous(const struct xeno_http_req *q, struct xeno_err *err);
const char *xeno_http_method(const struct xeno_http_req *q);
const char *xeno_http_path(const struct xeno_http_req *q);
const char *xeno_http_param(const struct xeno_http_req *q, const char *name); /* of the route */
const char *xeno_http_query(const struct xeno_http_req *q, const char *name); /* or NULL */
/* All values that a name has in the query, in order. Returns: how many there are; the first `max`
 * of them are in ret. */
size_t xeno_http_query_all(const struct xeno_http_req *q, const char *name, const char **ret,
                           size_t max);
const char *xeno_http_header(const struct xeno_http_req *q, const char *name); /* or NULL */
const char *xeno_http_body(const struct xeno_http_req *q, size_t *ret_len);
/* Is the content type this one (parameters aside)? */
bool xeno_http_is_type(const struct xeno_http_req *q, const char *type);
/* Parse the body as JSON; when it is not, the request is answered with the problem: return. */
int xeno_http_body_json(struct xeno_http_req *q, struct xeno_json **ret);

/* What the sink's open() made, with the whole body in it; the caller's from now on. */
void *xeno_http_sunk(struct xeno_http_req *q);
/* The one range of bytes that is asked for, of content of `size` bytes (RFC 9110 14.2).
 * Returns: 0, and all of it, when there is none, several, or another unit; 1 and the range;
 * -ENXIO http.range when it begins behind the end. */
int xeno_http_range(const struct xeno_http_req *q, int64_t size, int64_t *ret_offset,
                    int64_t *ret_len, struct xeno_err *err);

/* --- answering: exactly one of these, once; q is gone after --- */
/* A header of the answer to come, also of a problem document. Copied; control characters become a
 * space. */
void xeno_http_set_header(struct xeno_http_req *q, const char *name, const char *value);
/* `len` bytes of a file from `offset` on; fd is taken. They are read while the answer leaves: bytes
 * of the file that are gone by then end the connection. */
void xeno_http_reply_file(struct xeno_http_req *q, int status, const char *type, int fd,
                          int64_t offset, int64_t len);
/* Somebody who sees the bytes of such an answer before they leave. */
struct xeno_http_watch {
    /* Each piece, in order; the peer gets the last one only when this returns true: else the
     * connection ends, so that it knows that it has not all of it. */
    bool (*seen)(void *arg, const void *data, size_t len, bool last);
    void (*done)(void *arg); /* the answer is over, whatever came of it */
    void *arg;
};
/* The same, watched; to HEAD nothing is seen. */
void xeno_http_reply_watched(struct xeno_http_req *q, int status, const char *type, int fd,
                             int64_t offset, int64_t len, const struct xeno_http_watch *watch);
void xeno_http_reply_json(struct xeno_http_req *q, int status, struct xeno_json *body); /* taken */
void xeno_http_reply_data(struct xeno_http_req *q, int status, const char *type, const void *data,
                          size_t len);
/* An answer that is made while it leaves, so that who reads slowly has it made slowly: `more`
 * writes its next bytes to `to`, `max` at most (some KiB), and returns how many; 0: that was all.
 * It must not touch the request, and cannot wait. `done` is called once, at the end or when the
 * peer left. What was read of the request stays valid until then, and it counts as running until
 * then. */
struct xeno_http_make {
    size_t (*more)(void *arg, char *to, size_t max);
    void (*done)(void *arg);
    void *arg;
};
void xeno_http_reply_made(struct xeno_http_req *q, int status, const char *type,
                          const struct xeno_http_make *make);
/* Problem document: type = token, status from the errno (table in problem.c), detail = text. */
void xeno_http_reply_err(struct xeno_http_req *q, const struct xeno_err *err);
/* The same with members of its own ("limit", "asked", "left", "element"); `extra` is taken. */
void xeno_http_reply_problem(struct xeno_http_req *q, const struct xeno_err *err,
                             struct xeno_json *extra);

/* Did it come from this machine's loopback? (for /metrics) */
bool xeno_http_from_loopback(const struct xeno_http_req *q);

/* Answer later: `gone` is called once if the peer goes away first, or the server is freed, after
 * which q must not be touched. Without it q stays valid until it is answered. On an idempotent
 * route a peer that left is no reason: its repeat will ask for the answer, so `gone` is called only
 * when the server is freed. */
void xeno_http_on_gone(struct xeno_http_req *q, void (*gone)(void *arg), void *arg);

/* --- streams --- */
/* Server-sent events (text/event-stream), or a plain chunked body with `type`. `gone` is called
 * when the peer left or was too slow (more than 256 KiB waiting); the stream is freed after it. */
struct xeno_http_stream *xeno_http_reply_stream(struct xeno_http_req *q, const char *type,
                                                void (*gone)(void *arg), void *arg);
/* Returns false when the queue is over its bound; the stream will call `gone`. */
bool xeno_http_stream_event(struct xeno_http_stream *s, const char *id, const char *event,
                            const char *data);
bool xeno_http_stream_write(struct xeno_http_stream *s, const void *data, size_t len);
size_t xeno_http_stream_waiting(const struct xeno_http_stream *s);
void xeno_http_stream_close(struct xeno_http_stream *s); /* ends the answer; `gone` is not called */
/* The same with a trailer field (RFC 9110 6.5), which the answer must have announced by a header
 * "Trailer". */
void xeno_http_stream_close_with(struct xeno_http_stream *s, const char *name, const char *value);
/* Ends the connection in the middle of the answer, so that the peer knows that it has not all of
 * it; `gone` is not called. */
void xeno_http_stream_abort(struct xeno_http_stream *s);
/* `fn` hears each time that the peer has taken all that waited. It is called while that is being
 * sent: it may have itself called by the loop, and must not touch the stream. */
void xeno_http_stream_on_taken(struct xeno_http_stream *s, void (*fn)(void *arg), void *arg);

/* A stream that is text/event-stream gets a comment line each 20 s of silence, so that neither a
 * middle box nor a dead peer goes unnoticed. */

/* Switch the connection to `protocol` (the request must ask for it: else a problem document is
 * sent and nothing is called). `ready` is called from the loop with a connected, non-blocking
 * stream socket that carries the bytes after TLS; `early` is empty, since a client may send nothing
 * before the answer (RFC 9110 7.8). The owner uses the socket until it ends with
 * xeno_http_upgrade_close(), which still sends what was written, then closes it: never close(2) it.
 * When the peer left before the switch `ready` is called with fd -1 and u NULL, so that it can free
 * its arg. When the peer leaves later, or the server is freed, the socket reads end of file. */
struct xeno_http_upgraded;
void xeno_http_upgrade(struct xeno_http_req *q, const char *protocol,
                       void (*ready)(int fd, const void *early, size_t early_len,
                                     struct xeno_http_upgraded *u, void *arg),
                       void *arg);
void xeno_http_upgrade_close(struct xeno_http_upgraded *u);

#endif
