/* src/http/tests/test-stream.c - events, chunked bodies and upgraded connections, end to end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

#include "http/stream.h"
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

struct heard {
    unsigned events, done;
    int status;
    struct xeno_buf text;
    char trailer[64];
    struct xeno_http_call *call;
    bool cancel;
};

static void on_event(const char *id, const char *event, const char *data, void *arg)
{
    struct heard *h = arg;

    h->events++;
    xeno_buf_printf(&h->text, "[%s|%s|%s]", id, event, data);
    if (h->cancel)
        xeno_http_cancel(h->call);
}

static void on_piece(const void *data, size_t len, void *arg)
{
    struct heard *h = arg;

    xeno_buf_add(&h->text, data, len);
}

static void on_done(const struct xeno_http_answer *a, void *arg)
{
    struct heard *h = arg;

    const char *trailer = xeno_http_answer_trailer(a, "Repr-Digest");

    h->done++;
    h->status = a->status;
    snprintf(h->trailer, sizeof(h->trailer), "%s", trailer ? trailer : "");
}

static void listen_to(struct heard *h, const char *path, bool events)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", w.base, path);
    struct xeno_http_ask a = { .method = "GET", .url = url, .done = on_done, .arg = h };

    memset(h, 0, sizeof(*h));
    if (events)
        a.event = on_event;
    else
        a.piece = on_piece;
    h->call = xeno_http_send(w.client, &a);
}

static void events_arrive_one_by_one(void **state)
{
    struct heard h;

    (void)state;
    listen_to(&h, "/events", true);
    until(&w, w.stream);
    xeno_http_stream_event(w.stream, "1", "state", "running");
    until(&w, h.events == 1); /* without waiting for more */
    xeno_http_stream_event(w.stream, "2\nevil: 1", NULL, "two\nlines\r\nthree");
    until(&w, h.events == 2);
    assert_string_equal(h.text.data, "[1|state|running][2|message|two\nlines\nthree]");
    xeno_http_stream_event(w.stream, NULL, NULL, "last");
    xeno_http_stream_close(xeno_take(&w.stream));
    until(&w, h.done == 1);
    assert_int_equal(h.events, 3); /* what was written before the close arrives */
    assert_int_equal(h.status, 200);
    assert_int_equal(w.stream_gone, 0);
    xeno_buf_release(&h.text);
}

static void peer_leaves_a_silent_stream(void **state)
{
    struct heard h;
    unsigned before = w.stream_gone;

    (void)state;
    listen_to(&h, "/events", true);
    until(&w, w.stream);
    xeno_http_cancel(h.call);
    until(&w, w.stream_gone == before + 1);
    assert_null(w.stream);
}

/* Nothing is asked on a stream any more, and it may last for days. */
static void a_revoked_credential_ends_its_streams(void **state)
{
    struct heard h;
    unsigned before = w.stream_gone;
    struct xeno_cert *cert = NULL;

    (void)state;
    assert_int_equal(xeno_cert_parse(w.client_pem, 0, &cert, NULL), 0);
    listen_to(&h, "/events", true);
    until(&w, w.stream);
    w.revoked = cert->serial;
    until(&w, w.stream_gone == before + 1);
    until(&w, h.done == 1);
    w.revoked = NULL;
    xeno_cert_free(cert);
    xeno_buf_release(&h.text);
}

static void cancel_inside_an_event(void **state)
{
    struct heard h;
    unsigned before = w.stream_gone;

    (void)state;
    listen_to(&h, "/events", true);
    until(&w, w.stream);
    h.cancel = true;
    xeno_http_stream_event(w.stream, NULL, NULL, "one");
    until(&w, w.stream_gone == before + 1);
    assert_int_equal(h.events, 1);
    assert_int_equal(h.done, 0);
    xeno_buf_release(&h.text);
}

static void pieces_of_a_body(void **state)
{
    struct heard h;
    char block[1000];

    (void)state;
    memset(block, 'b', sizeof(block));
    listen_to(&h, "/text", false);
    until(&w, w.stream);
    for (int i = 0; i < 100; i++)
        assert_true(xeno_http_stream_write(w.stream, block, sizeof(block)));
    until(&w, h.text.len == 100000);
    assert_int_equal(xeno_http_stream_waiting(w.stream), 0);
    xeno_http_stream_close(xeno_take(&w.stream));
    until(&w, h.done == 1);
    xeno_buf_release(&h.text);
}

static void count_taken(void *arg)
{
    ++*(unsigned *)arg;
}

/* A body of any length, written as fast as it is taken, and at its end what it was. */
static void a_trailer_ends_a_body(void **state)
{
    unsigned taken = 0, rounds = 0;
    char block[60000];
    struct heard h;

    (void)state;
    memset(block, 'b', sizeof(block));
    listen_to(&h, "/text", false);
    until(&w, w.stream);
    xeno_http_stream_on_taken(w.stream, count_taken, &taken);
    for (; rounds < 10; rounds++) {
        assert_int_equal(taken, rounds);
        assert_true(xeno_http_stream_write(w.stream, block, sizeof(block)));
        until(&w, taken == rounds + 1);
    }
    xeno_http_stream_close_with(xeno_take(&w.stream), "Repr-Digest", "sha-256=:eA==:");
    until(&w, h.done == 1);
    assert_int_equal(h.status, 200);
    assert_int_equal(h.text.len, 10 * sizeof(block));
    assert_string_equal(h.trailer, "sha-256=:eA==:");
    xeno_buf_release(&h.text);
}

static void a_body_that_is_cut_is_no_answer(void **state)
{
    unsigned gone = w.stream_gone;
    struct heard h;

    (void)state;
    listen_to(&h, "/text", false);
    until(&w, w.stream);
    assert_true(xeno_http_stream_write(w.stream, "half", 4));
    until(&w, h.text.len == 4);
    xeno_http_stream_abort(xeno_take(&w.stream));
    until(&w, h.done == 1);
    assert_int_equal(h.status, 0);
    assert_int_equal(w.stream_gone, gone);
    xeno_buf_release(&h.text);
}

static void slow_reader_is_cut_off(void **state)
{
    struct heard h;
    unsigned before = w.stream_gone;
    struct xeno_http_stream *st;
    char block[64 * 1024];
    int n = 0;

    (void)state;
    memset(block, 'b', sizeof(block));
    listen_to(&h, "/text", false);
    until(&w, w.stream);
    st = w.stream;
    while (xeno_http_stream_write(st, block, sizeof(block)))
        n++; /* the loop does not run, so nothing leaves */
    assert_int_equal(n, 4);
    assert_int_equal(w.stream_gone, before); /* not from inside a call of ours */
    assert_false(xeno_http_stream_write(st, "x", 1));
    until(&w, w.stream_gone == before + 1 && h.done == 1);
    assert_int_equal(h.status, 0); /* a cut body is no success */
    xeno_buf_release(&h.text);
}

static void a_stream_refused_is_a_problem(void **state)
{
    struct heard h;

    (void)state;
    listen_to(&h, "/problem", true);
    until(&w, h.done == 1);
    assert_int_equal(h.status, 402);
    assert_int_equal(h.events, 0);
}

/* --- upgrade --- */

static int dial(const char *path, const char *protocol, struct xeno_err *err)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", w.base, path);
    int fd = -1;

    xeno_http_upgrade_wait(w.client, url, w.server_id.s, protocol, &fd, err);
    return fd;
}

/* The server's owner of an upgraded connection closes it after the server was freed. */
static void on_kept(int fd, const void *early, size_t early_len, struct xeno_http_upgraded *u,
                    void *arg)
{
    (void)fd;
    (void)early;
    (void)early_len;
    *(struct xeno_http_upgraded **)arg = u;
}

static void h_kept(struct xeno_http_req *q, void *user)
{
    xeno_http_upgrade(q, XENO_STREAM_PROTOCOL, on_kept, user);
}

static void h_kept_late(struct xeno_http_req *q, void *user)
{
    *(struct xeno_http_req **)user = q;
}

static pid_t dial_from_child(unsigned port)
{
    pid_t pid = fork();

    if (pid == 0) {
        xeno_autofree char *base = xeno_asprintf("https://127.0.0.1:%u", port);
        sd_event *loop = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int fd;

        sd_event_new(&loop);
        w.loop = loop;
        w.client = world_client(&w, w.client_pem, w.client_key);
        snprintf(w.base, sizeof(w.base), "%s", base);
        fd = dial("/kept", XENO_STREAM_PROTOCOL, &err);
        for (int i = 0; fd >= 0 && i < 1000; i++) {
            char c;

            run_ms(&w, 20);
            if (read(fd, &c, 1) == 0)
                _exit(0);
        }
        _exit(fd < 0 ? 1 : 2);
    }
    return pid;
}

static void server_freed_under_an_owner(void **state)
{
    struct xeno_http_upgraded *kept = NULL;
    const struct xeno_http_route routes[] = { { "GET", "/kept", 0, 0, h_kept }, { NULL } };
    struct xeno_http_server_opts o = {
        .listen = "127.0.0.1:0",
        .listen_fd = -1,
        .cert_pem = w.server_chain,
        .key = w.server_key,
        .ca_pem = w.ca_pem,
        .env = xeno_env_real(),
        .routes = routes,
        .user = &kept,
    };
    struct xeno_http_server *s = NULL;
    pid_t pid;

    (void)state;
    assert_int_equal(xeno_http_server_new(w.loop, &o, &s, NULL), 0);
    pid = dial_from_child(xeno_http_server_port(s));
    until(&w, kept);
    run_ms(&w, 50);
    xeno_http_server_free(s);
    /* 1: on a slow machine the answer had not left yet */
    assert_in_range(run_child(&w, pid), 0, 1);
    xeno_http_upgrade_close(kept);
}

static void upgrade_answered_late(void **state)
{
    struct xeno_http_req *q = NULL;
    struct xeno_http_upgraded *kept = NULL;
    const struct xeno_http_route routes[] = { { "GET", "/kept", 0, 0, h_kept_late }, { NULL } };
    struct xeno_http_server_opts o = {
        .listen = "127.0.0.1:0",
        .listen_fd = -1,
        .cert_pem = w.server_chain,
        .key = w.server_key,
        .ca_pem = w.ca_pem,
        .env = xeno_env_real(),
        .routes = routes,
        .user = &q,
    };
    struct xeno_http_server *s = NULL;
    pid_t pid;

    (void)state;
    assert_int_equal(xeno_http_server_new(w.loop, &o, &s, NULL), 0);
    pid = dial_from_child(xeno_http_server_port(s));
    until(&w, q);
    xeno_http_upgrade(q, XENO_STREAM_PROTOCOL, on_kept, &kept);
    until(&w, kept);
    xeno_http_upgrade_close(kept);
    assert_int_equal(run_child(&w, pid), 0);
    xeno_http_server_free(s);
}

/* Dialling blocks, and the server of this test lives in the same loop: so it is served by a child
 * process that runs a world of its own. */
static pid_t serve(int *ret_port)
{
    int p[2];
    pid_t pid;
    unsigned port;

    assert_int_equal(pipe(p), 0);
    pid = fork();
    if (pid == 0) {
        sd_event *loop = NULL;

        sd_event_new(&loop); /* an event loop does not outlive a fork */
        w.loop = loop;
        w.server = world_server(&w, &world_limits, NULL);
        port = xeno_http_server_port(w.server);
        if (write(p[1], &port, sizeof(port)) != sizeof(port))
            _exit(1);
        run_ms(&w, 60000);
        _exit(0);
    }
    assert_int_equal(read(p[0], &port, sizeof(port)), sizeof(port));
    close(p[0]);
    close(p[1]);
    *ret_port = (int)port;
    return pid;
}

struct far {
    pid_t pid;
    char base[64];
};

static void far_start(struct far *f)
{
    int port;

    f->pid = serve(&port);
    memcpy(f->base, w.base, sizeof(f->base));
    snprintf(w.base, sizeof(w.base), "https://127.0.0.1:%d", port);
}

static void far_stop(struct far *f)
{
    memcpy(w.base, f->base, sizeof(w.base));
    kill(f->pid, SIGTERM);
    run_child(&w, f->pid);
}

struct traffic {
    int fd;
    struct xeno_buf out;
    struct xeno_stream in;
    struct xeno_buf got;
    bool exited, eof;
};

static int on_traffic(sd_event_source *src, int fd, uint32_t events, void *user)
{
    struct traffic *t = user;
    struct xeno_frame f;
    char buf[8192];
    ssize_t n;

    (void)events;
    n = read(fd, buf, sizeof(buf));
    if (n > 0)
        xeno_stream_add(&t->in, buf, (size_t)n);
    else if (n == 0)
        t->eof = true;
    while (xeno_stream_next(&t->in, &f, NULL) == 1) {
        if (f.channel == XENO_CHANNEL_CONTROL)
            t->exited = true;
        else
            xeno_buf_add(&t->got, f.data, f.len);
    }
    if (t->out.len > 0) {
        n = write(fd, t->out.data, t->out.len);
        if (n > 0)
            xeno_buf_shift(&t->out, (size_t)n);
    }
    sd_event_source_set_io_events(src,
                                  t->eof ? 0u : EPOLLIN | (t->out.len ? (uint32_t)EPOLLOUT : 0));
    return 0;
}

static void megabyte_both_ways(void **state)
{
    struct traffic t = { .fd = -1 };
    sd_event_source *src = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    xeno_autofree char *data = xeno_alloc0(1 << 20, 1);
    struct far f;

    (void)state;
    far_start(&f);
    xeno_random(xeno_env_real(), data, 1 << 20);
    t.fd = dial("/upgrade", XENO_STREAM_PROTOCOL, &err);
    print_message("%s\n", err.text);
    assert_true(t.fd >= 0);
    assert_true(fcntl(t.fd, F_GETFL) & O_NONBLOCK);
    xeno_stream_put(&t.out, XENO_CHANNEL_STDIN, data, 1 << 20);
    xeno_stream_put(&t.out, XENO_CHANNEL_CONTROL, "{}", 2);
    sd_event_add_io(w.loop, &src, t.fd, EPOLLIN | EPOLLOUT, on_traffic, &t);
    until(&w, t.eof);
    assert_int_equal(t.got.len, 1 << 20);
    assert_memory_equal(t.got.data, data, 1 << 20);
    assert_true(t.exited); /* the last frame before the server's close is not lost */
    sd_event_source_disable_unref(src);
    close(t.fd);
    xeno_buf_release(&t.got);
    xeno_buf_release(&t.out);
    xeno_stream_release(&t.in);
    run_ms(&w, 20);
    far_stop(&f);
}

static void client_leaves(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct far f;
    int fd;

    (void)state;
    far_start(&f);
    for (int i = 0; i < 40; i++) { /* more than connections_per_address: the old ones must go */
        fd = dial("/upgrade", XENO_STREAM_PROTOCOL, &err);
        if (fd < 0)
            print_message("%d: %s\n", i, err.text);
        assert_true(fd >= 0);
        close(fd);
        run_ms(&w, 10);
    }
    far_stop(&f);
}

static void upgrade_refusals(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    struct far f;

    (void)state;
    far_start(&f);
    assert_int_equal(dial("/upgrade", "other/1", &err), -1);
    assert_string_equal(err.token, "http.upgrade");
    assert_int_equal(dial("/problem", XENO_STREAM_PROTOCOL, &err), -1);
    assert_string_equal(err.token, "ledger.funds");
    assert_int_equal(dial("/ping", XENO_STREAM_PROTOCOL, &err), -1);
    far_stop(&f);
    /* a plain request where an upgrade is needed */
    assert_int_equal(ask(&w, w.client, "GET", "/upgrade", NULL, NULL, NULL, &err), 426);
    assert_string_equal(err.token, "http.upgrade");
}

static void upgrade_checks_the_server(void **state)
{
    xeno_autofree char *url = NULL;
    struct xeno_err err = XENO_ERR_INIT;
    struct far f;
    int fd = -1;

    (void)state;
    far_start(&f);
    url = xeno_asprintf("%s/upgrade", w.base);
    assert_true(
        xeno_http_upgrade_wait(w.client, url, w.client_id.s, XENO_STREAM_PROTOCOL, &fd, &err) < 0);
    assert_string_equal(err.token, "http.peer");
    assert_int_equal(fd, -1);
    far_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive_one_by_one),
        cmocka_unit_test(peer_leaves_a_silent_stream),
        cmocka_unit_test(a_revoked_credential_ends_its_streams),
        cmocka_unit_test(cancel_inside_an_event),
        cmocka_unit_test(pieces_of_a_body),
        cmocka_unit_test(a_trailer_ends_a_body),
        cmocka_unit_test(a_body_that_is_cut_is_no_answer),
        cmocka_unit_test(slow_reader_is_cut_off),
        cmocka_unit_test(a_stream_refused_is_a_problem),
        cmocka_unit_test(megabyte_both_ways),
        cmocka_unit_test(client_leaves),
        cmocka_unit_test(upgrade_refusals),
        cmocka_unit_test(upgrade_checks_the_server),
        cmocka_unit_test(server_freed_under_an_owner),
        cmocka_unit_test(upgrade_answered_late),
    };
    return cmocka_run_group_tests_name("http-stream", tests, start, stop);
}
