/* fuzz/doc/fuzz-jws.c - no text crashes the reader of signed documents, and what it takes apart it
 * can only have been in one form. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "crypto/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = { 1 };
    xeno_auto(xeno_jws) jws = NULL;
    xeno_auto(xeno_jws) back = NULL;
    xeno_auto(xeno_key) key = NULL;
    xeno_autofree char *payload = NULL;
    xeno_autofree char *text = NULL;

    xeno_crypto_init();
    if (xeno_jws_parse((const char *)data, size, &jws, NULL) < 0)
        return 0;
    /* One document has one text: coding the payload again gives the same letters. */
    payload = xeno_b64url(jws->payload, jws->payload_len);
    XENO_REQUIRE(jws->signing_len > strlen(payload));
    XENO_REQUIRE(strcmp(jws->signing_input + jws->signing_len - strlen(payload), payload) == 0);
    XENO_REQUIRE(xeno_id_ok(jws->kid.s));
    /* And it can be signed and read again, whatever its type says. */
    key = xeno_key_from_seed(seed);
    text = xeno_jws_sign(key, jws->typ, jws->payload, jws->payload_len);
    XENO_REQUIRE(xeno_jws_parse(text, strlen(text), &back, NULL) == 0);
    XENO_REQUIRE(xeno_jws_check(back, jws->typ, xeno_key_pub(key), NULL) == 0);
    return 0;
}
