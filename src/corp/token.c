/* src/corp/token.c - one-time enrolment tokens, kept as hashes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "corp/internal.h"
#include "corp/registry.h"
#include "corp/token.h"

static const char *const roles[] = {
    [XENO_ROLE_CLIENT] = "client",
    [XENO_ROLE_SERVER] = "server",
    [XENO_ROLE_OPERATOR] = "operator",
    [XENO_ROLE_NODE] = "node",
};

const char *xeno_role_name(enum xeno_role role)
{
    return roles[role];
}

bool xeno_role_parse(const char *text, enum xeno_role *ret)
{
    for (size_t i = XENO_ROLE_CLIENT; i < XENO_LEN(roles); i++) {
        if (strcmp(text, roles[i]) == 0) {
            *ret = (enum xeno_role)i;
            return true;
        }
    }
    return false;
}

enum xeno_party xeno_role_party(enum xeno_role role)
{
    switch (role) {
    case XENO_ROLE_SERVER:
        return XENO_PARTY_SERVER;
    case XENO_ROLE_NODE:
        return XENO_PARTY_NODE;
    default:
        return XENO_PARTY_CLIENT;
    }
}

int xeno_token_issue(struct xeno_corp *corp, const char *who, enum xeno_role role, xeno_time life,
                     char ret_token[XENO_TOKEN_TEXT], struct xeno_err *err)
{
    int64_t now = xeno_corp_now_ms(corp);
    char token[XENO_TOKEN_TEXT], sha[65];
    int r;

    if (life.ns < XENO_NS_PER_S || life.ns > XENO_TOKEN_LIFE_MAX_S * XENO_NS_PER_S)
        return xeno_fail(err, -EINVAL, "registry.lifetime",
                         "a token lives 1 to %d seconds, not %" PRId64, XENO_TOKEN_LIFE_MAX_S,
                         life.ns / XENO_NS_PER_S);
    xeno_token_make(corp->env, &corp->id, token);
    xeno_token_hash(token, sha);
    r = corp_run(corp, err,
                 "INSERT INTO token (sha, kind, made_ms, expires_ms, made_by, used_by)"
                 " VALUES ($1, $2, $3, $4, $5, NULL)",
                 "tiiit", sha, (int64_t)role, now, now + life.ns / XENO_NS_PER_MS, who);
    if (r >= 0)
        r = corp_audit(corp, who, "token", "", xeno_role_name(role), err);
    if (r < 0)
        return r;
    memcpy(ret_token, token, sizeof token);
    return 0;
}

static int refuse(struct xeno_err *err, const char *why)
{
    return xeno_fail(err, -EPERM, "registry.token", "the token %s: ask for a new one", why);
}

int corp_token_find(struct xeno_corp *corp, const struct xeno_join *join, const struct xeno_id *id,
                    struct corp_token *ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct xeno_id names;
    const char *used;
    int r = xeno_token_parse(join->token, &names, err);

    if (r < 0)
        return r;
    if (strcmp(names.s, corp->id.s) != 0)
        return refuse(err, "is from another XenoCorp");
    xeno_token_hash(join->token, ret->sha);
    r = corp_query(corp, &q, "SELECT kind, expires_ms, used_by FROM token WHERE sha = $1", err);
    if (r < 0)
        return r;
    xeno_query_text(&q, 1, ret->sha);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    if (r == 0)
        return refuse(err, "is not known here");
    used = xeno_query_col_text(&q, 2);
    if (used && strcmp(used, id->s) != 0)
        return refuse(err, "was used already");
    if (!used && xeno_query_col_int(&q, 1) <= xeno_corp_now_ms(corp))
        return refuse(err, "has expired");
    ret->used = used != NULL;
    ret->role = (enum xeno_role)xeno_query_col_int(&q, 0);
    if (xeno_role_party(ret->role) != join->kind)
        return xeno_fail(err, -EPERM, "registry.token",
                         "the token is for a %s, not for a %s: ask for another",
                         xeno_role_name(ret->role), xeno_party_name(join->kind));
    return 0;
}

int corp_token_use(struct xeno_corp *corp, const struct corp_token *token, const struct xeno_id *id,
                   struct xeno_err *err)
{
    int r = corp_run(corp, err, "UPDATE token SET used_by = $1 WHERE sha = $2", "tt", id->s,
                     token->sha);
    return r < 0 ? r : 0;
}
