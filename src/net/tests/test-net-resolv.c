/* src/net/tests/test-net-resolv.c */
#include "net/resolv.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"

static void what_is_usable(void **state)
{
    static const struct {
        const char *text;
        const char *want; /* servers, each followed by a space */
    } rows[] = {
        { "nameserver 192.0.2.53\n", "192.0.2.53 " },
        { "nameserver\t192.0.2.53  # office\r\n", "192.0.2.53 " },
        { "nameserver 192.0.2.53", "192.0.2.53 " },
        { "nameserver 127.0.0.53\noptions edns0\n", "" },
        { "nameserver 127.0.0.1\nnameserver 192.0.2.1\n", "192.0.2.1 " },
        { "nameserver ::1\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\n", "192.0.2.1 " },
        { "nameserver 0.0.0.0\nnameserver 224.0.0.251\nnameserver 169.254.1.1\n", "" },
        { "nameserver 192.0.2.1\nnameserver 192.0.2.1\n", "192.0.2.1 " },
        { "nameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\nnameserver 4.4.4.4\n",
          "1.1.1.1 2.2.2.2 3.3.3.3 " },
        { "#nameserver 192.0.2.1\n;nameserver 192.0.2.2\nsearch 192.0.2.3\n", "" },
        { "nameserver\nnameserver \nname server 1.2.3.4\n\n\n", "" },
        { "nameserver 192.0.2.1; rm -rf\nnameserver 192.0.2.300\n", "" },
        { "", "" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_net_dns dns = { .n = 0 };
        char got[64] = "";

        xeno_net_dns_parse(rows[i].text, &dns);
        for (size_t j = 0; j < dns.n; j++) {
            strcat(got, dns.server[j]);
            strcat(got, " ");
        }
        print_message("row %zu\n", i);
        assert_string_equal(got, rows[i].want);
    }
}

static void the_text(void **state)
{
    struct xeno_net_dns dns = { .n = 0 };
    xeno_autofree char *none = xeno_net_resolv_conf(&dns);
    xeno_autofree char *two = NULL;
    xeno_autofree char *hosts = xeno_net_hosts("web", "10.201.1.7");
    struct xeno_net_dns again = { .n = 0 };

    (void)state;
    assert_int_equal(none[0], '#');
    assert_null(strstr(none, "\nnameserver"));
    xeno_net_dns_parse("nameserver 192.0.2.1\nnameserver 192.0.2.2\n", &dns);
    two = xeno_net_resolv_conf(&dns);
    xeno_net_dns_parse(two, &again);
    assert_memory_equal(&dns, &again, sizeof dns);
    assert_string_equal(hosts, "127.0.0.1\tlocalhost\n10.201.1.7\tweb\n");
}

static void put(const char *root, const char *path, const char *text)
{
    xeno_autofree char *full = xeno_asprintf("%s/%s", root, path);

    assert_int_equal(xeno_file_write(AT_FDCWD, full, 0644, text, strlen(text), NULL), 0);
}

static void the_host(void **state)
{
    char root[] = "/tmp/xeno-resolv.XXXXXX";
    struct xeno_net_dns dns = { .n = 3 };
    xeno_autofree char *etc = NULL, *run = NULL;

    (void)state;
    assert_non_null(mkdtemp(root));
    xeno_net_dns_find(root, &dns);
    assert_int_equal(dns.n, 0);
    etc = xeno_asprintf("%s/etc", root);
    run = xeno_asprintf("%s/run/systemd/resolve", root);
    assert_int_equal(xeno_mkdirs(AT_FDCWD, etc, 0755, NULL), 0);
    assert_int_equal(xeno_mkdirs(AT_FDCWD, run, 0755, NULL), 0);
    put(root, "etc/resolv.conf", "nameserver 127.0.0.53\n");
    put(root, "run/systemd/resolve/resolv.conf", "nameserver 192.0.2.9\n");
    xeno_net_dns_find(root, &dns);
    assert_int_equal(dns.n, 1);
    assert_string_equal(dns.server[0], "192.0.2.9");
    put(root, "etc/resolv.conf", "nameserver 192.0.2.8\n");
    xeno_net_dns_find(root, &dns);
    assert_int_equal(dns.n, 1);
    assert_string_equal(dns.server[0], "192.0.2.8");
    assert_int_equal(xeno_remove_tree(AT_FDCWD, root, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_usable),
        cmocka_unit_test(the_text),
        cmocka_unit_test(the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
