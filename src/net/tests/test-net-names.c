/* src/net/tests/test-net-names.c */
#include "net/names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/rtnl.h"

static void names(void **state)
{
    static const struct {
        const char *text;
        bool instance, session;
    } rows[] = {
        { "x1", true, true },
        { "abcdefgh", true, true },
        { "abcdefghi", false, true },
        { "1x", false, true },
        { "", false, false },
        { "-x", false, false },
        { "x-", false, true },
        { "X", false, false },
        { "a/b", false, false },
        { "..", false, false },
        { "a b", false, false },
        { "abcdefghijklmnopqrstuvwxyz012345", false, true },
        { "abcdefghijklmnopqrstuvwxyz0123456", false, false },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("'%s'\n", rows[i].text);
        assert_int_equal(xeno_net_instance_ok(rows[i].text), rows[i].instance);
        assert_int_equal(xeno_net_session_ok(rows[i].text), rows[i].session);
    }
}

static void addresses(void **state)
{
    static const char *bad[] = { "",         "1.2.3",    "1.2.3.4.5", "1.2.3.256", " 1.2.3.4",
                                 "1.2.3.4 ", "01.2.3.4", "::1",       "1.2.3.-4",  "localhost" };
    char text[XENO_NET_ADDRESS_TEXT];
    uint32_t a = 7;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        print_message("'%s'\n", bad[i]);
        assert_int_equal(xeno_net_address_parse(bad[i], &a, NULL), -EINVAL);
        assert_int_equal(a, 7);
    }
    assert_int_equal(xeno_net_address_parse(NULL, &a, NULL), -EINVAL);
    assert_int_equal(xeno_net_address_parse("10.201.1.7", &a, NULL), 0);
    assert_int_equal(a, 0x0ac90107);
    assert_string_equal(xeno_net_address_text(a, text), "10.201.1.7");
    assert_string_equal(xeno_net_address_text(UINT32_MAX, text), "255.255.255.255");
}

static void prefixes(void **state)
{
    static const struct {
        const char *text;
        int want;
        uint32_t base;
        uint8_t bits;
    } rows[] = {
        { "10.201.1.0/24", 0, 0x0ac90100, 24 },  { "0.0.0.0/0", 0, 0, 0 },
        { "1.2.3.4/32", 0, 0x01020304, 32 },     { "10.0.0.0/8", 0, 0x0a000000, 8 },
        { "10.201.1.1/24", -EINVAL, 0, 0 },      { "10.201.1.0", -EINVAL, 0, 0 },
        { "10.201.1.0/", -EINVAL, 0, 0 },        { "10.201.1.0/33", -EINVAL, 0, 0 },
        { "10.201.1.0/024", -EINVAL, 0, 0 },     { "10.201.1.0/08", -EINVAL, 0, 0 },
        { "10.201.1.0/-1", -EINVAL, 0, 0 },      { "/24", -EINVAL, 0, 0 },
        { "10.201.1.0/24/", -EINVAL, 0, 0 },     { "10.201.1.0/2x", -EINVAL, 0, 0 },
        { "255.255.255.2550/8", -EINVAL, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_net_prefix p = { .base = 1, .bits = 99 };

        print_message("'%s'\n", rows[i].text);
        assert_int_equal(xeno_net_prefix_parse(rows[i].text, &p, NULL), rows[i].want);
        assert_int_equal(p.base, rows[i].want ? 1 : rows[i].base);
        assert_int_equal(p.bits, rows[i].want ? 99 : rows[i].bits);
    }
    assert_int_equal(xeno_net_prefix_parse(NULL, &(struct xeno_net_prefix){ 0 }, NULL), -EINVAL);
}

static void pool(void **state)
{
    const struct xeno_net_prefix p = { .base = 0x0ac90100, .bits = 24 };
    const struct xeno_net_prefix all = { 0 };

    (void)state;
    assert_int_equal(xeno_net_gateway_of(p), 0x0ac90101);
    assert_int_equal(xeno_net_last_of(p), 0x0ac901ff);
    assert_false(xeno_net_address_usable(p, 0x0ac90100));
    assert_false(xeno_net_address_usable(p, 0x0ac90101));
    assert_true(xeno_net_address_usable(p, 0x0ac90102));
    assert_true(xeno_net_address_usable(p, 0x0ac901fe));
    assert_false(xeno_net_address_usable(p, 0x0ac901ff));
    assert_false(xeno_net_address_usable(p, 0x0ac90202));
    assert_true(xeno_net_prefix_has(all, 0x01020304));
}

static void cables(void **state)
{
    char name[IFNAMSIZ];
    uint32_t n = 99;

    (void)state;
    xeno_net_bridge_name("abcdefgh", name);
    assert_string_equal(name, "xb-abcdefgh");
    xeno_net_cable_name("abcdefgh", 0xffff, name);
    assert_string_equal(name, "xvabcdefgh-ffff");
    assert_true(xeno_net_cable_number("abcdefgh", name, &n));
    assert_int_equal(n, 0xffff);
    n = 99;
    assert_false(xeno_net_cable_number("abcdefg", name, &n));
    assert_false(xeno_net_cable_number("x1", "xvx1-", &n));
    assert_false(xeno_net_cable_number("x1", "xvx1-0a", &n));
    assert_false(xeno_net_cable_number("x1", "xvx1-A", &n));
    assert_false(xeno_net_cable_number("x1", "xvx1-10000", &n));
    assert_false(xeno_net_cable_number("x1", "xvx1-2x", &n));
    assert_false(xeno_net_cable_number("x1", "eth0", &n));
    assert_int_equal(n, 99);
    assert_true(xeno_net_cable_number("x1", "xvx1-a", &n));
    assert_int_equal(n, 10);
}

static void macs(void **state)
{
    static const uint8_t own[] = { 0x02, 0x78, 0x0a, 0xc9, 0x01, 0x07 };
    uint8_t mac[XENO_NET_MAC_LEN], host[XENO_NET_MAC_LEN];

    (void)state;
    xeno_net_mac_session(0x0ac90107, mac);
    xeno_net_mac_host(0x0ac90107, host);
    assert_memory_equal(mac, own, sizeof own);
    assert_memory_not_equal(mac, host, sizeof host);
    assert_int_equal(mac[0] & 3, 2); /* local, unicast */
    assert_int_equal(host[0] & 3, 2);
}

static void buckets(void **state)
{
    static const uint32_t rates[] = { 8, 1000, 10000, 100000, 1000000, 10000000 };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rates); i++) {
        uint32_t burst = xeno_rtnl_burst_bytes(rates[i]), queue = xeno_rtnl_queue_bytes(rates[i]);

        assert_in_range(burst, 16384, 4 << 20);
        assert_in_range(queue, burst + 16384, 64 << 20);
    }
    assert_int_equal(xeno_rtnl_burst_bytes(10000), 16384);
    assert_int_equal(xeno_rtnl_burst_bytes(100000), 50000);
    assert_int_equal(xeno_rtnl_queue_bytes(10000), 16384 + 62500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),   cmocka_unit_test(addresses), cmocka_unit_test(prefixes),
        cmocka_unit_test(pool),    cmocka_unit_test(cables),    cmocka_unit_test(macs),
        cmocka_unit_test(buckets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
