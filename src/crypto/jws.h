/* src/crypto/jws.h - signed documents: compact JWS with EdDSA (RFC 7515, RFC 8037).
 *
 * Header: exactly {"alg":"EdDSA","kid":ID,"typ":TYPE}. The payload is the exact bytes of a JSON or
 * XML document. `typ` is one of ours ("xeno-order+json", ...) and is always checked, so that one
 * kind of document can never be taken for another. Parsing refuses every other header member.
 */
#ifndef XENO_CRYPTO_JWS_H
#define XENO_CRYPTO_JWS_H

#include "crypto/key.h"

#define XENO_JWS_MAX (512 * 1024) /* longest compact text accepted */

struct xeno_jws {
    struct xeno_id kid;
    char typ[40];
    char *payload; /* owned; followed by a zero byte */
    size_t payload_len;
    char *signing_input; /* owned: what the signature covers; followed by a zero byte */
    size_t signing_len;
    uint8_t sig[XENO_SIG_BYTES];
};
void xeno_jws_free(struct xeno_jws *jws);
XENO_DEFINE_AUTO(xeno_jws, xeno_jws_free);

/* Returns: the compact text, the caller's. */
char *xeno_jws_sign(const struct xeno_key *key, const char *typ, const void *payload, size_t len);

/* Take apart without checking the signature. Errors: -EINVAL jws.format, jws.alg, jws.header,
 * -EFBIG jws.size. */
int xeno_jws_parse(const char *text, size_t len, struct xeno_jws **ret, struct xeno_err *err);

/* Is it of type `typ`, its kid the id of `pub`, the signature right?
 * Errors: -EPERM jws.typ, jws.kid, jws.signature. */
int xeno_jws_check(const struct xeno_jws *jws, const char *typ, const struct xeno_pub *pub,
                   struct xeno_err *err);

#endif
