/* src/http/tests/test-made.c - answers that are made while they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "raw.h"
#include "world.h"

#define LARGE      "100000000" /* more than two sockets hold */
#define LARGE_SIZE 100000000

static struct world w;
static unsigned port;

static int start(void **state)
{
    (void)state;
    world_start(&w, &world_limits, NULL);
    port = xeno_http_server_port(w.server);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&w);
    return 0;
}

static void is_whole(void **state)
{
    static const size_t sizes[] = { 0, 1, 5000, 100000, 3000000 };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(sizes); i++) {
        xeno_autofree char *want = xeno_asprintf("%zu", sizes[i]);
        unsigned done = w.counted_done;
        struct xeno_err err = XENO_ERR_INIT;
        char *body = NULL;

        assert_int_equal(ask(&w, w.client, "POST", "/counted", NULL, want, &body, &err), 200);
        assert_int_equal(strlen(body), sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            if (body[at] != (char)('0' + at % 10))
                fail_msg("of %zu bytes that at %zu is wrong", sizes[i], at);
        until(&w, w.counted_done == done + 1);
        free(body);
    }
}

/* A peer that asks for much and reads nothing until it is told to; its exit code is 0 when it then
 * got all of it, and when it is told to leave. */
static pid_t slow_peer(const char *path, int *ret_tell)
{
    static char buf[1 << 16];
    struct raw r;
    char *question; /* the process ends */
    size_t got = 0;
    ssize_t n;
    int p[2];
    pid_t pid;
    char told;

    assert_int_equal(pipe(p), 0);
    pid = fork();
    if (pid > 0) {
        close(p[0]);
        *ret_tell = p[1];
        return pid;
    }
    close(p[1]);
    raw_open(&r, &w, port);
    question = xeno_asprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                             "Content-Length: 9\r\n\r\n" LARGE,
                             path);
    raw_send(&r, question);
    if (read(p[0], &told, 1) == 0)
        _exit(0);
    while ((n = gnutls_record_recv(r.session, buf, sizeof buf)) > 0)
        got += (size_t)n;
    _exit(got > LARGE_SIZE ? 0 : 1);
}

/* Until no more of it is made. A machine that only pauses ends this early: what is checked then is
 * an upper bound. */
static void until_it_rests(void)
{
    size_t before;

    until(&w, w.counted > 0);
    do {
        before = w.counted;
        run_ms(&w, 200);
    } while (w.counted > before);
}

static void waits_for_its_reader(void **state)
{
    unsigned done = w.counted_done;
    int tell;
    pid_t pid = slow_peer("/counted", &tell);

    (void)state;
    w.counted = 0;
    until_it_rests();
    assert_true(w.counted < LARGE_SIZE / 2);
    assert_int_equal(w.counted_done, done);
    assert_int_equal(write(tell, "x", 1), 1);
    close(tell);
    assert_int_equal(run_child(&w, pid), 0);
    assert_int_equal(w.counted, LARGE_SIZE);
    until(&w, w.counted_done == done + 1);
}

static void a_peer_that_leaves(void **state)
{
    unsigned done = w.counted_done;
    int tell;
    pid_t pid = slow_peer("/counted", &tell);

    (void)state;
    w.counted = 0;
    until_it_rests();
    close(tell);
    assert_int_equal(run_child(&w, pid), 0);
    until(&w, w.counted_done == done + 1);
    assert_true(w.counted < LARGE_SIZE);
}

/* What is kept for slow readers is bounded as what is at work is. */
static void counts_as_running(void **state)
{
    unsigned done = w.counted_done, many = world_limits.running_per_peer;
    struct xeno_err err = XENO_ERR_INIT;
    int tell[16];
    pid_t pids[16];
    char *body = NULL;

    (void)state;
    assert_true(many <= XENO_LEN(tell));
    for (unsigned i = 0; i < many; i++) {
        w.counted = 0;
        pids[i] = slow_peer("/counted", &tell[i]);
        until_it_rests();
    }
    assert_int_equal(ask(&w, w.client, "POST", "/counted", NULL, "1", &body, &err), 429);
    assert_string_equal(err.token, "http.running");
    free(xeno_take(&body));
    for (unsigned i = many; i-- > 0;) { /* a later one holds the pipes of the earlier */
        close(tell[i]);
        assert_int_equal(run_child(&w, pids[i]), 0);
    }
    until(&w, w.counted_done == done + many);
    assert_int_equal(ask(&w, w.client, "POST", "/counted", NULL, "1", &body, &err), 200);
    free(body);
}

/* An answer in memory stays there for as long as its reader likes: so many bytes, then no more. */
static void what_is_not_read_counts(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *body = NULL;
    int tell, status = 200;
    pid_t pid = slow_peer("/large", &tell);

    (void)state;
    assert_true(LARGE_SIZE > 3 * world_limits.unsent_bytes);
    for (int i = 0; i < 10000 && status == 200; i++) {
        run_ms(&w, 2);
        status = ask(&w, w.client, "POST", "/large", NULL, "1", &body, &err);
        free(xeno_take(&body));
    }
    assert_int_equal(status, 429);
    assert_string_equal(err.token, "http.unsent");
    close(tell);
    assert_int_equal(run_child(&w, pid), 0);
    for (int i = 0; i < 10000 && status == 429; i++) {
        run_ms(&w, 2);
        status = ask(&w, w.client, "POST", "/large", NULL, "1", &body, &err);
        free(xeno_take(&body));
    }
    assert_int_equal(status, 200);
}

/* An answer with nothing in it owes nothing, and is not looked for when it has left. */
static void nothing_to_read(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *body = NULL;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask(&w, w.client, "POST", "/large", NULL, "0", &body, &err), 200);
        free(xeno_take(&body));
        assert_int_equal(ask(&w, w.client, "POST", "/large", NULL, "1", &body, &err), 200);
        free(xeno_take(&body));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_whole),
        cmocka_unit_test(waits_for_its_reader),
        cmocka_unit_test(a_peer_that_leaves),
        cmocka_unit_test(counts_as_running),
        cmocka_unit_test(what_is_not_read_counts),
        cmocka_unit_test(nothing_to_read),
    };
    return cmocka_run_group_tests_name("http-made", tests, start, stop);
}
