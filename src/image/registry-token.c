/* src/image/registry-token.c - bearer tokens (distribution, "token" specification).
 *
 * One token is fetched at a time; requests that want one meanwhile wait for it. The password goes
 * to the realm that the registry names: whoever holds the password chose the registry, and its
 * answer came over a connection that was checked. Where it is our credential that gets the token,
 * the realm must be the registry itself: a token of another's would let this one act for us there.
 * For the same reason the scope is what we need, not what the challenge says.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "base/buf.h"
#include "image/registry-priv.h"

#define CHALLENGES_MAX 8

/* All that wait go again with the token, or end with `why`. */
static void wake(struct xeno_registry *r, const struct xeno_err *why)
{
    struct xeno_http_answer no = { .body = "", .type = "", .err = why };
    struct ask *a;

    while ((a = r->waiting) != NULL) {
        DL_DELETE2(r->waiting, a, wait_prev, wait_next);
        if (why)
            registry_ask_end(a, &no);
        else
            registry_ask_send(a);
    }
}

static void set_token(struct xeno_registry *r, const char *kind, const char *text)
{
    if (r->token)
        xeno_wipe(r->token, strlen(r->token));
    free(r->token);
    r->token = xeno_asprintf("%s %s", kind, text);
    r->generation++;
}

static int read_token(struct xeno_registry *r, const struct xeno_http_answer *a,
                      struct xeno_err *err)
{
    xeno_auto(xeno_json) doc = NULL;
    struct xeno_json_at top;
    const char *text = NULL;
    int n = xeno_json_parse(a->body, a->len, REGISTRY_ANSWER_MAX, &doc, err);

    if (n < 0)
        return n;
    top = xeno_json_top(doc);
    n = xeno_json_str_opt(&top, "token", 1, REGISTRY_TOKEN_MAX, &text, err);
    if (n >= 0 && !text)
        n = xeno_json_str(&top, "access_token", 1, REGISTRY_TOKEN_MAX, &text, err);
    if (n < 0)
        return n;
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~')
            return xeno_fail(err, -EPROTO, "oci.answer", "the token is no token");
    set_token(r, "Bearer", text);
    return 0;
}

static void on_token(const struct xeno_http_answer *a, void *arg)
{
    struct xeno_registry *r = arg;
    struct xeno_err err = XENO_ERR_INIT;

    r->token_call = NULL;
    r->count.in_bytes += (int64_t)a->len;
    if (a->status == 401 || a->status == 403)
        registry_refused(r, a, &err);
    else if (a->err)
        err = *a->err;
    else
        read_token(r, a, &err);
    if (err.code < 0)
        xeno_context(&err, err.code, "the token for '%s'", r->repo);
    wake(r, err.code < 0 ? &err : NULL);
}

/* The URL that gives a token: what the challenge names, and the scopes we need. */
static char *token_url(const struct xeno_registry *r, const struct challenge *c)
{
    xeno_autobuf b = XENO_BUF_INIT;
    xeno_autofree char *service = c->service ? xeno_http_escape(c->service) : NULL;
    xeno_autofree char *scope =
        xeno_asprintf("repository:%s:%s", r->repo, r->write ? "pull,push" : "pull");
    xeno_autofree char *escaped = xeno_http_escape(scope);

    xeno_buf_printf(&b, "%s%cscope=%s", c->realm, strchr(c->realm, '?') ? '&' : '?', escaped);
    if (service)
        xeno_buf_printf(&b, "&service=%s", service);
    if (r->from) {
        xeno_autofree char *from = xeno_asprintf("repository:%s:pull", r->from);
        xeno_autofree char *text = xeno_http_escape(from);

        xeno_buf_printf(&b, "&scope=%s", text);
    }
    return xeno_buf_take(&b, NULL);
}

static bool realm_ok(const struct xeno_registry *r, const char *realm)
{
    size_t len = strlen(r->base);

    return xeno_http_client_is_web(r->http) ||
           (strncasecmp(realm, r->base, len) == 0 && realm[len] == '/');
}

static void fetch_token(struct xeno_registry *r, const struct challenge *c)
{
    xeno_autofree char *url = token_url(r, c);
    xeno_autofree char *basic = r->password ? xeno_asprintf("Basic %s", r->password) : NULL;
    struct xeno_http_header header = { "Authorization", basic };
    struct xeno_http_ask ask = { .method = "GET",
                                 .url = url,
                                 .headers = &header,
                                 .header_count = basic ? 1 : 0,
                                 .retry = true,
                                 .tries = REGISTRY_TRIES,
                                 .redirects = XENO_HTTP_REDIRECTS,
                                 .max_body = REGISTRY_ANSWER_MAX,
                                 .done = on_token,
                                 .arg = r };

    r->count.requests++;
    r->token_call = xeno_http_send(r->http, &ask);
    if (basic)
        xeno_wipe(basic, strlen(basic));
}

/* Of several challenges one for a token, else the last. */
static bool read_challenge(const struct xeno_http_answer *a, struct challenge *ret)
{
    const char *line;
    bool found = false;

    for (size_t i = 0; i < CHALLENGES_MAX && !(found && ret->bearer); i++) {
        struct challenge c;

        line = xeno_http_answer_line(a, "WWW-Authenticate", i);
        if (!line)
            break;
        if (!registry_challenge_parse(line, &c))
            continue;
        if (found)
            registry_challenge_release(ret);
        *ret = c;
        found = true;
    }
    return found;
}

void registry_token_start(struct xeno_registry *r, const struct xeno_http_answer *a)
{
    struct challenge c = { .realm = NULL };
    struct xeno_err err = XENO_ERR_INIT;

    if (r->token_call)
        return;
    if (!read_challenge(a, &c) || (!c.bearer && (!r->password || r->basic_sent))) {
        registry_refused(r, a, &err);
        wake(r, &err);
    } else if (c.bearer && !realm_ok(r, c.realm)) {
        xeno_fail(&err, -EACCES, "oci.denied",
                  "%s wants a token of '%.200s', which is not for our credential", r->base,
                  c.realm);
        wake(r, &err);
    } else if (c.bearer) {
        fetch_token(r, &c);
    } else {
        r->basic_sent = true;
        set_token(r, "Basic", r->password);
        wake(r, NULL);
    }
    registry_challenge_release(&c);
}
