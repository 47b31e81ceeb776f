/* src/host/tests/test-tariff.c - a quote is what the tariff says, to the micro-credit. */
#include "host/tariff.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/env.h"

#define ROUNDS 200000

/* Any number of bits, so that small, large and overflowing ones come up alike. */
static int64_t any(struct xeno_env_test *t, int bits)
{
    uint64_t n = xeno_env_test_next(t);

    return (int64_t)(n >> (64 - bits) >> xeno_env_test_next(t) % (uint64_t)bits);
}

static struct xeno_tariff any_tariff(struct xeno_env_test *t)
{
    struct xeno_tariff tariff = { .epoch = 1 };

    for (int i = 0; i < XENO_RES_COUNT; i++) {
        tariff.price[i].reserved = any(t, 40) % (XENO_PRICE_MAX + 1);
        tariff.price[i].used = any(t, 40) % (XENO_PRICE_MAX + 1);
    }
    return tariff;
}

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;

    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* As somebody adds it up who keeps prices elsewhere. */
static double unrounded(const struct xeno_quote *q, const struct xeno_tariff *t)
{
    double sum = 0;

    for (size_t i = 0; i < q->count; i++) {
        const struct xeno_price *p = &t->price[q->part[i].res];

        sum += q->part[i].ratio * (double)(q->part[i].used ? p->used : p->reserved);
    }
    return sum;
}

static void quote_is_exact(void **state)
{
    struct xeno_env_test t;
    size_t whole = 0;

    (void)state;
    xeno_env_test_init(&t, xeno_s(0), 7);
    for (int round = 0; round < ROUNDS; round++) {
        struct xeno_tariff tariff = any_tariff(&t);
        struct xeno_quantity q[XENO_RES_COUNT];
        struct xeno_quote quote;
        int64_t sum = 0;

        for (int i = 0; i < XENO_RES_COUNT; i++) {
            q[i].reserved = any(&t, 63);
            q[i].used = any(&t, 63);
            sum = plus(sum, xeno_tariff_amount(&tariff, i, q[i]));
        }
        xeno_quote_init(&quote, q, false);
        assert_int_equal(xeno_quote_at(&quote, &tariff), sum);
        if (sum == INT64_MAX)
            continue;
        assert_true(fabs(unrounded(&quote, &tariff) - (double)sum) <= 32 + 1e-12 * (double)sum);
        whole++;
    }
    assert_true(whole > ROUNDS / 10 && whole < ROUNDS); /* both kinds came up */
}

/* At the edges of a unit, where a floor is one off if anything is. */
static void quote_at_edges(void **state)
{
    static const int64_t hour = 1024 * INT64_C(3600000);

    (void)state;
    for (int64_t price = 1; price < 4000000; price = price * 3 + 1) {
        for (int64_t d = -2; d <= 2; d++) {
            struct xeno_quantity q[XENO_RES_COUNT] = { [XENO_RES_MEMORY] = { hour + d, 0 } };
            struct xeno_tariff tariff = { .epoch = 1 };
            struct xeno_quote quote;

            tariff.price[XENO_RES_MEMORY].reserved = price;
            xeno_quote_init(&quote, q, false);
            assert_int_equal(xeno_quote_at(&quote, &tariff),
                             xeno_tariff_amount(&tariff, XENO_RES_MEMORY, q[XENO_RES_MEMORY]));
        }
    }
}

static void quote_up_is_cost(void **state)
{
    struct xeno_env_test t;

    (void)state;
    xeno_env_test_init(&t, xeno_s(0), 8);
    for (int round = 0; round < ROUNDS / 4; round++) {
        struct xeno_tariff tariff = any_tariff(&t);
        struct xeno_grant g = { .cpu_msps = any(&t, 20),
                                .memory_bytes = any(&t, 44),
                                .disk_bytes = any(&t, 44),
                                .net_kbps = any(&t, 28),
                                .addresses = (int)any(&t, 1) };
        int64_t ms = any(&t, 36);
        struct xeno_quantity q[XENO_RES_COUNT];
        struct xeno_quote quote;

        for (int i = 0; i < XENO_RES_COUNT; i++)
            q[i] = xeno_tariff_ceiling(&g, XENO_SHARE_ALL, i, ms);
        xeno_quote_init(&quote, q, true);
        assert_int_equal(xeno_quote_at(&quote, &tariff),
                         xeno_tariff_cost(&tariff, &g, XENO_SHARE_ALL, true, ms));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quote_is_exact),
        cmocka_unit_test(quote_at_edges),
        cmocka_unit_test(quote_up_is_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
