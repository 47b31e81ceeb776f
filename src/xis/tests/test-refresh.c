/* src/xis/tests/test-refresh.c */
#include "xis/refresh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CORP "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define T0   xeno_s(1700000000)

/* A service that behaves, unless it is told not to. */
struct fake {
    struct xeno_advert *has;
    bool away, refuses, forgetful; /* forgetful: does not know what it took a moment ago */
    int64_t claims;                /* says that it has this version; 0: the truth */
    int tries, wholes, deltas, withdrawals;
};

struct world {
    struct xeno_env_test env;
    struct xeno_key *key;
    struct xeno_refresh *r;
    int64_t spare, uptime;
    double rtt; /* below 0: nothing is measured */
    const char *name;
    int64_t reserved;
    int reserves;
    struct fake at[3];
    size_t services;
};

static struct xeno_advert_maker *describe(void *ctx, int64_t version, xeno_time expires)
{
    static const char *const corps[] = { CORP, NULL }, *const isolation[] = { "vm", NULL };
    struct world *w = ctx;
    const struct xeno_advert_head head = { .version = version,
                                           .expires = expires,
                                           .endpoint = "https://h:1",
                                           .corps = corps,
                                           .isolation = isolation };
    struct xeno_advert_maker *m = xeno_advert_maker_new(xeno_key_pub(w->key), &head);

    xeno_advert_add(m, "Name", w->name);
    for (int i = 0; i < 20; i++) /* so that a delta is small beside it */
        xeno_advert_add(m, "CachedLayer", "0123456789abcdef");
    xeno_advert_add_int(m, "CPUmsps", w->spare);
    xeno_advert_add_int(m, "UptimeS", w->uptime);
    if (w->rtt >= 0)
        xeno_advert_add_num(m, "Measured/Peer/RttMs", w->rtt, 3);
    return m;
}

static void reserve(void *ctx, int64_t version)
{
    struct world *w = ctx;

    assert_true(version > w->reserved);
    w->reserved = version;
    w->reserves++;
}

static const struct xeno_refresh_rules rules = { .lease = xeno_s(600),
                                                 .lease_most = xeno_s(3600),
                                                 .interval = xeno_s(5) };

static void begin(struct world *w)
{
    struct xeno_refresh_opts opts = { .env = &w->env.env,
                                      .key = w->key,
                                      .rules = rules,
                                      .services = w->services,
                                      .last_version = w->reserved,
                                      .describe = describe,
                                      .reserve = reserve,
                                      .ctx = w };

    w->r = xeno_refresh_new(&opts);
}

static struct world *world_new(size_t services)
{
    struct world *w = xeno_new0(struct world);
    uint8_t seed[32];

    memset(seed, 7, sizeof seed);
    w->key = xeno_key_from_seed(seed);
    xeno_env_test_init(&w->env, T0, 1);
    w->spare = 1000;
    w->rtt = -1;
    w->name = "one";
    w->services = services;
    begin(w);
    return w;
}

static void world_free(struct world *w)
{
    if (!w)
        return;
    xeno_refresh_free(w->r);
    xeno_key_free(w->key);
    for (size_t i = 0; i < XENO_LEN(w->at); i++)
        xeno_advert_free(w->at[i].has);
    free(w);
}
XENO_DEFINE_AUTO(world, world_free);

/* What a service does with what it is sent (RFC 0016, 2). */
static enum xeno_refresh_outcome hear(struct world *w, struct fake *f,
                                      const struct xeno_refresh_message *m, int64_t *ret_version)
{
    struct xeno_advert *a = NULL;

    f->tries++;
    if (f->away)
        return XENO_REFRESH_AWAY;
    if (f->refuses)
        return XENO_REFRESH_REFUSED;
    if (f->claims) {
        *ret_version = f->claims;
        return XENO_REFRESH_OLD;
    }
    if (m->kind == XENO_ADVERT_DELTA) {
        f->deltas++;
        if (!f->has || xeno_advert_merge(f->has, m->text, m->len, &a, NULL) < 0)
            return XENO_REFRESH_BASE;
    } else {
        *(m->kind == XENO_ADVERT_WHOLE ? &f->wholes : &f->withdrawals) += 1;
        assert_int_equal(xeno_advert_open(m->text, m->len, &a, NULL), 0);
    }
    assert_int_equal(xeno_advert_timely(a, w->env.now, NULL), 0);
    if (f->has && f->has->version >= a->version) {
        *ret_version = f->has->version;
        xeno_advert_free(a);
        return XENO_REFRESH_OLD;
    }
    xeno_advert_free(f->has);
    f->has = f->forgetful ? NULL : a;
    if (f->forgetful)
        xeno_advert_free(a);
    return XENO_REFRESH_TAKEN;
}

/* Do what is due, for so many seconds, a second at a time. `steady`: whatever is there is never
 * over. */
static void pass(struct world *w, int64_t s, bool steady)
{
    struct xeno_refresh_message m;

    for (; s > 0; s--) {
        struct xeno_err err = XENO_ERR_INIT;
        int turns = 0;

        while (xeno_refresh_next(w->r).ns <= w->env.now.ns) {
            assert_true(turns++ < 20); /* no service makes us spin */
            assert_true(xeno_refresh_look(w->r, &err) >= 0);
            for (size_t i = 0; i < w->services; i++) {
                int64_t version = 0;

                if (xeno_refresh_take(w->r, i, &m)) {
                    enum xeno_refresh_outcome o = hear(w, &w->at[i], &m, &version);

                    xeno_refresh_done(w->r, i, o, version);
                }
            }
        }
        for (size_t i = 0; steady && i < w->services; i++)
            assert_true(w->at[i].has && w->at[i].has->expires.ns > w->env.now.ns);
        w->env.now = xeno_time_add(w->env.now, xeno_s(1));
        w->uptime++;
    }
}

static double spare_at(const struct world *w, size_t i)
{
    return xeno_advert_number(w->at[i].has, "CPUmsps", -1);
}

static void nothing_changes(void **state)
{
    xeno_auto(world) w = world_new(1);
    int64_t life;

    (void)state;
    pass(w, 86400, true);
    assert_int_equal(w->at[0].wholes, 1); /* the rest are deltas: of the time alone */
    assert_in_range(w->at[0].deltas, 86400 / 1800, 86400 / 1100);
    life = (w->at[0].has->expires.ns - w->env.now.ns) / XENO_NS_PER_S;
    assert_in_range(life, 1, 3600);
    assert_true(w->reserves <= w->at[0].deltas + 1);
}

static void what_moves_is_said(void **state)
{
    xeno_auto(world) w = world_new(1);

    (void)state;
    pass(w, 20, true);
    w->spare = 950; /* by less than a tenth: with the next renewal */
    pass(w, 20, true);
    assert_true(spare_at(w, 0) == 1000);
    pass(w, 300, true);
    assert_true(spare_at(w, 0) == 950);
    w->spare = 500;
    pass(w, 6, true);
    assert_true(spare_at(w, 0) == 500);
    assert_int_equal(w->at[0].wholes, 1);
    w->spare = 0;
    pass(w, 6, true);
    w->spare = 1; /* from nothing, anything is much */
    pass(w, 6, true);
    assert_true(spare_at(w, 0) == 1);
    w->name = "two";
    pass(w, 6, true);
    assert_string_equal(xeno_advert_text(w->at[0].has, "Name", NULL), "two");
    assert_int_equal(w->at[0].wholes, 2);
}

static void never_more_often_than_the_interval(void **state)
{
    xeno_auto(world) w = world_new(1);

    (void)state;
    for (int i = 0; i < 100; i++) {
        w->spare = i % 2 ? 1000 : 10;
        pass(w, 1, true);
    }
    assert_in_range(w->at[0].wholes + w->at[0].deltas, 10, 21);
}

static void what_is_measured_waits(void **state)
{
    xeno_auto(world) w = world_new(1);

    (void)state;
    pass(w, 2, true);
    w->rtt = 5;
    pass(w, 50, true);
    assert_null(xeno_advert_leaf(w->at[0].has, "Measured/Peer/RttMs"));
    pass(w, 20, true);
    assert_true(xeno_advert_number(w->at[0].has, "Measured/Peer/RttMs", -1) == 5);
    w->rtt = 6;
    pass(w, 70, true);
    assert_true(xeno_advert_number(w->at[0].has, "Measured/Peer/RttMs", -1) == 6);
}

static void one_away_does_not_hold_up_others(void **state)
{
    xeno_auto(world) w = world_new(2);

    (void)state;
    w->at[0].away = true;
    pass(w, 10, false);
    for (int i = 0; i < 60; i++) {
        w->spare = i % 2 ? 1000 : 10;
        pass(w, 60, false);
        assert_true(spare_at(w, 1) == (i % 2 ? 1000 : 10));
    }
    assert_in_range(w->at[0].tries, 10, 30); /* 1, 2, 4 ... 300 s in an hour */
    assert_false(xeno_refresh_service(w->r, 0).up);
    w->at[0].away = false;
    pass(w, 400, false);
    assert_true(spare_at(w, 0) == 1000);
    assert_true(xeno_refresh_service(w->r, 0).up && !xeno_refresh_service(w->r, 0).behind);
}

/* A service that lost its memory asks for the whole, also when the whole by itself is over. */
static void whole_on_demand(void **state)
{
    xeno_auto(world) w = world_new(1);

    (void)state;
    pass(w, 7200, true);
    assert_int_equal(w->at[0].wholes, 1);
    xeno_advert_free(w->at[0].has);
    w->at[0].has = NULL;
    w->spare = 10;
    pass(w, 10, false);
    assert_true(spare_at(w, 0) == 10);
    assert_int_equal(w->at[0].wholes, 2);
}

static void those_who_answer_nonsense(void **state)
{
    xeno_auto(world) w = world_new(3);

    (void)state;
    w->at[0].forgetful = true; /* "xis.base" to each delta */
    w->at[1].claims = T0.ns / XENO_NS_PER_MS + INT64_C(1000000000000);
    w->at[2].refuses = true;
    pass(w, 3600, false);
    print_message("%d %d %d tries\n", w->at[0].tries, w->at[1].tries, w->at[2].tries);
    assert_true(w->at[0].tries < 600 && w->at[1].tries < 40 && w->at[2].tries < 20);
    assert_true(xeno_refresh_advert(w->r)->version < T0.ns / XENO_NS_PER_MS + 7200000);
    assert_true(xeno_refresh_service(w->r, 2).refused > 0);
}

/* Versions only grow, also when the clock went back, and when the journal was lost. */
static void after_a_restart(void **state)
{
    xeno_auto(world) w = world_new(1);
    int64_t version;

    (void)state;
    pass(w, 30, true);
    version = w->at[0].has->version;
    xeno_refresh_free(w->r);
    w->env.now = T0;
    begin(w);
    w->spare = 5;
    pass(w, 2, true);
    assert_true(w->at[0].has->version > version && spare_at(w, 0) == 5);

    version = w->at[0].has->version;
    xeno_refresh_free(w->r);
    w->reserved = 0;
    w->env.now = T0;
    begin(w);
    w->spare = 6;
    pass(w, 10, true); /* it is told by the service which version it has */
    assert_true(w->at[0].has->version > version && spare_at(w, 0) == 6);
}

static void a_lost_answer(void **state)
{
    xeno_auto(world) w = world_new(1);
    struct xeno_refresh_message m;
    int64_t version = 0;

    (void)state;
    assert_int_equal(xeno_refresh_look(w->r, NULL), 1);
    assert_true(xeno_refresh_take(w->r, 0, &m));
    assert_false(xeno_refresh_take(w->r, 0, &m)); /* one at a time */
    assert_int_equal(hear(w, &w->at[0], &m, &version), XENO_REFRESH_TAKEN);
    xeno_refresh_done(w->r, 0, XENO_REFRESH_AWAY, 0); /* nobody heard it */
    pass(w, 5, true);
    assert_true(xeno_refresh_service(w->r, 0).up && !xeno_refresh_service(w->r, 0).behind);
    assert_int_equal(w->at[0].wholes, 2);
}

static void the_end(void **state)
{
    xeno_auto(world) w = world_new(3);

    (void)state;
    w->at[1].away = true;
    w->at[2].away = true;
    pass(w, 30, false);
    w->at[1].away = false;
    pass(w, 30, false);
    w->at[1].away = true;
    w->spare = 1;
    pass(w, 6, false);
    assert_false(xeno_refresh_withdrawn(w->r) && w->at[0].withdrawals);
    xeno_refresh_withdraw(w->r);
    assert_false(xeno_refresh_withdrawn(w->r));
    pass(w, 2, false);
    assert_true(xeno_refresh_withdrawn(w->r)); /* one took it, one failed, one never heard of us */
    assert_true(w->at[0].has->withdrawn);
    assert_int_equal(w->at[0].withdrawals, 1);
    assert_null(w->at[2].has);
    assert_int_equal(xeno_refresh_look(w->r, NULL), 0);
}

/* Anything happens, in any order; when all is well again everybody has what is so. */
static void whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        xeno_auto(world) w = world_new(3);

        w->env.seed = seed;
        for (int i = 0; i < 120; i++) {
            uint64_t x = xeno_env_test_next(&w->env);
            struct fake *f = &w->at[x % 3];

            switch (x / 3 % 6) {
            case 0:
                f->away = !f->away;
                break;
            case 1:
                f->refuses = !f->refuses;
                break;
            case 2:
                xeno_advert_free(f->has);
                f->has = NULL;
                break;
            case 3:
                w->name = x & 1024 ? "one" : "two";
                break;
            case 4:
                w->spare = (int64_t)(x / 18 % 2000);
                break;
            default:
                w->rtt = (double)(x / 18 % 100);
            }
            pass(w, (int64_t)(x / 100 % 400), false);
        }
        for (size_t i = 0; i < 3; i++)
            w->at[i].away = w->at[i].refuses = false;
        pass(w, 1000, false);
        w->name = "last";
        w->spare = 77;
        pass(w, 10, true);
        for (size_t i = 0; i < 3; i++) {
            assert_true(spare_at(w, i) == 77);
            assert_string_equal(xeno_advert_text(w->at[i].has, "Name", NULL), "last");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(what_moves_is_said),
        cmocka_unit_test(never_more_often_than_the_interval),
        cmocka_unit_test(what_is_measured_waits),
        cmocka_unit_test(one_away_does_not_hold_up_others),
        cmocka_unit_test(whole_on_demand),
        cmocka_unit_test(those_who_answer_nonsense),
        cmocka_unit_test(after_a_restart),
        cmocka_unit_test(a_lost_answer),
        cmocka_unit_test(the_end),
        cmocka_unit_test(whatever_happens),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}
