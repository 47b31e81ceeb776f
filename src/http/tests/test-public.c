/* src/http/tests/test-public.c - which addresses are of the public internet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "http/public.h"

static const struct {
    const char *address;
    bool want;
} rows[] = {
    { "8.8.8.8", true },
    { "1.1.1.1", true },
    { "223.255.255.255", true },
    { "0.0.0.0", false },
    { "0.1.2.3", false },
    { "9.255.255.255", true },
    { "10.0.0.0", false },
    { "10.255.255.255", false },
    { "11.0.0.0", true },
    { "100.63.255.255", true },
    { "100.64.0.0", false },
    { "100.127.255.255", false },
    { "100.128.0.0", true },
    { "126.255.255.255", true },
    { "127.0.0.1", false },
    { "127.255.255.254", false },
    { "128.0.0.0", true },
    { "169.253.255.255", true },
    { "169.254.169.254", false },
    { "172.15.255.255", true },
    { "172.16.0.0", false },
    { "172.31.255.255", false },
    { "172.32.0.0", true },
    { "192.0.0.8", false },
    { "192.0.1.1", true },
    { "192.0.2.1", false },
    { "192.88.99.1", false },
    { "192.167.255.255", true },
    { "192.168.0.1", false },
    { "192.169.0.0", true },
    { "198.17.255.255", true },
    { "198.18.0.0", false },
    { "198.19.255.255", false },
    { "198.20.0.0", true },
    { "198.51.100.7", false },
    { "203.0.113.7", false },
    { "224.0.0.1", false },
    { "240.0.0.1", false },
    { "255.255.255.255", false },
    { "2606:4700:4700::1111", true },
    { "2a00:1450:4001::1", true },
    { "::", false },
    { "::1", false },
    { "::ffff:8.8.8.8", true },
    { "::ffff:127.0.0.1", false },
    { "::ffff:169.254.169.254", false },
    { "::127.0.0.1", false },
    { "64:ff9b::8.8.8.8", true },
    { "64:ff9b::10.0.0.1", false },
    { "64:ff9b:1::1", false },
    { "100::1", false },
    { "2001::1", false },
    { "2001:1ff::1", false },
    { "2001:200::1", true },
    { "2001:db8::1", false },
    { "2002:7f00:1::1", false },
    { "3fff::1", false },
    { "3fff:1000::1", true },
    { "4000::1", false },
    { "fc00::1", false },
    { "fd12:3456::1", false },
    { "fe80::1", false },
    { "ff02::1", false },
};

static void addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        bool have;

        print_message("%s\n", rows[i].address);
        if (inet_pton(AF_INET, rows[i].address, &in.sin_addr) == 1) {
            have = xeno_http_public((struct sockaddr *)&in);
        } else {
            assert_int_equal(inet_pton(AF_INET6, rows[i].address, &in6.sin6_addr), 1);
            have = xeno_http_public((struct sockaddr *)&in6);
        }
        assert_int_equal(have, rows[i].want);
    }
}

static void other_families(void **state)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };

    (void)state;
    assert_false(xeno_http_public((struct sockaddr *)&un));
}

static void to_sockaddr(const char *text, struct sockaddr_in6 *ret)
{
    struct sockaddr_in in = { .sin_family = AF_INET };

    *ret = (struct sockaddr_in6){ .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        memcpy(ret, &in, sizeof in);
    else
        assert_int_equal(inet_pton(AF_INET6, text, &ret->sin6_addr), 1);
}

static void networks(void **state)
{
    static const struct {
        const char *list, *address;
        bool want;
    } in[] = {
        { "", "127.0.0.1", false },
        { "127.0.0.0/8", "127.9.0.1", true },
        { "127.0.0.0/8", "128.0.0.1", false },
        { "10.79.0.0/15", "10.78.0.3", true },
        { "10.79.0.0/15", "10.80.0.3", false },
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "192.0.2.1, fd00::/8", "fd12::1", true },
        { "fd00::/9", "fd80::1", false },
        { "0.0.0.0/0", "203.0.113.9", true },
        { "0.0.0.0/0", "fd12::1", false },
    };
    static const char *const wrong[] = { "127.0.0.0/33", "127.0.0.0/", "127.0.0.0/-1", "local",
                                         "fd00::/129",   "::1/8x",     "10.0.0.0/8,10" };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(in); i++) {
        struct sockaddr_in6 a;

        print_message("%s in '%s'\n", in[i].address, in[i].list);
        to_sockaddr(in[i].address, &a);
        assert_int_equal(xeno_http_networks_check(in[i].list, NULL), 0);
        assert_int_equal(xeno_http_networks_have(in[i].list, (struct sockaddr *)&a), in[i].want);
    }
    assert_false(xeno_http_networks_have(NULL, (struct sockaddr *)&(struct sockaddr_in6){ 0 }));
    for (size_t i = 0; i < XENO_LEN(wrong); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        print_message("%s\n", wrong[i]);
        assert_int_equal(xeno_http_networks_check(wrong[i], &err), -EINVAL);
        assert_string_equal(err.token, "conf.range");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(other_families),
        cmocka_unit_test(networks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
