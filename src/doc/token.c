/* src/doc/token.c - enrolment tokens. */
#include "doc/token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/enc.h"

#define PREFIX       "xt1."
#define SECRET_BYTES 16
#define SECRET_CHARS 22

void xeno_token_make(const struct xeno_env *env, const struct xeno_id *corp,
                     char out[XENO_TOKEN_TEXT])
{
    uint8_t secret[SECRET_BYTES];
    xeno_autofree char *text = NULL;

    xeno_random(env, secret, sizeof secret);
    text = xeno_b64url(secret, sizeof secret);
    snprintf(out, XENO_TOKEN_TEXT, PREFIX "%s.%s", text, corp->s);
    xeno_wipe(secret, sizeof secret);
    xeno_wipe(text, strlen(text));
}

int xeno_token_parse(const char *text, struct xeno_id *ret_corp, struct xeno_err *err)
{
    const char *secret = text + strlen(PREFIX);
    const char *id = secret + SECRET_CHARS + 1;
    xeno_autofree void *raw = NULL;
    size_t len = 0;

    if (strnlen(text, XENO_TOKEN_TEXT) == XENO_TOKEN_TEXT - 1 &&
        strncmp(text, PREFIX, strlen(PREFIX)) == 0 && secret[SECRET_CHARS] == '.' && xeno_id_ok(id))
        raw = xeno_unb64url(secret, SECRET_CHARS, SECRET_BYTES, &len);
    if (len != SECRET_BYTES)
        return xeno_fail(err, -EINVAL, "token.format",
                         "not an enrolment token: it has %d characters and begins with " PREFIX,
                         XENO_TOKEN_TEXT - 1);
    memcpy(ret_corp->s, id, sizeof ret_corp->s);
    return 0;
}

void xeno_token_hash(const char *text, char out[65])
{
    uint8_t sha[32];

    xeno_sha256_of(text, strlen(text), sha);
    xeno_hex(sha, sizeof sha, out);
}
