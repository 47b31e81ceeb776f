/* bench/xis/load.c - load on a running information service, or on an RD, over mutual TLS.
 *
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem put FILE AT-ONCE
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem batches LINES AT-ONCE SECONDS [TOKENS]
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem singles RATE CONNECTIONS SECONDS [TOKENS]
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem finds FILE CONNECTIONS SECONDS
 *
 * put: each line of FILE is a signed text, an advert or a delta. batches: LINES lookups in a
 * request, AT-ONCE requests under way. singles: lookups one by one, begun at RATE a second whether
 * or not the answers are here, and how late an answer is counts from when it was to be asked; RATE
 * 0: each connection asks again when it has its answer. finds: each line of FILE is a question to
 * an RD, in turn, which has to find some XenoServer; asked again at once. Each request under way
 * has a connection. Lookups are those of gen.h or, with TOKENS, ranges of numbers below a million
 * of T0 to T(TOKENS-1), made before the clock runs. Every answer must be whole, 200, and have a
 * result for each lookup. Prints one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "stats.h"
#include "xis/answer.h"
#include "xis/gen.h"
#include "xis/wire.h"

#define SAMPLES     4000000
#define LOOKUPS     100000 /* different ones */
#define BELOW       1000000
#define LIMIT       10
#define CONNECTIONS 512
#define FOUND       "{\"answers\":[{"
#define PATIENCE_S  60 /* for the last answers */

struct conn {
    struct wire *w;
    struct answer answer;
    int64_t due; /* ns: when it was to be asked */
};

static struct {
    const char *host; /* HOST:PORT */
    int epoll;
    struct conn conns[CONNECTIONS], *idle[CONNECTIONS];
    size_t conn_count, idle_count;
    uint64_t seed;
    int64_t tokens, lines, rate, sent, done, failed, under_way;
    int64_t begin, end; /* ns */
    struct xeno_buf *asks;
    size_t ask_count;
    double *ms;
    size_t samples;
    char *at; /* of FILE */
    char *questions;
    char last[200];
} w = { .seed = 1 };

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * XENO_NS_PER_S + t.tv_nsec;
}

static uint64_t next_random(void)
{
    w.seed = w.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w.seed >> 24;
}

/* --- what is asked --- */

static void make_lookup(struct xeno_lookup *l, char token[24])
{
    static uint64_t next;
    uint64_t min;

    if (w.tokens == 0) {
        gen_lookup(next++, LIMIT, l);
        return;
    }
    min = next_random() % BELOW;
    snprintf(token, 24, "T%" PRIu64, next_random() % (uint64_t)w.tokens);
    *l = (struct xeno_lookup){ .token = token,
                               .range = XENO_LOOKUP_NUMBERS,
                               .min = (double)min,
                               .max = (double)(min + next_random() % BELOW),
                               .limit = LIMIT };
}

static void make_batch(struct xeno_buf *out)
{
    xeno_autobuf body = XENO_BUF_INIT;
    struct xeno_lookup l;
    char token[24], line[512];

    for (int64_t i = 0; i < w.lines; i++) {
        make_lookup(&l, token);
        xeno_buf_add(&body, line, gen_lookup_json(&l, line, sizeof line));
        xeno_buf_puts(&body, "\n");
    }
    xeno_buf_printf(out,
                    "POST /v1/lookups HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-ndjson"
                    "\r\nContent-Length: %zu\r\n\r\n",
                    w.host, body.len);
    xeno_buf_add(out, body.data, body.len);
}

static void make_single(struct xeno_buf *out)
{
    struct xeno_lookup l;
    char token[24], query[512];

    make_lookup(&l, token);
    gen_lookup_query(&l, query, sizeof query);
    xeno_buf_printf(out, "GET /v1/lookup?%s HTTP/1.1\r\nHost: %s\r\n\r\n", query, w.host);
}

static void make_finds(void)
{
    for (char *rest = w.questions, *line; (line = strsep(&rest, "\n")) != NULL;) {
        if (*line == '\0')
            continue;
        w.asks = xeno_grow(w.asks, w.ask_count + 1);
        w.asks[w.ask_count] = (struct xeno_buf)XENO_BUF_INIT;
        xeno_buf_printf(&w.asks[w.ask_count++],
                        "POST /v1/find HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json"
                        "\r\nContent-Length: %zu\r\n\r\n%s",
                        w.host, strlen(line), line);
    }
    if (w.ask_count == 0)
        exit(EXIT_FAILURE);
}

static void make_asks(void)
{
    w.ask_count = w.lines ? (size_t)(LOOKUPS / w.lines) + 1 : LOOKUPS;
    w.asks = xeno_new0_n(struct xeno_buf, w.ask_count);
    for (size_t i = 0; i < w.ask_count; i++)
        w.lines ? make_batch(&w.asks[i]) : make_single(&w.asks[i]);
}

static void put_line(struct conn *c)
{
    size_t len = strcspn(w.at, "\n");
    enum xeno_advert_kind kind;
    xeno_autobuf out = XENO_BUF_INIT;
    struct xeno_id id;

    if (xeno_advert_peek(w.at, len, &kind, &id, NULL) < 0)
        exit(EXIT_FAILURE);
    xeno_buf_printf(&out,
                    "%s /v1/adverts/%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/jose\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    kind == XENO_ADVERT_DELTA ? "PATCH" : "PUT", id.s, w.host, len);
    xeno_buf_add(&out, w.at, len);
    wire_put(c->w, out.data, out.len);
    w.at += len + (w.at[len] == '\n');
}

static void ask(struct conn *c, int64_t due)
{
    c->due = due;
    answer_begin(&c->answer);
    if (w.at) {
        put_line(c);
    } else {
        const struct xeno_buf *b = &w.asks[(size_t)w.sent % w.ask_count];

        wire_put(c->w, b->data, b->len);
    }
    w.sent++;
    w.under_way++;
}

static bool is_over(int64_t now)
{
    return w.at ? *w.at == '\0' : now >= w.end;
}

/* Those that are due by now, as far as there is a connection for them. Returns: when the next one
 * is; 0: it will not be asked. */
static int64_t ask_due(int64_t now)
{
    int64_t due = 0;

    while (w.idle_count > 0) {
        due = w.rate ? w.begin + w.sent * XENO_NS_PER_S / w.rate : now;
        if (due >= w.end && !w.at)
            return 0;
        if (due > now)
            return due;
        if (is_over(now))
            return 0;
        ask(w.idle[--w.idle_count], due);
    }
    return 0;
}

/* --- what is answered --- */

static bool is_right(const struct answer *a)
{
    if (w.at)
        return a->status == 200 || a->status == 201;
    if (w.questions)
        return a->status == 200 && strncmp(a->body, FOUND, sizeof FOUND - 1) == 0;
    return a->status == 200 && answer_results(a) == (w.lines ? w.lines : 1);
}

static void finish(struct conn *c, int64_t now)
{
    w.under_way--;
    w.done++;
    if (!is_right(&c->answer)) {
        w.failed++;
        snprintf(w.last, sizeof w.last, "%d %.*s", c->answer.status,
                 (int)(c->answer.body_len < 150 ? c->answer.body_len : 150), c->answer.body);
    }
    if (w.samples < SAMPLES)
        w.ms[w.samples++] = (double)(now - c->due) / 1e6;
    w.idle[w.idle_count++] = c;
}

static void hear(struct conn *c)
{
    size_t n, room;

    wire_ready(c->w);
    do {
        char *to = answer_room(&c->answer, &room);

        n = wire_get(c->w, to, room);
        if (n > 0 && answer_add(&c->answer, n))
            finish(c, now_ns());
    } while (n > 0);
}

/* --- the run --- */

static void wait_for_some(int64_t next)
{
    struct epoll_event events[64];
    int64_t left = next ? next - now_ns() : PATIENCE_S * XENO_NS_PER_S;
    struct timespec t = { .tv_sec = left > 0 ? left / XENO_NS_PER_S : 0,
                          .tv_nsec = left > 0 ? left % XENO_NS_PER_S : 0 };
    int n = epoll_pwait2(w.epoll, events, XENO_LEN(events), &t, NULL);

    if (n == 0 && !next) {
        fprintf(stderr, "no answer in %d s\n", PATIENCE_S);
        exit(EXIT_FAILURE);
    }
    for (int i = 0; i < n; i++)
        hear(events[i].data.ptr);
}

static void run(void)
{
    for (;;) {
        int64_t next = ask_due(now_ns());

        if (w.under_way == 0 && next == 0)
            return;
        wait_for_some(next);
    }
}

static void dial_all(const char *url, char **argv, size_t count)
{
    struct wire_tls *tls = wire_tls_new(argv[2], argv[3], argv[4]);

    w.host = strncmp(url, "https://", 8) == 0 ? url + 8 : url;
    w.epoll = epoll_create1(EPOLL_CLOEXEC);
    while (w.conn_count < count && w.conn_count < CONNECTIONS) {
        struct conn *c = &w.conns[w.conn_count++];
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

        c->w = wire_dial(w.host, tls);
        epoll_ctl(w.epoll, EPOLL_CTL_ADD, wire_fd(c->w), &e);
        w.idle[w.idle_count++] = c;
    }
}

static char *read_text(const char *path)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;
    size_t len;

    if (xeno_file_read(AT_FDCWD, path, (size_t)2 << 30, &text, &len, &err) == 0)
        return text;
    fprintf(stderr, "%s\n", err.text);
    exit(EXIT_FAILURE);
}

static int report(void)
{
    double seconds = (double)(now_ns() - w.begin) / 1e9;

    bench_sort(w.ms, w.samples);
    printf("{\"requests\":%" PRId64 ",\"failed\":%" PRId64
           ",\"seconds\":%.3f,\"requests_per_s\":%.0f,"
           "\"lookups_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           w.done, w.failed, seconds, (double)w.done / seconds,
           (double)(w.lines ? w.done * w.lines : w.done) / seconds,
           bench_quantile(w.ms, w.samples, 0.5), bench_quantile(w.ms, w.samples, 0.99));
    if (w.failed > 0)
        fprintf(stderr, "the last failure: %s\n", w.last);
    return w.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc < 8)
        return EXIT_FAILURE;
    xeno_crypto_init();
    w.ms = xeno_new0_n(double, SAMPLES);
    w.tokens = argc > 9 ? strtoll(argv[9], NULL, 10) : 0;
    dial_all(argv[1], argv, strtoul(argv[7], NULL, 10));
    if (strcmp(argv[5], "put") == 0)
        w.at = read_text(argv[6]);
    else if (strcmp(argv[5], "batches") == 0)
        w.lines = strtoll(argv[6], NULL, 10);
    else if (strcmp(argv[5], "finds") == 0)
        w.questions = read_text(argv[6]);
    else
        w.rate = strtoll(argv[6], NULL, 10);
    if (w.questions)
        make_finds();
    else if (!w.at)
        make_asks();
    w.begin = now_ns();
    w.end = w.begin + (argc > 8 ? strtoll(argv[8], NULL, 10) : 0) * XENO_NS_PER_S;
    run();
    return report();
}
