/* src/xrdd/tests/test-world.c - the XenoServers that are known, without a network. */
#include "xrdd/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEYS 12

struct lab {
    struct xeno_env_test env;
    struct xeno_key *keys[KEYS];
    struct xeno_id ids[KEYS];
    struct xrdd_world *w;
    int64_t version;
};

static int setup(void **state)
{
    struct lab *l = xeno_new0(struct lab);

    xeno_crypto_init();
    xeno_env_test_init(&l->env, xeno_s(1700000000), 41);
    for (size_t i = 0; i < KEYS; i++) {
        l->keys[i] = xeno_key_new(&l->env.env);
        l->ids[i] = xeno_id_of(xeno_key_pub(l->keys[i]));
    }
    l->w = xrdd_world_new(&l->env.env, KEYS);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    struct lab *l = *state;

    xrdd_world_free(l->w);
    for (size_t i = 0; i < KEYS; i++)
        xeno_key_free(l->keys[i]);
    free(l);
    return 0;
}

static void tell(struct lab *l, size_t i, const char *jws)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xrdd_world_tell(l->w, 0, l->ids[i].s, l->version, jws, NULL, &err) != 1)
        fail_msg("%s: %s", err.token, err.text);
}

static xeno_time in_s(const struct lab *l, int64_t s)
{
    return xeno_time_add(l->env.now, xeno_s(s));
}

static void is_at(struct lab *l, size_t i, const char *endpoint, int64_t lease_s)
{
    const char *const isolation[] = { "container", NULL }, *const corps[] = { l->ids[0].s, NULL };
    const struct xeno_advert_head head = { .version = ++l->version,
                                           .expires = in_s(l, lease_s),
                                           .endpoint = endpoint,
                                           .corps = corps,
                                           .isolation = isolation };
    xeno_auto(xeno_advert_maker) m = xeno_advert_maker_new(xeno_key_pub(l->keys[i]), &head);
    xeno_autofree char *jws = NULL;

    assert_int_equal(xeno_advert_sign(m, l->keys[i], &jws, NULL), 0);
    tell(l, i, jws);
}

static void withdraws(struct lab *l, size_t i)
{
    xeno_autofree char *jws = xeno_advert_sign_withdrawal(l->keys[i], ++l->version, in_s(l, 2000));

    tell(l, i, jws);
}

/* Who is there: 0, 1, ...; -1: nobody. */
static int who(struct lab *l, const char *address)
{
    uint32_t slot = 0;

    if (!xrdd_world_at(l->w, address, &slot))
        return -1;
    for (int i = 0; i < KEYS; i++) {
        const struct xeno_advert *a = xeno_rd_at(xrdd_world_rd(l->w), slot);

        assert_non_null(a);
        if (strcmp(a->id.s, l->ids[i].s) == 0)
            return i;
    }
    fail();
    return -1;
}

static void texts(void **state)
{
    static const struct {
        const char *endpoint, *address;
        bool there;
    } rows[] = {
        { "https://192.0.2.1:8443", "192.0.2.1", true },
        { "https://192.0.2.1:8443", "192.0.2.1:8443", true },
        { "https://192.0.2.1:8443", "192.0.2.1:844", false },
        { "https://192.0.2.1:8443", "192.0.2.1:84430", false },
        { "https://192.0.2.1", "192.0.2.1", true },
        { "https://192.0.2.1", "192.0.2.1:443", false }, /* it is not told */
        { "https://192.0.2.10", "192.0.2.1", false },
        { "https://192.0.2.1:8443:1", "192.0.2.1:8443", false },
        { "https://[2001:db8::1]:8443", "2001:db8::1", true },
        { "https://[2001:db8::1]:8443", "[2001:db8::1]", true },
        { "https://[2001:db8::1]:8443", "[2001:db8::1]:8443", true },
        { "https://[2001:db8::1]:8443", "[2001:db8::1]:1", false },
        { "https://[2001:db8::1]", "2001:db8::1", true },
        { "https://[2001:db8::12]", "2001:db8::1", false },
        { "https://[2001:db8::12:5]", "2001:db8::1", false },
        { "https://[2001:db8::1", "2001:db8::1", false },
        { "https://[2001:db8::1]x", "2001:db8::1", false },
        { "https://2001:db8::1", "2001:db8::1", false },
        { "https://one.example:8443", "192.0.2.1", false },
    };
    struct lab *l = *state;

    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        print_message("%s %s\n", rows[i].endpoint, rows[i].address);
        is_at(l, 0, rows[i].endpoint, 600);
        assert_int_equal(who(l, rows[i].address), rows[i].there ? 0 : -1);
    }
}

/* Of several the one in the lowest slot; whoever goes leaves the place to the next. */
static void several(void **state)
{
    struct lab *l = *state;

    for (size_t i = 0; i < 4; i++)
        is_at(l, i, i % 2 == 0 ? "https://192.0.2.1:1" : "https://192.0.2.1:2", 600);
    assert_int_equal(who(l, "192.0.2.1"), 0);
    assert_int_equal(who(l, "192.0.2.1:2"), 1);
    is_at(l, 0, "https://192.0.2.7", 600); /* moves */
    assert_int_equal(who(l, "192.0.2.1"), 1);
    assert_int_equal(who(l, "192.0.2.1:1"), 2);
    assert_int_equal(who(l, "192.0.2.7"), 0);
    withdraws(l, 1);
    assert_int_equal(who(l, "192.0.2.1"), 2);
    xrdd_world_untell(l->w, 0, l->ids[2].s); /* is forgotten */
    assert_int_equal(who(l, "192.0.2.1"), 3);
    assert_int_equal(who(l, "192.0.2.1:1"), -1);
    is_at(l, 0, "https://192.0.2.1:1", 60); /* back, for a short while */
    assert_int_equal(who(l, "192.0.2.1"), 0);
    l->env.now = in_s(l, 60);
    xrdd_world_age(l->w);
    assert_int_equal(who(l, "192.0.2.1"), 3);
    xrdd_world_restart(l->w, 0);
    xrdd_world_through(l->w, 0);
    assert_int_equal(who(l, "192.0.2.1"), -1);
}

/* What was there before: look at all. */
static int look(const struct lab *l, const char *address)
{
    const struct xeno_rd *rd = xrdd_world_rd(l->w);
    size_t len = strlen(address);

    for (uint32_t slot = 0; slot < xeno_rd_slots(rd); slot++) {
        const struct xeno_advert *a = xeno_rd_at(rd, slot);
        const char *at = a ? a->endpoint + strlen("https://") : "";

        if (strncmp(at, address, len) == 0 && (at[len] == '\0' || at[len] == ':'))
            return (int)slot;
    }
    return -1;
}

static void step(struct lab *l)
{
    uint64_t dice = xeno_env_test_next(&l->env);
    size_t i = dice / 16 % KEYS;
    char endpoint[64];

    snprintf(endpoint, sizeof endpoint, "https://192.0.2.%u:%u", (unsigned)(dice >> 16) % 3 + 1,
             (unsigned)(dice >> 24) % 2 + 1);
    switch (dice % 16) {
    case 0:
        withdraws(l, i);
        break;
    case 1:
    case 2:
    case 3:
        xrdd_world_untell(l->w, 0, l->ids[i].s);
        break;
    case 4:
        l->env.now = in_s(l, 50);
        xrdd_world_age(l->w);
        break;
    default:
        is_at(l, i, endpoint, 100 + (int64_t)(dice >> 32) % 1000);
    }
}

static void come_move_and_go(void **state)
{
    struct lab *l = *state;
    char address[32];

    for (int i = 0; i < 1500; i++) {
        step(l);
        for (unsigned k = 0; k < 9; k++) {
            uint32_t slot = 0;
            int want;

            snprintf(address, sizeof address, k % 3 ? "192.0.2.%u:%u" : "192.0.2.%u", k / 3 + 1,
                     k % 3);
            want = look(l, address);
            if (xrdd_world_at(l->w, address, &slot) ? (int)slot != want : want >= 0)
                fail_msg("step %d: %s: %u and not %d", i, address, slot, want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts, setup, teardown),
        cmocka_unit_test_setup_teardown(several, setup, teardown),
        cmocka_unit_test_setup_teardown(come_move_and_go, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
