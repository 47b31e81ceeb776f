/* src/doc/revoke.h - the list of revoked credentials, signed by the XenoCorp and versioned.
 *
 * Credentials live a day, so the list names only those revoked and not yet expired, and stays
 * short. A reader keeps the list with the highest version it has seen: an older one is a replay.
 */
#ifndef XENO_DOC_REVOKE_H
#define XENO_DOC_REVOKE_H

#include <stdbool.h>
#include <stddef.h>

#include "crypto/key.h"
#include "doc/types.h"

#define XENO_REVOCATIONS_MAX 8192 /* serials in one list */
#define XENO_SERIAL_TEXT     41   /* up to 20 bytes in lower-case hexadecimal, and a zero byte */

struct xeno_revocations {
    struct xeno_id corp;
    int64_t version;
    xeno_time issued, next;            /* when a newer one is to be fetched */
    size_t count;                      /* sorted */
    char (*serials)[XENO_SERIAL_TEXT]; /* owned */
};
void xeno_revocations_free(struct xeno_revocations *l);
XENO_DEFINE_AUTO(xeno_revocations, xeno_revocations_free);

/* Returns: the signed text, the caller's. Errors: -EINVAL revoke.serial, -E2BIG revoke.size. */
int xeno_revocations_sign(const struct xeno_key *corp, int64_t version, xeno_time issued,
                          xeno_time next, const char *const *serials, size_t count, char **ret,
                          struct xeno_err *err);

/* Errors: -EPERM and -EINVAL with tokens of jws.h and json.h, revoke.serial. */
int xeno_revocations_read(const char *text, size_t len, const struct xeno_pub *corp,
                          struct xeno_revocations **ret, struct xeno_err *err);

/* Is `serial` (hexadecimal, as in struct xeno_cert) on the list? NULL list: no. */
bool xeno_revocations_has(const struct xeno_revocations *l, const char *serial);

#endif
