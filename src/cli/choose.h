/* src/cli/choose.h - which XenoServers get the replicas of a service, and are there enough?
 *
 * Candidates are numbered in the order in which they are to be preferred. Each replica asks one;
 * who refuses is not asked again, and the replica goes to the next that is left. Pure.
 */
#ifndef XENO_CLI_CHOOSE_H
#define XENO_CLI_CHOOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/service-doc.h"

#define CLI_CANDIDATES_MAX 1000

struct cli_choice {
    size_t candidates, want, least; /* 1 <= least <= want */
    bool share;                     /* a XenoServer may get more than one */
    unsigned asked[CLI_CANDIDATES_MAX];
    bool refused[CLI_CANDIDATES_MAX];
};

/* Errors: -EINVAL deploy.servers: there are not so many different ones. */
int cli_choice_init(struct cli_choice *c, size_t candidates, size_t want, size_t least, bool share,
                    struct xeno_err *err);

/* The one to ask next: of those that did not refuse, the first that was asked least. -1: nobody is
 * left. */
int cli_choice_next(struct cli_choice *c);
void cli_choice_refuse(struct cli_choice *c, int candidate);

/* All or nothing, or `least`: is it right to go on with so many? */
bool cli_choice_enough(const struct cli_choice *c, size_t have);

/* What each replica may cost so that `want` of them cost no more than `limit` together, in
 * micro-credits; `own` (0: none) is the document's limit for one. Never 0.
 * Errors: -EDQUOT deploy.limit: it is less than a micro-credit for each. */
int cli_choice_share(int64_t limit, size_t want, int64_t own, int64_t *ret, struct xeno_err *err);

#endif
