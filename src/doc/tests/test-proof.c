/* src/doc/tests/test-proof.c */
#include "doc/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/jws.h"

#define NOW_MS INT64_C(1795000000000)
#define ORDER  "orderorderorderorderorderorderab"
#define SERVER "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define AUD    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static const struct {
    const char *name, *order, *server, *aud;
    int64_t off_ms;
    const char *token; /* NULL: accepted */
} rows[] = {
    { "right", ORDER, SERVER, AUD, 0, NULL },
    { "oldest", ORDER, SERVER, AUD, -300000, NULL },
    { "newest", ORDER, SERVER, AUD, 300000, NULL },
    { "too old", ORDER, SERVER, AUD, -300001, "proof.time" },
    { "from the future", ORDER, SERVER, AUD, 300001, "proof.time" },
    { "another order", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", SERVER, AUD, 0, "proof.order" },
    { "another server", ORDER, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", AUD, 0, "proof.server" },
    { "another request", ORDER, SERVER, "abc", 0, "proof.audience" },
};

static void proof_rows(void **state)
{
    xeno_auto(xeno_key) holder = key_of(1);
    struct xeno_order_terms t = { .holder = *xeno_key_pub(holder) };

    (void)state;
    memcpy(t.order, ORDER, sizeof t.order);
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        xeno_autofree char *text = xeno_proof_make(holder, rows[i].order, rows[i].server,
                                                   rows[i].aud, xeno_ms(NOW_MS + rows[i].off_ms));
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_proof_check(text, strlen(text), &t, SERVER, AUD, xeno_ms(NOW_MS), &err);

        if (rows[i].token ? r == 0 || strcmp(err.token, rows[i].token) != 0 : r != 0)
            fail_msg("%s: %d %s", rows[i].name, r, err.text);
    }
}

static void wrong_key_or_kind(void **state)
{
    xeno_auto(xeno_key) holder = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    xeno_autofree char *theirs = xeno_proof_make(other, ORDER, SERVER, AUD, xeno_ms(NOW_MS));
    xeno_autofree char *kind = xeno_jws_sign(holder, XENO_TYP_ORDER, "{}", 2);
    xeno_autofree char *more =
        xeno_jws_sign(holder, XENO_TYP_PROOF, "{\"x\":1}", strlen("{\"x\":1}"));
    struct xeno_order_terms t = { .holder = *xeno_key_pub(holder) };
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    memcpy(t.order, ORDER, sizeof t.order);
    assert_true(xeno_proof_check(theirs, strlen(theirs), &t, SERVER, AUD, xeno_ms(NOW_MS), &err) <
                0);
    assert_string_equal(err.token, "proof.signature");
    assert_true(xeno_proof_check(kind, strlen(kind), &t, SERVER, AUD, xeno_ms(NOW_MS), &err) < 0);
    assert_string_equal(err.token, "proof.signature");
    assert_true(xeno_proof_check(more, strlen(more), &t, SERVER, AUD, xeno_ms(NOW_MS), &err) < 0);
    assert_string_equal(err.token, "json.unknown");
    assert_true(xeno_proof_check("", 0, &t, SERVER, AUD, xeno_ms(NOW_MS), &err) < 0);
    assert_string_equal(err.token, "jws.format");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proof_rows),
        cmocka_unit_test(wrong_key_or_kind),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
