/* src/xisd/check.c - --check: what is missing for serving, and what to do about it. */
#include "member/check.h"
#include "xisd/xisd.h"

int xisd_check(struct xisd *d)
{
    const struct xeno_member_opts who = xisd_member_opts(d);
    struct xeno_check c = { .program = who.program };

    (void)xeno_check_member(&c, &who, &d->dirfd, &d->loop, &d->member,
                            "the credential is not renewed, and who is revoked is not known");
    xeno_check_listen(&c, d->opt.listen);
    xeno_check_sandbox(&c);
    return xeno_check_end(&c);
}
