/* src/xstored/who.c - who asks, and what they may do. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "crypto/base64.h"
#include "xstored/xstored.h"

#define BASIC_MAX (XENO_ID_CHARS + 1 + XENO_PASS_MAX)

/* --- what they show --- */

static int read_pass(const struct xstored *d, const char *text, size_t len,
                     enum xeno_pass_kind kind, struct xstored_asker *a, struct xeno_err *err)
{
    int r = xeno_pass_read(text, len, kind, xeno_key_pub(xeno_member_key(d->member)),
                           xeno_wall(d->env), &a->pass, err);

    if (r == 0 && xeno_member_revoked(a->pass.serial, d->member))
        r = xeno_fail(err, -EPERM, "x509.revoked",
                      "the credential %s, by which the pass was got, was revoked", a->pass.serial);
    if (r < 0)
        return r;
    a->id = a->pass.client;
    a->limited = kind == XENO_PASS_ACCESS;
    return 0;
}

/* RFC 7617: base64 of "user:password". */
static int read_basic(const struct xstored *d, const char *text, struct xstored_asker *a,
                      struct xeno_err *err)
{
    size_t len = 0;
    xeno_autofree char *pair = xeno_unbase64(text, strlen(text), BASIC_MAX, &len);
    char *colon = pair ? memchr(pair, ':', len) : NULL;
    struct xeno_err why = XENO_ERR_INIT;
    int r;

    if (!colon)
        return xeno_fail(err, -EPERM, "pass.basic",
                         "a password is shown as base64 of ID:PASSWORD, of %d bytes at most",
                         BASIC_MAX);
    r = read_pass(d, colon + 1, len - (size_t)(colon + 1 - pair), XENO_PASS_LOGIN, a, &why);
    if (r < 0)
        return xeno_fail(err, r, why.token, "the password is none of this store: %s", why.text);
    if ((size_t)(colon - pair) != XENO_ID_CHARS || memcmp(pair, a->id.s, XENO_ID_CHARS) != 0)
        return xeno_fail(err, -EPERM, "pass.user", "the password is for the user %s", a->id.s);
    return 0;
}

static const char *after_word(const char *text, const char *word)
{
    size_t len = strlen(word);

    return strncasecmp(text, word, len) == 0 && text[len] == ' '
               ? text + len + strspn(text + len, " ")
               : NULL;
}

static int read_header(const struct xstored *d, const char *text, struct xstored_asker *a,
                       struct xeno_err *err)
{
    const char *bearer = after_word(text, "Bearer"), *basic = after_word(text, "Basic");

    if (bearer)
        return read_pass(d, bearer, strlen(bearer), XENO_PASS_ACCESS, a, err);
    if (basic)
        return read_basic(d, basic, a, err);
    return xeno_fail(err, -EPERM, "pass.scheme", "Authorization is Bearer PASS or Basic PASSWORD");
}

/* What a change means here: deleting is what it says; ending an upload belongs to pushing. */
static unsigned changes_of(const struct xeno_http_req *q)
{
    bool deletes = strcmp(xeno_http_method(q), "DELETE") == 0 && !xeno_http_param(q, "upload");

    return deletes ? XENO_PASS_DELETE : XENO_PASS_PUSH;
}

int xstored_who(struct xstored *d, const struct xeno_http_req *q, struct xstored_asker *ret,
                struct xeno_err *err)
{
    const struct xeno_cert *peer = xeno_http_peer(q);
    const char *header = xeno_http_header(q, "Authorization");
    struct xstored_asker a = { .changes = changes_of(q) };
    int r = 0;

    if (peer)
        a.id = peer->id;
    else if (header)
        r = read_header(d, header, &a, err);
    else
        return xeno_http_why_anonymous(q, err);
    if (r < 0) {
        if (err)
            err->code = -EACCES;
        return -EACCES;
    }
    *ret = a;
    return 0;
}

/* --- what they may --- */

static int check_scope(const struct xstored_asker *who, const char *name, unsigned actions,
                       struct xeno_err *err)
{
    struct xeno_pass_scope s = { .actions = actions };
    char text[XENO_PASS_SCOPE_TEXT];

    if (!who->limited || xeno_pass_allows(&who->pass, name, actions))
        return 0;
    snprintf(s.name, sizeof s.name, "%s", name);
    return xeno_fail(err, -EACCES, "pass.scope", "the pass does not allow %s",
                     xeno_pass_scope_text(&s, text));
}

/* A credential says "known to this XenoCorp", and images are no secrets: XenoServers must read what
 * their sessions are made of. Whoever wants something secret in an image encrypts it. */
int xstored_may_read(const struct xstored_asker *who, const char *repo, struct xeno_err *err)
{
    return check_scope(who, repo, XENO_PASS_PULL, err);
}

int xstored_may_write(const struct xstored_asker *who, const char *repo, struct xeno_err *err)
{
    struct xeno_id owner = xstored_name_owner(repo);

    if (strcmp(who->id.s, owner.s) == 0)
        return check_scope(who, repo, who->changes, err);
    return xeno_fail(err, -EPERM, "store.owner",
                     "%.255s is %s's to write to; you are %s, and your repositories are %s/NAME",
                     repo, owner.s, who->id.s, who->id.s);
}

int xstored_may_list(const struct xstored_asker *who, struct xeno_err *err)
{
    return check_scope(who, "", XENO_PASS_PULL, err);
}
