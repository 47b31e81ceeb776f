/* src/bill/clock.h - the time by which is billed.
 *
 * What is billed is time that passed, not what the wall clock did: one that is set, forward or
 * back, changes no amount. Pure arithmetic.
 */
#ifndef XENO_BILL_CLOCK_H
#define XENO_BILL_CLOCK_H

#include <stdint.h>

/* No clock runs that cannot be set: an earlier life of the program called last. */
#define XENO_PASSED_UNKNOWN INT64_MAX

/* Move *at_ms on by the `passed_ms` since the last call, as a clock says that cannot be set; where
 * that is XENO_PASSED_UNKNOWN, by as much as the wall clock is ahead of it, or not at all. Where
 * the wall clock was set meanwhile, a tenth faster or slower until they agree again: so what was
 * set by mistake and soon put right stays within a XenoCorp's slack.
 *
 * Returns: the milliseconds that passed; 0 or more. *at_ms never goes back. */
int64_t xeno_bill_pass(int64_t *at_ms, int64_t wall_ms, int64_t passed_ms);

#endif
