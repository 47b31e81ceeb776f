/* src/xisd/check.c - --check: what is missing for serving, and what to do about it. */
#include <stdlib.h>

#include "member/check.h"
#include "xisd/xisd.h"

int xisd_check(struct xisd *d)
{
    struct xeno_check c = { .program = "xisd" };

    if (xisd_loop(d, NULL) < 0)
        return EXIT_FAILURE;
    xeno_check_clock(&c, d->env);
    d->dirfd = xeno_check_dir(&c, d->opt.dir);
    if (d->dirfd >= 0) {
        d->member = xisd_identity_new(d);
        xeno_check_credential(&c, d->member, d->loop);
    }
    if (d->member && xeno_member_cert(d->member))
        xeno_check_corp(&c, d->member, d->opt.corp_url, d->loop,
                        "the credential is not renewed, and who is revoked is not known");
    xeno_check_listen(&c, d->opt.listen);
    xeno_check_sandbox(&c);
    return xeno_check_end(&c);
}
