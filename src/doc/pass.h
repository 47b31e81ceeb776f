/* src/doc/pass.h - passes: what a XenoStore gives a client, so that a tool without the client's
 * certificate may speak for it (rfc/0009).
 *
 * A store signs them with its own key and keeps none. A login pass is a password: shown together
 * with the client's id it is good for what the client itself may do, and for getting access passes.
 * An access pass is a bearer token: good for the actions it names, for minutes. Both name the
 * credential they were got with, and end with it or its revocation. Each has a `typ` of its own, so
 * that neither can be taken for the other.
 */
#ifndef XENO_DOC_PASS_H
#define XENO_DOC_PASS_H

#include "crypto/key.h"
#include "doc/revoke.h"
#include "doc/types.h"

#define XENO_PASS_MAX        4096 /* bytes of the signed text */
#define XENO_PASS_SCOPES     8
#define XENO_PASS_NAME_MAX   255
#define XENO_PASS_SCOPE_TEXT (XENO_PASS_NAME_MAX + 40)

enum xeno_pass_kind { XENO_PASS_LOGIN, XENO_PASS_ACCESS };

enum { XENO_PASS_PULL = 1 << 0, XENO_PASS_PUSH = 1 << 1, XENO_PASS_DELETE = 1 << 2 };
#define XENO_PASS_ALL (XENO_PASS_PULL | XENO_PASS_PUSH | XENO_PASS_DELETE)

/* What may be done with one repository; name "": the list of all of them. */
struct xeno_pass_scope {
    char name[XENO_PASS_NAME_MAX + 1];
    unsigned actions;
};

struct xeno_pass {
    enum xeno_pass_kind kind;
    struct xeno_id store, client;
    char serial[XENO_SERIAL_TEXT]; /* of the client's credential */
    xeno_time issued, expires;
    size_t count; /* of an access pass */
    struct xeno_pass_scope scopes[XENO_PASS_SCOPES];
};

/* `p->store` is taken from the key. Returns: the signed text, the caller's. */
char *xeno_pass_sign(const struct xeno_key *store, const struct xeno_pass *p);

/* Is it a pass of that kind, signed by that store, and not over at `now`? Who reads it asks for
 * revocation of its serial.
 * Errors: -EFBIG pass.size, -EPERM pass.expired, and -EINVAL and -EPERM with tokens of jws.h and
 *         json.h. */
int xeno_pass_read(const char *text, size_t len, enum xeno_pass_kind kind,
                   const struct xeno_pub *store, xeno_time now, struct xeno_pass *ret,
                   struct xeno_err *err);

/* Does an access pass allow all of `actions` there? */
bool xeno_pass_allows(const struct xeno_pass *p, const char *name, unsigned actions);

/* "repository:NAME:pull,push" or "registry:catalog:*", as the token flow of registries has it.
 * Actions that are not known are left out. Errors: -EINVAL pass.scope. */
int xeno_pass_scope_parse(const char *text, size_t len, struct xeno_pass_scope *ret,
                          struct xeno_err *err);
const char *xeno_pass_scope_text(const struct xeno_pass_scope *s, char out[XENO_PASS_SCOPE_TEXT]);

#endif
