/* src/xrdd/check.c - --check: what is missing for serving, and what to do about it. */
#include <stdlib.h>

#include "member/check.h"
#include "xrdd/xrdd.h"

int xrdd_check(struct xrdd *d)
{
    struct xeno_check c = { .program = "xrdd" };

    if (xrdd_loop(d, NULL) < 0)
        return EXIT_FAILURE;
    xeno_check_clock(&c, d->env);
    d->dirfd = xeno_check_dir(&c, d->opt.dir);
    if (d->dirfd >= 0) {
        d->member = xrdd_member_new(d);
        xeno_check_credential(&c, d->member, d->loop);
    }
    if (d->member && xeno_member_cert(d->member))
        xeno_check_corp(&c, d->member, d->opt.corp_url, d->loop,
                        "the credential is not renewed, and who is revoked is not known");
    xeno_check_listen(&c, d->opt.listen);
    xeno_check_sandbox(&c);
    return xeno_check_end(&c);
}
