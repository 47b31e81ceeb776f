/* src/xenod/elsewhere.h - names of images that are elsewhere, asked of the image manager.
 *
 * A requirement may name "oci://HOST/REPO[:TAG][@DIGEST]". Before anything is claimed for it each
 * such name becomes the digest of a manifest, "sha256:...", which the image manager has then; so
 * what a client was quoted is what it gets, whatever a tag means later.
 *
 * Requests that ask for the same name at the same time share one question. Who asks waits no
 * longer than XENOD_PIN_WAIT_S, and not with more than XENOD_PIN_OWNER_MAX requests at a time.
 * Nothing blocks. Context: the thread of the loop.
 */
#ifndef XENOD_ELSEWHERE_H
#define XENOD_ELSEWHERE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/mem.h"
#include "spec/requirement.h"

#define XENOD_PIN_WAIT_S    20 /* a client of ours waits 30 s for an answer */
#define XENOD_PIN_AWAY_S    5  /* of which for an image manager that is away */
#define XENOD_PIN_OWNER_MAX 8
#define XENOD_PIN_JOBS_MAX  32 /* names asked for at a time */
#define XENOD_PINS_MAX      256

struct xeno_agent_link;
struct xenod_elsewhere;
struct xenod_pin; /* a requirement whose names are being asked for */

/* Borrows env and link, and NULL is one: then nothing can be elsewhere. `here` (NULL: none is): has
 * this machine the image of that manifest already? Names with such a digest are not asked for. */
struct xenod_elsewhere *xenod_elsewhere_new(const struct xeno_env *env,
                                            struct xeno_agent_link *link,
                                            bool (*here)(void *ctx, const char *digest), void *ctx);
void xenod_elsewhere_free(struct xenod_elsewhere *e); /* pins are dropped without a call */
XENO_DEFINE_AUTO(xenod_elsewhere, xenod_elsewhere_free);

/* The image manager is there again, or a second has passed: what waits for it is asked, or given up
 * after XENOD_PIN_AWAY_S. */
void xenod_elsewhere_tick(struct xenod_elsewhere *e);

struct xenod_elsewhere_count {
    int64_t waiting; /* requests, now */
    int64_t asked, shared, failed, old;
};
struct xenod_elsewhere_count xenod_elsewhere_counts(const struct xenod_elsewhere *e);

/* Told once, from the loop: every name of the requirement is a digest, or why not. The pin is gone.
 */
typedef void xenod_pinned(void *arg, const struct xeno_err *err);

/* Does it name anything elsewhere? */
bool xenod_elsewhere_named(const struct xeno_requirement *req);

/* Put digests in place of the names elsewhere that `req` has. `owner`: for whom. `req` is borrowed
 * until `done` is told.
 *
 * Returns: 0 when there was nothing to ask: `done` is not told; 1: it will be, and *ret the pin.
 * Errors:  -EOPNOTSUPP image.elsewhere  this XenoServer has no image manager
 *          -EAGAIN image.waiting        too many requests of this owner, or of all, wait
 *          and to `done` those of image/agent.h; but -EACCES as -EPERM, since it is not the
 *          client's credential that is wrong, and -ENOTCONN as -EAGAIN */
int xenod_elsewhere_pin(struct xenod_elsewhere *e, const char *owner, struct xeno_requirement *req,
                        xenod_pinned *done, void *arg, struct xenod_pin **ret,
                        struct xeno_err *err);
void xenod_pin_cancel(struct xenod_pin *p);

#endif
