/* src/http/tests/test-server.c - routes, bounds, slow peers, repeats, late answers. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

#include "raw.h"
#include "world.h"

static struct world w;

static int start(void **state)
{
    (void)state;
    world_start(&w, &world_limits, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&w);
    return 0;
}

static const struct {
    const char *name, *method, *path, *body, *token; /* token NULL: it succeeds */
    int status;
} rows[] = {
    { "a route", "GET", "/ping", NULL, NULL, 200 },
    { "parameter", "GET", "/names/a%2Fb/x", NULL, NULL, 200 },
    { "parameter with control character", "GET", "/names/a%0Ab/x", NULL, "http.path", 404 },
    { "parameter with zero byte", "GET", "/names/a%00b/x", NULL, "http.path", 404 },
    { "malformed escape", "GET", "/names/a%2/x", NULL, "http.path", 404 },
    { "empty parameter", "GET", "/names//x", NULL, "http.path", 404 },
    { "an encoded slash is no border", "GET", "/names%2Fa/x", NULL, "http.path", 404 },
    { "unknown path", "GET", "/nothing", NULL, "http.path", 404 },
    { "longer than the route", "GET", "/ping/", NULL, "http.path", 404 },
    { "wrong method", "DELETE", "/ping", NULL, "http.method", 405 },
    { "method nobody knows", "BREW", "/ping", NULL, "http.method", 405 },
    { "zero byte in the query", "GET", "/ping?x=%00", NULL, "http.query", 400 },
    { "body where none is taken", "GET", "/ping", "{}", "http.body", 413 },
    { "JSON", "POST", "/json", "{\"a\":1}", NULL, 200 },
    { "no body is an empty object", "POST", "/json", NULL, NULL, 200 },
    { "not JSON", "POST", "/json", "{", "json.syntax", 400 },
    { "a problem of the handler's", "GET", "/problem", NULL, "ledger.funds", 402 },
};

static void route_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        int status =
            ask(&w, w.client, rows[i].method, rows[i].path, NULL, rows[i].body, NULL, &err);

        print_message("%s: %s\n", rows[i].name, err.text);
        assert_int_equal(status, rows[i].status);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
    }
}

static void parameters_are_decoded(void **state)
{
    xeno_autofree char *body = NULL;

    (void)state;
    assert_int_equal(ask(&w, w.client, "GET", "/names/a%2Fb/x", NULL, NULL, &body, NULL), 200);
    assert_non_null(strstr(body, "\"name\":\"a/b\""));
}

/* --- peers that speak TLS and then what the test says --- */

static unsigned raw_port;

/* Each of these runs in a child; its exit code is 0 when all was as it should be. */

static int long_header(void)
{
    struct raw r;
    char line[5000], buf[8192];

    raw_open(&r, &w, raw_port);
    memset(line, 'a', sizeof(line));
    memcpy(line, "X: ", 3);
    line[4200] = '\0';
    raw_send(&r, "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    raw_send(&r, line);
    raw_send(&r, "\r\n\r\n");
    return raw_status(&r, buf, sizeof(buf)) == 431 && strstr(buf, "http.header") ? 0 : 1;
}

static int huge_header(void)
{
    struct raw r;
    char line[4001], buf[8192];

    raw_open(&r, &w, raw_port);
    memset(line, 'a', 4000);
    line[4000] = '\0';
    raw_send(&r, "GET /ping HTTP/1.1\r\nHost: x\r\nX: ");
    for (int i = 0; i < 40; i++)
        if (gnutls_record_send(r.session, line, 4000) < 0)
            return 0; /* closed on us */
    return raw_status(&r, buf, sizeof(buf)) == 200 ? 1 : 0;
}

static int slow_header(void)
{
    struct raw r;
    char buf[512];

    raw_open(&r, &w, raw_port);
    raw_send(&r, "GET /ping HTTP/1.1\r\n");
    for (int i = 0; i < 150; i++) {
        usleep(100000);
        if (gnutls_record_send(r.session, "X", 1) < 0)
            return 0;
    }
    return raw_status(&r, buf, sizeof(buf)) == 0 ? 0 : 1;
}

static int slow_body(void)
{
    struct raw r;

    raw_open(&r, &w, raw_port);
    raw_send(&r, "POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n");
    for (int i = 0; i < 150; i++) {
        usleep(100000);
        if (gnutls_record_send(r.session, " ", 1) < 0)
            return 0;
    }
    return 1;
}

static int no_handshake(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)raw_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char c;

    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return 1;
    while (read(fd, &c, 1) > 0) /* an alert may come first */
        ;
    return 0; /* the server hung up */
}

static int chunked_too_big(void)
{
    struct raw r;
    char chunk[1001], buf[4096];

    raw_open(&r, &w, raw_port);
    memset(chunk, 'x', 1000);
    chunk[1000] = '\0';
    raw_send(&r, "POST /json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 100; i++) {
        raw_send(&r, "3e8\r\n");
        raw_send(&r, chunk);
        raw_send(&r, "\r\n");
    }
    raw_send(&r, "0\r\n\r\n");
    return raw_status(&r, buf, sizeof(buf)) == 413 && strstr(buf, "http.body") ? 0 : 1;
}

static int expect_continue(void)
{
    struct raw r;
    char buf[4096];

    raw_open(&r, &w, raw_port);
    raw_send(&r, "POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000000\r\n"
                 "Expect: 100-continue\r\n\r\n");
    return raw_status(&r, buf, sizeof(buf)) == 413 ? 0 : 1;
}

static int two_lengths(void)
{
    struct raw r;
    char buf[4096];
    int status;

    raw_open(&r, &w, raw_port);
    raw_send(&r,
             "POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: x2\r\nConnection: close\r\n\r\n{}");
    status = raw_status(&r, buf, sizeof(buf));
    return status == 400 || status == 0 ? 0 : 1;
}

static int no_http(void)
{
    struct raw r;
    char buf[4096];
    int status;

    raw_open(&r, &w, raw_port);
    raw_send(&r, "\x16\x03\x01 hello\r\n\r\n\r\n");
    status = raw_status(&r, buf, sizeof(buf));
    return status == 400 || status == 0 ? 0 : 1;
}

static int half_a_request(void)
{
    struct raw r;

    raw_open(&r, &w, raw_port);
    raw_send(&r, "POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{");
    return 0;
}

/* in_time: it is to be ended for taking too long; the others have all the time they want, however
 * busy the machine is. */
static const struct {
    const char *name;
    int (*fn)(void);
    bool in_time;
} raws[] = {
    { "header over the bound", long_header, false },
    { "header over all memory for it", huge_header, false },
    { "header in a trickle", slow_header, true },
    { "body in a trickle", slow_body, true },
    { "no handshake", no_handshake, true },
    { "chunked body over the bound", chunked_too_big, false },
    { "asks before it sends too much", expect_continue, false },
    { "length that is no number", two_lengths, false },
    { "not HTTP at all", no_http, false },
    { "leaves in the middle", half_a_request, false },
};

static const struct xeno_http_limits short_limits = {
    .connections = 64,
    .connections_per_address = 32,
    .running_per_peer = 3,
    .unsent_bytes = 24 << 20,
    .header_bytes = 4096,
    .idle_s = 2,
    .request_s = 2,
};

static void raw_peers(void **state)
{
    xeno_auto(xeno_http_server) s = world_server(&w, &short_limits, NULL);
    pid_t pid[XENO_LEN(raws)];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(raws); i++) {
        raw_port = xeno_http_server_port(raws[i].in_time ? s : w.server);
        pid[i] = fork();
        if (pid[i] == 0)
            _exit(raws[i].fn());
    }
    for (size_t i = 0; i < XENO_LEN(raws); i++) {
        print_message("%s\n", raws[i].name);
        assert_int_equal(run_child(&w, pid[i]), 0);
    }
    assert_int_equal(ask(&w, w.client, "GET", "/ping", NULL, NULL, NULL, NULL), 200);
}

static void big_bodies(void **state)
{
    xeno_autofree char *big = xeno_alloc0(4 * 1024 * 1024 + 1, 1);
    xeno_autofree char *back = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    memset(big, 'x', 4 * 1024 * 1024);
    assert_int_equal(ask(&w, w.client, "POST", "/json", NULL, big, NULL, &err), 413);
    assert_string_equal(err.token, "http.body");
    assert_non_null(strstr(err.text, "1000 bytes"));
    big[2 * 1024 * 1024] = '\0';
    assert_int_equal(ask(&w, w.client, "POST", "/echo", NULL, big, &back, &err), 200);
    assert_string_equal(back, big);
    big[2 * 1024 * 1024] = 'x';
    big[2 * 1024 * 1024 + 1] = '\0';
    assert_int_equal(ask(&w, w.client, "POST", "/echo", NULL, big, NULL, &err), 413);
}

/* --- repeats --- */

static void repeats(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *one = NULL;
    xeno_autofree char *two = NULL;
    unsigned before = w.made;

    (void)state;
    assert_int_equal(ask(&w, w.client, "POST", "/made", NULL, "{}", NULL, &err), 400);
    assert_string_equal(err.token, "http.idempotency_key");
    assert_int_equal(ask(&w, w.client, "POST", "/made", "k1", "{}", &one, &err), 201);
    assert_int_equal(ask(&w, w.client, "POST", "/made", "k1", "{}", &two, &err), 201);
    assert_string_equal(one, two);
    assert_int_equal(w.made, before + 1);
    assert_int_equal(ask(&w, w.client, "POST", "/made", "k1", "{ }", NULL, &err), 422);
    assert_string_equal(err.token, "http.idempotency");
    assert_int_equal(ask(&w, w.client, "POST", "/made?x=1", "k1", "{}", NULL, &err), 422);
    assert_int_equal(ask(&w, w.client, "POST", "/made", "k2", "{ }", NULL, &err), 201);
    assert_int_equal(w.made, before + 2);
}

static void keys_belong_to_their_peer(void **state)
{
    xeno_autofree char *pem = world_cert(w.ca, w.ca_pem, w.other_key, XENO_PARTY_CLIENT, -60, 60);
    xeno_auto(xeno_http_client) other = world_client(&w, pem, w.other_key);
    unsigned before = w.made;

    (void)state;
    assert_int_equal(ask(&w, w.client, "POST", "/made", "shared", "{}", NULL, NULL), 201);
    assert_int_equal(ask(&w, other, "POST", "/made", "shared", "{}", NULL, NULL), 201);
    assert_int_equal(w.made, before + 2);
}

struct seen {
    unsigned count;
    int status;
    char body[200];
    char token[48];
};

static void on_done(const struct xeno_http_answer *a, void *arg)
{
    struct seen *s = arg;

    s->count++;
    s->status = a->status;
    snprintf(s->body, sizeof(s->body), "%s", a->body);
    snprintf(s->token, sizeof(s->token), "%s", a->err ? a->err->token : "");
}

static struct xeno_http_call *send_to(const char *path, const char *idem, struct seen *s)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", w.base, path);
    struct xeno_http_ask a = { .method = "POST",
                               .url = url,
                               .body = "{}",
                               .body_len = 2,
                               .idempotency_key = idem,
                               .done = on_done,
                               .arg = s };

    memset(s, 0, sizeof(*s));
    return xeno_http_send(w.client, &a);
}

static void answer_parked(int n)
{
    struct xeno_json *j = xeno_json_object();

    assert_non_null(w.parked);
    xeno_json_set_int(j, "n", n);
    xeno_http_reply_json(xeno_take(&w.parked), 200, j);
}

static void late_answer(void **state)
{
    static struct seen s;

    (void)state;
    send_to("/later", NULL, &s);
    until(&w, w.parked);
    run_ms(&w, 20);
    assert_int_equal(s.count, 0);
    answer_parked(7);
    until(&w, s.count == 1);
    assert_string_equal(s.body, "{\"n\":7}");
}

static void peer_leaves_before_the_answer(void **state)
{
    static struct seen s;
    struct xeno_http_call *call;
    unsigned before = w.gone;

    (void)state;
    xeno_http_cancel(send_to("/later", NULL, &s)); /* before it was even sent */
    assert_int_equal(s.count, 0);
    call = send_to("/later", NULL, &s);
    until(&w, w.parked);
    xeno_http_cancel(call);
    until(&w, w.gone == before + 1);
    assert_null(w.parked);
    assert_int_equal(s.count, 0);
}

static void repeat_joins_the_first(void **state)
{
    static struct seen a, b, c;
    unsigned before = w.made;

    (void)state;
    send_to("/park", "p1", &a);
    until(&w, w.parked);
    send_to("/park", "p1", &b);
    run_ms(&w, 30); /* it waits by now; later it would find the kept answer, which is the same */
    assert_int_equal(w.made, before + 1);
    answer_parked(8);
    until(&w, a.count == 1 && b.count == 1);
    assert_string_equal(a.body, "{\"n\":8}");
    assert_string_equal(b.body, "{\"n\":8}");
    send_to("/park", "p1", &c);
    until(&w, c.count == 1);
    assert_string_equal(c.body, "{\"n\":8}");
    assert_int_equal(w.made, before + 1);
}

static void first_leaves_and_its_repeat_is_answered(void **state)
{
    static struct seen a, b;
    struct xeno_http_call *call;
    unsigned before = w.made, gone = w.gone;

    (void)state;
    call = send_to("/park", "p2", &a);
    until(&w, w.parked);
    xeno_http_cancel(call);
    run_ms(&w, 30);
    assert_int_equal(w.gone, gone);
    send_to("/park", "p2", &b);
    run_ms(&w, 30);
    answer_parked(9);
    until(&w, b.count == 1);
    assert_string_equal(b.body, "{\"n\":9}");
    assert_int_equal(w.made, before + 1);
}

static void waiting_repeat_leaves(void **state)
{
    static struct seen a, other;
    struct xeno_http_call *call;

    (void)state;
    send_to("/park", "p3", &a);
    until(&w, w.parked);
    call = send_to("/park", "p3", &other);
    run_ms(&w, 30);
    xeno_http_cancel(call);
    run_ms(&w, 30);
    answer_parked(10);
    until(&w, a.count == 1);
    assert_string_equal(a.body, "{\"n\":10}");
    assert_int_equal(other.count, 0);
}

static void failures_are_not_kept(void **state)
{
    static struct seen a;
    struct xeno_err err;
    unsigned before = w.made;

    (void)state;
    xeno_fail(&err, -EIO, "test.fault", "a fault");
    send_to("/park", "f1", &a);
    until(&w, w.parked);
    xeno_http_reply_err(xeno_take(&w.parked), &err);
    until(&w, a.count == 1);
    assert_int_equal(a.status, 500);
    send_to("/park", "f1", &a);
    until(&w, w.parked);
    answer_parked(1);
    until(&w, a.count == 1);
    assert_int_equal(a.status, 200);
    assert_int_equal(w.made, before + 2);
}

static unsigned answered(const struct seen *s, unsigned count)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++)
        n += s[i].count;
    return n;
}

/* Three may run; two of them stay unanswered to the end. */
static void too_many_at_once(void **state)
{
    static struct seen s[5], next;
    unsigned before = w.made;

    (void)state;
    for (int i = 0; i < 5; i++)
        send_to("/later", NULL, &s[i]);
    until(&w, answered(s, 5) == 2);
    assert_int_equal(w.made, before + 3);
    for (int i = 0; i < 5; i++) {
        if (s[i].count == 0)
            continue;
        assert_int_equal(s[i].status, 429);
        assert_string_equal(s[i].token, "http.running");
    }
    answer_parked(1);
    until(&w, answered(s, 5) == 3);
    send_to("/later", NULL, &next);
    until(&w, w.parked); /* one ended, so one more may run */
    answer_parked(2);
    until(&w, next.count == 1);
    assert_int_equal(next.status, 200);
}

static void free_with_requests_open(void **state)
{
    struct world v;
    struct seen s = { .count = 0 };
    xeno_autofree char *url = NULL;
    struct xeno_http_ask a = { .method = "POST", .done = on_done, .arg = &s };

    (void)state;
    world_start(&v, &world_limits, NULL);
    a.url = url = xeno_asprintf("%s/later", v.base);
    xeno_http_send(v.client, &a);
    until(&v, v.parked);
    xeno_http_server_free(xeno_take(&v.server));
    assert_int_equal(v.gone, 1);
    until(&v, s.count == 1);
    assert_int_equal(s.status, 0);
    world_stop(&v);
}

/* --- answers kept by the program --- */

struct kept {
    char key[400], sha[80];
    int status;
    char body[100];
    unsigned gets, puts, handled;
};

static bool kept_get(const char *key, const char *sha, int *ret_status, char **ret_body, void *user)
{
    struct kept *k = user;

    k->gets++;
    if (strcmp(k->key, key) != 0)
        return false;
    *ret_status = strcmp(k->sha, sha) == 0 ? k->status : 0;
    if (*ret_status)
        *ret_body = xeno_strdup(k->body);
    return true;
}

static void kept_put(const char *key, const char *sha, int status, const char *body, void *user)
{
    struct kept *k = user;

    k->puts++;
    snprintf(k->key, sizeof(k->key), "%s", key);
    snprintf(k->sha, sizeof(k->sha), "%s", sha);
    snprintf(k->body, sizeof(k->body), "%s", body);
    k->status = status;
}

static void h_kept(struct xeno_http_req *q, void *user)
{
    struct xeno_json *j = xeno_json_object();

    xeno_json_set_int(j, "n", ++((struct kept *)user)->handled);
    xeno_http_reply_json(q, 201, j);
}

static void program_keeps_the_answers(void **state)
{
    static const struct xeno_http_route routes[] = {
        { "POST", "/kept", XENO_ROUTE_IDEMPOTENT, 100, h_kept }, { NULL }
    };
    struct kept k = { .gets = 0 };
    struct xeno_http_server_opts o = {
        .listen = "127.0.0.1:0",
        .listen_fd = -1,
        .cert_pem = w.server_chain,
        .key = w.server_key,
        .ca_pem = w.ca_pem,
        .env = xeno_env_real(),
        .routes = routes,
        .user = &k,
        .idem_get = kept_get,
        .idem_put = kept_put,
    };
    struct world v = w;
    xeno_autofree char *body = NULL;

    (void)state;
    for (int life = 0; life < 2; life++) { /* a restart forgets nothing */
        xeno_auto(xeno_http_server) s = NULL;

        assert_int_equal(xeno_http_server_new(w.loop, &o, &s, NULL), 0);
        snprintf(v.base, sizeof(v.base), "https://127.0.0.1:%u", xeno_http_server_port(s));
        free(xeno_take(&body));
        assert_int_equal(ask(&v, w.client, "POST", "/kept", "k", "{}", &body, NULL), 201);
        assert_string_equal(body, "{\"n\":1}");
        assert_int_equal(ask(&v, w.client, "POST", "/kept", "k", "{ }", NULL, NULL), 422);
    }
    assert_int_equal(k.handled, 1);
    assert_int_equal(k.puts, 1);
    assert_non_null(strstr(k.key, w.client_id.s));
    assert_non_null(strstr(k.key, " POST /kept k"));
}

/* --- connections --- */

static int dial_plain(unsigned port)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    connect(fd, (struct sockaddr *)&a, sizeof(a));
    return fd;
}

static unsigned hung_up(const int *fds, unsigned count)
{
    unsigned n = 0;
    char c;

    for (unsigned i = 0; i < count; i++)
        n += recv(fds[i], &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    return n;
}

static void connections_of_one_address(void **state)
{
    xeno_auto(xeno_http_server) s = world_server(&w, &world_limits, NULL);
    int fds[40];

    (void)state;
    for (int i = 0; i < 40; i++)
        fds[i] = dial_plain(xeno_http_server_port(s));
    until(&w, hung_up(fds, 40) == 8); /* 32 may be there */
    for (int i = 0; i < 40; i++)
        close(fds[i]);
}

/* Half a ClientHello, then silence: libmicrohttpd would have us turn in circles. */
static void a_stalled_handshake_costs_little(void **state)
{
    xeno_auto(xeno_http_server) s = world_server(&w, &world_limits, NULL);
    int fd = dial_plain(xeno_http_server_port(s));
    int64_t end = xeno_mono(xeno_env_real()).ns + 600 * XENO_NS_PER_MS;
    clock_t before = clock();

    (void)state;
    assert_int_equal(send(fd, "\x16\x03\x01\x02\x00\x01", 6, MSG_NOSIGNAL), 6);
    until(&w, xeno_mono(xeno_env_real()).ns > end);
    assert_true(clock() - before < CLOCKS_PER_SEC / 5);
    close(fd);
}

static void listens_on_what_it_is_given(void **state)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct xeno_http_server_opts o = {
        .listen_fd = fd,
        .cert_pem = w.server_chain,
        .key = w.server_key,
        .ca_pem = w.ca_pem,
        .env = xeno_env_real(),
        .routes = (const struct xeno_http_route[]){ { NULL } },
    };
    xeno_auto(xeno_http_server) s = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *url = NULL;
    struct xeno_http_ask ask6 = { .method = "GET", .server_id = w.server_id.s };
    int status = 0;

    (void)state;
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        print_message("cannot: IPv6\n"); /* scripts/tap-unit */
        close(fd);
        skip();
    }
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(xeno_http_server_new(w.loop, &o, &s, &err), 0);
    ask6.url = url = xeno_asprintf("https://[::1]:%u/", xeno_http_server_port(s));
    xeno_http_wait(w.client, &ask6, &status, NULL, NULL, &err);
    assert_int_equal(status, 404);
}

static const struct {
    const char *listen;
} bad_listen[] = { { "127.0.0.1" },   { "localhost:80" }, { "1.2.3.4.5:1" },
                   { "127.0.0.1:" },  { "[::1:80" },      { "" },
                   { "192.0.2.1:80" } };

static void listen_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad_listen); i++) {
        struct xeno_http_server_opts o = {
            .listen = bad_listen[i].listen,
            .listen_fd = -1,
            .cert_pem = w.server_chain,
            .key = w.server_key,
            .ca_pem = w.ca_pem,
            .env = xeno_env_real(),
        };
        struct xeno_http_server *s = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        assert_true(xeno_http_server_new(w.loop, &o, &s, &err) < 0);
        print_message("%s\n", err.text);
        assert_string_equal(err.token, "http.listen");
        assert_null(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_rows),
        cmocka_unit_test(parameters_are_decoded),
        cmocka_unit_test(raw_peers),
        cmocka_unit_test(big_bodies),
        cmocka_unit_test(repeats),
        cmocka_unit_test(keys_belong_to_their_peer),
        cmocka_unit_test(late_answer),
        cmocka_unit_test(peer_leaves_before_the_answer),
        cmocka_unit_test(repeat_joins_the_first),
        cmocka_unit_test(first_leaves_and_its_repeat_is_answered),
        cmocka_unit_test(waiting_repeat_leaves),
        cmocka_unit_test(failures_are_not_kept),
        cmocka_unit_test(program_keeps_the_answers),
        cmocka_unit_test(connections_of_one_address),
        cmocka_unit_test(a_stalled_handshake_costs_little),
        cmocka_unit_test(listens_on_what_it_is_given),
        cmocka_unit_test(too_many_at_once),
        cmocka_unit_test(free_with_requests_open),
        cmocka_unit_test(listen_rows),
    };
    return cmocka_run_group_tests_name("http-server", tests, start, stop);
}
