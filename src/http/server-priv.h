/* src/http/server-priv.h - the server's own structures, shared by its files.
 *
 * A connection (struct conn) lives as long as its socket; on it one request (struct xeno_http_req)
 * at a time goes through:
 *
 *     ARRIVING --body whole--> RUNNING --answer given--> ANSWERING --sent--> gone
 *        |  \--refused: body is swallowed--> ANSWERING
 *        '--too slow, too big to swallow: the connection is closed
 *
 * A request that runs without an answer has its MHD connection suspended ("asleep"), as has a
 * stream with nothing to send. MHD does not look at the socket of a sleeping connection, so `hup`
 * watches it for the peer's leaving.
 *
 * Invariants: 1. a sleeping connection is resumed exactly once before it sleeps again;
 * 2. req->gone is called at most once and never after an answer; 3. running_count counts the
 * requests between handle() and their answer, or the end of one that is made while it leaves, and
 * the bytes of answers in memory from then until they left; 4. nothing here outlives
 * xeno_http_server_free() but the kept answers a program stores itself.
 */
#ifndef XENO_HTTP_SERVER_PRIV_H
#define XENO_HTTP_SERVER_PRIV_H

#include <microhttpd.h>
#include <systemd/sd-event.h>
#include <uthash.h>

#include "base/buf.h"
#include "crypto/key.h"
#include "http/server.h"
#include "http/tls-priv.h"

#define HTTP_PARAMS      8    /* {x} segments in one route */
#define HTTP_PARAM_BYTES 1024 /* of one, decoded */
/* A refused body up to this size is read and thrown away, so that the peer gets to read the reason
 * instead of a reset connection. */
#define HTTP_SWALLOW_BYTES (16 << 20)
#define HTTP_STREAM_BYTES  (256 * 1024) /* waiting in one stream before its peer is too slow */
#define HTTP_PING_NS       (20 * XENO_NS_PER_S)
#define HTTP_STEP_RUNS     4           /* runs of libmicrohttpd that a step of a request takes */
#define HTTP_RECORD_BYTES  (16 * 1024) /* of a TLS record, and so of what leaves in one run */

enum phase {
    PHASE_IDLE,      /* no request line yet: handshake, or between requests */
    PHASE_ARRIVING,  /* header or body */
    PHASE_RUNNING,   /* the handler has it */
    PHASE_ANSWERING, /* bytes of the answer are leaving */
    PHASE_STREAMING, /* a stream or an upgraded connection: its owner ends it */
};

struct conn {
    struct xeno_http_server *server;
    struct MHD_Connection *mhd;
    struct http_tls *tls;
    struct xeno_http_req *req;       /* at work on it, or NULL */
    struct xeno_http_stream *stream; /* its answer is this stream, or NULL */
    sd_event_source *hup;
    enum phase phase;
    xeno_time since; /* monotonic: start of the phase */
    bool asleep;
    bool peer_checked;
    struct xeno_cert *cert; /* good as far as time and revocation do not matter; or NULL */
    struct xeno_err cert_err;
    char address[64]; /* numeric, without port */
    bool loopback;
    struct conn *prev, *next;
};

struct param {
    const char *name; /* in the route's pattern */
    size_t name_len;
    char *value;
};

struct http_header {
    struct http_header *next;
    char *name, *value;
};

struct xeno_http_req {
    struct xeno_http_server *server;
    struct conn *conn;
    const struct xeno_http_route *route;
    char *path; /* raw, without the query */
    char *method;
    struct param params[HTTP_PARAMS];
    size_t param_count;
    struct xeno_buf body;
    void *sunk;   /* of route->sink; NULL: none, or the handler has it */
    size_t taken; /* bytes the sink got */
    size_t swallowed;
    bool begun;                  /* the first call, with the header, was made */
    bool refused;                /* answer is ready; the body is thrown away */
    bool handling;               /* inside handle() */
    bool dropped;                /* nobody waits for it any more: close the connection */
    struct running_count *count; /* it counts there while it runs */
    struct running_count *owes;  /* its answer counts there until it has left */
    size_t owed;
    struct xeno_http_upgraded *upgrade; /* its answer is a switch of protocol */

    void (*gone)(void *arg);
    void *gone_arg;

    struct http_header *headers; /* of the answer to come */
    struct MHD_Response *answer; /* given, not yet queued */
    int status;
    struct xeno_http_make
        make; /* of an answer that is made while it leaves; more NULL: it is not */

    struct idem_entry *idem;            /* this request is the first of its key */
    struct xeno_http_req *next_waiting; /* repeats that wait for the first */
    char *idem_key;
    char body_sha[65];
};

struct running_count {
    char *peer;
    unsigned n;
    size_t unsent; /* bytes of answers in memory */
    UT_hash_handle hh;
};

/* An answer kept or still being made; idem.c. */
struct idem_entry {
    char *key;
    char body_sha[65];
    bool done;
    int status;
    char *body;
    size_t size;
    xeno_time at;                  /* monotonic, when done */
    struct xeno_http_req *waiting; /* while not done */
    UT_hash_handle hh;             /* in the order they were made */
};

struct xeno_http_stream {
    struct xeno_http_server *server;
    struct conn *conn;
    struct xeno_buf out;
    size_t sent; /* bytes at the front of `out` that left */
    bool events, closed, failed;
    bool owner_done, mhd_done; /* freed when both are */
    xeno_time last;            /* monotonic, of the last write */
    void (*gone)(void *arg);
    void *gone_arg;
    void (*taken)(void *arg);
    void *taken_arg;
    struct MHD_Response *response;
    struct xeno_http_stream *prev, *next;
};

struct xeno_http_upgraded {
    struct xeno_http_server *server; /* NULL once that was freed */
    struct xeno_http_req *req;       /* whose connection it is; NULL once that ended */
    struct pump *pump;
    char *protocol;
    void (*ready)(int fd, const void *early, size_t early_len, struct xeno_http_upgraded *u,
                  void *arg);
    void *arg;
    int fd; /* the owner's end, -1 before the switch and after the owner's close */
    bool switched;
    struct xeno_http_upgraded *prev, *next;
};

struct xeno_http_server {
    sd_event *loop;
    sd_event_source *io, *timer, *again, *scan, *later;
    uint64_t armed;      /* monotonic us: when the timer comes; 0: it does not */
    bool woken;          /* the next run is for a connection that was */
    uint64_t paid_until; /* monotonic us: what has been taken of the ration of timer runs */
    size_t paid_runs;    /* of the timer, that cost nothing of it */
    struct MHD_Daemon *mhd;
    struct xeno_http_server_opts opts;
    struct xeno_http_limits limits;
    char *ca_pem;
    struct http_tls *tls;
    unsigned port;
    bool stopping;
    struct conn *conns;
    struct running_count *running;
    struct idem_entry *idem;
    size_t idem_bytes;
    struct xeno_http_stream *streams;
    struct xeno_http_upgraded *upgraded;
};

/* server.c */
void http_sleep(struct conn *c);
void http_wake(struct conn *c);
void http_close_socket(struct conn *c); /* the peer finds it closed, MHD cleans up */
void http_phase(struct conn *c, enum phase phase);
void http_went_on(struct conn *c, size_t bytes); /* in its phase, by so much of a large transfer */
void http_pay(struct xeno_http_server *s, size_t bytes); /* for the runs in which so much leaves */
void http_later(struct xeno_http_server *s); /* do what must not be done inside a callback */

/* tls.c */
bool http_is_revoked(const struct xeno_http_server_opts *o, const char *serial);
void http_tls_attach(struct conn *c);
/* 0 with c->cert or anonymous; else the reason why its certificate does not count. */
int http_peer_check(struct conn *c, struct xeno_err *err);

/* route.c */
/* The route for a raw path, its parameters decoded. Returns 0; -ENOENT http.path; -ENOTTY
 * http.method with the methods that would do in `allow`. */
int http_route_find(struct xeno_http_req *q, struct xeno_buf *allow, struct xeno_err *err);
void http_params_release(struct xeno_http_req *q);

/* request.c */
enum MHD_Result http_access(void *cls, struct MHD_Connection *mhd, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *data_size, void **con_cls);
void *http_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
void http_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                    enum MHD_RequestTerminationCode code);
void http_running_end(struct xeno_http_req *q);
/* Of a request that runs: its answer has so many bytes, in memory until they have left. */
void http_owes(struct xeno_http_req *q, size_t bytes);
void http_peer_left(struct conn *c); /* while asleep */

/* reply.c */
struct MHD_Response *http_answer_text(const char *type, const void *data, size_t len);
/* Give the answer: queue it now when inside MHD's call, else wake the connection. `r` is taken. */
void http_give(struct xeno_http_req *q, int status, struct MHD_Response *r);
/* A problem made here, before or instead of a handler. */
void http_refuse(struct xeno_http_req *q, const struct xeno_err *err);
void http_headers_release(struct xeno_http_req *q);
void http_give_kept(struct xeno_http_req *q, int status, const char *body);

/* idem.c: the request's place among those with its key. Returns true when it is answered or waits
 * for the first: no handler is to be called. */
bool http_idem_begin(struct xeno_http_req *q);
/* The first of its key got its answer; body NULL: it is none that can be kept. */
void http_idem_end(struct xeno_http_req *q, int status, const char *body);
void http_idem_forget(
    struct xeno_http_req *q); /* a waiting or first request goes away unanswered */
void http_idem_release(struct xeno_http_server *s);

/* events.c */
void http_streams_tend(struct xeno_http_server *s, xeno_time now); /* pings, each second */
void http_streams_fail(struct xeno_http_server *s);                /* call `gone` where it is due */
void http_stream_drop(struct xeno_http_stream *st); /* its peer left, or the server goes */

/* made.c */
void http_made_release(struct xeno_http_req *q);

/* upgrade.c */
void http_upgrades_start(struct xeno_http_server *s); /* those asked for since */
void http_upgrade_drop(struct xeno_http_req *q);      /* its connection ends */
void http_upgrades_release(struct xeno_http_server *s);

#endif
