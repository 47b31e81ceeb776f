/* src/host/tests/test-admission.c - claims: rows, 300 asking for 100 places, and a model. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "host/admission.h"

#define MIB (INT64_C(1) << 20)

/* After the reserve and 10 % of headroom: 900 msps, 900 MiB, 9,000 MiB, 90,000 kbit/s. */
static const struct xeno_capacity cap = {
    .cpu_msps = 2000,
    .memory_bytes = 2000 * MIB,
    .disk_bytes = 11000 * MIB,
    .net_kbps = 100000,
    .reserve_cpu_msps = 1000,
    .reserve_memory_bytes = 1000 * MIB,
    .reserve_disk_bytes = 1000 * MIB,
    .headroom_percent = 10,
    .nat_first = 0x0a4d0002, /* 10.77.0.2 */
    .nat_count = 20,
    .own_first = 0xc0000210, /* 192.0.2.16 */
    .own_count = 2,
    .port_first = 30000,
    .port_last = 30009,
};

static struct xeno_grant ask(int64_t cpu, int64_t memory, int64_t disk, int64_t net)
{
    return (struct xeno_grant){ .cpu_msps = cpu,
                                .memory_bytes = memory * MIB,
                                .disk_bytes = disk * MIB,
                                .net_kbps = net,
                                .pids = 10 };
}

static const struct {
    const char *name;
    int64_t cpu, memory, disk, net;
    int want;
    const char *token;
} rows[] = {
    { "small", 100, 100, 100, 100, 0, NULL },
    { "all there is", 900, 900, 9000, 90000, 0, NULL },
    { "cpu: one too many", 901, 1, 1, 1, -ERANGE, "admission.cpu" },
    { "memory: one too many", 1, 901, 1, 1, -ERANGE, "admission.memory" },
    { "disk: one too many", 1, 1, 9001, 1, -ERANGE, "admission.disk" },
    { "net: one too many", 1, 1, 1, 90001, -ERANGE, "admission.net" },
    { "negative", -1, 1, 1, 1, -EAGAIN, "admission.cpu" },
    { "highest", INT64_MAX, 1, 1, 1, -ERANGE, "admission.cpu" },
};

static void quantity_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
        struct xeno_grant g = ask(rows[i].cpu, rows[i].memory, rows[i].disk, rows[i].net), old = g;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_admission_take(a, "x", &g, &err);

        print_message("%s\n", rows[i].name);
        assert_int_equal(r, rows[i].want);
        assert_true(xeno_admission_sound(a));
        assert_int_equal(xeno_admission_claims(a), r == 0);
        if (r < 0) {
            assert_string_equal(err.token, rows[i].token);
            assert_memory_equal(&g, &old, sizeof(g));
        } else {
            assert_string_equal(g.address, "10.77.0.2");
        }
        xeno_admission_drop(a, "x");
        assert_int_equal(xeno_admission_left(a).cpu_msps, 900);
        assert_int_equal(xeno_admission_left(a).memory_bytes, 900 * MIB);
    }
}

/* As a machine on which other programs have every port but one in three. */
static bool others_have(void *ctx, enum xeno_proto proto, uint16_t port)
{
    const int *all = ctx;

    return *all || (proto == XENO_PROTO_TCP && port % 3 != 0);
}

static void ports_of_others(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(1, 1, 1, 1), chosen, old;
    struct xeno_err err = XENO_ERR_INIT;
    int all = 0;

    (void)state;
    g.port_count = 1;
    g.ports[0] = (struct xeno_port){ .port = 80, .host_port = 30004, .proto = XENO_PROTO_TCP };
    chosen = g; /* what is sold is sold */
    snprintf(chosen.address, sizeof(chosen.address), "10.77.0.3");
    assert_int_equal(xeno_admission_adopt(a, "before", &chosen, false, NULL), 0);
    xeno_admission_ask_ports(a, others_have, &all);
    g.ports[0].host_port = 30001;
    assert_int_equal(xeno_admission_try(a, &g, &err), -EAGAIN);
    assert_int_equal(xeno_admission_take(a, "x", &g, &err), -EAGAIN);
    assert_string_equal(err.token, "admission.ports");
    assert_non_null(strstr(err.text, "30001/tcp is in use"));
    g.ports[0].host_port = 0;
    chosen = g;
    assert_int_equal(xeno_admission_take(a, "y", &chosen, NULL), 0);
    assert_int_equal(chosen.ports[0].host_port % 3, 0);
    g.ports[0].proto = XENO_PROTO_UDP;
    g.ports[0].host_port = 30001;
    assert_int_equal(xeno_admission_take(a, "z", &g, NULL), 0);
    /* And where they have all: said, and nothing is taken. */
    all = 1;
    g.port_count = 2;
    g.ports[0].host_port = g.ports[1].host_port = 0;
    old = g;
    assert_int_equal(xeno_admission_try(a, &g, NULL), -EAGAIN);
    assert_int_equal(xeno_admission_take(a, "all", &g, &err), -EAGAIN);
    assert_non_null(strstr(err.text, "other programs"));
    assert_memory_equal(&g, &old, sizeof(g));
    assert_true(xeno_admission_sound(a));
}

/* Every refusal says what was asked, what is left and what the limit is. */
static void refusal_text(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(700, 1, 1, 1), h = ask(300, 1, 1, 1);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_admission_take(a, "x", &g, NULL), 0);
    assert_int_equal(xeno_admission_take(a, "y", &h, &err), -EAGAIN);
    assert_non_null(strstr(err.text, "asked 300"));
    assert_non_null(strstr(err.text, "200 left"));
    assert_non_null(strstr(err.text, "900"));
    assert_int_equal(xeno_admission_try(a, &h, NULL), -EAGAIN);
    assert_int_equal(xeno_admission_take(a, "x", &h, NULL), -EEXIST);
}

/* A published port takes what comes to the host: one session with the daemon's own would cut all
 * others off. */
static void the_daemons_port(void **state)
{
    struct xeno_capacity c = cap;
    struct xeno_grant g = ask(1, 1, 1, 1), chosen[10];
    struct xeno_err err = XENO_ERR_INIT;
    char name[8];

    (void)state;
    c.port_daemon = 30004;
    xeno_auto(xeno_admission) a = xeno_admission_new(&c);
    xeno_admission_keep_daemon_port(a);
    g.port_count = 1;
    g.ports[0] = (struct xeno_port){ .port = 80, .host_port = 30004, .proto = XENO_PROTO_TCP };
    assert_int_equal(xeno_admission_take(a, "x", &g, &err), -EAGAIN);
    assert_string_equal(err.token, "admission.ports");
    g.ports[0].host_port = 0;
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "s%d", i);
        chosen[i] = g;
        assert_int_equal(xeno_admission_take(a, name, &chosen[i], NULL), 0);
        assert_int_not_equal(chosen[i].ports[0].host_port, 30004);
    }
    assert_int_equal(xeno_admission_take(a, "y", &g, NULL), -EAGAIN);
    assert_true(xeno_admission_sound(a));
    g.ports[0] = (struct xeno_port){ .port = 80, .host_port = 30004, .proto = XENO_PROTO_UDP };
    assert_int_equal(xeno_admission_take(a, "y", &g, NULL), 0);
}

static void addresses_and_ports(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(1, 1, 1, 1), own = g, again;
    char name[8];

    (void)state;
    /* A chosen port keeps clear of one that is asked for in the same breath. */
    g.port_count = 2;
    g.ports[0] = (struct xeno_port){ .port = 80, .proto = XENO_PROTO_TCP };
    g.ports[1] = (struct xeno_port){ .port = 81, .host_port = 30000, .proto = XENO_PROTO_TCP };
    assert_int_equal(xeno_admission_take(a, "x", &g, NULL), 0);
    assert_int_equal(g.ports[0].host_port, 30001);
    again = g;
    assert_int_equal(xeno_admission_take(a, "y", &again, NULL), -EAGAIN); /* ports are taken */
    again.ports[0].proto = again.ports[1].proto = XENO_PROTO_UDP;         /* other numbers */
    assert_int_equal(xeno_admission_take(a, "y", &again, NULL), 0);
    again.ports[0].host_port = 29999;
    assert_int_equal(xeno_admission_take(a, "z", &again, NULL), -ERANGE);
    again = ask(1, 1, 1, 1);
    again.port_count = 9; /* 8 are left */
    assert_int_equal(xeno_admission_take(a, "z", &again, NULL), -EAGAIN);
    again.port_count = 2;
    again.ports[0].host_port = again.ports[1].host_port = 30005;
    assert_int_equal(xeno_admission_take(a, "z", &again, NULL), -ERANGE);

    own.addresses = 1;
    own.port_count = 20; /* of its own address: all of them are its own */
    for (int i = 0; i < 3; i++) {
        struct xeno_grant o = own;

        snprintf(name, sizeof(name), "own%d", i);
        assert_int_equal(xeno_admission_take(a, name, &o, NULL), i < 2 ? 0 : -EAGAIN);
        if (i == 1)
            assert_string_equal(o.address, "192.0.2.17");
    }
    assert_true(xeno_admission_sound(a));
}

/* What is given back is the last to be given out again. */
static void next_fit(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(1, 1, 1, 1), h = g;

    (void)state;
    g.port_count = h.port_count = 1;
    assert_int_equal(xeno_admission_take(a, "x", &g, NULL), 0);
    xeno_admission_drop(a, "x");
    assert_int_equal(xeno_admission_take(a, "x", &h, NULL), 0);
    assert_string_not_equal(g.address, h.address);
    assert_int_not_equal(g.ports[0].host_port, h.ports[0].host_port);
}

static void parking(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(600, 600, 600, 600), h = ask(600, 600, 600, 600);

    (void)state;
    assert_int_equal(xeno_admission_take(a, "x", &g, NULL), 0);
    assert_int_equal(xeno_admission_take(a, "y", &h, NULL), -EAGAIN);
    xeno_admission_park(a, "x");
    xeno_admission_park(a, "x");
    assert_int_equal(xeno_admission_left(a).cpu_msps, 900);
    assert_int_equal(xeno_admission_left(a).disk_bytes, 8400 * MIB); /* kept */
    assert_int_equal(xeno_admission_take(a, "y", &h, NULL), 0);
    assert_int_equal(xeno_admission_unpark(a, "x", NULL), -EAGAIN);
    xeno_admission_rename(a, "y", "z");
    xeno_admission_drop(a, "z");
    assert_int_equal(xeno_admission_unpark(a, "x", NULL), 0);
    assert_int_equal(xeno_admission_unpark(a, "x", NULL), 0);
    assert_int_equal(xeno_admission_left(a).cpu_msps, 300);
    assert_true(xeno_admission_sound(a));
    xeno_admission_park(a, "x");
    xeno_admission_drop(a, "x");
    assert_int_equal(xeno_admission_left(a).disk_bytes, 9000 * MIB);
}

/* A journal that sells something twice is refused; totals are not looked at. */
static void adopting(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(800, 800, 800, 800), h = g;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_admission_adopt(a, "x", &g, false, &err), -EEXIST); /* no address */
    snprintf(g.address, sizeof(g.address), "10.77.0.5");
    g.port_count = 1;
    g.ports[0] = (struct xeno_port){ .port = 80, .host_port = 30003, .proto = XENO_PROTO_TCP };
    assert_int_equal(xeno_admission_adopt(a, "x", &g, false, &err), 0);
    h = g;
    assert_int_equal(xeno_admission_adopt(a, "y", &h, false, &err), -EEXIST);
    assert_string_equal(err.token, "admission.address");
    snprintf(h.address, sizeof(h.address), "10.77.0.6");
    assert_int_equal(xeno_admission_adopt(a, "y", &h, false, &err), -EEXIST);
    assert_string_equal(err.token, "admission.port");
    h.ports[0].host_port = 30004;
    assert_int_equal(xeno_admission_adopt(a, "y", &h, true, &err), 0);
    assert_int_equal(xeno_admission_left(a).cpu_msps, 100);
    xeno_admission_drop(a, "x");
    xeno_admission_drop(a, "y");
    assert_int_equal(xeno_admission_left(a).cpu_msps, 900);
    assert_int_equal(xeno_admission_left(a).ports, 10);
}

static void resizing(void **state)
{
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_grant g = ask(800, 1, 1, 1), h = ask(1, 1, 1, 1);
    struct xeno_capacity less = cap;

    (void)state;
    less.cpu_msps = 1500; /* 450 for sale */
    assert_int_equal(xeno_admission_take(a, "x", &g, NULL), 0);
    xeno_admission_resize(a, &less);
    assert_int_equal(xeno_admission_left(a).cpu_msps, 0);
    assert_int_equal(xeno_admission_take(a, "y", &h, NULL), -EAGAIN);
    xeno_admission_drop(a, "x");
    assert_int_equal(xeno_admission_left(a).cpu_msps, 450);
}

static void capacity_rows(void **state)
{
    struct xeno_capacity c = cap;

    (void)state;
    assert_int_equal(xeno_capacity_check(&c, NULL), 0);
    c.reserve_cpu_msps = c.cpu_msps + 1;
    assert_int_equal(xeno_capacity_check(&c, NULL), -EINVAL);
    c = cap;
    c.headroom_percent = 91;
    assert_int_equal(xeno_capacity_check(&c, NULL), -EINVAL);
    c = cap;
    c.memory_bytes = -1;
    assert_int_equal(xeno_capacity_check(&c, NULL), -EINVAL);
    c = cap;
    c.nat_first = UINT32_MAX;
    assert_int_equal(xeno_capacity_check(&c, NULL), -EINVAL);
}

/* --- a model: a list of what is claimed, gone through from the start each time --- */

#define MODEL_NAMES 12
struct model {
    bool taken, parked;
    struct xeno_grant g;
};

static struct xeno_free model_left(const struct model *m)
{
    struct xeno_free f = { .cpu_msps = 900,
                           .memory_bytes = 900 * MIB,
                           .disk_bytes = 9000 * MIB,
                           .net_kbps = 90000,
                           .nat_addresses = 20,
                           .own_addresses = 2,
                           .ports = 10 };

    for (int i = 0; i < MODEL_NAMES; i++) {
        if (!m[i].taken)
            continue;
        f.disk_bytes -= m[i].g.disk_bytes;
        f.cpu_msps -= m[i].parked ? 0 : m[i].g.cpu_msps;
        f.memory_bytes -= m[i].parked ? 0 : m[i].g.memory_bytes;
        f.net_kbps -= m[i].parked ? 0 : m[i].g.net_kbps;
        if (m[i].g.addresses > 0) {
            f.own_addresses--;
        } else {
            f.nat_addresses--;
            f.ports -= (int64_t)m[i].g.port_count;
        }
    }
    return f;
}

static bool model_fits(const struct model *m, const struct xeno_grant *g, bool unpark)
{
    struct xeno_free f = model_left(m);

    return g->cpu_msps <= f.cpu_msps && g->memory_bytes <= f.memory_bytes &&
           g->net_kbps <= f.net_kbps &&
           (unpark ||
            (g->disk_bytes <= f.disk_bytes &&
             (g->addresses > 0 ? f.own_addresses > 0
                               : f.nat_addresses > 0 && (int64_t)g->port_count <= f.ports)));
}

static void model_step(struct xeno_env_test *t, struct xeno_admission *a, struct model *m)
{
    unsigned i = xeno_env_test_next(t) % MODEL_NAMES;
    char name[8];

    snprintf(name, sizeof(name), "c%u", i);
    switch (xeno_env_test_next(t) % 4) {
    case 0: {
        struct xeno_grant g =
            ask((int64_t)(xeno_env_test_next(t) % 400), (int64_t)(xeno_env_test_next(t) % 400),
                (int64_t)(xeno_env_test_next(t) % 3000), (int64_t)(xeno_env_test_next(t) % 40000));
        bool fits;

        g.addresses = xeno_env_test_next(t) % 8 == 0;
        g.port_count = xeno_env_test_next(t) % 4;
        fits = !m[i].taken && model_fits(m, &g, false);
        assert_int_equal(xeno_admission_take(a, name, &g, NULL) == 0, fits);
        if (fits)
            m[i] = (struct model){ .taken = true, .g = g };
        break;
    }
    case 1:
        xeno_admission_drop(a, name);
        m[i].taken = false;
        break;
    case 2:
        xeno_admission_park(a, name);
        m[i].parked = true;
        break;
    default: {
        bool fits = m[i].taken && (!m[i].parked || model_fits(m, &m[i].g, true));

        assert_int_equal(xeno_admission_unpark(a, name, NULL) == 0, fits);
        if (fits)
            m[i].parked = false;
    }
    }
}

static void against_model(void **state)
{
    struct model m[MODEL_NAMES] = { 0 };
    xeno_auto(xeno_admission) a = xeno_admission_new(&cap);
    struct xeno_env_test t;

    (void)state;
    xeno_env_test_init(&t, xeno_s(1000), 42);
    for (int step = 0; step < 20000; step++) {
        struct xeno_free want, is;

        model_step(&t, a, m);
        want = model_left(m);
        is = xeno_admission_left(a);
        assert_int_equal(is.cpu_msps, want.cpu_msps);
        assert_int_equal(is.memory_bytes, want.memory_bytes);
        assert_int_equal(is.disk_bytes, want.disk_bytes);
        assert_int_equal(is.net_kbps, want.net_kbps);
        assert_int_equal(is.nat_addresses, want.nat_addresses);
        assert_int_equal(is.own_addresses, want.own_addresses);
        assert_true(xeno_admission_sound(a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantity_rows),
        cmocka_unit_test(refusal_text),
        cmocka_unit_test(the_daemons_port),
        cmocka_unit_test(ports_of_others),
        cmocka_unit_test(addresses_and_ports),
        cmocka_unit_test(next_fit),
        cmocka_unit_test(parking),
        cmocka_unit_test(adopting),
        cmocka_unit_test(resizing),
        cmocka_unit_test(capacity_rows),
        cmocka_unit_test(against_model),
    };

    return cmocka_run_group_tests_name("admission", tests, NULL, NULL);
}
