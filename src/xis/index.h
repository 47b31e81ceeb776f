/* src/xis/index.h - the inverted file: from each token, by value, to the adverts that have it.
 *
 * An advert is a *slot* here, a small number. Each token has two ordered trees (tree.h), of numbers
 * and of strings, whose entries are (value, slot): a range's size and any place in it are found by
 * going down twice, whatever lies between. A token that comes with several values has an entry for
 * each (equal ones once).
 *
 * One writer and any number of readers at the same time: a reader sees of each token the state
 * before or after an advert changed, never a part of it (epoch.h says how memory outlives readers).
 */
#ifndef XENO_XIS_INDEX_H
#define XENO_XIS_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "xis/query.h"

enum xeno_lookup_range {
    XENO_LOOKUP_ALL,     /* numbers, then strings */
    XENO_LOOKUP_NUMBERS, /* min to max, inclusive */
    XENO_LOOKUP_STRINGS, /* from to to, inclusive, bytewise */
};

/* One lookup. Borrows its texts for the call. */
struct xeno_lookup {
    const char *token; /* "Machine/CPU" */
    enum xeno_lookup_range range;
    double min, max;       /* -INFINITY, INFINITY: open */
    const char *from, *to; /* NULL: open */
    bool desc;
    uint64_t place; /* the first result wanted */
    size_t limit;
};

/* Ask for one value: a number when the text is one. */
void xeno_lookup_is(struct xeno_lookup *l, const char *text);

/* An advert in a range, by one of its values. Valid until the reader leaves. */
struct xeno_hit {
    uint32_t slot;
    const char *id; /* filled in by xis.h; NULL from the index alone */
    struct xeno_query_value value;
};

#define XENO_XIS_BATCH 1000 /* lookups at once, at most */

/* What one lookup of several found: `count` hits, the first at `hits`, of `total`. */
struct xeno_found {
    uint64_t total;
    size_t count;
    struct xeno_hit *hits;
};

/* What is known of a token. */
struct xeno_token_info {
    const char *path; /* valid until the reader leaves */
    uint64_t numbers, strings;
    double min, max; /* where numbers > 0 */
};

#endif
