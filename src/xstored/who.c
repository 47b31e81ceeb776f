/* src/xstored/who.c - who asks, and what they may do. */
#include <errno.h>
#include <string.h>

#include "xstored/xstored.h"

int xstored_who(const struct xeno_http_req *q, struct xeno_id *ret, struct xeno_err *err)
{
    const struct xeno_cert *peer = xeno_http_peer(q);

    if (!peer)
        return xeno_http_why_anonymous(q, err);
    *ret = peer->id;
    return 0;
}

/* A credential says "known to this XenoCorp", and images are no secrets: XenoServers must read what
 * their sessions are made of. Whoever wants something secret in an image encrypts it. */
int xstored_may_read(const struct xeno_id *who, const char *repo, struct xeno_err *err)
{
    (void)who;
    (void)repo;
    (void)err;
    return 0;
}

int xstored_may_write(const struct xeno_id *who, const char *repo, struct xeno_err *err)
{
    struct xeno_id owner = xstored_name_owner(repo);

    if (strcmp(who->s, owner.s) == 0)
        return 0;
    return xeno_fail(err, -EPERM, "store.owner",
                     "%.255s is %s's to write to; you are %s, and your repositories are %s/NAME",
                     repo, owner.s, who->s, who->s);
}

bool xstored_is_operator(const struct xstored *d, const struct xeno_http_req *q)
{
    const struct xeno_cert *peer = xeno_http_peer(q);
    const char *list = d->opt.operators;

    while (peer && list && *list) {
        size_t word = strcspn(list, ", ");

        if (word == strlen(peer->id.s) && strncmp(list, peer->id.s, word) == 0)
            return true;
        list += word + strspn(list + word, ", ");
    }
    return false;
}
