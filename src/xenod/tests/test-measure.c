/* src/xenod/tests/test-measure.c - round trips to ourselves, in a network of our own if we may. */
#include "xenod/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static struct xenod_measure_from from;
static struct xenod_measured measured;
static struct xenod_traced traced;
static bool done, own_net;

static void on_measured(void *arg, const struct xenod_measured *m)
{
    (void)arg;
    measured = *m;
    done = true;
}

static void on_traced(void *arg, const struct xenod_traced *t)
{
    (void)arg;
    traced = *t;
    done = true;
}

static void run(void)
{
    for (int i = 0; i < 1000 && !done; i++)
        assert_true(sd_event_run(from.loop, 20 * 1000000) >= 0);
    assert_true(done);
    done = false;
}

static union xenod_address address(const char *text, uint16_t port)
{
    union xenod_address a;

    assert_int_equal(xenod_address_parse(text, port, &a, NULL), 0);
    return a;
}

/* A port of the loopback that somebody listens on, and one that nobody does. */
static uint16_t listener(int *ret)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof sin;

    *ret = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(*ret, (struct sockaddr *)&sin, sizeof sin), 0);
    assert_int_equal(listen(*ret, 8), 0);
    assert_int_equal(getsockname(*ret, (struct sockaddr *)&sin, &len), 0);
    return ntohs(sin.sin_port);
}

static void by_tcp(void **state)
{
    struct xenod_measure *m;
    union xenod_address to;
    int fd;
    uint16_t port = listener(&fd);

    (void)state;
    for (int open = 1; open >= 0; open--) {
        to = address("127.0.0.1", port);
        assert_int_equal(
            xenod_measure_start(&from, XENOD_MEASURE_TCP, &to, 3, on_measured, NULL, &m, NULL), 0);
        run();
        assert_int_equal(measured.sent, 3);
        assert_int_equal(measured.got, 3); /* a refusal is an answer, too */
        for (int i = 0; i < 3; i++)
            assert_in_range(measured.rtt_us[i], 1, 1500000);
        if (open)
            close(fd);
    }
}

/* No address says anything about ICMP here: one that may not be connected to is not answered. */
static void no_way(void **state)
{
    static const struct {
        const char *to;
        enum xenod_measure_kind kind;
    } rows[] = {
        { "192.0.2.1", XENOD_MEASURE_TCP },
        { "192.0.2.1", XENOD_MEASURE_ICMP },
        { "127.255.255.255", XENOD_MEASURE_TCP }, /* a broadcast: the kernel says EACCES */
        { "127.255.255.255", XENOD_MEASURE_ICMP },
    };

    (void)state;
    if (!own_net)
        skip();
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        union xenod_address to = address(rows[i].to, 443);
        struct xenod_measure *m;

        assert_int_equal(
            xenod_measure_start(&from, rows[i].kind, &to, 2, on_measured, NULL, &m, NULL), 0);
        run();
        assert_int_equal(measured.sent, 2);
        assert_int_equal(measured.got, 0);
    }
}

static void by_icmp(void **state)
{
    static const char *const to_text[] = { "127.0.0.1", "::1" };

    (void)state;
    if (!own_net)
        skip();
    for (size_t i = 0; i < XENO_LEN(to_text); i++) {
        union xenod_address to = address(to_text[i], 0);
        struct xenod_measure *m;

        assert_int_equal(
            xenod_measure_start(&from, XENOD_MEASURE_ICMP, &to, 5, on_measured, NULL, &m, NULL), 0);
        run();
        assert_int_equal(measured.got, 5);
        assert_in_range(measured.rtt_us[4], 1, 1500000);
    }
}

static void a_way(void **state)
{
    static const char *const to_text[] = { "127.0.0.1", "::1" };

    (void)state;
    if (!own_net)
        skip();
    for (size_t i = 0; i < XENO_LEN(to_text); i++) {
        union xenod_address to = address(to_text[i], 0);
        struct xenod_trace *t;

        assert_int_equal(xenod_trace_start(&from, &to, 8, on_traced, NULL, &t, NULL), 0);
        run();
        assert_int_equal(traced.count, 1);
        assert_true(traced.reached);
        assert_string_equal(traced.hops[0].address, to_text[i]);
    }
}

static void left_alone(void **state)
{
    union xenod_address to = address("127.0.0.1", 9);
    struct xenod_measure *m;
    struct xenod_trace *t;

    (void)state;
    assert_int_equal(
        xenod_measure_start(&from, XENOD_MEASURE_TCP, &to, 5, on_measured, NULL, &m, NULL), 0);
    assert_int_equal(xenod_trace_start(&from, &to, 8, on_traced, NULL, &t, NULL), 0);
    assert_true(sd_event_run(from.loop, 1000) >= 0);
    xenod_measure_cancel(m);
    xenod_trace_cancel(t);
    assert_int_equal(sd_event_run(from.loop, 1000), 0);
    assert_false(done);
}

static void net_of_our_own(void)
{
    struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    static const char all[] = "0 2147483647";
    int fd, ctl;

    if (unshare(CLONE_NEWNET) < 0)
        return;
    ctl = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
    own_net = ioctl(ctl, SIOCSIFFLAGS, &r) == 0 && write(fd, all, sizeof all - 1) > 0;
    close(fd);
    close(ctl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_tcp), cmocka_unit_test(no_way),     cmocka_unit_test(by_icmp),
        cmocka_unit_test(a_way),  cmocka_unit_test(left_alone),
    };
    int r;

    net_of_our_own();
    from.env = xeno_env_real();
    if (sd_event_new(&from.loop) < 0)
        return 1;
    r = cmocka_run_group_tests(tests, NULL, NULL);
    sd_event_unref(from.loop);
    return r;
}
