/* src/doc/tests/test-token.c */
#include "doc/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ID "abcdefghijklmnopqrstuvwxyz234567"

static void both_ways(void **state)
{
    struct xeno_env_test env;
    struct xeno_id corp = { .s = ID }, back;
    char a[XENO_TOKEN_TEXT], b[XENO_TOKEN_TEXT], ha[65], hb[65];

    (void)state;
    xeno_env_test_init(&env, xeno_s(0), 1);
    xeno_token_make(&env.env, &corp, a);
    xeno_token_make(&env.env, &corp, b);
    assert_int_equal(strlen(a), XENO_TOKEN_TEXT - 1);
    assert_int_equal(xeno_token_parse(a, &back, NULL), 0);
    assert_string_equal(back.s, ID);
    xeno_token_hash(a, ha);
    xeno_token_hash(b, hb);
    assert_int_equal(strlen(ha), 64);
    assert_string_not_equal(ha, hb);
}

static void refused(void **state)
{
    static const char *const rows[] = {
        "",
        "xt1.",
        "xt2.AAAAAAAAAAAAAAAAAAAAAA." ID,
        "xt1.AAAAAAAAAAAAAAAAAAAAA." ID,
        "xt1.AAAAAAAAAAAAAAAAAAAAAA" ID "a",
        "xt1.AAAAAAAAAAAAAAAAAAAAAB." ID,
        "xt1.AAAAAAAAAAAAAAAAAAAA=A." ID,
        "xt1.AAAAAAAAAAAAAAAAAAAAAA.ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "xt1.AAAAAAAAAAAAAAAAAAAAAA." ID "a",
        "xt1.AAAAAAAAAAAAAAAAAAAAAA." ID "\n",
    };

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++) {
        struct xeno_id id = { .s = "x" };
        struct xeno_err err = XENO_ERR_INIT;

        assert_true(xeno_token_parse(rows[i], &id, &err) < 0);
        assert_string_equal(err.token, "token.format");
        assert_string_equal(id.s, "x");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(refused),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
