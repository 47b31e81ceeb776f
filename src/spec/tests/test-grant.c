/* src/spec/tests/test-grant.c */
#include "spec/grant.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct xeno_grant full = {
    .cpu_msps = 150,
    .cpu_burst_ms = 15,
    .memory_bytes = 64 << 20,
    .disk_bytes = 32 << 20,
    .net_kbps = 5000,
    .pids = 64,
    .addresses = 1,
    .address = "10.1.2.3",
    .port_count = 2,
    .ports = { { 80, 20080, XENO_PROTO_TCP }, { 53, 0, XENO_PROTO_UDP } },
};

static int read_text(const char *text, struct xeno_grant *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;

    assert_int_equal(xeno_json_parse(text, strlen(text), 65536, &j, NULL), 0);
    at = xeno_json_top(j);
    return xeno_grant_read(&at, ret, err);
}

static void there_and_back(void **state)
{
    xeno_auto(xeno_json) j = xeno_grant_json(&full);
    xeno_autofree char *text = xeno_json_format(j, false, NULL);
    struct xeno_grant g = { .cpu_msps = 1 };

    (void)state;
    assert_int_equal(read_text(text, &g, NULL), 0);
    assert_true(xeno_grant_equal(&g, &full));
    g.ports[1].host_port = 1;
    assert_false(xeno_grant_equal(&g, &full));
    assert_null(strstr(text, "\"host_port\":0"));
}

#define MOST(cpu, mem)                                                                             \
    "{\"cpu_msps\":" cpu ",\"cpu_burst_ms\":0,\"memory_bytes\":" mem                               \
    ",\"disk_bytes\":4194304,\"net_kbps\":1,\"pids\":1"

static void bounds(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { MOST("1", "4194304") "}", NULL },
        { MOST("1", "4194304") ",\"layers\":[]}", NULL },
        { MOST("0", "4194304") "}", "cpu_msps" },
        { MOST("1000001", "4194304") "}", "cpu_msps" },
        { MOST("1", "4194303") "}", "memory_bytes" },
        { MOST("1", "17592186044417") "}", "memory_bytes" },
        { MOST("1", "\"4M\"") "}", "memory_bytes" },
        { MOST("1", "4194304") ",\"address\":\"10.0.0.256\"}", "address" },
        { MOST("1", "4194304") ",\"address\":\"010.0.0.1\"}", "address" },
        { MOST("1", "4194304") ",\"addresses\":2}", "addresses" },
        { MOST("1", "4194304") ",\"ports\":[{\"port\":0}]}", "ports[0].port" },
        { MOST("1", "4194304") ",\"ports\":[{\"port\":1,\"proto\":\"icm\"}]}", "proto" },
        { MOST("1", "4194304") ",\"ports\":[{\"port\":1,\"host_port\":65536}]}", "host_port" },
        { "{}", "cpu_msps" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_grant g = full;
        struct xeno_err err = XENO_ERR_INIT;
        int r = read_text(rows[i].text, &g, &err);

        print_message("%s\n", err.text);
        assert_int_equal(r, rows[i].says ? -EINVAL : 0);
        if (rows[i].says) {
            assert_non_null(strstr(err.text, rows[i].says));
            assert_true(xeno_grant_equal(&g, &full)); /* untouched */
        }
    }
}

static void host_names(void **state)
{
    static const struct {
        const char *name, *want;
    } rows[] = {
        { "MyEnvironment", "myenvironment" },
        { "my web 1.0", "my-web-1-0" },
        { "..a..", "a" },
        { "---", "session" },
        { "", "session" },
    };
    char out[XENO_HOSTNAME_TEXT];
    char longer[200];

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_hostname_from(rows[i].name, out);
        assert_string_equal(out, rows[i].want);
    }
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    xeno_hostname_from(longer, out);
    assert_int_equal(strlen(out), 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(bounds),
        cmocka_unit_test(host_names),
    };
    return cmocka_run_group_tests_name("grant", tests, NULL, NULL);
}
