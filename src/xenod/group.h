/* src/xenod/group.h - which XenoServers are measured all the time, and what that comes to. Pure.
 *
 * A group has at most XENOD_GROUP_MAX members: half of them near, by coordinates, which tells apart
 * those that are close, the rest at random, which keeps the map whole (RFC 0018, section 4). It is
 * renewed by a round: begin, offer candidates as the XIS tells of them, end; the worst quarter
 * goes, so that nobody stays by having been there first.
 *
 * The times are monotonic parameters, the randomness is the env's. Round trips in milliseconds.
 */
#ifndef XENOD_GROUP_H
#define XENOD_GROUP_H

#include <stdbool.h>

#include "base/env.h"
#include "base/mem.h"
#include "crypto/key.h"
#include "rd/coord.h"
#include "xenod/targets.h"

#define XENOD_GROUP_MAX      32
#define XENOD_GROUP_BURST    4  /* so often a new member is measured every two seconds */
#define XENOD_GROUP_SILENT   10 /* times running, and a member is given up */
#define XENOD_GROUP_ENDPOINT 256

struct xenod_member {
    struct xeno_id id;
    char endpoint[XENOD_GROUP_ENDPOINT + 1];
    struct xeno_coord at;
    bool has_at;  /* it publishes a coordinate */
    bool near;    /* was taken for being near */
    bool checked; /* it answered at `address` as who it is */
    bool busy;    /* something is under way with it */
    union xenod_address address;
    xeno_time check_due, due; /* next time it is asked who it is, measured */
    uint16_t history;         /* of the last 16 times, a bit each, 1: an answer; newest lowest */
    unsigned times, silent; /* how often it was measured (16 at most); how often in vain, running */
};

struct xenod_group;

/* self: never a member. interval: between two measurements of one, jittered by a quarter. */
struct xenod_group *xenod_group_new(const struct xeno_env *env, const struct xeno_id *self,
                                    size_t size, xeno_time interval);
void xenod_group_free(struct xenod_group *g);
XENO_DEFINE_AUTO(xenod_group, xenod_group_free);

/* --- who is in it --- */
void xenod_group_begin(struct xenod_group *g);
/* Somebody who advertises: a member's news, or a candidate of this round. `near`: was found by
 * coordinates. at NULL: it publishes none. More than can be used are passed over. */
void xenod_group_offer(struct xenod_group *g, const struct xeno_id *id, const char *endpoint,
                       const struct xeno_coord *at, bool near);
/* Take in and give up. Returns: how many are new. */
size_t xenod_group_end(struct xenod_group *g, xeno_time now);

size_t xenod_group_count(const struct xenod_group *g);
struct xenod_member *xenod_group_at(struct xenod_group *g, size_t i);
struct xenod_member *xenod_group_find(struct xenod_group *g, const char *id);
void xenod_group_drop(struct xenod_group *g, const char *id);
/* It is not who its advert says: dropped, and not taken again for an hour. */
void xenod_group_refuse(struct xenod_group *g, const char *id, xeno_time now);

/* --- measuring --- */
/* A member that is to be asked who it is; or one that is due to be measured; NULL: none is now. */
struct xenod_member *xenod_group_to_check(struct xenod_group *g, xeno_time now);
struct xenod_member *xenod_group_to_measure(struct xenod_group *g, xeno_time now);
/* When one of these has something; the far future: never by itself. */
xeno_time xenod_group_next(const struct xenod_group *g);
/* What came of measuring it; NaN: nothing. It may be given up: the member is gone then. */
void xenod_group_result(struct xenod_group *g, struct xenod_member *m, double rtt_ms,
                        xeno_time now);

/* --- what is known --- */
/* Its smoothed round trip; NaN: none yet. */
double xenod_group_rtt(const struct xenod_group *g, const struct xenod_member *m);
int xenod_group_loss_percent(const struct xenod_member *m);
/* The own coordinate. It is published while it is worth nothing, too: two that know nothing find
 * their places by each other. */
const struct xeno_coord *xenod_group_where(const struct xenod_group *g);

/* The own coordinate over a restart: a text with its time (wall clock). Returns: false, nothing is
 * written, while the coordinate is not useful. */
#define XENOD_GROUP_KEPT_TEXT 256
bool xenod_group_keep(const struct xenod_group *g, xeno_time now, char buf[XENOD_GROUP_KEPT_TEXT]);
/* Begin from there, less sure the older it is. Returns: false, nothing changed, when it is no such
 * text, of the future, or older than XENOD_GROUP_KEPT_H. */
#define XENOD_GROUP_KEPT_H (7 * 24)
bool xenod_group_restore(struct xenod_group *g, const char *text, xeno_time now);

#endif
