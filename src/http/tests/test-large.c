/* src/http/tests/test-large.c - bodies for a sink, files as answers, ranges. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "raw.h"
#include "world.h"

#define FILE_BYTES (1 << 20)

static struct world w;
static unsigned port;

static int start(void **state)
{
    char path[] = "/tmp/xeno-large-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    world_start(&w, &world_limits, NULL);
    port = xeno_http_server_port(w.server);
    for (int i = 0; i < FILE_BYTES / 16; i++)
        assert_int_equal(dprintf(fd, "%015d\n", i), 16);
    close(fd);
    w.file = xeno_strdup(path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    unlink(w.file);
    free(w.file);
    world_stop(&w);
    return 0;
}

/* --- bodies --- */

static const struct {
    const char *what, *path, *token;
    size_t bytes;
    int status;
    unsigned sunk, dropped;
} bodies[] = {
    { "all of it", "/sink/a", "", 5 << 20, 201, 1, 0 },
    { "nothing", "/sink/a", "", 0, 201, 1, 0 },
    { "refused by its header", "/sink/refuse", "test.refused", 5 << 20, 403, 0, 0 },
    { "refused on the way", "/sink/stop", "test.full", 5 << 20, 507, 0, 0 },
    { "too large", "/sink/a", "http.body", (8 << 20) + 1, 413, 0, 0 },
};

static void to_a_sink(void **state)
{
    xeno_autofree char *big = xeno_alloc0(1, (8 << 20) + 2);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bodies); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        unsigned sunk = w.sunk, dropped = w.dropped;
        int status;

        memset(big, 'x', bodies[i].bytes);
        big[bodies[i].bytes] = '\0';
        status = ask(&w, w.client, "PUT", bodies[i].path, NULL, big, NULL, &err);
        print_message("%s: %s\n", bodies[i].what, err.text);
        assert_int_equal(status, bodies[i].status);
        assert_string_equal(err.token, bodies[i].token);
        assert_int_equal(w.sunk - sunk, bodies[i].sunk);
        assert_int_equal(w.dropped - dropped, bodies[i].dropped);
        if (bodies[i].sunk)
            assert_int_equal(w.sunk_bytes, bodies[i].bytes);
    }
}

/* A child's exit code is 0 when all was as it should be. */

static int leaves_in_the_middle(void)
{
    struct raw r;

    raw_open(&r, &w, port);
    raw_send(&r, "PUT /sink/a HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc");
    return 0;
}

static int too_large_in_pieces(void)
{
    static char piece[65537], head[32];
    struct raw r;
    char buf[4096];

    raw_open(&r, &w, port);
    memset(piece, 'x', sizeof(piece) - 1);
    snprintf(head, sizeof(head), "%zx\r\n", sizeof(piece) - 1);
    raw_send(&r, "PUT /sink/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 140; i++) {
        raw_send(&r, head);
        for (size_t at = 0; at < sizeof(piece) - 1; at += 16384) {
            char part[16385] = "";

            memcpy(part, piece + at, 16384);
            raw_send(&r, part);
        }
        raw_send(&r, "\r\n");
    }
    raw_send(&r, "0\r\n\r\n");
    return raw_status(&r, buf, sizeof(buf)) == 413 && strstr(buf, "http.body") ? 0 : 1;
}

static void what_does_not_arrive_is_dropped(void **state)
{
    static int (*const children[])(void) = { leaves_in_the_middle, too_large_in_pieces };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(children); i++) {
        unsigned sunk = w.sunk, dropped = w.dropped;
        pid_t pid = fork();

        if (pid == 0)
            _exit(children[i]());
        assert_int_equal(run_child(&w, pid), 0);
        until(&w, w.dropped == dropped + 1);
        assert_int_equal(w.sunk, sunk);
    }
}

/* --- answers --- */

/* The bytes of the file that the range asks for; offset -1: all, -2: not satisfiable. */
static const struct {
    const char *range;
    int64_t offset, len;
} ranges[] = {
    { "bytes=0-15", 0, 16 },
    { "bytes=16-31", 16, 16 },
    { "BYTES=5-5", 5, 1 },
    { "bytes=1048568-", FILE_BYTES - 8, 8 },
    { "bytes=-4", FILE_BYTES - 4, 4 },
    { "bytes=-99999999999", 0, FILE_BYTES },
    { "bytes=1048568-99999999999", FILE_BYTES - 8, 8 },
    { "bytes=1048576-", -2, 0 },
    { "bytes=9-5", -1, 0 },
    { "bytes=1-2,4-5", -1, 0 },
    { "bytes=a-b", -1, 0 },
    { "bytes=", -1, 0 },
    { "bytes=-", -1, 0 },
    { "bytes=99999999999999999999-", -1, 0 },
    { "lines=1-2", -1, 0 },
};

static bool right_bytes(const char *body, int64_t offset, int64_t len)
{
    for (int64_t i = 0; i < len; i++) {
        char line[32];

        snprintf(line, sizeof(line), "%015lld\n", (long long)(offset + i) / 16);
        if (body[i] != line[(offset + i) % 16])
            return false;
    }
    return true;
}

static int try_range(size_t i)
{
    static char buf[FILE_BYTES + 8192];
    int64_t offset = ranges[i].offset < 0 ? 0 : ranges[i].offset;
    int64_t len = ranges[i].offset < 0 ? FILE_BYTES : ranges[i].len;
    char length[64];
    const char *body;
    struct raw r;
    int status;

    raw_open(&r, &w, port);
    raw_send(&r, "GET /files/a/b/c/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: ");
    raw_send(&r, ranges[i].range);
    raw_send(&r, "\r\n\r\n");
    status = raw_status(&r, buf, sizeof(buf));
    if (ranges[i].offset == -2)
        return status == 416 && strstr(buf, "http.range") ? 0 : 1;
    snprintf(length, sizeof(length), "Content-Length: %lld\r\n", (long long)len);
    body = strstr(buf, "\r\n\r\n");
    if (status != (ranges[i].offset == -1 ? 200 : 206) || !strstr(buf, length) ||
        !strstr(buf, "X-Name: a/b/c\r\n") || !body)
        return 2;
    return right_bytes(body + 4, offset, len) ? 0 : 3;
}

static void files_and_their_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(ranges); i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(try_range(i));
        print_message("%s\n", ranges[i].range);
        assert_int_equal(run_child(&w, pid), 0);
    }
}

static int head_only(void)
{
    char buf[4096];
    struct raw r;

    raw_open(&r, &w, port);
    raw_send(&r, "HEAD /files/a/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return raw_status(&r, buf, sizeof(buf)) == 200 && strstr(buf, "Content-Length: 1048576\r\n") &&
                   strcmp(strstr(buf, "\r\n\r\n"), "\r\n\r\n") == 0
               ? 0
               : 1;
}

/* What a handler says is one header, whatever is in it. */
static int one_header(void)
{
    char buf[4096];
    struct raw r;

    raw_open(&r, &w, port);
    raw_send(&r, "PUT /sink/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1"
                 "\r\n\r\na");
    return raw_status(&r, buf, sizeof(buf)) == 201 && strstr(buf, "Location: /files/a  b\r\n") ? 0
                                                                                               : 1;
}

static void heads(void **state)
{
    static int (*const children[])(void) = { head_only, one_header };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(children); i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(children[i]());
        assert_int_equal(run_child(&w, pid), 0);
    }
}

static void several_segments(void **state)
{
    static const struct {
        const char *path;
        int status;
    } rows[] = {
        { "/files/x", 404 },     { "/files//x", 404 },    { "/files/x/x", 200 },
        { "/files/a/b", 404 },   { "/files/a/x/x", 200 }, { "/files/a//x", 200 },
        { "/files/a%2/x", 404 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("%s\n", rows[i].path);
        assert_int_equal(ask(&w, w.client, "GET", rows[i].path, NULL, NULL, NULL, NULL),
                         rows[i].status);
    }
}

/* --- time --- */

static const struct xeno_http_limits short_limits = {
    .connections = 64,
    .connections_per_address = 32,
    .running_per_peer = 3,
    .unsent_bytes = 24 << 20,
    .header_bytes = 4096,
    .idle_s = 5,
    .request_s = 2,
};

/* A byte each tenth of a second is a trickle, whatever the body is for. */
static int trickle(void)
{
    struct raw r;

    raw_open(&r, &w, port);
    raw_send(&r, "PUT /sink/a HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        usleep(100000);
        if (gnutls_record_send(r.session, " ", 1) < 0)
            return 0;
    }
    return 1;
}

/* Twice the pace for twice the time: slow, and as it should be. */
static int slow_but_steady(void)
{
    char piece[4097] = "", buf[4096];
    struct raw r;

    raw_open(&r, &w, port);
    memset(piece, 'x', 4096);
    raw_send(&r, "PUT /sink/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                 "Content-Length: 65536\r\n\r\n");
    for (int i = 0; i < 16; i++) {
        usleep(200000);
        raw_send(&r, piece);
    }
    return raw_status(&r, buf, sizeof(buf)) == 201 ? 0 : 1;
}

static void the_pace_decides(void **state)
{
    static int (*const children[])(void) = { trickle, slow_but_steady };
    xeno_auto(xeno_http_server) s = world_server(&w, &short_limits, NULL);
    pid_t pid[XENO_LEN(children)];

    (void)state;
    port = xeno_http_server_port(s);
    for (size_t i = 0; i < XENO_LEN(children); i++) {
        pid[i] = fork();
        if (pid[i] == 0)
            _exit(children[i]());
    }
    for (size_t i = 0; i < XENO_LEN(children); i++)
        assert_int_equal(run_child(&w, pid[i]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_a_sink),
        cmocka_unit_test(what_does_not_arrive_is_dropped),
        cmocka_unit_test(files_and_their_ranges),
        cmocka_unit_test(heads),
        cmocka_unit_test(several_segments),
        cmocka_unit_test(the_pace_decides),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
