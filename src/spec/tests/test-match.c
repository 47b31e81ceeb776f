/* src/spec/tests/test-match.c */
#include "spec/match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const types[] = { "Linux", "Null", NULL };

static void kernels(void **state)
{
    static const struct {
        const char *a, *b;
        int want;
    } rows[] = {
        { "2.4.18", "2.4.18", 0 },      { "6.1.0-18-amd64", "6.1", 0 }, { "6.18.44", "2.4.18", 1 },
        { "2.4.18", "6.18.44", -1 },    { "6.1.2", "6.1.10", -1 },      { "10.0", "9.9", 1 },
        { "6.18.44+", "6.18.44-x", 0 }, { "5", "5.0.0.1", -1 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_int_equal(xeno_kernel_compare(rows[i].a, rows[i].b), rows[i].want);
}

static void matching(void **state)
{
    const struct xeno_offer offer = {
        .env_types = types,
        .kernel = "6.1.0",
        .cpu_msps = 2000,
        .memory_bytes = INT64_C(1) << 30,
        .disk_bytes = INT64_C(2) << 30,
        .net_kbps = 100000,
        .pids = 1000,
        .port_first = 20000,
        .port_last = 20100,
    };
    struct row {
        const char *token; /* NULL: matches */
        const char *says;
        struct xeno_requirement req;
    } rows[] = {
        { NULL, "", { .env_type = "Linux" } },
        { NULL, "", { .env_type = "Null", .kernel = "2.4.18", .cpu_msps = 2000 } },
        { "host.env-type", "runs Linux, Null, not Windows", { .env_type = "Windows" } },
        { "host.env-type", "not linux", { .env_type = "linux" } },
        { "host.kernel",
          "6.1.0, which is older than 6.2",
          { .env_type = "Linux", .kernel = "6.2" } },
        { "admission.cpu", "CPUmsps: 2001", { .env_type = "Linux", .cpu_msps = 2001 } },
        { "admission.memory",
          "MemoryMB: 1025 MB were asked for, the most a session can get here is 1024",
          { .env_type = "Linux", .memory_bytes = INT64_C(1025) << 20 } },
        { "admission.disk", "DiskMB", { .env_type = "Linux", .disk_bytes = INT64_MAX } },
        { "admission.net", "101 Mbit/s", { .env_type = "Linux", .net_kbps = 101000 } },
        { "admission.pids", "MaxProcesses", { .env_type = "Linux", .pids = 1001 } },
        { "admission.addresses", "EnvIPAddresses", { .env_type = "Linux", .addresses = 1 } },
        { "admission.ports",
          "20000 to 20100",
          { .env_type = "Linux", .port_count = 1, .ports = { { 80, 8080, XENO_PROTO_TCP } } } },
        { NULL,
          "",
          { .env_type = "Linux", .port_count = 1, .ports = { { 80, 20100, XENO_PROTO_TCP } } } },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_match(&rows[i].req, &offer, &err);

        print_message("%s\n", err.text);
        assert_int_equal(r < 0, rows[i].token != NULL);
        if (rows[i].token)
            assert_string_equal(err.token, rows[i].token);
        assert_non_null(strstr(err.text, rows[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels),
        cmocka_unit_test(matching),
    };
    return cmocka_run_group_tests_name("match", tests, NULL, NULL);
}
