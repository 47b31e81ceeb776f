/* src/cli/tests/test-requirement.c */
#include "cli/make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct cli_option options[] = { CLI_MAKE_OPTIONS, { NULL } };

static int read_line(const char *line, struct xeno_requirement **ret, struct xeno_err *err)
{
    char room[512], *argv[64];
    struct cli_args a;
    int argc = 1, r;

    argv[0] = (char *)"run";
    snprintf(room, sizeof room, "%s", line);
    for (char *word = strtok(room, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    r = cli_args_parse(options, 0, argc, argv, &a, err);
    if (r == 0)
        r = cli_requirement(&a, ret, err);
    cli_args_release(&a);
    return r;
}

static void defaults(void **state)
{
    xeno_auto(xeno_requirement) q = NULL;

    (void)state;
    assert_int_equal(read_line("", &q, NULL), 0);
    assert_string_equal(q->env_type, "Linux");
    assert_int_equal(q->cpu_msps, 100);
    assert_int_equal(q->memory_bytes, INT64_C(128) << 20);
    assert_int_equal(q->lifetime_s, 3600);
    assert_int_equal(q->port_count, 0);
}

static void everything(void **state)
{
    xeno_auto(xeno_requirement) q = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    if (read_line("-n web --template debian --overlay a --overlay sha256:0123456789abcdef0123456789"
                  "abcdef0123456789abcdef0123456789abcdef -c 250 --burst 20 -m 64M --disk 1G --net "
                  "5 --pids 50 --address -p 80 -p 20080:81 -p 53/udp -p 5353:54/udp -l 90m "
                  "--max-total 0.5 --max-price 0.25",
                  &q, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(q->name, "web");
    assert_string_equal(q->template_ref, "template://debian");
    assert_int_equal(q->overlay_count, 2);
    assert_string_equal(q->overlays[0], "overlay://a");
    assert_memory_equal(q->overlays[1], "sha256:0123", 11);
    assert_true(q->cpu_msps == 250 && q->cpu_burst_ms == 20 && q->net_kbps == 5000);
    assert_true(q->memory_bytes == INT64_C(64) << 20 && q->disk_bytes == INT64_C(1) << 30);
    assert_true(q->pids == 50 && q->addresses == 1 && q->lifetime_s == 5400);
    assert_true(q->max_total == 500000 && q->max_per_hour == 250000);
    assert_int_equal(q->port_count, 4);
    assert_true(q->ports[0].port == 80 && q->ports[0].host_port == 0);
    assert_true(q->ports[1].port == 81 && q->ports[1].host_port == 20080);
    assert_true(q->ports[2].port == 53 && q->ports[2].proto == XENO_PROTO_UDP);
    assert_true(q->ports[3].port == 54 && q->ports[3].host_port == 5353);
}

static void refused(void **state)
{
    static const char *const rows[] = {
        "-p 0",           "-p 65536",       "-p 80/sctp",    "-p :80",     "-p 80:",
        "-p a",           "-p 1:2:3",       "-p -80",        "-m 1000",    "-m 0",
        "--disk 1.5G",    "-c 0",           "-c -5",         "--net 0",    "--pids 0",
        "-l 0s",          "-l 1",           "--max-total x", "--burst 11", "-p 80 -p 80",
        "--env-type a/b", "--template -/-",
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_requirement) q = NULL;

        if (read_line(rows[i], &q, NULL) == 0)
            fail_msg("accepted: %s", rows[i]);
        assert_null(q);
    }
}

/* A document to start from; options win over it. */
static void from_file(void **state)
{
    static const char text[] = "<EnvironmentalRequirements><Basic><EnvName>doc</EnvName>"
                               "<EnvType>Linux</EnvType></Basic><QoS><CPUmsps>300</CPUmsps>"
                               "<MemoryMB>32</MemoryMB></QoS></EnvironmentalRequirements>";
    char path[] = "/tmp/test-requirement-XXXXXX", line[128];
    int fd = mkstemp(path);
    xeno_auto(xeno_requirement) q = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    snprintf(line, sizeof line, "-f %s -m 48M", path);
    if (read_line(line, &q, &err) < 0)
        fail_msg("%s", err.text);
    unlink(path);
    assert_string_equal(q->name, "doc");
    assert_true(q->cpu_msps == 300 && q->memory_bytes == INT64_C(48) << 20);
    assert_true(read_line("-f /no/such/file", &q, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(everything),
        cmocka_unit_test(refused),
        cmocka_unit_test(from_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
