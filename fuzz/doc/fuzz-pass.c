/* fuzz/doc/fuzz-pass.c - no input crashes the readers of passes and scopes, or does not round-trip.
 *
 * The first letter says what the rest is: 'a' and 'l' a pass as it would arrive, 'p' the payload of
 * one (signed here), 's' a scope. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "crypto/jws.h"
#include "doc/pass.h"

static void pass(const struct xeno_key *key, enum xeno_pass_kind kind, const char *text, size_t len)
{
    struct xeno_pass p, same;
    xeno_autofree char *again = NULL;

    if (xeno_pass_read(text, len, kind, xeno_key_pub(key), xeno_ms(0), &p, NULL) < 0)
        return;
    XENO_REQUIRE(p.kind == kind && p.count <= XENO_PASS_SCOPES && p.expires.ns > 0);
    again = xeno_pass_sign(key, &p);
    XENO_REQUIRE(xeno_pass_read(again, strlen(again), kind, xeno_key_pub(key), xeno_ms(0), &same,
                                NULL) == 0);
    XENO_REQUIRE(same.count == p.count && memcmp(same.scopes, p.scopes, sizeof p.scopes) == 0);
    XENO_REQUIRE(strcmp(same.client.s, p.client.s) == 0 && strcmp(same.serial, p.serial) == 0);
}

static void scope(const char *text, size_t len)
{
    struct xeno_pass_scope s, same;
    char out[XENO_PASS_SCOPE_TEXT];

    if (xeno_pass_scope_parse(text, len, &s, NULL) < 0)
        return;
    xeno_pass_scope_text(&s, out);
    XENO_REQUIRE(xeno_pass_scope_parse(out, strlen(out), &same, NULL) == 0);
    XENO_REQUIRE(strcmp(same.name, s.name) == 0);
    XENO_REQUIRE(same.actions == s.actions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = { 1 };
    xeno_auto(xeno_key) key = NULL;
    xeno_autofree char *text = NULL;
    const char *rest = (const char *)data + 1;

    if (size < 1 || size > 16384)
        return 0;
    xeno_crypto_init();
    key = xeno_key_from_seed(seed);
    switch (data[0]) {
    case 'a':
    case 'l':
        pass(key, data[0] == 'a' ? XENO_PASS_ACCESS : XENO_PASS_LOGIN, rest, size - 1);
        break;
    case 'p':
        text = xeno_jws_sign(key, XENO_TYP_PASS_ACCESS, rest, size - 1);
        pass(key, XENO_PASS_ACCESS, text, strlen(text));
        break;
    case 's':
        scope(rest, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
