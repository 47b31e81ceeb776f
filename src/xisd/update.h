/* src/xisd/update.h - an advert, a delta or a withdrawal on its way into database and index.
 *
 *     loop       rate; whose is it?          xeno_xis_admit()
 *     checker    signature, form, lease      xeno_advert_open(), _merge(), _timely()
 *     loop       bounds: room is set aside   xeno_xis_claim(); not for what peers told
 *     writer     database                    xisd_store_put()
 *     loop       index, then the answer      xeno_kept_put()
 */
#ifndef XENO_XISD_UPDATE_H
#define XENO_XISD_UPDATE_H

#include "xis/replica.h"
#include "xis/xis.h"
#include "xisd/xisd.h"

/* Where it comes from when nobody's request is answered: another node. */
struct xisd_update_from {
    const char *carrier; /* an id, for the books: its bounds do not count */
    struct xeno_stamp stamp;
    bool memory; /* while the database is away, take it into the index alone (owed.h) */
    /* On the loop: 0, and the number in the index; or below zero, and why. NULL: nothing. */
    void (*done)(void *arg, int result, int64_t seq, const struct xeno_err *err);
    void *arg;
};

/* Texts as they were signed; `delta` NULL: none. They are copied. `done` may be called at once.
 * Context: the loop's thread. */
void xisd_update_take(struct xisd *d, const struct xisd_update_from *from, const char *jws,
                      size_t len, const char *delta, size_t delta_len);

/* The writer's threads; the end of them is xeno_work_stop(). */
int xisd_work_start(struct xisd *d, struct xeno_err *err);

void xisd_put_advert(struct xeno_http_req *q, void *user);
void xisd_patch_advert(struct xeno_http_req *q, void *user);
void xisd_delete_advert(struct xeno_http_req *q, void *user);

#endif
