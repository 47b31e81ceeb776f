/* src/xrdd/tests/test-measure.c - having an address measured. */
#include "fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LOOPBACK "allow = 127.0.0.0/8\n"
#define AT                                                                                         \
    "Coordinate/X1=%d\nCoordinate/X2=0\nCoordinate/X3=0\nCoordinate/X4=0\nCoordinate/X5=0\n"       \
    "Coordinate/HeightMs=1\nCoordinate/ErrorMs=2\nCoordinate/Samples=50"

static int setup(void **state)
{
    struct fixture *f = xeno_new0(struct fixture);

    fixture_make(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_remove(*state);
    free(*state);
    return 0;
}

/* XenoServers on a line, 10 ms apart; the address is at `ms` on it. */
static void world(struct fixture *f, const char *options, int n, int ms)
{
    fixture_xis(f, 0);
    for (int i = 0; i < n; i++) {
        char at[300];

        snprintf(at, sizeof at, AT, i * 10);
        fixture_server(f, i);
        f->servers[i].rtt_us = (ms > i * 10 ? ms - i * 10 : i * 10 - ms) * 1000 + 2000;
        fixture_tell_server(f, 0, i, at);
    }
    fixture_start(f, options);
    fixture_until(f, xeno_rd_count(xrdd_world_rd(f->d.world)) == (size_t)n);
    xrdd_world_age(f->d.world);
}

static int probes(const struct fixture *f)
{
    int n = 0;

    for (int i = 0; i < SERVERS; i++)
        n += f->servers[i].probes;
    return n;
}

#define NEAR "{\"near\":[{\"address\":\"%s\"}],\"count\":3}"

static struct xeno_json *near(struct fixture *f, const char *address)
{
    struct xeno_json *j = NULL;
    char body[200];

    snprintf(body, sizeof body, NEAR, address);
    assert_int_equal(fixture_find(f, body, &j), 200);
    return j;
}

/* Of the first answer: its name, how its round trip is known, and how many measured. */
static void first(const struct xeno_json *j, char out[100])
{
    struct xeno_json_at top = xeno_json_top(j), list, at, rtts, rtt;
    const char *name = "", *how = "";
    int64_t probed = -1;
    size_t n = 0;

    assert_int_equal(xeno_json_arr(&top, "answers", 100, &list, &n, NULL), 0);
    assert_true(n > 0);
    at = xeno_json_item(&list, 0);
    xeno_json_str(&at, "name", 1, 60, &name, NULL);
    assert_int_equal(xeno_json_arr(&at, "latency", 8, &rtts, &n, NULL), 0);
    rtt = xeno_json_item(&rtts, 0);
    xeno_json_str(&rtt, "how", 1, 60, &how, NULL);
    xeno_json_int(&top, "probed", 0, 100, &probed, NULL);
    snprintf(out, 100, "%s %s %" PRId64, name, how, probed);
}

static void nearest(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    xeno_auto(xeno_json) again = NULL;
    char text[100];
    int asked;

    world(f, LOOPBACK, SERVERS, 51);
    j = near(f, "198.41.0.9");
    first(j, text);
    print_message("%s\n", text);
    assert_memory_equal(text, "s5 ", 3);
    asked = probes(f);
    assert_in_range(asked, 1, XENO_NEAR_BUDGET);
    again = near(f, "198.41.0.200:443"); /* the same network: known */
    first(again, text);
    assert_memory_equal(text, "s5 ", 3);
    assert_int_equal(probes(f), asked);
}

/* Neighbours by number, but not of the public internet: each is measured. */
static void not_public(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) one = NULL;
    xeno_auto(xeno_json) two = NULL;
    int asked;

    world(f, LOOPBACK, 4, 51);
    one = near(f, "10.9.9.1");
    asked = probes(f);
    assert_true(asked > 0);
    two = near(f, "10.9.9.2");
    assert_true(probes(f) > asked);
}

/* One that does not answer holds nobody up, and one that refuses is no answer. */
static void slow(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    char text[100];

    world(f, LOOPBACK "probe-wait = 4s", 4, 11);
    for (int i = 0; i < 4; i++)
        f->servers[i].rtt_us = i == 3 ? 21000 : i == 2 ? 0 : -1;
    j = near(f, "198.41.0.9");
    first(j, text);
    print_message("%s\n", text);
    assert_string_equal(text, "s3 measured 1"); /* the others may claim to be nearer */
    assert_int_equal(f->servers[3].probes, 1);
}

/* When nobody answers at all the answer comes in time, and says that nothing is known. */
static void silent(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    xeno_autofree char *said = NULL;
    char text[100];

    world(f, LOOPBACK "probe-wait = 1s", 2, 11);
    f->servers[0].rtt_us = f->servers[1].rtt_us = -1;
    j = near(f, "198.41.0.9");
    first(j, text);
    assert_non_null(strstr(text, "unknown 0"));
    said = xeno_json_format(j, false, NULL);
    assert_non_null(strstr(said, "the round trip to 198.41.0.9 is not known"));
    assert_string_equal(
        fixture_found(f, "{\"near\":[{\"address\":\"198.41.0.9\",\"rtt_max_us\":900000}]}"), "");
}

/* --- paths: the even ones share a hop --- */

static bool is_even(const char *names, size_t at)
{
    return (names[3 * at + 1] - '0') % 2 == 0;
}

static void beside(void **state)
{
    struct fixture *f = *state;
    const char *names;
    char body[300];

    world(f, LOOPBACK, 4, 11);
    snprintf(body, sizeof body,
             "{\"disjoint_to\":\"198.41.0.9\",\"beside\":[\"%s\"],"
             "\"objective\":[{\"what\":\"disjoint\"}]}",
             f->servers[0].id.s);
    names = fixture_found(f, body);
    print_message("%s\n", names);
    assert_int_equal(strlen(names), strlen("s0,s0,s0,s0"));
    assert_false(is_even(names, 0) || is_even(names, 1));
    assert_true(f->servers[0].traces == 1 && f->servers[1].traces == 1);
}

/* By load alone the two even ones would be it. */
static void sets(void **state)
{
    struct fixture *f = *state;
    const char *names;

    world(f, LOOPBACK, 4, 11);
    for (int i = 0; i < 4; i++)
        fixture_tell_server(f, 0, i, i % 2 == 0 ? "LoadPercent=1" : "LoadPercent=50");
    fixture_until(f, xrdd_follow_get(f->d.follow, 0).changes == 8);
    names = fixture_found(f, "{\"disjoint_to\":\"198.41.0.9\",\"sets\":2,\"count\":2,"
                             "\"objective\":[{\"what\":\"load\"}]}");
    print_message("%s\n", names);
    assert_int_equal(strlen(names), strlen("s0,s0"));
    assert_false(is_even(names, 0) && is_even(names, 1));
}

/* About as far from the one as from the other. */
static void equal(void **state)
{
    struct fixture *f = *state;
    char body[300];

    world(f, LOOPBACK, 5, 11);
    snprintf(body, sizeof body, "{\"equal\":[{\"server\":\"%s\"},{\"server\":\"%s\"}],\"count\":1}",
             f->servers[0].id.s, f->servers[4].id.s);
    assert_string_equal(fixture_found(f, body), "s2");
    assert_int_equal(probes(f), 0); /* where XenoServers are is known */
}

static void limits(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) one = NULL;
    xeno_auto(xeno_json) two = NULL;
    char text[100];
    int asked;

    world(f, LOOPBACK "probes-per-client = 1", 4, 11);
    one = near(f, "198.41.0.9");
    asked = probes(f);
    assert_true(asked > 0);
    two = near(f, "198.51.100.9"); /* a second prefix in the same minute */
    first(two, text);
    assert_non_null(strstr(text, "unknown 0"));
    assert_int_equal(probes(f), asked);
}

/* What an advert says of its address may be anywhere: not ours, unless the operator says so. */
static void guarded(void **state)
{
    struct fixture *f = *state;
    xeno_auto(xeno_json) j = NULL;
    char text[100];

    world(f, "allow = 10.0.0.0/8", 4, 11);
    j = near(f, "198.41.0.9");
    first(j, text);
    assert_non_null(strstr(text, "unknown 0"));
    assert_int_equal(probes(f), 0);
}

/* Who asks and leaves takes nothing along that others wait for. */
static void leaves(void **state)
{
    struct fixture *f = *state;
    xeno_autofree char *url = NULL;
    const char *body = "{\"near\":[{\"address\":\"198.41.0.9\"}]}";
    struct xeno_http_ask ask = {
        .method = "POST", .body = body, .body_len = strlen(body), .deadline = xeno_s(20)
    };
    struct xeno_http_call *call;

    world(f, LOOPBACK "probe-wait = 5s", 4, 11);
    for (int i = 0; i < 4; i++)
        f->servers[i].rtt_us = -1;
    url = xeno_asprintf("%s/v1/find", f->base);
    ask.url = url;
    call = xeno_http_send(f->client, &ask);
    fixture_until(f, probes(f) > 0);
    xeno_http_cancel(call);
    fixture_run_ms(f, 50);
    fixture_stop(f); /* with measurements under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nearest, setup, teardown),
        cmocka_unit_test_setup_teardown(not_public, setup, teardown),
        cmocka_unit_test_setup_teardown(slow, setup, teardown),
        cmocka_unit_test_setup_teardown(silent, setup, teardown),
        cmocka_unit_test_setup_teardown(beside, setup, teardown),
        cmocka_unit_test_setup_teardown(sets, setup, teardown),
        cmocka_unit_test_setup_teardown(equal, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(guarded, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
