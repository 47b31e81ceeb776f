/* src/corp/token.h - looking up enrolment tokens. Private to src/corp. */
#ifndef XENO_CORP_TOKEN_H
#define XENO_CORP_TOKEN_H

#include "corp/registry.h"

struct corp_token {
    char sha[65];
    enum xeno_role role;
    bool used; /* by this very key */
};

/* May `join` with key id `id` use its token? Errors: -EPERM registry.token; token.format. */
int corp_token_find(struct xeno_corp *corp, const struct xeno_join *join, const struct xeno_id *id,
                    struct corp_token *ret, struct xeno_err *err);
int corp_token_use(struct xeno_corp *corp, const struct corp_token *token, const struct xeno_id *id,
                   struct xeno_err *err);

/* Issue and record a credential. */
int corp_credential(struct xeno_corp *corp, const char *id, char **ret_cert, struct xeno_err *err);

#endif
