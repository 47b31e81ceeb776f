/* src/xis/tests/fake.h - adverts that nobody signed, for tests of the store alone. */
#ifndef XENO_XIS_TESTS_FAKE_H
#define XENO_XIS_TESTS_FAKE_H

#include "xis/xis.h"

struct fake_leaf {
    const char *path, *value;
};

/* The id of party `n`. */
struct xeno_id fake_id(uint32_t n);

/* An advert of party n: its leaf Id and then these. Its text is some bytes. */
struct xeno_advert *fake_advert(uint32_t n, int64_t version, xeno_time expires,
                                const struct fake_leaf *leaves, size_t count);
struct xeno_advert *fake_withdrawal(uint32_t n, int64_t version, xeno_time expires);

#endif
