/* src/xenod/tests/test-targets.c - what may be measured, and how often. */
#include "xenod/targets.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xenod/asked.h"

static void addresses(void **state)
{
    static const struct {
        const char *text, *same, *network; /* NULL: is none */
        bool allowed;
    } rows[] = {
        { "198.41.0.4", "198.41.0.4", "198.41.0.0/24", true },
        { "2001:500::1", "2001:500::1", "2001:500::/48", true },
        { "2600:1:2:3::4", "2600:1:2:3::4", "2600:1:2::/48", true },
        { "::ffff:198.41.0.4", "198.41.0.4", "198.41.0.0/24", true },
        { "::ffff:10.9.0.1", "10.9.0.1", "10.9.0.0/24", false },
        { "127.0.0.1", "127.0.0.1", "127.0.0.0/24", false },
        { "169.254.169.254", "169.254.169.254", "169.254.169.0/24", false },
        { "::1", "::1", "::/48", false },
        { "fe80::1", "fe80::1", "fe80::/48", false },
        { "224.0.0.1", "224.0.0.1", "224.0.0.0/24", false },
        { "10.78.1.5", "10.78.1.5", "10.78.1.0/24", true }, /* the operator says so */
        { "10.79.1.5", "10.79.1.5", "10.79.1.0/24", false },
        { "fe80::1%eth0", NULL, NULL, false },
        { "example.com", NULL, NULL, false },
        { "1.2.3", NULL, NULL, false },
        { "0x7f.1", NULL, NULL, false },
        { "1.2.3.4 ", NULL, NULL, false },
        { "", NULL, NULL, false },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        union xenod_address a;
        char text[XENOD_ADDRESS_TEXT];
        int r = xenod_address_parse(rows[i].text, 443, &a, NULL);

        print_message("%s\n", rows[i].text);
        assert_int_equal(r, rows[i].same ? 0 : -EINVAL);
        if (r < 0)
            continue;
        assert_string_equal(xenod_address_text(&a, text), rows[i].same);
        assert_string_equal(xenod_address_network(&a, text), rows[i].network);
        assert_int_equal(xenod_address_port(&a), 443);
        assert_int_equal(xenod_target_allowed(&a, "10.78.0.0/22,192.168.7.7", NULL),
                         rows[i].allowed ? 0 : -EPERM);
    }
}

static void lists(void **state)
{
    union xenod_address a[2];

    (void)state;
    assert_int_equal(xenod_ports_check("443,80", "o", NULL), 0);
    assert_int_equal(xenod_ports_check("443,0", "o", NULL), -EINVAL);
    assert_int_equal(xenod_ports_check("65536", "o", NULL), -EINVAL);
    assert_int_equal(xenod_ports_check("https", "o", NULL), -EINVAL);
    assert_true(xenod_ports_have("443, 80", 80));
    assert_false(xenod_ports_have("443,80", 8));
    assert_false(xenod_ports_have(NULL, 443));
    assert_int_equal(xenod_addresses_read(NULL, "o", 2, a, NULL), 0);
    assert_int_equal(xenod_addresses_read("192.0.2.1,2001:db8::1", "o", 2, a, NULL), 2);
    assert_int_equal(a[1].any.sa_family, AF_INET6);
    assert_int_equal(xenod_addresses_read("192.0.2.1,192.0.2.2,192.0.2.3", "o", 2, a, NULL),
                     -EINVAL);
    assert_int_equal(xenod_addresses_read("host", "o", 2, a, NULL), -EINVAL);
}

static int admit(struct xenod_asked *k, int64_t s, const char *who, const char *net, unsigned cost)
{
    return xenod_asked_admit(k, xeno_s(s), who, net, cost, 30, NULL);
}

/* A burst of ten, then one each two seconds; a refusal costs nothing. */
static void one_who_asks(void **state)
{
    xeno_auto(xenod_asked) k = xenod_asked_new();
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (int i = 0; i < XENOD_ASKED_BURST; i++)
        assert_int_equal(admit(k, 1000, "a", NULL, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(admit(k, 1000, "a", NULL, 1), -EUSERS);
    assert_int_equal(admit(k, 1000, "b", NULL, 1), 0); /* another is not asked to wait */
    assert_int_equal(admit(k, 1002, "a", NULL, 1), 0);
    assert_int_equal(admit(k, 1002, "a", NULL, 1), -EUSERS);
    assert_int_equal(admit(k, 1020, "a", NULL, XENOD_ASKED_TRACE), 0);
    assert_int_equal(admit(k, 1020, "a", NULL, XENOD_ASKED_TRACE), -EUSERS);
    assert_int_equal(xenod_asked_admit(k, xeno_s(1), "z", NULL, 1, 0, &err), -EPERM);
    assert_string_equal(err.token, "probe.off");
}

static void a_network(void **state)
{
    xeno_auto(xenod_asked) k = xenod_asked_new();
    struct xeno_err err = XENO_ERR_INIT;
    char who[8];

    (void)state;
    for (int i = 0; i < XENOD_ASKED_NETWORK; i++) {
        snprintf(who, sizeof who, "w%d", i);
        assert_int_equal(admit(k, 50, who, "192.0.2.0/24", 1), 0);
    }
    assert_int_equal(xenod_asked_admit(k, xeno_s(50), "x", "192.0.2.0/24", 1, 30, &err), -EUSERS);
    assert_string_equal(err.token, "probe.network");
    assert_int_equal(admit(k, 50, "x", "192.0.3.0/24", 1), 0);
    assert_int_equal(admit(k, 58, "x", "192.0.2.0/24", 1), 0);
}

/* Many, each with a little: all together have a bound, in time and in memory. */
static void a_crowd(void **state)
{
    xeno_auto(xenod_asked) k = xenod_asked_new();
    int taken = 0;
    char who[16], net[24];

    (void)state;
    for (int i = 0; i < 3 * XENOD_ASKED_TRACKED; i++) {
        snprintf(who, sizeof who, "w%d", i);
        snprintf(net, sizeof net, "n%d", i);
        taken += admit(k, 70, who, net, 1) == 0;
        assert_in_range(xenod_asked_tracked(k), 0, 2 * XENOD_ASKED_TRACKED);
    }
    assert_int_equal(taken, XENOD_ASKED_ALL * XENOD_ASKED_BURST);
    assert_int_equal(admit(k, 10000, "late", "elsewhere", 1), 0); /* what is over is forgotten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses), cmocka_unit_test(lists),   cmocka_unit_test(one_who_asks),
        cmocka_unit_test(a_network), cmocka_unit_test(a_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
