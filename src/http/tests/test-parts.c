/* src/http/tests/test-parts.c - the parts that need no network. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/client-priv.h"
#include "http/metrics.h"
#include "http/operators.h"
#include "http/problem.h"
#include "http/sse.h"
#include "http/stream.h"

static void problem_status_rows(void **state)
{
    static const struct {
        int code, status;
    } rows[] = { { -EINVAL, 400 }, { -EACCES, 401 },   { -EDQUOT, 402 },     { -EPERM, 403 },
                 { -ENOENT, 404 }, { -EBUSY, 409 },    { -EFBIG, 413 },      { -ENOTUNIQ, 422 },
                 { -EUSERS, 429 }, { -EIO, 500 },      { -EOPNOTSUPP, 501 }, { -EAGAIN, 503 },
                 { -ENOSPC, 507 }, { -ETIMEDOUT, 504 } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        assert_int_equal(xeno_problem_status(rows[i].code), rows[i].status);
        assert_int_equal(xeno_problem_errno(rows[i].status), rows[i].code);
    }
    assert_int_equal(xeno_problem_status(-ENOMEM), 500);
    assert_int_equal(xeno_problem_errno(418), -EINVAL);
    assert_int_equal(xeno_problem_errno(599), -EIO);
}

static void problem_both_ways(void **state)
{
    struct xeno_err err, back = XENO_ERR_INIT;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *text = NULL;
    size_t len;

    (void)state;
    xeno_fail(&err, -EDQUOT, "ledger.funds", "2 asked, 1 left");
    j = xeno_problem_make(&err);
    text = xeno_json_format(j, false, &len);
    assert_int_equal(xeno_problem_read(402, text, len, &back), -EDQUOT);
    assert_string_equal(back.token, "ledger.funds");
    assert_string_equal(back.text, "2 asked, 1 left");
}

static void problem_read_rows(void **state)
{
    static const struct {
        const char *name, *body, *token;
    } rows[] = {
        { "empty", "", "http.status" },
        { "not JSON", "<html>", "http.status" },
        { "an array", "[1]", "http.status" },
        { "no detail", "{\"type\":\"a.b\"}", "a.b" },
        { "type is a number", "{\"type\":3}", "http.status" },
        { "type too long", "{\"type\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
          "http.status" },
        { "control characters", "{\"type\":\"a\\u001bb\",\"detail\":\"x\\ny\"}", "a b" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(xeno_problem_read(404, rows[i].body, strlen(rows[i].body), &err), -ENOENT);
        print_message("%s: %s\n", rows[i].name, err.text);
        assert_string_equal(err.token, rows[i].token);
        assert_true(err.text[0] != '\0');
        assert_null(strchr(err.text, '\n'));
    }
}

static void lists_of_ids(void **state)
{
    static const struct {
        const char *list, *id;
        bool want;
    } rows[] = {
        { "abc", "abc", true },   { "x, abc", "abc", true }, { "x,abc,y", "abc", true },
        { "abc, ,y", "y", true }, { "abcd", "abc", false },  { "xabc", "abc", false },
        { "ab c", "abc", false }, { "", "abc", false },      { NULL, "abc", false },
        { "abc,,y", "", false },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_int_equal(xeno_http_ids_have(rows[i].list, rows[i].id), rows[i].want);
}

static void metrics(void **state)
{
    xeno_autobuf b = XENO_BUF_INIT;

    (void)state;
    xeno_metric(&b, "xeno_x_total", "counter", "What it counts.");
    xeno_metric_int(&b, "xeno_x_total", NULL, NULL, 7);
    xeno_metric_int(&b, "xeno_x_total", "res", "a\"b\\c\nd", -1);
    xeno_metric_micro(&b, "xeno_y", NULL, NULL, -1500001);
    xeno_metric_micro(&b, "xeno_y", NULL, NULL, INT64_MIN);
    assert_string_equal(b.data, "# HELP xeno_x_total What it counts.\n"
                                "# TYPE xeno_x_total counter\n"
                                "xeno_x_total 7\n"
                                "xeno_x_total{res=\"a\\\"b\\\\c\\nd\"} -1\n"
                                "xeno_y -1.500001\n"
                                "xeno_y -9223372036854.775808\n");
}

static void on_event(const char *id, const char *event, const char *data, void *arg)
{
    xeno_buf_printf(arg, "[%s|%s|%s]", id, event, data);
}

static const struct {
    const char *name, *text, *want;
} sse[] = {
    { "one", "data: a\n\n", "[|message|a]" },
    { "no space after the colon", "data:a\n\n", "[|message|a]" },
    { "two spaces", "data:  a\n\n", "[|message| a]" },
    { "lines join", "data: a\ndata: b\n\n", "[|message|a\nb]" },
    { "name and id", "id: 7\nevent: x\ndata: a\n\ndata: b\n\n", "[7|x|a][7|message|b]" },
    { "carriage returns", "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
      "[|message|a][|message|b][|message|c]" },
    { "comment", ": hi\n\ndata: a\n: there\n\n", "[|message|a]" },
    { "name without data", "event: x\n\ndata: a\n\n", "[|message|a]" },
    { "empty data", "data\n\n", "[|message|]" },
    { "unknown field", "retry: 5\nfoo: 1\ndata: a\n\n", "[|message|a]" },
    { "byte order mark",
      "\xef\xbb\xbf"
      "data: a\n\n",
      "[|message|a]" },
    { "not ended", "data: a\n", "" },
};

static void sse_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(sse); i++)
        for (size_t step = 1; step < 4; step++) { /* however the bytes come */
            struct xeno_sse s = { .started = false };
            xeno_autobuf got = XENO_BUF_INIT;
            size_t len = strlen(sse[i].text);

            xeno_buf_puts(&got, "");
            for (size_t at = 0; at < len; at += step)
                assert_int_equal(xeno_sse_feed(&s, sse[i].text + at,
                                               len - at < step ? len - at : step, on_event, &got,
                                               NULL),
                                 0);
            print_message("%s, %zu at a time\n", sse[i].name, step);
            assert_string_equal(got.data, sse[i].want);
            xeno_sse_release(&s);
        }
}

static void sse_bounds(void **state)
{
    struct xeno_sse s = { .started = false };
    struct xeno_err err = XENO_ERR_INIT;
    char line[1024];
    int r = 0;

    (void)state;
    memset(line, 'x', sizeof(line));
    for (int i = 0; i <= 64 && r == 0; i++)
        r = xeno_sse_feed(&s, line, sizeof(line), on_event, NULL, &err);
    assert_int_equal(r, -EFBIG);
    assert_string_equal(err.token, "sse.size");
    xeno_sse_release(&s);

    memset(&s, 0, sizeof(s));
    memcpy(line, "data: ", 6);
    line[1023] = '\n';
    r = 0;
    for (int i = 0; i <= 300 && r == 0; i++)
        r = xeno_sse_feed(&s, line, sizeof(line), on_event, NULL, &err);
    assert_int_equal(r, -EFBIG);
    xeno_sse_release(&s);
}

static void frames_both_ways(void **state)
{
    xeno_autobuf out = XENO_BUF_INIT;
    xeno_autofree char *big = xeno_alloc0(200000, 1);
    struct xeno_stream in = { .used = 0 };
    struct xeno_frame f;
    size_t total = 0, frames = 0;

    (void)state;
    memset(big, 'b', 200000);
    assert_true(xeno_stream_put(&out, XENO_CHANNEL_STDIN, NULL, 0));
    assert_true(xeno_stream_put(&out, XENO_CHANNEL_STDOUT, big, 200000));
    assert_true(xeno_stream_put(&out, XENO_CHANNEL_CONTROL, "{}", 2));
    for (size_t at = 0; at < out.len; at += 777) {
        int r;

        xeno_stream_add(&in, out.data + at, out.len - at < 777 ? out.len - at : 777);
        while ((r = xeno_stream_next(&in, &f, NULL)) == 1) {
            frames++;
            total += f.len;
            assert_true(f.len <= XENO_STREAM_MAX);
            if (frames == 1)
                assert_int_equal(f.channel, XENO_CHANNEL_STDIN);
        }
        assert_int_equal(r, 0);
    }
    assert_int_equal(frames, 1 + 4 + 1);
    assert_int_equal(total, 200002);
    assert_int_equal(f.channel, XENO_CHANNEL_CONTROL);
    xeno_stream_release(&in);

    out.max = out.len + 10;
    assert_false(xeno_stream_put(&out, XENO_CHANNEL_STDOUT, big, 6));
    assert_int_equal(out.len, out.max - 10);
}

static void bad_frames(void **state)
{
    static const struct {
        const char *name, *bytes, *token;
    } rows[] = {
        { "channel 4", "\x04\0\0\0\1x", "stream.channel" },
        { "channel 255", "\xff\0\0\0\1x", "stream.channel" },
        { "one byte too long", "\1\0\1\0\1x", "stream.length" },
        { "longest length", "\1\xff\xff\xff\xff", "stream.length" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_stream in = { .used = 0 };
        struct xeno_frame f;
        struct xeno_err err = XENO_ERR_INIT;

        xeno_stream_add(&in, rows[i].bytes, 5);
        assert_int_equal(xeno_stream_next(&in, &f, &err), -EPROTO);
        print_message("%s: %s\n", rows[i].name, err.text);
        assert_string_equal(err.token, rows[i].token);
        xeno_stream_release(&in);
    }
}

/* Each row: the least and the most that chance makes of it. */
static void retries_wait_longer_and_apart(void **state)
{
    static const struct {
        unsigned tries;
        int64_t asked_s;
        uint64_t least_ms, most_ms;
    } rows[] = {
        { 1, 0, 50, 100 },        { 2, 0, 100, 200 },
        { 3, 0, 200, 400 },       { 8, 0, 6400, 12800 },
        { 1000, 0, 6400, 12800 }, { 1, 3, 3000, 3099 },
        { 1000, 3, 6400, 12800 }, { 1, 3600, 3600000, 3600099 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        uint64_t least = UINT64_MAX, most = 0;

        for (uint32_t rnd = 0; rnd < 20000; rnd++) {
            uint64_t ms = http_retry_wait_ms(rows[i].tries, rows[i].asked_s, rnd * 2654435761u);

            least = ms < least ? ms : least;
            most = ms > most ? ms : most;
        }
        print_message("%u tries: %u to %u\n", rows[i].tries, (unsigned)least, (unsigned)most);
        assert_in_range(least, rows[i].least_ms, rows[i].least_ms + rows[i].least_ms / 50);
        assert_in_range(most, rows[i].most_ms - rows[i].most_ms / 50, rows[i].most_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problem_status_rows),
        cmocka_unit_test(problem_both_ways),
        cmocka_unit_test(problem_read_rows),
        cmocka_unit_test(lists_of_ids),
        cmocka_unit_test(metrics),
        cmocka_unit_test(sse_rows),
        cmocka_unit_test(sse_bounds),
        cmocka_unit_test(frames_both_ways),
        cmocka_unit_test(bad_frames),
        cmocka_unit_test(retries_wait_longer_and_apart),
    };
    return cmocka_run_group_tests_name("http-parts", tests, NULL, NULL);
}
