/* src/base/env.c - the real world and a seeded one. */
#include "base/env.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/types.h>
#include <time.h>

static xeno_time clock_read(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (xeno_time){ ts.tv_sec * XENO_NS_PER_S + ts.tv_nsec };
}

static xeno_time real_wall(const struct xeno_env *env)
{
    (void)env;
    return clock_read(CLOCK_REALTIME);
}

static xeno_time real_mono(const struct xeno_env *env)
{
    (void)env;
    return clock_read(CLOCK_BOOTTIME);
}

static void real_random(const struct xeno_env *env, void *out, size_t len)
{
    char *p = out;

    (void)env;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0)
            abort(); /* only EINTR and ENOSYS are possible; neither happens here */
        p += n;
        len -= (size_t)n;
    }
}

const struct xeno_env *xeno_env_real(void)
{
    static const struct xeno_env real = { real_wall, real_mono, real_random };
    return &real;
}

static xeno_time test_now(const struct xeno_env *env)
{
    return ((const struct xeno_env_test *)env)->now;
}

/* splitmix64 */
uint64_t xeno_env_test_next(struct xeno_env_test *t)
{
    uint64_t z = (t->seed += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void test_random(const struct xeno_env *env, void *out, size_t len)
{
    struct xeno_env_test *t = (struct xeno_env_test *)env;
    char *p = out;

    while (len > 0) {
        uint64_t v = xeno_env_test_next(t);
        size_t n = len < sizeof v ? len : sizeof v;

        memcpy(p, &v, n);
        p += n;
        len -= n;
    }
}

void xeno_env_test_init(struct xeno_env_test *t, xeno_time now, uint64_t seed)
{
    *t = (struct xeno_env_test){ { test_now, test_now, test_random }, now, seed };
}
