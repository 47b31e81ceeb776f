/* src/crypto/tests/test-jws.c */
#include "crypto/jws.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/enc.h"

static struct xeno_key *key_of(uint8_t fill)
{
    uint8_t seed[32];

    memset(seed, fill, sizeof seed);
    return xeno_key_from_seed(seed);
}

/* A document with any header and signature text at all, signed by `key` over what it says. */
static char *forge(const struct xeno_key *key, const char *header, const char *payload)
{
    xeno_autofree char *h = xeno_b64url(header, strlen(header));
    xeno_autofree char *p = xeno_b64url(payload, strlen(payload));
    xeno_autofree char *input = xeno_asprintf("%s.%s", h, p);
    xeno_autofree char *s = NULL;
    uint8_t sig[XENO_SIG_BYTES];

    xeno_key_sign(key, input, strlen(input), sig);
    s = xeno_b64url(sig, sizeof sig);
    return xeno_asprintf("%s.%s", input, s);
}

static void both_ways(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_auto(xeno_key) other = key_of(2);
    xeno_autofree char *text = xeno_jws_sign(key, "xeno-test+json", "{\"a\":1}", 7);
    xeno_auto(xeno_jws) jws = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    assert_int_equal(xeno_jws_parse(text, strlen(text), &jws, &err), 0);
    assert_string_equal(jws->payload, "{\"a\":1}");
    assert_int_equal(jws->payload_len, 7);
    assert_string_equal(jws->typ, "xeno-test+json");
    assert_int_equal(xeno_jws_check(jws, "xeno-test+json", xeno_key_pub(key), &err), 0);
    assert_int_equal(xeno_jws_check(jws, "xeno-order+json", xeno_key_pub(key), &err), -EPERM);
    assert_string_equal(err.token, "jws.typ");
    assert_int_equal(xeno_jws_check(jws, "xeno-test+json", xeno_key_pub(other), &err), -EPERM);
    assert_string_equal(err.token, "jws.kid");
}

/* Whichever letter of the text is changed, it is refused. */
static void every_letter_counts(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *text = xeno_jws_sign(key, "t", "{\"a\":1}", 7);

    (void)state;
    for (size_t i = 0; text[i]; i++) {
        xeno_auto(xeno_jws) jws = NULL;
        char was = text[i];

        text[i] = was == 'A' ? 'B' : 'A';
        assert_true(xeno_jws_parse(text, strlen(text), &jws, NULL) < 0 ||
                    xeno_jws_check(jws, "t", xeno_key_pub(key), NULL) < 0);
        text[i] = was;
    }
}

static void truncated(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *text = xeno_jws_sign(key, "t", "{\"a\":1}", 7);

    (void)state;
    for (size_t len = 0; text[len]; len++) {
        xeno_auto(xeno_jws) jws = NULL;

        assert_true(xeno_jws_parse(text, len, &jws, NULL) < 0);
        assert_null(jws);
    }
}

#define KID "__________ID____________________"

static const struct {
    const char *name, *header, *token; /* KID stands for the signer's id */
} headers[] = {
    { "ours", "{\"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"t\"}", NULL },
    { "another order", "{\"typ\":\"t\",\"kid\":\"" KID "\",\"alg\":\"EdDSA\"}", NULL },
    { "no signature asked", "{\"alg\":\"none\",\"kid\":\"" KID "\",\"typ\":\"t\"}", "jws.alg" },
    { "symmetric", "{\"alg\":\"HS256\",\"kid\":\"" KID "\",\"typ\":\"t\"}", "jws.alg" },
    { "no kid", "{\"alg\":\"EdDSA\",\"typ\":\"t\"}", "jws.header" },
    { "short kid", "{\"alg\":\"EdDSA\",\"kid\":\"abc\",\"typ\":\"t\"}", "jws.header" },
    { "no typ", "{\"alg\":\"EdDSA\",\"kid\":\"" KID "\"}", "jws.header" },
    { "empty typ", "{\"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"\"}", "jws.header" },
    { "twice", "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"typ\":\"t\"}", "jws.header" },
    { "crit", "{\"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"t\",\"crit\":[\"x\"]}",
      "jws.header" },
    { "jwk", "{\"jwk\":{},\"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"t\"}", "jws.header" },
    { "b64", "{\"alg\":\"EdDSA\",\"b64\":false,\"kid\":\"" KID "\"}", "jws.header" },
    { "space", "{ \"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"t\"}", "jws.header" },
    { "escape", "{\"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"\\u0074\"}", "jws.header" },
    { "more after", "{\"alg\":\"EdDSA\",\"kid\":\"" KID "\",\"typ\":\"t\"}x", "jws.header" },
    { "long typ",
      "{\"alg\":\"EdDSA\",\"kid\":\"" KID
      "\",\"typ\":\"0123456789012345678901234567890123456789\"}",
      "jws.header" },
    { "empty", "{}", "jws.header" },
    { "array", "[]", "jws.header" },
};

static void header_rows(void **state)
{
    xeno_auto(xeno_key) key = key_of(1);
    struct xeno_id id = xeno_id_of(xeno_key_pub(key));

    (void)state;
    for (size_t i = 0; i < XENO_LEN(headers); i++) {
        xeno_autofree char *header = xeno_strdup(headers[i].header);
        xeno_autofree char *text = NULL;
        xeno_auto(xeno_jws) jws = NULL;
        struct xeno_err err = XENO_ERR_INIT;
        char *at = strstr(header, KID);
        int r;

        if (at)
            memcpy(at, id.s, XENO_ID_CHARS);
        text = forge(key, header, "{}");
        r = xeno_jws_parse(text, strlen(text), &jws, &err);
        if (headers[i].token) {
            assert_int_equal(r, -EINVAL);
            assert_string_equal(err.token, headers[i].token);
        } else {
            assert_int_equal(r, 0);
            assert_int_equal(xeno_jws_check(jws, "t", xeno_key_pub(key), &err), 0);
        }
    }
}

static void bad_shapes(void **state)
{
    static const char *const rows[] = {
        "", ".", "..", "a.b.c", "e30.e30.", "e30.e30.e30.e30", "{}"
    };
    xeno_auto(xeno_key) key = key_of(1);
    xeno_autofree char *good = xeno_jws_sign(key, "t", "{}", 2);
    xeno_autofree char *dotted = xeno_asprintf("%s.", good);
    xeno_autofree char *padded = xeno_asprintf("%s=", good);
    xeno_autofree char *huge = xeno_alloc0(XENO_JWS_MAX + 2, 1);
    const char *more[] = { dotted, padded };
    xeno_auto(xeno_jws) jws = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < XENO_LEN(rows); i++)
        assert_true(xeno_jws_parse(rows[i], strlen(rows[i]), &jws, NULL) < 0);
    for (size_t i = 0; i < XENO_LEN(more); i++)
        assert_true(xeno_jws_parse(more[i], strlen(more[i]), &jws, NULL) < 0);
    memset(huge, 'A', XENO_JWS_MAX + 1);
    assert_int_equal(xeno_jws_parse(huge, XENO_JWS_MAX + 1, &jws, &err), -EFBIG);
    assert_string_equal(err.token, "jws.size");
    assert_null(jws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),  cmocka_unit_test(every_letter_counts),
        cmocka_unit_test(truncated),  cmocka_unit_test(header_rows),
        cmocka_unit_test(bad_shapes),
    };

    xeno_crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
