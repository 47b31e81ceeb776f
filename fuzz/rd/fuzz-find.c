/* fuzz/rd/fuzz-find.c - no question crashes the reader or a find, and what is answered adds up.
 *
 * The input is the JSON of rfc/0019. It is asked of forty made-up servers of every kind. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "rd/answer.h"
#include "rd/request.h"
#include "rd/tests/servers.h"

#define SERVERS 40
#define NOW     xeno_s(1800000000)

static struct xeno_rd *servers(void)
{
    static struct xeno_rd *rd;
    struct xeno_env_test t;

    if (rd)
        return rd;
    xeno_spec_init();
    rd = xeno_rd_new(SERVERS);
    xeno_env_test_init(&t, NOW, 1);
    for (unsigned i = 0; i < SERVERS; i++) {
        struct xeno_advert *a = i % 2 ? servers_odd(&t, i, 1, xeno_s(1800000060))
                                      : servers_usual(&t, i, 1, xeno_s(1800000060));

        XENO_REQUIRE(xeno_rd_put(rd, a, NULL) == 0);
    }
    return rd;
}

static void check(const struct xeno_rd_result *res, const struct xeno_rd_request *r)
{
    xeno_auto(xeno_json) j = xeno_rd_answer_json(res, r->documents);
    xeno_autofree char *text = xeno_json_format(j, false, NULL);
    size_t sum = res->matched;

    XENO_REQUIRE(text != NULL);
    for (size_t i = 0; i < res->fell_count; i++)
        sum += res->fell[i].count;
    XENO_REQUIRE(sum == res->considered && sum == SERVERS);
    XENO_REQUIRE(res->answer_count <= (size_t)r->count && res->answer_count <= res->matched);
    for (size_t i = 0; i < res->relax_count; i++)
        XENO_REQUIRE(res->relax[i].matches > res->matched && res->relax[i].matches <= SERVERS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct xeno_rd_client client = { .corp = SERVERS_CORP, .kind = "client" };
    xeno_auto(xeno_rd_result) res = NULL;
    xeno_auto(xeno_json) j = NULL;
    struct xeno_rd_request r;
    struct xeno_rd *rd = servers();
    struct xeno_json_at at;

    if (xeno_json_parse((const char *)data, size, XENO_RD_REQUEST_BYTES, &j, NULL) < 0)
        return 0;
    at = xeno_json_top(j);
    if (xeno_rd_request_read(&at, &r, NULL) < 0)
        return 0;
    if (xeno_rd_find(rd, &r, &client, NULL, NOW, &res, NULL) == 0)
        check(res, &r);
    xeno_rd_request_release(&r);
    return 0;
}
