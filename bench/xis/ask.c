/* bench/xis/ask.c - lookups asked of a peer over a unix socket: bench-xis-ask WHO SOCKET SECONDS
 * WINDOW.
 *
 * WHO is redis or ldap: their wire formats are small enough to be spoken right here, so that what
 * is measured is the server and not a library. WINDOW requests leave in one write, and all their
 * answers are awaited before the next; with 1 the samples are latencies. Prints one JSON object.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "stats.h"
#include "xis/gen.h"

#define SAMPLES 1000000
#define LIMIT   10

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        perror(path);
        exit(1);
    }
    return fd;
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

static void redis_ask(struct xeno_buf *out, const struct xeno_lookup *l, int id)
{
    bool number = l->range == XENO_LOOKUP_NUMBERS;
    struct borders b = borders_of(l);
    char key[200], place[24];

    (void)id;
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

static void ldap_ask(struct xeno_buf *out, const struct xeno_lookup *l, int id)
{
    xeno_autobuf search = XENO_BUF_INIT, message = XENO_BUF_INIT, attrs = XENO_BUF_INIT;
    unsigned char number[3] = { (unsigned char)(id >> 14 & 127), (unsigned char)(id >> 7 & 127),
                                (unsigned char)(id & 127) };

    number[0] |= 1; /* never the number 0 */
    ber(&search, 4, "dc=xis", 6);
    ber(&search, 10, "\1", 1);
    ber(&search, 10, "\0", 1);
    ber(&search, 2, "\12", 1);
    ber(&search, 2, "\0", 1);
    ber(&search, 1, "\0", 1);
    ldap_filter(&search, l);
    ber(&attrs, 4, "cn", 2);
    ber(&search, 0x30, attrs.data, attrs.len);
    ber(&message, 2, number, 3);
    ber(&message, 0x63, search.data, search.len);
    ber(out, 0x30, message.data, message.len);
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

/* Entries until the end of the search. */
static size_t ldap_answer(const char *text, size_t len)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t at = 0, n, head = 0;

    while ((n = ber_whole(p + at, len - at, &head)) > 0) {
        size_t op = at + head + 2 + p[at + head + 1];

        at += n;
        if (p[op] == 0x65)
            return at;
    }
    return 0;
}

/* --- both --- */

struct peer {
    const char *name;
    void (*ask)(struct xeno_buf *out, const struct xeno_lookup *l, int id);
    size_t (*answer)(const char *p, size_t len);
};

static void write_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n <= 0) {
            perror("write");
            exit(1);
        }
        p += n;
        len -= (size_t)n;
    }
}

static void await(int fd, const struct peer *peer, struct xeno_buf *in, int window)
{
    static char more[1 << 16];

    while (window > 0) {
        size_t len = in->len ? peer->answer(in->data, in->len) : 0;
        ssize_t n;

        if (len > 0) {
            xeno_buf_shift(in, len);
            window--;
            continue;
        }
        n = read(fd, more, sizeof more);
        if (n <= 0) {
            fprintf(stderr, "%s: gone\n", peer->name);
            exit(1);
        }
        xeno_buf_add(in, more, (size_t)n);
    }
}

static void run(int fd, const struct peer *peer, double seconds, int window)
{
    double *ms = xeno_new0_n(double, SAMPLES), start = now_s(), passed;
    xeno_autobuf out = XENO_BUF_INIT, in = XENO_BUF_INIT;
    size_t n = 0, samples = 0;

    do {
        double t;

        out.len = 0;
        for (int i = 0; i < window; i++, n++) {
            struct xeno_lookup l;

            gen_lookup(n, LIMIT, &l);
            peer->ask(&out, &l, (int)(n % 1000));
        }
        t = now_s();
        write_all(fd, out.data, out.len);
        await(fd, peer, &in, window);
        if (samples < SAMPLES)
            ms[samples++] = (now_s() - t) * 1000;
        passed = now_s() - start;
    } while (passed < seconds);
    bench_sort(ms, samples);
    printf("{\"bench\":\"xis\",\"what\":\"%s, %d at once\",\"n\":%zu,\"value\":%.6g,"
           "\"unit\":\"lookups/s\",\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
           peer->name, window, n, (double)n / passed, bench_quantile(ms, samples, 0.5),
           bench_quantile(ms, samples, 0.99));
    free(ms);
}

int main(int argc, char **argv)
{
    static const struct peer peers[] = { { "redis", redis_ask, redis_answer },
                                         { "ldap", ldap_ask, ldap_answer } };

    for (size_t i = 0; argc == 5 && i < XENO_LEN(peers); i++)
        if (strcmp(peers[i].name, argv[1]) == 0) {
            run(dial(argv[2]), &peers[i], atof(argv[3]), atoi(argv[4]));
            return 0;
        }
    fprintf(stderr, "usage: bench-xis-ask redis|ldap SOCKET SECONDS WINDOW\n");
    return 2;
}
