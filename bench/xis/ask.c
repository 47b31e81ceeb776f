/* bench/xis/ask.c - lookups and updates asked of a peer: bench-xis-ask WHO TO SECONDS CLIENTS
 * WINDOW [CA.pem].
 *
 * WHO is redis or ldap, or redis-update or ldap-update: their wire formats are small enough to be
 * spoken right here, so that what is measured is the server and not a library. TO is HOST:PORT or
 * the path of a socket; with CA.pem it is asked over TLS. Each of CLIENTS connections sends WINDOW
 * requests in one write and awaits all their answers before the next; the samples are of such
 * rounds, so with a WINDOW of 1 they are latencies. An update moves the eight numbers of one advert
 * that a XenoServer's refresh moves. Prints one JSON object.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/buf.h"
#include "stats.h"
#include "xis/gen.h"
#include "xis/wire.h"

#define SAMPLES 4000000
#define LIMIT   10
#define CLIENTS 64
#define MOVING  5000 /* adverts that are updated: the first of all */

static struct xeno_id ids[MOVING];

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *const moved[] = { "CPUmsps",  "MemoryMB",    "DiskMB",  "NetMbps",
                                     "Sessions", "LoadPercent", "UptimeS", "Expires" };

static unsigned moved_to(uint64_t i, size_t k)
{
    return (unsigned)(gen_mix(i * XENO_LEN(moved) + k) % 8000);
}

/* --- redis: how many, and which; two commands --- */

static void redis_arg(struct xeno_buf *b, const char *text, size_t len)
{
    xeno_buf_printf(b, "$%zu\r\n", len);
    xeno_buf_add(b, text, len);
    xeno_buf_puts(b, "\r\n");
}

static void redis_word(struct xeno_buf *b, const char *text)
{
    redis_arg(b, text, strlen(text));
}

/* The borders of a range, "min" and "max" of Redis. */
struct borders {
    char low[300], high[300];
    size_t low_len, high_len;
};

static struct borders borders_of(const struct xeno_lookup *l)
{
    struct borders b;

    if (l->range == XENO_LOOKUP_NUMBERS) {
        b.low_len = (size_t)snprintf(b.low, sizeof b.low, "%.10g", l->min);
        b.high_len = (size_t)snprintf(b.high, sizeof b.high, "%.10g", l->max);
    } else {
        b.low_len = (size_t)snprintf(b.low, sizeof b.low, "[%s", l->from);
        b.high_len = (size_t)snprintf(b.high, sizeof b.high, "[%s%c\xff", l->to, 0);
    }
    return b;
}

static void redis_ask(struct xeno_buf *out, uint64_t i)
{
    struct xeno_lookup lookup;
    const struct xeno_lookup *l = &lookup;
    bool number;
    struct borders b;
    char key[200], place[24];

    gen_lookup(i, LIMIT, &lookup);
    number = l->range == XENO_LOOKUP_NUMBERS;
    b = borders_of(l);
    snprintf(key, sizeof key, "%c:%s", number ? 'n' : 's', l->token);
    snprintf(place, sizeof place, "%u", (unsigned)l->place);
    xeno_buf_puts(out, "*4\r\n");
    redis_word(out, number ? "ZCOUNT" : "ZLEXCOUNT");
    redis_word(out, key);
    redis_arg(out, b.low, b.low_len);
    redis_arg(out, b.high, b.high_len);
    xeno_buf_printf(out, "*%d\r\n", number ? 8 : 7);
    if (number)
        redis_word(out, l->desc ? "ZREVRANGEBYSCORE" : "ZRANGEBYSCORE");
    else
        redis_word(out, l->desc ? "ZREVRANGEBYLEX" : "ZRANGEBYLEX");
    redis_word(out, key);
    redis_arg(out, l->desc ? b.high : b.low, l->desc ? b.high_len : b.low_len);
    redis_arg(out, l->desc ? b.low : b.high, l->desc ? b.low_len : b.high_len);
    if (number)
        redis_word(out, "WITHSCORES");
    redis_word(out, "LIMIT");
    redis_word(out, place);
    redis_word(out, "10");
}

/* The length of one reply at `p`; 0: not all of it is here. */
static size_t redis_reply(const char *p, size_t len)
{
    const char *end = memchr(p, '\n', len);
    size_t head, n;

    if (!end)
        return 0;
    head = (size_t)(end - p) + 1;
    if (*p == '-') {
        fprintf(stderr, "redis: %.*s", (int)head, p);
        exit(1);
    }
    if (*p == ':' || *p == '+')
        return head;
    n = strtoul(p + 1, NULL, 10);
    if (*p == '$')
        return len >= head + n + 2 ? head + n + 2 : 0;
    for (; n > 0; n--) {
        size_t item = head < len ? redis_reply(p + head, len - head) : 0;

        if (item == 0)
            return 0;
        head += item;
    }
    return head;
}

static size_t redis_answer(const char *p, size_t len)
{
    size_t first = len ? redis_reply(p, len) : 0;
    size_t second = first && first < len ? redis_reply(p + first, len - first) : 0;

    return second ? first + second : 0;
}

static void redis_move(struct xeno_buf *out, uint64_t i)
{
    const char *id = ids[gen_mix(i) % MOVING].s;

    for (size_t k = 0; k < XENO_LEN(moved); k++) {
        char key[64], score[24];

        snprintf(key, sizeof key, "n:%s", moved[k]);
        snprintf(score, sizeof score, "%u", moved_to(i, k));
        xeno_buf_puts(out, "*4\r\n");
        redis_word(out, "ZADD");
        redis_word(out, key);
        redis_word(out, score);
        redis_arg(out, id, XENO_ID_CHARS);
    }
}

static size_t redis_moved(const char *p, size_t len)
{
    size_t all = 0;

    for (size_t k = 0; k < XENO_LEN(moved); k++) {
        size_t n = all < len ? redis_reply(p + all, len - all) : 0;

        if (n == 0)
            return 0;
        all += n;
    }
    return all;
}

/* --- ldap: a search of that size, in no order; no total --- */

static void ber(struct xeno_buf *out, int tag, const void *data, size_t len)
{
    unsigned char head[4] = { (unsigned char)tag, (unsigned char)len };
    size_t n = 2;

    if (len > 127) {
        head[1] = 0x82;
        head[2] = (unsigned char)(len >> 8);
        head[3] = (unsigned char)len;
        n = 4;
    }
    xeno_buf_add(out, head, n);
    xeno_buf_add(out, data, len);
}

static void ldap_compare(struct xeno_buf *out, int tag, const char *attr, const char *value)
{
    xeno_autobuf in = XENO_BUF_INIT;

    ber(&in, 4, attr, strlen(attr));
    ber(&in, 4, value, strlen(value));
    ber(out, tag, in.data, in.len);
}

static void ldap_filter(struct xeno_buf *out, const struct xeno_lookup *l)
{
    char attr[200] = "x", low[300], high[300];
    xeno_autobuf in = XENO_BUF_INIT;
    size_t n = 1;

    for (const char *p = l->token; *p && n + 1 < sizeof attr; p++)
        if (*p != '/')
            attr[n++] = *p;
    attr[n] = '\0';
    if (l->range == XENO_LOOKUP_NUMBERS) {
        snprintf(low, sizeof low, "%.0f", round(l->min * 1000));
        snprintf(high, sizeof high, "%.0f", round(l->max * 1000));
    } else {
        snprintf(low, sizeof low, "%s", l->from);
        snprintf(high, sizeof high, "%s", l->to);
    }
    if (strcmp(low, high) == 0) {
        ldap_compare(out, 0xa3, attr, low);
        return;
    }
    ldap_compare(&in, 0xa5, attr, low);
    ldap_compare(&in, 0xa6, attr, high);
    ber(out, 0xa0, in.data, in.len);
}

/* Of a message: any number but 0. */
static void ldap_message(struct xeno_buf *out, uint64_t i, int tag, const struct xeno_buf *op)
{
    unsigned char number[3] = { 1, (unsigned char)(i >> 7 & 127), (unsigned char)(i & 127) };
    xeno_autobuf message = XENO_BUF_INIT;

    ber(&message, 2, number, 3);
    ber(&message, tag, op->data, op->len);
    ber(out, 0x30, message.data, message.len);
}

static void ldap_ask(struct xeno_buf *out, uint64_t i)
{
    xeno_autobuf search = XENO_BUF_INIT, attrs = XENO_BUF_INIT;
    struct xeno_lookup l;

    gen_lookup(i, LIMIT, &l);
    ber(&search, 4, "dc=xis", 6);
    ber(&search, 10, "\1", 1);
    ber(&search, 10, "\0", 1);
    ber(&search, 2, "\12", 1);
    ber(&search, 2, "\0", 1);
    ber(&search, 1, "\0", 1);
    ldap_filter(&search, &l);
    ber(&attrs, 4, "cn", 2);
    ber(&search, 0x30, attrs.data, attrs.len);
    ldap_message(out, i, 0x63, &search);
}

static void ldap_move(struct xeno_buf *out, uint64_t i)
{
    xeno_autobuf request = XENO_BUF_INIT, changes = XENO_BUF_INIT;
    char dn[XENO_ID_CHARS + 16];

    for (size_t k = 0; k < XENO_LEN(moved); k++) {
        xeno_autobuf change = XENO_BUF_INIT, values = XENO_BUF_INIT, part = XENO_BUF_INIT;
        char attr[64] = "x", value[24];
        size_t n = 1;

        for (const char *p = moved[k]; *p; p++)
            if (*p != '/')
                attr[n++] = *p;
        snprintf(value, sizeof value, "%u", moved_to(i, k) * 1000);
        ber(&values, 4, value, strlen(value));
        ber(&part, 4, attr, n);
        ber(&part, 0x31, values.data, values.len);
        ber(&change, 10, "\2", 1);
        ber(&change, 0x30, part.data, part.len);
        ber(&changes, 0x30, change.data, change.len);
    }
    snprintf(dn, sizeof dn, "cn=%s,dc=xis", ids[gen_mix(i) % MOVING].s);
    ber(&request, 4, dn, strlen(dn));
    ber(&request, 0x30, changes.data, changes.len);
    ldap_message(out, i, 0x66, &request);
}

/* Length of the message at `p`, and of its head; 0: not here yet. */
static size_t ber_whole(const unsigned char *p, size_t len, size_t *ret_head)
{
    size_t n, more;

    if (len < 2)
        return 0;
    n = p[1];
    *ret_head = 2;
    if (n & 0x80) {
        more = n & 0x7f;
        if (len < 2 + more)
            return 0;
        n = 0;
        for (size_t i = 0; i < more; i++)
            n = n << 8 | p[2 + i];
        *ret_head += more;
    }
    return len >= *ret_head + n ? *ret_head + n : 0;
}

/* Entries until the end of the search, or the result of a modification; both are to succeed. */
static size_t ldap_answer(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t at = 0, n, head = 0;

    while ((n = ber_whole(p + at, len - at, &head)) > 0) {
        size_t op = at + head + 2 + p[at + head + 1];

        at += n;
        if (p[op] != 0x65 && p[op] != 0x67)
            continue;
        /* 4: it has more entries than were asked for */
        if (p[op + 4] != 0 && p[op + 4] != 4) {
            fprintf(stderr, "ldap: result %d\n", p[op + 4]);
            exit(1);
        }
        return at;
    }
    return 0;
}

/* --- all of them --- */

struct peer {
    const char *name, *unit;
    void (*ask)(struct xeno_buf *out, uint64_t i);
    size_t (*answer)(const char *p, size_t len); /* length of a whole one; 0: not here yet */
};

struct client {
    struct wire *w;
    struct xeno_buf in;
    int open;
    double sent;
};

struct load {
    const struct peer *peer;
    struct client clients[CLIENTS];
    int count, window, busy, epoll;
    uint64_t asked;
    double until, *ms;
    size_t samples;
};

static void ask(struct load *l, struct client *c)
{
    xeno_autobuf out = XENO_BUF_INIT;

    for (int i = 0; i < l->window; i++)
        l->peer->ask(&out, l->asked++);
    c->open = l->window;
    c->sent = now_s();
    wire_put(c->w, out.data, out.len);
}

static void hear(struct load *l, struct client *c)
{
    static char more[1 << 16];
    size_t n, at = 0;

    wire_ready(c->w);
    while ((n = wire_get(c->w, more, sizeof more)) > 0)
        xeno_buf_add(&c->in, more, n);
    while (at < c->in.len && (n = l->peer->answer(c->in.data + at, c->in.len - at)) > 0) {
        at += n;
        c->open--;
    }
    xeno_buf_shift(&c->in, at);
    if (c->open > 0)
        return;
    if (l->samples < SAMPLES)
        l->ms[l->samples++] = (now_s() - c->sent) * 1000;
    if (now_s() < l->until)
        ask(l, c);
    else
        l->busy--;
}

static void run(struct load *l, const char *to, const struct wire_tls *tls, double seconds)
{
    double start, passed;

    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < l->count; i++) {
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &l->clients[i] };

        l->clients[i].w = wire_dial(to, tls);
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, wire_fd(l->clients[i].w), &e);
    }
    start = now_s();
    l->until = start + seconds;
    l->busy = l->count;
    for (int i = 0; i < l->count; i++)
        ask(l, &l->clients[i]);
    while (l->busy > 0) {
        struct epoll_event events[CLIENTS];
        int n = epoll_wait(l->epoll, events, CLIENTS, -1);

        for (int i = 0; i < n; i++)
            hear(l, events[i].data.ptr);
    }
    passed = now_s() - start;
    bench_sort(l->ms, l->samples);
    printf("{\"bench\":\"xis\",\"what\":\"%s, %d client%s, %d at once%s\",\"n\":%llu,"
           "\"value\":%.6g,\"unit\":\"%s\",\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           l->peer->name, l->count, l->count > 1 ? "s" : "", l->window, tls ? ", TLS" : "",
           (unsigned long long)l->asked, (double)l->asked / passed, l->peer->unit,
           bench_quantile(l->ms, l->samples, 0.5), bench_quantile(l->ms, l->samples, 0.99));
}

int main(int argc, char **argv)
{
    static const struct peer peers[] = {
        { "redis", "lookups/s", redis_ask, redis_answer },
        { "ldap", "lookups/s", ldap_ask, ldap_answer },
        { "redis-update", "updates/s", redis_move, redis_moved },
        { "ldap-update", "updates/s", ldap_move, ldap_answer },
    };
    struct load l = { .ms = xeno_new0_n(double, SAMPLES) };

    for (size_t i = 0; argc > 5 && i < XENO_LEN(peers); i++)
        if (strcmp(peers[i].name, argv[1]) == 0)
            l.peer = &peers[i];
    l.count = l.peer ? atoi(argv[4]) : 0;
    l.window = l.peer ? atoi(argv[5]) : 0;
    if (l.count < 1 || l.count > CLIENTS || l.window < 1) {
        fprintf(stderr,
                "usage: bench-xis-ask redis[-update]|ldap[-update] TO SECONDS CLIENTS WINDOW "
                "[CA.pem]\n");
        return 2;
    }
    xeno_crypto_init();
    for (uint32_t i = 0; strstr(argv[1], "update") && i < MOVING; i++) {
        xeno_auto(xeno_key) key = gen_key(i);

        ids[i] = xeno_id_of(xeno_key_pub(key));
    }
    run(&l, argv[2], argc > 6 ? wire_tls_new(argv[6], NULL, NULL) : NULL, atof(argv[3]));
    return 0;
}
