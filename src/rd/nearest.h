/* src/rd/nearest.h - which server is nearest to an address, with few probes.
 *
 * The address is no XenoServer: nothing is known about it. What is known is the map: the
 * coordinates that servers publish and the round trips they measured to bounded groups of one
 * another. A search asks a handful of servers, one after the other, to probe the address. Each
 * round trip says how far from that server the address is, and servers that are about that far from
 * it, too, come closer to being the nearest; the next to ask is the one from which most is to be
 * learnt. After the last probe every server has an estimate with its uncertainty; those asked have
 * a measurement.
 *
 *     map  = xeno_near_map_new(); xeno_near_map_set(map, slot, ...) for each server
 *     find = xeno_near_new(map, candidates, n, others, m, 5, seed)
 *     while (xeno_near_next(find, &slot))
 *         xeno_near_result(find, slot, probe(slot))
 *     xeno_near_best(find, ...), xeno_near_estimate(find, slot, ...)
 *
 * Several probes may be under way at once: xeno_near_next() may be called again before the result
 * of the one before is in (it then chooses without it). Each answer has a chance to be true, by
 * what all others heard and by how triangles look, and counts so much: one that nobody bears out
 * neither makes its server the nearest nor moves the estimates of others by much. Who is doubted
 * (xeno_near_map_judge) is asked last.
 *
 * Pure: no clock, no I/O, no allocation but in _new and _set. Units: milliseconds.
 * Context: one thread at a time for a search; a map is read by any number of searches while nobody
 * sets it.
 */
#ifndef XENO_RD_NEAREST_H
#define XENO_RD_NEAREST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "rd/coord.h"
#include "rd/latency.h"

#define XENO_NEAR_LINKS  32 /* round trips of a server that are kept */
#define XENO_NEAR_BUDGET 5  /* probes in one search, unless told */
#define XENO_NEAR_MAX    16 /* no search makes more */

/* The map: what servers say about themselves and one another. Servers are numbered densely by
 * whoever owns the map (RD's columns). */
struct xeno_near_map;

struct xeno_near_link {
    uint32_t to;  /* slot; one that is not set in the map is passed over */
    float rtt_ms; /* not finite, zero or less, or past XENO_COORD_MAX_MS: passed over */
};

struct xeno_near_map *xeno_near_map_new(void);
void xeno_near_map_free(struct xeno_near_map *m);
XENO_DEFINE_AUTO(xeno_near_map, xeno_near_map_free);

/* Set what server `slot` published: its coordinate (NULL, or not ok: it has none) and at most
 * XENO_NEAR_LINKS round trips (the rest is left out). Replaces what was there.
 * Borrows: both, for the call. Slots grow as they are named; keep them dense. */
void xeno_near_map_set(struct xeno_near_map *m, uint32_t slot, const struct xeno_coord *at,
                       const struct xeno_near_link *links, size_t link_count);
void xeno_near_map_clear(struct xeno_near_map *m, uint32_t slot);

/* Judge anew whether what a server publishes of itself can be true: its round trips beside what
 * others say of the same, which must not differ by much more than is usual among those it speaks
 * of; where hardly anybody speaks of the same, both beside its coordinate. Of one that is doubted
 * nothing is used, only what others say of it. _set does so for its own slot and for one of those
 * it names, with what the map knows then; after a first load one may go through all (some us each).
 */
void xeno_near_map_judge(struct xeno_near_map *m, uint32_t slot);
bool xeno_near_map_doubted(const struct xeno_near_map *m, uint32_t slot);

/* The coordinate of a server; NULL when it has none, or is doubted. */
const struct xeno_coord *xeno_near_map_at(const struct xeno_near_map *m, uint32_t slot);

/* The round trip between two servers of the map: measured when either published it (when both did,
 * what the two agree upon), predicted, or unknown. */
struct xeno_latency xeno_near_map_rtt(const struct xeno_near_map *m, uint32_t a, uint32_t b);

struct xeno_near; /* a search */

/* Begin a search for the nearest of `candidates`; `others` may be asked to probe, too.
 *
 * Borrows: the map, unchanged, for the search's life; the arrays for the call.
 * `budget` at most XENO_NEAR_MAX (more is cut). Any number of candidates; a search among many
 * thousands looks closely at those alone that the probes leave in question.
 */
struct xeno_near *xeno_near_new(const struct xeno_near_map *m, const uint32_t *candidates, size_t n,
                                const uint32_t *others, size_t other_count, unsigned budget,
                                uint64_t seed);
void xeno_near_free(struct xeno_near *s);
XENO_DEFINE_AUTO(xeno_near, xeno_near_free);

/* Which server to ask next. Returns: false when the budget is spent or nothing is left to learn. */
bool xeno_near_next(struct xeno_near *s, uint32_t *ret_slot);

/* What server `slot` answered: the round trip, or NaN when it refused, failed or heard nothing (the
 * probe is spent). A round trip known from elsewhere (measured before) may be told, too, for any
 * server, at no cost. Returns: false, nothing changed, when it is no round trip. */
bool xeno_near_result(struct xeno_near *s, uint32_t slot, double rtt_ms);

/* The estimate for a server: measured where a result was told (and believed), else predicted. */
struct xeno_latency xeno_near_estimate(const struct xeno_near *s, uint32_t slot);
void xeno_near_estimates(const struct xeno_near *s, const uint32_t *slots, size_t n,
                         struct xeno_latency *ret);

/* The candidate whose round trip is expected to be the least, asked or not (one that was not must
 * be well ahead), and the chance (0..1) that it is the nearest of all. Returns: false when nothing
 * is known of any. */
bool xeno_near_best(const struct xeno_near *s, uint32_t *ret_slot, double *ret_chance);

/* Where the address seems to be: a coordinate like any, with its error; false when no result is in.
 */
bool xeno_near_where(const struct xeno_near *s, struct xeno_coord *ret);

#endif
