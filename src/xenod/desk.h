/* src/xenod/desk.h - what is measured for others, each target once for all who ask (RFC 0018).
 *
 * A measurement is kept for a time and told to whoever asks for the same; who asks for one under
 * way waits for it. New ones are admitted by asked.h. Bounded: kept, under way, waiting.
 * Context: the thread of the loop.
 */
#ifndef XENOD_DESK_H
#define XENOD_DESK_H

#include "xenod/measure.h"

struct xenod_desk;
struct xenod_desk_wait;

/* What is asked for, and what came of it. */
struct xenod_answer_to {
    union xenod_address address; /* with the port, for tcp */
    bool way;                    /* a traceroute; else a probe */
    bool icmp, tcp;              /* a probe: by this, by that, or by the second after the first */
    unsigned count;              /* probes; hops of a traceroute */
    xeno_time at;                /* monotonic: when it was made */
    struct xenod_measured measured;
    struct xenod_traced traced;
};

/* icmp says, in an answer, by which of the two it was made. */
typedef void xenod_desk_told(void *arg, const struct xenod_answer_to *a, int64_t age_ms);

/* `who` asks. Returns: 0, and `told` was called; 1: it will be, from the loop, and *ret is how to
 * leave before. Errors: those of xenod_asked_admit(), measure.*, -EAGAIN probe.busy,
 * -EOPNOTSUPP probe.kind. */
int xenod_desk_ask(struct xenod_desk *k, const struct xenod_answer_to *of, const char *who,
                   xenod_desk_told *told, void *arg, struct xenod_desk_wait **ret,
                   struct xeno_err *err);
/* `told` will not be called. */
void xenod_desk_leave(struct xenod_desk_wait *w);

#endif
