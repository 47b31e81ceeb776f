/* src/image/tests/test-agent.c - the image manager's messages, and those who ask it, with a peer
 * that answers as it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "image/agent-link.h"
#include "image/agent-proto.h"
#include "rpc/message.h"

#define HEX    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST "sha256:" HEX
#define READ   "\"op\":\"read\",\"layer\":\"" DIGEST "\","

/* --- requests --- */

static const struct {
    const char *name, *text;
    const char *token; /* of the refusal; NULL: it is taken */
} rows[] = {
    { "resolve", "{\"id\":1,\"op\":\"resolve\",\"name\":\"oci://h/r\"}", NULL },
    { "with a kind",
      "{\"id\":1,\"op\":\"resolve\",\"name\":\"x\",\"kind\":\"overlay\",\"wait_ms\":600000}",
      NULL },
    { "another kind", "{\"id\":1,\"op\":\"resolve\",\"name\":\"x\",\"kind\":\"image\"}",
      "agent.kind" },
    { "no name", "{\"id\":1,\"op\":\"resolve\"}", "json.missing" },
    { "empty name", "{\"id\":1,\"op\":\"resolve\",\"name\":\"\"}", "json.range" },
    { "a layer too many", "{\"id\":1,\"op\":\"resolve\",\"name\":\"x\",\"layer\":\"" DIGEST "\"}",
      "json.unknown" },
    { "no id", "{\"op\":\"status\"}", "json.missing" },
    { "negative id", "{\"id\":-1,\"op\":\"status\"}", "json.range" },
    { "no operation", "{\"id\":1}", "json.missing" },
    { "another operation", "{\"id\":1,\"op\":\"erase\"}", "agent.op" },
    { "too much patience",
      "{\"id\":1,\"op\":\"fetch\",\"layer\":\"" DIGEST "\",\"wait_ms\":600001}", "json.range" },
    { "fetch", "{\"id\":1,\"op\":\"fetch\",\"layer\":\"" DIGEST "\"}", NULL },
    { "fetch of no digest", "{\"id\":1,\"op\":\"fetch\",\"layer\":\"sha256:../../etc/passwd\"}",
      "agent.digest" },
    { "read", "{\"id\":1," READ "\"offset\":0,\"length\":4194304}", NULL },
    { "read of nothing", "{\"id\":1," READ "\"offset\":0,\"length\":0}", "json.range" },
    { "read of too much", "{\"id\":1," READ "\"offset\":0,\"length\":4194305}", "json.range" },
    { "before the beginning", "{\"id\":1," READ "\"offset\":-1,\"length\":1}", "json.range" },
    { "with a digest",
      "{\"id\":1," READ "\"offset\":5,\"length\":1,\"sha256\":\"" HEX "\",\"size\":67108864}",
      NULL },
    { "of too large a piece",
      "{\"id\":1," READ "\"offset\":5,\"length\":1,\"sha256\":\"" HEX "\",\"size\":67108865}",
      "json.range" },
    { "a size alone", "{\"id\":1," READ "\"offset\":5,\"length\":1,\"size\":7}", "json.missing" },
    { "no digest", "{\"id\":1," READ "\"offset\":5,\"length\":1,\"sha256\":\"" DIGEST "\"}",
      "json.range" },
    { "progress", "{\"id\":1,\"op\":\"progress\",\"layers\":[\"" DIGEST "\"]}", NULL },
    { "of none", "{\"id\":1,\"op\":\"progress\",\"layers\":[]}", NULL },
    { "of no digest", "{\"id\":1,\"op\":\"progress\",\"layers\":[\"x\"]}", "agent.digest" },
    { "keep", "{\"id\":1,\"op\":\"keep\",\"images\":[\"" DIGEST "\"],\"more\":true}", NULL },
    { "keep what", "{\"id\":1,\"op\":\"keep\"}", "json.missing" },
};

static void requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_agent_request) q = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_agent_request_parse(rows[i].text, strlen(rows[i].text), &q, &err);
        xeno_autofree char *text = NULL;
        size_t len;

        print_message("%s\n", rows[i].name);
        assert_string_equal(err.token, rows[i].token ? rows[i].token : "");
        assert_int_equal(r < 0, rows[i].token != NULL);
        if (r < 0) {
            assert_null(q);
            continue;
        }
        text = xeno_agent_request_format(q, &len);
        assert_string_equal(text, rows[i].text);
    }
}

/* The largest messages fit a frame, so that formatting them need not fail. */
static void the_largest_fit(void **state)
{
    struct xeno_agent_progress items[XENO_AGENT_LAYERS_MAX];
    const char *digests[XENO_AGENT_KEEP_MAX];
    xeno_auto(xeno_agent_request) q = xeno_agent_request_new(XENO_AGENT_KEEP);
    xeno_auto(xeno_json) reply = NULL;
    xeno_autofree char *request = NULL, *text = NULL;
    size_t len;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(digests); i++)
        digests[i] = DIGEST;
    xeno_agent_request_digests(q, digests, XENO_LEN(digests));
    q->id = INT64_MAX;
    q->more = true;
    request = xeno_agent_request_format(q, &len);
    assert_true(len < XENO_AGENT_FRAME_MAX);
    for (size_t i = 0; i < XENO_LEN(items); i++) {
        items[i] = (struct xeno_agent_progress){ .layer = DIGEST,
                                                 .size_bytes = XENO_BLOB_MAX,
                                                 .fetched_bytes = INT64_MAX,
                                                 .total_bytes = INT64_MAX,
                                                 .state = XENO_AGENT_FAILED };
        xeno_fail(&items[i].error, -4095, "a.token.of.forty.seven.letters.which.is.the.mos", "%0*d",
                  600, 0);
        memset(items[i].error.text, i % 2 ? '"' : '\x1b', 600);
    }
    reply = xeno_rpc_ok(INT64_MAX, xeno_agent_progress_json(items, XENO_LEN(items)));
    text = xeno_json_format(reply, false, &len);
    assert_true(len < XENO_AGENT_FRAME_MAX);
}

/* --- a peer --- */

/* What it does with one request. */
enum deed { ANSWER, REFUSE, HANG_UP, OTHER_ID, NONSENSE, SHORT };

static struct {
    char folder[32], path[64];
    int listener;
    pthread_t thread;
    const enum deed *deeds; /* of one request each; the last one stays */
    size_t count, seen;
    int pause_ms; /* before it listens */
    int stop[2];
    char asked[8192]; /* all requests */
} peer;

static struct xeno_json *answer_to(const struct xeno_agent_request *q)
{
    struct xeno_agent_image im = { .manifest = DIGEST,
                                   .name = (char *)q->name,
                                   .kind = XENO_IMAGE_OVERLAY,
                                   .old = true,
                                   .layer_count = 1,
                                   .layers = &(struct xeno_agent_layer){ DIGEST, 77, true } };
    struct xeno_agent_fetched f = { .way = XENO_AGENT_PIECES,
                                    .size_bytes = 100,
                                    .table = { .offset = 60, .bytes = 40, .raw_bytes = 200 } };
    struct xeno_agent_progress items[2] = { { .layer = DIGEST, .state = XENO_AGENT_TABLE },
                                            { .layer = DIGEST, .state = XENO_AGENT_FAILED } };
    struct xeno_json *ok;

    switch (q->op) {
    case XENO_AGENT_RESOLVE:
        return xeno_agent_image_json(&im);
    case XENO_AGENT_FETCH:
        return xeno_agent_fetched_json(&f);
    case XENO_AGENT_PROGRESS:
        xeno_fail(&items[1].error, -EIO, "agent.source", "nobody");
        return xeno_agent_progress_json(items, q->count);
    default:
        ok = xeno_json_object();
        xeno_json_set_int(ok, "length", q->length);
        return ok;
    }
}

static void send_frame(int fd, const char *text, size_t len)
{
    unsigned char head[4] = { 0, 0, (unsigned char)(len >> 8), (unsigned char)len };

    xeno_write_all(fd, head, sizeof head);
    xeno_write_all(fd, text, len);
}

static void send_json(int fd, struct xeno_json *taken)
{
    size_t len;
    char *text = xeno_json_format(taken, false, &len);

    send_frame(fd, text, len);
    free(text);
    xeno_json_unref(taken);
}

static bool act(int fd, const struct xeno_agent_request *q)
{
    enum deed deed = peer.deeds[peer.seen < peer.count ? peer.seen : peer.count - 1];
    struct xeno_err why = XENO_ERR_INIT;
    char byte = 'b';

    peer.seen++;
    switch (deed) {
    case HANG_UP:
        return false;
    case REFUSE:
        xeno_fail(&why, -EPERM, "agent.refused", "not there");
        send_json(fd, xeno_rpc_error(q->id, &why));
        return true;
    case NONSENSE:
        send_frame(fd, "{]", 2);
        return true;
    default:
        send_json(fd, xeno_rpc_ok(deed == OTHER_ID ? q->id + 1 : q->id, answer_to(q)));
    }
    for (int64_t i = deed == SHORT ? 1 : 0; q->op == XENO_AGENT_READ && i < q->length; i++)
        xeno_write_all(fd, &byte, 1);
    return deed != SHORT;
}

static bool read_exactly(int fd, void *buf, size_t len)
{
    struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
                           { .fd = peer.stop[0], .events = POLLIN } };

    for (size_t have = 0; have < len;) {
        ssize_t n;

        poll(p, 2, -1);
        if (p[1].revents)
            return false;
        n = read(fd, (char *)buf + have, len - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

static void serve(int fd)
{
    unsigned char head[4];
    char text[XENO_AGENT_FRAME_MAX];

    while (read_exactly(fd, head, sizeof head)) {
        size_t len = (size_t)head[2] << 8 | head[3];
        xeno_auto(xeno_agent_request) q = NULL;

        if (!read_exactly(fd, text, len) || xeno_agent_request_parse(text, len, &q, NULL) < 0)
            return;
        if (strlen(peer.asked) + len + 2 < sizeof peer.asked) {
            memcpy(peer.asked + strlen(peer.asked), text, len);
            strcat(peer.asked, "\n");
        }
        if (!act(fd, q))
            return;
    }
}

static void *run(void *arg)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct pollfd p[2] = { { .events = POLLIN }, { .fd = peer.stop[0], .events = POLLIN } };

    (void)arg;
    if (poll(&p[1], 1, peer.pause_ms) > 0)
        return NULL;
    strcpy(address.sun_path, peer.path);
    p[0].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p[0].fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(p[0].fd, 8) < 0)
        return NULL;
    while (poll(p, 2, -1) > 0 && !p[1].revents) {
        int fd = accept(p[0].fd, NULL, NULL);

        serve(fd); /* one after the other */
        close(fd);
    }
    close(p[0].fd);
    return NULL;
}

static void start(const enum deed *deeds, size_t count, int pause_ms)
{
    memset(&peer, 0, sizeof peer);
    strcpy(peer.folder, "/tmp/xeno-agent.XXXXXX");
    assert_non_null(mkdtemp(peer.folder));
    snprintf(peer.path, sizeof peer.path, "%s/s", peer.folder);
    peer.deeds = deeds;
    peer.count = count;
    peer.pause_ms = pause_ms;
    assert_int_equal(pipe(peer.stop), 0);
    assert_int_equal(pthread_create(&peer.thread, NULL, run, NULL), 0);
}

static void stop(void)
{
    close(peer.stop[1]);
    pthread_join(peer.thread, NULL);
    close(peer.stop[0]);
    unlink(peer.path);
    rmdir(peer.folder);
}

static struct xeno_agent *agent(int64_t patience_ms)
{
    const struct xeno_agent_opts o = { .env = xeno_env_real(),
                                       .socket = peer.path,
                                       .patience = xeno_ms(patience_ms) };
    struct xeno_agent *a = NULL;

    assert_int_equal(xeno_agent_new(&o, &a, NULL), 0);
    return a;
}

/* --- those who wait --- */

static void answers(void **state)
{
    static const enum deed deeds[] = { ANSWER };
    const uint8_t sha[32] = { 0xaa };
    const struct xeno_source_want want = { .sha = sha, .size_bytes = 9 };
    const char *layers[] = { DIGEST, DIGEST };
    struct xeno_agent_progress items[2];
    xeno_auto(xeno_agent_image) im = NULL;
    xeno_auto(xeno_agent) a = NULL;
    struct xeno_agent_fetched f;
    char buf[300];

    (void)state;
    start(deeds, XENO_LEN(deeds), 0);
    a = agent(20000);
    assert_int_equal(xeno_agent_resolve(a, "oci://h/r", XENO_IMAGE_OVERLAY, &im, NULL), 0);
    assert_string_equal(im->name, "oci://h/r");
    assert_true(im->old && im->kind == XENO_IMAGE_OVERLAY && im->layers[0].table);
    assert_int_equal(im->layers[0].size_bytes, 77);
    assert_int_equal(xeno_agent_fetch(a, DIGEST, &f, NULL), 0);
    assert_int_equal(f.way, XENO_AGENT_PIECES);
    assert_int_equal(f.table.offset, 60);
    assert_int_equal(xeno_agent_read(a, DIGEST, 7, buf, sizeof buf, &want, NULL), 0);
    assert_true(buf[0] == 'b' && buf[sizeof buf - 1] == 'b');
    assert_int_equal(xeno_agent_progress(a, layers, 2, items, NULL), 0);
    assert_int_equal(items[0].state, XENO_AGENT_TABLE);
    assert_string_equal(items[1].error.token, "agent.source");
    assert_int_equal(xeno_agent_keep(a, layers, 2, NULL), 0);
    assert_non_null(strstr(peer.asked, "\"kind\":\"overlay\",\"wait_ms\":20000"));
    assert_non_null(strstr(peer.asked, "\"size\":9,\"wait_ms\":20000"));
    xeno_agent_free(xeno_take(&a));
    stop();
}

static void a_table_is_read_in_parts(void **state)
{
    static const enum deed deeds[] = { ANSWER };
    const uint8_t sha[32] = { 0 };
    const struct xeno_source_want want = { .sha = sha };
    size_t len = XENO_AGENT_READ_MAX + 10;
    xeno_autofree char *buf = xeno_alloc0(1, len);
    xeno_auto(xeno_agent) a = NULL;
    struct xeno_source *s = NULL;

    (void)state;
    start(deeds, 1, 0);
    a = agent(20000);
    assert_int_equal(xeno_source_agent(a, "the agent", &s, NULL), 0);
    /* The peer of this test writes byte by byte, which is too slow for so much: only what it was
     * asked for counts. */
    peer.deeds = (const enum deed[]){ REFUSE };
    assert_int_equal(s->ops->read(s, DIGEST, 3, buf, len, &want, NULL), -EPERM);
    assert_non_null(strstr(peer.asked, "\"offset\":3,\"length\":4194304,\"wait_ms\""));
    free(s->name);
    s->ops->free(s);
    xeno_agent_free(xeno_take(&a));
    stop();
}

static void failures(void **state)
{
    static const struct {
        const char *name;
        enum deed deeds[3];
        size_t count;
        int64_t patience_ms;
        int want;
        const char *token;
        size_t asked;
    } cases[] = {
        { "refused", { REFUSE }, 1, 20000, -EPERM, "agent.refused", 1 },
        { "hung up on, then answered", { HANG_UP, ANSWER }, 2, 20000, 0, "", 2 },
        { "hung up on twice", { HANG_UP, HANG_UP, ANSWER }, 3, 20000, 0, "", 3 },
        { "without patience", { HANG_UP }, 1, 0, -ENOTCONN, "agent.away", 1 },
        { "broken off in the bytes", { SHORT, ANSWER }, 2, 20000, 0, "", 2 },
        { "answered another question", { OTHER_ID }, 1, 20000, -EPROTO, "json.range", 1 },
        { "answered nonsense", { NONSENSE }, 1, 20000, -EPROTO, "json.syntax", 1 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(cases); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        xeno_auto(xeno_agent) a = NULL;
        char buf[50];

        print_message("%s\n", cases[i].name);
        start(cases[i].deeds, cases[i].count, 0);
        a = agent(cases[i].patience_ms);
        while (access(peer.path, F_OK) < 0)
            usleep(1000);
        usleep(2000); /* it listens right after it is there */
        assert_int_equal(xeno_agent_read(a, DIGEST, 0, buf, sizeof buf, NULL, &err), cases[i].want);
        assert_string_equal(err.token, cases[i].token);
        assert_int_equal(peer.seen, cases[i].asked);
        xeno_agent_free(xeno_take(&a));
        stop();
    }
}

static void who_comes_late_is_waited_for(void **state)
{
    static const enum deed deeds[] = { ANSWER };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_agent) a = NULL;
    xeno_auto(xeno_agent) hasty = NULL;
    char buf[5];

    (void)state;
    start(deeds, 1, 200);
    hasty = agent(0);
    assert_int_equal(xeno_agent_read(hasty, DIGEST, 0, buf, 5, NULL, &err), -ENOTCONN);
    assert_string_equal(err.token, "agent.away");
    a = agent(20000);
    assert_int_equal(xeno_agent_read(a, DIGEST, 0, buf, 5, NULL, NULL), 0);
    xeno_agent_free(xeno_take(&a));
    stop();
}

/* What is kept of connections is to a daemon that may be gone: that costs no patience. */
static void a_connection_that_was_kept_is_no_reason(void **state)
{
    static const enum deed deeds[] = { ANSWER, HANG_UP, ANSWER };
    xeno_auto(xeno_agent) a = NULL;
    char buf[5];

    (void)state;
    start(deeds, 3, 0);
    a = agent(20000);
    assert_int_equal(xeno_agent_read(a, DIGEST, 0, buf, 5, NULL, NULL), 0);
    assert_int_equal(xeno_agent_read(a, DIGEST, 0, buf, 5, NULL, NULL), 0);
    assert_int_equal(peer.seen, 3);
    xeno_agent_free(xeno_take(&a));
    stop();
}

static void nothing_wrong_is_asked(void **state)
{
    static const enum deed deeds[] = { ANSWER };
    const char *bad[] = { "sha256:short" };
    struct xeno_agent_progress items[1];
    xeno_auto(xeno_agent) a = NULL;
    struct xeno_agent_fetched f;
    char buf[5];

    (void)state;
    start(deeds, 1, 0);
    a = agent(20000);
    assert_int_equal(xeno_agent_fetch(a, bad[0], &f, NULL), -EINVAL);
    assert_int_equal(xeno_agent_read(a, bad[0], 0, buf, 5, NULL, NULL), -EINVAL);
    assert_int_equal(xeno_agent_read(a, DIGEST, 0, buf, 0, NULL, NULL), -EINVAL);
    assert_int_equal(xeno_agent_progress(a, bad, 1, items, NULL), -EINVAL);
    assert_int_equal(xeno_agent_keep(a, bad, 1, NULL), -EINVAL);
    assert_int_equal(peer.seen, 0);
    xeno_agent_free(xeno_take(&a));
    stop();
}

/* --- those with a loop --- */

static struct {
    sd_event *loop;
    struct xeno_agent_link *link;
    int ups, downs, told;
    struct xeno_err err;
    char manifest[XENO_DIGEST_TEXT];
    size_t count;
} loop;

static void on_state(void *data, bool up)
{
    (void)data;
    loop.ups += up;
    loop.downs += !up;
}

static void tell(const struct xeno_err *err)
{
    loop.told++;
    loop.err = err ? *err : (struct xeno_err)XENO_ERR_INIT;
}

static void on_resolved(void *data, struct xeno_agent_image *im, const struct xeno_err *err)
{
    assert_ptr_equal(data, &loop);
    tell(err);
    assert_true(!im == !!err);
    if (im)
        strcpy(loop.manifest, im->manifest);
    xeno_agent_image_free(im);
}

static void on_progressed(void *data, const struct xeno_agent_progress *items, size_t count,
                          const struct xeno_err *err)
{
    (void)data;
    (void)items;
    tell(err);
    loop.count = count;
}

static void on_kept(void *data, const struct xeno_err *err)
{
    (void)data;
    tell(err);
}

#define until(cond)                                                                                \
    for (int tries_ = 0; !(cond) && tries_ < 4000; tries_++)                                       \
    sd_event_run(loop.loop, 10000)

static void begin(const enum deed *deeds, size_t count)
{
    memset(&loop, 0, sizeof loop);
    start(deeds, count, 0);
    assert_true(sd_event_new(&loop.loop) >= 0);
    assert_int_equal(xeno_agent_link_new(loop.loop, peer.path, on_state, NULL, &loop.link, NULL),
                     0);
    assert_false(xeno_agent_link_up(loop.link));
    until(loop.ups > 0);
    assert_int_equal(loop.ups, 1);
}

static void end(void)
{
    xeno_agent_link_free(loop.link);
    sd_event_unref(loop.loop);
    stop();
}

static int resolve(struct xeno_err *err)
{
    return xeno_agent_link_resolve(loop.link, "oci://h/r", XENO_IMAGE_ANY, xeno_s(40), on_resolved,
                                   &loop, err);
}

static void a_loop_asks(void **state)
{
    static const enum deed deeds[] = { ANSWER };
    const char *digests[XENO_AGENT_KEEP_MAX + 3];

    (void)state;
    begin(deeds, 1);
    assert_int_equal(resolve(NULL), 0);
    until(loop.told == 1);
    assert_string_equal(loop.manifest, DIGEST);
    assert_non_null(strstr(peer.asked, "\"wait_ms\":20000")); /* it answers in time */
    for (size_t i = 0; i < XENO_LEN(digests); i++)
        digests[i] = DIGEST;
    assert_int_equal(
        xeno_agent_link_progress(loop.link, digests, 2, xeno_ns(0), on_progressed, NULL, NULL), 0);
    until(loop.told == 2);
    assert_int_equal(loop.count, 2);
    assert_int_equal(xeno_agent_link_keep(loop.link, digests, XENO_LEN(digests), xeno_ns(0),
                                          on_kept, NULL, NULL),
                     0);
    until(loop.told == 3);
    assert_int_equal(loop.err.code, 0);
    assert_int_equal(peer.seen, 4); /* what does not fit one message comes in two */
    end();
}

static void a_loop_hears_of_a_loss(void **state)
{
    static const enum deed deeds[] = { HANG_UP, REFUSE };

    (void)state;
    begin(deeds, 2);
    assert_int_equal(resolve(NULL), 0);
    until(loop.told == 1);
    assert_string_equal(loop.err.token, "agent.away");
    assert_int_equal(loop.downs, 1);
    assert_int_equal(resolve(NULL), -ENOTCONN);
    until(loop.ups == 2);
    assert_int_equal(resolve(NULL), 0);
    until(loop.told == 2);
    assert_string_equal(loop.err.token, "agent.refused");
    end();
}

static void a_loop_forgets(void **state)
{
    static const enum deed deeds[] = { ANSWER };

    (void)state;
    begin(deeds, 1);
    assert_int_equal(resolve(NULL), 0);
    xeno_agent_link_forget(loop.link, &loop);
    until(peer.seen == 1);
    sd_event_run(loop.loop, 50000);
    assert_int_equal(loop.told, 0);
    assert_int_equal(resolve(NULL), 0); /* dropped with the link */
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(the_largest_fit),
        cmocka_unit_test(answers),
        cmocka_unit_test(a_table_is_read_in_parts),
        cmocka_unit_test(failures),
        cmocka_unit_test(who_comes_late_is_waited_for),
        cmocka_unit_test(a_connection_that_was_kept_is_no_reason),
        cmocka_unit_test(nothing_wrong_is_asked),
        cmocka_unit_test(a_loop_asks),
        cmocka_unit_test(a_loop_hears_of_a_loss),
        cmocka_unit_test(a_loop_forgets),
    };

    signal(SIGPIPE, SIG_IGN); /* the peer writes to who does not wait for its answer */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
