/* bench/xis/load.c - load on a running information service, over mutual TLS.
 *
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem put FILE AT-ONCE
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem batches LINES AT-ONCE SECONDS [TOKENS]
 *     bench-xis-load URL CA.pem KEY.pem CERT.pem singles RATE CONNECTIONS SECONDS [TOKENS]
 *
 * put: each line of FILE is a signed text, sent as an advert. batches: range lookups, LINES in a
 * request, AT-ONCE requests under way; each answer's lines are counted. singles: lookups one by
 * one, begun at RATE a second whether or not the answers are here; how late an answer is counts
 * from when it was to be asked. Tokens are T0 to T(TOKENS-1), with numbers below a million. Prints
 * one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/buf.h"
#include "base/io.h"
#include "http/client.h"
#include "stats.h"
#include "xis/advert.h"

#define SAMPLES 4000000
#define BELOW   1000000

static struct {
    sd_event *loop;
    const struct xeno_env *env;
    struct xeno_http_client *idle[64]; /* of singles: a connection each */
    size_t idle_count;
    const char *url;
    uint64_t seed;
    int64_t tokens, lines, rate, sent, done, failed, under_way, results;
    xeno_time begin, end;
    double *ms;
    size_t samples;
    char *at; /* of FILE */
    char last[200];
} w = { .seed = 1, .tokens = 40 };

struct question {
    xeno_time due;
    char *body, *url;
    struct xeno_http_client *client;
};

static uint64_t next_random(void)
{
    w.seed = w.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return w.seed >> 24;
}

static void more(struct xeno_http_client *client);
static void ask_due(void);

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct question *q = arg;
    xeno_time now = xeno_mono(w.env);

    w.under_way--;
    if (a->err || a->status >= 300) {
        w.failed++;
        snprintf(w.last, sizeof w.last, "%.199s", a->err ? a->err->text : "");
    } else if (w.lines > 0) {
        for (const char *p = a->body; (p = memchr(p, '\n', (size_t)(a->body + a->len - p))); p++)
            w.results++;
    }
    w.done++;
    if (w.samples < SAMPLES)
        w.ms[w.samples++] = (double)(now.ns - q->due.ns) / 1e6;
    if (w.rate == 0)
        more(q->client);
    else
        w.idle[w.idle_count++] = q->client;
    free(q->body);
    free(q->url);
    free(q);
    if (w.rate > 0)
        ask_due();
    if (w.under_way == 0 && (now.ns >= w.end.ns || (w.at && *w.at == '\0')))
        sd_event_exit(w.loop, 0);
}

static void send(struct xeno_http_client *c, const char *method, const char *type,
                 struct question *q)
{
    q->client = c;
    w.sent++;
    w.under_way++;
    xeno_http_send(c, &(struct xeno_http_ask){ .method = method,
                                               .url = q->url,
                                               .type = type,
                                               .body = q->body,
                                               .body_len = q->body ? strlen(q->body) : 0,
                                               .done = on_answer,
                                               .arg = q });
}

static void put_line(struct xeno_http_client *c, struct question *q)
{
    size_t len = strcspn(w.at, "\n");
    enum xeno_advert_kind kind;
    struct xeno_id id;

    q->body = xeno_strndup(w.at, len);
    w.at += len + (w.at[len] == '\n');
    if (xeno_advert_peek(q->body, len, &kind, &id, NULL) < 0)
        exit(EXIT_FAILURE);
    q->url = xeno_asprintf("%s/v1/adverts/%s", w.url, id.s);
    send(c, "PUT", "application/jose", q);
}

static void batch(struct xeno_http_client *c, struct question *q)
{
    xeno_autobuf b = XENO_BUF_INIT;

    for (int64_t i = 0; i < w.lines; i++) {
        uint64_t min = next_random() % BELOW;

        xeno_buf_printf(&b,
                        "{\"token\":\"T%" PRIu64 "\",\"min\":%" PRIu64 ",\"max\":%" PRIu64 "}\n",
                        next_random() % (uint64_t)w.tokens, min, min + next_random() % BELOW);
    }
    q->body = xeno_buf_take(&b, NULL);
    q->url = xeno_asprintf("%s/v1/lookups", w.url);
    send(c, "POST", "application/x-ndjson", q);
}

static void single(struct xeno_http_client *c, struct question *q)
{
    uint64_t min = next_random() % BELOW;

    q->url = xeno_asprintf("%s/v1/lookup?token=T%" PRIu64 "&min=%" PRIu64 "&max=%" PRIu64, w.url,
                           next_random() % (uint64_t)w.tokens, min, min + next_random() % BELOW);
    send(c, "GET", NULL, q);
}

/* One more question, if there is one. */
static void more(struct xeno_http_client *client)
{
    struct question *q;
    xeno_time now = xeno_mono(w.env);

    if (w.at ? *w.at == '\0' : now.ns >= w.end.ns)
        return;
    q = xeno_new0(struct question);
    q->due = now;
    if (w.at)
        put_line(client, q);
    else
        batch(client, q);
}

/* Those that are due by now, as far as there is a connection for them. */
static void ask_due(void)
{
    xeno_time now = xeno_mono(w.env);

    while (w.idle_count > 0) {
        xeno_time due = xeno_ns(w.begin.ns + w.sent * XENO_NS_PER_S / w.rate);
        struct question *q;

        if (due.ns > now.ns || due.ns >= w.end.ns)
            return;
        q = xeno_new0(struct question);
        q->due = due;
        single(w.idle[--w.idle_count], q);
    }
}

static int on_tick(sd_event_source *s, uint64_t usec, void *user)
{
    (void)usec;
    (void)user;
    ask_due();
    if (xeno_mono(w.env).ns >= w.end.ns) {
        if (w.under_way == 0)
            sd_event_exit(w.loop, 0);
        return 0;
    }
    (void)sd_event_source_set_time_relative(s, 500);
    return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static char *read_text(const char *path, size_t max)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *text = NULL;
    size_t len;

    if (xeno_file_read(AT_FDCWD, path, max, &text, &len, &err) == 0)
        return text;
    fprintf(stderr, "%s\n", err.text);
    exit(EXIT_FAILURE);
}

static void open_clients(char **argv, size_t count)
{
    char *ca = read_text(argv[2], 1 << 20), *cert = read_text(argv[4], 1 << 20);
    xeno_autofree char *pem = read_text(argv[3], 1 << 16);
    struct xeno_key *key = NULL;
    struct xeno_http_client_opts opts = { .env = w.env, .ca_pem = ca, .cert_pem = cert };

    if (xeno_key_from_pem(pem, &key, NULL) < 0)
        exit(EXIT_FAILURE);
    opts.key = key;
    while (w.idle_count < count && w.idle_count < XENO_LEN(w.idle))
        if (xeno_http_client_new(w.loop, &opts, &w.idle[w.idle_count++], NULL) < 0)
            exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    sd_event_source *tick = NULL;
    double seconds;
    int64_t at_once;

    if (argc < 8)
        return EXIT_FAILURE;
    w.env = xeno_env_real();
    xeno_crypto_init();
    sd_event_default(&w.loop);
    w.url = argv[1];
    w.ms = xeno_new0_n(double, SAMPLES);
    at_once = strtoll(argv[7], NULL, 10);
    if (argc > 9)
        w.tokens = strtoll(argv[9], NULL, 10);
    w.begin = xeno_mono(w.env);
    w.end = xeno_time_add(w.begin, xeno_s(argc > 8 ? strtoll(argv[8], NULL, 10) : 0));
    if (strcmp(argv[5], "put") == 0)
        w.at = read_text(argv[6], (size_t)2 << 30);
    else if (strcmp(argv[5], "batches") == 0)
        w.lines = strtoll(argv[6], NULL, 10);
    else
        w.rate = strtoll(argv[6], NULL, 10);
    open_clients(argv, w.rate ? (size_t)at_once : 1);
    if (w.rate > 0)
        sd_event_add_time_relative(w.loop, &tick, CLOCK_MONOTONIC, 0, 100, on_tick, NULL);
    for (int64_t i = 0; i < at_once && w.rate == 0; i++)
        more(w.idle[0]);
    sd_event_loop(w.loop);
    seconds = (double)(xeno_mono(w.env).ns - w.begin.ns) / 1e9;
    bench_sort(w.ms, w.samples);
    printf("{\"requests\":%" PRId64 ",\"failed\":%" PRId64
           ",\"seconds\":%.3f,\"requests_per_s\":%.0f,"
           "\"lookups_per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           w.done, w.failed, seconds, (double)w.done / seconds,
           (double)(w.lines ? w.results : w.done) / seconds, bench_quantile(w.ms, w.samples, 0.5),
           bench_quantile(w.ms, w.samples, 0.99));
    if (w.failed > 0)
        fprintf(stderr, "the last failure: %s\n", w.last);
    return w.failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
