/* src/corp/credential.c - issuing credentials, and the list of those revoked. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/enc.h"
#include "corp/internal.h"
#include "corp/registry.h"
#include "corp/token.h"
#include "doc/revoke.h"

/* Certificates start this long before now, for clocks that are behind. */
#define EARLY_S 300

struct holder {
    int64_t n;
    enum xeno_party kind;
    struct xeno_pub pub;
    bool is_operator, pseudonym, disabled;
    char *hosts; /* owned; words */
};

static enum xeno_party party_kind(enum corp_account_kind kind)
{
    switch (kind) {
    case CORP_SERVER:
        return XENO_PARTY_SERVER;
    case CORP_NODE:
        return XENO_PARTY_NODE;
    default:
        return XENO_PARTY_CLIENT;
    }
}

static int holder_load(struct xeno_corp *corp, const char *id, struct holder *ret,
                       struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    struct corp_party *p = NULL;
    int r = corp_party(corp, id, &p, err);

    if (r == 0)
        r = corp_query(corp, &q, "SELECT hosts FROM party WHERE n = $1", err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, p->n);
    r = corp_step(corp, &q, err);
    if (r < 0)
        return r;
    *ret = (struct holder){
        .n = p->n,
        .kind = party_kind(p->kind),
        .pub = p->pub,
        .is_operator = p->is_operator,
        .pseudonym = p->pseudonym,
        .disabled = p->disabled,
        .hosts = xeno_strdup(r > 0 ? xeno_query_col_text(&q, 0) : ""),
    };
    return 0;
}

/* Who can ask again and again must not fill the books. */
static int check_count(struct xeno_corp *corp, const char *id, int64_t party, struct xeno_err *err)
{
    int64_t valid = 0;
    int r = corp_one(corp, 0, &valid, err,
                     "SELECT count(*) FROM credential WHERE party = $1 AND expires_ms > $2", "ii",
                     party, xeno_corp_now_ms(corp));

    if (r < 0)
        return r;
    if (valid >= XENO_CREDENTIALS_MAX)
        return xeno_fail(err, -EUSERS, "registry.often",
                         "%s has %" PRId64 " valid credentials: use one, or wait until some expire",
                         id, valid);
    return 0;
}

static int make_cert(struct xeno_corp *corp, const struct holder *h, struct xeno_cert_spec *spec,
                     char **ret_cert, struct xeno_err *err)
{
    const char *hosts[XENO_JOIN_HOSTS_MAX + 1] = { NULL };
    const char *attrs[3] = { NULL };
    size_t host_count = 0, attr_count = 0;
    char *rest = NULL;

    for (char *w = strtok_r(h->hosts, " ", &rest); w && host_count < XENO_JOIN_HOSTS_MAX;
         w = strtok_r(NULL, " ", &rest))
        hosts[host_count++] = w;
    if (h->is_operator)
        attrs[attr_count++] = "role=operator";
    if (h->pseudonym)
        attrs[attr_count++] = "pseudonym=1";
    spec->kind = h->kind;
    spec->pub = h->pub;
    spec->hosts = host_count ? hosts : NULL;
    spec->attrs = attr_count ? attrs : NULL;
    return xeno_cert_make(corp->ca_key, corp->ca_pem, spec, ret_cert, err);
}

int corp_credential(struct xeno_corp *corp, const char *id, char **ret_cert, struct xeno_err *err)
{
    xeno_time now = xeno_wall(corp->env);
    struct holder h = { 0 };
    xeno_autofree char *hosts = NULL;
    xeno_autofree char *cert = NULL;
    struct xeno_cert_spec spec = {
        .not_before = xeno_time_add(now, xeno_s(-EARLY_S)),
        .not_after = xeno_time_add(now, corp->policy.credential),
    };
    char serial[2 * sizeof spec.serial + 1];
    int r = holder_load(corp, id, &h, err);

    if (r < 0)
        return r;
    hosts = h.hosts;
    if (h.disabled)
        return xeno_fail(err, -EPERM, "registry.disabled",
                         "%s is disabled: ask the operator of this XenoCorp", id);
    r = check_count(corp, id, h.n, err);
    if (r < 0)
        return r;
    xeno_random(corp->env, spec.serial, sizeof spec.serial);
    spec.serial[0] = (uint8_t)((spec.serial[0] & 0x3f) | 0x40); /* positive, always 20 bytes */
    r = make_cert(corp, &h, &spec, &cert, err);
    if (r < 0)
        return r;
    xeno_hex(spec.serial, sizeof spec.serial, serial);
    r = corp_run(corp, err,
                 "INSERT INTO credential (serial, party, expires_ms, revoked_ms)"
                 " VALUES ($1, $2, $3, 0)",
                 "tii", serial, h.n, spec.not_after.ns / XENO_NS_PER_MS);
    if (r >= 0)
        r = corp_log_act(corp, h.n, err,
                         "\"act\":\"credential\",\"party\":\"%s\",\"serial\":\"%s\","
                         "\"expires_ms\":%" PRId64,
                         id, serial, spec.not_after.ns / XENO_NS_PER_MS);
    if (r < 0)
        return r;
    *ret_cert = xeno_take(&cert);
    return 0;
}

int xeno_renew(struct xeno_corp *corp, const char *id, char **ret_cert, struct xeno_err *err)
{
    return corp_credential(corp, id, ret_cert, err);
}

/* --- revocation --- */

struct serials {
    size_t count;
    const char **list; /* of owned texts */
};

static void serials_release(struct serials *s)
{
    for (size_t i = 0; i < s->count; i++)
        free((char *)s->list[i]);
    free(s->list);
}

static int load_revoked(struct xeno_corp *corp, struct serials *s, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = corp_query(corp, &q,
                       "SELECT serial FROM credential WHERE revoked_ms <> 0 AND expires_ms > $1"
                       " ORDER BY expires_ms DESC, serial LIMIT $2",
                       err);

    if (r < 0)
        return r;
    xeno_query_int(&q, 1, xeno_corp_now_ms(corp));
    xeno_query_int(&q, 2, XENO_REVOCATIONS_MAX);
    s->list = xeno_new0_n(const char *, XENO_REVOCATIONS_MAX);
    while ((r = corp_step(corp, &q, err)) > 0 && s->count < XENO_REVOCATIONS_MAX)
        s->list[s->count++] = xeno_strdup(xeno_query_col_text(&q, 0));
    return r < 0 ? r : 0;
}

int xeno_revocation_list(struct xeno_corp *corp, xeno_time life, char **ret, struct xeno_err *err)
{
    __attribute__((cleanup(serials_release))) struct serials s = { 0, NULL };
    xeno_time now = xeno_wall(corp->env);
    int64_t version = 0;
    int r = load_revoked(corp, &s, err);

    if (r == 0)
        r = corp_one(corp, 0, &version, err,
                     "SELECT CAST(value AS bigint) FROM meta WHERE name = 'revision'", "");
    if (r < 0)
        return r;
    return xeno_revocations_sign(corp->ca_key, version, now, xeno_time_add(now, life), s.list,
                                 s.count, ret, err);
}

/* --- what time does to tokens, credentials and kept answers --- */

int corp_tick_registry(struct xeno_corp *corp, int limit, struct xeno_err *err)
{
    int64_t now = xeno_corp_now_ms(corp);
    int64_t keep = corp->policy.keep.ns / XENO_NS_PER_MS;
    int tokens, credentials, answers;

    tokens = corp_run(corp, err,
                      "DELETE FROM token WHERE sha IN (SELECT sha FROM token"
                      " WHERE expires_ms + $3 <= $1 LIMIT $2)",
                      "iii", now, (int64_t)limit, keep);
    if (tokens < 0)
        return tokens;
    credentials = corp_run(corp, err,
                           "DELETE FROM credential WHERE serial IN (SELECT serial FROM credential"
                           " WHERE expires_ms <= $1 LIMIT $2)",
                           "ii", now, (int64_t)limit);
    if (credentials < 0)
        return credentials;
    answers = corp_run(corp, err,
                       "DELETE FROM idem WHERE name IN (SELECT name FROM idem"
                       " WHERE time_ms + $3 <= $1 LIMIT $2)",
                       "iii", now, (int64_t)limit, keep);
    if (answers < 0)
        return answers;
    return tokens >= limit || credentials >= limit || answers >= limit;
}
