/* src/rd/tests/servers.h - adverts made up, as xeno_advert_open() would give them, without the cost
 * of signatures. */
#ifndef XENO_RD_TESTS_SERVERS_H
#define XENO_RD_TESTS_SERVERS_H

#include "base/env.h"
#include "xis/advert.h"

#define SERVERS_CORP "xenocorpaaaaaaaaaaaaaaaaaaaaaaaa"

struct servers_maker {
    size_t count, len;
    struct xeno_leaf leaves[XENO_ADVERT_LEAVES];
    char text[64 * 1024];
};

void servers_leaf(struct servers_maker *m, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct xeno_advert *servers_advert(const struct servers_maker *m, const struct xeno_id *id,
                                   int64_t version, xeno_time expires);

struct xeno_id servers_id(unsigned n);

/* One that says what a XenoServer says. */
struct xeno_advert *servers_usual(struct xeno_env_test *t, unsigned n, int64_t version,
                                  xeno_time expires);

/* One of which any part may be missing, repeated, absurd or hostile. */
struct xeno_advert *servers_odd(struct xeno_env_test *t, unsigned n, int64_t version,
                                xeno_time expires);

/* Other worlds and questions by XENO_FIND_SEED, more of them by XENO_FIND_ROUNDS: what a test has
 * of its own is for every run. */
uint64_t servers_seed(uint64_t usual);
unsigned servers_rounds(unsigned usual);

/* Below n. */
static inline unsigned servers_pick(struct xeno_env_test *t, unsigned n)
{
    return (unsigned)(xeno_env_test_next(t) >> 33) % n;
}

#endif
