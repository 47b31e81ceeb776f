/* src/xenod/tests/test-parts.c - log lines, signal names, ports in use, options. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "xenod/inuse.h"
#include "xenod/logs.h"
#include "xenod/advertise.h"
#include "xenod/options.h"
#include "xenod/signals.h"

/* --- logs --- */

#define AT "2026-11-21T10:33:00.123456789+00:00 "

static void log_lines(void **state)
{
    static const char text[] = AT "stdout F one\n" AT "stderr F bad\n" AT "stdout P two,\n" AT
                                  "stdout F three\n" AT "stdout F \nodd line\n";
    static const struct {
        unsigned want;
        const char *out;
    } rows[] = {
        { XENOD_LOG_STDOUT | XENOD_LOG_STDERR, "one\nbad\ntwo,three\n\nodd line\n" },
        { XENOD_LOG_STDOUT, "one\ntwo,three\n\nodd line\n" },
        { XENOD_LOG_STDERR, "bad\nodd line\n" },
        { XENOD_LOG_STDERR | XENOD_LOG_TIMES, AT "stderr F bad\nodd line\n" },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        for (size_t piece = 1; piece <= sizeof text; piece += 7) { /* however it is cut */
            struct xenod_log_reader rd = { .want = rows[i].want };
            xeno_autobuf out = XENO_BUF_INIT;

            for (size_t at = 0; at < sizeof text - 1; at += piece) {
                size_t n = sizeof text - 1 - at < piece ? sizeof text - 1 - at : piece;

                xenod_log_feed(&rd, text + at, n, &out);
            }
            assert_string_equal(out.data, rows[i].out);
            xenod_log_release(&rd);
        }
    }
}

static void a_line_without_end_is_bounded(void **state)
{
    struct xenod_log_reader rd = { .want = XENOD_LOG_STDOUT };
    xeno_autobuf out = XENO_BUF_INIT;
    char chunk[4096];

    (void)state;
    memset(chunk, 'a', sizeof chunk);
    for (int i = 0; i < 64; i++)
        xenod_log_feed(&rd, chunk, sizeof chunk, &out);
    assert_true(rd.line.room < 256 * 1024);
    assert_true(out.len > 100 * 1024);
    xenod_log_release(&rd);
}

static void log_tail(void **state)
{
    static const struct {
        const char *text;
        size_t lines, at;
    } rows[] = {
        { "a\nb\nc\n", 1, 4 }, { "a\nb\nc\n", 2, 2 }, { "a\nb\nc\n", 3, 0 },
        { "a\nb\nc\n", 9, 0 }, { "a\nb\nc", 1, 4 },   { "a\nb\nc\n", 0, 6 },
        { "", 1, 0 },          { "a", 1, 0 },         { "\n\n", 1, 1 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_int_equal(xenod_log_tail(rows[i].text, strlen(rows[i].text), rows[i].lines),
                         rows[i].at);
}

/* --- signals --- */

static void signal_names(void **state)
{
    static const struct {
        const char *text;
        int want; /* 0: refused */
    } rows[] = {
        { "TERM", 15 }, { "SIGTERM", 15 }, { "15", 15 }, { "KILL", 9 }, { "HUP", 1 },
        { "64", 64 },   { "65", 0 },       { "0", 0 },   { "-9", 0 },   { "term", 0 },
        { "", 0 },      { "9x", 0 },       { "SIG", 0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        int signo = 77;
        int r = xenod_signal_parse(rows[i].text, &signo, NULL);

        assert_int_equal(r, rows[i].want ? 0 : -EINVAL);
        assert_int_equal(signo, rows[i].want ? rows[i].want : 77);
    }
}

/* --- options --- */

static void pools(void **state)
{
    static const struct {
        const char *text;
        uint32_t first, count; /* 0: refused */
    } rows[] = {
        { "10.201.1.0/24", 0x0ac90102, 253 },
        { "10.201.0.0/16", 0x0ac90002, 65533 },
        { "10.0.0.8/29", 0x0a00000a, 5 },
        { "10.201.1.1/24", 0, 0 },
        { "10.201.1.0/30", 0, 0 },
        { "10.0.0.0/8", 0, 0 },
        { "10.201.1.0", 0, 0 },
        { "10.201.1.0/24x", 0, 0 },
        { "256.0.0.0/24", 0, 0 },
        { "/24", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        uint32_t first = 0, count = 0;
        int r = xenod_pool_parse(rows[i].text, &first, &count, NULL);

        assert_int_equal(r, rows[i].count ? 0 : -EINVAL);
        assert_int_equal(first, rows[i].first);
        assert_int_equal(count, rows[i].count);
    }
}

static void options_together(void **state)
{
    static const struct {
        const char *name, *value, *says; /* NULL: accepted */
    } rows[] = {
        { "instance", "x2", NULL },
        { "instance", "2x", "instance" },
        { "instance", "x-1", "instance" },
        { "port-first", "30000", "port-first" },
        { "warn-last", "20", "warn-last" },
        { "hold-ttl", "10m", "hold-ttl" },
        { "pool", "10.0.0.1/24", "pool" },
        { "own-addresses", "253", "own-addresses" },
        { "own-addresses", "252", NULL },
        { "country", "gb", "country" },
        { "country", "GB", NULL },
        { "latitude", "91", "latitude" },
        { "latitude", "x", "latitude" },
        { "latitude", "52.2", "go together" },
        { "accept", "everybody", "accept" },
        { "accept", "{\"token\":\"Client/Kind\",\"is\":\"client\"}", NULL },
        { "xis", "http://h:1", "xis" },
        { "xis", "https://", "xis" },
        { "xis", "https://h/p", "xis" },
        { "xis", "https://h:1/, https://g:1", NULL },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xenod_options o;
        struct xeno_err err = XENO_ERR_INIT;
        int r;

        xeno_conf_defaults(xenod_program.items, xenod_program.count, &o);
        assert_int_equal(xenod_options_check(&o, &err), 0);
        assert_int_equal(xeno_conf_set(xenod_program.items, xenod_program.count, &o, rows[i].name,
                                       rows[i].value, &err),
                         0);
        r = xenod_options_check(&o, &err);
        print_message("%s=%s: %s\n", rows[i].name, rows[i].value, err.text);
        assert_int_equal(r, rows[i].says ? -EINVAL : 0);
        if (rows[i].says)
            assert_non_null(strstr(err.text, rows[i].says));
        xeno_conf_release(xenod_program.items, xenod_program.count, &o);
    }
}

/* --- ports in use --- */

#define HEAD "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
#define REST " 00000000:00000000 00:00000000 00000000     0        0 57361 1 0 100 0 0 10 0\n"
#define ZERO "00000000000000000000000000000000"
#define LO6  "00000000000000000000000001000000"
#define MAP4 "0000000000000000FFFF00000100007F"

static void ports_in_use(void **state)
{
    static char tcp[] =
        HEAD "   0: 0100007F:4E27 00000000:0000 0A" REST "  10: 00000000:4E28 00000000:0000 0A" REST
             "  11: 0100007F:4E29 0100007F:D431 01" REST;
    static char tcp6[] = HEAD "   0: " LO6 ":4E27 " ZERO ":0000 0A" REST "   1: " ZERO ":4E28 " ZERO
                              ":0000 0A" REST "   2: " MAP4 ":4E29 " ZERO ":0000 0A" REST;
    static char udp[] =
        HEAD "  10: 0100007F:4E27 00000000:0000 07" REST "  11: 0100007F:4E28 0100007F:0035 01" REST
             "  12: 00000000:4E29 00000000:0000 07" REST "nonsense\n";
    static const struct {
        char *table;
        enum xeno_proto proto;
        bool has[4]; /* 20007 and on */
    } rows[] = {
        { tcp, XENO_PROTO_TCP, { true, true, false, false } },
        { tcp6, XENO_PROTO_TCP, { false, true, true, false } },
        { udp, XENO_PROTO_UDP, { true, false, true, false } },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        for (uint16_t k = 0; k < 4; k++) {
            FILE *f = fmemopen(rows[i].table, strlen(rows[i].table), "r");

            assert_non_null(f);
            print_message("table %zu, port %d\n", i, 20007 + k);
            assert_int_equal(xenod_table_has(f, rows[i].proto, (uint16_t)(20007 + k)),
                             rows[i].has[k]);
            fclose(f);
        }
}

/* --- the advert --- */

static void information_services(void **state)
{
    char *urls[XENO_REFRESH_SERVICES], list[XENO_REFRESH_SERVICES * 12 + 32] = "";
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xenod_xis_urls(NULL, urls, &err), 0);
    assert_int_equal(xenod_xis_urls(" , ", urls, &err), 0);
    assert_int_equal(xenod_xis_urls("https://a:1/, https://b", urls, &err), 2);
    assert_string_equal(urls[0], "https://a:1");
    assert_string_equal(urls[1], "https://b");
    free(urls[0]);
    free(urls[1]);
    for (int i = 0; i <= XENO_REFRESH_SERVICES; i++)
        strcat(list, "https://a:1,");
    assert_int_equal(xenod_xis_urls(list, urls, &err), -EINVAL);
    assert_non_null(strstr(err.text, "more than 16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_lines),        cmocka_unit_test(a_line_without_end_is_bounded),
        cmocka_unit_test(log_tail),         cmocka_unit_test(signal_names),
        cmocka_unit_test(ports_in_use),     cmocka_unit_test(pools),
        cmocka_unit_test(options_together), cmocka_unit_test(information_services),
    };
    return cmocka_run_group_tests_name("xenod-parts", tests, NULL, NULL);
}
