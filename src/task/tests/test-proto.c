/* src/task/tests/test-proto.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/frame.h"
#include "task/proto.h"

#define SESSION "abcdefghijklmnop"
#define DIGEST  "sha256:00000000000000000000000000000000000000000000000000000000000000ff"
#define SPEC                                                                                       \
    "\"spec\":{\"cpu_msps\":150,\"cpu_burst_ms\":15,\"memory_bytes\":134217728,\"pids\":64,"       \
    "\"disk_bytes\":67108864,\"net_kbps\":5000,\"address\":\"10.1.0.7\",\"hostname\":\"web\","     \
    "\"ports\":[{\"port\":80,\"host_port\":8080,\"proto\":\"tcp\"}],\"layers\":[]}"

static const struct {
    const char *name, *text;
    int want;
    const char *token; /* of the failure */
} rows[] = {
    { "describe", "{\"id\":1,\"op\":\"describe\"}", 0, NULL },
    { "create",
      "{\"id\":2,\"op\":\"create\",\"session\":\"" SESSION "\",\"driver\":\"oci\"," SPEC "}", 0,
      NULL },
    { "create with images",
      "{\"id\":2,\"op\":\"create\",\"session\":\"" SESSION
      "\",\"driver\":\"oci\",\"spec\":{\"cpu_msps\":1,\"cpu_burst_ms\":0,\"memory_bytes\":1048576,"
      "\"pids\":1,\"disk_bytes\":4194304,\"net_kbps\":0,\"layers\":[\"" DIGEST
      "\"],\"images\":[\"" DIGEST "\"]}}",
      0, NULL },
    { "create without a spec",
      "{\"id\":2,\"op\":\"create\",\"session\":\"" SESSION "\",\"driver\":\"oci\"}", -EINVAL,
      "json.missing" },
    { "no such op", "{\"id\":2,\"op\":\"format\"}", -EINVAL, "task.op" },
    { "negative id", "{\"id\":-2,\"op\":\"list\"}", -EINVAL, "json.range" },
    { "no id", "{\"op\":\"list\"}", -EINVAL, "json.missing" },
    { "a member too many", "{\"id\":2,\"op\":\"list\",\"all\":true}", -EINVAL, "json.unknown" },
    { "a member of another op", "{\"id\":2,\"op\":\"list\",\"argv\":[\"x\"]}", -EINVAL,
      "json.unknown" },
    { "commit", "{\"id\":2,\"op\":\"commit\",\"session\":\"" SESSION "\"}", 0, NULL },
    { "commit of nothing", "{\"id\":2,\"op\":\"commit\"}", -EINVAL, "json.missing" },
    { "path as session", "{\"id\":2,\"op\":\"pause\",\"session\":\"../../etc/passwd\"}", -EINVAL,
      "task.session" },
    { "start",
      "{\"id\":3,\"op\":\"start\",\"session\":\"" SESSION
      "\",\"task\":\"t1\",\"argv\":[\"/bin/sh\",\"-c\",\"\"],\"env\":[\"A=b\"],\"cwd\":\"/\","
      "\"user\":\"www\",\"terminal\":true}",
      0, NULL },
    { "start of nothing",
      "{\"id\":3,\"op\":\"start\",\"session\":\"" SESSION "\",\"task\":\"t1\",\"argv\":[]}",
      -EINVAL, "task.argv" },
    { "task name with a slash",
      "{\"id\":3,\"op\":\"start\",\"session\":\"" SESSION "\",\"task\":\"a/b\",\"argv\":[\"x\"]}",
      -EINVAL, "task.name" },
    { "environment without =",
      "{\"id\":3,\"op\":\"start\",\"session\":\"" SESSION
      "\",\"task\":\"t1\",\"argv\":[\"x\"],\"env\":[\"A\"]}",
      -EINVAL, "task.env" },
    { "relative cwd",
      "{\"id\":3,\"op\":\"start\",\"session\":\"" SESSION
      "\",\"task\":\"t1\",\"argv\":[\"x\"],\"cwd\":\"etc\"}",
      -EINVAL, "task.cwd" },
    { "signal a task",
      "{\"id\":4,\"op\":\"signal\",\"session\":\"" SESSION "\",\"task\":\"t1\",\"signal\":15}", 0,
      NULL },
    { "signal both",
      "{\"id\":4,\"op\":\"signal\",\"session\":\"" SESSION
      "\",\"task\":\"t1\",\"exec\":\"e\",\"signal\":15}",
      -EINVAL, "task.name" },
    { "signal neither", "{\"id\":4,\"op\":\"signal\",\"session\":\"" SESSION "\",\"signal\":15}",
      -EINVAL, "task.name" },
    { "signal 0",
      "{\"id\":4,\"op\":\"signal\",\"session\":\"" SESSION "\",\"task\":\"t1\",\"signal\":0}",
      -EINVAL, "json.range" },
    { "signal 65",
      "{\"id\":4,\"op\":\"signal\",\"session\":\"" SESSION "\",\"task\":\"t1\",\"signal\":65}",
      -EINVAL, "json.range" },
    { "exec",
      "{\"id\":5,\"op\":\"exec\",\"session\":\"" SESSION
      "\",\"exec\":\"e1\",\"argv\":[\"sh\"],\"terminal\":true,\"cols\":80,\"rows\":24}",
      0, NULL },
    { "winch without size",
      "{\"id\":5,\"op\":\"winch\",\"session\":\"" SESSION "\",\"exec\":\"e1\"}", -EINVAL,
      "json.missing" },
    { "not an object", "[1]", -EINVAL, NULL },
    { "not JSON", "create", -EINVAL, "json.syntax" },
};

static void request_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_task_request) q = NULL;
        xeno_auto(xeno_task_request) again = NULL;
        xeno_autofree char *text = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        size_t len;
        int r = xeno_task_request_parse(rows[i].text, strlen(rows[i].text), &q, &err);

        print_message("%s: %s\n", rows[i].name, err.text);
        assert_int_equal(r, rows[i].want);
        if (r < 0) {
            assert_null(q);
            if (rows[i].token)
                assert_string_equal(err.token, rows[i].token);
            continue;
        }
        assert_int_equal(xeno_task_request_format(q, &text, &len, NULL), 0);
        assert_int_equal(xeno_task_request_parse(text, len, &again, NULL), 0);
        assert_int_equal(again->op, q->op);
        assert_true(xeno_task_spec_equal(&again->spec, &q->spec));
    }
}

static const struct {
    const char *name, *from, *to, *token;
} spec_rows[] = {
    { "no CPU", "\"cpu_msps\":150", "\"cpu_msps\":0", "json.range" },
    { "negative memory", "134217728", "-1", "json.range" },
    { "too much memory", "134217728", "9223372036854775807", "json.range" },
    { "tiny disk", "67108864", "4096", "json.range" },
    { "address of words", "10.1.0.7", "10.1.0.7 x", "task.address" },
    { "host name with a newline", "\"web\"", "\"w\\nb\"", "task.hostname" },
    { "port 0", "\"port\":80", "\"port\":0", "json.range" },
    { "sctp", "tcp", "sctp", "task.proto" },
    { "layer by path", "\"layers\":[]", "\"layers\":[\"../../etc\"]", "task.layer" },
    { "image by name", "\"layers\":[]", "\"layers\":[],\"images\":[\"debian\"]", "task.layer" },
    { "unknown member", "\"layers\":[]", "\"layers\":[],\"privileged\":true", "json.unknown" },
};

static void spec_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(spec_rows); i++) {
        const char *all =
            "{\"id\":2,\"op\":\"create\",\"session\":\"" SESSION "\",\"driver\":\"oci\"," SPEC "}";
        const char *at = strstr(all, spec_rows[i].from);
        xeno_autofree char *text = xeno_asprintf("%.*s%s%s", (int)(at - all), all, spec_rows[i].to,
                                                 at + strlen(spec_rows[i].from));
        xeno_auto(xeno_task_request) q = NULL;
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(xeno_task_request_parse(text, strlen(text), &q, &err), -EINVAL);
        print_message("%s: %s\n", spec_rows[i].name, err.text);
        assert_string_equal(err.token, spec_rows[i].token);
    }
}

static void replies_round_trip(void **state)
{
    struct xeno_task_usage u = { .session = SESSION, .cpu_us = 7, .waited_us = 5, .oom_kills = 3 },
                           u2;
    struct xeno_task_session_info s = { .session = SESSION,
                                        .driver = "oci",
                                        .state = XENO_TASK_PAUSED,
                                        .lost = true,
                                        .ntasks = 1,
                                        .tasks = { { "t1", XENO_TASK_STOPPED, 0, 137, true } } };
    struct xeno_task_session_info s2;
    struct xeno_task_event e = { XENO_TASK_EVENT_EXIT, SESSION, "t1", "", 137, 9, true }, e2;
    xeno_auto(xeno_json) ju = xeno_task_usage_json(&u);
    xeno_auto(xeno_json) js = xeno_task_session_json(&s);
    xeno_auto(xeno_json) je = xeno_task_event_json(&e);
    struct xeno_json_at at;

    (void)state;
    at = xeno_json_top(ju);
    assert_int_equal(xeno_task_usage_read(&at, &u2, NULL), 0);
    assert_int_equal(u2.cpu_us, 7);
    assert_int_equal(u2.waited_us, 5);
    assert_int_equal(u2.oom_kills, 3);
    at = xeno_json_top(js);
    assert_int_equal(xeno_task_session_read(&at, &s2, NULL), 0);
    assert_int_equal(s2.state, XENO_TASK_PAUSED);
    assert_int_equal(s2.tasks[0].code, 137);
    assert_true(s2.tasks[0].oom);
    at = xeno_json_top(je);
    assert_int_equal(xeno_task_event_read(&at, &e2, NULL), 0);
    assert_int_equal(e2.signal, 9);
    assert_string_equal(e2.task, "t1");
    assert_true(s2.lost);
}

static void session_lost(void **state)
{
    struct xeno_task_event e = { .kind = XENO_TASK_EVENT_LOST, .session = SESSION }, e2;
    xeno_auto(xeno_json) je = xeno_task_event_json(&e);
    struct xeno_json_at at = xeno_json_top(je);
    xeno_autofree char *text = xeno_json_format(je, false, NULL);

    (void)state;
    assert_string_equal(text, "{\"event\":\"lost\",\"session\":\"" SESSION "\"}");
    assert_int_equal(xeno_task_event_read(&at, &e2, NULL), 0);
    assert_int_equal(e2.kind, XENO_TASK_EVENT_LOST);
    assert_string_equal(e2.session, SESSION);
}

/* A session's file that an older one wrote does not say how long it waited. */
static void usage_without_waiting(void **state)
{
    struct xeno_task_usage u = { .session = SESSION, .cpu_us = 7, .waited_us = 5 }, got;
    xeno_auto(xeno_json) now = xeno_task_usage_json(&u);
    xeno_auto(xeno_json) old = NULL;
    size_t len;
    xeno_autofree char *text = xeno_json_format(now, false, &len);
    char *at = strstr(text, "\"waited_us\":5,");
    struct xeno_json_at top;

    (void)state;
    assert_non_null(at);
    memmove(at, at + strlen("\"waited_us\":5,"), strlen(at + strlen("\"waited_us\":5,")) + 1);
    assert_int_equal(xeno_json_parse(text, strlen(text), 4096, &old, NULL), 0);
    top = xeno_json_top(old);
    assert_int_equal(xeno_task_usage_read(&top, &got, NULL), 0);
    assert_int_equal(got.cpu_us, 7);
    assert_int_equal(got.waited_us, 0);
}

/* --- frames --- */

struct pair {
    struct xeno_frames *a, *b;
    int raw; /* a's own descriptor, to write nonsense with */
};

static struct pair make_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    return (struct pair){ xeno_frames_new(fds[0], &XENO_TASK_FRAMES),
                          xeno_frames_new(fds[1], &XENO_TASK_FRAMES), fds[0] };
}

static void free_pair(struct pair *p)
{
    xeno_frames_free(p->a);
    xeno_frames_free(p->b);
}

static void descriptors_stay_with_their_frame(void **state)
{
    struct pair p = make_pair();
    int pipes[2];

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(xeno_frames_write(p.a, "one", 3, NULL, 0, NULL), 0);
    assert_int_equal(xeno_frames_write(p.a, "two", 3, pipes, 2, NULL), 0);
    assert_int_equal(xeno_frames_write(p.a, "three", 5, NULL, 0, NULL), 0);
    for (int i = 0; i < 3; i++) {
        static const char *const want[] = { "one", "two", "three" };
        xeno_autofree char *text = NULL;
        int fds[XENO_FRAME_FDS_MAX];
        size_t len, nfds;

        assert_int_equal(xeno_frames_read(p.b, &text, &len, fds, &nfds, NULL), 1);
        assert_string_equal(text, want[i]);
        assert_int_equal(nfds, i == 1 ? 2 : 0);
        for (size_t k = 0; k < nfds; k++) {
            assert_true(fcntl(fds[k], F_GETFD) & FD_CLOEXEC);
            close(fds[k]);
        }
    }
    free_pair(&p);
}

static void big_frames_wait_for_a_slow_reader(void **state)
{
    struct pair p = make_pair();
    xeno_autofree char *big = xeno_alloc0(1, XENO_TASK_FRAME_MAX);
    struct xeno_err err = XENO_ERR_INIT;
    int sent = 0, got = 0, r;

    (void)state;
    memset(big, 'x', XENO_TASK_FRAME_MAX);
    do
        r = xeno_frames_write(p.a, big, XENO_TASK_FRAME_MAX, NULL, 0, &err);
    while (r == 0 && ++sent < 1000);
    assert_int_equal(r, -ENOBUFS); /* bounded */
    assert_string_equal(err.token, "task.slow");
    while (got < sent) {
        xeno_autofree char *text = NULL;
        int fds[XENO_FRAME_FDS_MAX];
        size_t len, nfds;

        assert_int_equal(xeno_frames_flush(p.a, NULL), 0);
        r = xeno_frames_read(p.b, &text, &len, fds, &nfds, NULL);
        assert_true(r >= 0);
        if (r == 1) {
            assert_int_equal(len, XENO_TASK_FRAME_MAX);
            got++;
        }
    }
    assert_false(xeno_frames_pending(p.a));
    free_pair(&p);
}

static void nonsense_is_refused(void **state)
{
    static const char *const heads[] = { "\0\0\0\0", "\0\1\0\1", "\377\377\377\377", "GET " };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(heads); i++) {
        struct pair p = make_pair();
        struct xeno_err err = XENO_ERR_INIT;
        int fds[XENO_FRAME_FDS_MAX];
        size_t len, nfds;
        char *text = NULL;

        assert_int_equal(write(p.raw, heads[i], 4), 4);
        assert_int_equal(xeno_frames_read(p.b, &text, &len, fds, &nfds, &err), -EPROTO);
        assert_null(text);
        free_pair(&p);
    }
}

static void a_cut_connection_is_told(void **state)
{
    struct pair p = make_pair();
    int fds[XENO_FRAME_FDS_MAX];
    size_t len, nfds;
    char *text = NULL;

    (void)state;
    assert_int_equal(write(p.raw, "\0\0\0\10half", 8), 8);
    assert_int_equal(xeno_frames_read(p.b, &text, &len, fds, &nfds, NULL), 0);
    xeno_frames_free(xeno_take(&p.a));
    assert_int_equal(xeno_frames_read(p.b, &text, &len, fds, &nfds, NULL), -ECONNRESET);
    assert_null(text);
    xeno_frames_free(p.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_rows),
        cmocka_unit_test(spec_limits),
        cmocka_unit_test(replies_round_trip),
        cmocka_unit_test(session_lost),
        cmocka_unit_test(usage_without_waiting),
        cmocka_unit_test(descriptors_stay_with_their_frame),
        cmocka_unit_test(big_frames_wait_for_a_slow_reader),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(a_cut_connection_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
