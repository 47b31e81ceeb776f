/* src/xenod/asked.c - meters by virtual time: each knows when it would be empty (GCRA). */
#include "xenod/asked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define MINUTE (60 * XENO_NS_PER_S)

struct meter {
    char key[56];
    int64_t empty_ns; /* when all that was taken is made good */
    UT_hash_handle hh;
};

struct meters {
    struct meter *table;
};

struct xenod_asked {
    struct meter all;
    struct meters who, networks;
};

struct xenod_asked *xenod_asked_new(void)
{
    return xeno_new0(struct xenod_asked);
}

static void drop(struct meters *m, int64_t now)
{
    struct meter *one, *next;

    HASH_ITER (hh, m->table, one, next) {
        if (one->empty_ns > now)
            continue;
        HASH_DEL(m->table, one);
        free(one);
    }
}

void xenod_asked_free(struct xenod_asked *a)
{
    if (!a)
        return;
    drop(&a->who, INT64_MAX);
    drop(&a->networks, INT64_MAX);
    free(a);
}

/* The meter of `key`; NULL when there are too many in use. */
static struct meter *meter_of(struct meters *m, const char *key, int64_t now)
{
    struct meter *one;

    HASH_FIND_STR(m->table, key, one);
    if (one)
        return one;
    if (HASH_COUNT(m->table) >= XENOD_ASKED_TRACKED)
        drop(m, now);
    if (HASH_COUNT(m->table) >= XENOD_ASKED_TRACKED)
        return NULL;
    one = xeno_new0(struct meter);
    one->empty_ns = now;
    strncpy(one->key, key, sizeof one->key - 1);
    HASH_ADD_STR(m->table, key, one);
    return one;
}

/* How long until there is room for `cost`; 0: there is. */
static int64_t wait_of(const struct meter *m, int64_t now, unsigned cost, unsigned rate,
                       unsigned burst)
{
    int64_t each = MINUTE / rate, room = (int64_t)burst * each;
    int64_t full = (m->empty_ns > now ? m->empty_ns : now) + (int64_t)cost * each - now;

    return full > room ? full - room : 0;
}

static void count(struct meter *m, int64_t now, unsigned cost, unsigned rate)
{
    m->empty_ns = (m->empty_ns > now ? m->empty_ns : now) + (int64_t)cost * (MINUTE / rate);
}

static int seconds(int64_t ns)
{
    return (int)((ns + XENO_NS_PER_S - 1) / XENO_NS_PER_S);
}

int xenod_asked_admit(struct xenod_asked *a, xeno_time now, const char *who, const char *network,
                      unsigned cost, unsigned rate, struct xeno_err *err)
{
    unsigned burst = cost > XENOD_ASKED_BURST ? cost : XENOD_ASKED_BURST;
    struct meter *own, *net = NULL;
    int64_t wait;

    if (rate == 0)
        return xeno_fail(err, -EPERM, "probe.off", "this XenoServer measures for nobody");
    own = meter_of(&a->who, who, now.ns);
    if (network)
        net = meter_of(&a->networks, network, now.ns);
    if (!own || (network && !net))
        return xeno_fail(err, -EAGAIN, "probe.busy",
                         "more than %d parties or networks in the last minute: come again in 60 s",
                         XENOD_ASKED_TRACKED);
    wait = wait_of(own, now.ns, cost, rate, burst);
    if (wait > 0)
        return xeno_fail(err, -EUSERS, "probe.rate",
                         "%u new measurements a minute, %u at once, a traceroute counting as %d: "
                         "come again in %d s",
                         rate, burst, XENOD_ASKED_TRACE, seconds(wait));
    wait = net ? wait_of(net, now.ns, 1, XENOD_ASKED_NETWORK, XENOD_ASKED_NETWORK) : 0;
    if (wait > 0)
        return xeno_fail(err, -EUSERS, "probe.network",
                         "%d new targets a minute in %s, whoever asks: come again in %d s",
                         XENOD_ASKED_NETWORK, network, seconds(wait));
    wait = wait_of(&a->all, now.ns, cost, rate * XENOD_ASKED_ALL, burst * XENOD_ASKED_ALL);
    if (wait > 0)
        return xeno_fail(err, -EAGAIN, "probe.busy",
                         "%u new measurements a minute for all who ask: come again in %d s",
                         rate * XENOD_ASKED_ALL, seconds(wait));
    count(own, now.ns, cost, rate);
    if (net)
        count(net, now.ns, 1, XENOD_ASKED_NETWORK);
    count(&a->all, now.ns, cost, rate * XENOD_ASKED_ALL);
    return 0;
}

size_t xenod_asked_tracked(const struct xenod_asked *a)
{
    return HASH_COUNT(a->who.table) + HASH_COUNT(a->networks.table);
}
