/* src/xenod/trace.c - the hops of a way, by UDP whose time to live ends on it. */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* after time.h, which it does not include */

#include "base/mem.h"
#include "xenod/measure.h"

#define PORT   33434 /* of the first hop; each has its own, by which its answer is told */
#define ROUNDS 2
#define GAP_MS 20

struct xenod_trace {
    const struct xenod_measure_from *from;
    union xenod_address to;
    unsigned hops, round, next; /* hop that is sent to next, from 0 */
    void (*done)(void *arg, const struct xenod_traced *t);
    void *arg;
    int fd;
    sd_event_source *source, *timer;
    int64_t sent_ns[XENOD_TRACE_HOPS];
    struct xenod_traced got;
    unsigned last; /* hops that are worth asking: the target's, once it answered */
};

void xenod_trace_cancel(struct xenod_trace *t)
{
    if (!t)
        return;
    sd_event_source_disable_unref(t->source);
    sd_event_source_disable_unref(t->timer);
    if (t->fd >= 0)
        close(t->fd);
    free(t);
}

static void finish(struct xenod_trace *t)
{
    struct xenod_traced got = t->got;
    void (*done)(void *, const struct xenod_traced *) = t->done;
    void *arg = t->arg;

    got.count = 0;
    for (unsigned i = 0; i < t->last; i++)
        if (got.hops[i].address[0])
            got.count = i + 1;
    xenod_trace_cancel(t);
    done(arg, &got);
}

/* --- answers --- */

static bool is_target(const struct xenod_trace *t, const union xenod_address *a)
{
    char one[XENOD_ADDRESS_TEXT], two[XENOD_ADDRESS_TEXT];

    return strcmp(xenod_address_text(&t->to, one), xenod_address_text(a, two)) == 0;
}

static void take(struct xenod_trace *t, unsigned hop, const union xenod_address *who, bool at_end)
{
    struct xenod_hop *h;

    if (hop >= t->hops || t->sent_ns[hop] == 0)
        return;
    h = &t->got.hops[hop];
    if (!h->address[0]) {
        xenod_address_text(who, h->address);
        h->rtt_us = (uint32_t)((xeno_mono(t->from->env).ns - t->sent_ns[hop]) / 1000);
    }
    if (at_end) {
        t->got.reached = t->got.reached || is_target(t, who);
        if (hop + 1 < t->last)
            t->last = hop + 1;
    }
}

/* Is the error that of a router that let it end there? All others are from where it ends. */
static bool expired(const struct sock_extended_err *e)
{
    return e->ee_origin == SO_EE_ORIGIN_ICMP ? e->ee_type == ICMP_TIME_EXCEEDED
                                             : e->ee_type == ICMP6_TIME_EXCEEDED;
}

static void take_error(struct xenod_trace *t, struct msghdr *msg, const union xenod_address *to)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        struct {
            struct sock_extended_err e;
            struct sockaddr_in6 who; /* behind it, SO_EE_OFFENDER */
        } x = { 0 };
        union xenod_address who;
        size_t len = c->cmsg_len - CMSG_LEN(0);

        if (!((c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
              (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR)))
            continue;
        memcpy(&x, CMSG_DATA(c), len < sizeof x ? len : sizeof x);
        if ((x.e.ee_origin != SO_EE_ORIGIN_ICMP && x.e.ee_origin != SO_EE_ORIGIN_ICMP6) ||
            !xenod_address_of((const struct sockaddr *)&x.who, &who))
            continue;
        take(t, (unsigned)xenod_address_port(to) - PORT, &who, !expired(&x.e));
    }
}

/* Errors first, then what somebody who listens on such a port says. Bounded: each was asked for. */
static void read_all(struct xenod_trace *t)
{
    for (unsigned i = 0; i < 4 * XENOD_TRACE_HOPS; i++) {
        uint8_t data[64], control[512];
        struct iovec v = { data, sizeof data };
        union xenod_address about = { .any = { .sa_family = AF_UNSPEC } };
        struct msghdr msg = { .msg_name = &about,
                              .msg_namelen = sizeof about,
                              .msg_iov = &v,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof control };

        if (recvmsg(t->fd, &msg, MSG_ERRQUEUE) >= 0) {
            take_error(t, &msg, &about);
            continue;
        }
        msg.msg_namelen = sizeof about;
        msg.msg_controllen = 0;
        if (recvmsg(t->fd, &msg, 0) >= 0)
            take(t, (unsigned)xenod_address_port(&about) - PORT, &about, is_target(t, &about));
        else if (errno == EAGAIN)
            return;
    }
}

static bool complete(const struct xenod_trace *t)
{
    for (unsigned i = 0; i < t->last; i++)
        if (!t->got.hops[i].address[0])
            return false;
    return true;
}

static int on_answer(sd_event_source *s, int fd, uint32_t events, void *arg)
{
    struct xenod_trace *t = arg;

    (void)s;
    (void)fd;
    (void)events;
    read_all(t);
    if (complete(t))
        finish(t);
    return 0;
}

/* --- questions --- */

static void ask(struct xenod_trace *t, unsigned hop)
{
    union xenod_address to = t->to;
    int ttl = (int)hop + 1;
    uint16_t port = htons((uint16_t)(PORT + hop));

    if (to.any.sa_family == AF_INET) {
        to.four.sin_port = port;
        setsockopt(t->fd, SOL_IP, IP_TTL, &ttl, sizeof ttl);
    } else {
        to.six.sin6_port = port;
        setsockopt(t->fd, SOL_IPV6, IPV6_UNICAST_HOPS, &ttl, sizeof ttl);
    }
    t->sent_ns[hop] = xeno_mono(t->from->env).ns;
    if (sendto(t->fd, "", 0, 0, &to.any, xenod_address_len(&to)) < 0)
        read_all(t); /* an error of an earlier one, most likely: it is asked again */
}

static int on_time(sd_event_source *s, uint64_t usec, void *arg)
{
    struct xenod_trace *t = arg;
    uint64_t wait = GAP_MS;

    while (t->next < t->last && t->got.hops[t->next].address[0])
        t->next++;
    if (t->next < t->last) {
        ask(t, t->next++);
        if (t->next >= t->last)
            wait = XENOD_TRACE_WAIT_MS;
    } else {
        read_all(t);
        if (++t->round == ROUNDS || complete(t)) {
            finish(t);
            return 0;
        }
        t->next = 0;
    }
    sd_event_source_set_time(s, usec + wait * 1000);
    sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
    return 0;
}

static int open_socket(struct xenod_trace *t, struct xeno_err *err)
{
    int family = t->to.any.sa_family, on = 1, r;
    const union xenod_address *source = &t->from->source[family == AF_INET6];

    t->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (t->fd < 0)
        return xeno_fail_errno(err, -errno, "measure.socket", "a socket for a traceroute");
    r = family == AF_INET ? setsockopt(t->fd, SOL_IP, IP_RECVERR, &on, sizeof on)
                          : setsockopt(t->fd, SOL_IPV6, IPV6_RECVERR, &on, sizeof on);
    if (r < 0 || (source->any.sa_family == family &&
                  bind(t->fd, &source->any, xenod_address_len(source)) < 0))
        return xeno_fail_errno(err, -errno, "measure.socket", "use a socket for a traceroute");
    return 0;
}

int xenod_trace_start(const struct xenod_measure_from *from, const union xenod_address *to,
                      unsigned hops, void (*done)(void *arg, const struct xenod_traced *t),
                      void *arg, struct xenod_trace **ret, struct xeno_err *err)
{
    struct xenod_trace *t = xeno_new0(struct xenod_trace);
    int r;

    t->from = from;
    t->to = *to;
    t->hops = hops < 1 ? 1 : hops > XENOD_TRACE_HOPS ? XENOD_TRACE_HOPS : hops;
    t->last = t->hops;
    t->done = done;
    t->arg = arg;
    r = open_socket(t, err);
    if (r == 0 && (sd_event_add_io(from->loop, &t->source, t->fd, EPOLLIN, on_answer, t) < 0 ||
                   sd_event_add_time_relative(from->loop, &t->timer, CLOCK_MONOTONIC, 0, 1000,
                                              on_time, t) < 0))
        r = xeno_fail(err, -EIO, "measure.socket", "watch a socket for a traceroute");
    if (r < 0) {
        xenod_trace_cancel(t);
        return r;
    }
    *ret = t;
    return 0;
}
