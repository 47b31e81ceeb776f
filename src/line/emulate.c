/* src/line/emulate.c - one machine as many places: a network with the round trips of a table.
 *
 *     xeno-emulate --matrix FILE --told FILE [--subnet N] [--client NODE] [--queue BYTES]
 *
 * `xeno platform up --emulate` starts it. Node n is reached at 10.78.B.n by whoever is at 10.79.B.m
 * (src/line/mirror.h); --told is where the number of the subnet is written. It runs until SIGTERM
 * or SIGINT and leaves nothing. Root makes the device; then it has no rights and no files.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/env.h"
#include "base/io.h"
#include "base/log.h"
#include "line/device.h"
#include "line/held.h"
#include "line/mirror.h"
#include "sandbox/sandbox.h"

#define PACKET_MAX  65536
#define PACKETS_MAX 65536
#define QUEUE_BYTES (INT64_C(64) << 20)
#define QUEUE_MAX   (INT64_C(1) << 30)
#define READ_BATCH  64

struct emulate {
    const char *matrix_file, *told;
    int64_t wish, client, queue_bytes;
    struct xeno_matrix *matrix;
    struct xeno_held *held;
    unsigned subnet;
    int device, signals;
    uint64_t packets, lost;
};

static int64_t now_ns(void)
{
    return xeno_mono(xeno_env_real()).ns;
}

/* --- packets --- */

static void receive(struct emulate *e)
{
    static uint8_t packet[PACKET_MAX];

    for (int i = 0; i < READ_BATCH; i++) {
        ssize_t n = read(e->device, packet, sizeof packet);
        uint8_t answer[XENO_MIRROR_ANSWER];
        size_t len = 0;
        uint32_t us = 0;
        enum xeno_mirror_what what;

        if (n <= 0)
            return;
        what = xeno_mirror_turn(e->matrix, e->subnet, packet, (size_t)n, &us, answer, &len);
        if (what == XENO_MIRROR_DROP)
            continue;
        e->packets++;
        if (!xeno_held_put(e->held, now_ns() + (int64_t)us * 1000,
                           what == XENO_MIRROR_PASS ? packet : answer,
                           what == XENO_MIRROR_PASS ? (size_t)n : len))
            e->lost++;
    }
}

static void deliver(struct emulate *e)
{
    const struct xeno_held_packet *p;

    while ((p = xeno_held_take(e->held, now_ns())) != NULL)
        if (write(e->device, p->data, p->len) < 0)
            e->lost++;
}

static void carry(struct emulate *e)
{
    for (;;) {
        int64_t next = xeno_held_next(e->held), wait = next - now_ns();
        struct timespec ts = { .tv_sec = wait > 0 ? wait / XENO_NS_PER_S : 0,
                               .tv_nsec = wait > 0 ? wait % XENO_NS_PER_S : 0 };
        struct pollfd p[2] = { { .fd = e->device, .events = POLLIN },
                               { .fd = e->signals, .events = POLLIN } };

        if (ppoll(p, 2, next == INT64_MAX ? NULL : &ts, NULL) < 0 && errno != EINTR)
            return;
        if (p[1].revents || (p[0].revents & POLLERR))
            return;
        if (p[0].revents)
            receive(e);
        deliver(e);
    }
}

/* --- start --- */

static int number(const char *option, const char *text, int64_t max, int64_t *ret,
                  struct xeno_err *err)
{
    char *end;

    errno = 0;
    *ret = strtoll(text, &end, 10);
    if (*text && !*end && errno == 0 && *ret >= 0 && *ret <= max)
        return 0;
    return xeno_fail(err, -EINVAL, "emulate.usage",
                     "--%s is a whole number up to %" PRId64 ", not '%.40s'", option, max, text);
}

static int parse(struct emulate *e, int argc, char **argv, struct xeno_err *err)
{
    static const struct option options[] = {
        { "matrix", required_argument, NULL, 'm' }, { "told", required_argument, NULL, 't' },
        { "subnet", required_argument, NULL, 's' }, { "client", required_argument, NULL, 'c' },
        { "queue", required_argument, NULL, 'q' },  { 0 }
    };
    int c, r = 0;

    opterr = 0;
    while (r == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'm')
            e->matrix_file = optarg;
        else if (c == 't')
            e->told = optarg;
        else if (c == 's')
            r = number("subnet", optarg, XENO_MIRROR_SUBNETS - 1, &e->wish, err);
        else if (c == 'c')
            r = number("client", optarg, XENO_MATRIX_NODES, &e->client, err);
        else if (c == 'q')
            r = number("queue", optarg, QUEUE_MAX, &e->queue_bytes, err);
        else
            e->told = NULL, optind = argc + 1;
    }
    if (r == 0 && (optind != argc || !e->matrix_file || !e->told))
        r = xeno_fail(err, -EINVAL, "emulate.usage",
                      "usage: xeno-emulate --matrix FILE --told FILE [--subnet N] [--client NODE] "
                      "[--queue BYTES]");
    return r;
}

static int load(struct emulate *e, struct xeno_err *err)
{
    xeno_autofree char *text = NULL;
    size_t len;
    int r = xeno_file_read(AT_FDCWD, e->matrix_file, XENO_MATRIX_MAX_BYTES, &text, &len, err);

    if (r == 0)
        r = xeno_matrix_read(text, len, &e->matrix, err);
    if (r < 0)
        return xeno_context(err, r, "%s", e->matrix_file);
    if (e->client < 1 || e->client > (int64_t)xeno_matrix_nodes(e->matrix))
        return xeno_fail(err, -EINVAL, "emulate.node",
                         "there is no node %" PRId64 ": %s has nodes 1 to %zu", e->client,
                         e->matrix_file, xeno_matrix_nodes(e->matrix));
    return 0;
}

static int begin(struct emulate *e, struct xeno_err *err)
{
    static const char *const nothing[] = { NULL };
    char text[16];
    sigset_t set;
    int r = xeno_line_device((int)e->wish, (size_t)e->client, &e->subnet, &e->device, err);

    if (r < 0)
        return r;
    snprintf(text, sizeof text, "%u\n", e->subnet);
    r = xeno_file_write(AT_FDCWD, e->told, 0644, text, strlen(text), err);
    if (r < 0)
        return r;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    e->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (e->signals < 0)
        return xeno_fail_errno(err, -errno, "emulate.signals", "take signals");
    prctl(PR_SET_TIMERSLACK, 1000UL); /* ns: a packet is to leave when it is due */
    sd_notify(0, "READY=1");
    r = xeno_sandbox_user("nobody", err);
    return r == 0 ? xeno_sandbox_enter("emulate", nothing, err) : r;
}

int main(int argc, char **argv)
{
    struct emulate e = { .wish = -1, .client = 1, .queue_bytes = QUEUE_BYTES, .device = -1 };
    struct xeno_err err = XENO_ERR_INIT;
    int r;

    xeno_log_init("xeno-emulate", LOG_INFO);
    r = parse(&e, argc, argv, &err);
    if (r == 0)
        r = load(&e, &err);
    if (r == 0)
        r = begin(&e, &err);
    if (r < 0) {
        xeno_log_err(LOG_ERR, "emulate.exit", &err, "%s", "");
        return EXIT_FAILURE;
    }
    e.held = xeno_held_new(PACKETS_MAX, (size_t)e.queue_bytes);
    xeno_log(LOG_NOTICE, "emulate.ready", "subnet=%u nodes=%zu client=%" PRId64, e.subnet,
             xeno_matrix_nodes(e.matrix), e.client);
    carry(&e);
    xeno_log(LOG_NOTICE, "emulate.end", "packets=%" PRIu64 " lost=%" PRIu64, e.packets, e.lost);
    xeno_held_free(e.held);
    xeno_matrix_free(e.matrix);
    return EXIT_SUCCESS;
}
