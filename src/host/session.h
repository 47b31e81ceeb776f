/* src/host/session.h - the states of a session: one table, and what each state means for others.
 *
 *                           validated           created
 *      (create) --> held -------------> creating -------> running <---resume--- paused
 *                    |                     |              |  | ^  ----pause---->  |
 *                    |                     |       suspend|  | | restored         |suspend
 *                    |                     |              v  | |                  v
 *                    | fail, end, timeout  |        suspending | restoring <--- (lost: the
 *                    |                     |              |    | |   ^           processes are
 *                    |                     |      stopped |    | |   | restore   gone, the layer
 *                    |                     |              v    | |   |           is there)
 *                    |                     |        suspended -----'
 *                    v                     v              |    |
 *      ended <-gone- ending <--------------'--------------'----'   end, timeout, from every state
 *
 * In words where the picture is short: running and restoring also go to restoring when the task
 * manager has lost the processes but kept the layer (a boot of the host); paused goes to suspended
 * then. A restore that fails goes back by suspending, which cleans up. A state's timeout leads from
 * restoring to suspending, from every other (running: its life time; suspended: its grace time) to
 * ending. Only ending has no way back and never gives up. While a session is held, the task manager
 * builds it already; nothing runs in it before its order is bound.
 * Migration will be one more row between running and ended; states are journalled by name.
 *
 * Invariants (xeno_host_sound() checks them):
 *  1. The journal has the state before any message that follows from it leaves.
 *  2. A claim of admission exists exactly while the state is not ended; it is parked exactly in
 *     suspended, and in ending when that came from there.
 *  3. Reserved resources are billed only in states of share ALL or KEPT, and never before running.
 *  4. The task manager may have something of the session only in states where `built` is true; what
 *     it has in others, or for unknown sessions, is destroyed.
 *  5. What a session has been charged on an order never passes its budget there, and while it runs
 *     never passes the budget less what is set aside for the grace time.
 *  6. Charge sequence numbers have no gap, their intervals touch, and each is in the outbox, posted
 *     or recorded as refused.
 *  7. ended is reached once. After it only charges already in the outbox change anything.
 */
#ifndef XENO_HOST_SESSION_H
#define XENO_HOST_SESSION_H

#include <stdbool.h>

#include "host/tariff.h"

enum xeno_state {
    XENO_HELD,       /* resources claimed; the order is being validated, and it is being built */
    XENO_CREATING,   /* the order is bound; it is not built yet */
    XENO_RUNNING,    /* tasks may run */
    XENO_PAUSED,     /* every process frozen; all resources kept */
    XENO_SUSPENDING, /* processes are being stopped */
    XENO_SUSPENDED,  /* only the writable layer, address and ports are kept */
    XENO_RESTORING,  /* being built again around its layer */
    XENO_ENDING,     /* everything is being taken down */
    XENO_ENDED,
};
#define XENO_STATE_COUNT 9

enum xeno_trigger {
    XENO_ON_VALIDATED, /* the XenoCorp bound the order */
    XENO_ON_CREATED,
    XENO_ON_PAUSE,
    XENO_ON_RESUME,
    XENO_ON_SUSPEND,
    XENO_ON_STOPPED, /* processes are gone, usage is final */
    XENO_ON_RESTORE,
    XENO_ON_RESTORED,
    XENO_ON_END,
    XENO_ON_GONE, /* the task manager has nothing of it left */
    XENO_ON_FAIL, /* refused by XenoCorp or task manager */
    XENO_ON_LOST, /* the task manager has its layer, but no processes */
    XENO_ON_TIMEOUT,
};
#define XENO_TRIGGER_COUNT 13

const char *xeno_state_name(enum xeno_state state);
bool xeno_state_parse(const char *name, enum xeno_state *ret);

/* Returns: the next state, or -1 when the trigger means nothing in this one. */
int xeno_state_next(enum xeno_state state, enum xeno_trigger trigger);

struct xeno_state_info {
    enum xeno_share share; /* what is billed as reserved */
    bool claimed;          /* holds a claim of admission */
    bool built;            /* the task manager may have something of it */
    bool processes;        /* exec and attach make sense */
};
const struct xeno_state_info *xeno_state_info(enum xeno_state state);

#endif
