/* src/rd/tests/test-request.c - the question of rfc/0019 from JSON, and the answer to it. */
#include "rd/request.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rd/answer.h"
#include "rd/place.h"
#include "rd/tests/servers.h"

#define ID  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"
#define NOW xeno_s(1800000000)

static int read_text(const char *text, struct xeno_rd_request *ret, struct xeno_err *err)
{
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at;

    assert_int_equal(xeno_json_parse(text, strlen(text), XENO_RD_REQUEST_BYTES, &j, err), 0);
    at = xeno_json_top(j);
    return xeno_rd_request_read(&at, ret, err);
}

static void reads_all(void **state)
{
    struct xeno_rd_request r;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    if (read_text("{\"requirement\":\"<EnvironmentalRequirements><Basic><EnvName>x</EnvName>"
                  "<EnvType>Linux</EnvType></Basic><QoS><CPUmsps>150</CPUmsps></QoS>"
                  "<Limits><LifetimeSeconds>60</LifetimeSeconds></Limits>"
                  "</EnvironmentalRequirements>\","
                  "\"where\":{\"token\":\"Ports\",\"min\":1},\"isolation\":[\"vm\",\"null\"],"
                  "\"near\":[{\"address\":\"192.0.2.1:443\",\"rtt_max_us\":20000},{\"server\":\"" ID
                  "\"}],\"equal\":[{\"address\":\"2001:db8::1\"},{\"address\":\"[::1]:80\"}],"
                  "\"disjoint_to\":\"192.0.2.9\",\"beside\":[\"" ID "\"],\"sets\":2,"
                  "\"objective\":[{\"what\":\"rtt-max\",\"weight\":3},{\"what\":\"warm\"}],"
                  "\"max_cost\":5,\"usage\":{\"cpu_percent\":20,\"net_bytes\":7},\"count\":4,"
                  "\"spread\":\"place\",\"probe\":false,\"documents\":true,\"max_complaints\":0,"
                  "\"layers\":[\"sha256:00000000000000ff"
                  "000000000000000000000000000000000000000000000000\"]}",
                  &r, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(r.requirement->cpu_msps, 150);
    assert_int_equal(r.duration_s, 60);
    assert_non_null(r.where);
    assert_int_equal(r.isolation, XENO_RD_VM | XENO_RD_NULL);
    assert_int_equal(r.near_count, 2);
    assert_string_equal(r.near[0].address, "192.0.2.1:443");
    assert_int_equal(r.near[0].rtt_max_us, 20000);
    assert_string_equal(r.near[1].id.s, ID);
    assert_int_equal(r.equal_count, 2);
    assert_int_equal(r.beside_count, 1);
    assert_int_equal(r.sets, 2);
    assert_int_equal(r.term_count, 2);
    assert_int_equal(r.terms[0].what, XENO_RD_RTT_MAX);
    assert_int_equal(r.terms[0].weight, 3);
    assert_int_equal(r.terms[1].weight, 1);
    assert_int_equal(r.max_cost, 5);
    assert_int_equal(r.cpu_percent, 20);
    assert_int_equal(r.net_bytes, 7);
    assert_int_equal(r.spread, XENO_RD_SPREAD_PLACE);
    assert_false(r.probe);
    assert_true(r.documents);
    assert_int_equal(r.max_complaints, 0);
    assert_int_equal(r.layers[0], 0xff);
    xeno_rd_request_release(&r);
}

static const struct {
    const char *text, *token, *says;
} bad[] = {
    { "{\"nears\":[]}", "json.unknown", "nears" },
    { "{\"isolation\":[\"jail\"]}", "find.request", "isolation[0]" },
    { "{\"near\":[{\"address\":\"example.org\"}]}", "find.request", "near[0]" },
    { "{\"near\":[{\"address\":\"192.0.2.1:0\"}]}", "find.request", "near[0]" },
    { "{\"near\":[{\"address\":\"192.0.2.1:70000\"}]}", "find.request", "near[0]" },
    { "{\"near\":[{}]}", "find.request", "one of" },
    { "{\"near\":[{\"address\":\"::1\",\"server\":\"" ID "\"}]}", "find.request", "one of" },
    { "{\"equal\":[{\"address\":\"::1\",\"rtt_max_us\":1}]}", "json.unknown", "rtt_max_us" },
    { "{\"equal\":[{\"address\":\"::1\"}]}", "find.request", "two" },
    { "{\"near\":[{\"server\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1\"}]}", "find.request", "id of" },
    { "{\"sets\":2}", "find.request", "disjoint_to" },
    { "{\"sets\":9,\"disjoint_to\":\"::1\"}", "json.range", "sets" },
    { "{\"sets\":8,\"count\":4,\"disjoint_to\":\"::1\"}", "find.request", "count" },
    { "{\"objective\":[{\"what\":\"best\"}]}", "find.request", "cost" },
    { "{\"objective\":[{\"what\":\"equal\"}]}", "find.request", "needs equal" },
    { "{\"objective\":[{\"what\":\"cost\",\"weight\":0}]}", "json.range", "weight" },
    { "{\"max_cost\":1}", "find.request", "requirement" },
    { "{\"max_cost\":-1}", "json.range", "max_cost" },
    { "{\"duration_s\":0}", "json.range", "duration_s" },
    { "{\"usage\":{\"cpu_percent\":101}}", "json.range", "usage.cpu_percent" },
    { "{\"usage\":{\"cpu\":1}}", "json.unknown", "cpu" },
    { "{\"count\":101}", "json.range", "count" },
    { "{\"count\":2.5}", "json.type", "count" },
    { "{\"spread\":\"country\"}", "find.request", "spread" },
    { "{\"layers\":[\"sha256:00\"]}", "find.request", "layers[0]" },
    { "{\"where\":{\"token\":\"A\"}}", "query.form", "where" },
    { "{\"requirement\":\"<x/>\"}", NULL, "requirement" },
};

static void refuses(void **state)
{
    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        struct xeno_rd_request r = { .count = 7 };

        if (read_text(bad[i].text, &r, &err) >= 0)
            fail_msg("%s was taken", bad[i].text);
        if (bad[i].token && strcmp(err.token, bad[i].token) != 0)
            fail_msg("%s: %s, %s", bad[i].text, err.token, err.text);
        if (!strstr(err.text, bad[i].says))
            fail_msg("%s: '%s' does not say %s", bad[i].text, err.text, bad[i].says);
        assert_int_equal(r.count, 7); /* untouched */
    }
}

static void takes_addresses_apart(void **state)
{
    static const struct {
        const char *text, *host;
        int port; /* -1: it is none */
    } rows[] = {
        { "192.0.2.1", "192.0.2.1", 0 },
        { "192.0.2.1:65535", "192.0.2.1", 65535 },
        { "2001:db8::1", "2001:db8::1", 0 },
        { "[2001:db8::1]", "2001:db8::1", 0 },
        { "[2001:db8::1]:22", "2001:db8::1", 22 },
        { "[192.0.2.1]:22", NULL, -1 },
        { "192.0.2.1:", NULL, -1 },
        { "192.0.2.1:+1", NULL, -1 },
        { "192.0.2.1:1:2", NULL, -1 },
        { "[::1", NULL, -1 },
        { "[::1]x", NULL, -1 },
        { "fe80::1%eth0", NULL, -1 },
        { "", NULL, -1 },
        { "01.2.3.4", NULL, -1 },
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        char host[XENO_RD_ADDRESS] = "?";
        uint16_t port = 1;

        print_message("%s\n", rows[i].text);
        assert_int_equal(xeno_rd_address(rows[i].text, host, &port), rows[i].port >= 0);
        assert_string_equal(host, rows[i].host ? rows[i].host : "?");
        if (rows[i].host)
            assert_int_equal(port, rows[i].port);
    }
}

/* The whole way: a question in JSON, an answer in JSON. */
static void answers(void **state)
{
    const struct xeno_rd_client client = { .corp = SERVERS_CORP, .kind = "client" };
    struct xeno_rd *rd = xeno_rd_new(100);
    struct xeno_rd_result *res = NULL;
    struct xeno_rd_request r;
    struct xeno_env_test t;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_json_at at, arr, one, part;
    const char *text;
    int64_t n;
    size_t count;

    (void)state;
    xeno_env_test_init(&t, NOW, 3);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(
            xeno_rd_put(rd, servers_usual(&t, i, 1, xeno_time_add(NOW, xeno_s(60))), NULL), 0);
    assert_int_equal(read_text("{\"count\":3,\"near\":[{\"address\":\"192.0.2.1\"}],"
                               "\"where\":{\"token\":\"CPUmsps\",\"min\":1000}}",
                               &r, NULL),
                     0);
    assert_int_equal(xeno_rd_find(rd, &r, &client, NULL, NOW, &res, NULL), 0);
    j = xeno_rd_answer_json(res, true);
    at = xeno_json_top(j);
    assert_int_equal(xeno_json_arr(&at, "answers", 100, &arr, &count, NULL), 0);
    assert_int_equal(count, 3);
    one = xeno_json_item(&arr, 0);
    assert_int_equal(xeno_json_str(&one, "id", 32, 32, &text, NULL), 0);
    assert_int_equal(xeno_json_str(&one, "operator", 1, 100, &text, NULL), 0);
    assert_int_equal(xeno_json_str(&one, "advert", 1, 100, &text, NULL), 0);
    assert_int_equal(xeno_json_int(&one, "expires_ms", 0, INT64_MAX, &n, NULL), 0);
    assert_int_equal(n, INT64_C(1800000060000));
    assert_int_equal(xeno_json_arr(&one, "latency", 100, &arr, &count, NULL), 0);
    assert_int_equal(count, 1);
    part = xeno_json_item(&arr, 0);
    assert_int_equal(xeno_json_str(&part, "how", 1, 20, &text, NULL), 0);
    assert_string_equal(text, "unknown"); /* nobody measured, and it is not made up */
    assert_int_equal(xeno_json_int_opt(&part, "rtt_us", 0, INT64_MAX, &n, NULL), 1);
    assert_int_equal(xeno_json_int(&at, "considered", 50, 50, &n, NULL), 0);
    assert_int_equal(xeno_json_arr(&at, "fell", 100, &arr, &count, NULL), 0);
    assert_true(count > 0);
    xeno_rd_result_free(res);
    xeno_rd_request_release(&r);
    xeno_rd_free(rd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all),
        cmocka_unit_test(refuses),
        cmocka_unit_test(takes_addresses_apart),
        cmocka_unit_test(answers),
    };

    xeno_spec_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
