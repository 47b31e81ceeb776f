/* src/doc/tests/test-present.c - an order is used as its holder presented it, or not at all. */
#include "doc/order.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/jws.h"

#define NOW_MS    INT64_C(1795000000000)
#define HERE      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ELSEWHERE "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct xeno_key *corp, *client, *agent;
static char *base, *narrow; /* for the client; 10 micro-credits of it for the agent */

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static int set_up(void **state)
{
    struct xeno_order_restriction ten = { .max_total = { 10 } };
    struct xeno_order_offer offer = { .order = "orderorderorderorderorderorderab",
                                      .limit = xeno_micro(1000),
                                      .issued = xeno_ms(NOW_MS),
                                      .expires = xeno_ms(NOW_MS + 3600000) };

    (void)state;
    corp = key_of(1);
    client = key_of(2);
    agent = key_of(3);
    offer.key = *xeno_key_pub(client);
    assert_int_equal(xeno_order_issue(corp, &offer, &base, NULL), 0);
    assert_int_equal(xeno_order_append(base, strlen(base), xeno_key_pub(corp), client, &ten,
                                       xeno_key_pub(agent), &narrow, NULL),
                     0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(base);
    free(narrow);
    xeno_key_free(corp);
    xeno_key_free(client);
    xeno_key_free(agent);
    return 0;
}

static char *present(const char *chain, const struct xeno_key *holder, const char *server)
{
    char *out = NULL;

    assert_int_equal(xeno_order_present(chain, strlen(chain), xeno_key_pub(corp), holder, server,
                                        xeno_micro(0), xeno_ms(NOW_MS), &out, NULL),
                     0);
    return out;
}

/* What `server` may do with the first `len` bytes when it says that `holder` asked it to. */
static int use(const char *chain, size_t len, const struct xeno_key *holder, const char *server,
               int64_t off_ms, bool ahead, struct xeno_err *err)
{
    struct xeno_order_ctx ctx = { .server = server,
                                  .env_type = "Linux",
                                  .now = xeno_ms(NOW_MS + off_ms),
                                  .holder = xeno_key_pub(holder),
                                  .ahead = ahead };
    struct xeno_order_terms t;
    int r = xeno_order_read(chain, len, xeno_key_pub(corp), &t, err);

    return r < 0 ? r : xeno_order_permits(&t, &ctx, err);
}

static void only_where_presented(void **state)
{
    static const struct {
        const char *name, *server;
        int64_t off_ms;
        const char *token; /* NULL: permitted */
    } rows[] = {
        { "there and then", HERE, 0, NULL },
        { "elsewhere", ELSEWHERE, 0, "order.presented" },
        { "at the last moment", HERE, XENO_ORDER_PRESENT_S * 1000, NULL },
        { "too late", HERE, XENO_ORDER_PRESENT_S * 1000 + 1, "order.presented" },
    };
    xeno_autofree char *shown = present(narrow, agent, HERE);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_err err = XENO_ERR_INIT;
        int r = use(shown, strlen(shown), agent, rows[i].server, rows[i].off_ms, false, &err);

        if (rows[i].token ? r != -EPERM || strcmp(err.token, rows[i].token) != 0 : r != 0)
            fail_msg("%s: %d %s", rows[i].name, r, err.text);
    }
}

/* The XenoServer that was shown the chain has every prefix of it, with more rights than it was
 * given, and may say of each that its holder came. */
static void no_prefix_is_of_use(void **state)
{
    xeno_autofree char *shown = present(narrow, agent, HERE);
    const size_t cuts[] = { strlen(base), strlen(narrow) };
    const struct xeno_key *holders[] = { client, agent };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(cuts); i++) {
        struct xeno_err err = XENO_ERR_INIT;

        assert_int_equal(use(shown, cuts[i], holders[i], HERE, 0, true, &err), 0);
        assert_int_equal(use(shown, cuts[i], holders[i], HERE, 0, false, &err), -EPERM);
        assert_string_equal(err.token, "order.presented");
    }
}

static void only_the_holder_presents(void **state)
{
    struct xeno_err err = XENO_ERR_INIT;
    char *out = NULL;

    (void)state;
    assert_int_equal(xeno_order_present(narrow, strlen(narrow), xeno_key_pub(corp), client, HERE,
                                        xeno_micro(0), xeno_ms(NOW_MS), &out, &err),
                     -EPERM);
    assert_string_equal(err.token, "order.holder");
    assert_null(out);
}

/* Nothing comes after it: neither a narrowing, nor a second presentation, nor a new key. */
static void it_is_the_last(void **state)
{
    static const struct xeno_order_restriction none;
    xeno_autofree char *shown = present(base, client, HERE);
    struct xeno_err err = XENO_ERR_INIT;
    char *out = NULL;

    (void)state;
    assert_int_equal(xeno_order_append(shown, strlen(shown), xeno_key_pub(corp), client, &none,
                                       NULL, &out, &err),
                     -EINVAL);
    assert_string_equal(err.token, "order.restriction");
    assert_int_equal(xeno_order_present(shown, strlen(shown), xeno_key_pub(corp), client, HERE,
                                        xeno_micro(0), xeno_ms(NOW_MS), &out, &err),
                     -EINVAL);
    assert_null(out);
}

/* A block that presents an order and hands it on would let the next holder present it, too. */
static void it_hands_nothing_on(void **state)
{
    xeno_autofree char *prev = NULL, *body = NULL, *block = NULL, *chain = NULL;
    char key[XENO_PUB_TEXT];
    struct xeno_order_terms t;
    struct xeno_err err = XENO_ERR_INIT;
    uint8_t sha[32];

    (void)state;
    xeno_sha256_of(base, strlen(base), sha);
    prev = xeno_b64url(sha, sizeof sha);
    xeno_pub_text(xeno_key_pub(agent), key);
    body = xeno_asprintf("{\"v\":1,\"n\":1,\"prev\":\"%s\",\"restrict\":{},\"key\":\"%s\","
                         "\"present\":{\"server\":\"" HERE "\",\"time_ms\":0}}",
                         prev, key);
    block = xeno_jws_sign(client, XENO_TYP_ORDER_BLOCK, body, strlen(body));
    chain = xeno_asprintf("%s~%s", base, block);
    assert_int_equal(xeno_order_read(chain, strlen(chain), xeno_key_pub(corp), &t, &err), -EINVAL);
    assert_string_equal(err.token, "order.format");
}

/* With the price that was agreed, which the terms of a binding then say. */
static void a_price_goes_with_it(void **state)
{
    const struct {
        int64_t ask, want;
    } rows[] = { { 0, INT64_MAX }, { 7, 7 } };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *shown = NULL;
        struct xeno_order_terms t;

        assert_int_equal(xeno_order_present(base, strlen(base), xeno_key_pub(corp), client, HERE,
                                            xeno_micro(rows[i].ask), xeno_ms(NOW_MS), &shown, NULL),
                         0);
        assert_int_equal(xeno_order_read(shown, strlen(shown), xeno_key_pub(corp), &t, NULL), 0);
        assert_int_equal(t.max_rate.micro, rows[i].want);
    }
}

/* However often an order was narrowed, it can be presented. */
static void there_is_room(void **state)
{
    struct xeno_order_restriction ten = { .max_total = { 10 } };
    char *chain = xeno_strdup(base), *next = NULL;
    xeno_autofree char *shown = NULL;

    (void)state;
    while (xeno_order_append(chain, strlen(chain), xeno_key_pub(corp), client, &ten, NULL, &next,
                             NULL) == 0) {
        free(chain);
        chain = xeno_take(&next);
    }
    shown = present(chain, client, HERE);
    assert_int_equal(use(shown, strlen(shown), client, HERE, 0, false, NULL), 0);
    free(chain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_where_presented),
        cmocka_unit_test(no_prefix_is_of_use),
        cmocka_unit_test(only_the_holder_presents),
        cmocka_unit_test(it_is_the_last),
        cmocka_unit_test(it_hands_nothing_on),
        cmocka_unit_test(a_price_goes_with_it),
        cmocka_unit_test(there_is_room),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
