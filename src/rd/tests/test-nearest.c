/* src/rd/tests/test-nearest.c - searches on a small network, sets of latencies. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rd/nearest.h"

enum { SERVERS = 40 };

static double x_of(size_t i)
{
    return (double)(i * 37 % 101) * 2;
}

static double y_of(size_t i)
{
    return (double)(i * 53 % 97) * 1.5;
}

/* Servers on a plane; each publishes where it is and 32 round trips. The first `liars` make both
 * up. */
static struct xeno_near_map *network(size_t count, size_t liars)
{
    struct xeno_near_map *m = xeno_near_map_new();

    for (size_t i = 0; i < count; i++) {
        struct xeno_coord c = {
            .x = { x_of(i), y_of(i) }, .height_ms = 1, .error_ms = 2, .samples = 99
        };
        struct xeno_near_link links[XENO_NEAR_LINKS];

        for (size_t k = 0; k < XENO_NEAR_LINKS; k++) {
            size_t to = (i + 1 + k) % count;
            double ms = hypot(x_of(i) - x_of(to), y_of(i) - y_of(to)) + 2;

            links[k] = (struct xeno_near_link){ (uint32_t)to, (float)(i < liars ? 400 - ms : ms) };
        }
        if (i < liars)
            c.x[2] = 5000;
        xeno_near_map_set(m, (uint32_t)i, &c, links, XENO_NEAR_LINKS);
    }
    for (size_t i = 0; i < count; i++)
        xeno_near_map_judge(m, (uint32_t)i);
    return m;
}

/* How many of 100 addresses have their nearest found; liars say half of what they hear. */
static int search_all(const struct xeno_near_map *m, size_t count, size_t liars)
{
    uint32_t all[1000], slot, found;
    int hits = 0;

    for (size_t i = 0; i < count; i++)
        all[i] = (uint32_t)i;
    for (size_t t = 0; t < 100; t++) {
        double x = (double)(t * 71 % 100) * 2, y = (double)(t * 29 % 100) * 1.4, best = HUGE_VAL;
        xeno_auto(xeno_near) s = xeno_near_new(m, all, count, NULL, 0, 5, t);
        unsigned probes = 0;
        double chance = -1, got;

        for (size_t i = liars; i < count; i++)
            best = fmin(best, hypot(x - x_of(i), y - y_of(i)));
        assert_false(xeno_near_best(s, &found, &chance));
        for (; xeno_near_next(s, &slot); probes++) {
            double ms = hypot(x - x_of(slot), y - y_of(slot)) + 3;

            assert_true(slot < count && probes < 5);
            assert_true(xeno_near_result(s, slot, slot < liars ? ms / 2 : ms));
        }
        assert_int_equal(probes, 5);
        assert_true(xeno_near_best(s, &found, &chance) && chance >= 0 && chance <= 1.001);
        got = hypot(x - x_of(found), y - y_of(found));
        hits += got <= best + 2;
        for (size_t i = 0; i < count; i += 7) {
            struct xeno_latency l = xeno_near_estimate(s, (uint32_t)i);

            assert_true(l.how != XENO_LATENCY_UNKNOWN && l.low <= l.ms && l.ms <= l.high);
        }
    }
    return hits;
}

static void finds(void **state)
{
    xeno_auto(xeno_near_map) m = network(SERVERS, 0);
    xeno_auto(xeno_near_map) large = network(1000, 0);

    (void)state;
    assert_true(search_all(m, SERVERS, 0) >= 90);
    assert_true(search_all(large, 1000, 0) >= 60);
}

static void lied_to(void **state)
{
    xeno_auto(xeno_near_map) m = network(SERVERS, 4);

    (void)state;
    assert_null(xeno_near_map_at(m, 0)); /* doubted */
    assert_non_null(xeno_near_map_at(m, 10));
    assert_true(search_all(m, SERVERS, 4) >= 80);
}

/* Told that an address is next to server 0 by server 0 alone, and far from there by those around
 * it, nobody believes it; told so by one that the others bear out, all do. */
static void borne_out(void **state)
{
    xeno_auto(xeno_near_map) m = network(SERVERS, 0);
    uint32_t all[SERVERS], found;

    (void)state;
    for (uint32_t i = 0; i < SERVERS; i++)
        all[i] = i;
    for (int lies = 0; lies < 2; lies++) {
        xeno_auto(xeno_near) s = xeno_near_new(m, all, SERVERS, NULL, 0, 8, 1);
        /* Where it is: at server 0, or at server 25, which lies across the plane. */
        size_t at = lies ? 25 : 0;

        assert_true(hypot(x_of(0) - x_of(25), y_of(0) - y_of(25)) > 80);
        assert_true(xeno_near_result(s, 0, 2));
        for (uint32_t i = 1; i < SERVERS; i += 8)
            if (i != at)
                assert_true(
                    xeno_near_result(s, i, hypot(x_of(i) - x_of(at), y_of(i) - y_of(at)) + 2));
        assert_int_equal(xeno_near_estimate(s, 0).how,
                         lies ? XENO_LATENCY_PREDICTED : XENO_LATENCY_MEASURED);
        assert_true(xeno_near_best(s, &found, NULL) && (found == 0) == !lies);
    }
}

/* Who was asked and is far is not chosen before one that is likely to be near and was not asked. */
static void likelier_unasked(void **state)
{
    xeno_auto(xeno_near_map) m = network(SERVERS, 0);
    uint32_t all[SERVERS], slot, found;
    double far = 0, chosen = 0;

    (void)state;
    for (uint32_t i = 0; i < SERVERS; i++)
        all[i] = i;
    for (size_t t = 0; t < 40; t++) {
        xeno_auto(xeno_near) s = xeno_near_new(m, all, SERVERS, NULL, 0, 2, t);
        double x = (double)(t * 71 % 100) * 2, y = (double)(t * 29 % 100) * 1.4, least = HUGE_VAL;

        while (xeno_near_next(s, &slot)) {
            double ms = hypot(x - x_of(slot), y - y_of(slot)) + 3;

            least = fmin(least, ms);
            assert_true(xeno_near_result(s, slot, ms));
        }
        assert_true(xeno_near_best(s, &found, NULL));
        far += least;
        chosen += hypot(x - x_of(found), y - y_of(found)) + 3;
    }
    print_message("asked %.0f ms, chosen %.0f ms\n", far / 40, chosen / 40);
    assert_true(chosen < .9 * far);
}

static void map_says(void **state)
{
    xeno_auto(xeno_near_map) m = xeno_near_map_new();
    struct xeno_coord c = { .height_ms = 1, .error_ms = 2, .samples = 9 };
    struct xeno_near_link links[] = { { 1, 12 }, { 2, NAN }, { 3, -1 }, { 0, 5 }, { 9, 44 } };
    struct xeno_latency l;

    (void)state;
    xeno_near_map_set(m, 0, &c, links, 5);
    c.x[0] = 30;
    xeno_near_map_set(m, 1, &c, NULL, 0);
    xeno_near_map_set(m, 2, &c, NULL, 0);
    l = xeno_near_map_rtt(m, 1, 0);
    assert_true(l.how == XENO_LATENCY_MEASURED && l.ms == 12);
    l = xeno_near_map_rtt(m, 0, 2);
    assert_true(l.how == XENO_LATENCY_PREDICTED && fabs((double)l.ms - 32) < 1e-3);
    assert_int_equal(xeno_near_map_rtt(m, 0, 3).how, XENO_LATENCY_UNKNOWN);
    assert_int_equal(xeno_near_map_rtt(m, 0, 4000000000U).how, XENO_LATENCY_UNKNOWN);
    xeno_near_map_clear(m, 0);
    assert_int_equal(xeno_near_map_rtt(m, 1, 0).how, XENO_LATENCY_UNKNOWN);
    assert_null(xeno_near_map_at(m, 0));
}

/* Nothing known, nothing asked, nonsense answered: no crash, no claim. */
static void nothing(void **state)
{
    xeno_auto(xeno_near_map) m = xeno_near_map_new();
    uint32_t some[] = { 5, 6, 7 }, slot = 99;
    xeno_auto(xeno_near) none = xeno_near_new(m, NULL, 0, NULL, 0, 5, 1);
    xeno_auto(xeno_near) s = xeno_near_new(m, some, 3, NULL, 0, 5, 1);

    (void)state;
    assert_false(xeno_near_next(none, &slot));
    assert_false(xeno_near_best(none, &slot, NULL));
    for (int i = 0; i < 3; i++)
        assert_true(xeno_near_next(s, &slot));
    assert_false(xeno_near_next(s, &slot)); /* all were asked */
    assert_false(xeno_near_result(s, 5, NAN));
    assert_false(xeno_near_result(s, 5, -3));
    assert_false(xeno_near_result(s, 5, INFINITY));
    assert_int_equal(xeno_near_estimate(s, 5).how, XENO_LATENCY_UNKNOWN);
    assert_true(xeno_near_result(s, 6, 8));
    assert_false(xeno_near_result(s, 6, 8)); /* told twice */
    assert_int_equal(xeno_near_estimate(s, 6).how, XENO_LATENCY_MEASURED);
    assert_int_equal(xeno_near_estimate(s, 5).how, XENO_LATENCY_UNKNOWN);
    assert_true(xeno_near_best(s, &slot, NULL) && slot == 6);
}

static void latencies(void **state)
{
    struct xeno_latency a[] = { { 10, 10, 10, XENO_LATENCY_MEASURED },
                                { 30, 30, 30, XENO_LATENCY_MEASURED } };
    struct xeno_latency b[] = { { 10, 0, 20, XENO_LATENCY_PREDICTED },
                                { 10, 0, 20, XENO_LATENCY_PREDICTED } };

    (void)state;
    assert_true(fabs(xeno_latency_max(a, 2) - 30) < 1e-6);
    assert_true(fabs(xeno_latency_mean(a, 2) - 20) < 1e-6);
    assert_true(fabs(xeno_latency_spread(a, 2) - 20) < 1e-6);
    assert_true(xeno_latency_max(b, 2) > 12 && xeno_latency_max(b, 2) < 16);
    assert_true(xeno_latency_spread(b, 2) > 4); /* equal as far as one knows, which is not far */
    assert_true(fabs(xeno_latency_within(&b[0], 10) - .5) < 1e-6);
    assert_true(xeno_latency_within(&a[0], 10) == 1 && xeno_latency_within(&a[0], 9) == 0);
    b[1].how = XENO_LATENCY_UNKNOWN;
    assert_true(isnan(xeno_latency_max(b, 2)) && isnan(xeno_latency_spread(b, 2)));
    assert_true(isnan(xeno_latency_mean(b, 0)) && xeno_latency_within(&b[1], 1e9) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),     cmocka_unit_test(lied_to),          cmocka_unit_test(map_says),
        cmocka_unit_test(borne_out), cmocka_unit_test(likelier_unasked), cmocka_unit_test(nothing),
        cmocka_unit_test(latencies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
