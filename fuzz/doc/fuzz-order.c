/* fuzz/doc/fuzz-order.c - no input crashes the reader of order chains or widens an order.
 *
 * A signature stops a fuzzer for good, so the first letter says what the rest is: 'c' a whole chain
 * as it would arrive, 'b' the JSON of block 0, 'r' a "restrict" object; the last two are signed
 * here with the right keys. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "crypto/jws.h"
#include "doc/order.h"

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static char *base_of(const struct xeno_key *corp, const struct xeno_key *client)
{
    struct xeno_order_offer offer = { .order = "orderorderorderorderorderorderab",
                                      .limit = { 1000 },
                                      .issued = xeno_ms(1000),
                                      .expires = xeno_ms(2000),
                                      .key = *xeno_key_pub(client) };
    char *text = NULL;

    XENO_REQUIRE(xeno_order_issue(corp, &offer, &text, NULL) == 0);
    return text;
}

/* Whatever a restriction said, the terms are sound and no wider than the order was. */
static void restricted(const struct xeno_key *corp, const struct xeno_key *client, const char *json,
                       size_t len)
{
    xeno_autofree char *base = base_of(corp, client);
    xeno_autofree char *prev = NULL;
    xeno_autofree char *payload = NULL;
    xeno_autofree char *block = NULL;
    xeno_autofree char *chain = NULL;
    struct xeno_order_terms t;
    uint8_t sha[32];

    xeno_sha256_of(base, strlen(base), sha);
    prev = xeno_b64url(sha, sizeof sha);
    payload =
        xeno_asprintf("{\"v\":1,\"n\":1,\"prev\":\"%s\",\"restrict\":%.*s}", prev, (int)len, json);
    block = xeno_jws_sign(client, XENO_TYP_ORDER_BLOCK, payload, strlen(payload));
    chain = xeno_asprintf("%s~%s", base, block);
    if (xeno_order_read(chain, strlen(chain), xeno_key_pub(corp), &t, NULL) < 0)
        return;
    XENO_REQUIRE(t.blocks == 2 && t.limit.micro == 1000);
    XENO_REQUIRE(t.max_total.micro >= 1 && t.max_total.micro <= 1000);
    XENO_REQUIRE(t.max_rate.micro >= 1);
    XENO_REQUIRE(t.not_before.ns >= xeno_ms(1000).ns && t.not_after.ns <= xeno_ms(2000).ns);
    XENO_REQUIRE(t.server_count <= XENO_ORDER_SERVERS_MAX && t.env_count <= XENO_ORDER_ENVS_MAX);
    for (size_t i = 0; i < t.server_count; i++)
        XENO_REQUIRE(xeno_id_ok(t.servers[i].s));
}

static void first(const struct xeno_key *corp, const char *json, size_t len)
{
    xeno_autofree char *text = xeno_jws_sign(corp, XENO_TYP_ORDER, json, len);
    struct xeno_order_terms t;

    if (xeno_order_read(text, strlen(text), xeno_key_pub(corp), &t, NULL) < 0)
        return;
    XENO_REQUIRE(t.limit.micro >= 1 && t.limit.micro <= XENO_CREDIT_MAX);
    XENO_REQUIRE(t.expires.ns > t.issued.ns && t.any_server && t.any_env);
    xeno_json_unref(xeno_order_terms_json(&t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    xeno_auto(xeno_key) corp = NULL;
    xeno_auto(xeno_key) client = NULL;
    const char *text = (const char *)data + 1; /* no zero byte follows: the length counts */
    struct xeno_order_terms t;
    struct xeno_id id;
    char order[XENO_ORDER_ID_CHARS + 1];

    if (size < 1)
        return 0;
    xeno_crypto_init();
    corp = key_of(1);
    client = key_of(2);
    switch (data[0]) {
    case 'b':
        first(corp, text, size - 1);
        break;
    case 'r':
        restricted(corp, client, text, size - 1);
        break;
    default:
        if (xeno_order_read(text, size - 1, xeno_key_pub(corp), &t, NULL) == 0)
            XENO_REQUIRE(xeno_order_peek(text, size - 1, &id, order, NULL) == 0);
        break;
    }
    return 0;
}
