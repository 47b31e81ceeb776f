/* bench/line/line.c - a long, thin line between two network namespaces, in user space.
 *
 *     bench-line [--delay-us US] [--rate BYTES] [--queue BYTES] NETNS-A DEVICE-A NETNS-B DEVICE-B
 *
 * NETNS: a file such as /run/netns/NAME; DEVICE: a tun device that is there (ip tuntap add mode
 * tun), with its address. What one gives comes out of the other --delay-us microseconds (one way)
 * and the time of its bytes at --rate bytes a second later; 0, or left out: no such limit. A packet
 * that finds more than --queue bytes (default 65536) before it is lost, as at a router. For
 * kernels without netem.
 *
 * Prints "ready" and runs until SIGTERM or SIGINT, then prints what went each way:
 *     {"a_to_b":{"packets":N,"bytes":N,"lost":N},"b_to_a":{...}}
 * Bytes are those of IP packets. Exit: 0, 1 when the line cannot be made, 2 for wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/env.h"
#include "base/mem.h"
#include "line/held.h"

#define PACKET_MAX  65536
#define HELD_MAX    8192 /* packets under way in one direction */
#define RATE_MAX    INT64_C(10000000000)
#define DELAY_MAX   60000000
#define QUEUE_MAX   (1 << 30)
#define DRAIN_BATCH 64

/* One direction. */
struct way {
    struct xeno_held *held;
    int64_t free_ns; /* when the last byte that was taken has been sent */
    uint64_t packets, bytes, lost;
};

struct line {
    int64_t delay_ns, rate, queue_bytes;
    struct way ways[2]; /* a to b, b to a */
    int fds[2];
};

static int64_t now_ns(void)
{
    return xeno_mono(xeno_env_real()).ns;
}

/* --- packets --- */

static void take(const struct line *l, struct way *w, const uint8_t *data, size_t len)
{
    int64_t now = now_ns();
    int64_t start = w->free_ns > now ? w->free_ns : now;
    int64_t sent = now;

    if (l->rate > 0)
        sent = start + (int64_t)((__int128)len * XENO_NS_PER_S / l->rate);
    if ((l->rate > 0 && (__int128)(start - now) * l->rate / XENO_NS_PER_S > l->queue_bytes) ||
        !xeno_held_put(w->held, sent + l->delay_ns, data, len)) {
        w->lost++;
        return;
    }
    w->free_ns = sent;
}

static void receive(struct line *l, int side)
{
    static uint8_t data[PACKET_MAX];

    for (int i = 0; i < DRAIN_BATCH; i++) {
        ssize_t n = read(l->fds[side], data, sizeof data);

        if (n <= 0)
            return;
        take(l, &l->ways[side], data, (size_t)n);
    }
}

/* Send what is due. Returns: when the next packet is, INT64_MAX when there is none. */
static int64_t deliver(struct line *l, int side)
{
    struct way *w = &l->ways[side];

    const struct xeno_held_packet *p;

    while ((p = xeno_held_take(w->held, now_ns())) != NULL) {
        if (write(l->fds[!side], p->data, p->len) == (ssize_t)p->len) {
            w->packets++;
            w->bytes += p->len;
        } else {
            w->lost++;
        }
    }
    return xeno_held_next(w->held);
}

static void carry(struct line *l, int signals)
{
    for (;;) {
        int64_t a = deliver(l, 0), b = deliver(l, 1);
        int64_t next = a < b ? a : b, wait = next - now_ns();
        struct timespec ts = { .tv_sec = wait > 0 ? wait / XENO_NS_PER_S : 0,
                               .tv_nsec = wait > 0 ? wait % XENO_NS_PER_S : 0 };
        struct pollfd p[3] = { { .fd = l->fds[0], .events = POLLIN },
                               { .fd = l->fds[1], .events = POLLIN },
                               { .fd = signals, .events = POLLIN } };

        if (ppoll(p, 3, next == INT64_MAX ? NULL : &ts, NULL) < 0 && errno != EINTR)
            return;
        if (p[2].revents)
            return;
        for (int side = 0; side < 2; side++)
            if (p[side].revents)
                receive(l, side);
    }
}

/* --- the two ends --- */

/* The device `name` in the namespace of the file `netns`, -1 with a message. The caller's thread
 * stays there. */
static int attach(const char *netns, const char *name)
{
    xeno_autoclose int ns = open(netns, O_RDONLY | O_CLOEXEC);
    xeno_autoclose int fd = -1;
    struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };

    if (ns < 0 || setns(ns, CLONE_NEWNET) < 0) {
        fprintf(stderr, "bench-line: enter '%s': %s\n", netns, strerror(errno));
        return -1;
    }
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0) {
        fprintf(stderr, "bench-line: take '%s' in '%s': %s\n", name, netns, strerror(errno));
        return -1;
    }
    return xeno_take_fd(&fd);
}

static void tell(const struct way *w, const char *name, const char *after)
{
    printf("\"%s\":{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"lost\":%" PRIu64 "}%s", name,
           w->packets, w->bytes, w->lost, after);
}

/* A whole number up to `max`, else the program ends. */
static int64_t number(const char *option, const char *text, int64_t max)
{
    char *end;
    int64_t n = strtoll(text, &end, 10);

    if (*text && !*end && n >= 0 && n <= max)
        return n;
    fprintf(stderr, "bench-line: --%s is a whole number up to %" PRId64 ", not '%s'\n", option, max,
            text);
    exit(2);
}

static int parse(struct line *l, int argc, char **argv)
{
    static const struct option options[] = { { "delay-us", required_argument, NULL, 'd' },
                                             { "rate", required_argument, NULL, 'r' },
                                             { "queue", required_argument, NULL, 'q' },
                                             { 0 } };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'd')
            l->delay_ns = number("delay-us", optarg, DELAY_MAX) * 1000;
        else if (c == 'r')
            l->rate = number("rate", optarg, RATE_MAX);
        else if (c == 'q')
            l->queue_bytes = number("queue", optarg, QUEUE_MAX);
        else
            return -EINVAL;
    }
    return argc - optind == 4 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    static struct line l = { .queue_bytes = 65536 };
    sigset_t set;
    int signals;

    if (parse(&l, argc, argv) < 0) {
        fprintf(stderr, "usage: bench-line [--delay-us US] [--rate BYTES] [--queue BYTES] NETNS-A "
                        "DEVICE-A NETNS-B DEVICE-B\n");
        return 2;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* ns: the delay is to be as told */
    for (int i = 0; i < 2; i++) {
        l.ways[i].held = xeno_held_new(HELD_MAX, (size_t)HELD_MAX * PACKET_MAX);
        l.fds[i] = attach(argv[optind + 2 * i], argv[optind + 2 * i + 1]);
        if (l.fds[i] < 0)
            return 1;
    }
    puts("ready");
    fflush(stdout);
    carry(&l, signals);
    printf("{");
    tell(&l.ways[0], "a_to_b", ",");
    tell(&l.ways[1], "b_to_a", "}\n");
    return 0;
}
