/* src/rd/paths.h - do two ways through the network share something?
 *
 * A path is what a bounded traceroute saw: the addresses of its hops in order, silent ones left
 * unknown. Two paths share a hop when the same address is on both, and a prefix when two of their
 * hops lie in one /24 (IPv4) or /48 (IPv6), which mostly means one site of one operator. What was
 * not seen may be shared: unknown hops make a verdict less sure, never better.
 *
 * The last hop of two paths to the same address is that address itself (and often its site); it
 * is shared by all and says nothing. Tell with `to`.
 *
 * Pure. Context: any thread.
 */
#ifndef XENO_RD_PATHS_H
#define XENO_RD_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define XENO_PATH_HOPS 32
#define XENO_PATHS_MAX 1024 /* paths among which disjoint sets are looked for */
#define XENO_PATHS_SET 8    /* members of a set */

struct xeno_hop {
    uint8_t family; /* 4, 6; 0: silent */
    uint8_t addr[16];
};

struct xeno_path {
    size_t count;
    struct xeno_hop hops[XENO_PATH_HOPS];
};

/* Read the text of an advert's Path/Hops: addresses with white space between them, "*" for a silent
 * hop. IPv4 within IPv6 (::ffff:192.0.2.1) is IPv4. An address that every path may have and that
 * tells nothing (private, loopback, link-local) is read as silent.
 *
 * Errors: -EINVAL paths.hop    names the first that is no address
 *         -E2BIG  paths.long   more than XENO_PATH_HOPS
 */
int xeno_path_read(const char *text, struct xeno_path *ret, struct xeno_err *err);

/* One address, of any kind; family 0 when it is none. */
struct xeno_hop xeno_hop_read(const char *text);

struct xeno_path_shared {
    unsigned hops;     /* addresses on both */
    unsigned prefixes; /* prefixes on both, those of shared hops not counted */
    double unseen;     /* 0..1: the larger part of silent hops of the two; 1 for an empty path */
};

/* What two paths to `to` (NULL: to different places) have in common. */
struct xeno_path_shared xeno_path_shared(const struct xeno_path *a, const struct xeno_path *b,
                                         const struct xeno_hop *to);

/* The chance (0..1) that the two have something in common that is worth calling so: 1 for a shared
 * hop, little less for a shared prefix, what is usual among the paths with unseen hops otherwise.
 */
double xeno_path_risk(const struct xeno_path *a, const struct xeno_path *b,
                      const struct xeno_hop *to);

/* Choose k of n paths that have least in common: the set whose riskiest pair is least risky, then
 * whose sum of risks is least, then whose members come first (so put better ones first).
 *
 * Small questions are answered by looking at every set; larger ones by growing from every start and
 * exchanging members, with a bounded amount of work. `paths[i]` NULL: nothing is known of it; it is
 * never chosen before one that is known.
 * Returns: 0 with the members' places in ret_set[0..k) in ascending order and the risk of the set
 *          in *ret_risk (may be NULL).
 * Errors: -EINVAL paths.set   k is zero, above XENO_PATHS_SET or above n
 *         -E2BIG  paths.many  n is above XENO_PATHS_MAX
 */
int xeno_paths_disjoint(const struct xeno_path *const *paths, size_t n, size_t k,
                        const struct xeno_hop *to, size_t *ret_set, double *ret_risk,
                        struct xeno_err *err);

#endif
