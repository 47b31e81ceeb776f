/* src/xenod/tests/test-group.c - who is measured, and what liars come to. */
#include "xenod/group.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/enc.h"

#define WORLD  40
#define SIZE   16
#define ROUNDS 24

static struct xeno_env_test world_env;

static struct xeno_id id_of(unsigned n)
{
    uint8_t bytes[20] = { (uint8_t)n, (uint8_t)(n >> 8), 7 };
    struct xeno_id id;

    xeno_base32(bytes, sizeof bytes, id.s);
    return id;
}

static struct xenod_group *fresh(unsigned self, size_t size)
{
    struct xeno_id id = id_of(self);

    return xenod_group_new(&world_env.env, &id, size, xeno_s(60));
}

static void offer(struct xenod_group *g, unsigned n, const struct xeno_coord *at, bool near)
{
    struct xeno_id id = id_of(n);

    xenod_group_offer(g, &id, "https://192.0.2.1:8443", at, near);
}

static struct xeno_coord at_x(double x)
{
    return (struct xeno_coord){ .x = { x }, .height_ms = 1, .error_ms = 5, .samples = 100 };
}

/* As if it had been there for long: every member is checked and measured once. */
static void measure_all(struct xenod_group *g, double ms)
{
    for (size_t i = 0; i < xenod_group_count(g); i++)
        xenod_group_at(g, i)->checked = true;
    for (struct xenod_member *m; (m = xenod_group_to_measure(g, world_env.now)) != NULL;)
        xenod_group_result(g, m, ms, world_env.now);
}

static void who_is_in(void **state)
{
    xeno_auto(xenod_group) g = fresh(0, SIZE);
    struct xeno_coord far = at_x(100), bad = at_x(NAN);
    size_t near = 0;

    (void)state;
    xenod_group_begin(g);
    offer(g, 0, NULL, false); /* ourselves */
    for (unsigned i = 1; i <= 40; i++)
        offer(g, i, i == 5 ? &bad : &far, false);
    offer(g, 7, &far, false); /* again */
    assert_int_equal(xenod_group_end(g, world_env.now), SIZE);
    assert_int_equal(xenod_group_count(g), SIZE);
    assert_null(xenod_group_find(g, id_of(0).s));
    for (size_t i = 0; i < SIZE; i++)
        assert_true(strcmp(xenod_group_at(g, i)->id.s, id_of(5).s) != 0 ||
                    !xenod_group_at(g, i)->has_at);
    /* A full group gives up a quarter for others, and takes near ones up to its half. */
    for (int round = 0; round < 8; round++) {
        struct xeno_coord close = at_x(3);

        measure_all(g, 50);
        xenod_group_begin(g);
        for (unsigned i = 100; i < 140; i++)
            offer(g, i, &close, true);
        assert_true(xenod_group_end(g, world_env.now) <= SIZE / 4);
        assert_int_equal(xenod_group_count(g), SIZE);
    }
    for (size_t i = 0; i < SIZE; i++)
        near += xenod_group_at(g, i)->near;
    assert_in_range(near, SIZE / 2 - 1, SIZE / 2);
}

static void times(void **state)
{
    xeno_auto(xenod_group) g = fresh(0, SIZE);
    struct xenod_member *m;
    xeno_time now = world_env.now;

    (void)state;
    xenod_group_begin(g);
    offer(g, 1, NULL, false);
    xenod_group_end(g, now);
    assert_null(xenod_group_to_measure(g, now)); /* nobody knows yet who it is */
    m = xenod_group_to_check(g, now);
    assert_non_null(m);
    assert_null(xenod_group_to_check(g, now));
    m->checked = true;
    assert_ptr_equal(xenod_group_to_measure(g, now), m);
    xenod_group_result(g, m, 20, now);
    assert_null(xenod_group_to_measure(g, now));
    for (int i = 1; i < XENOD_GROUP_BURST; i++) { /* a new one soon again, some times */
        assert_in_range(xenod_group_next(g).ns, now.ns + xeno_s(1).ns, now.ns + xeno_s(3).ns);
        now = xenod_group_next(g);
        assert_ptr_equal(xenod_group_to_measure(g, now), m);
        xenod_group_result(g, m, 20, now);
    }
    assert_in_range(xenod_group_next(g).ns, now.ns + xeno_s(45).ns, now.ns + xeno_s(75).ns);
    m->busy = true;
    assert_true(xenod_group_next(g).ns == INT64_MAX);
}

/* Where we were is kept while it is worth something, and is worth less each hour. */
static void restart(void **state)
{
    static const char *const bad[] = { "",
                                       "x",
                                       "1000",
                                       "1000 9 1 1 0 0 0 0",
                                       "900 9 1 1 0 0 0 0 nan",
                                       "900 9 -1 1 0 0 0 0 0",
                                       "900 9 1 1 0 0 0 0 0 0",
                                       "1001 9 1 1 0 0 0 0 0",
                                       "900 1 1 1 0 0 0 0 0" };
    xeno_auto(xenod_group) g = fresh(0, SIZE);
    xeno_auto(xenod_group) then = fresh(1, SIZE);
    struct xeno_coord before = *xenod_group_where(g);
    const struct xeno_coord *at = xenod_group_where(g);
    char text[XENOD_GROUP_KEPT_TEXT];

    (void)state;
    assert_false(xenod_group_keep(g, xeno_s(1000), text)); /* it knows nothing yet */
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        assert_false(xenod_group_restore(g, bad[i], xeno_s(1000)));
        assert_memory_equal(&before, xenod_group_where(g), sizeof before);
    }
    assert_true(xenod_group_restore(g, "900 50 4.5 2 10 -20.25 0 0 3", xeno_s(900)));
    assert_true(at->x[1] == -20.25 && at->height_ms == 2 && at->error_ms == 4.5);
    assert_true(xenod_group_keep(g, xeno_s(1000), text));
    assert_true(xenod_group_restore(then, text, xeno_s(1000 + 2 * 3600)));
    at = xenod_group_where(then);
    assert_true(at->x[4] == 3 && at->samples == 50 && fabs(at->error_ms - 6.5) < 1e-6);
    assert_false(xenod_group_restore(g, text, xeno_s(1001 + XENOD_GROUP_KEPT_H * 3600)));
}

static void silence(void **state)
{
    xeno_auto(xenod_group) g = fresh(0, SIZE);
    struct xenod_member *m;

    (void)state;
    xenod_group_begin(g);
    offer(g, 1, NULL, false);
    xenod_group_end(g, world_env.now);
    m = xenod_group_at(g, 0);
    m->checked = true;
    m->check_due = xeno_ns(INT64_MAX);
    xenod_group_result(g, m, 20, world_env.now);
    xenod_group_result(g, m, NAN, world_env.now);
    assert_int_equal(xenod_group_loss_percent(m), 50);
    for (int i = 2; i < XENOD_GROUP_SILENT; i++)
        xenod_group_result(g, m, NAN, world_env.now);
    assert_non_null(xenod_group_to_check(g, world_env.now)); /* it may have moved */
    assert_int_equal(xenod_group_count(g), 1);
    xenod_group_result(g, m, NAN, world_env.now);
    assert_int_equal(xenod_group_count(g), 0);
}

static void refused(void **state)
{
    xeno_auto(xenod_group) g = fresh(0, SIZE);
    xeno_time now = world_env.now;

    (void)state;
    xenod_group_begin(g);
    offer(g, 1, NULL, false);
    assert_int_equal(xenod_group_end(g, now), 1);
    xenod_group_refuse(g, id_of(1).s, now);
    xenod_group_begin(g);
    offer(g, 1, NULL, false);
    assert_int_equal(xenod_group_end(g, now), 0);
    xenod_group_begin(g);
    offer(g, 1, NULL, false);
    assert_int_equal(xenod_group_end(g, xeno_time_add(now, xeno_s(3601))), 1);
}

/* --- a world on a plane, some of which lie --- */

static struct {
    double x, y;
    struct xenod_group *g;
    bool liar;
} all[WORLD];

static double truth(unsigned a, unsigned b)
{
    return hypot(all[a].x - all[b].x, all[a].y - all[b].y) + 4;
}

static void tell(unsigned n, struct xeno_coord *ret)
{
    *ret = *xenod_group_where(all[n].g);
    if (!all[n].liar)
        return;
    for (int i = 0; i < XENO_COORD_DIM; i++)
        ret->x[i] = (double)(xeno_env_test_next(&world_env) % 2000) - 1000;
    ret->error_ms = 0.1; /* and is sure of it */
}

static void one_round(bool renew)
{
    for (unsigned n = 0; n < WORLD; n++) {
        struct xenod_group *g = all[n].g;

        xenod_group_begin(g);
        for (unsigned k = 0; renew && k < 2 * SIZE; k++) {
            unsigned other = (unsigned)(xeno_env_test_next(&world_env) % WORLD);
            struct xeno_coord at;

            tell(other, &at);
            offer(g, other, &at, k % 2);
        }
        xenod_group_end(g, world_env.now);
        for (unsigned other = 0; other < WORLD; other++) {
            struct xenod_member *m = xenod_group_find(g, id_of(other).s);

            if (!m)
                continue;
            tell(other, &m->at);
            m->has_at = true;
            xenod_group_result(g, m, truth(n, other) * (all[other].liar ? 3 : 1), world_env.now);
        }
    }
}

/* The median, over pairs of honest ones, of how far off their prediction is. */
static double off_by(unsigned liars)
{
    static double off[WORLD * WORLD];
    size_t count = 0, less = 0;

    xeno_env_test_init(&world_env, xeno_s(1000), 11);
    for (unsigned n = 0; n < WORLD; n++) {
        all[n].x = (double)(xeno_env_test_next(&world_env) % 200);
        all[n].y = (double)(xeno_env_test_next(&world_env) % 200);
        all[n].liar = n < liars;
        all[n].g = fresh(n, SIZE);
    }
    for (int round = 0; round < ROUNDS; round++)
        one_round(round % 8 == 0);
    for (unsigned a = liars; a < WORLD; a++)
        for (unsigned b = liars; b < a; b++) {
            double ms = xeno_coord_rtt(xenod_group_where(all[a].g), xenod_group_where(all[b].g),
                                       NULL, NULL);

            off[count++] = isnan(ms) ? 1e9 : fabs(ms - truth(a, b));
        }
    for (unsigned n = 0; n < WORLD; n++)
        xenod_group_free(all[n].g);
    for (double guess = 0.5; guess < 1000; guess += 0.5, less = 0) {
        for (size_t i = 0; i < count; i++)
            less += off[i] < guess;
        if (less * 2 > count)
            return guess;
    }
    return 1000;
}

/* One in ten lies about where it is, is sure of it, and answers late: the others hardly notice. */
static void liars(void **state)
{
    double honest = off_by(0), among = off_by(WORLD / 10);

    (void)state;
    print_message("off by %.1f ms among honest ones, by %.1f ms with liars\n", honest, among);
    assert_true(honest <= 5);
    assert_true(among <= honest + 5); /* round trips are 4 to 287 ms */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_in), cmocka_unit_test(times),   cmocka_unit_test(restart),
        cmocka_unit_test(silence),   cmocka_unit_test(refused), cmocka_unit_test(liars),
    };

    xeno_crypto_init();
    xeno_env_test_init(&world_env, xeno_s(1000), 3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
