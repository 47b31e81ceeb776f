/* src/bill/clock.c - the time by which is billed. */
#include "bill/clock.h"

#define DRAW 10 /* a clock that was set is approached by one millisecond in so many */

/* The wall clock's part in a step of `ms`: the times of intervals only go forward, follow a clock
 * that ran on as it should, and are drawn to one that was set. */
static void follow(int64_t *at_ms, int64_t wall_ms, int64_t ms)
{
    int64_t most = ms / DRAW, gap = wall_ms - (*at_ms + ms);

    if (gap > most)
        gap = most;
    *at_ms += ms + (gap > -most ? gap : -most);
}

int64_t xeno_bill_pass(int64_t *at_ms, int64_t wall_ms, int64_t passed_ms)
{
    int64_t ms = passed_ms != XENO_PASSED_UNKNOWN ? passed_ms : wall_ms - *at_ms;

    if (ms <= 0)
        return 0;
    follow(at_ms, wall_ms, ms);
    return ms;
}
