/* src/http/request.c - a request from its first line to its handler. */
#include "http/server-priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/enc.h"

#define IDEM_KEY_MAX 200

void *http_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct conn *c = i ? i->socket_context : NULL;
    struct xeno_http_req *q;

    if (!c)
        return NULL;
    q = xeno_new0(struct xeno_http_req);
    q->server = cls;
    q->conn = c;
    q->path = xeno_strndup(uri, strcspn(uri, "?"));
    c->req = q;
    http_phase(c, PHASE_ARRIVING);
    return q;
}

static void forget_count(struct xeno_http_server *s, struct running_count *n)
{
    if (n->n > 0 || n->unsent > 0)
        return;
    HASH_DEL(s->running, n);
    free(n->peer);
    free(n);
}

void http_running_end(struct xeno_http_req *q)
{
    struct running_count *n = xeno_take(&q->count);

    if (!n)
        return;
    n->n--;
    forget_count(q->server, n);
}

void http_owes(struct xeno_http_req *q, size_t bytes)
{
    if (!q->count || q->owes || bytes == 0)
        return;
    q->owes = q->count;
    q->owed = bytes;
    q->owes->unsent += bytes;
}

static void owes_no_more(struct xeno_http_req *q)
{
    struct running_count *n = xeno_take(&q->owes);

    if (!n)
        return;
    n->unsent -= q->owed;
    forget_count(q->server, n);
}

/* Count it as running for its peer: a party by its id, else the address.
 * Errors: -EUSERS http.running, http.unsent when the peer has as much as it may. */
static int running_begin(struct xeno_http_req *q, struct xeno_err *err)
{
    struct xeno_http_server *s = q->server;
    const char *peer = q->conn->cert ? q->conn->cert->id.s : q->conn->address;
    struct running_count *n;

    HASH_FIND_STR(s->running, peer, n);
    if (!n) {
        n = xeno_new0(struct running_count);
        n->peer = xeno_strdup(peer);
        HASH_ADD_KEYPTR(hh, s->running, n->peer, strlen(n->peer), n);
    }
    if (n->n >= s->limits.running_per_peer)
        return xeno_fail(
            err, -EUSERS, "http.running",
            "you have %u requests running here, which is the limit: wait for one to end",
            s->limits.running_per_peer);
    if (n->unsent > s->limits.unsent_bytes)
        return xeno_fail(err, -EUSERS, "http.unsent",
                         "%zu bytes of answers wait for you to read them, and %zu is the limit",
                         n->unsent, s->limits.unsent_bytes);
    n->n++;
    q->count = n;
    return 0;
}

static void req_free(struct xeno_http_req *q)
{
    http_upgrade_drop(q);
    http_made_release(q);
    http_idem_forget(q);
    http_running_end(q);
    owes_no_more(q);
    http_params_release(q);
    xeno_buf_release(&q->body);
    if (q->sunk)
        q->route->sink->drop(q->sunk);
    http_headers_release(q);
    if (q->answer)
        MHD_destroy_response(q->answer);
    free(q->idem_key);
    free(q->method);
    free(q->path);
    free(q);
}

void http_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                    enum MHD_RequestTerminationCode code)
{
    struct xeno_http_req *q = xeno_take((struct xeno_http_req **)con_cls);

    (void)cls;
    (void)mhd;
    (void)code;
    if (!q)
        return;
    q->conn->req = NULL;
    http_phase(q->conn, PHASE_IDLE);
    req_free(q);
}

/* The owner of a running request is told that nobody waits for its answer. */
static void drop(struct xeno_http_req *q)
{
    void (*gone)(void *arg) = q->gone;

    q->gone = NULL;
    q->dropped = true;
    http_running_end(q);
    http_wake(q->conn);
    if (gone)
        gone(q->gone_arg);
}

void http_peer_left(struct conn *c)
{
    struct xeno_http_req *q = c->req;

    if (c->stream) {
        http_stream_drop(c->stream);
        return;
    }
    if (q && q->upgrade) {
        q->dropped = true;
        http_wake(c);
        return;
    }
    if (!q || c->phase != PHASE_RUNNING || q->dropped)
        return;
    if (c->server->stopping)
        drop(q);
    else if (q->idem)
        return; /* the first of its key: the answer is for the repeat */
    else if (q->gone || q->idem_key)
        drop(q);
}

static const char *header(const struct xeno_http_req *q, const char *name)
{
    return MHD_lookup_connection_value(q->conn->mhd, MHD_HEADER_KIND, name);
}

/* Length of the body as announced; UINT64_MAX when it is chunked, 0 when there is none. */
static uint64_t announced(const struct xeno_http_req *q)
{
    const char *text = header(q, "Content-Length");

    if (text)
        return strtoull(text, NULL, 10); /* libmicrohttpd has checked that it is a number */
    return header(q, "Transfer-Encoding") ? UINT64_MAX : 0;
}

static void refuse_body(struct xeno_http_req *q)
{
    struct xeno_err err;

    if (q->route->max_body == 0)
        xeno_fail(&err, -EFBIG, "http.body", "%s %s takes no body", q->method, q->route->path);
    else
        xeno_fail(&err, -EFBIG, "http.body", "the body has more than %zu bytes",
                  q->route->max_body);
    xeno_buf_release(&q->body);
    http_refuse(q, &err);
}

static enum MHD_Result refuse_zero(void *cls, enum MHD_ValueKind kind, const char *key,
                                   size_t key_size, const char *value, size_t value_size)
{
    (void)kind;
    if (memchr(key, '\0', key_size) || (value && memchr(value, '\0', value_size)))
        *(bool *)cls = true;
    return MHD_YES;
}

/* What can be said from the header alone, cheapest first. */
static int check_head(struct xeno_http_req *q, struct xeno_err *err)
{
    struct xeno_http_server *s = q->server;
    const union MHD_ConnectionInfo *i =
        MHD_get_connection_info(q->conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    bool zero = false;
    int r;

    if (i && i->header_size > s->limits.header_bytes)
        return xeno_fail(err, -ENOBUFS, "http.header",
                         "the header has %zu bytes, at most %u allowed", i->header_size,
                         s->limits.header_bytes);
    MHD_get_connection_values_n(q->conn->mhd, MHD_GET_ARGUMENT_KIND, refuse_zero, &zero);
    if (zero)
        return xeno_fail(err, -EINVAL, "http.query", "the query holds a zero byte");
    r = http_peer_check(q->conn, err);
    if (q->route->flags & XENO_ROUTE_ANON) {
        if (r < 0) { /* as good as none; nobody is asked for one here */
            xeno_cert_free(xeno_take(&q->conn->cert));
            q->conn->cert_err = *err;
        }
        return 0;
    }
    if (r < 0) {
        err->code = -EACCES;
        return r;
    }
    return q->conn->cert ? 0 : xeno_http_why_anonymous(q, err);
}

static int check_idem_key(struct xeno_http_req *q, struct xeno_err *err)
{
    const char *key = header(q, "Idempotency-Key");

    if (!(q->route->flags & XENO_ROUTE_IDEMPOTENT))
        return 0;
    if (!key || !*key)
        return xeno_fail(err, -EINVAL, "http.idempotency_key",
                         "%s %s needs a header Idempotency-Key: any text that is new for each wish "
                         "and the same for each repeat of it",
                         q->method, q->route->path);
    if (strlen(key) > IDEM_KEY_MAX)
        return xeno_fail(err, -EINVAL, "http.idempotency_key",
                         "the Idempotency-Key has %zu bytes, at most %d allowed", strlen(key),
                         IDEM_KEY_MAX);
    q->idem_key =
        xeno_asprintf("%s %s %s %s", q->conn->cert ? q->conn->cert->id.s : q->conn->address,
                      q->method, q->path, key);
    return 0;
}

static void add_allow(struct xeno_http_req *q, const struct xeno_buf *allow)
{
    if (allow->len)
        MHD_add_response_header(q->answer, "Allow", allow->data);
}

static void begin(struct xeno_http_req *q, const char *method)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autobuf allow = XENO_BUF_INIT;

    q->method = xeno_strdup(method);
    if (http_route_find(q, &allow, &err) < 0) {
        http_refuse(q, &err);
        add_allow(q, &allow);
    } else if (check_head(q, &err) < 0 || check_idem_key(q, &err) < 0) {
        http_refuse(q, &err);
    } else if (announced(q) != UINT64_MAX && announced(q) > q->route->max_body) {
        refuse_body(q);
    } else if (q->route->sink &&
               q->route->sink->open(q, q->server->opts.user, &q->sunk, &err) < 0) {
        q->sunk = NULL;
        http_refuse(q, &err);
    }
}

static enum MHD_Result queue(struct xeno_http_req *q)
{
    struct MHD_Response *r = xeno_take(&q->answer);
    struct conn *c = q->conn;
    enum MHD_Result ok;

    http_phase(c, c->stream ? PHASE_STREAMING : PHASE_ANSWERING);
    ok = MHD_queue_response(c->mhd, (unsigned)q->status, r);
    MHD_destroy_response(r);
    return ok;
}

/* A refusal goes out at once when the peer waits for leave to send, or means to send more than we
 * would read for politeness; else after the body was swallowed. */
static bool refuse_now(struct xeno_http_req *q)
{
    const char *expect = header(q, "Expect");
    uint64_t len = announced(q);

    return (expect && strcasecmp(expect, "100-continue") == 0) ||
           (len != UINT64_MAX && len > HTTP_SWALLOW_BYTES);
}

/* A piece for the sink; what it refuses is refused, and the rest swallowed. */
static void sink_piece(struct xeno_http_req *q, const char *data, size_t len)
{
    struct xeno_err err = XENO_ERR_INIT;

    http_went_on(q->conn, len);
    if (len > q->route->max_body - q->taken) {
        refuse_body(q);
    } else if (q->route->sink->add(q->sunk, data, len, &err) < 0) {
        http_refuse(q, &err);
    } else {
        q->taken += len;
        return;
    }
    q->route->sink->drop(xeno_take(&q->sunk));
}

static bool take_body(struct xeno_http_req *q, const char *data, size_t len)
{
    if (!q->answer && q->sunk) {
        sink_piece(q, data, len);
        return true;
    }
    if (!q->answer && len <= q->route->max_body - q->body.len)
        return xeno_buf_add(&q->body, data, len);
    if (!q->answer) {
        q->swallowed = q->body.len;
        refuse_body(q);
    }
    q->swallowed += len;
    return q->swallowed <= HTTP_SWALLOW_BYTES;
}

static void hash_body(struct xeno_http_req *q, const char *query)
{
    xeno_auto(xeno_sha256) h = xeno_sha256_new();
    uint8_t sum[32];

    xeno_sha256_add(h, query, strlen(query) + 1);
    xeno_sha256_add(h, q->body.data ? q->body.data : "", q->body.len);
    xeno_sha256_end(h, sum);
    xeno_hex(sum, sizeof(sum), q->body_sha);
}

static enum MHD_Result join_query(void *cls, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    (void)kind;
    xeno_buf_printf(cls, "%s=%s&", key, value ? value : "");
    return MHD_YES;
}

static void dispatch(struct xeno_http_req *q)
{
    xeno_autobuf query = XENO_BUF_INIT;
    struct xeno_err err = XENO_ERR_INIT;

    http_phase(q->conn, PHASE_RUNNING);
    if (running_begin(q, &err) < 0) {
        http_refuse(q, &err);
        return;
    }
    if (q->idem_key) {
        xeno_buf_puts(&query, "");
        MHD_get_connection_values(q->conn->mhd, MHD_GET_ARGUMENT_KIND, join_query, &query);
        hash_body(q, query.data);
        if (http_idem_begin(q))
            return;
    }
    q->route->handle(q, q->server->opts.user);
}

enum MHD_Result http_access(void *cls, struct MHD_Connection *mhd, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *data_size, void **con_cls)
{
    struct xeno_http_req *q = *con_cls;

    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    if (!q || q->dropped || q->server->stopping)
        return MHD_NO;
    http_pay(q->server, 0);
    if (!q->begun) {
        q->begun = true;
        q->handling = true; /* an answer given now is queued below, never by a wake */
        begin(q, method);
        return q->answer && refuse_now(q) ? queue(q) : MHD_YES;
    }
    if (*data_size > 0) {
        bool ok = take_body(q, data, *data_size);

        *data_size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (!q->answer && q->conn->phase == PHASE_ARRIVING)
        dispatch(q);
    q->handling = false;
    if (q->answer)
        return queue(q);
    http_sleep(q->conn);
    return MHD_YES;
}

const struct xeno_cert *xeno_http_peer(const struct xeno_http_req *q)
{
    return q->conn->cert;
}

int xeno_http_why_anonymous(const struct xeno_http_req *q, struct xeno_err *err)
{
    if (q->conn->cert_err.code < 0)
        return xeno_fail(err, -EACCES, q->conn->cert_err.token, "%s", q->conn->cert_err.text);
    return xeno_fail(err, -EACCES, "http.credential",
                     "%s needs a client certificate of this XenoCorp: register, or give the "
                     "certificate and key",
                     q->route->path);
}

const char *xeno_http_method(const struct xeno_http_req *q)
{
    return q->method;
}

const char *xeno_http_path(const struct xeno_http_req *q)
{
    return q->path;
}

const char *xeno_http_query(const struct xeno_http_req *q, const char *name)
{
    return MHD_lookup_connection_value(q->conn->mhd, MHD_GET_ARGUMENT_KIND, name);
}

struct values {
    const char *name, **ret;
    size_t count, max;
};

static enum MHD_Result take_value(void *cls, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    struct values *v = cls;

    (void)kind;
    if (value && strcmp(key, v->name) == 0 && v->count++ < v->max)
        v->ret[v->count - 1] = value;
    return MHD_YES;
}

size_t xeno_http_query_all(const struct xeno_http_req *q, const char *name, const char **ret,
                           size_t max)
{
    struct values v = { .name = name, .ret = ret, .max = max };

    MHD_get_connection_values(q->conn->mhd, MHD_GET_ARGUMENT_KIND, take_value, &v);
    return v.count;
}

const char *xeno_http_header(const struct xeno_http_req *q, const char *name)
{
    return header(q, name);
}

void *xeno_http_sunk(struct xeno_http_req *q)
{
    return xeno_take(&q->sunk);
}

const char *xeno_http_body(const struct xeno_http_req *q, size_t *ret_len)
{
    if (ret_len)
        *ret_len = q->body.len;
    return q->body.data ? q->body.data : "";
}

bool xeno_http_from_loopback(const struct xeno_http_req *q)
{
    return q->conn->loopback;
}

bool xeno_http_is_type(const struct xeno_http_req *q, const char *type)
{
    const char *text = header(q, "Content-Type");
    size_t len = text ? strcspn(text, "; \t") : 0;

    return len == strlen(type) && strncasecmp(text, type, len) == 0;
}

int xeno_http_body_json(struct xeno_http_req *q, struct xeno_json **ret)
{
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    if (q->body.len == 0) {
        *ret = xeno_json_object(); /* every member may be missing; who needs one will say so */
        return 0;
    }
    if (!xeno_http_is_type(q, "application/json"))
        r = xeno_fail(&err, -EMEDIUMTYPE, "http.type", "the body must be of type application/json");
    else
        r = xeno_json_parse(q->body.data, q->body.len, q->route->max_body, ret, &err);
    if (r < 0)
        xeno_http_reply_err(q, &err);
    return r;
}

void xeno_http_on_gone(struct xeno_http_req *q, void (*gone)(void *arg), void *arg)
{
    q->gone = gone;
    q->gone_arg = arg;
}
