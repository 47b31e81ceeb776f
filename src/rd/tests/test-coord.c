/* src/rd/tests/test-coord.c - coordinates: fit, bounded influence, hostile input, uncertainty. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "rd/coord.h"

enum { MACHINES = 24 };

/* Machines on a plane, each behind a line of some ms. */
static double truth(int a, int b)
{
    double x = (a * 37 % 100) - (b * 37 % 100), y = (a * 61 % 80) - (b * 61 % 80);

    return hypot(x, y) + 1 + a % 3 + 1 + b % 3;
}

static struct xeno_id id_of(int i)
{
    struct xeno_id id;

    memset(&id, 0, sizeof id);
    snprintf(id.s, sizeof id.s, "m%d", i);
    return id;
}

/* Let all measure all; the first `liars` say that they are elsewhere, and are sure of it. Returns
 * the mean relative error of the predictions between the others. */
static double settle(int liars, struct xeno_coord *ret)
{
    struct xeno_coord_node *n[MACHINES];
    struct xeno_coord lie = { .x = { 9000, -9000, 9000 }, .error_ms = 0, .samples = 1000000 };
    double off = 0;
    int count = 0, unknown = 0;

    for (int i = 0; i < MACHINES; i++)
        n[i] = xeno_coord_node_new((uint64_t)i);
    for (int r = 0; r < 20; r++)
        for (int i = 0; i < MACHINES; i++)
            for (int k = 1; k < MACHINES; k++) {
                int j = (i + k) % MACHINES;
                struct xeno_id id = id_of(j);

                assert_true(xeno_coord_node_sample(
                    n[i], &id, j < liars ? &lie : xeno_coord_node_at(n[j]), truth(i, j)));
            }
    for (int i = liars; i < MACHINES; i++)
        for (int j = liars; j < i; j++) {
            double low, high;
            double ms =
                xeno_coord_rtt(xeno_coord_node_at(n[i]), xeno_coord_node_at(n[j]), &low, &high);

            if (isnan(ms)) {
                unknown++;
                continue;
            }
            assert_true(low <= ms && ms <= high);
            off += fabs(ms - truth(i, j)) / truth(i, j);
            count++;
        }
    assert_true(unknown * 5 <= count);
    *ret = *xeno_coord_node_at(n[MACHINES - 1]);
    for (int i = 0; i < MACHINES; i++)
        xeno_coord_node_free(n[i]);
    return off / count;
}

static void fits(void **state)
{
    struct xeno_coord c;

    (void)state;
    assert_true(settle(0, &c) < .05);
    assert_true(xeno_coord_ok(&c) && xeno_coord_useful(&c) && c.error_ms < 5);
}

/* Three of 24 say that they are ten thousand milliseconds away. */
static void liars(void **state)
{
    struct xeno_coord c;

    (void)state;
    assert_true(settle(3, &c) < .15);
    assert_true(xeno_coord_ok(&c));
}

static void hostile(void **state)
{
    static const double bad[] = { NAN, INFINITY, -INFINITY, -1, 1e300, 10001 };
    xeno_auto(xeno_coord_node) n = xeno_coord_node_new(1);
    struct xeno_coord before = *xeno_coord_node_at(n), at = { .error_ms = 1, .samples = 10 };
    struct xeno_id id = id_of(1);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct xeno_coord c = at;

        assert_false(xeno_coord_node_sample(n, &id, &at, bad[i]));
        c.height_ms = bad[i];
        assert_false(xeno_coord_node_sample(n, &id, &c, 10));
        c = at;
        c.error_ms = bad[i];
        assert_false(xeno_coord_node_sample(n, &id, &c, 10));
        c = at;
        c.x[XENO_COORD_DIM - 1] = bad[i] == -1 ? -10001 : bad[i];
        assert_false(xeno_coord_node_sample(n, &id, &c, 10));
    }
    assert_memory_equal(&before, xeno_coord_node_at(n), sizeof before);
    assert_true(isnan(xeno_coord_node_rtt(n, &id)));
}

/* One late packet moves neither the round trip that is published nor the coordinate by much. */
static void late(void **state)
{
    xeno_auto(xeno_coord_node) n = xeno_coord_node_new(1);
    struct xeno_coord at = { .x = { 10 }, .error_ms = 1, .samples = 100 };
    struct xeno_id id = id_of(1);

    (void)state;
    for (int i = 0; i < 7; i++)
        assert_true(xeno_coord_node_sample(n, &id, &at, 20));
    assert_true(xeno_coord_node_sample(n, &id, &at, 5000));
    assert_true(fabs(xeno_coord_node_rtt(n, &id) - 20) < .01);
    xeno_coord_node_forget(n, &id);
    assert_true(isnan(xeno_coord_node_rtt(n, &id)));
}

/* Who has measured nothing predicts nothing. */
static void unknown(void **state)
{
    struct xeno_coord a = { .error_ms = 5, .samples = 100 }, b = a;
    double low = 7, high = 7;

    (void)state;
    b.samples = 0;
    assert_true(isnan(xeno_coord_rtt(&a, &b, &low, &high)));
    b.samples = 100;
    b.error_ms = 5000;
    assert_true(isnan(xeno_coord_rtt(&a, &b, &low, &high)));
    assert_true(low == 7 && high == 7);
    b.error_ms = 5;
    assert_false(isnan(xeno_coord_rtt(&a, &b, &low, &high)));
}

/* Five machines find their places by one another, and a sixth measures two of them. What its
 * coordinate claims to be off by is never much less than what it is off by, to those that it did
 * not measure; while it is worth nothing it says so. */
static void honest_when_few(void **state)
{
    for (int measured = 1; measured <= 5; measured++) {
        struct xeno_coord_node *n[6];
        const struct xeno_coord *late;
        double worst = 0;

        for (int i = 0; i < 6; i++)
            n[i] = xeno_coord_node_new((uint64_t)i + 40);
        for (int r = 0; r < 30; r++)
            for (int i = 0; i < 6; i++)
                for (int j = 0; j < (i == 5 ? measured : 5); j++) {
                    struct xeno_id id = id_of(j);

                    if (i != j && (i < 5 || r >= 20))
                        assert_true(xeno_coord_node_sample(n[i], &id, xeno_coord_node_at(n[j]),
                                                           truth(i, j)));
                }
        late = xeno_coord_node_at(n[5]);
        for (int j = measured; j < 5; j++) {
            double ms = xeno_coord_rtt(late, xeno_coord_node_at(n[j]), NULL, NULL);

            if (!isnan(ms))
                worst = fmax(worst, fabs(ms - truth(5, j)));
        }
        print_message("%d peers: claims %.1f ms, is off by up to %.1f\n", measured, late->error_ms,
                      worst);
        assert_true(worst <= 2.2 * late->error_ms);
        for (int i = 0; i < 6; i++)
            xeno_coord_node_free(n[i]);
    }
    (void)state;
}

/* After one round among five who know nothing, nobody claims to know. */
static void honest_at_first(void **state)
{
    struct xeno_coord_node *n[5];
    int early = 0, later = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        n[i] = xeno_coord_node_new((uint64_t)i);
    for (int r = 0; r < 30; r++) {
        for (int i = 0; i < 5; i++)
            for (int j = 0; j < 5; j++) {
                struct xeno_id id = id_of(j);

                if (i != j)
                    xeno_coord_node_sample(n[i], &id, xeno_coord_node_at(n[j]), truth(i, j));
            }
        for (int i = 0; i < 5; i++) {
            early += r == 0 && xeno_coord_useful(xeno_coord_node_at(n[i]));
            later += r == 29 && xeno_coord_useful(xeno_coord_node_at(n[i]));
        }
    }
    assert_int_equal(early, 0);
    assert_int_equal(later, 5);
    for (int i = 0; i < 5; i++)
        xeno_coord_node_free(n[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits),
        cmocka_unit_test(liars),
        cmocka_unit_test(hostile),
        cmocka_unit_test(late),
        cmocka_unit_test(unknown),
        cmocka_unit_test(honest_when_few),
        cmocka_unit_test(honest_at_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
