/* src/doc/token.h - enrolment tokens: "xt1." SECRET "." CORP-ID.
 *
 * A token lets somebody join once, and carries the id of the XenoCorp, so that who joins can tell
 * the right XenoCorp from whoever answers at its address. The secret is 16 random bytes in
 * base64url; a XenoCorp keeps only its hash.
 */
#ifndef XENO_DOC_TOKEN_H
#define XENO_DOC_TOKEN_H

#include "base/env.h"
#include "base/err.h"
#include "crypto/key.h"

#define XENO_TOKEN_TEXT 60 /* 4 + 22 + 1 + 32 and a zero byte */

void xeno_token_make(const struct xeno_env *env, const struct xeno_id *corp,
                     char out[XENO_TOKEN_TEXT]);

/* The XenoCorp's id, when `text` is a token. Errors: -EINVAL token.format. */
int xeno_token_parse(const char *text, struct xeno_id *ret_corp, struct xeno_err *err);

/* The hash under which a XenoCorp stores it: 64 hexadecimal digits and a zero byte. */
void xeno_token_hash(const char *text, char out[65]);

#endif
