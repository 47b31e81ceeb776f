/* bench/xis/ask-xisd.c - lookups asked of a running xisd over mutual TLS:
 * bench-xis-ask-xisd URL CA CERT KEY SECONDS BATCH WINDOW.
 *
 * WINDOW requests of BATCH lookups are under way at any time. Prints one JSON object; the samples
 * are of whole requests.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "http/client.h"
#include "stats.h"
#include "xis/gen.h"

#define SAMPLES    1000000
#define LIMIT      10
#define WINDOW_MAX 1024

struct load {
    struct sd_event *loop;
    struct xeno_http_client *client;
    char *url;
    int batch, open;
    double until, *ms;
    size_t samples, asked;
};

struct call {
    struct load *l;
    double sent;
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void done(const struct xeno_http_answer *a, void *arg);

static void ask(struct call *c)
{
    struct load *l = c->l;
    xeno_autobuf body = XENO_BUF_INIT;
    char line[512];

    for (int i = 0; i < l->batch; i++) {
        struct xeno_lookup lookup;

        gen_lookup(l->asked++, LIMIT, &lookup);
        xeno_buf_add(&body, line, gen_lookup_json(&lookup, line, sizeof line));
        xeno_buf_puts(&body, "\n");
    }
    c->sent = now_s();
    l->open++;
    xeno_http_send(l->client, &(struct xeno_http_ask){ .method = "POST",
                                                       .url = l->url,
                                                       .type = "application/x-ndjson",
                                                       .body = body.data,
                                                       .body_len = body.len,
                                                       .done = done,
                                                       .arg = c });
}

static void done(const struct xeno_http_answer *a, void *arg)
{
    struct call *c = arg;
    struct load *l = c->l;
    size_t lines = 0;

    for (const char *p = a->body; p && (p = memchr(p, '\n', a->len - (size_t)(p - a->body))); p++)
        lines++;
    if (a->status != 200 || lines != (size_t)l->batch || strstr(a->body, "\"error\"")) {
        fprintf(stderr, "bench-xis-ask-xisd: status %d, %zu lines: %.300s\n", a->status, lines,
                a->status ? a->body : a->err->text);
        exit(1);
    }
    if (l->samples < SAMPLES)
        l->ms[l->samples++] = (now_s() - c->sent) * 1000;
    l->open--;
    if (now_s() < l->until)
        ask(c);
    else if (l->open == 0)
        sd_event_exit(l->loop, 0);
}

static char *file(const char *path)
{
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t len;

    if (fd < 0 || xeno_read_all(fd, 1 << 20, &text, &len) < 0) {
        perror(path);
        exit(1);
    }
    return text;
}

int main(int argc, char **argv)
{
    static struct call calls[WINDOW_MAX];
    struct load l = { .ms = xeno_new0_n(double, SAMPLES) };
    struct xeno_http_client_opts opts = { .env = xeno_env_real() };
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_key *key = NULL;
    int window = argc == 8 ? atoi(argv[7]) : 0;
    double start;

    if (window < 1 || window > WINDOW_MAX || atoi(argv[6]) < 1) {
        fprintf(stderr, "usage: bench-xis-ask-xisd URL CA CERT KEY SECONDS BATCH WINDOW\n");
        return 2;
    }
    xeno_crypto_init();
    opts.ca_pem = file(argv[2]);
    opts.cert_pem = file(argv[3]);
    if (xeno_key_load(AT_FDCWD, argv[4], &key, &err) < 0 || sd_event_default(&l.loop) < 0)
        goto failed;
    opts.key = key;
    if (xeno_http_client_new(l.loop, &opts, &l.client, &err) < 0)
        goto failed;
    l.url = xeno_asprintf("%s/v1/lookups", argv[1]);
    l.batch = atoi(argv[6]);
    start = now_s();
    l.until = start + atof(argv[5]);
    for (int i = 0; i < window; i++) {
        calls[i].l = &l;
        ask(&calls[i]);
    }
    sd_event_loop(l.loop);
    bench_sort(l.ms, l.samples);
    printf("{\"bench\":\"xis\",\"what\":\"xisd over TLS, batches of %d, %d under way\",\"n\":%zu,"
           "\"value\":%.6g,\"unit\":\"lookups/s\",\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           l.batch, window, l.asked, (double)l.asked / (now_s() - start),
           bench_quantile(l.ms, l.samples, 0.5), bench_quantile(l.ms, l.samples, 0.99));
    return 0;

failed:
    fprintf(stderr, "bench-xis-ask-xisd: %s\n", err.text);
    return 1;
}
