/* src/cli/choose.c - which XenoServers get the replicas of a service, and are there enough? */
#include "cli/choose.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int cli_choice_init(struct cli_choice *c, size_t candidates, size_t want, size_t least, bool share,
                    struct xeno_err *err)
{
    if (candidates > CLI_CANDIDATES_MAX)
        candidates = CLI_CANDIDATES_MAX;
    if (candidates == 0 || (!share && candidates < least))
        return xeno_fail(err, -EINVAL, "deploy.servers",
                         "%zu different XenoServers are needed, and there are %zu to choose from "
                         "(more: xeno server add; several replicas at one: --share)",
                         share ? 1 : least, candidates);
    memset(c, 0, sizeof *c);
    c->candidates = candidates;
    c->want = want;
    c->least = least;
    c->share = share;
    return 0;
}

int cli_choice_next(struct cli_choice *c)
{
    int best = -1;

    for (size_t i = 0; i < c->candidates; i++) {
        if (c->refused[i] || (!c->share && c->asked[i] > 0))
            continue;
        if (best < 0 || c->asked[i] < c->asked[best])
            best = (int)i;
    }
    if (best >= 0)
        c->asked[best]++;
    return best;
}

void cli_choice_refuse(struct cli_choice *c, int candidate)
{
    c->refused[candidate] = true;
}

bool cli_choice_enough(const struct cli_choice *c, size_t have)
{
    return have >= c->least;
}

int cli_choice_share(int64_t limit, size_t want, int64_t own, int64_t *ret, struct xeno_err *err)
{
    int64_t each = limit / (int64_t)want;

    if (each < 1)
        return xeno_fail(err, -EDQUOT, "deploy.limit",
                         "--limit: %" PRId64 " micro-credits are not one for each of %zu replicas",
                         limit, want);
    *ret = own > 0 && own < each ? own : each;
    return 0;
}
