/* bench/xis/gen.h - adverts like those of real XenoServers, as many as are wanted, and lookups that
 * clients would ask of them.
 *
 * Advert n of a world is the same whenever it is made; a round above 0 moves what a running
 * XenoServer's refresh moves (what is free, load, sessions, uptime). 40 values, all tokens as
 * xenod names them.
 */
#ifndef XENO_BENCH_XIS_GEN_H
#define XENO_BENCH_XIS_GEN_H

#include "xis/advert.h"
#include "xis/index.h"

#define GEN_VALUES 40

/* The key of advert n. */
struct xeno_key *gen_key(uint32_t n);
/* What it says in a round, with that version; the caller's. */
struct xeno_advert_maker *gen_maker(const struct xeno_key *key, uint32_t n, uint32_t round,
                                    int64_t version, xeno_time expires);
/* The signed text, the caller's; its version rises with the round. */
char *gen_advert(const struct xeno_key *key, uint32_t n, uint32_t round, xeno_time expires);

/* Lookup i of a list of any length: three of four about numbers, most of a narrow range, the others
 * about texts; asked for from the first place on, but for one of ten. Points to constants. */
void gen_lookup(uint64_t i, size_t limit, struct xeno_lookup *ret);
/* The same as JSON for POST /v1/lookups, without a line feed, or as the query of a URL. */
size_t gen_lookup_json(const struct xeno_lookup *l, char *out, size_t room);
size_t gen_lookup_query(const struct xeno_lookup *l, char *out, size_t room);

/* A number that depends on all bits of i, for worlds that are made from numbers. */
uint64_t gen_mix(uint64_t i);

#endif
