/* fuzz/doc/fuzz-name.c - no input crashes the readers of signed names, or does not round-trip.
 *
 * The first letter says what the rest is: 'a' a statement as it would arrive, 'p' the payload of
 * one (signed here; @ stands for the signer's id, # for its key), 'r' a reference. */
#include "../fuzz/fuzz.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "doc/name.h"
#include "crypto/jws.h"

static void statement(const struct xeno_key *key, const char *text, size_t len)
{
    struct xeno_name n, same;
    struct xeno_name_ref ref = { .publisher = "" };
    xeno_autofree char *again = NULL;

    if (xeno_name_read(text, len, &n, NULL) < 0)
        return;
    XENO_REQUIRE(strcmp(n.publisher.s, xeno_id_of(xeno_key_pub(key)).s) == 0);
    XENO_REQUIRE(n.sequence > 0 && (n.expires.ns > 0) == n.moves);
    memcpy(ref.name, n.name, sizeof n.name);
    memcpy(ref.version, n.version, sizeof n.version);
    XENO_REQUIRE(!n.moves ||
                 xeno_name_accept(&n, &n.publisher, &ref, n.expires, NULL) == -EKEYEXPIRED);
    XENO_REQUIRE(xeno_name_accept(&n, &n.publisher, &ref, xeno_ns(0), NULL) == 0);
    again = xeno_name_sign(key, &n);
    XENO_REQUIRE(xeno_name_read(again, strlen(again), &same, NULL) == 0);
    XENO_REQUIRE(xeno_name_compare(&n, &same) == XENO_NAME_SAME);
    XENO_REQUIRE(strcmp(n.name, same.name) == 0 && strcmp(n.version, same.version) == 0);
    XENO_REQUIRE(n.expires.ns == same.expires.ns && n.issued.ns == same.issued.ns);
}

static void reference(const char *rest, size_t len)
{
    xeno_autofree char *text = xeno_strndup(rest, len);
    xeno_autofree char *again = NULL;
    struct xeno_name_ref ref;

    if (xeno_name_ref_parse(text, &ref, NULL) < 0)
        return;
    XENO_REQUIRE(xeno_name_word_ok(ref.name) && xeno_name_word_ok(ref.version));
    again =
        xeno_asprintf("%s%s%s/%s", ref.publisher, *ref.publisher ? "/" : "", ref.name, ref.version);
    XENO_REQUIRE(strcmp(text, again) == 0);
}

static char *sign(const struct xeno_key *key, const char *payload, size_t len)
{
    xeno_autobuf json = XENO_BUF_INIT;
    char pub[XENO_PUB_TEXT];

    xeno_pub_text(xeno_key_pub(key), pub);
    for (size_t i = 0; i < len; i++) {
        if (payload[i] == '@')
            xeno_buf_puts(&json, xeno_id_of(xeno_key_pub(key)).s);
        else if (payload[i] == '#')
            xeno_buf_puts(&json, pub);
        else
            xeno_buf_add(&json, payload + i, 1);
    }
    return xeno_jws_sign(key, XENO_TYP_NAME, json.data ? json.data : "", json.len);
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
        statement(key, rest, size - 1);
        break;
    case 'p':
        text = sign(key, rest, size - 1);
        statement(key, text, strlen(text));
        break;
    case 'r':
        reference(rest, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
