/* src/xrdd/check.c - --check: what is missing for serving, and what to do about it. */
#include "http/public.h"
#include "member/check.h"
#include "member/serve.h"
#include "xrdd/xrdd.h"

/* Is it an XIS, and of our XenoCorp? */
static void check_one(struct xrdd *d, struct xeno_check *c, const char *url)
{
    xeno_auto(xeno_http_client) client = NULL;
    xeno_autofree char *at = xeno_asprintf("%s/v1/changes?after=0&limit=1", url);
    struct xeno_http_ask ask = { .method = "GET", .url = at, .deadline = xeno_s(5) };
    struct xeno_err err = XENO_ERR_INIT;
    int r = xeno_member_client(d->member, d->loop, &client, &err);

    if (r == 0)
        r = xeno_http_wait(client, &ask, NULL, NULL, NULL, &err);
    if (r < 0)
        xeno_check_say(c, false, "XIS", "%s: %s; until it answers, what it has is not found", url,
                       err.text);
    else
        xeno_check_say(c, true, "XIS", "%s answers", url);
}

static void check_sources(struct xrdd *d, struct xeno_check *c)
{
    struct xrdd_follow_opts opts = { .env = d->env, .urls = d->opt.xis };
    xeno_auto(xrdd_follow) all = NULL;
    struct xeno_err err = XENO_ERR_INIT;

    if (xrdd_follow_new(&opts, &all, &err) < 0)
        xeno_check_say(c, false, "XIS", "%s", err.text);
    for (size_t i = 0; all && i < xrdd_follow_count(all); i++)
        check_one(d, c, xrdd_follow_get(all, i).url);
}

static void check_allow(const struct xrdd *d, struct xeno_check *c)
{
    struct xeno_err err = XENO_ERR_INIT;

    if (xeno_http_networks_check(d->opt.allow, &err) < 0)
        xeno_check_say(c, false, "allow", "%s", err.text);
}

int xrdd_check(struct xrdd *d)
{
    const struct xeno_member_opts who = xrdd_member_opts(d);
    struct xeno_check c = { .program = who.program };

    if (xeno_check_member(&c, &who, &d->dirfd, &d->loop, &d->member,
                          "the credential is not renewed, and who is revoked is not known"))
        check_sources(d, &c);
    check_allow(d, &c);
    xeno_check_listen(&c, d->opt.listen);
    xeno_check_sandbox(&c);
    return xeno_check_end(&c);
}
