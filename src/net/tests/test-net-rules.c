/* src/net/tests/test-net-rules.c - the text of the rules; that nft takes it is a system test's. */
#include "net/rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static const struct xeno_net_rules plain = { .instance = "x1",
                                             .pool = { .base = 0x0ac90100, .bits = 24 } };

static bool has(const char *text, const char *line)
{
    xeno_autofree char *whole = xeno_asprintf("%s\n", line);

    return strstr(text, whole) != NULL;
}

static void names_and_addresses(void **state)
{
    xeno_autofree char *text = xeno_net_rules_text(&plain);

    (void)state;
    assert_true(has(text, "add table inet xeno-x1"));
    assert_true(has(text, "add rule inet xeno-x1 ingress iifname \"xvx1-*\" jump from_cable"));
    assert_true(has(text, "add rule inet xeno-x1 to_host ip daddr 10.201.1.1 icmp type "
                          "echo-request accept"));
    assert_true(has(text, "add rule inet xeno-x1 from_session ip daddr { 169.254.0.0/16, "
                          "10.201.1.0/24 } goto refuse"));
    assert_null(strstr(text, "@I"));
    assert_null(strstr(text, "@G"));
    assert_null(strstr(text, "@P"));
    assert_null(strstr(text, "@U"));
}

/* Every chain is emptied before it is filled, the sets of sessions never are. */
static void reload_keeps_sessions(void **state)
{
    xeno_autofree char *text = xeno_net_rules_text(&plain);
    const char *first_rule = strstr(text, "add rule ");

    (void)state;
    assert_non_null(first_rule);
    for (const char *at = text; (at = strstr(at, "flush chain ")) != NULL; at++)
        assert_true(at < first_rule);
    assert_null(strstr(text, "flush set inet xeno-x1 source"));
    assert_null(strstr(text, "flush map"));
    assert_null(strstr(text, "delete"));
    assert_true(has(text, "flush chain inet xeno-x1 from_cable"));
}

static void operators_choice(void **state)
{
    const struct xeno_net_prefix deny[] = { { .base = 0xc0a80000, .bits = 16 } };
    const uint32_t dns[] = { 0x08080808, 0x01010101 };
    struct xeno_net_rules rules = plain;
    xeno_autofree char *text = NULL;

    (void)state;
    rules.uplink = "eth0";
    rules.deny = deny;
    rules.n_deny = XENO_LEN(deny);
    rules.dns = dns;
    rules.n_dns = XENO_LEN(dns);
    text = xeno_net_rules_text(&rules);
    assert_true(has(text, "add rule inet xeno-x1 from_session oifname != \"eth0\" goto refuse"));
    assert_true(has(text, "add element inet xeno-x1 deny { 192.168.0.0/16 }"));
    assert_true(has(text, "add element inet xeno-x1 dns { 8.8.8.8 }"));
    assert_true(has(text, "add element inet xeno-x1 dns { 1.1.1.1 }"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_addresses),
        cmocka_unit_test(reload_keeps_sessions),
        cmocka_unit_test(operators_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
