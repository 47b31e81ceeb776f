/* src/http/tests/test-client.c - retries, deadlines, unix sockets, and a client freed at any time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-event.h>

#include <cmocka.h>

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

/* --- a plain HTTP server on a unix socket that does as told --- */

enum trick { HANG_UP, SAY_503, SAY_500, SAY_NOTHING, SAY_OK };

struct tricky {
    int fd;
    char path[64];
    sd_event_source *io;
    const enum trick *tricks; /* for one connection each; the last one stays */
    unsigned count, seen;
    int held[8];
    unsigned held_count;
    char request[4096]; /* the last one */
};

static void answer(struct tricky *t, int fd)
{
    static const char *const texts[] = {
        [SAY_503] = "HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        [SAY_500] = "HTTP/1.1 500 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        [SAY_OK] = "HTTP/1.1 200 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood",
    };
    enum trick trick = t->tricks[t->seen < t->count ? t->seen : t->count - 1];
    ssize_t n;

    t->seen++;
    usleep(5000); /* the request is small and local: it is there by now */
    n = recv(fd, t->request, sizeof(t->request) - 1, 0);
    t->request[n > 0 ? n : 0] = '\0';
    if (trick == SAY_NOTHING && t->held_count < XENO_LEN(t->held)) {
        t->held[t->held_count++] = fd;
        return;
    }
    if (trick != HANG_UP && write(fd, texts[trick], strlen(texts[trick])) < 0)
        print_message("write failed\n");
    close(fd);
}

static int on_accept(sd_event_source *src, int fd, uint32_t events, void *user)
{
    int one = accept(fd, NULL, NULL);

    (void)src;
    (void)events;
    if (one >= 0)
        answer(user, one);
    return 0;
}

static void tricky_start(struct tricky *t, const enum trick *tricks, unsigned count)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    memset(t, 0, sizeof(*t));
    t->tricks = tricks;
    t->count = count;
    snprintf(t->path, sizeof(t->path), "/tmp/xeno-http-test-%d", (int)getpid());
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", t->path);
    unlink(t->path);
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(t->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(t->fd, 8), 0);
    sd_event_add_io(w.loop, &t->io, t->fd, EPOLLIN, on_accept, t);
}

static void tricky_stop(struct tricky *t)
{
    sd_event_source_disable_unref(t->io);
    close(t->fd);
    unlink(t->path);
    for (unsigned i = 0; i < t->held_count; i++)
        close(t->held[i]);
}

static const enum trick drops[] = { HANG_UP, HANG_UP, SAY_OK };
static const enum trick busy[] = { SAY_503, SAY_503, SAY_OK };
static const enum trick fault[] = { SAY_500 };
static const enum trick mute[] = { SAY_NOTHING };
static const enum trick dead[] = { HANG_UP };

static const struct {
    const char *name;
    const enum trick *tricks;
    unsigned count;
    bool retry;
    int status;
    const char *token;
    unsigned min_tries, max_tries;
    int64_t deadline_ms;
} rows[] = {
    { "first answers dropped", drops, 3, true, 200, "", 3, 3, 30000 },
    { "no retry unless asked", drops, 3, false, 0, "http.transport", 1, 1, 30000 },
    { "busy twice", busy, 3, true, 200, "", 3, 3, 30000 },
    { "busy, no retry", busy, 3, false, 503, "http.status", 1, 1, 30000 },
    { "a fault is not tried again", fault, 1, true, 500, "http.status", 1, 1, 30000 },
    { "no answer", mute, 1, false, 0, "http.deadline", 1, 1, 1500 },
    /* how it ends depends on whether the deadline finds it trying or waiting */
    { "hung up until the deadline", dead, 1, true, 0, NULL, 1, 8, 1500 },
};

static void retry_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct tricky t;
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_http_ask a = { .method = "POST",
                                   .body = "hello",
                                   .body_len = 5,
                                   .idempotency_key = "key-1",
                                   .retry = rows[i].retry,
                                   .deadline = xeno_ms(rows[i].deadline_ms) };
        xeno_autofree char *url = NULL;
        int status = -1;

        print_message("%s\n", rows[i].name);
        tricky_start(&t, rows[i].tricks, rows[i].count);
        a.url = url = xeno_asprintf("unix:%s:/v1/x?y=1", t.path);
        xeno_http_wait(w.client, &a, &status, NULL, NULL, &err);
        print_message("  %u tries, %s\n", t.seen, err.text);
        assert_int_equal(status, rows[i].status);
        if (rows[i].token)
            assert_string_equal(err.token, rows[i].token);
        assert_in_range(t.seen, rows[i].min_tries, rows[i].max_tries);
        assert_memory_equal(t.request, "POST /v1/x?y=1 HTTP/1.1\r\n", 25);
        assert_non_null(strstr(t.request, "Idempotency-Key: key-1\r\n"));
        assert_non_null(strstr(t.request, "\r\n\r\nhello"));
        tricky_stop(&t);
    }
}

static const struct {
    const char *url, *token;
} urls[] = {
    { "http://127.0.0.1:1/", "http.url" },
    { "ftp://127.0.0.1/", "http.url" },
    { "file:///etc/passwd", "http.url" },
    { "", "http.url" },
    { "https://", "http.url" },
    { "https://127.0.0.1:1/", "http.connect" },
    { "unix:/nowhere:/x", "http.connect" },
};

static void url_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(urls); i++) {
        struct xeno_http_ask a = { .method = "GET", .url = urls[i].url, .deadline = xeno_s(2) };
        struct xeno_err err = XENO_ERR_INIT;
        int status = -1;

        assert_true(xeno_http_wait(w.client, &a, &status, NULL, NULL, &err) < 0);
        print_message("%s: %s\n", urls[i].url, err.text);
        assert_string_equal(err.token, urls[i].token);
        assert_int_equal(status, 0);
    }
}

static void answer_too_big(void **state)
{
    xeno_autofree char *url = xeno_asprintf("%s/echo", w.base);
    struct xeno_http_ask a = {
        .method = "POST", .url = url, .body = "12345678", .body_len = 8, .max_body = 7
    };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_http_wait(w.client, &a, NULL, NULL, NULL, &err), -EFBIG);
    assert_string_equal(err.token, "http.size");
    a.max_body = 8;
    assert_int_equal(xeno_http_wait(w.client, &a, NULL, NULL, NULL, &err), 0);
}

/* --- callbacks that change the client under its feet --- */

struct act {
    struct xeno_http_client *client;
    struct xeno_http_call *other;
    unsigned done;
    enum { FREE_CLIENT, SEND_MORE, CANCEL_OTHER } what;
};

static void on_act(const struct xeno_http_answer *a, void *arg);

static struct xeno_http_call *act_send(struct act *act, const char *path)
{
    xeno_autofree char *url = xeno_asprintf("%s%s", w.base, path);
    struct xeno_http_ask a = { .method = "GET", .url = url, .done = on_act, .arg = act };

    return xeno_http_send(act->client, &a);
}

static void on_act(const struct xeno_http_answer *a, void *arg)
{
    struct act *act = arg;

    (void)a;
    act->done++;
    if (act->what == FREE_CLIENT)
        xeno_http_client_free(xeno_take(&act->client));
    else if (act->what == CANCEL_OTHER && act->other)
        xeno_http_cancel(xeno_take(&act->other));
    else if (act->what == SEND_MORE && act->done < 3)
        act_send(act, "/ping");
}

static void freed_in_its_callback(void **state)
{
    struct act act = { .client = world_client(&w, w.client_pem, w.client_key),
                       .what = FREE_CLIENT };

    (void)state;
    act_send(&act, "/ping");
    act_send(&act, "/events");
    act_send(&act, "/ping");
    until(&w, act.done == 1);
    run_ms(&w, 20);
    assert_int_equal(act.done, 1);
    assert_null(act.client);
}

static void freed_with_a_bad_url(void **state)
{
    struct act act = { .client = world_client(&w, NULL, NULL), .what = FREE_CLIENT };
    struct xeno_http_ask a = { .method = "GET", .url = "nonsense", .done = on_act, .arg = &act };

    (void)state;
    xeno_http_send(act.client, &a);
    assert_int_equal(act.done, 0); /* never inside send */
    until(&w, act.done == 1);
}

static void sends_and_cancels_in_its_callback(void **state)
{
    struct act act = { .client = w.client, .what = SEND_MORE };

    (void)state;
    act_send(&act, "/ping");
    until(&w, act.done == 3);
    act.done = 0;
    act.what = CANCEL_OTHER;
    act.other = act_send(&act, "/events");
    run_ms(&w, 50);
    act_send(&act, "/ping");
    until(&w, act.done == 1);
    assert_null(act.other);
    run_ms(&w, 20);
    assert_int_equal(act.done, 1);
}

static void many_at_once(void **state)
{
    struct act act = { .client = w.client, .what = SEND_MORE, .done = 100 };

    (void)state;
    for (int i = 0; i < 20; i++)
        act_send(&act, "/ping");
    until(&w, act.done == 120);
}

static void escape(void **state)
{
    xeno_autofree char *text = xeno_http_escape("[\"a b\",\"+&\xc3\xa4\"]~");

    (void)state;
    assert_string_equal(text, "%5B%22a%20b%22%2C%22%2B%26%C3%A4%22%5D~");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_rows),           cmocka_unit_test(url_rows),
        cmocka_unit_test(answer_too_big),       cmocka_unit_test(freed_in_its_callback),
        cmocka_unit_test(freed_with_a_bad_url), cmocka_unit_test(sends_and_cancels_in_its_callback),
        cmocka_unit_test(many_at_once),         cmocka_unit_test(escape),
    };
    return cmocka_run_group_tests_name("http-client", tests, start, stop);
}
