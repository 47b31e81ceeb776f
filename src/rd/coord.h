/* src/rd/coord.h - network coordinates: where a machine is, as seen by round-trip times.
 *
 * A coordinate is a point and a height: the round trip between two machines is about the distance
 * of their points plus both heights (the way from each to the core of the network). Each XenoServer
 * keeps a node: it notes the round trips it measured to a bounded group of peers beside the
 * coordinates those peers publish, and moves its own point until they fit best. That is the model
 * of Vivaldi (Dabek and others, SIGCOMM 2004) with another solver: where Vivaldi takes one spring
 * step a sample and forgets the sample, a node keeps the recent round trips of each peer (their
 * median counts, so that one late packet moves nothing) and solves for all peers at once.
 *
 * A peer may lie, about its coordinate or by answering late. What one peer can do is bounded: its
 * pull has a limit whatever it claims, peers that contradict the others count for nearly nothing,
 * and one step moves a point by no more than XENO_COORD_STEP_MS.
 *
 * Everything that comes from outside passes xeno_coord_ok() first: finite and within the limits
 * below. Pure: no clock, no I/O; randomness is the seed given. Units: milliseconds throughout.
 * Context: a node is used by one thread at a time.
 */
#ifndef XENO_RD_COORD_H
#define XENO_RD_COORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "crypto/key.h"

#define XENO_COORD_DIM 5
#define XENO_COORD_MAX_MS                                                                          \
    10000. /* of any round trip, height or part of a point: others are refused */
#define XENO_COORD_MIN_MS  0.02 /* of a round trip: nothing is nearer than that */
#define XENO_COORD_PEERS   64 /* peers a node remembers; more push out the one longest unheard of */
#define XENO_COORD_HISTORY 8  /* round trips of a peer that its median is taken of */
#define XENO_COORD_STEP_MS 200.

/* As published: advert elements Coordinate/{X1..X5,HeightMs,ErrorMs,Samples}. */
struct xeno_coord {
    double x[XENO_COORD_DIM];
    double height_ms; /* zero or more */
    double error_ms; /* half of the predictions made with it are off by less than this; also by what
                        it moved of late, and much while there are few peers */
    uint32_t samples; /* round trips it comes from, cut at 2^32-1 */
};

/* Is it a coordinate at all? False for NaN, infinities, a negative height or error, or anything
 * past XENO_COORD_MAX_MS. One without samples is one: of a node that has measured nothing yet. */
bool xeno_coord_ok(const struct xeno_coord *c);

/* Is it worth predicting with? At least XENO_COORD_FEW samples, and an error that leaves something
 * to say. Who finds it is not says "unknown". */
#define XENO_COORD_FEW 4
bool xeno_coord_useful(const struct xeno_coord *c);

/* The round trip that two coordinates predict, with the bounds between which four of five lie.
 *
 * Returns: the prediction, at least XENO_COORD_MIN_MS; NaN, with both bounds untouched, when either
 *          coordinate is not useful: "unknown". The bounds may be NULL.
 */
double xeno_coord_rtt(const struct xeno_coord *a, const struct xeno_coord *b, double *ret_low,
                      double *ret_high);

/* A node: the state behind one's own coordinate. */
struct xeno_coord_node;

/* The seed scatters the starting points, so that two that know nothing do not sit on one spot.
 * Returns: owned by the caller; never NULL. */
struct xeno_coord_node *xeno_coord_node_new(uint64_t seed);
void xeno_coord_node_free(struct xeno_coord_node *n);
XENO_DEFINE_AUTO(xeno_coord_node, xeno_coord_node_free);

/* Start from a coordinate kept from before (a restart), as far as it is ok. Its error stands for
 * what few peers cannot tell: make it larger the older it is. */
void xeno_coord_node_restore(struct xeno_coord_node *n, const struct xeno_coord *c);

/* Note a round trip to `peer`, whose coordinate as published is `at` (NULL: it has none, then only
 * the median is kept), and move.
 *
 * Returns: true when it was taken; false, with nothing changed, when the round trip or the
 *          coordinate is not ok: count it, and go on.
 */
bool xeno_coord_node_sample(struct xeno_coord_node *n, const struct xeno_id *peer,
                            const struct xeno_coord *at, double rtt_ms);

/* A peer left the group: its samples are forgotten. */
void xeno_coord_node_forget(struct xeno_coord_node *n, const struct xeno_id *peer);

/* The smoothed round trip to a peer, to publish in Measured/Peer; NaN when there is none. */
double xeno_coord_node_rtt(const struct xeno_coord_node *n, const struct xeno_id *peer);

/* The own coordinate, to publish. Borrows: valid until the next call. */
const struct xeno_coord *xeno_coord_node_at(const struct xeno_coord_node *n);

#endif
