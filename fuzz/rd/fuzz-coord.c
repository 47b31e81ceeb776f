/* fuzz/rd/fuzz-coord.c - hostile coordinates, round trips and probe results: every double there is.
 * What is refused changes nothing; what comes out is finite, in order and within the limits. */
#include <math.h>
#include <string.h>

#include "../fuzz.h"
#include "rd/nearest.h"

enum { SERVERS = 12 };

struct input {
    const uint8_t *data;
    size_t size;
};

static uint8_t take(struct input *in)
{
    return in->size > 0 ? (in->size--, *in->data++) : 0;
}

/* A few of the nasty ones, any bits, or a likely one. */
static double number(struct input *in)
{
    static const double odd[] = { NAN,   INFINITY, -INFINITY, -1,    0,
                                  1e300, 1e-300,   10000,     10001, -10000 };
    uint8_t kind = take(in);
    double v;

    if (kind < sizeof odd / sizeof *odd)
        return odd[kind];
    if (kind >= 64 || in->size < sizeof v)
        return kind * (1 + take(in) / 16.);
    memcpy(&v, in->data, sizeof v);
    in->data += sizeof v;
    in->size -= sizeof v;
    return v;
}

static struct xeno_coord coord(struct input *in)
{
    struct xeno_coord c = { .samples = take(in) };

    for (int k = 0; k < XENO_COORD_DIM; k++)
        c.x[k] = number(in);
    c.height_ms = number(in);
    c.error_ms = number(in);
    return c;
}

static void sound(struct xeno_latency l)
{
    if (l.how == XENO_LATENCY_UNKNOWN)
        XENO_REQUIRE(isnan(l.ms) && isnan(l.low) && isnan(l.high));
    else
        XENO_REQUIRE(isfinite(l.ms) && isfinite(l.high) && l.low >= 0 && l.low <= l.ms &&
                     l.ms <= l.high);
}

static void fuzz_node(struct input *in)
{
    xeno_auto(xeno_coord_node) n = xeno_coord_node_new(take(in));

    for (int i = 0; i < 100 && in->size > 0; i++) {
        struct xeno_id id = { { (char)('a' + take(in) % 20) } };
        struct xeno_coord c = coord(in), before = *xeno_coord_node_at(n);
        double ms = number(in);

        if (!xeno_coord_node_sample(n, &id, i % 5 ? &c : NULL, ms))
            XENO_REQUIRE(memcmp(&before, xeno_coord_node_at(n), sizeof before) == 0);
        XENO_REQUIRE(xeno_coord_ok(xeno_coord_node_at(n)));
    }
}

static void fuzz_search(struct input *in)
{
    xeno_auto(xeno_near_map) m = xeno_near_map_new();
    xeno_auto(xeno_near) s = NULL;
    struct xeno_coord where;
    uint32_t all[SERVERS], slot;

    for (uint32_t i = 0; i < SERVERS; i++) {
        struct xeno_coord c = coord(in);
        struct xeno_near_link links[4];

        for (int k = 0; k < 4; k++)
            links[k] = (struct xeno_near_link){ take(in) % (SERVERS + 2), (float)number(in) };
        all[i] = i;
        xeno_near_map_set(m, i, &c, links, 4);
    }
    for (uint32_t i = 0; i < SERVERS; i++)
        xeno_near_map_judge(m, i);
    s = xeno_near_new(m, all, SERVERS, NULL, 0, 5, 1);
    while (xeno_near_next(s, &slot)) {
        XENO_REQUIRE(slot < SERVERS);
        xeno_near_result(s, slot, number(in));
    }
    for (uint32_t i = 0; i < SERVERS; i++) {
        sound(xeno_near_estimate(s, i));
        sound(xeno_near_map_rtt(m, i, (i + 1) % SERVERS));
    }
    if (xeno_near_best(s, &slot, NULL))
        XENO_REQUIRE(slot < SERVERS);
    if (xeno_near_where(s, &where))
        XENO_REQUIRE(xeno_coord_ok(&where));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };

    if (take(&in) % 2)
        fuzz_node(&in);
    else
        fuzz_search(&in);
    return 0;
}
