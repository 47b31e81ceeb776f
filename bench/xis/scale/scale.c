/* bench/xis/scale/scale.c - many XenoServers that keep their adverts fresh at three information
 * services, as xenod does it (src/xis/refresh.h), each at two of the three.
 *
 *     bench-xis-scale SECONDS SERVERS CA.pem KEY.pem CERT.pem URL URL URL
 *
 * Every server has a key of its own; one node's credential carries all. What is free at a server
 * moves every ten seconds or so. Now and then what one service has just taken is looked for at the
 * one that was not told, until it is there. After SECONDS
 * numbers stay as they are, leases are renewed as ever, and every advert is asked for at every
 * service until a round of that finds at each what had been acknowledged when it was asked. Prints
 * one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/io.h"
#include "http/client.h"
#include "stats.h"
#include "xis/gen.h"
#include "xis/refresh.h"

#define NODES    3
#define EACH     2 /* services of a server */
#define TICK_MS  20
#define AT_ONCE  200
#define MOVES_S  10
#define LOOK_MS  20 /* between two looks for what was just taken */
#define SETTLE_S 120
#define SAMPLES  1000000

struct server {
    uint32_t n;
    struct xeno_key *key;
    struct xeno_refresh *r;
    struct xeno_id id;
    int64_t acknowledged, seen[NODES];
};

struct sending {
    struct server *s;
    size_t service;
    int64_t version;
    xeno_time at;
};

struct asking {
    struct server *s;
    size_t node;
    int64_t acknowledged; /* when it was asked */
};

static struct {
    const struct xeno_env *env;
    sd_event *loop;
    struct xeno_http_client *client;
    const char *urls[NODES];
    struct server *servers;
    size_t count, under_way;
    xeno_time begin, quiet; /* nothing moves any more */
    double *ms, *lag;
    size_t ms_count, lag_count;
    uint64_t taken, whole, delta, base, old, away, refused, regressed, late;
    /* what is looked for now */
    struct server *wanted;
    size_t wanted_at;
    int64_t wanted_version;
    xeno_time wanted_since;
    bool asked;
    /* the end */
    size_t next, missing, asked_all;
    double settled_s;
} w;

static xeno_time now(void)
{
    return xeno_mono(w.env);
}

static double since_ms(xeno_time at)
{
    return (double)(now().ns - at.ns) / XENO_NS_PER_MS;
}

/* A server's services: two of the three. */
static size_t node_of(const struct server *s, size_t service)
{
    return (s->n + service) % NODES;
}

/* --- what servers say --- */

static struct xeno_advert_maker *describe(void *ctx, int64_t version, xeno_time expires)
{
    struct server *s = ctx;
    xeno_time at = w.quiet.ns && now().ns > w.quiet.ns ? w.quiet : now();
    /* each at a moment of its own */
    int64_t round =
        (at.ns / XENO_NS_PER_MS + (int64_t)(gen_mix(s->n) % (MOVES_S * 1000))) / (MOVES_S * 1000);

    return gen_maker(s->key, s->n, (uint32_t)round, version, expires);
}

static void reserve(void *ctx, int64_t version)
{
    (void)ctx;
    (void)version;
}

static void server_init(struct server *s, uint32_t n)
{
    const struct xeno_refresh_opts opts = {
        .env = w.env,
        .rules = { .lease = xeno_s(60), .lease_most = xeno_s(600), .interval = xeno_s(5) },
        .services = EACH,
        .describe = describe,
        .reserve = reserve,
        .ctx = s
    };
    struct xeno_refresh_opts mine = opts;

    s->n = n;
    s->key = gen_key(n);
    mine.key = s->key;
    s->id = xeno_id_of(xeno_key_pub(s->key));
    s->r = xeno_refresh_new(&mine);
}

/* --- what was just taken, at the node that was not told --- */

static int64_t version_of(const struct xeno_http_answer *a)
{
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at at;
    int64_t version = 0;

    if (a->len == 0 || xeno_json_parse(a->body, a->len, 1 << 20, &body, NULL) < 0)
        return 0;
    at = xeno_json_top(body);
    (void)xeno_json_int(&at, "version", 1, XENO_ADVERT_VERSION, &version, NULL);
    return version;
}

/* A node that shows an older version than it showed is what must not be. */
static void note_seen(struct server *s, size_t node, int64_t version)
{
    if (version > 0 && version < s->seen[node])
        w.regressed++;
    if (version > s->seen[node])
        s->seen[node] = version;
}

static void get(struct server *s, size_t node,
                void (*done)(const struct xeno_http_answer *, void *), void *arg)
{
    xeno_autofree char *url = xeno_asprintf("%s/v1/adverts/%s", w.urls[node], s->id.s);

    xeno_http_send(
        w.client,
        &(struct xeno_http_ask){
            .method = "GET", .url = url, .deadline = xeno_s(5), .done = done, .arg = arg });
}

static void on_looked(const struct xeno_http_answer *a, void *arg)
{
    int64_t version = a->status == 200 ? version_of(a) : 0;

    (void)arg;
    w.asked = false;
    note_seen(w.wanted, w.wanted_at, version);
    if (version >= w.wanted_version && w.lag_count < SAMPLES)
        w.lag[w.lag_count++] = since_ms(w.wanted_since);
    else if (since_ms(w.wanted_since) > 60000)
        w.late++;
    else
        return;
    w.wanted = NULL;
}

static void look_for(struct server *s, int64_t version)
{
    if (w.wanted)
        return;
    w.wanted = s;
    w.wanted_at = node_of(s, EACH);
    w.wanted_version = version;
    w.wanted_since = now();
}

/* --- sending --- */

static enum xeno_refresh_outcome outcome_of(const struct xeno_http_answer *a, int64_t *version)
{
    if (a->status >= 200 && a->status < 300)
        return XENO_REFRESH_TAKEN;
    if (a->status == 409 && xeno_err_is(a->err, "xis.base"))
        return XENO_REFRESH_BASE;
    if (a->status == 409 && xeno_err_is(a->err, "xis.old") && (*version = version_of(a)) > 0)
        return XENO_REFRESH_OLD;
    return a->status >= 400 && a->status < 500 && a->status != 429 ? XENO_REFRESH_REFUSED
                                                                   : XENO_REFRESH_AWAY;
}

static void on_answer(const struct xeno_http_answer *a, void *arg)
{
    struct sending *m = arg;
    int64_t version = 0;
    enum xeno_refresh_outcome o = outcome_of(a, &version);
    uint64_t *const counts[] = { [XENO_REFRESH_TAKEN] = &w.taken,
                                 [XENO_REFRESH_BASE] = &w.base,
                                 [XENO_REFRESH_OLD] = &w.old,
                                 [XENO_REFRESH_AWAY] = &w.away,
                                 [XENO_REFRESH_REFUSED] = &w.refused };

    w.under_way--;
    ++*counts[o];
    if (o == XENO_REFRESH_REFUSED && w.refused == 1)
        fprintf(stderr, "refused: %s: %s\n", a->err->token, a->err->text);
    if (o == XENO_REFRESH_TAKEN) {
        if (w.ms_count < SAMPLES)
            w.ms[w.ms_count++] = since_ms(m->at);
        if (m->version > m->s->acknowledged)
            m->s->acknowledged = m->version;
        look_for(m->s, m->version);
    }
    xeno_refresh_done(m->s->r, m->service, o, version);
    free(m);
}

static void send_to(struct server *s, size_t service, const struct xeno_refresh_message *msg)
{
    static const char *const methods[] = {
        [XENO_ADVERT_WHOLE] = "PUT", [XENO_ADVERT_DELTA] = "PATCH"
    };
    xeno_autofree char *url =
        xeno_asprintf("%s/v1/adverts/%s", w.urls[node_of(s, service)], s->id.s);
    struct sending *m = xeno_new0(struct sending);

    *m = (struct sending){
        .s = s, .service = service, .version = xeno_refresh_advert(s->r)->version, .at = now()
    };
    w.under_way++;
    *(msg->kind == XENO_ADVERT_WHOLE ? &w.whole : &w.delta) += 1;
    xeno_http_send(w.client, &(struct xeno_http_ask){ .method = methods[msg->kind],
                                                      .url = url,
                                                      .type = "application/jose",
                                                      .body = msg->text,
                                                      .body_len = msg->len,
                                                      .deadline = xeno_s(10),
                                                      .done = on_answer,
                                                      .arg = m });
}

static bool is_quiet(void)
{
    return w.quiet.ns != 0 && now().ns >= w.quiet.ns;
}

static void turn(struct server *s)
{
    struct xeno_refresh_message msg;
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_refresh_look(s->r, &err) < 0)
        fprintf(stderr, "advert %u: %s\n", s->n, err.text);
    for (size_t i = 0; i < EACH && w.under_way < AT_ONCE; i++) {
        if (xeno_refresh_take(s->r, i, &msg))
            send_to(s, i, &msg);
    }
}

/* --- the end: everything everywhere --- */

static void on_compared(const struct xeno_http_answer *a, void *arg)
{
    struct asking *q = arg;
    int64_t version = a->status == 200 ? version_of(a) : 0;

    w.asked_all--;
    note_seen(q->s, q->node, version);
    if (version < q->acknowledged)
        w.missing++;
    free(q);
}

/* One round of questions after another, until one finds nothing missing. */
static void compare(void)
{
    size_t all = w.count * NODES;

    if (w.next == all && w.asked_all == 0) {
        if (w.missing == 0) {
            w.settled_s = since_ms(w.quiet) / 1000;
            sd_event_exit(w.loop, 0);
            return;
        }
        w.next = w.missing = 0;
    }
    for (; w.next < all && w.asked_all < AT_ONCE; w.next++) {
        struct asking *q = xeno_new0(struct asking);

        q->s = &w.servers[w.next / NODES];
        q->node = w.next % NODES;
        q->acknowledged = q->s->acknowledged;
        w.asked_all++;
        get(q->s, q->node, on_compared, q);
    }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *user)
{
    (void)user;
    for (size_t i = 0; i < w.count; i++)
        turn(&w.servers[(i + usec) % w.count]);
    if (w.wanted && !w.asked) {
        w.asked = true;
        get(w.wanted, w.wanted_at, on_looked, NULL);
    }
    if (is_quiet())
        compare();
    if (w.quiet.ns && now().ns > w.quiet.ns + xeno_s(SETTLE_S).ns)
        sd_event_exit(w.loop, 1);
    sd_event_source_set_time(source, usec + TICK_MS * 1000);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* --- */

static char *slurp(const char *path)
{
    xeno_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    size_t len;

    if (fd < 0 || xeno_read_all(fd, 1 << 16, &text, &len) < 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(EXIT_FAILURE);
    }
    return text;
}

static void report(double seconds)
{
    bench_sort(w.ms, w.ms_count);
    bench_sort(w.lag, w.lag_count);
    printf("{\"servers\":%zu,\"seconds\":%.0f,\"taken\":%" PRIu64 ",\"whole\":%" PRIu64
           ",\"deltas\":%" PRIu64 ",\"base\":%" PRIu64 ",\"old\":%" PRIu64 ",\"away\":%" PRIu64
           ",\"refused\":%" PRIu64 ",\"update_p50_ms\":%.1f,\"update_p99_ms\":%.1f,"
           "\"lag_n\":%zu,\"lag_p50_ms\":%.0f,\"lag_p99_ms\":%.0f,\"lag_max_ms\":%.0f,"
           "\"late\":%" PRIu64 ",\"settled_s\":%.1f,\"missing\":%zu,\"regressed\":%" PRIu64 "}\n",
           w.count, seconds, w.taken, w.whole, w.delta, w.base, w.old, w.away, w.refused,
           bench_quantile(w.ms, w.ms_count, 0.5), bench_quantile(w.ms, w.ms_count, 0.99),
           w.lag_count, bench_quantile(w.lag, w.lag_count, 0.5),
           bench_quantile(w.lag, w.lag_count, 0.99), bench_quantile(w.lag, w.lag_count, 1), w.late,
           w.settled_s, w.missing, w.regressed);
}

int main(int argc, char **argv)
{
    struct xeno_http_client_opts opts = { .env = xeno_env_real() };
    struct xeno_err err = XENO_ERR_INIT;
    xeno_auto(xeno_key) key = NULL;
    int r;

    if (argc != 6 + NODES)
        return EXIT_FAILURE;
    xeno_crypto_init();
    w.env = opts.env;
    w.count = strtoul(argv[2], NULL, 10);
    opts.ca_pem = slurp(argv[3]);
    opts.cert_pem = slurp(argv[5]);
    for (size_t i = 0; i < NODES; i++)
        w.urls[i] = argv[6 + i];
    w.ms = xeno_new0_n(double, SAMPLES);
    w.lag = xeno_new0_n(double, SAMPLES);
    w.servers = xeno_new0_n(struct server, w.count);
    for (uint32_t i = 0; i < w.count; i++)
        server_init(&w.servers[i], i);
    if (xeno_key_load(AT_FDCWD, argv[4], &key, &err) < 0 || sd_event_default(&w.loop) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    opts.key = key;
    if (xeno_http_client_new(w.loop, &opts, &w.client, &err) < 0)
        return EXIT_FAILURE;
    w.begin = now();
    w.quiet = xeno_time_add(w.begin, xeno_s(strtol(argv[1], NULL, 10)));
    sd_event_add_time(w.loop, NULL, CLOCK_MONOTONIC, 0, 0, on_tick, NULL);
    r = sd_event_loop(w.loop);
    report(strtod(argv[1], NULL));
    xeno_http_client_free(w.client);
    return r;
}
