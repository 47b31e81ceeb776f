/* src/xstored/pass.c - passes for tools without a certificate (rfc/0009): who gets which.
 *
 * A pass gives nothing that its holder may not do anyhow. Whether one that is shown is good is said
 * in who.c; the store keeps none.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "xstored/xstored.h"

#define ACCESS_LIFE_S 300

/* --- where to get one --- */

/* A host with its port as the client wrote it: it comes back to nobody but him, and is the name by
 * which he reaches us, whatever stands between. */
static bool good_host(const char *host)
{
    size_t len = host ? strlen(host) : 0;

    return len > 0 && len <= 261 &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]") ==
               len;
}

/* What the request needs a pass to allow; "" when that cannot be said. */
static const char *scope_of(const struct xeno_http_req *q, char out[XENO_PASS_SCOPE_TEXT])
{
    const char *name = xeno_http_param(q, "name"), *method = xeno_http_method(q);
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    struct xeno_pass_scope s = { .actions = XENO_PASS_PULL };

    out[0] = '\0';
    if (strcmp(xeno_http_path(q), "/v2/_catalog") == 0)
        return xeno_pass_scope_text(&s, out);
    if (!name || xstored_name_check(name, NULL) < 0)
        return out;
    memcpy(s.name, name, strlen(name) + 1);
    if (xeno_http_param(q, "upload"))
        s.actions |= XENO_PASS_PUSH;
    else if (strcmp(method, "DELETE") == 0)
        s.actions = XENO_PASS_DELETE;
    else if (!reads)
        s.actions |= XENO_PASS_PUSH;
    return xeno_pass_scope_text(&s, out);
}

void xstored_challenge(struct xstored *d, struct xeno_http_req *q, const struct xeno_err *err)
{
    const char *host = xeno_http_header(q, "Host");
    bool scoped = strcmp(err->token, "pass.scope") == 0;
    bool shown = xeno_http_header(q, "Authorization") != NULL;
    const char *error = scoped ? "insufficient_scope" : shown ? "invalid_token" : NULL;
    char scope[XENO_PASS_SCOPE_TEXT];
    xeno_autofree char *text = NULL;

    if (strncmp(xeno_http_path(q), "/v2/", 4) != 0 || !good_host(host))
        return;
    scope_of(q, scope);
    text = xeno_asprintf("Bearer realm=\"https://%s/v1/token\",service=\"%s\"%s%s%s%s%s%s", host,
                         xeno_member_id(d->member)->s, *scope ? ",scope=\"" : "", scope,
                         *scope ? "\"" : "", error ? ",error=\"" : "", error ? error : "",
                         error ? "\"" : "");
    xeno_http_set_header(q, "WWW-Authenticate", text);
}

/* --- access passes --- */

/* Of what is asked for, what the asker may do. */
static int grant(const struct xstored_asker *who, const char *text, size_t len, struct xeno_pass *p,
                 struct xeno_err *err)
{
    struct xeno_pass_scope s;
    int r = xeno_pass_scope_parse(text, len, &s, err);

    if (r < 0)
        return r;
    if (*s.name && xstored_name_check(s.name, NULL) < 0)
        return 0;
    if (*s.name && strcmp(xstored_name_owner(s.name).s, who->id.s) != 0)
        s.actions &= XENO_PASS_PULL;
    if (!s.actions)
        return 0;
    if (p->count >= XENO_PASS_SCOPES)
        return xeno_fail(err, -EINVAL, "pass.scopes", "a pass has at most %d scopes",
                         XENO_PASS_SCOPES);
    p->scopes[p->count++] = s;
    return 0;
}

/* Several may stand in one value, with spaces, and there may be several values. */
static int grant_all(const struct xeno_http_req *q, const struct xstored_asker *who,
                     struct xeno_pass *p, struct xeno_err *err)
{
    const char *values[XENO_PASS_SCOPES];
    size_t count = xeno_http_query_all(q, "scope", values, XENO_LEN(values));
    int r = 0;

    if (count > XENO_LEN(values))
        return xeno_fail(err, -EINVAL, "pass.scopes", "a pass has at most %d scopes",
                         XENO_PASS_SCOPES);
    for (size_t i = 0; r == 0 && i < count; i++)
        for (const char *at = values[i]; r == 0 && *at;) {
            size_t len = strcspn(at, " ");

            if (len > 0)
                r = grant(who, at, len, p, err);
            at += len + (at[len] != '\0');
        }
    return r;
}

/* By whatever the asker shows: how long it is good, and by which credential. */
static void bound_to(const struct xeno_http_req *q, const struct xstored_asker *who,
                     struct xeno_pass *p)
{
    const struct xeno_cert *peer = xeno_http_peer(q);
    xeno_time end = peer ? peer->not_after : who->pass.expires;

    memcpy(p->serial, peer ? peer->serial : who->pass.serial, sizeof p->serial);
    p->client = who->id;
    if (p->expires.ns > end.ns)
        p->expires = end;
}

static int check_service(const struct xstored *d, const struct xeno_http_req *q,
                         struct xeno_err *err)
{
    const char *service = xeno_http_query(q, "service");
    const char *own = xeno_member_id(d->member)->s;

    if (!service || strcmp(service, own) == 0)
        return 0;
    return xeno_fail(err, -EINVAL, "pass.service", "this store is %s", own);
}

void xstored_get_token(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    xeno_time now = xeno_wall(d->env);
    struct xeno_pass p = { .kind = XENO_PASS_ACCESS,
                           .issued = now,
                           .expires = xeno_time_add(now, xeno_s(ACCESS_LIFE_S)) };
    xeno_autofree char *text = NULL;
    struct xeno_json *reply;
    struct xstored_asker who;
    struct xeno_err err = XENO_ERR_INIT;
    char when[XENO_TIME_TEXT];
    int r = xstored_who(d, q, &who, &err);

    if (r == 0 && who.limited)
        r = xeno_fail(&err, -EACCES, "pass.kind", "a pass is not got by an access pass");
    if (r == 0)
        r = check_service(d, q, &err);
    if (r == 0)
        r = grant_all(q, &who, &p, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    bound_to(q, &who, &p);
    text = xeno_pass_sign(xeno_member_key(d->member), &p);
    d->counts.passes++;
    reply = xeno_json_object();
    xeno_json_set_str(reply, "token", text);
    xeno_json_set_str(reply, "access_token", text);
    xeno_json_set_int(reply, "expires_in", (p.expires.ns - now.ns) / XENO_NS_PER_S);
    xeno_json_set_str(reply, "issued_at", xeno_time_text(now, when));
    xeno_http_reply_json(q, 200, reply);
}

/* --- login passes --- */

static int read_life(struct xeno_http_req *q, int64_t *ret_s, struct xeno_err *err)
{
    xeno_auto(xeno_json) body = NULL;
    struct xeno_json_at at;
    size_t len = 0;
    const char *text = xeno_http_body(q, &len);
    int r;

    if (len == 0)
        return 0;
    r = xeno_json_parse(text, len, 1024, &body, err);
    if (r < 0)
        return r;
    at = xeno_json_top(body);
    r = xeno_json_int_opt(&at, "lifetime_s", 1, INT64_C(366) * 86400, ret_s, err);
    return r < 0 ? r : 0;
}

void xstored_post_login(struct xeno_http_req *q, void *user)
{
    struct xstored *d = user;
    xeno_time now = xeno_wall(d->env);
    int64_t life_s = INT64_C(366) * 86400;
    struct xeno_pass p = { .kind = XENO_PASS_LOGIN, .issued = now };
    xeno_autofree char *text = NULL;
    struct xeno_json *reply;
    struct xstored_asker who;
    struct xeno_err err = XENO_ERR_INIT;
    int r = xstored_who(d, q, &who, &err);

    if (r == 0)
        r = read_life(q, &life_s, &err);
    if (r < 0) {
        xstored_refuse(d, q, &err);
        return;
    }
    p.expires = xeno_time_add(now, xeno_s(life_s));
    bound_to(q, &who, &p);
    text = xeno_pass_sign(xeno_member_key(d->member), &p);
    d->counts.passes++;
    xeno_log(LOG_INFO, "pass.login", "client=%s serial=%s", p.client.s, p.serial);
    reply = xeno_json_object();
    xeno_json_set_str(reply, "client", p.client.s);
    xeno_json_set_str(reply, "password", text);
    xeno_json_set_int(reply, "expires_ms", p.expires.ns / XENO_NS_PER_MS);
    xeno_http_reply_json(q, 200, reply);
}
