/* src/http/operators.c - the clients whom a daemon's configuration names as its operators. */
#include "http/operators.h"

#include <errno.h>
#include <string.h>

#include "http/server.h"

bool xeno_http_ids_have(const char *list, const char *id)
{
    size_t len = strlen(id);

    while (list && *list) {
        size_t word = strcspn(list, ", ");

        if (word > 0 && word == len && strncmp(list, id, len) == 0)
            return true;
        list += word + strspn(list + word, ", ");
    }
    return false;
}

bool xeno_http_is_operator(const struct xeno_http_req *q, const char *list)
{
    const struct xeno_cert *peer = xeno_http_peer(q);

    return peer && xeno_http_ids_have(list, peer->id.s);
}

int xeno_http_may_watch(const struct xeno_http_req *q, const char *operators, struct xeno_err *err)
{
    if (xeno_http_from_loopback(q) || xeno_http_is_operator(q, operators))
        return 0;
    return xeno_fail(err, -EPERM, "api.loopback",
                     "metrics are told to this machine and to operators only");
}
