/* src/http/tests/test-bulk.c - the client with answers and bodies of any size, headers, redirects,
 * and servers of other people. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "world.h"

#define FILE_BYTES (3 << 20)

static struct world w;
static int file_fd;

static int start(void **state)
{
    char path[] = "/tmp/xeno-bulk-XXXXXX";

    (void)state;
    world_start(&w, &world_limits, NULL);
    file_fd = mkstemp(path);
    for (int i = 0; i < FILE_BYTES / 16; i++)
        assert_int_equal(dprintf(file_fd, "%015d\n", i), 16);
    w.file = xeno_strdup(path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    close(file_fd);
    unlink(w.file);
    free(w.file);
    world_stop(&w);
    return 0;
}

/* --- answers for a sink --- */

struct taken {
    struct xeno_buf data;
    char name[64], length[64], none[8];
    unsigned heads;
    size_t stop_at; /* 0: never */
    bool refuse;
};

static int on_head(const struct xeno_http_answer *a, void *arg, struct xeno_err *err)
{
    struct taken *t = arg;
    const char *none = xeno_http_answer_header(a, "X-Nothing");

    t->heads++;
    snprintf(t->name, sizeof(t->name), "%s", xeno_http_answer_header(a, "x-name"));
    snprintf(t->length, sizeof(t->length), "%s", xeno_http_answer_header(a, "Content-Range"));
    snprintf(t->none, sizeof(t->none), "%s", none ? none : "none");
    return t->refuse ? xeno_fail(err, -EPERM, "test.head", "no") : 0;
}

static int on_sink(const void *data, size_t len, void *arg, struct xeno_err *err)
{
    struct taken *t = arg;

    xeno_buf_add(&t->data, data, len);
    return t->stop_at && t->data.len > t->stop_at ? xeno_fail(err, -ENOSPC, "test.full", "full")
                                                  : 0;
}

static const struct {
    const char *what, *path, *range, *token;
    bool refuse;
    size_t stop_at, len;
} answers[] = {
    { "all of it", "/files/a/x", "bytes=0-", "", false, 0, FILE_BYTES },
    { "a part", "/files/a/x", "bytes=16-31", "", false, 0, 16 },
    { "refused by its header", "/files/a/x", "bytes=0-", "test.head", true, 0, 0 },
    { "refused on the way", "/files/a/x", "bytes=0-", "test.full", false, 100000, 0 },
    { "no good answer", "/files/x", NULL, "http.path", false, 0, 0 },
};

static void answers_for_a_sink(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(answers); i++) {
        struct taken t = { .stop_at = answers[i].stop_at, .refuse = answers[i].refuse };
        xeno_autofree char *url = xeno_asprintf("%s%s", w.base, answers[i].path);
        struct xeno_http_header range = { "Range", answers[i].range };
        struct xeno_http_ask ask = { .method = "GET",
                                     .url = url,
                                     .headers = &range,
                                     .header_count = answers[i].range ? 1 : 0,
                                     .retry = true,
                                     .head = on_head,
                                     .sink = on_sink,
                                     .arg = &t };
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_http_wait(w.client, &ask, NULL, NULL, NULL, &err);

        print_message("%s: %s\n", answers[i].what, err.text);
        assert_int_equal(r == 0, answers[i].token[0] == '\0');
        if (strcmp(answers[i].token, "http.path") != 0)
            assert_string_equal(err.token, answers[i].token);
        if (r == 0) {
            assert_int_equal(t.heads, 1);
            assert_string_equal(t.name, "a");
            assert_string_equal(t.none, "none");
            assert_int_equal(t.data.len, answers[i].len);
        }
        if (answers[i].stop_at)
            assert_in_range(t.data.len, answers[i].stop_at, FILE_BYTES - 1);
        xeno_buf_release(&t.data);
    }
}

/* --- parts of files as bodies --- */

static size_t sent;

static void on_sent(size_t len, void *arg)
{
    (void)arg;
    sent += len;
}

static const struct {
    const char *what, *path, *token;
    int64_t offset, len;
} bodies[] = {
    { "all of it", "/sink/a", "", 0, FILE_BYTES },
    { "a part", "/sink/a", "", 1000, 70000 },
    { "nothing", "/sink/a", "", 1000, 0 },
    { "more than there is", "/sink/a", "http.part", FILE_BYTES - 10, 20 },
    { "refused on the way", "/sink/stop", "test.full", 0, FILE_BYTES },
};

static void parts_of_a_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bodies); i++) {
        struct xeno_http_part part = { file_fd, bodies[i].offset, bodies[i].len, on_sent };
        xeno_autofree char *url = xeno_asprintf("%s%s", w.base, bodies[i].path);
        struct xeno_http_ask ask = { .method = "PUT", .url = url, .part = &part };
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        sent = 0;
        w.sunk_bytes = 1;
        r = xeno_http_wait(w.client, &ask, NULL, NULL, NULL, &err);
        print_message("%s: %s\n", bodies[i].what, err.text);
        assert_string_equal(err.token, bodies[i].token);
        if (r == 0) {
            assert_int_equal(w.sunk_bytes, bodies[i].len);
            assert_int_equal(sent, bodies[i].len);
        }
    }
}

/* --- redirects --- */

static const struct {
    const char *what, *from, *to, *says, *token; /* %s: the server, %p: its port */
    unsigned follow;
} redirects[] = {
    { "to itself", "/redirect?to=", "/seen", "known, secret", "", 5 },
    { "as a URL", "/redirect?to=", "%s/seen", "known, secret", "", 5 },
    { "to another host", "/redirect?to=", "https://localhost:%p/seen", "anonymous, no word", "",
      5 },
    { "there and back",
      "/redirect?to=", "https://localhost:%p/redirect?to=https%3A%2F%2F127.0.0.1%3A%p%2Fseen",
      "anonymous, no word", "", 5 },
    { "without TLS", "/redirect?to=", "http://127.0.0.1:%p/seen", NULL, "http.redirect", 5 },
    { "to a file", "/redirect?to=", "file:///etc/passwd", NULL, "http.redirect", 5 },
    { "with a password", "/redirect?to=", "https://a:b@127.0.0.1:%p/seen", NULL, "http.redirect",
      5 },
    { "too often", "/redirect?to=", "/redirect?to=%2Fseen", NULL, "http.redirect", 1 },
    { "not followed", "/redirect?to=", "/seen", NULL, "http.status", 0 },
};

/* Put the server and its port in. */
static char *filled(const char *text)
{
    struct xeno_buf b = XENO_BUF_INIT;

    for (; *text; text++) {
        if (strncmp(text, "%s", 2) == 0 || strncmp(text, "%p", 2) == 0) {
            xeno_buf_puts(&b, *++text == 's' ? w.base : strrchr(w.base, ':') + 1);
            continue;
        }
        xeno_buf_add(&b, text, 1);
    }
    return xeno_buf_take(&b, NULL);
}

static void where_a_redirect_leads(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(redirects); i++) {
        xeno_autofree char *to = filled(redirects[i].to), *escaped = xeno_http_escape(to);
        xeno_autofree char *url = xeno_asprintf("%s%s%s", w.base, redirects[i].from, escaped);
        xeno_autofree char *body = NULL;
        struct xeno_http_header secret = { "Authorization", "secret" };
        struct xeno_http_ask ask = { .method = "GET",
                                     .url = url,
                                     .headers = &secret,
                                     .header_count = 1,
                                     .server_id = w.server_id.s,
                                     .redirects = redirects[i].follow };
        struct xeno_err err = XENO_ERR_INIT;
        size_t len;
        int r = xeno_http_wait(w.client, &ask, NULL, &body, &len, &err);

        print_message("%s: %s\n", redirects[i].what, err.text);
        assert_string_equal(err.token, redirects[i].token);
        if (r == 0)
            assert_string_equal(body, redirects[i].says);
    }
}

/* A value that a peer chose stays one header. */
static void a_header_is_one(void **state)
{
    xeno_autofree char *url = xeno_asprintf("%s/seen", w.base), *body = NULL;
    struct xeno_http_header bad = { "X-Any", "a\r\nAuthorization: forged" };
    struct xeno_http_ask ask = { .method = "GET", .url = url, .headers = &bad, .header_count = 1 };

    (void)state;
    assert_int_equal(xeno_http_wait(w.client, &ask, NULL, &body, NULL, NULL), 0);
    assert_string_equal(body, "known, no word");
}

/* --- other people's servers --- */

static const struct {
    const char *what, *url, *token;
    bool ca, plain;
} webs[] = {
    { "a CA that was named", "%s/seen", "", true, false },
    { "the CAs of this machine", "%s/seen", "http.tls", false, false },
    { "not for that host", "https://[::ffff:127.0.0.1]:%p/seen", "http.tls", true, false },
    { "without TLS, unasked", "http://127.0.0.1:%p/seen", "http.url", true, false },
    { "without TLS, another machine", "http://192.0.2.1:%p/seen", "http.plain", true, true },
    { "a name that looks like it", "http://127.0.0.1.example:%p/seen", "http.plain", true, true },
};

static void other_peoples_servers(void **state)
{
    char ca[] = "/tmp/xeno-ca-XXXXXX";
    int fd = mkstemp(ca);

    (void)state;
    assert_int_equal(write(fd, w.ca_pem, strlen(w.ca_pem)), strlen(w.ca_pem));
    close(fd);
    for (size_t i = 0; i < XENO_LEN(webs); i++) {
        struct xeno_http_client_opts opts = { .env = xeno_env_real(),
                                              .web = true,
                                              .ca_file = webs[i].ca ? ca : NULL,
                                              .plain_loopback = webs[i].plain };
        xeno_auto(xeno_http_client) c = NULL;
        xeno_autofree char *url = filled(webs[i].url), *body = NULL;
        struct xeno_http_ask ask = { .method = "GET", .url = url, .retry = true, .tries = 2 };
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(xeno_http_client_new(w.loop, &opts, &c, NULL), 0);
        xeno_http_wait(c, &ask, NULL, &body, NULL, &err);
        print_message("%s: %s\n", webs[i].what, err.text);
        assert_string_equal(err.token, webs[i].token);
        if (webs[i].token[0] == '\0')
            assert_string_equal(body, "anonymous, no word");
    }
    unlink(ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_for_a_sink),     cmocka_unit_test(parts_of_a_file),
        cmocka_unit_test(where_a_redirect_leads), cmocka_unit_test(a_header_is_one),
        cmocka_unit_test(other_peoples_servers),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
