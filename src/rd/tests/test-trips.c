/* src/rd/tests/test-trips.c - places that are XenoServers: find's columns against the map. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rd/find.h"
#include "rd/tests/servers.h"

#define SERVERS 90
#define ROUNDS  1500
#define NOW     xeno_s(1800000000)

struct world {
    struct xeno_env_test t;
    struct xeno_rd *rd;
    int64_t version;
};

/* On a line, by number; one in five lies, and so one is doubted now, and is not then. */
static struct xeno_advert *placed(struct xeno_env_test *t, unsigned n, int64_t version)
{
    static const char *const odd[] = { "NaN", "-3", "1e9", "9999.9", "far" };
    static struct servers_maker m;
    struct xeno_id id = servers_id(n);
    bool absurd = servers_pick(t, 5) == 0;

    m.count = m.len = 0;
    servers_leaf(&m, "Accepting", "yes");
    for (int i = 1; i <= XENO_COORD_DIM && servers_pick(t, 12); i++) {
        char path[32];

        snprintf(path, sizeof(path), "Coordinate/X%d", i);
        if (absurd && servers_pick(t, 3) == 0)
            servers_leaf(&m, path, "%s", odd[servers_pick(t, XENO_LEN(odd))]);
        else
            servers_leaf(&m, path, "%u.%u", i == 1 ? n : 0, servers_pick(t, 10));
    }
    servers_leaf(&m, "Coordinate/HeightMs", "2.%u", servers_pick(t, 10));
    servers_leaf(&m, "Coordinate/ErrorMs", "%u", servers_pick(t, 8) ? 5 : 151);
    servers_leaf(&m, "Coordinate/Samples", "%u", servers_pick(t, 8) ? 100 : 3);
    for (int i = 0; i < 12; i++) {
        unsigned peer = servers_pick(t, SERVERS), far = peer > n ? peer - n : n - peer;

        servers_leaf(&m, "Measured/Peer/Id", "%s", servers_id(peer).s);
        servers_leaf(&m, "Measured/Peer/RttMs", "%u.%03u", absurd ? servers_pick(t, 900) : far + 4,
                     servers_pick(t, 1000));
    }
    return servers_advert(&m, &id, version, xeno_time_add(NOW, xeno_s(600)));
}

/* Nobody is away from itself, whatever it publishes. */
static struct xeno_latency trip(const struct xeno_near_map *map, uint32_t from, uint32_t slot)
{
    return from == slot ? (struct xeno_latency){ 0, 0, 0, XENO_LATENCY_MEASURED }
                        : xeno_near_map_rtt(map, from, slot);
}

static void check_trips(struct world *w, const struct xeno_rd_request *req, size_t *ret_count)
{
    const struct xeno_near_map *map = xeno_rd_map(w->rd);
    const struct xeno_rd_client client = { .corp = NULL };
    struct xeno_rd_result *res = NULL;
    double last = 0;
    uint32_t from, slot;
    size_t matches = 0;

    assert_int_equal(xeno_rd_find(w->rd, req, &client, NULL, NOW, &res, NULL), 0);
    assert_true(xeno_rd_slot(w->rd, &req->near[0].id, &from));
    for (slot = 0; slot < xeno_rd_slots(w->rd); slot++) {
        struct xeno_latency l = trip(map, from, slot);

        matches += xeno_rd_at(w->rd, slot) && l.how != XENO_LATENCY_UNKNOWN &&
                   round((double)l.ms * 1000) <= (double)req->near[0].rtt_max_us;
    }
    assert_int_equal(res->matched, matches);
    for (size_t i = 0; i < res->answer_count; i++) {
        const struct xeno_latency *l = &res->answers[i].latency[0].rtt;
        struct xeno_latency is;

        assert_true(xeno_rd_slot(w->rd, &res->answers[i].advert->id, &slot));
        is = trip(map, from, slot);
        assert_int_equal(l->how, is.how);
        assert_true(l->ms == is.ms && l->low == is.low && l->high == is.high);
        assert_true((double)l->ms >= last);
        last = (double)l->ms;
    }
    *ret_count += matches;
    xeno_rd_result_free(res);
}

/* What stands in columns is what the map says, whoever came, went, lied or was doubted, also where
 * the bound is just what a round trip is. */
static void near_to_a_server(void **state)
{
    size_t matched = 0, doubted = 0, exact = 0;
    unsigned rounds = servers_rounds(ROUNDS);
    struct world w;

    (void)state;
    memset(&w, 0, sizeof(w));
    xeno_env_test_init(&w.t, NOW, servers_seed(7));
    w.rd = xeno_rd_new(SERVERS);
    for (unsigned i = 0; i < rounds; i++) {
        struct xeno_rd_request req;
        struct xeno_latency l;
        uint32_t from;

        for (int k = 0; k < 4; k++) {
            unsigned n = servers_pick(&w.t, SERVERS);
            struct xeno_id id = servers_id(n);

            if (servers_pick(&w.t, 10) == 0)
                xeno_rd_remove(w.rd, &id);
            else
                assert_int_equal(xeno_rd_put(w.rd, placed(&w.t, n, ++w.version), NULL), 0);
        }
        xeno_rd_request_init(&req);
        req.count = XENO_RD_COUNT;
        req.near_count = 1;
        req.near[0].id = servers_id(servers_pick(&w.t, SERVERS));
        req.near[0].rtt_max_us = 1 + servers_pick(&w.t, 120000);
        if (!xeno_rd_slot(w.rd, &req.near[0].id, &from))
            continue;
        doubted += xeno_near_map_doubted(xeno_rd_map(w.rd), from);
        check_trips(&w, &req, &matched);
        l = trip(xeno_rd_map(w.rd), from, servers_pick(&w.t, (unsigned)xeno_rd_slots(w.rd)));
        if (l.how == XENO_LATENCY_UNKNOWN || l.ms == 0) /* a bound of 0 is none */
            continue;
        exact++;
        req.near[0].rtt_max_us = (int64_t)round((double)l.ms * 1000);
        check_trips(&w, &req, &matched);
        req.near[0].rtt_max_us--;
        if (req.near[0].rtt_max_us > 0)
            check_trips(&w, &req, &matched);
    }
    xeno_rd_free(w.rd);
    assert_true(matched > rounds && doubted > rounds / 100 && exact > rounds / 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_to_a_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
