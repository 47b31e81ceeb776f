/* src/host/session.c - the transition table. */
#include "host/session.h"

#include <string.h>

#define TO(state) ((state) + 1) /* 0 is "no such transition" */

static const unsigned char table[XENO_STATE_COUNT][XENO_TRIGGER_COUNT] = {
    [XENO_HELD] = { [XENO_ON_VALIDATED] = TO(XENO_CREATING),
                    [XENO_ON_FAIL] = TO(XENO_ENDING),
                    [XENO_ON_END] = TO(XENO_ENDING),
                    [XENO_ON_TIMEOUT] = TO(XENO_ENDING) },
    [XENO_CREATING] = { [XENO_ON_CREATED] = TO(XENO_RUNNING),
                        [XENO_ON_FAIL] = TO(XENO_ENDING),
                        [XENO_ON_END] = TO(XENO_ENDING),
                        [XENO_ON_TIMEOUT] = TO(XENO_ENDING) },
    [XENO_RUNNING] = { [XENO_ON_PAUSE] = TO(XENO_PAUSED),
                       [XENO_ON_SUSPEND] = TO(XENO_SUSPENDING),
                       [XENO_ON_LOST] = TO(XENO_RESTORING),
                       [XENO_ON_END] = TO(XENO_ENDING),
                       [XENO_ON_TIMEOUT] = TO(XENO_ENDING) },
    [XENO_PAUSED] = { [XENO_ON_RESUME] = TO(XENO_RUNNING),
                      [XENO_ON_SUSPEND] = TO(XENO_SUSPENDING),
                      [XENO_ON_LOST] = TO(XENO_SUSPENDED),
                      [XENO_ON_END] = TO(XENO_ENDING),
                      [XENO_ON_TIMEOUT] = TO(XENO_ENDING) },
    [XENO_SUSPENDING] = { [XENO_ON_STOPPED] = TO(XENO_SUSPENDED),
                          [XENO_ON_END] = TO(XENO_ENDING),
                          [XENO_ON_TIMEOUT] = TO(XENO_ENDING) },
    [XENO_SUSPENDED] = { [XENO_ON_RESTORE] = TO(XENO_RESTORING),
                         [XENO_ON_END] = TO(XENO_ENDING),
                         [XENO_ON_TIMEOUT] = TO(XENO_ENDING) },
    [XENO_RESTORING] = { [XENO_ON_RESTORED] = TO(XENO_RUNNING),
                         [XENO_ON_SUSPEND] = TO(XENO_SUSPENDING),
                         [XENO_ON_FAIL] = TO(XENO_SUSPENDING),
                         [XENO_ON_END] = TO(XENO_ENDING),
                         [XENO_ON_TIMEOUT] = TO(XENO_SUSPENDING) },
    [XENO_ENDING] = { [XENO_ON_GONE] = TO(XENO_ENDED) },
};

static const struct {
    const char *name;
    struct xeno_state_info info;
} states[XENO_STATE_COUNT] = {
    [XENO_HELD] = { "held", { XENO_SHARE_NONE, true, true, false } },
    [XENO_CREATING] = { "creating", { XENO_SHARE_NONE, true, true, false } },
    [XENO_RUNNING] = { "running", { XENO_SHARE_ALL, true, true, true } },
    [XENO_PAUSED] = { "paused", { XENO_SHARE_ALL, true, true, true } },
    [XENO_SUSPENDING] = { "suspending", { XENO_SHARE_ALL, true, true, false } },
    [XENO_SUSPENDED] = { "suspended", { XENO_SHARE_KEPT, true, true, false } },
    [XENO_RESTORING] = { "restoring", { XENO_SHARE_KEPT, true, true, false } },
    [XENO_ENDING] = { "ending", { XENO_SHARE_NONE, true, true, false } },
    [XENO_ENDED] = { "ended", { XENO_SHARE_NONE, false, false, false } },
};

const char *xeno_state_name(enum xeno_state state)
{
    return states[state].name;
}

bool xeno_state_parse(const char *name, enum xeno_state *ret)
{
    for (int i = 0; i < XENO_STATE_COUNT; i++)
        if (strcmp(states[i].name, name) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

int xeno_state_next(enum xeno_state state, enum xeno_trigger trigger)
{
    return (int)table[state][trigger] - 1;
}

const struct xeno_state_info *xeno_state_info(enum xeno_state state)
{
    return &states[state].info;
}
