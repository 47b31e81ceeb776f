/* src/doc/tests/test-revoke.c */
#include "doc/revoke.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/jws.h"

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

static void both_ways(void **state)
{
    static const char *const serials[] = { "ff", "01", "40aabbccddeeff00112233445566778899aabbcc" };
    xeno_auto(xeno_key) corp = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_revocations) l = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(
        xeno_revocations_sign(corp, 7, xeno_ms(10), xeno_ms(20), serials, 3, &text, &err), 0);
    assert_int_equal(xeno_revocations_read(text, strlen(text), xeno_key_pub(other), &l, &err),
                     -EPERM);
    assert_int_equal(xeno_revocations_read(text, strlen(text), xeno_key_pub(corp), &l, &err), 0);
    assert_int_equal(l->version, 7);
    assert_true(l->issued.ns == xeno_ms(10).ns && l->next.ns == xeno_ms(20).ns);
    assert_int_equal(l->count, 3);
    for (size_t i = 0; i < XENO_LEN(serials); i++)
        assert_true(xeno_revocations_has(l, serials[i]));
    assert_false(xeno_revocations_has(l, "02"));
    assert_false(xeno_revocations_has(l, ""));
    assert_false(xeno_revocations_has(l, "40aabbccddeeff00112233445566778899aabbccdd"));
    assert_false(xeno_revocations_has(NULL, "01"));
}

static void most_there_may_be(void **state)
{
    xeno_auto(xeno_key) corp = key_of(1);
    xeno_autofree char *text = NULL;
    xeno_auto(xeno_revocations) l = NULL;
    char(*names)[XENO_SERIAL_TEXT] = xeno_alloc0(XENO_REVOCATIONS_MAX + 1, XENO_SERIAL_TEXT);
    const char **serials = xeno_new0_n(const char *, XENO_REVOCATIONS_MAX + 1);
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (size_t i = 0; i <= XENO_REVOCATIONS_MAX; i++) {
        snprintf(names[i], XENO_SERIAL_TEXT, "40aabbccddeeff00112233445566778899%06zx",
                 i * 7 % 8209);
        serials[i] = names[i];
    }
    assert_int_equal(xeno_revocations_sign(corp, 1, xeno_ms(1), xeno_ms(2), serials,
                                           XENO_REVOCATIONS_MAX + 1, &text, &err),
                     -E2BIG);
    assert_int_equal(xeno_revocations_sign(corp, 1, xeno_ms(1), xeno_ms(2), serials,
                                           XENO_REVOCATIONS_MAX, &text, &err),
                     0);
    assert_int_equal(xeno_revocations_read(text, strlen(text), xeno_key_pub(corp), &l, &err), 0);
    for (size_t i = 0; i < XENO_REVOCATIONS_MAX; i++)
        assert_true(xeno_revocations_has(l, serials[i]));
    assert_false(xeno_revocations_has(l, serials[XENO_REVOCATIONS_MAX]));
    free(names);
    free(serials);
}

static const struct {
    const char *json, *token;
} bad[] = {
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[]}", NULL },
    { "{\"v\":2,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[]}", "doc.version" },
    { "{\"v\":1,\"version\":-1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[]}", "json.range" },
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2}", "json.missing" },
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[],\"x\":1}",
      "json.unknown" },
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[\"F0\"]}",
      "revoke.serial" },
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[\"abc\"]}",
      "revoke.serial" },
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[\"\"]}", "json.range" },
    { "{\"v\":1,\"version\":1,\"issued_ms\":1,\"next_ms\":2,\"serials\":[1]}", "json.type" },
};

static void bad_rows(void **state)
{
    xeno_auto(xeno_key) corp = key_of(1);

    (void)state;
    for (size_t i = 0; i < XENO_LEN(bad); i++) {
        xeno_autofree char *text =
            xeno_jws_sign(corp, XENO_TYP_REVOCATIONS, bad[i].json, strlen(bad[i].json));
        xeno_auto(xeno_revocations) l = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        int r = xeno_revocations_read(text, strlen(text), xeno_key_pub(corp), &l, &err);

        if (bad[i].token ? r == 0 || strcmp(err.token, bad[i].token) != 0 : r != 0)
            fail_msg("%s: %d %s", bad[i].json, r, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(most_there_may_be),
        cmocka_unit_test(bad_rows),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
