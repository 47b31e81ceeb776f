/* src/corp/registry.h - who is registered with a XenoCorp: clients, XenoServers, nodes, operators.
 *
 * Joining takes a one-time token and a certificate request; the party's id is that of its key. An
 * operator is a client whose credential says role=operator. A token is kept only as its hash.
 */
#ifndef XENO_CORP_REGISTRY_H
#define XENO_CORP_REGISTRY_H

#include "corp/corp.h"
#include "crypto/x509.h"
#include "doc/token.h"

#define XENO_JOIN_NAME_MAX     100
#define XENO_JOIN_CONTACT_MAX  200
#define XENO_JOIN_DETAILS_MAX  8192
#define XENO_JOIN_ENDPOINT_MAX 256
#define XENO_JOIN_HOSTS_MAX    8
#define XENO_CREDENTIALS_MAX   100 /* valid ones of a party */
#define XENO_TOKEN_LIFE_MAX_S  (90 * 24 * 3600)

/* A node is of XenoStore. The numbers are in the books. */
enum xeno_role {
    XENO_ROLE_CLIENT = 1,
    XENO_ROLE_SERVER = 2,
    XENO_ROLE_OPERATOR = 3,
    XENO_ROLE_NODE = 4,
};
const char *xeno_role_name(enum xeno_role role); /* "client", "server", "operator", "node" */
bool xeno_role_parse(const char *text, enum xeno_role *ret);
/* The kind of credential it gets: an operator's is a client's. */
enum xeno_party xeno_role_party(enum xeno_role role);

/* Make a token that lets one party join as `role` within `life`.
 *
 * `who` asks for it (for the audit trail). Errors: -EINVAL registry.lifetime (1 s to 90 d).
 */
int xeno_token_issue(struct xeno_corp *corp, const char *who, enum xeno_role role, xeno_time life,
                     char ret_token[XENO_TOKEN_TEXT], struct xeno_err *err);

/* What somebody who joins says of itself. Borrows. */
struct xeno_join {
    const char *token;
    enum xeno_party kind; /* XENO_PARTY_CLIENT (also for operators), _SERVER or _NODE */
    struct xeno_pub pub;  /* from its request: xeno_csr_check() */
    const char *name, *contact;
    const char *details;      /* JSON text: charging, or owner, payout and machine or storage */
    bool pseudonym;           /* a client's credential shall say no more than "known here" */
    const char *endpoint;     /* of who serves: "https://host:port"; of a client NULL */
    const char *const *hosts; /* names and addresses for its certificate, NULL-terminated; NULL */
};
/* Register, and issue a credential. The same token with the same key again gives the same id and a
 * fresh credential; so does an answer that was lost.
 *
 * Returns: 0, and the certificate (PEM), the caller's.
 * Errors:  -EPERM registry.token (unknown, used by another key, expired or of another kind)
 *          -EEXIST registry.exists (the key is registered already)
 *          -EINVAL registry.field (names the field and its limit); x509.make
 */
int xeno_register(struct xeno_corp *corp, const struct xeno_join *join, struct xeno_id *ret_id,
                  char **ret_cert, struct xeno_err *err);

/* A new credential for a registered party.
 *
 * Errors: -ENOENT registry.unknown, -EPERM registry.disabled, -EUSERS registry.often (the party has
 *         XENO_CREDENTIALS_MAX valid ones: renewing is free, but not for ever).
 */
int xeno_renew(struct xeno_corp *corp, const char *id, char **ret_cert, struct xeno_err *err);

/* Disable a party: its credentials are revoked, and it gets no new ones. What its orders already
 * promised to bound sessions is still paid. Again: no effect.
 *
 * Errors: -ENOENT registry.unknown.
 */
int xeno_disable(struct xeno_corp *corp, const char *who, const char *id, struct xeno_err *err);

/* --- revocation --- */

/* The signed list as of now, good for `life`. Its version counts every revocation.
 * Returns: the text, the caller's. */
int xeno_revocation_list(struct xeno_corp *corp, xeno_time life, char **ret, struct xeno_err *err);

/* --- listing --- */

struct xeno_party_view {
    struct xeno_id id;
    enum xeno_role role;
    bool pseudonym, disabled;
    int64_t n, created_ms; /* n: for the next page */
    char name[XENO_JOIN_NAME_MAX + 1], contact[XENO_JOIN_CONTACT_MAX + 1];
    char endpoint[XENO_JOIN_ENDPOINT_MAX + 1];
    xeno_credit free, held, earned;
};
/* Up to `max` parties after number `after`, oldest first. Returns: how many. */
int xeno_parties(struct xeno_corp *corp, int64_t after, int max, struct xeno_party_view *ret,
                 struct xeno_err *err);
/* Errors: -ENOENT registry.unknown. */
int xeno_party_get(struct xeno_corp *corp, const char *id, struct xeno_party_view *ret,
                   struct xeno_err *err);
/* What it registered with beside its name (struct xeno_join, details): JSON text, the caller's.
 * Errors: -ENOENT registry.unknown. */
int xeno_party_details(struct xeno_corp *corp, const char *id, char **ret, struct xeno_err *err);

#endif
