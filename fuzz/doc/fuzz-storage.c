/* fuzz/doc/fuzz-storage.c - no input crashes the readers of what is signed about stored bytes, or
 * does not round-trip.
 *
 * The first letter says which document the rest is the payload of (signed here; @ stands for the
 * signer's id): 'c' a certificate, 'r' a receipt, 'l' a reclaim, 'd' its receipt, 'a' an answer. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "crypto/jws.h"
#include "doc/storage.h"

static char *sign(const struct xeno_key *key, const char *typ, const char *payload, size_t len)
{
    xeno_autobuf json = XENO_BUF_INIT;

    for (size_t i = 0; i < len; i++) {
        if (payload[i] == '@')
            xeno_buf_puts(&json, xeno_id_of(xeno_key_pub(key)).s);
        else
            xeno_buf_add(&json, payload + i, 1);
    }
    return xeno_jws_sign(key, typ, json.data ? json.data : "", json.len);
}

static void certificate(const struct xeno_key *key, const char *text)
{
    xeno_auto(xeno_writecert) c = NULL;
    xeno_auto(xeno_writecert) same = NULL;
    xeno_autofree char *again = NULL;

    if (xeno_writecert_read(text, strlen(text), xeno_key_pub(key), &c, NULL) < 0)
        return;
    XENO_REQUIRE(xeno_writecert_object(c, c->digest) != NULL);
    XENO_REQUIRE(xeno_writecert_sign(key, c, &again, NULL) == 0);
    XENO_REQUIRE(xeno_writecert_read(again, strlen(again), xeno_key_pub(key), &same, NULL) == 0);
    XENO_REQUIRE(same->size == c->size && same->count == c->count && same->copies == c->copies);
    XENO_REQUIRE(memcmp(same->objects, c->objects, c->count * sizeof *c->objects) == 0);
}

static void small(const struct xeno_key *key, char kind, const char *text)
{
    const struct xeno_pub *pub = xeno_key_pub(key);
    xeno_autofree char *again = NULL;
    struct xeno_store_receipt r;
    struct xeno_reclaim l;
    struct xeno_reclaim_receipt d;

    if (kind == 'r' && xeno_store_receipt_read(text, strlen(text), pub, &r, NULL) == 0) {
        again = xeno_store_receipt_sign(key, &r);
        XENO_REQUIRE(xeno_store_receipt_read(again, strlen(again), pub, &r, NULL) == 0);
    } else if (kind == 'l' && xeno_reclaim_read(text, strlen(text), pub, &l, NULL) == 0) {
        again = xeno_reclaim_sign(key, &l);
        XENO_REQUIRE(xeno_reclaim_read(again, strlen(again), pub, &l, NULL) == 0);
    } else if (kind == 'd' && xeno_reclaim_receipt_read(text, strlen(text), pub, &d, NULL) == 0) {
        again = xeno_reclaim_receipt_sign(key, &d);
        XENO_REQUIRE(xeno_reclaim_receipt_read(again, strlen(again), pub, &d, NULL) == 0);
    }
}

static void answer(const struct xeno_key *key, const char *text)
{
    xeno_autofree struct xeno_store_answer *a = xeno_new0(struct xeno_store_answer);
    xeno_autofree char *again = NULL;

    if (xeno_store_answer_read(text, strlen(text), xeno_key_pub(key), a, NULL) < 0)
        return;
    XENO_REQUIRE(a->len <= XENO_STORED_BLOCK && a->proof.count <= XENO_PROOF_MAX);
    again = xeno_store_answer_sign(key, a);
    XENO_REQUIRE(xeno_store_answer_read(again, strlen(again), xeno_key_pub(key), a, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = { XENO_TYP_WRITECERT, XENO_TYP_RECEIPT, XENO_TYP_RECLAIM,
                                         XENO_TYP_RECLAIMED, XENO_TYP_ANSWER };
    static const uint8_t seed[32] = { 1 };
    xeno_auto(xeno_key) key = xeno_key_from_seed(seed);
    const char *kinds = "crlda", *at = size > 0 ? strchr(kinds, data[0]) : NULL;
    xeno_autofree char *text = NULL;

    if (!at || !*at)
        return 0;
    text = sign(key, types[at - kinds], (const char *)data + 1, size - 1);
    if (*at == 'c')
        certificate(key, text);
    else if (*at == 'a')
        answer(key, text);
    else
        small(key, *at, text);
    return 0;
}
