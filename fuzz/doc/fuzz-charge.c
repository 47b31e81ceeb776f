/* fuzz/doc/fuzz-charge.c - no batch crashes its reader; each charge it passes is sound, reads back
 * as itself and can be signed again. The input is the JSON text, which is signed here, since a
 * signature stops a fuzzer for good; @ stands for the id of the signer. */
#include "../fuzz/fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "crypto/jws.h"
#include "doc/charge-priv.h"

static void both_ways(const struct xeno_charge *c)
{
    xeno_auto(xeno_json) j = xeno_charge_json(c);
    struct xeno_json_at top = xeno_json_top(j);
    struct xeno_charge back;
    uint8_t a[32], b[32];

    XENO_REQUIRE(xeno_charge_check(c, NULL) == 0);
    XENO_REQUIRE(xeno_charge_read(&top, &back, NULL) == 0);
    xeno_charge_digest(c, a);
    xeno_charge_digest(&back, b);
    XENO_REQUIRE(memcmp(a, b, sizeof a) == 0);
}

/* What is matched, the parser reads the same way. */
static void both_readers(const char *text, size_t len, const struct xeno_id *server)
{
    struct xeno_charge_batch *fast = xeno_new0(struct xeno_charge_batch);
    struct xeno_charge_batch *slow = xeno_new0(struct xeno_charge_batch);
    uint8_t a[32], b[32];

    fast->server = slow->server = *server;
    if (xeno_charge_match(text, len, fast)) {
        XENO_REQUIRE(xeno_charge_batch_parse(text, len, slow, NULL) == 0);
        XENO_REQUIRE(fast->count == slow->count);
        for (size_t i = 0; i < fast->count; i++) {
            XENO_REQUIRE(!slow->faults[i]);
            xeno_charge_digest(&fast->charges[i], a);
            xeno_charge_digest(&slow->charges[i], b);
            XENO_REQUIRE(memcmp(a, b, sizeof a) == 0);
        }
    }
    xeno_charge_batch_free(fast);
    xeno_charge_batch_free(slow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = { 1 };
    xeno_auto(xeno_key) key = NULL;
    xeno_auto(xeno_charge_batch) batch = NULL;
    xeno_autobuf json = XENO_BUF_INIT;
    xeno_autofree char *text = NULL;
    bool sound = true;

    if (size > XENO_CHARGE_BATCH_BYTES)
        return 0;
    xeno_crypto_init();
    key = xeno_key_from_seed(seed);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '@')
            xeno_buf_puts(&json, xeno_id_of(xeno_key_pub(key)).s);
        else
            xeno_buf_add(&json, data + i, 1);
    }
    if (json.data) {
        struct xeno_id server = xeno_id_of(xeno_key_pub(key));

        both_readers(json.data, json.len, &server);
    }
    text = xeno_jws_sign(key, XENO_TYP_CHARGES, json.data ? json.data : "", json.len);
    if (xeno_charge_batch_read(text, strlen(text), xeno_key_pub(key), &batch, NULL) < 0)
        return 0;
    XENO_REQUIRE(batch->count >= 1 && batch->count <= XENO_CHARGE_BATCH_MAX);
    for (size_t i = 0; i < batch->count; i++) {
        XENO_REQUIRE(batch->charges[i].seq >= 1);
        if (batch->faults[i])
            sound = false;
        else
            both_ways(&batch->charges[i]);
    }
    free(xeno_take(&text));
    if (sound)
        XENO_REQUIRE(xeno_charge_batch_sign(key, batch->charges, batch->count, &text, NULL) == 0);
    return 0;
}
