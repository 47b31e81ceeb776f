/* src/xrdd/told.h - what an XIS tells in its change feed (rfc/0016), page by page.
 *
 * The form of a page is the XIS's: one that is wrong is refused, and the caller asks for it again.
 * Changes before the fault were taken, which does no harm: each is checked by itself. What is wrong
 * with an advert is its XenoServer's: it is counted and passed over. Context: the thread of the
 * world.
 */
#ifndef XENO_XRDD_TOLD_H
#define XENO_XRDD_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "xrdd/world.h"

#define XRDD_TOLD_MAX  ((size_t)8 << 20) /* bytes of a page */
#define XRDD_EPOCH_MAX 128

/* How far one source has told. Zero but for the first three: nothing yet. */
struct xrdd_told {
    struct xrdd_world *world;
    unsigned source;                /* its number there */
    const char *url;                /* for the log */
    char epoch[XRDD_EPOCH_MAX + 1]; /* "": not known */
    int64_t after;                  /* what to ask for next */
    bool more;                      /* after the last page: there is more already */
    bool whole;                     /* what it has was told to its end since the last beginning */
    size_t count;                   /* changes in the last page */
    int64_t changes, refused;       /* in all; and those whose advert was refused */
};

/* Take a page. One that says that there is a gap begins anew: after is 0 then and more is true.
 * Errors: those of json/json.h; -EPROTO rd.xis: it leads nowhere. */
int xrdd_told_take(struct xrdd_told *t, const char *body, size_t len, struct xeno_err *err);

#endif
