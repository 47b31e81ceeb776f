/* src/corp/registry.c - joining, disabling and listing parties. */
#include "corp/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "corp/internal.h"
#include "corp/token.h"

/* --- what a party says of itself --- */

static int check_text(const char *field, const char *text, size_t min, size_t max,
                      struct xeno_err *err)
{
    size_t len = text ? strlen(text) : 0;

    if (len < min || len > max)
        return xeno_fail(err, -EINVAL, "registry.field", "%s is %zu to %zu bytes, not %zu", field,
                         min, max, len);
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return xeno_fail(err, -EINVAL, "registry.field", "%s holds a control character", field);
    }
    return 0;
}

/* A host is a DNS name or an address: letters that need no quoting in a list of words. */
static int check_hosts(const char *const *hosts, struct xeno_err *err)
{
    size_t count = 0;

    for (; hosts && hosts[count]; count++) {
        const char *h = hosts[count];
        size_t len = strlen(h);

        if (len == 0 || len > 253 ||
            strspn(h, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-") != len)
            return xeno_fail(err, -EINVAL, "registry.field",
                             "hosts[%zu] is neither a DNS name nor an address", count);
        if (count >= XENO_JOIN_HOSTS_MAX)
            return xeno_fail(err, -EINVAL, "registry.field", "hosts has more than %d items",
                             XENO_JOIN_HOSTS_MAX);
    }
    return 0;
}

static int check_join(const struct xeno_join *j, struct xeno_err *err)
{
    bool serves = j->kind != XENO_PARTY_CLIENT;
    int r = check_text("name", j->name, 1, XENO_JOIN_NAME_MAX, err);

    if (r == 0)
        r = check_text("contact", j->contact, 0, XENO_JOIN_CONTACT_MAX, err);
    if (r == 0)
        r = check_text("endpoint", j->endpoint, serves ? 1 : 0, serves ? XENO_JOIN_ENDPOINT_MAX : 0,
                       err);
    if (r < 0)
        return r;
    if (j->details && strlen(j->details) > XENO_JOIN_DETAILS_MAX)
        return xeno_fail(err, -EINVAL, "registry.field", "the details are more than %d bytes",
                         XENO_JOIN_DETAILS_MAX);
    if (serves && strncmp(j->endpoint, "https://", 8) != 0)
        return xeno_fail(err, -EINVAL, "registry.field",
                         "endpoint does not begin with https://, the only way to reach a party");
    return check_hosts(j->hosts, err);
}

/* --- joining --- */

static char *join_words(const char *const *words)
{
    char *text = xeno_strdup("");

    for (size_t i = 0; words && words[i]; i++) {
        char *longer = xeno_asprintf("%s%s%s", text, i ? " " : "", words[i]);

        free(text);
        text = longer;
    }
    return text;
}

static enum corp_account_kind account_of(enum xeno_role role)
{
    switch (role) {
    case XENO_ROLE_SERVER:
        return CORP_SERVER;
    case XENO_ROLE_NODE:
        return CORP_NODE;
    default:
        return CORP_CLIENT;
    }
}

static enum xeno_role role_of(int64_t account_kind, bool is_operator)
{
    switch (account_kind) {
    case CORP_SERVER:
        return XENO_ROLE_SERVER;
    case CORP_NODE:
        return XENO_ROLE_NODE;
    default:
        return is_operator ? XENO_ROLE_OPERATOR : XENO_ROLE_CLIENT;
    }
}

static int insert_party(struct xeno_corp *corp, const struct xeno_join *j, enum xeno_role role,
                        const struct xeno_id *id, struct xeno_err *err)
{
    enum corp_account_kind kind = account_of(role);
    xeno_autofree char *hosts = join_words(j->hosts);
    int64_t n = corp->next_party;
    char pub[XENO_PUB_TEXT];
    int r;

    xeno_pub_text(&j->pub, pub);
    r = corp_run(corp, err,
                 "INSERT INTO party (n, id, kind, pub, operator, pseudonym, disabled_ms,"
                 " created_ms, name, contact, details, endpoint, hosts)"
                 " VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11, $12)",
                 "ititiiittttt", n, id->s, (int64_t)kind, pub,
                 (int64_t)(role == XENO_ROLE_OPERATOR), (int64_t)j->pseudonym,
                 xeno_corp_now_ms(corp), j->name, j->contact ? j->contact : "",
                 j->details ? j->details : "{}", j->endpoint ? j->endpoint : "", hosts);
    if (r < 0)
        return r;
    corp->next_party++;
    return corp_account_new(corp, n, kind, err);
}

/* A key that never joined; by its own token it may come again. */
static int check_new(struct xeno_corp *corp, const struct xeno_id *id, struct xeno_err *err)
{
    struct corp_party *p = NULL;
    struct xeno_err none = XENO_ERR_INIT;
    int r = corp_party(corp, id->s, &p, &none);

    if (r == 0)
        return xeno_fail(err, -EEXIST, "registry.exists",
                         "%s is registered already: renew its credential instead", id->s);
    if (r != -ENOENT)
        return xeno_fail(err, r, none.token, "%s", none.text);
    return 0;
}

int xeno_register(struct xeno_corp *corp, const struct xeno_join *join, struct xeno_id *ret_id,
                  char **ret_cert, struct xeno_err *err)
{
    struct xeno_id id = xeno_id_of(&join->pub);
    struct corp_token token;
    int r = check_join(join, err);

    if (r == 0)
        r = corp_token_find(corp, join, &id, &token, err);
    if (r == 0 && !token.used)
        r = check_new(corp, &id, err);
    if (r < 0)
        return r;
    if (!token.used) {
        r = insert_party(corp, join, token.role, &id, err);
        if (r == 0)
            r = corp_token_use(corp, &token, &id, err);
        if (r == 0)
            r = corp_audit(corp, id.s, "register", id.s, xeno_role_name(token.role), err);
        if (r < 0)
            return r;
    }
    r = corp_credential(corp, id.s, ret_cert, err);
    if (r < 0)
        return r;
    *ret_id = id;
    return 0;
}

int xeno_disable(struct xeno_corp *corp, const char *who, const char *id, struct xeno_err *err)
{
    int64_t now = xeno_corp_now_ms(corp);
    struct corp_party *p = NULL;
    int r = corp_party(corp, id, &p, err);

    if (r < 0 || p->disabled)
        return r;
    r = corp_run(corp, err, "UPDATE party SET disabled_ms = $1 WHERE n = $2", "ii", now, p->n);
    if (r >= 0)
        r = corp_run(corp, err,
                     "UPDATE credential SET revoked_ms = $1 WHERE party = $2 AND revoked_ms = 0"
                     " AND expires_ms > $1",
                     "ii", now, p->n);
    if (r >= 0)
        r = corp_run(corp, err,
                     "UPDATE meta SET value = CAST(CAST(value AS bigint) + 1 AS text)"
                     " WHERE name = 'revision'",
                     "");
    if (r >= 0)
        r = corp_audit(corp, who, "disable", id, "", err);
    if (r < 0)
        return r;
    p->disabled = true;
    return 0;
}

/* --- listing --- */

static void copy_text(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
}

#define PARTY_COLUMNS                                                                              \
    "SELECT p.n, p.id, p.kind, p.operator, p.pseudonym, p.disabled_ms, p.created_ms, p.name,"      \
    " p.contact, p.endpoint, a.balance, a.total FROM party p JOIN account a ON a.n = p.n"

static void view_from(struct xeno_query *q, struct xeno_party_view *v)
{
    int64_t balance = xeno_query_col_int(q, 10), total = xeno_query_col_int(q, 11);
    int64_t kind = xeno_query_col_int(q, 2);

    *v = (struct xeno_party_view){
        .n = xeno_query_col_int(q, 0),
        .role = role_of(kind, xeno_query_col_int(q, 3) != 0),
        .pseudonym = xeno_query_col_int(q, 4) != 0,
        .disabled = xeno_query_col_int(q, 5) != 0,
        .created_ms = xeno_query_col_int(q, 6),
    };
    copy_text(v->id.s, sizeof v->id.s, xeno_query_col_text(q, 1));
    copy_text(v->name, sizeof v->name, xeno_query_col_text(q, 7));
    copy_text(v->contact, sizeof v->contact, xeno_query_col_text(q, 8));
    copy_text(v->endpoint, sizeof v->endpoint, xeno_query_col_text(q, 9));
    if (kind == CORP_CLIENT) {
        v->free.micro = balance;
        v->held.micro = total - balance;
    } else {
        v->earned.micro = balance;
    }
}

int xeno_parties(struct xeno_corp *corp, int64_t after, int max, struct xeno_party_view *ret,
                 struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int count = 0;
    int r = corp_seen(corp, corp_rows_flush(corp, err));

    if (r == 0)
        r = corp_query(corp, &q, PARTY_COLUMNS " WHERE p.n > $1 ORDER BY p.n LIMIT $2", err);
    if (r < 0)
        return r;
    xeno_query_int(&q, 1, after);
    xeno_query_int(&q, 2, max);
    while (count < max && (r = corp_step(corp, &q, err)) > 0)
        view_from(&q, &ret[count++]);
    return r < 0 ? r : count;
}

/* The row of party `id`, in *q. */
static int find_party(struct xeno_corp *corp, const char *sql, const char *id, struct xeno_query *q,
                      struct xeno_err *err)
{
    int r = corp_seen(corp, corp_rows_flush(corp, err));

    if (r == 0)
        r = corp_query(corp, q, sql, err);
    if (r < 0)
        return r;
    xeno_query_text(q, 1, id);
    r = corp_step(corp, q, err);
    if (r == 0)
        return xeno_fail(err, -ENOENT, "registry.unknown", "%.40s is not registered here", id);
    return r < 0 ? r : 0;
}

int xeno_party_get(struct xeno_corp *corp, const char *id, struct xeno_party_view *ret,
                   struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = find_party(corp, PARTY_COLUMNS " WHERE p.id = $1", id, &q, err);

    if (r < 0)
        return r;
    view_from(&q, ret);
    return 0;
}

int xeno_party_details(struct xeno_corp *corp, const char *id, char **ret, struct xeno_err *err)
{
    xeno_autoquery q = XENO_QUERY_INIT;
    int r = find_party(corp, "SELECT details FROM party WHERE id = $1", id, &q, err);

    if (r < 0)
        return r;
    *ret = xeno_strdup(xeno_query_col_text(&q, 0));
    return 0;
}
