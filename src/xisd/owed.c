/* src/xisd/owed.c - what the shared database has not. */
#include "xisd/owed.h"

#include <string.h>

#include "base/log.h"
#include "xisd/update.h"

#define LOOKED_AT 4096 /* entries of the index in one turn */
#define AT_ONCE   256  /* of them written */

void xisd_owed_begin(struct xisd *d)
{
    d->owed = (struct xisd_owed){ .looks = true };
}

static void give(struct xisd *d, const struct xeno_xis_entry *e)
{
    const struct xisd_update_from from = { .carrier = e->id,
                                           .stamp = { .seq = XENO_REPLICA_RESTORED } };

    xisd_update_take(d, &from, e->jws, e->jws_len, e->delta, e->delta_len);
}

/* Those of the entries that have no number. Returns: how many were looked at. */
static size_t give_some(struct xisd *d, const struct xeno_xis_entry *es, size_t count)
{
    size_t given = 0, i = 0;

    for (; i < count && given < AT_ONCE; i++) {
        if (es[i].kept == 0 && es[i].jws) {
            give(d, &es[i]);
            given++;
        }
    }
    d->owed.given += given;
    return i;
}

void xisd_owed_tend(struct xisd *d)
{
    xeno_autofree struct xeno_xis_entry *es = NULL;
    bool more = false;
    size_t count, i;

    if (!d->owed.looks || !d->feed_whole || d->database_away)
        return;
    es = xeno_new0_n(struct xeno_xis_entry, LOOKED_AT);
    xeno_xis_enter(d->reader);
    count = xeno_xis_changes(d->reader, d->owed.after, LOOKED_AT, es, &d->owed.after, &more);
    i = give_some(d, es, count);
    xeno_xis_leave(d->reader);
    if (i < count) {
        d->owed.after = es[i - 1].seq;
        return;
    }
    if (more)
        return;
    if (d->owed.given > 0) /* has it taken them? */
        xeno_log(LOG_NOTICE, "owed", "given=%zu", d->owed.given);
    d->owed = (struct xisd_owed){ .looks = d->owed.given > 0 };
}
