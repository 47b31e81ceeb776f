/* src/http/tests/world.c */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

#include "base/buf.h"
#include "http/stream.h"

const struct xeno_http_limits world_limits = {
    .connections = 64,
    .connections_per_address = 32,
    .running_per_peer = 3,
    .unsent_bytes = 24 << 20,
    .header_bytes = 4096,
    .idle_s = 60,
    .request_s = 60,
};

unsigned world_pings;

static void h_ping(struct xeno_http_req *q, void *user)
{
    struct xeno_json *j = xeno_json_object();
    const char *all[2] = { NULL };

    (void)user;
    world_pings++;
    xeno_json_set_str(j, "peer", xeno_http_peer(q) ? xeno_http_peer(q)->id.s : "nobody");
    xeno_json_set_str(j, "x", xeno_http_query(q, "x"));
    xeno_json_set_int(j, "count", (int64_t)xeno_http_query_all(q, "x", all, XENO_LEN(all)));
    xeno_json_set_str(j, "second", all[1]);
    xeno_json_set_str(j, "name", xeno_http_param(q, "name"));
    xeno_json_set_bool(j, "loopback", xeno_http_from_loopback(q));
    xeno_http_reply_json(q, 200, j);
}

static void h_echo(struct xeno_http_req *q, void *user)
{
    size_t len;
    const char *body = xeno_http_body(q, &len);

    (void)user;
    xeno_http_reply_data(q, 200, "text/plain", body, len);
}

static void h_large(struct xeno_http_req *q, void *user)
{
    size_t len, want = strtoul(xeno_http_body(q, &len), NULL, 10);
    xeno_autofree char *all = malloc(want + 1);

    (void)user;
    assert_non_null(all);
    memset(all, 'x', want);
    xeno_http_reply_data(q, 200, "text/plain", all, want);
}

static void h_json(struct xeno_http_req *q, void *user)
{
    struct xeno_json *j = NULL;

    (void)user;
    if (xeno_http_body_json(q, &j) == 0)
        xeno_http_reply_json(q, 200, j);
}

static void h_made(struct xeno_http_req *q, void *user)
{
    struct world *w = user;
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "number", ++w->made);
    xeno_http_reply_json(q, 201, j);
}

static void on_gone(void *arg)
{
    struct world *w = arg;

    w->gone++;
    w->parked = NULL;
}

static void h_later(struct xeno_http_req *q, void *user)
{
    struct world *w = user;

    w->made++;
    w->parked = q;
    xeno_http_on_gone(q, on_gone, w);
}

static void h_problem(struct xeno_http_req *q, void *user)
{
    struct xeno_err err;
    struct xeno_json *extra = xeno_json_object();

    (void)user;
    xeno_fail(&err, -EDQUOT, "ledger.funds", "2 asked, 1 left");
    xeno_json_set_int(extra, "left", 1);
    xeno_http_reply_problem(q, &err, extra);
}

static void on_stream_gone(void *arg)
{
    struct world *w = arg;

    w->stream_gone++;
    w->stream = NULL;
}

static void h_events(struct xeno_http_req *q, void *user)
{
    struct world *w = user;

    w->stream = xeno_http_reply_stream(q, "text/event-stream", on_stream_gone, w);
}

static void h_text(struct xeno_http_req *q, void *user)
{
    struct world *w = user;

    w->stream = xeno_http_reply_stream(q, "text/plain", on_stream_gone, w);
}

/* --- an echo over the upgraded connection; a frame on the control channel ends it --- */

struct echo {
    struct xeno_http_upgraded *u;
    sd_event_source *io;
    struct xeno_stream in;
    struct xeno_buf out;
    bool end;
};

static void echo_end(struct echo *e)
{
    sd_event_source_disable_unref(e->io);
    xeno_stream_release(&e->in);
    xeno_buf_release(&e->out);
    xeno_http_upgrade_close(e->u);
    free(e);
}

static void echo_take(struct echo *e, const void *data, size_t len)
{
    struct xeno_frame f;

    xeno_stream_add(&e->in, data, len);
    while (xeno_stream_next(&e->in, &f, NULL) == 1) {
        if (f.channel == XENO_CHANNEL_CONTROL) {
            e->end = true;
            xeno_stream_put(&e->out, XENO_CHANNEL_CONTROL, "{\"exit\":0}", 10);
        } else {
            xeno_stream_put(&e->out, XENO_CHANNEL_STDOUT, f.data, f.len);
        }
    }
}

static int echo_io(sd_event_source *src, int fd, uint32_t events, void *user)
{
    struct echo *e = user;
    char buf[32768];
    ssize_t n = 1;

    (void)events;
    if (e->out.len < 256 * 1024) {
        n = read(fd, buf, sizeof(buf));
        if (n > 0)
            echo_take(e, buf, (size_t)n);
    }
    if (e->out.len > 0) {
        ssize_t sent = write(fd, e->out.data, e->out.len);

        if (sent > 0)
            xeno_buf_shift(&e->out, (size_t)sent);
    }
    if (n == 0 || (e->end && e->out.len == 0)) {
        echo_end(e);
        return 0;
    }
    sd_event_source_set_io_events(src, EPOLLIN | (e->out.len ? (uint32_t)EPOLLOUT : 0));
    return 0;
}

static void on_switched(int fd, const void *early, size_t early_len, struct xeno_http_upgraded *u,
                        void *arg)
{
    struct world *w = arg;
    struct echo *e;

    if (!u)
        return;
    e = xeno_new0(struct echo);
    e->u = u;
    echo_take(e, early, early_len);
    sd_event_add_io(w->loop, &e->io, fd, EPOLLIN | EPOLLOUT, echo_io, e);
}

static void h_upgrade(struct xeno_http_req *q, void *user)
{
    xeno_http_upgrade(q, XENO_STREAM_PROTOCOL, on_switched, user);
}

/* --- what is large --- */

struct sunk {
    struct world *w;
    size_t bytes;
};

/* "refuse" is refused by its header, "stop" at its first byte. */
static int sink_open(struct xeno_http_req *q, void *user, void **ret, struct xeno_err *err)
{
    struct sunk *s;

    if (strcmp(xeno_http_param(q, "name"), "refuse") == 0)
        return xeno_fail(err, -EPERM, "test.refused", "not this one");
    s = xeno_new0(struct sunk);
    s->w = strcmp(xeno_http_param(q, "name"), "stop") == 0 ? NULL : user;
    *ret = s;
    return 0;
}

static int sink_add(void *arg, const void *data, size_t len, struct xeno_err *err)
{
    struct sunk *s = arg;

    (void)data;
    if (!s->w)
        return xeno_fail(err, -ENOSPC, "test.full", "no room");
    s->bytes += len;
    return 0;
}

static void sink_drop(void *arg)
{
    struct sunk *s = arg;

    if (s->w)
        s->w->dropped++;
    free(s);
}

static const struct xeno_http_sink sink = { sink_open, sink_add, sink_drop };

static void h_sink(struct xeno_http_req *q, void *user)
{
    xeno_autofree struct sunk *s = xeno_http_sunk(q);
    struct world *w = user;

    w->sunk++;
    w->sunk_bytes = s->bytes;
    xeno_http_set_header(q, "Location", "/files/a\r\nb");
    xeno_http_reply_data(q, 201, "text/plain", "", 0);
}

static void h_file(struct xeno_http_req *q, void *user)
{
    struct world *w = user;
    int fd = w->file ? open(w->file, O_RDONLY | O_CLOEXEC) : -1;
    struct xeno_err err = XENO_ERR_INIT;
    int64_t offset, len;
    struct stat sb;
    int r;

    if (fd < 0 || fstat(fd, &sb) < 0) {
        xeno_fail(&err, -ENOENT, "test.none", "there is none");
        xeno_http_reply_err(q, &err);
        return;
    }
    xeno_http_set_header(q, "X-Name", xeno_http_param(q, "name"));
    r = xeno_http_range(q, sb.st_size, &offset, &len, &err);
    if (r < 0) {
        close(fd);
        xeno_http_reply_err(q, &err);
    } else {
        xeno_http_reply_file(q, r > 0 ? 206 : 200, "application/octet-stream", fd, offset, len);
    }
}

struct counted {
    struct world *w;
    const char *body;
    size_t made;
};

/* Digits of where they stand; the body of the request is looked at each time. */
static size_t more_counted(void *arg, char *to, size_t max)
{
    struct counted *c = arg;
    size_t left = strtoul(c->body, NULL, 10) - c->made, n = left < max ? left : max;

    for (size_t i = 0; i < n; i++)
        to[i] = (char)('0' + (c->made + i) % 10);
    c->made += n;
    c->w->counted += n;
    return n;
}

static void done_counted(void *arg)
{
    struct counted *c = arg;

    c->w->counted_done++;
    free(c);
}

static void h_counted(struct xeno_http_req *q, void *user)
{
    struct counted *c = xeno_new0(struct counted);

    *c = (struct counted){ .w = user, .body = xeno_http_body(q, NULL) };
    xeno_http_reply_made(
        q, 200, "text/plain",
        &(struct xeno_http_make){ .more = more_counted, .done = done_counted, .arg = c });
}

static void h_redirect(struct xeno_http_req *q, void *user)
{
    (void)user;
    xeno_http_set_header(q, "Location", xeno_http_query(q, "to"));
    xeno_http_reply_data(q, 307, "text/plain", "elsewhere", 9);
}

/* What of the asker can be seen here. */
static void h_seen(struct xeno_http_req *q, void *user)
{
    const char *auth = xeno_http_header(q, "Authorization");
    xeno_autofree char *text =
        xeno_asprintf("%s, %s", xeno_http_peer(q) ? "known" : "anonymous", auth ? auth : "no word");

    (void)user;
    xeno_http_reply_data(q, 200, "text/plain", text, strlen(text));
}

static const struct xeno_http_route routes[] = {
    { "GET", "/redirect", XENO_ROUTE_ANON, 0, h_redirect },
    { "GET", "/seen", XENO_ROUTE_ANON, 0, h_seen },
    { "GET", "/ping", XENO_ROUTE_ANON, 0, h_ping },
    { "GET", "/names/{name}/x", XENO_ROUTE_ANON, 0, h_ping },
    { "GET", "/private", 0, 0, h_ping },
    { "POST", "/echo", 0, 2 << 20, h_echo },
    { "POST", "/json", 0, 1000, h_json },
    { "PUT", "/json", 0, 1000, h_json },
    { "POST", "/made", XENO_ROUTE_IDEMPOTENT, 1000, h_made },
    { "POST", "/later", 0, 1000, h_later },
    { "POST", "/park", XENO_ROUTE_IDEMPOTENT, 1000, h_later },
    { "GET", "/problem", 0, 0, h_problem },
    { "POST", "/counted", 0, 1000, h_counted },
    { "POST", "/large", 0, 1000, h_large },
    { "GET", "/events", 0, 0, h_events },
    { "GET", "/text", 0, 0, h_text },
    { "GET", "/upgrade", 0, 0, h_upgrade },
    { "PUT", "/sink/{name}", 0, 8 << 20, h_sink, &sink },
    { "GET", "/files/{name*}/x", 0, 0, h_file },
    { "HEAD", "/files/{name*}/x", 0, 0, h_file },
    { NULL },
};

static bool is_revoked(const char *serial, void *user)
{
    struct world *w = user;

    return w->revoked && strcmp(w->revoked, serial) == 0;
}

char *world_cert(const struct xeno_key *ca, const char *ca_pem, const struct xeno_key *key,
                 enum xeno_party kind, int64_t from_s, int64_t to_s)
{
    const char *const hosts[] = { "127.0.0.1", "localhost", NULL };
    xeno_time now = xeno_wall(xeno_env_real());
    struct xeno_cert_spec spec = {
        .kind = kind,
        .pub = *xeno_key_pub(key),
        .not_before = xeno_time_add(now, xeno_s(from_s)),
        .not_after = xeno_time_add(now, xeno_s(to_s)),
        .hosts = kind == XENO_PARTY_SERVER ? hosts : NULL,
    };
    struct xeno_err err = XENO_ERR_INIT;
    char *pem = NULL;

    xeno_random(xeno_env_real(), spec.serial, sizeof(spec.serial));
    spec.serial[0] &= 0x7f;
    spec.serial[0] |= 1;
    assert_int_equal(xeno_cert_make(ca, ca_pem, &spec, &pem, &err), 0);
    return pem;
}

struct xeno_http_server *world_server(struct world *w, const struct xeno_http_limits *limits,
                                      const struct xeno_env *env)
{
    struct xeno_http_server_opts o = {
        .listen = "127.0.0.1:0",
        .listen_fd = -1,
        .cert_pem = w->server_chain,
        .key = w->server_key,
        .ca_pem = w->ca_pem,
        .env = env ? env : xeno_env_real(),
        .limits = limits,
        .routes = routes,
        .user = w,
        .revoked = is_revoked,
    };
    struct xeno_http_server *s = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xeno_http_server_new(w->loop, &o, &s, &err);

    if (r < 0)
        print_message("%s: %s\n", err.token, err.text);
    assert_int_equal(r, 0);
    return s;
}

struct xeno_http_client *world_client(struct world *w, const char *cert, const struct xeno_key *key)
{
    struct xeno_http_client_opts o = {
        .env = xeno_env_real(), .ca_pem = w->ca_pem, .cert_pem = cert, .key = key
    };
    struct xeno_http_client *c = NULL;

    assert_int_equal(xeno_http_client_new(w->loop, &o, &c, NULL), 0);
    return c;
}

void world_start(struct world *w, const struct xeno_http_limits *limits, const struct xeno_env *env)
{
    xeno_time now = xeno_wall(xeno_env_real());
    char *leaf;

    memset(w, 0, sizeof(*w));
    xeno_crypto_init();
    assert_true(sd_event_new(&w->loop) >= 0);
    w->ca = xeno_key_new(xeno_env_real());
    w->server_key = xeno_key_new(xeno_env_real());
    w->client_key = xeno_key_new(xeno_env_real());
    w->other_key = xeno_key_new(xeno_env_real());
    w->ca_id = xeno_id_of(xeno_key_pub(w->ca));
    w->server_id = xeno_id_of(xeno_key_pub(w->server_key));
    w->client_id = xeno_id_of(xeno_key_pub(w->client_key));
    assert_int_equal(xeno_ca_make(w->ca, xeno_time_add(now, xeno_s(-100000)),
                                  xeno_time_add(now, xeno_s(100000)), &w->ca_pem, NULL),
                     0);
    leaf = world_cert(w->ca, w->ca_pem, w->server_key, XENO_PARTY_SERVER, -60, 3600);
    w->server_chain = xeno_asprintf("%s%s", leaf, w->ca_pem);
    free(leaf);
    w->client_pem = world_cert(w->ca, w->ca_pem, w->client_key, XENO_PARTY_CLIENT, -60, 3600);
    w->server = world_server(w, limits, env);
    w->client = world_client(w, w->client_pem, w->client_key);
    snprintf(w->base, sizeof(w->base), "https://127.0.0.1:%u", xeno_http_server_port(w->server));
}

void world_stop(struct world *w)
{
    xeno_http_client_free(w->client);
    xeno_http_server_free(w->server);
    xeno_key_free(w->ca);
    xeno_key_free(w->server_key);
    xeno_key_free(w->client_key);
    xeno_key_free(w->other_key);
    free(w->ca_pem);
    free(w->server_chain);
    free(w->client_pem);
    sd_event_unref(w->loop);
}

int ask(struct world *w, struct xeno_http_client *c, const char *method, const char *path,
        const char *idem_key, const char *body, char **ret_body, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", w->base, path);
    struct xeno_http_ask a = {
        .method = method,
        .url = url,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .idempotency_key = idem_key,
        .deadline = xeno_s(60),
    };
    struct xeno_err mine = XENO_ERR_INIT;
    int status = -1;

    xeno_http_wait(c, &a, &status, ret_body, NULL, err ? err : &mine);
    return status;
}

static int on_tick(sd_event_source *src, uint64_t usec, void *user)
{
    (void)src;
    (void)usec;
    *(bool *)user = true;
    return 0;
}

void run_ms(struct world *w, unsigned ms)
{
    sd_event_source *src = NULL;
    bool over = false;

    sd_event_add_time_relative(w->loop, &src, CLOCK_MONOTONIC, ms * 1000u, 1000, on_tick, &over);
    while (!over)
        assert_true(sd_event_run(w->loop, UINT64_MAX) >= 0);
    sd_event_source_unref(src);
}

int run_child(struct world *w, pid_t pid)
{
    int status = 0;

    for (int i = 0; waitpid(pid, &status, WNOHANG) != pid; i++) {
        assert_true(i < 30000); /* a minute */
        run_ms(w, 2);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
