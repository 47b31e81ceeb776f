/* src/host/tests/test-meter.c - prices and counting: exact, never to the buyer's harm. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/units.h"
#include "host/meter.h"

#define MIB     (INT64_C(1) << 20)
#define HOUR_MS INT64_C(3600000)

/* Prices that show in the sums: one digit place for each resource. */
static const struct xeno_tariff tariff = {
    .epoch = 1,
    .price = { [XENO_RES_CPU] = { 10, 100 },
               [XENO_RES_MEMORY] = { 3000, 2000 },
               [XENO_RES_DISK] = { 500, 700 },
               [XENO_RES_NET] = { 900, 1000000 },
               [XENO_RES_ADDRESS] = { 40000, 0 } },
};
static const struct xeno_grant grant = {
    .cpu_msps = 500,
    .memory_bytes = 1024 * MIB,
    .disk_bytes = 2048 * MIB,
    .net_kbps = 8000,
    .addresses = 1,
};

static const struct {
    const char *name;
    enum xeno_res res;
    struct xeno_quantity q;
    int64_t want;
} amounts[] = {
    { "a CPU second, reserved", XENO_RES_CPU, { 1000000, 0 }, 10 },
    { "a CPU second, used", XENO_RES_CPU, { 0, 1000000 }, 100 },
    { "rounds down", XENO_RES_CPU, { 99999, 9999 }, 0 },
    { "both parts round alone", XENO_RES_CPU, { 199999, 19999 }, 2 },
    { "a GiB-hour of memory", XENO_RES_MEMORY, { 1024 * HOUR_MS, 0 }, 3000 },
    { "a GiB-hour of disk, used", XENO_RES_DISK, { 0, 1024 * HOUR_MS }, 700 },
    { "a Mbit/s-hour", XENO_RES_NET, { 1000 * HOUR_MS, 0 }, 900 },
    { "a GiB sent", XENO_RES_NET, { 0, INT64_C(1) << 30 }, 1000000 },
    { "an address-hour", XENO_RES_ADDRESS, { HOUR_MS, 0 }, 40000 },
    { "nothing", XENO_RES_NET, { 0, 0 }, 0 },
    { "the most there is", XENO_RES_CPU, { XENO_QUANTITY_MAX, 0 }, 40000000000000 },
};

static void amount_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(amounts); i++) {
        print_message("%s\n", amounts[i].name);
        assert_int_equal(xeno_tariff_amount(&tariff, amounts[i].res, amounts[i].q),
                         amounts[i].want);
    }
}

static void tariff_checks(void **state)
{
    struct xeno_tariff t = tariff, back = { 0 };
    xeno_auto(xeno_json) doc = xeno_tariff_json(&tariff);
    struct xeno_json_at top = xeno_json_top(doc);

    (void)state;
    assert_int_equal(xeno_tariff_read(&top, &back, NULL), 0);
    assert_memory_equal(&back, &tariff, sizeof(back));
    assert_int_equal(xeno_tariff_check(&t, NULL), 0);
    t.epoch = 0;
    assert_int_equal(xeno_tariff_check(&t, NULL), -EINVAL);
    t = tariff;
    t.price[XENO_RES_NET].used = XENO_PRICE_MAX + 1;
    assert_int_equal(xeno_tariff_check(&t, NULL), -EINVAL);
    t.price[XENO_RES_NET].used = -1;
    assert_int_equal(xeno_tariff_check(&t, NULL), -EINVAL);
    /* So dear that it fits nowhere: capped, not wrapped. */
    t = tariff;
    t.price[XENO_RES_CPU].used = XENO_PRICE_MAX;
    assert_int_equal(
        xeno_tariff_amount(&t, XENO_RES_CPU, (struct xeno_quantity){ 0, XENO_QUANTITY_MAX }),
        INT64_MAX);
    assert_int_equal(xeno_tariff_cost(&t, &grant, XENO_SHARE_ALL, true, INT64_MAX), INT64_MAX);
}

/* An hour of everything, reserved: what a person would compute. */
static void an_hour(void **state)
{
    struct xeno_meter m = { .at_ms = 1000 };

    (void)state;
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 1000 + HOUR_MS, XENO_PASSED_UNKNOWN);
    assert_int_equal(xeno_meter_owed(&m, &tariff, XENO_RES_CPU), 1800 * 10);
    assert_int_equal(xeno_meter_owed(&m, &tariff, XENO_RES_MEMORY), 3000);
    assert_int_equal(xeno_meter_owed(&m, &tariff, XENO_RES_DISK), 1000);
    assert_int_equal(xeno_meter_owed(&m, &tariff, XENO_RES_NET), 8 * 900);
    assert_int_equal(xeno_meter_owed(&m, &tariff, XENO_RES_ADDRESS), 40000);
    assert_int_equal(xeno_meter_owed_all(&m, &tariff), 18000 + 3000 + 1000 + 7200 + 40000);
    /* Another one suspended: disk and address. */
    xeno_meter_advance(&m, &grant, XENO_SHARE_KEPT, 1000 + 2 * HOUR_MS, XENO_PASSED_UNKNOWN);
    assert_int_equal(xeno_meter_owed_all(&m, &tariff), 69200 + 1000 + 40000);
    /* And one in which nothing is billed. */
    xeno_meter_advance(&m, &grant, XENO_SHARE_NONE, 1000 + 3 * HOUR_MS, XENO_PASSED_UNKNOWN);
    assert_int_equal(xeno_meter_owed_all(&m, &tariff), 110200);
}

/* A clock that is set does not change what is owed; the times told go on and come back to it. */
static void clocks(void **state)
{
    struct xeno_meter m = { .at_ms = 10 * HOUR_MS };
    int64_t wall, at = 0;

    (void)state;
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 10 * HOUR_MS + 1000, 1000);
    assert_int_equal(m.at_ms, 10 * HOUR_MS + 1000);
    wall = 8 * HOUR_MS; /* set back */
    for (int i = 0; i < 3600; i++) {
        at = m.at_ms;
        xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, wall += 1000, 1000);
        assert_int_equal(m.at_ms - at, 900);
    }
    assert_int_equal(m.total[XENO_RES_CPU].reserved, INT64_C(3601) * 500 * 1000);
    wall = m.at_ms + 50000; /* nearly right again: it is reached, and not passed */
    for (int i = 0; i < 1000; i++)
        xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, wall += 1000, 1000);
    assert_int_equal(m.at_ms, wall);
    wall += 5 * HOUR_MS; /* set forward */
    at = m.at_ms;
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, wall, 1000);
    assert_int_equal(m.at_ms - at, 1100);
    assert_int_equal(m.total[XENO_RES_CPU].reserved, INT64_C(4602) * 500 * 1000);
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, wall + HOUR_MS, -5);
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, at, XENO_PASSED_UNKNOWN); /* and set back */
    assert_int_equal(m.at_ms - at, 1100);
    assert_int_equal(m.total[XENO_RES_CPU].reserved, INT64_C(4602) * 500 * 1000);
}

static struct xeno_sample sample(int64_t cpu, int64_t memory, int64_t net)
{
    return (struct xeno_sample){ .cpu_us = cpu, .memory_bytes = memory, .net_bytes = net };
}

static void used_within_reserved(void **state)
{
    struct xeno_meter m = { .at_ms = 1000 };
    struct xeno_sample s = sample(400000, 100 * MIB, 1000);

    (void)state;
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 2000, XENO_PASSED_UNKNOWN);
    xeno_meter_sample(&m, &grant, &s);
    assert_int_equal(m.total[XENO_RES_CPU].used, 400000);
    assert_int_equal(m.total[XENO_RES_NET].used, 1000);
    assert_int_equal(m.total[XENO_RES_MEMORY].used, 0); /* the smaller of 0 and 100 MiB */
    /* The same again, late or repeated: nothing. An older one: nothing. */
    xeno_meter_sample(&m, &grant, &s);
    s = sample(1, 100 * MIB, 1);
    xeno_meter_sample(&m, &grant, &s);
    assert_int_equal(m.total[XENO_RES_CPU].used, 400000);
    /* More than the quota gives in that second waits for room. */
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 3000, XENO_PASSED_UNKNOWN);
    s = sample(400000 + 700000, 80 * MIB, INT64_C(10) << 20);
    xeno_meter_sample(&m, &grant, &s);
    assert_int_equal(m.total[XENO_RES_CPU].used, 1000000); /* 500 ms/s * 2 s */
    assert_int_equal(m.total[XENO_RES_NET].used, 4000000); /* 8 Mbit/s, both ways, 2 s */
    assert_int_equal(m.total[XENO_RES_MEMORY].used, 80 * 1000);
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 4000, XENO_PASSED_UNKNOWN);
    assert_int_equal(m.total[XENO_RES_CPU].used, 1100000);
    assert_int_equal(m.cpu_waits, 0);
    assert_int_equal(m.total[XENO_RES_NET].used, 6000000);
    /* Memory above the limit is the kernel's rounding, not the buyer's bill. */
    s = sample(0, INT64_MAX, 0);
    xeno_meter_sample(&m, &grant, &s);
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 5000, XENO_PASSED_UNKNOWN);
    xeno_meter_sample(&m, &grant, &s);
    assert_int_equal(m.total[XENO_RES_MEMORY].used, 80 * 2000 + 1024 * 1000);
}

/* Of 500 ms/s, one second a row; all are growths, in ms. */
static const struct {
    const char *name;
    int64_t used, waited, throttled, want;
} shortfalls[] = {
    { "waited longer than was missing", 300, 500, 0, 200 },
    { "missing more than was waited", 300, 50, 0, 50 },
    { "idle: nothing was asked for", 0, 0, 0, 0 },
    { "a little used, never waited", 100, 0, 0, 0 },
    { "held by its quota alone", 500, 500, 500, 0 },
    { "by its quota and by others", 450, 550, 480, 50 },
    { "all that is reserved was used, with others in the way", 500, 400, 100, 0 },
    { "a quota on two processors counts twice", 450, 500, 900, 0 },
    { "used more than one second gives: a late sample", 700, 300, 0, 0 },
    { "got nothing at all", 0, 1000, 0, 500 },
};

static void shortfall(void **state)
{
    struct xeno_meter m = { .at_ms = 1000 };
    struct xeno_sample s = { .cpu_us = 0 };
    int64_t sum = 0;

    (void)state;
    /* An idle hour before is no reservation that could be missed later. */
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, 1000 + HOUR_MS, XENO_PASSED_UNKNOWN);
    xeno_meter_sample(&m, &grant, &s);
    for (size_t i = 0; i < XENO_LEN(shortfalls); i++) {
        int64_t reserved = m.total[XENO_RES_CPU].reserved;

        print_message("%s\n", shortfalls[i].name);
        s.cpu_us += shortfalls[i].used * 1000;
        s.waited_us += shortfalls[i].waited * 1000;
        s.throttled_us += shortfalls[i].throttled * 1000;
        xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, m.at_ms + 1000, XENO_PASSED_UNKNOWN);
        xeno_meter_sample(&m, &grant, &s);
        sum += shortfalls[i].want * 1000;
        assert_int_equal(m.shortfall_us, sum);
        assert_int_equal(m.total[XENO_RES_CPU].reserved,
                         reserved + 500000 - shortfalls[i].want * 1000);
        xeno_meter_sample(&m, &grant, &s); /* repeated: nothing */
        assert_int_equal(m.shortfall_us, sum);
    }
    /* Counters that went down, as after a restart that forgot: nothing until they are past. */
    s.waited_us = 1000;
    xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, m.at_ms + 1000, XENO_PASSED_UNKNOWN);
    xeno_meter_sample(&m, &grant, &s);
    assert_int_equal(m.shortfall_us, sum);
    /* Paused: nothing is reserved, so nothing can be missing. */
    s.waited_us = INT64_C(100) * 1000 * 1000;
    xeno_meter_advance(&m, &grant, XENO_SHARE_KEPT, m.at_ms + 1000, XENO_PASSED_UNKNOWN);
    xeno_meter_sample(&m, &grant, &s);
    assert_int_equal(m.shortfall_us, sum);
}

/* However the time is cut into steps and charges, the sum is that of one step. */
static void no_rounding_loss(void **state)
{
    struct xeno_meter m = { .at_ms = 1 }, one = { .at_ms = 1 };
    struct xeno_env_test t;
    int64_t charged = 0, cpu = 0, now = 1;

    (void)state;
    xeno_env_test_init(&t, xeno_s(1), 7);
    for (int i = 0; i < 5000; i++) {
        struct xeno_sample s;
        int64_t ms = (int64_t)(xeno_env_test_next(&t) % 3000);

        now += ms;
        cpu += (int64_t)(xeno_env_test_next(&t) % 500) * ms;
        s = (struct xeno_sample){ .cpu_us = cpu };
        xeno_meter_advance(&m, &grant, XENO_SHARE_ALL, now, XENO_PASSED_UNKNOWN);
        xeno_meter_sample(&m, &grant, &s);
        for (int res = 0; res < XENO_RES_COUNT; res++) { /* a charge after each step */
            int64_t open = xeno_meter_owed(&m, &tariff, res) - m.accounted[res];

            assert_true(open >= 0);
            m.accounted[res] += open;
            charged += open;
        }
        assert_int_equal(xeno_meter_open(&m, &tariff), 0);
    }
    xeno_meter_advance(&one, &grant, XENO_SHARE_ALL, now, XENO_PASSED_UNKNOWN);
    one.total[XENO_RES_CPU].used = cpu;
    assert_int_equal(charged, xeno_meter_owed_all(&one, &tariff));
    assert_true(charged <= xeno_tariff_cost(&tariff, &grant, XENO_SHARE_ALL, true, now - 1));
}

/* Whatever a task manager says, nothing breaks and nothing passes the ceiling. */
static void hostile_samples(void **state)
{
    struct xeno_meter m = { .at_ms = 1 };
    struct xeno_env_test t;
    int64_t now = 1;

    (void)state;
    xeno_env_test_init(&t, xeno_s(1), 11);
    for (int i = 0; i < 3000; i++) {
        struct xeno_sample s = { (int64_t)xeno_env_test_next(&t), (int64_t)xeno_env_test_next(&t),
                                 (int64_t)xeno_env_test_next(&t), (int64_t)xeno_env_test_next(&t),
                                 (int64_t)xeno_env_test_next(&t) };

        now += (int64_t)(xeno_env_test_next(&t) % 5000);
        xeno_meter_advance(&m, &grant, i % 3 ? XENO_SHARE_ALL : XENO_SHARE_KEPT, now,
                           XENO_PASSED_UNKNOWN);
        xeno_meter_sample(&m, &grant, &s);
        for (int res = 0; res < XENO_RES_COUNT; res++) {
            struct xeno_quantity most = xeno_tariff_ceiling(&grant, XENO_SHARE_ALL, res, now - 1);

            assert_in_range(m.total[res].reserved, 0, most.reserved);
            assert_in_range(m.total[res].used, 0, most.used);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amount_rows),
        cmocka_unit_test(tariff_checks),
        cmocka_unit_test(an_hour),
        cmocka_unit_test(clocks),
        cmocka_unit_test(used_within_reserved),
        cmocka_unit_test(shortfall),
        cmocka_unit_test(no_rounding_loss),
        cmocka_unit_test(hostile_samples),
    };

    return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
