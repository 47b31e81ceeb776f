/* src/xis/intern.h - each text once, by number, as long as something refers to it.
 *
 * Readers inside the epoch turn numbers into texts; the writer turns texts into numbers.
 */
#ifndef XENO_XIS_INTERN_H
#define XENO_XIS_INTERN_H

#include "xis/column.h"
#include "xis/map.h"

struct xeno_interned {
    uint32_t refs; /* writer */
    uint64_t hash;
    char text[];
};

struct xeno_intern {
    struct xeno_epoch *epoch;
    struct xeno_column *texts; /* struct xeno_interned * */
    struct xeno_map map;
    uint64_t seed;
    size_t bytes; /* of texts */
};

void xeno_intern_init(struct xeno_intern *in, struct xeno_epoch *epoch, uint64_t seed);
void xeno_intern_release(struct xeno_intern *in); /* after the epoch's end */

/* A reference to the text's number; 0: no room. */
uint32_t xeno_intern_ref(struct xeno_intern *in, const char *text);
void xeno_intern_unref(struct xeno_intern *in, uint32_t i);

static inline const char *xeno_intern_text(const struct xeno_intern *in, uint32_t i)
{
    return (*(struct xeno_interned *const *)xeno_column_at(in->texts, i))->text;
}

#endif
