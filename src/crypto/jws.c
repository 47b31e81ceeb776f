/* src/crypto/jws.c - compact JWS with EdDSA. */
#include "crypto/jws.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX 256 /* bytes, decoded */
#define SIG_CHARS  86  /* base64url of 64 bytes */

void xeno_jws_free(struct xeno_jws *jws)
{
    if (!jws)
        return;
    free(jws->payload);
    free(jws->signing_input);
    free(jws);
}

char *xeno_jws_sign(const struct xeno_key *key, const char *typ, const void *payload, size_t len)
{
    struct xeno_id kid = xeno_id_of(xeno_key_pub(key));
    xeno_autofree char *header =
        xeno_asprintf("{\"alg\":\"EdDSA\",\"kid\":\"%s\",\"typ\":\"%s\"}", kid.s, typ);
    xeno_autofree char *h64 = xeno_b64url(header, strlen(header));
    xeno_autofree char *p64 = xeno_b64url(payload, len);
    size_t h = strlen(h64), p = strlen(p64);
    char *text = xeno_alloc0(h + 1 + p + 1 + SIG_CHARS + 1, 1);
    uint8_t sig[XENO_SIG_BYTES];

    memcpy(text, h64, h);
    text[h] = '.';
    memcpy(text + h + 1, p64, p);
    xeno_key_sign(key, text, h + 1 + p, sig);
    text[h + 1 + p] = '.';
    {
        xeno_autofree char *s64 = xeno_b64url(sig, sizeof sig);

        memcpy(text + h + 1 + p + 1, s64, SIG_CHARS);
    }
    return text;
}

/* Step over `lit` at *p; false, and *p stays, when it is not there. */
static bool skip(const char **p, const char *lit)
{
    size_t len = strlen(lit);

    if (strncmp(*p, lit, len) != 0)
        return false;
    *p += len;
    return true;
}

/* The characters up to the closing quote, without escapes; false when there is none in `room`. */
static bool value(const char **p, char *out, size_t room)
{
    size_t n = strcspn(*p, "\"\\");

    if (n == 0 || n >= room || (*p)[n] != '"')
        return false;
    memcpy(out, *p, n);
    out[n] = '\0';
    *p += n + 1;
    return true;
}

/* The header is one of six texts (the order of three members is free, white space and escapes are
 * not), so it is matched rather than parsed. */
static int header_read(const char *text, struct xeno_jws *jws, struct xeno_err *err)
{
    char alg[8] = "", kid[XENO_ID_CHARS + 1] = "";
    const char *p = text;
    bool ok = skip(&p, "{");

    for (int i = 0; ok && i < 3; i++) {
        if (i > 0)
            ok = skip(&p, ",");
        if (ok && !*alg && skip(&p, "\"alg\":\""))
            ok = value(&p, alg, sizeof alg);
        else if (ok && !*kid && skip(&p, "\"kid\":\""))
            ok = value(&p, kid, sizeof kid);
        else if (ok && !*jws->typ && skip(&p, "\"typ\":\""))
            ok = value(&p, jws->typ, sizeof jws->typ);
        else
            ok = false;
    }
    if (!ok || strcmp(p, "}") != 0)
        return xeno_fail(err, -EINVAL, "jws.header",
                         "the header of a signed document has exactly the members alg, kid and typ "
                         "(a type has at most %zu letters)",
                         sizeof jws->typ - 1);
    if (strcmp(alg, "EdDSA") != 0)
        return xeno_fail(err, -EINVAL, "jws.alg", "the signature is of kind '%s', not EdDSA", alg);
    if (!xeno_id_ok(kid))
        return xeno_fail(err, -EINVAL, "jws.header", "kid is not an id (32 letters of base32)");
    memcpy(jws->kid.s, kid, sizeof kid);
    return 0;
}

static int format_error(struct xeno_err *err, const char *what)
{
    return xeno_fail(err, -EINVAL, "jws.format",
                     "not a signed document: %s (expected header.payload.signature in base64url)",
                     what);
}

int xeno_jws_parse(const char *text, size_t len, struct xeno_jws **ret, struct xeno_err *err)
{
    xeno_auto(xeno_jws) jws = NULL;
    xeno_autofree char *header = NULL;
    xeno_autofree void *sig = NULL;
    const char *dot1, *dot2;
    size_t n, rest;
    int r;

    if (len > XENO_JWS_MAX)
        return xeno_fail(err, -EFBIG, "jws.size", "a signed document has %zu bytes, at most %d",
                         len, XENO_JWS_MAX);
    dot1 = memchr(text, '.', len);
    if (!dot1)
        return format_error(err, "it has no dot");
    rest = len - (size_t)(dot1 + 1 - text);
    dot2 = memchr(dot1 + 1, '.', rest);
    if (!dot2)
        return format_error(err, "it has one dot");
    rest = len - (size_t)(dot2 + 1 - text);

    header = xeno_unb64url(text, (size_t)(dot1 - text), HEADER_MAX, &n);
    if (!header || memchr(header, '\0', n))
        return format_error(err, "the header is not base64url, or too long");
    jws = xeno_new0(struct xeno_jws);
    r = header_read(header, jws, err);
    if (r < 0)
        return r;
    jws->payload =
        xeno_unb64url(dot1 + 1, (size_t)(dot2 - dot1 - 1), XENO_JWS_MAX, &jws->payload_len);
    if (!jws->payload)
        return format_error(err, "the payload is not base64url");
    if (rest == SIG_CHARS)
        sig = xeno_unb64url(dot2 + 1, rest, XENO_SIG_BYTES, &n);
    if (!sig || n != XENO_SIG_BYTES)
        return format_error(err, "the signature is not 64 bytes of base64url");
    memcpy(jws->sig, sig, XENO_SIG_BYTES);
    jws->signing_input = xeno_strndup(text, (size_t)(dot2 - text));
    jws->signing_len = (size_t)(dot2 - text);
    *ret = xeno_take(&jws);
    return 0;
}

int xeno_jws_check(const struct xeno_jws *jws, const char *typ, const struct xeno_pub *pub,
                   struct xeno_err *err)
{
    struct xeno_id id = xeno_id_of(pub);

    if (strcmp(jws->typ, typ) != 0)
        return xeno_fail(err, -EPERM, "jws.typ", "the document is of type '%s', not '%s'", jws->typ,
                         typ);
    if (strcmp(jws->kid.s, id.s) != 0)
        return xeno_fail(err, -EPERM, "jws.kid", "the document is signed by %s, not by %s",
                         jws->kid.s, id.s);
    if (!xeno_pub_verify(pub, jws->signing_input, jws->signing_len, jws->sig))
        return xeno_fail(err, -EPERM, "jws.signature",
                         "the signature does not match: the document was altered, or %s never "
                         "signed it",
                         id.s);
    return 0;
}
