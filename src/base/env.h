/* src/base/env.h - the world as domain code sees it: clocks and randomness (DESIGN rule 6).
 *
 * Domain code takes a `const struct xeno_env *` and asks it; it never calls clock_gettime() or
 * getrandom() itself. A program passes xeno_env_real(); a test or the simulator passes its own, so
 * that a day passes in seconds and a run can be repeated from its seed.
 */
#ifndef XENO_BASE_ENV_H
#define XENO_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "base/units.h"

struct xeno_env {
    xeno_time (*wall)(const struct xeno_env *env); /* since 1970; may step */
    xeno_time (*mono)(const struct xeno_env *env); /* never goes back; lives through no reboot */
    void (*random)(const struct xeno_env *env, void *out, size_t len);
};

static inline xeno_time xeno_wall(const struct xeno_env *env)
{
    return env->wall(env);
}
static inline xeno_time xeno_mono(const struct xeno_env *env)
{
    return env->mono(env);
}
static inline void xeno_random(const struct xeno_env *env, void *out, size_t len)
{
    env->random(env, out, len);
}

/* The real clocks and the kernel's random numbers. */
const struct xeno_env *xeno_env_real(void);

/* A seeded world for tests: the clock stands still until moved. Embed it first in a larger one or
 * use it as it is; not for secrets. */
struct xeno_env_test {
    struct xeno_env env;
    xeno_time now; /* wall clock; mono is the same */
    uint64_t seed;
};
void xeno_env_test_init(struct xeno_env_test *t, xeno_time now, uint64_t seed);
uint64_t xeno_env_test_next(struct xeno_env_test *t); /* the next number of its sequence */

#endif
