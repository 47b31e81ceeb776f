/* src/rd/tests/test-find-cases.c - finding among a few servers that are made by hand: what is said,
 * what it costs, what could be asked for instead. */
#include "rd/find.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rd/tests/naive.h"
#include "rd/tests/servers.h"
#define NOW xeno_s(1800000000)

/* --- one server, by hand --- */

static struct servers_maker m;

static void plain_begin(void)
{
    m.count = m.len = 0;
    servers_leaf(&m, "Endpoint", "https://192.0.2.1:7443");
    servers_leaf(&m, "Corp", SERVERS_CORP);
    servers_leaf(&m, "Isolation", "container");
    servers_leaf(&m, "Accepting", "yes");
    servers_leaf(&m, "EnvType", "Linux");
    servers_leaf(&m, "CPUmsps", "1000");
    servers_leaf(&m, "MemoryMB", "384");
    servers_leaf(&m, "DiskMB", "100000");
    servers_leaf(&m, "NetMbps", "1000");
    servers_leaf(&m, "Most/Processes", "4096");
    servers_leaf(&m, "Addresses", "0");
    servers_leaf(&m, "Ports", "100");
}

static void plain_prices(int64_t cpu)
{
    static const char *const names[] = { "Memory", "Disk", "Net", "Address" };
    char path[64];

    servers_leaf(&m, "Price/CPU/ReservedMicro", "%lld", (long long)cpu);
    servers_leaf(&m, "Price/CPU/UsedMicro", "0");
    for (size_t i = 0; i < XENO_LEN(names); i++) {
        snprintf(path, sizeof(path), "Price/%s/ReservedMicro", names[i]);
        servers_leaf(&m, path, "0");
        snprintf(path, sizeof(path), "Price/%s/UsedMicro", names[i]);
        servers_leaf(&m, path, "0");
    }
}

static void plain_put(struct xeno_rd *rd, unsigned n)
{
    struct xeno_id id = servers_id(n);

    assert_int_equal(
        xeno_rd_put(rd, servers_advert(&m, &id, 1, xeno_time_add(NOW, xeno_s(60))), NULL), 0);
}

static struct xeno_rd_result *plain_find(struct xeno_rd *rd, const struct xeno_rd_request *req)
{
    const struct xeno_rd_client client = { .corp = SERVERS_CORP, .kind = "client" };
    struct xeno_rd_result *res = NULL;

    assert_int_equal(xeno_rd_find(rd, req, &client, NULL, NOW, &res, NULL), 0);
    return res;
}

/* What a person reads. */
static void says_why(void **state)
{
    struct xeno_rd *rd = xeno_rd_new(10);
    struct xeno_rd_request req;
    struct xeno_rd_result *res;

    (void)state;
    xeno_rd_request_init(&req);
    req.requirement = xeno_requirement_new("t");
    req.requirement->memory_bytes = INT64_C(512) << 20;
    req.isolation = XENO_RD_VM;
    plain_begin();
    plain_put(rd, 1);
    plain_put(rd, 2);
    servers_leaf(&m, "Isolation", "vm");
    plain_put(rd, 3);
    res = plain_find(rd, &req);
    assert_int_equal(res->answer_count, 0);
    assert_int_equal(res->fell_count, 2);
    assert_string_equal(res->fell[0].text, "2 of 3: no vm isolation");
    assert_string_equal(res->fell[1].text, "1 of 3: less than 512 MB of memory free");
    assert_int_equal(res->fell[1].only, 1);
    assert_int_equal(res->relax_count, 1);
    assert_string_equal(res->relax[0].text, "MemoryMB from 512 to 384");
    assert_int_equal(res->relax[0].matches, 1);
    xeno_rd_result_free(res);

    /* only with both: a pair */
    assert_true(xeno_rd_remove(rd, &(struct xeno_id){ .s = "" }) == false);
    xeno_rd_remove(rd, (struct xeno_id[]){ servers_id(3) });
    res = plain_find(rd, &req);
    assert_int_equal(res->relax_count, 1);
    assert_string_equal(res->relax[0].text,
                        "isolation from vm to vm or container and MemoryMB from 512 to 384");
    assert_int_equal(res->relax[0].matches, 2);
    xeno_rd_result_free(res);
    xeno_rd_request_release(&req);
    xeno_rd_free(rd);
}

/* An hour of 100 ms/s at one micro-credit for a CPU second is 360. */
static void price_adds_up(void **state)
{
    struct xeno_rd *rd = xeno_rd_new(10);
    struct xeno_rd_request req;
    struct xeno_rd_result *res;

    (void)state;
    xeno_rd_request_init(&req);
    req.requirement = xeno_requirement_new("t");
    req.requirement->cpu_msps = 100;
    req.requirement->memory_bytes = INT64_C(256) << 20;
    req.duration_s = 7200;
    req.max_cost = 1000;
    for (unsigned i = 1; i <= 3; i++) {
        plain_begin();
        plain_prices(i);
        plain_put(rd, i);
    }
    plain_begin(); /* this one says no prices */
    plain_put(rd, 4);
    res = plain_find(rd, &req);
    assert_int_equal(res->answer_count, 1);
    assert_int_equal(res->answers[0].hour, 360);
    assert_int_equal(res->answers[0].total, 720);
    assert_string_equal(res->answers[0].why[0], "0.00072 credits for 2h00m, the least of 1");
    assert_int_equal(res->fell_count, 2);
    assert_string_equal(res->fell[0].text, "2 of 4: costs over 0.001 credits in all");
    assert_string_equal(res->fell[1].text, "1 of 4: Price is not told");
    assert_string_equal(res->relax[0].text, "max_cost from 0.001 to 0.00144 credits");
    assert_int_equal(res->relax[0].matches, 2);
    xeno_rd_result_free(res);
    xeno_rd_request_release(&req);
    xeno_rd_free(rd);
}

/* A server that takes large sessions only is not told as one for which to ask for less, unless what
 * it has is large enough. */
static void relaxes_within_accept(void **state)
{
    struct xeno_rd *rd = xeno_rd_new(10);
    struct xeno_rd_request req;
    struct xeno_rd_result *res;

    (void)state;
    xeno_rd_request_init(&req);
    req.requirement = xeno_requirement_new("t");
    req.requirement->cpu_msps = 2000;
    plain_begin();
    servers_leaf(&m, "Accept", "{\"token\":\"CPUmsps\",\"min\":1500}");
    plain_put(rd, 1);
    res = plain_find(rd, &req);
    assert_int_equal(res->fell_count, 1);
    assert_int_equal(res->relax_count, 0);
    xeno_rd_result_free(res);
    plain_begin();
    servers_leaf(&m, "Accept", "{\"token\":\"Client/Kind\",\"is\":\"client\"}");
    plain_put(rd, 2);
    res = plain_find(rd, &req);
    assert_int_equal(res->relax_count, 1);
    assert_string_equal(res->relax[0].text, "CPUmsps from 2000 to 1000");
    assert_int_equal(res->relax[0].matches, 1);
    xeno_rd_result_free(res);
    plain_begin(); /* it would accept what it could give */
    servers_leaf(&m, "Accept", "{\"token\":\"CPUmsps\",\"min\":900}");
    plain_put(rd, 3);
    res = plain_find(rd, &req);
    assert_int_equal(res->relax_count, 1);
    assert_int_equal(res->relax[0].matches, 2);
    xeno_rd_result_free(res);
    xeno_rd_request_release(&req);
    xeno_rd_free(rd);
}

/* More parts than are told apart: the last one stands for the rest. */
static void many_parts(void **state)
{
    struct xeno_rd *rd = xeno_rd_new(10);
    xeno_autobuf text = XENO_BUF_INIT;
    struct xeno_rd_request req;
    struct xeno_rd_result *res;

    (void)state;
    xeno_rd_request_init(&req);
    xeno_buf_puts(&text, "{\"and\":[");
    for (int i = 0; i < 20; i++)
        xeno_buf_printf(&text, "{\"token\":\"MemoryMB\",\"min\":%d},", i == 18 ? 385 : i);
    xeno_buf_puts(&text, "{\"token\":\"DiskMB\",\"min\":1}]}");
    assert_int_equal(xeno_query_parse(text.data, text.len, &req.where, NULL), 0);
    plain_begin();
    plain_put(rd, 1);
    res = plain_find(rd, &req);
    assert_int_equal(res->answer_count, 0);
    assert_int_equal(res->fell_count, 1);
    assert_string_equal(xeno_rd_constraint_name(res->fell[0].constraint), "where[15]");
    assert_int_equal(res->relax_count, 1);
    assert_true(res->relax[0].part[0].drop);
    xeno_rd_result_free(res);
    xeno_rd_request_release(&req);
    xeno_rd_free(rd);
}

/* Tokens come and go from the columns, however many a client names. */
static void more_tokens_than_columns(void **state)
{
    struct xeno_rd *rd = xeno_rd_new(10);

    (void)state;
    plain_begin();
    for (int i = 0; i < 200; i++) {
        char path[32];

        snprintf(path, sizeof(path), "Own/Token%d", i);
        servers_leaf(&m, path, "%d", i);
    }
    plain_put(rd, 1);
    for (int i = 0; i < 600; i++) {
        struct xeno_rd_request req;
        struct xeno_rd_result *res;
        char text[96];

        xeno_rd_request_init(&req);
        snprintf(text, sizeof(text), "{\"token\":\"Own/Token%d\",\"is\":%d}", i * 7 % 250,
                 i * 7 % 250);
        assert_int_equal(xeno_query_parse(text, strlen(text), &req.where, NULL), 0);
        res = plain_find(rd, &req);
        assert_int_equal(res->answer_count, i * 7 % 250 < 200);
        xeno_rd_result_free(res);
        xeno_rd_request_release(&req);
    }
    xeno_rd_free(rd);
}

static void newest_only(void **state)
{
    struct xeno_rd *rd = xeno_rd_new(2);
    struct xeno_err err = XENO_ERR_INIT;
    struct xeno_id id = servers_id(1);
    struct xeno_advert *a, *gone = xeno_new0(struct xeno_advert);

    (void)state;
    plain_begin();
    plain_put(rd, 1);
    a = servers_advert(&m, &id, 1, NOW);
    assert_int_equal(xeno_rd_put(rd, a, &err), -EEXIST);
    assert_string_equal(err.token, "rd.old");
    xeno_advert_free(a);
    plain_put(rd, 2);
    id = servers_id(3);
    a = servers_advert(&m, &id, 1, NOW);
    assert_int_equal(xeno_rd_put(rd, a, &err), -ENOSPC);
    xeno_advert_free(a);

    gone->id = servers_id(1);
    gone->version = 2;
    gone->withdrawn = true;
    assert_int_equal(xeno_rd_put(rd, gone, NULL), 0);
    assert_int_equal(xeno_rd_count(rd), 1);
    assert_int_equal(xeno_rd_age(rd, NOW), 0);
    assert_int_equal(xeno_rd_age(rd, xeno_time_add(NOW, xeno_s(60))), 1);
    assert_int_equal(xeno_rd_count(rd), 0);
    xeno_rd_free(rd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relaxes_within_accept),
        cmocka_unit_test(many_parts),
        cmocka_unit_test(more_tokens_than_columns),
        cmocka_unit_test(says_why),
        cmocka_unit_test(price_adds_up),
        cmocka_unit_test(newest_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
