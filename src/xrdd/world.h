/* src/xrdd/world.h - the XenoServers that are known: their adverts, from all XIS nodes together.
 *
 * Of a XenoServer the advert with the highest version counts, whichever XIS told it. Each was
 * checked by its own signature, so an XIS can keep something from us but make nothing up. A
 * XenoServer goes when its lease is over by our clock, when it withdrew (signed; remembered until
 * then, so that nothing older comes back), or when no XIS has it any more.
 * Context: the thread of the loop.
 */
#ifndef XENO_XRDD_WORLD_H
#define XENO_XRDD_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "rd/find.h"
#include "xis/advert.h"

#define XRDD_SOURCES 16 /* XIS nodes that are followed at most */

struct xrdd_world;

/* max: XenoServers. The caller's. */
struct xrdd_world *xrdd_world_new(const struct xeno_env *env, size_t max);
void xrdd_world_free(struct xrdd_world *w);
XENO_DEFINE_AUTO(xrdd_world, xrdd_world_free);

/* The servers as they are searched, with their adverts. Borrowed; nobody else puts or removes. */
struct xeno_rd *xrdd_world_rd(const struct xrdd_world *w);

/* The slot of the XenoServer whose endpoint is at an address (rd/place.h), on that port if it has
 * one; of several the lowest. false: none that is known. */
bool xrdd_world_at(const struct xrdd_world *w, const char *address, uint32_t *ret_slot);

/* A source has the advert `jws`, and perhaps `delta` (NULL: none), of `id` in this version. What is
 * known already is not checked again. A withdrawal is an advert here.
 * Returns: 1 it is news, 0 it is not. Errors: those of xis/advert.h, -EPERM rd.id (it is
 * another's), -ENOSPC rd.full. */
int xrdd_world_tell(struct xrdd_world *w, unsigned source, const char *id, int64_t version,
                    const char *jws, const char *delta, struct xeno_err *err);
/* The source has it no more. */
void xrdd_world_untell(struct xrdd_world *w, unsigned source, const char *id);
/* The source begins anew, so what it told is open until it is through: what it did not tell again
 * by then it has no more. */
void xrdd_world_restart(struct xrdd_world *w, unsigned source);
void xrdd_world_through(struct xrdd_world *w, unsigned source);

/* So many complaints are counted against it by now; also of one that is not known yet. The highest
 * count stays. */
void xrdd_world_complaints(struct xrdd_world *w, const char *id, int64_t count);

/* Leases that are over end, and what was told since finds its place on the map. Once in a few
 * seconds. */
void xrdd_world_age(struct xrdd_world *w);

#endif
